"""What is said about a change of staff (PR-4, PR-5, PR-7): what is asked for, what happened, and the report."""

from __future__ import annotations

from datetime import date
from enum import StrEnum, auto
from typing import ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_4, PR_5, PR_7, PR_8
from domain.directory import AsSent
from domain.facts import Command, Fact, Line, PersonId, Value
from domain.in_force import SeatFilled, SeatVacated
from domain.telling import Telling


class Change(StrEnum):
    JOINED = auto()
    LEFT = auto()
    MOVED = auto()
    RETURNED = auto()
    CHANGED = auto()
    ROLES = auto()


class Consequence(Value):
    """An event that followed in another case."""

    kind: Line
    case: Line
    event: Line


# what people and the system ask for


class FollowStaffChange(Command, kind="staff_change.FollowStaffChange"):
    """The system's own: HR recorded a change, in this event of the log."""

    person: PersonId
    change: Change
    event: Line
    log_position: int
    from_place: AsSent = ""


class ReportStaffChange(Command, kind="staff_change.ReportStaffChange"):
    """The system's own: every other case has been asked anew, and this is what followed there."""

    consequences: tuple[Consequence, ...] = Field(default=(), max_length=100_000)


class SeatAdministrator(Command, kind="staff_change.SeatAdministrator"):
    """Headquarters mends a breach of PR-7: this person administers the account from now on."""

    account: Line
    person: PersonId


# what happened


class OfStaffChange(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4, PR_5, PR_7)
    person: PersonId


class StaffChangeFollowed(OfStaffChange, kind="staff_change.StaffChangeFollowed"):
    change: Change
    event: Line
    log_position: int
    place: str


class DepartureAhead(OfStaffChange, kind="staff_change.DepartureAhead"):
    """`at` is the first moment at which they are gone; `in_breach` the accounts that would then break PR-7."""

    last_day: date
    at: AwareDatetime
    in_breach: tuple[str, ...]


class DepartureCame(OfStaffChange, kind="staff_change.DepartureCame"):
    pass


class DepartureOffRecord(OfStaffChange, kind="staff_change.DepartureOffRecord"):
    """HR says something else by now; that is followed by a case of its own."""


class AdministratorLeft(SeatVacated, kind="staff_change.AdministratorLeft"):
    pass


class AdministratorSeated(SeatFilled, kind="staff_change.AdministratorSeated"):
    by: PersonId


class CredentialsToRotate(OfStaffChange, kind="staff_change.CredentialsToRotate"):
    """Accounts whose secrets this person may know."""

    clauses: ClassVar[tuple[str, ...]] = (PR_7, PR_8)
    accounts: tuple[str, ...]


class OfRemedy(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_7,)
    account: str


class RemedyOpened(OfRemedy, kind="staff_change.RemedyOpened"):
    because: Line


class RemedyClosed(OfRemedy, kind="staff_change.RemedyClosed"):
    pass


class StaffChangeReported(Telling, OfStaffChange, kind="staff_change.StaffChangeReported"):
    """One report on everything that followed, to whoever runs the branch and to HR."""

    change: Change
    consequences: tuple[Consequence, ...]
    seats_vacated: tuple[str, ...]
    credentials: tuple[str, ...]
    remedies: tuple[str, ...]
    last_day: date | None = None
    in_breach_then: tuple[str, ...] = ()

    def subject(self) -> str:
        return f"Staff change: {self.person}: what followed"

    def lines(self) -> tuple[str, ...]:
        return (
            f"HR recorded a change ({self.change.value}) of {self.person}.",
            *(f"In {each.case}: {each.kind.partition('.')[2]}" for each in self.consequences),
            *(f"No longer administers {account}" for account in self.seats_vacated),
            *(f"Change the credentials of {account}" for account in self.credentials),
            *(f"Too few administrators: {account}" for account in self.remedies),
            *((f"Their last day is {self.last_day}.",) if self.last_day else ()),
            *(f"Too few administrators after that: {account}" for account in self.in_breach_then),
        )
