"""What is said about forgetting a patron (PR-12): what people and the system ask for, and what happened."""

from __future__ import annotations

from enum import StrEnum, auto
from typing import ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_12
from domain.facts import Command, Fact, Line, PatronId, PersonId, Sealed, Sha256, Value
from domain.in_force import PatronForgotten
from domain.requests import OnContent, OnContentForAReason


class AskedBy(StrEnum):
    PATRON = auto()
    GUARDIAN = auto()
    LIBRARY = auto()


class Trace(Value):
    """A case in which something is sealed under the patron's key."""

    case: Line
    open: bool
    account: str = Field(default="", max_length=200)
    newest: AwareDatetime


# what people and the system ask for


class AskErasure(Command, kind="erasure.AskErasure"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    concerns: ClassVar[tuple[str, ...]] = ("patron",)
    patron: PatronId
    asked_by: AskedBy
    reason: Sealed


class ReportWhatStands(Command, kind="erasure.ReportWhatStands"):
    """The system's own: where the log has something of this patron."""

    traces: tuple[Trace, ...] = Field(default=(), max_length=100_000)


class LookAgain(Command, kind="erasure.LookAgain"):
    """Whoever asked, or headquarters: what stood against it may have ended."""


class AgreeToErase(OnContent, kind="erasure.AgreeToErase"):
    pass


class RefuseErasure(OnContentForAReason, kind="erasure.RefuseErasure"):
    pass


class WithdrawErasure(Command, kind="erasure.WithdrawErasure"):
    pass


class RecordDestruction(Command, kind="erasure.RecordDestruction"):
    """The system's own: the key is gone, and these are the key-encryption keys before and after."""

    kek_before: Line
    kek_after: Line
    survivors: int = Field(ge=0)


# what happened


class OfErasure(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)


class ErasureAsked(OfErasure, kind="erasure.ErasureAsked"):
    patron: PatronId
    asked_by: AskedBy
    reason: Sealed
    by: PersonId

    def claims(self) -> tuple[str, ...]:
        return (claim(self.patron),)


class WhatStandsLookedAt(OfErasure, kind="erasure.WhatStandsLookedAt"):
    """Nothing stands against it; it would reach into these cases."""

    cases: tuple[str, ...]
    accounts: tuple[str, ...]


class ErasureHeld(OfErasure, kind="erasure.ErasureHeld"):
    """What stands against it: legal holds, open cases, or a term until which the record is kept."""

    cases: tuple[str, ...]
    accounts: tuple[str, ...]
    holds: tuple[str, ...]
    open_cases: tuple[str, ...]
    kept_until: AwareDatetime | None


class LookedForAgain(OfErasure, kind="erasure.LookedForAgain"):
    pass


class ErasureAgreed(OfErasure, kind="erasure.ErasureAgreed"):
    by: PersonId
    nth: int
    content: Sha256


class CameToNothing(OfErasure):
    patron: PatronId

    def releases(self) -> tuple[str, ...]:
        return (claim(self.patron),)


class ErasureRefused(CameToNothing, kind="erasure.ErasureRefused"):
    reason: Sealed
    by: PersonId


class ErasureWithdrawn(CameToNothing, kind="erasure.ErasureWithdrawn"):
    by: PersonId


class ErasureExpired(CameToNothing, kind="erasure.ErasureExpired"):
    pass


class DestructionBegun(OfErasure, kind="erasure.DestructionBegun"):
    """From here on there is no way back."""

    patron: PatronId
    by: tuple[PersonId, ...]


class PatronErased(PatronForgotten, kind="erasure.PatronErased"):
    """The proof: the patron's wrapping key is left out where all others were wrapped anew, and the key-encryption key
    that had wrapped it is written over. `kek_after` is the one of that moment."""

    kek_before: Line
    kek_after: Line
    survivors: int
    agreed_by: tuple[PersonId, ...]

    def releases(self) -> tuple[str, ...]:
        return (claim(self.patron),)


def claim(patron: str) -> str:
    return f"erasure:{patron}"
