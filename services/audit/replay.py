"""Do the projections still follow from the log? Each is rebuilt from event one into fresh tables and compared."""

from __future__ import annotations

from typing import Any

from services.projector import PROJECTIONS, compare


def replay(url: str) -> dict[str, Any]:
    """Per projection the rows in which the live one and the fresh one differ."""
    return {
        "projections": [
            {"name": each.name, "differences": [str(difference) for difference in compare(url, each)]}
            for each in PROJECTIONS
        ]
    }
