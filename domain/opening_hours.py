"""When the library is open: dated facts of the library, not of the policy version.

A storm that closes a branch moves every moment that waits in that branch's calendar; the cases that wait are asked
to reckon anew.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from domain.calendar import Calendar, CalendarError, Closure
from domain.clauses import PR_6, PR_8
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    Line,
    NoAuthority,
    Page,
    Refused,
    Slug,
    State,
)
from domain.policy import Role

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "opening_hours"
EVERYWHERE = "*"


class AdoptCalendar(Command, kind="opening_hours.AdoptCalendar"):
    calendar: Calendar


class CloseBranch(Command, kind="opening_hours.CloseBranch"):
    """Closed on a day, whole or from one wall time to another. `place` may be `*`: every place."""

    place: str = Field(pattern=r"^(\*|[a-z0-9][a-z0-9_-]*)$", max_length=80)
    day: date
    from_time: time | None = None
    to_time: time | None = None
    because: Line

    @model_validator(mode="after")
    def runs_forward_in_wall_time(self) -> CloseBranch:
        starts, ends = self.from_time or time.min, self.to_time or time.max
        if starts.tzinfo or ends.tzinfo:
            raise ValueError("from_time and to_time are wall time of the library; give them without a zone")
        if starts >= ends:
            raise ValueError("the closure ends before it begins; give a to_time after from_time")
        return self


class LiftClosure(Command, kind="opening_hours.LiftClosure"):
    closure: Slug
    because: Line


class OfCalendar(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_6, PR_8)

    def touches(self) -> tuple[str, ...]:
        return ("calendar",)


class CalendarAdopted(OfCalendar, kind="opening_hours.CalendarAdopted"):
    calendar: Calendar


class BranchClosed(OfCalendar, kind="opening_hours.BranchClosed"):
    closure: Closure


class ClosureLifted(OfCalendar, kind="opening_hours.ClosureLifted"):
    closure: Slug
    because: Line


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case AdoptCalendar() as adopt:
            authority = only_the_executive_director_after_the_founding(act, library)
            its_holidays_are_known(adopt.calendar)
            every_place_opens(adopt.calendar, library)
            return Decision((adopt.becomes(CalendarAdopted),), authority)

        case CloseBranch() as close:
            authority = only_who_answers_for_the_place(act, close.place, library)
            a_known_place(close.place, library)
            return Decision((BranchClosed(closure=closure_of(close, act.id)),), authority)

        case LiftClosure() as lift:
            place = library.closed_by(lift.closure)
            if place is None:
                raise Refused(PR_8, f"there is no closure {lift.closure}", "a closure that `calendar show` lists")
            authority = only_who_answers_for_the_place(act, place, library)
            return Decision((lift.becomes(ClosureLifted),), authority)

        case _:
            raise Refused(PR_8, f"{act.command.kind} is not a step of the calendar", "CloseBranch or LiftClosure")


def only_the_executive_director_after_the_founding(act: Act, library: Library) -> Authority:
    if act.by.kind is ActorKind.OPERATOR and not library.has_a_calendar():
        return Authority(role="operator")
    return library.only(Role.EXECUTIVE_DIRECTOR, act, PR_8, to="adopt a calendar")


def only_who_answers_for_the_place(act: Act, place: str, library: Library) -> Authority:
    roles = library.roles(act.person)
    if Role.EXECUTIVE_DIRECTOR in roles:
        return library.standing(act.person, Role.EXECUTIVE_DIRECTOR)
    if Role.BRANCH_MANAGER in roles and library.place_of(act.person) == place:
        return library.standing(act.person, Role.BRANCH_MANAGER)
    raise NoAuthority(
        PR_8,
        f"{act.by.id} does not answer for the opening of {place}",
        "the Executive Director, or for one branch its Branch Manager, closes it",
    )


def every_place_opens(calendar: Calendar, library: Library) -> None:
    """A place that never opens gives no moment to wait for."""
    shut = [place for place in library.newest_policy().places if not opens(place, calendar, library.at)]
    if shut:
        raise Refused(PR_8, f"no opening to come for {', '.join(shut)}", "hours for every place of the policy")


def opens(place: str, calendar: Calendar, at: datetime) -> bool:
    try:
        return bool(calendar.next_opening(place, at))
    except CalendarError:
        return False


def its_holidays_are_known(calendar: Calendar) -> None:
    if faults := calendar.holidays.faults():
        raise Refused(
            PR_8,
            "; ".join(fault.because for fault in faults),
            "; ".join(dict.fromkeys(fault.would_pass for fault in faults)),
        )


def a_known_place(place: str, library: Library) -> None:
    if place != EVERYWHERE and place not in library.policy.places:
        raise Refused(PR_8, f"there is no place {place}", f"one of {', '.join(sorted(library.policy.places))}")


def closure_of(close: CloseBranch, id_: str) -> Closure:
    return Closure(
        id=id_, place=close.place, day=close.day, from_time=close.from_time, to_time=close.to_time, reason=close.because
    )


OPENING_HOURS = Page("opening_hours", State, decide, lambda state, _: state, by_todays_policy=True)
