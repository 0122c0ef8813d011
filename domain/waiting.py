"""Waiting for a person, in business time: reminded, escalated, listed as overdue, expired; each once, each a fact.

Every due moment is reckoned here in the calendar of whoever is asked and recorded, so that the workflow only sleeps
until it. Nothing is ever approved by silence.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import TYPE_CHECKING, ClassVar

from pydantic import AwareDatetime

from domain.clauses import PR_1, PR_5
from domain.facts import Command, Fact, Line, PersonId, Slug, Value
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
    clauses: ClassVar[tuple[str, ...]] = (PR_1,)


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

    clauses: ClassVar[tuple[str, ...]] = (PR_5,)
    role: Role
    before: tuple[PersonId, ...]
    persons: tuple[PersonId, ...]
    to: Line


class Wait(Value):
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

    def has_done(self, what: Due, nth: int = 1) -> Wait:
        return self.model_copy(update={"done": (*self.done, (what, nth))})


def due_moments(place: str, since: datetime, library: Library) -> tuple[DueMoment, ...]:
    settings, after = library.policy.settings, library.calendar.business_days_after
    reminders = [
        DueMoment(what=Due.REMINDER, nth=nth, at=after(place, since, days))
        for nth, days in enumerate(settings.remind_after_bd.value, start=1)
    ]
    return (
        *reminders,
        DueMoment(what=Due.ESCALATION, at=after(place, since, settings.escalate_after_bd.value)),
        DueMoment(what=Due.OVERDUE, at=after(place, since, settings.overdue_after_bd.value)),
        DueMoment(what=Due.EXPIRY, at=since + timedelta(days=settings.expire_after_days.value)),
    )


def only_expiry(since: datetime, days: int) -> tuple[DueMoment, ...]:
    """Waiting for the requester stops the clock of reminders; only its own end is due."""
    return (DueMoment(what=Due.EXPIRY, at=since + timedelta(days=days)),)


def what_is_due(wait: Wait | None, at: datetime, library: Library, expired: type[Fact]) -> tuple[Fact, ...]:
    """The facts that time has made of a wait by now, in the order of their moments. After an expiry nothing follows."""
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


def what_happens_at(moment: DueMoment, wait: Wait, library: Library, expired: type[Fact]) -> Fact:
    match moment.what:
        case Due.REMINDER:
            return Reminded(nth=moment.nth, persons=wait.persons, to=wait.to)
        case Due.ESCALATION:
            above = library.holders(wait.escalates_to) if wait.escalates_to else ()
            return Escalated(role=wait.escalates_to, persons=above, to=wait.to)
        case Due.OVERDUE:
            return BecameOverdue(persons=wait.persons, to=wait.to)
        case Due.EXPIRY:
            return expired()


def what_changed_around(wait: Wait | None, role: Role, persons: tuple[str, ...], library: Library) -> tuple[Fact, ...]:
    """A changed calendar re-issues the open moments; a changed staff re-routes the task."""
    if wait is None:
        return ()
    facts: list[Fact] = []
    if (role, persons) != (wait.role, wait.persons):
        facts.append(TaskRerouted(role=role, before=wait.persons, persons=persons, to=wait.to))
    if len(wait.due) > 1 and (due := due_moments(wait.place, wait.since, library)) != wait.due:
        facts.append(DueMomentsReissued(due=due))
    return tuple(facts)


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
