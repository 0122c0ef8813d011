"""Waiting for a person, in business time: reminded, escalated, listed as overdue, expired; each once, each a fact.

Every due moment is reckoned here in the calendar of whoever is asked and recorded, so that the workflow only sleeps
until it. Nothing is ever approved by silence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from domain.calendar import Calendar, CalendarError, instant
from domain.clauses import PR_1, PR_8
from domain.facts import Command, Fact, Line, PersonId, Refused, Slug, Value
from domain.policy import Role

if TYPE_CHECKING:
    from domain.library import Library


class Due(StrEnum):
    REMINDER = auto()
    ESCALATION = auto()
    OVERDUE = auto()
    EXPIRY = auto()


class DueMoment(Value):
    what: Due
    nth: int = 1
    at: AwareDatetime


class LetTimePass(Command, kind="waiting.LetTimePass"):
    """The timer's command: whatever has become due by the ledger's clock becomes a fact. Too late is moot: no event."""


class Reconsider(Command, kind="waiting.Reconsider"):
    """Something outside the case changed (calendar, staff, delegation): reckon again who is asked and until when."""


class WaitingFact(Fact):
    """`rests_on`: the clauses for whose sake someone is asked, and so reminded, and so on."""

    rests_on: tuple[str, ...] = (PR_1,)

    def cites(self) -> tuple[str, ...]:
        return self.rests_on


class Asked(WaitingFact, kind="waiting.Asked"):
    """Someone is asked: in which role, at which place, which persons hold it now, for what, and what is due when."""

    role: Role
    place: Slug
    persons: tuple[PersonId, ...]
    to: Line
    since: AwareDatetime
    due: tuple[DueMoment, ...]
    escalates_to: Role | None = None


class Reminded(WaitingFact, kind="waiting.Reminded"):
    nth: int
    persons: tuple[PersonId, ...]
    to: Line


class Escalated(WaitingFact, kind="waiting.Escalated"):
    role: Role | None
    persons: tuple[PersonId, ...]
    to: Line


class BecameOverdue(WaitingFact, kind="waiting.BecameOverdue"):
    persons: tuple[PersonId, ...]
    to: Line


class DueMomentsReissued(WaitingFact, kind="waiting.DueMomentsReissued"):
    due: tuple[DueMoment, ...]


class TaskRerouted(WaitingFact, kind="waiting.TaskRerouted"):
    """Those who were asked no longer hold the role, or others hold it too: the task belongs to whoever holds it now."""

    role: Role
    before: tuple[PersonId, ...]
    persons: tuple[PersonId, ...]
    to: Line


class Wait(Value):
    rests_on: tuple[str, ...] = (PR_1,)
    role: Role
    place: Slug
    persons: tuple[PersonId, ...]
    to: Line
    since: AwareDatetime
    due: tuple[DueMoment, ...]
    done: tuple[tuple[Due, int], ...] = ()
    escalates_to: Role | None = None

    def open_moments(self) -> tuple[DueMoment, ...]:
        return tuple(each for each in self.due if (each.what, each.nth) not in self.done)

    def next_due(self) -> datetime | None:
        return min((each.at for each in self.open_moments()), default=None)

    def stops_the_clock(self) -> bool:
        """A pause, in which nobody is reminded: only its own end is due."""
        return all(each.what is Due.EXPIRY for each in self.due)

    def has_done(self, what: Due, nth: int = 1) -> Wait:
        return self.model_copy(update={"done": (*self.done, (what, nth))})


# Moments are kept in UTC: in local time, two of them compare wrongly around the hour that comes twice.


def due_moments(place: str, since: datetime, library: Library, overdue_after_bd: int = 0) -> tuple[DueMoment, ...]:
    settings = library.policy.settings

    def after(business_days: int) -> datetime:
        return business_days_after(place, since, business_days, library.calendar)

    return (
        *(
            DueMoment(what=Due.REMINDER, nth=nth, at=after(days))
            for nth, days in enumerate(settings.remind_after_bd.value, start=1)
        ),
        DueMoment(what=Due.ESCALATION, at=after(settings.escalate_after_bd.value)),
        DueMoment(what=Due.OVERDUE, at=after(overdue_after_bd or settings.overdue_after_bd.value)),
        *only_expiry(since, settings.expire_after_days.value, library),
    )


def only_expiry(since: datetime, days: int, library: Library) -> tuple[DueMoment, ...]:
    return (DueMoment(what=Due.EXPIRY, at=days_after(since, days, library.calendar)),)


def business_days_after(place: str, since: datetime, days: int, calendar: Calendar) -> datetime:
    try:
        return calendar.business_days_after(place, since, days).astimezone(UTC)
    except CalendarError as error:
        raise Refused(PR_8, f"nobody can be asked: {error}", f"adopt a calendar in which {place} opens again") from None


def days_after(since: datetime, days: int, calendar: Calendar) -> datetime:
    """The same wall time in the library so many days later, whether or not it is open then."""
    asked = calendar.local(since)
    return instant(asked.date() + timedelta(days=days), asked.time(), calendar.zone)


def what_is_due(wait: Wait | None, at: datetime, library: Library, expired: Callable[[], Fact]) -> tuple[Fact, ...]:
    """What time has made of a wait by now, in the order of its moments. After an expiry nothing follows."""
    if wait is None:
        return ()
    facts: list[Fact] = []
    for moment in sorted(wait.open_moments(), key=lambda each: each.at):
        if moment.at > at:
            break
        facts.append(what_happens_at(moment, wait, library, expired))
        if moment.what is Due.EXPIRY:
            break
    return tuple(facts)


def what_happens_at(moment: DueMoment, wait: Wait, library: Library, expired: Callable[[], Fact]) -> Fact:
    match moment.what:
        case Due.REMINDER:
            return Reminded(nth=moment.nth, persons=wait.persons, to=wait.to, rests_on=wait.rests_on)
        case Due.ESCALATION:
            above = library.holders(wait.escalates_to) if wait.escalates_to else ()
            return Escalated(role=wait.escalates_to, persons=above, to=wait.to, rests_on=wait.rests_on)
        case Due.OVERDUE:
            return BecameOverdue(persons=wait.persons, to=wait.to, rests_on=wait.rests_on)
        case Due.EXPIRY:
            return expired()


def what_changed_around(
    wait: Wait | None, role: Role, persons: tuple[str, ...], library: Library, overdue_after_bd: int = 0
) -> tuple[Fact, ...]:
    """A changed staff re-routes the task; a changed calendar re-issues the moments that are still open."""
    if wait is None:
        return ()
    facts: list[Fact] = []
    if (role, persons) != (wait.role, wait.persons):
        facts.append(TaskRerouted(role=role, before=wait.persons, persons=persons, to=wait.to, rests_on=wait.rests_on))
    if (due := due_anew(wait, library, overdue_after_bd)) != wait.due:
        facts.append(DueMomentsReissued(due=due, rests_on=wait.rests_on))
    return tuple(facts)


def due_anew(wait: Wait, library: Library, overdue_after_bd: int) -> tuple[DueMoment, ...]:
    if wait.stops_the_clock():
        return wait.due
    try:
        reckoned = due_moments(wait.place, wait.since, library, overdue_after_bd)
    except Refused:
        # a calendar that gives no moment leaves those that were given: time goes on passing
        return wait.due
    anew, still_open = {(each.what, each.nth): each for each in reckoned}, wait.open_moments()
    return tuple(anew.get((each.what, each.nth), each) if each in still_open else each for each in wait.due)


def evolve_wait(wait: Wait | None, fact: Fact) -> Wait | None:
    match fact:
        case Asked():
            return Wait(**{name: getattr(fact, name) for name in Asked.model_fields})
        case _ if wait is None:
            return None
        case Reminded(nth=nth):
            return wait.has_done(Due.REMINDER, nth)
        case Escalated():
            return wait.has_done(Due.ESCALATION)
        case BecameOverdue():
            return wait.has_done(Due.OVERDUE)
        case DueMomentsReissued(due=due):
            return wait.model_copy(update={"due": due})
        case TaskRerouted(role=role, persons=persons):
            return wait.model_copy(update={"role": role, "persons": persons})
        case _:
            return wait
