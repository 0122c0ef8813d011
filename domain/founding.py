"""The first event of an installation: who founded it, with which policy text and which staff feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from domain.clauses import PR_1, PR_4, PR_19
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    Line,
    Page,
    Recorded,
    Refused,
    Sha256,
    State,
)

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "founding"


class FoundSystem(Command, kind="founding.FoundSystem"):
    installation: Line
    policy_sha256: Sha256
    staff_sha256: Sha256 | None = None
    door_key: Line
    follows_staff: bool = False


class BeginFollowingStaff(Command, kind="founding.BeginFollowingStaff"):
    """The system's own, once, in an installation that was founded before changes of staff were followed."""


class SystemFounded(Fact, kind="founding.SystemFounded"):
    """Who adopted the first policy and imported the first staff is the actor of this event; `door_key` is the public
    key (base64url Ed25519) whose signatures prove the senders of later commands."""

    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_19)
    installation: Line
    policy_sha256: Sha256
    staff_sha256: Sha256 | None = None
    door_key: Line
    follows_staff: bool = False


class FollowingStaffBegun(Fact, kind="founding.FollowingStaffBegun"):
    """Changes of staff that are recorded after this one are followed; earlier ones are history."""

    clauses: ClassVar[tuple[str, ...]] = (PR_4,)


def decide(act: Act, state: State, _: Library) -> Decision:
    match act.command:
        case FoundSystem() as found if state.position == 0 and act.by.kind is ActorKind.OPERATOR:
            return Decision((found.becomes(SystemFounded),), Authority(role="operator"))
        case BeginFollowingStaff() if state.position > 0 and act.by.kind is ActorKind.TIMER:
            return Decision((FollowingStaffBegun(),))
        case _:
            raise Refused(PR_19, "the system is founded once, by its operator", "nothing: it is founded already")


def follows_staff_since(founding: Iterable[Recorded]) -> int | None:
    """The log position after which changes of staff are followed; None where that has not begun."""
    for each in founding:
        match each.fact:
            case SystemFounded(follows_staff=True):
                return 0
            case FollowingStaffBegun():
                return each.log_position
    return None


FOUNDING = Page("founding", State, decide, lambda state, _: state, by_todays_policy=True)
