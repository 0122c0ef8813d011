"""How fast is the audit trail rebuilt from event one, measured against reading and JSON-decoding the same rows?

The log is a whole account creation, recorded once by the real ledger, told again for as many cases as are asked for:
each event encoded by the real envelope and copied into the real table.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from psycopg.sql import SQL

from domain.facts import Envelope
from projections.audit_trail import AuditTrail
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import END_OF_TIME, NEXT_EVENTS, PAGE_OF_A_REBUILD, connected, drop, rebuild
from tests.conftest import PASSWORDS
from tests.projections.history import Life, a_life, newest_position
from tests.system import Database

GOAL = 0.25
EVENTS = 200_000
ROUNDS = 5
COLUMNS = (
    "originator_id", "originator_version", "topic", "state", "notification_id", "recorded_at", "event_id", "at",
    "occurred_at", "actor", "on_behalf_of", "role", "place", "channel", "command_id", "cause", "correlation", "policy",
    "read_up_to", "clauses", "shared",
)  # fmt: skip


def measure(events: int = EVENTS, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o711)
        server = EmbeddedPostgreSQL(data / "bench")
        server.start()
        try:
            database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
            migrate(database.superuser, PASSWORDS)
            fill(database, events)
            return measured(database.url("projector"), rounds)
        finally:
            server.remove()


def measured(url: str, rounds: int) -> dict[str, Any]:
    events = newest_position(url)
    ours, baseline = [], []
    for _ in range(rounds):
        ours.append(events / seconds_to_rebuild(url))
        baseline.append(events / seconds_to_read_and_decode(url))
    ratio = median(ours) / median(baseline)
    return {
        "name": "audit_trail",
        "ours": round(median(ours)),
        "baseline_name": "reading and JSON-decoding the same rows",
        "baseline": round(median(baseline)),
        "unit": "events/s",
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "holds": ratio >= GOAL,
        "rounds": rounds,
    }


def seconds_to_rebuild(url: str) -> float:
    began = time.perf_counter()
    rebuild(url, AuditTrail, "_bench")
    took = time.perf_counter() - began
    drop(url, AuditTrail, "_bench")
    return took


def seconds_to_read_and_decode(url: str) -> float:
    began, position = time.perf_counter(), 0
    with connected(url) as conn, conn.cursor(binary=True) as cursor:
        while page := cursor.execute(NEXT_EVENTS, (position, END_OF_TIME, PAGE_OF_A_REBUILD)).fetchall():
            for row in page:
                json.loads(row["state"])
            position = page[-1]["notification_id"]
    return time.perf_counter() - began


def fill(database: Database, events: int) -> None:
    with a_life(database) as life:
        pattern = one_whole_case(life)
    begin = newest_position(database.superuser)
    statement = SQL("copy ledger.events ({}) from stdin").format(SQL(", ".join(COLUMNS)))
    with connected(database.superuser) as conn, conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in retold(pattern, begin, events - begin):
            copy.write_row(row)
    with connected(database.superuser) as conn:
        conn.execute("vacuum (analyze) ledger.events")


def one_whole_case(life: Life) -> list[Envelope]:
    """A request, an approval and everything until the account is open, with free texts of a usual length, sealed."""
    text = "So that families hear of story times, closures and new books where they already look. " * 4
    sealed = life.office.seal.text(text, "x", str(uuid4()), "purpose")
    case = life.has_an_open_account("pattern", purpose=sealed, audience=sealed)
    _, recorded = life.office.ledger.read_on(case)
    return [each.envelope for each in recorded]


def retold(pattern: list[Envelope], begin: int, events: int) -> Iterator[tuple[Any, ...]]:
    case, at = "", datetime.now().astimezone()
    for nth in range(events):
        told = nth % len(pattern)
        if told == 0:
            case, handle = f"account_creation-{uuid4()}", f"branch{nth}"
        envelope = in_another_case(pattern[told], case, handle)
        state = envelope.model_dump_json().encode()
        yield (case, envelope.position, envelope.kind, state, begin + nth + 1, at, *searched(envelope))


def searched(envelope: Envelope) -> list[Any]:
    """The columns that the ledger copies out of the stored bytes."""
    actor = f"{envelope.actor.kind}:{envelope.actor.id}"
    found = envelope.model_dump(include=set(COLUMNS)) | {"actor": actor, "shared": bool(envelope.touches)}
    return [list(value) if isinstance(value := found[name], tuple) else value for name in COLUMNS[6:]]


def in_another_case(envelope: Envelope, case: str, handle: str) -> Envelope:
    def retitled(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(envelope.case, case).replace("pattern", handle))

    claims, releases, touches = (
        tuple(retitled(each)) for each in (envelope.claims, envelope.releases, envelope.touches)
    )
    return envelope.model_copy(
        update={
            "case": case,
            "correlation": case,
            "event_id": str(uuid4()),
            "command_id": str(uuid4()),
            "claims": claims,
            "releases": releases,
            "touches": touches,
            "fact": retitled(envelope.fact),
            "command": retitled(envelope.command),
        }
    )


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
