"""A stretch of the library's life for the checks of an auditor, and hands that change what nobody may change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.projections.history import Life, live_at_random
from tests.services.rights import rights_and_remedies
from tests.system import Database


def live(life: Life, steps: int = 150, seed: int = 5) -> None:
    """Cases of every ending, refused attempts, rights, a leaver with all that follows."""
    live_at_random(life, steps, seed)
    life.hr_says("p-ysc", active=True)
    life.declares("p-ysc", administers=False)
    life.has_an_open_account("alwaysthere")
    rights_and_remedies(life)
    life.hr_says("p-bm-durant", active=True)
    life.asks_for("stillopen")


@contextmanager
def changed(database: Database, position: int, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """One event's stored bytes rewritten by the superuser, and put back."""
    before = stored(database, position)
    envelope = json.loads(before)
    change(envelope)
    rewrite(database, position, json.dumps(envelope, separators=(",", ":")).encode())
    try:
        yield
    finally:
        rewrite(database, position, before)


def stored(database: Database, position: int) -> bytes:
    with psycopg.connect(database.superuser) as conn:
        query = "select state from ledger.events where notification_id = %s"
        row = conn.execute(query, (position,)).fetchone()
    assert row is not None
    return bytes(row[0])


def rewrite(database: Database, position: int, state: bytes) -> None:
    with psycopg.connect(database.superuser) as conn:
        conn.execute("alter table ledger.events disable trigger all")
        conn.execute("update ledger.events set state = %s where notification_id = %s", (state, position))
        conn.execute("alter table ledger.events enable always trigger append_only_rows")
        conn.execute("alter table ledger.events enable always trigger append_only_table")


def position_of(database: Database, kind: str, nth: int = 0) -> int:
    with psycopg.connect(database.superuser) as conn:
        query = "select notification_id from ledger.events where topic = %s order by 1"
        found = conn.execute(query, (kind,)).fetchall()
    return int(found[nth][0])
