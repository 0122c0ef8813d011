"""What is said about creating an account (PR-1, PR-2, PR-3, PR-4, PR-7): what people ask for, and what happened."""

from __future__ import annotations

import unicodedata
from typing import ClassVar, Literal

from pydantic import Field

from domain.clauses import PR_1, PR_2, PR_3, PR_4, PR_7
from domain.facts import Command, Evidence, Fact, Line, PersonId, Sealed, Sha256, Slug
from domain.in_force import AccountPutInService
from domain.requests import (
    Condition,
    DecidedForAReason,
    MeetACondition,
    OnContent,
    OnContentForAReason,
    TakeBack,
    TakenBack,
)

# what people ask for


class Wanted(Command):
    """What an account is asked to be. Purpose and audience are free text, so they travel sealed."""

    secret_texts: ClassVar[tuple[str, ...]] = ("purpose", "audience")
    platform: Slug
    handle: Line
    place: Slug
    purpose: Sealed
    audience: Sealed
    administrators: tuple[PersonId, ...] = Field(max_length=50)
    posters: tuple[PersonId, ...] = Field(default=(), max_length=200)


class RequestAccount(Wanted, kind="account_creation.RequestAccount"):
    pass


class AmendRequest(Wanted, kind="account_creation.AmendRequest"):
    """The whole request as it should now read. It voids any decision and asks again."""


class ApproveAccount(OnContent, kind="account_creation.ApproveAccount"):
    secret_texts: ClassVar[tuple[str, ...]] = ("conditions.*.what",)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=50)


class AskForChanges(OnContentForAReason, kind="account_creation.AskForChanges"):
    pass


class RefuseAccount(OnContentForAReason, kind="account_creation.RefuseAccount"):
    pass


class WithdrawRequest(TakeBack, kind="account_creation.WithdrawRequest"):
    pass


class CompleteTask(Command, kind="account_creation.CompleteTask"):
    """A set-up task done by its sender. The logo's task names where the file came from and the file's own hash."""

    secret_texts: ClassVar[tuple[str, ...]] = ("note",)
    task: Slug
    logo_source: Literal["marketing_and_access_coordinator", "online_helpdesk"] | None = None
    logo_sha256: Sha256 | None = None
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=20)
    note: Sealed | None = None


class WaiveTask(Command, kind="account_creation.WaiveTask"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    task: Slug
    reason: Sealed


class MeetCondition(MeetACondition, kind="account_creation.MeetCondition"):
    pass


class ConfirmAdministration(Command, kind="account_creation.ConfirmAdministration"):
    """An administrator says: I have access to this account and take it on."""


class OpenAccount(Command, kind="account_creation.OpenAccount"):
    """Headquarters has looked at the finished page and puts it into service."""


# what happened


class OfAccount(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_1,)


class RequestFields(OfAccount):
    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_4, PR_7)
    platform: Slug
    handle: Line
    place: Slug
    purpose: Sealed
    audience: Sealed
    administrators: tuple[PersonId, ...]
    posters: tuple[PersonId, ...]
    by: PersonId


class AccountRequested(RequestFields, kind="account_creation.AccountRequested"):
    def claims(self) -> tuple[str, ...]:
        return (claim(self.platform, self.handle),)


class RequestAmended(RequestFields, kind="account_creation.RequestAmended"):
    voided: Sha256
    left_handle: str = ""

    def claims(self) -> tuple[str, ...]:
        return (claim(self.platform, self.handle),) if self.left_handle else ()

    def releases(self) -> tuple[str, ...]:
        return (self.left_handle,) if self.left_handle else ()


class AccountApproved(OfAccount, kind="account_creation.AccountApproved"):
    content: Sha256
    conditions: tuple[Condition, ...] = ()


class ChangesAsked(DecidedForAReason, OfAccount, kind="account_creation.ChangesAsked"):
    pass


class Ending(OfAccount):
    """The request comes to nothing: its handle is free again."""

    account: str

    def releases(self) -> tuple[str, ...]:
        return (self.account,)


class AccountRefused(DecidedForAReason, Ending, kind="account_creation.AccountRefused"):
    pass


class RequestWithdrawn(TakenBack, Ending, kind="account_creation.RequestWithdrawn"):
    pass


class RequestExpired(Ending, kind="account_creation.RequestExpired"):
    pass


class OfTask(OfAccount):
    task: Slug
    clause: str

    def cites(self) -> tuple[str, ...]:
        return (self.clause,)


class TaskCompleted(OfTask, kind="account_creation.TaskCompleted"):
    by: PersonId
    logo_source: str | None = None
    logo_sha256: Sha256 | None = None
    evidence: tuple[Evidence, ...] = ()
    note: Sealed | None = None


class TaskWaived(OfTask, kind="account_creation.TaskWaived"):
    by: PersonId
    reason: Sealed


class ConditionMet(OfAccount, kind="account_creation.ConditionMet"):
    condition: Slug
    by: PersonId
    note: Sealed | None = None


class AdministrationConfirmed(OfAccount, kind="account_creation.AdministrationConfirmed"):
    clauses: ClassVar[tuple[str, ...]] = (PR_7,)
    administrator: PersonId


class SetUpCompleted(OfAccount, kind="account_creation.SetUpCompleted"):
    clauses: ClassVar[tuple[str, ...]] = (PR_2, PR_3)


class AccountOpened(AccountPutInService, OfAccount, kind="account_creation.AccountOpened"):
    """The account is in service, with these administrators. Its stewardship begins here; the handle stays claimed."""

    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_2, PR_7)
    platform: Slug
    handle: Line


# names


def written(handle: str) -> str:
    """A handle as the platform shows it, without a leading @."""
    return unicodedata.normalize("NFKC", handle).strip().removeprefix("@").strip()


def claim(platform: str, handle: str) -> str:
    """The key that one account alone may hold: platforms do not tell upper from lower case in handles."""
    return f"account:{platform}:{written(handle).casefold()}"
