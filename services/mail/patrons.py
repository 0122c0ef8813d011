"""The address of a letter to a patron: sealed in the log and in the outbox, opened when it is handed over (PR-12)."""

from __future__ import annotations

from typing import Any, Protocol

from domain.facts import Sealed
from domain.openings import Purpose
from services.ledger import SYSTEM, Ledger
from services.mail.smtp import Never
from services.openings import note_opening
from services.seal import CannotOpen, Seal

FIELD = "email"
ERASED = "erased"
NOWHERE = "patron@patron.invalid"  # in place of an address where a letter is only kept


class Addresses(Protocol):
    def of(self, case: str, sealed: dict[str, Any], sealed_in: str) -> str: ...


class SealedAddresses:
    """Each opening is on record first: by the system, to write the letter."""

    def __init__(self, ledger: Ledger, seal: Seal) -> None:
        self._ledger, self._seal = ledger, seal

    def of(self, case: str, sealed: dict[str, Any], sealed_in: str) -> str:
        """The address in clear; Never where the patron was erased."""
        note_opening(self._ledger, case, sealed, SYSTEM, Purpose.LETTER)
        try:
            return self._seal.opened(Sealed.model_validate(sealed), sealed_in, FIELD)
        except CannotOpen:
            raise Never(ERASED) from None
