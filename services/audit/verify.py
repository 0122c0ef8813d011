"""Is the log whole? Every stored event is read again: log positions without a gap and in order, each stream from 1
without a gap, event ids that occur once, and columns that say what the stored bytes say.

This finds what is missing, doubled or out of place. That nothing was rewritten as a whole is what signed checkpoints
over a Merkle tree will prove; they come with the audit process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from pydantic import ValidationError

from domain.facts import Envelope, load_fact
from services.ledger import columns_of

ROWS_AT_ONCE = 2_000
FINDINGS_MOST = 1_000
READ = "select * from ledger.events order by notification_id"
MOMENTS = ("at", "occurred_at")


def verify(url: str) -> dict[str, Any]:
    """How many events and streams there are, and what is wrong: an empty list of findings is a log in order."""
    heads: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    findings: list[dict[str, Any]] = []
    events = 0
    with psycopg.connect(url, row_factory=dict_row) as conn, conn.cursor(name="every_event") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        for row in cursor.execute(READ):
            events += 1
            wrong = [*out_of_place(row, events, heads), *not_as_stored(row, seen)]
            findings.extend({"where": place_of(row), "what": what} for what in wrong[: FINDINGS_MOST - len(findings)])
            heads[row["originator_id"]] = row["originator_version"]
    return {"events": events, "streams": len(heads), "findings": findings}


def out_of_place(row: DictRow, nth: int, heads: dict[str, int]) -> Iterator[str]:
    if row["notification_id"] != nth:
        yield f"log position {nth} was expected here: something is missing or was put in before"
    if row["originator_version"] != heads[row["originator_id"]] + 1:
        yield f"stream position {heads[row['originator_id']] + 1} was expected"


def not_as_stored(row: DictRow, seen: set[str]) -> Iterator[str]:
    try:
        envelope = Envelope.model_validate_json(bytes(row["state"]))
        load_fact(envelope.kind, envelope.fact)
    except (ValidationError, ValueError):
        yield "the stored bytes are no event of this system"
        return
    if envelope.event_id in seen:
        yield f"the event id {envelope.event_id} occurs twice"
    seen.add(envelope.event_id)
    if (envelope.case, envelope.position, envelope.kind) != (
        row["originator_id"],
        row["originator_version"],
        row["topic"],
    ):
        yield "the stored bytes belong to another place in the log"
    for name, stored in columns_of(envelope).items():
        if name in MOMENTS:
            same = row[name] == getattr(envelope, name)
        else:
            same = row[name] == stored
        if not same:
            yield f"the column {name} is not what the stored bytes say"


def place_of(row: DictRow) -> str:
    return f"log {row['notification_id']}, {row['originator_id']} {row['originator_version']}, {row['topic']}"
