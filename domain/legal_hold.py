"""A legal hold: what it covers is neither erased nor disposed of until someone else releases it.

PR-12 protects what patrons entrust to the library; a dispute or a records request can stand against forgetting it.
Whoever answers for records may place one at once. Releasing it is the director's to decide, never the placer's.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum, auto
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_12
from domain.facts import Act, Authority, Command, Decision, Fact, NoAuthority, Page, Refused, Sealed, Slug, State
from domain.in_force import account_id
from domain.policy import Role

if TYPE_CHECKING:
    from domain.library import Library

STREAM = PROCESS = "legal_hold"
SCOPE = "legal_holds"


class Over(StrEnum):
    CASE = auto()
    PERSON = auto()  # a patron, or someone of the staff
    ACCOUNT = auto()
    ALL = auto()


# what people ask for


class PlaceHold(Command, kind="legal_hold.PlaceHold"):
    """`of` is the id of what is held; empty where it is everything."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    over: Over
    of: str = Field(default="", max_length=200, pattern=r"^[A-Za-z0-9._:@-]*$")
    reason: Sealed


class ReleaseHold(Command, kind="legal_hold.ReleaseHold"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    hold: Slug
    reason: Sealed


# what happened


class OfHold(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    hold: Slug

    def touches(self) -> tuple[str, ...]:
        return (SCOPE,)


class HoldPlaced(OfHold, kind="legal_hold.HoldPlaced"):
    over: Over
    of: str
    reason: Sealed
    by: str

    def covers(self, cases: Collection[str], persons: Collection[str], accounts: Collection[str]) -> bool:
        match self.over:
            case Over.ALL:
                return True
            case Over.CASE:
                return self.of in cases
            case Over.PERSON:
                return self.of in persons
            case Over.ACCOUNT:
                return self.of in accounts


class HoldReleased(OfHold, kind="legal_hold.HoldReleased"):
    reason: Sealed
    by: str


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case PlaceHold() as place:
            authority = only_who_answers_for_records(act, library)
            of = what_can_be_held(place, library)
            return Decision((place.becomes(HoldPlaced, hold=act.id, of=of, by=act.person),), authority)

        case ReleaseHold() as release:
            placed = a_hold_that_stands(release.hold, library)
            authority = library.authority_to_decide(act, PROCESS, "", (placed.by,), PR_12)
            return Decision((release.becomes(HoldReleased, by=act.person),), authority)

        case _:
            raise Refused(PR_12, f"{act.command.kind} is not a step of a legal hold", "PlaceHold or ReleaseHold")


def only_who_answers_for_records(act: Act, library: Library) -> Authority:
    runs_a_branch = Role.BRANCH_MANAGER in library.roles(act.person)
    if library.may_act(act.person) and (library.at_headquarters(act.person) or runs_a_branch):
        return library.standing(act.person)
    raise NoAuthority(PR_12, f"{act.by.id} does not answer for records", "ask headquarters, or who runs the branch")


def what_can_be_held(place: PlaceHold, library: Library) -> str:
    """Its id as the log has it."""
    if (place.over is Over.ALL) is bool(place.of):
        raise Refused(PR_12, "a hold is over something that is named, or over all", "`of`, but for a hold over all")
    if place.over is Over.ACCOUNT and library.account(account_id(place.of)) is None:
        raise Refused(PR_12, f"the library has no account {place.of}", "one that `imprimatur accounts` lists")
    if place.over is Over.PERSON and library.is_forgotten(place.of):
        raise Refused(PR_12, "they were erased, and nothing is left that could be held", "a hold over a case")
    return account_id(place.of) if place.over is Over.ACCOUNT else place.of


def a_hold_that_stands(hold: str, library: Library) -> HoldPlaced:
    found = next((each for each in library.legal_holds() if each.hold == hold), None)
    if found is None:
        raise Refused(PR_12, f"no hold {hold} stands", "one that `imprimatur holds` lists")
    return found


LEGAL_HOLD = Page(PROCESS, State, decide, lambda state, _: state)
