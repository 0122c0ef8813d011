"""What came of one comparison: held, did not hold, or could not be made here."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """`holds` is None where it was skipped; `said` is why, or what was seen."""

    name: str
    holds: bool | None
    said: str
