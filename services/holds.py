"""The legal holds that stand, for whoever asks."""

from __future__ import annotations

from typing import Any

from services.ledger import Ledger


def holds(ledger: Ledger) -> list[dict[str, Any]]:
    """Over what, and who placed them; their reasons stay sealed."""
    return [each.model_dump(mode="json", exclude={"reason"}) for each in ledger.library().legal_holds()]
