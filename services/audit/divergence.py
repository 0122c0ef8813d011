"""What happened to the first event that is not what was published: edited, removed, moved, inserted, rolled back."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from services.audit.headers import Stored
from services.audit.package_verifier import Broken, header_of, leaf_hash, place_of
from services.audit.published import Published
from services.audit.signed import Finding

STANDS_NOW = (
    "select notification_id, topic, state from ledger.events where originator_id = %s and originator_version = %s"
)


def what_happened(conn: Connection[Any], published: Published, index: int, now: Stored | None, end: int) -> Finding:
    """`now`: what the log holds at this place, None where it ends before. `end`: how many leaves are published."""
    then = header_that_was_published(published, index)
    here = place_of_event(now) if now else f"log {index + 1}"
    if then is None:
        if now is None:
            return Finding(here, f"the log ends here and {end} events were published: it was rolled back or cut")
        return Finding(here, "this is not the event that was published at this place: edited, moved or put in")
    there = place_of(then)
    found = stands_now(conn, then["case"], then["position"])
    if found is None:
        return Finding(there, removed(index, now, end))
    log_position, kind, state = found
    if hashlib.sha256(state).hexdigest() != then["sha256"]:
        return Finding(there, "edited: the stored bytes are not those that were published")
    if (log_position, kind) == (then["log_position"], then["kind"]):
        return Finding(there, f"edited: it was recorded at {then['recorded_at']}, and another time stands there now")
    if now is not None and not was_published(published, index, now):
        return Finding(here, f"inserted: the log held {there} at this place when it was published")
    return Finding(there, f"re-ordered: it stands at log {log_position} now")


def removed(index: int, now: Stored | None, end: int) -> str:
    if now is None:
        return f"rolled back: the log ends before it, and {end - index} event(s) from here on are gone"
    return f"removed: {place_of_event(now)} stands in its place now"


def header_that_was_published(published: Published, index: int) -> dict[str, Any] | None:
    """Only where it is the header under the published leaf."""
    try:
        raw = published.entry(index)
        if raw is None or leaf_hash(raw) != published.tree().leaf(index):
            return None
        return header_of(raw)
    except Broken:
        return None


def stands_now(conn: Connection[Any], case: str, position: int) -> tuple[int, str, bytes] | None:
    with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        row = cursor.execute(STANDS_NOW, (case, position)).fetchone()
    return (int(row[0]), str(row[1]), bytes(row[2])) if row else None


def was_published(published: Published, begin: int, event: Stored) -> bool:
    """Somewhere in the log, as the same event of its stream."""
    try:
        later = (header_of(raw) for index, raw in published.entries() if index >= begin)
        return any((then["case"], then["position"]) == (event.case, event.position) for then in later)
    except Broken:
        return False


def place_of_event(event: Stored) -> str:
    return f"log {event.log_position}, {event.case} {event.position}, {event.kind}"
