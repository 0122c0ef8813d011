"""Times as people give them."""

from __future__ import annotations

from datetime import datetime

from domain.facts import Malformed


def moment(given: str | None, name: str = "--at") -> datetime | None:
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise Malformed(name, f"{given} is no time", "RFC 3339, such as 2026-03-02T09:00:00-06:00") from None
    if at.tzinfo is None:
        raise Malformed(name, f"{given} has no time zone", f"{given}Z or {given}-06:00")
    return at
