"""How fast is `audit verify` on a million events, and does its memory grow with the log?

Against reading the same rows in the same order, as whole as the leaves need them, and taking SHA-256 of each one's
bytes, in one process. The log is copied into the real table through the real envelope's encoder, and signed, tiled and
published by the real notary. Each measurement runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL

from services.audit.headers import NEXT
from services.audit.keys import SigningKey
from services.audit.notary import Notary
from services.audit.package_verifier import PublicKey
from services.audit.published import Published
from services.audit.verify import PAGE, verify
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import connected
from tests.bench.audit_trail import COLUMNS, one_whole_case, retold
from tests.conftest import PASSWORDS
from tests.projections.history import a_life, newest_position
from tests.system import Database

GOAL = 0.25
MOST_MEMORY = 1.1
EVENTS = int(os.environ.get("VERIFY_EVENTS", "1000000"))
ROUNDS = 3
KILOBYTES_IN_A_MEGABYTE = 1024


class Took(NamedTuple):
    seconds: float
    megabytes: float
    events: int


class At(NamedTuple):
    url: str
    published: Path
    key: str


def measure(events: int = EVENTS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "data")
        server.start()
        try:
            database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
            migrate(database.superuser, PASSWORDS)
            return measured(database, Path(folder), events, rounds)
        finally:
            server.stop()
            server.remove()


def measured(database: Database, folder: Path, events: int, rounds: int) -> list[dict[str, Any]]:
    key = SigningKey.fresh()
    published = Published(folder / "published")
    notary = Notary(database.url("notary"), key, published, folder / "memory")
    at = At(database.url("reader"), published.folder, key.public.text)
    with a_life(database) as life:
        pattern = one_whole_case(life)
    sizes = events // 10, events
    smaller = None
    for size in sizes:
        fill(database, pattern, size)
        notary.once()
        smaller = smaller or alone(ours, at)
    # the first of each reads what PostgreSQL has not read yet
    alone(ours, at), alone(baseline, at)
    runs = [one_after_the_other(at, nth) for nth in range(rounds)]
    return [fast_enough(runs), small_enough(smaller, runs[-1][0])]


def one_after_the_other(at: At, nth: int) -> tuple[Took, Took]:
    """Now this one first and now that, so that a machine that slows down takes no side."""
    if nth % 2:
        theirs = alone(baseline, at)
        return alone(ours, at), theirs
    return alone(ours, at), alone(baseline, at)


def fill(database: Database, pattern: list[Any], events: int) -> None:
    begin = newest_position(database.superuser)
    statement = SQL("copy ledger.events ({}) from stdin").format(SQL(", ").join(SQL(each) for each in COLUMNS))
    with connected(database.superuser) as conn, conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in retold(pattern, begin, events - begin):
            copy.write_row(row)
    with connected(database.superuser) as conn:
        conn.execute("vacuum (analyze) ledger.events")


def alone(work: Callable[[At, Connection], None], at: At) -> Took:
    """In a process that has done nothing else."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(at, there), daemon=True)
    process.start()
    took: Took = here.recv()
    process.join()
    return took


def ours(at: At, pipe: Connection) -> None:
    began = time.perf_counter()
    found = verify(at.url, Published(at.published), PublicKey.of_text(at.key))
    took = time.perf_counter() - began
    assert found["findings"] == [], found["findings"][:3]
    assert found["signed"] == found["events"]
    pipe.send(Took(took, most_megabytes(), found["events"]))


def baseline(at: At, pipe: Connection) -> None:
    began, position, events = time.perf_counter(), 0, 0
    with psycopg.connect(at.url) as conn, conn.cursor(binary=True) as cursor:
        while page := cursor.execute(NEXT, (position, PAGE)).fetchall():
            for row in page:
                hashlib.sha256(row[3]).digest()
            position, events = page[-1][4], events + len(page)
    pipe.send(Took(time.perf_counter() - began, most_megabytes(), events))


def most_megabytes() -> float:
    """Of this process alone; what `getrusage` tells begins with what the process had that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / KILOBYTES_IN_A_MEGABYTE


def fast_enough(runs: list[tuple[Took, Took]]) -> dict[str, Any]:
    mine, theirs = (median(each[side].events / each[side].seconds for each in runs) for side in (0, 1))
    ratios = [b.seconds / a.seconds for a, b in runs]
    return {
        "name": f"audit verify of {runs[0][0].events:,} events",
        "ours": round(mine),
        "baseline_name": "reading and SHA-256 of the same rows, one process",
        "baseline": round(theirs),
        "unit": "events/s",
        "ratio": round(median(ratios), 3),
        "goal": f">= {GOAL}",
        "holds": median(ratios) >= GOAL,
        "rounds": [round(each, 3) for each in ratios],
    }


def small_enough(smaller: Took | None, larger: Took) -> dict[str, Any]:
    assert smaller is not None
    return {
        "name": f"memory of audit verify, {larger.events:,} events",
        "ours": round(larger.megabytes, 1),
        "baseline_name": f"its memory with {smaller.events:,} events",
        "baseline": round(smaller.megabytes, 1),
        "unit": "MB at most",
        "ratio": round(larger.megabytes / smaller.megabytes, 2),
        "goal": f"<= {MOST_MEMORY}",
        "holds": larger.megabytes / smaller.megabytes <= MOST_MEMORY,
        "rounds": 1,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
