"""What is said about rights to post (PR-4, PR-5): what people ask for, and what happened."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_5
from domain.facts import Command, Fact, Line, PersonId, Sealed, Sha256
from domain.in_force import ConditionOfRightsMet, RightsBegun, RightsEnded, RightsPaused, RightsResumed, Scope
from domain.policy import Role
from domain.requests import (
    Condition,
    DecidedForAReason,
    ForAReason,
    MeetACondition,
    OnContent,
    OnContentForAReason,
    TakeBack,
    TakenBack,
)

# what people ask for


class Wanted(Command):
    """For which accounts, for what, for how long (the policy's term where nothing is said), and why."""

    secret_texts: ClassVar[tuple[str, ...]] = ("purpose",)
    accounts: tuple[Line, ...] = Field(min_length=1, max_length=50)
    scope: Scope = Scope.POSTS_AND_REPLIES
    months: int | None = Field(default=None, ge=-100_000, le=100_000)
    purpose: Sealed


class RequestRights(Wanted, kind="posting_rights.RequestRights"):
    pass


class AmendRequest(Wanted, kind="posting_rights.AmendRequest"):
    """The whole request as it should now read. It voids what was asked of it and asks again."""


class GrantRights(OnContent, kind="posting_rights.GrantRights"):
    """As requested; or for fewer accounts, for less, for a shorter term, or on conditions."""

    secret_texts: ClassVar[tuple[str, ...]] = ("conditions.*.what",)
    accounts: tuple[Line, ...] | None = Field(default=None, min_length=1, max_length=50)
    scope: Scope | None = None
    months: int | None = Field(default=None, ge=-100_000, le=100_000)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=50)


class AskForChanges(OnContentForAReason, kind="posting_rights.AskForChanges"):
    pass


class RefuseRights(OnContentForAReason, kind="posting_rights.RefuseRights"):
    pass


class WithdrawRequest(TakeBack, kind="posting_rights.WithdrawRequest"):
    pass


class MeetCondition(MeetACondition, kind="posting_rights.MeetCondition"):
    pass


class SuspendRights(ForAReason, kind="posting_rights.SuspendRights"):
    pass


class ReinstateRights(ForAReason, kind="posting_rights.ReinstateRights"):
    pass


class RevokeRights(ForAReason, kind="posting_rights.RevokeRights"):
    pass


# what happened


class OfRequest(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_5,)


class RequestFields(OfRequest):
    """`asking` are the keys that hold this request alone for its person and accounts until it is decided."""

    accounts: tuple[str, ...]
    scope: Scope
    months: int
    purpose: Sealed
    by: PersonId

    def asking(self) -> tuple[str, ...]:
        return tuple(f"asking:{self.by}:{account}" for account in self.accounts)


class RightsRequested(RequestFields, kind="posting_rights.RightsRequested"):
    def claims(self) -> tuple[str, ...]:
        return self.asking()


class RequestAmended(RequestFields, kind="posting_rights.RequestAmended"):
    voided: Sha256
    asked_before: tuple[str, ...]

    def claims(self) -> tuple[str, ...]:
        return tuple(each for each in self.asking() if each not in self.asked_before)

    def releases(self) -> tuple[str, ...]:
        return tuple(each for each in self.asked_before if each not in self.asking())


class ChangesAsked(DecidedForAReason, OfRequest, kind="posting_rights.ChangesAsked"):
    pass


class Answered(OfRequest):
    """The request is over; the same may be asked again."""

    asked: tuple[str, ...]

    def releases(self) -> tuple[str, ...]:
        return self.asked


class RightsRefused(DecidedForAReason, Answered, kind="posting_rights.RightsRefused"):
    pass


class RequestWithdrawn(TakenBack, Answered, kind="posting_rights.RequestWithdrawn"):
    pass


class RequestExpired(Answered, kind="posting_rights.RequestExpired"):
    pass


class RightsGranted(RightsBegun, Answered, kind="posting_rights.RightsGranted"):
    content: Sha256
    renewal_from: AwareDatetime
    conditions: tuple[Condition, ...] = ()

    def open_conditions(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.conditions)


class ConditionMet(ConditionOfRightsMet, kind="posting_rights.ConditionMet"):
    by: PersonId
    note: Sealed | None = None


class RightsSuspended(RightsPaused, kind="posting_rights.RightsSuspended"):
    reason: Sealed


class RightsReinstated(RightsResumed, kind="posting_rights.RightsReinstated"):
    reason: Sealed


class RenewalAsked(OfRequest, kind="posting_rights.RenewalAsked"):
    """The end is near: the holder is asked whether the right is still needed."""

    holder: PersonId
    until: AwareDatetime


class RightsExpired(RightsEnded, kind="posting_rights.RightsExpired"):
    pass


class RightsRevoked(RightsEnded, kind="posting_rights.RightsRevoked"):
    reason: Sealed


class RightsLapsed(RightsEnded, kind="posting_rights.RightsLapsed"):
    """Ended by a change of staff or of the accounts, at nobody's decision."""

    cause: str


class RightsSuperseded(RightsEnded, kind="posting_rights.RightsSuperseded"):
    """PR-4: the holder posts by role from now on."""

    role: Role
