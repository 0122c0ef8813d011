"""Does keeping proofs slow recording? The time that a recorded command takes while the notary follows, publishes and
signs, against the time without it.

Same process, same server, same commands, by turns: a notary in a process of its own is started and has caught up before
the turn with it begins, and is stopped before the next without.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from services.audit.keys import SigningKey
from services.audit.notary import Notary
from services.audit.published import Published
from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.bench.recording import PASSWORDS, Bench
from tests.system import Database

GOAL = 1.1
ROUNDS = 7
EACH = 200
CAUGHT_UP_WITHIN_SECONDS = 60.0


def measure(rounds: int = ROUNDS, each: int = EACH) -> dict[str, Any]:
    with TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "data")
        server.start()
        try:
            bench = Bench(server)
            database = Database(server.superuser_dsn, "ours", PASSWORDS)
            found = compared(bench, database, Path(folder), rounds, each)
            bench.close()
            return found
        finally:
            server.stop()
            server.remove()


def compared(bench: Bench, database: Database, folder: Path, rounds: int, each: int) -> dict[str, Any]:
    key = SigningKey.fresh().text
    took: dict[bool, list[float]] = {True: [], False: []}
    for nth in range(rounds + 1):
        for proven in (True, False) if nth % 2 else (False, True):
            if proven:
                with a_notary(database, folder, key):
                    per_second = bench.per_second("ours", 1, each)
            else:
                per_second = bench.per_second("ours", 1, each)
            if nth:
                # the first round warms everything up
                took[proven].append(1000 / per_second)
    ours, baseline = (statistics.median(took[proven]) for proven in (True, False))
    return {
        "name": "a recorded command while its proofs are kept",
        "ours": round(ours, 3),
        "baseline_name": "the same command without proof-keeping",
        "baseline": round(baseline, 3),
        "unit": "ms",
        "ratio": round(ours / baseline, 2),
        "goal": f"<= {GOAL}",
        "holds": ours / baseline <= GOAL,
        "rounds": [round(a / b, 2) for a, b in zip(took[True], took[False], strict=True)],
    }


@contextmanager
def a_notary(database: Database, folder: Path, key: str) -> Iterator[None]:
    context = get_context("spawn")
    stop = context.Event()
    process = context.Process(target=keeping, args=(database.url("notary"), folder, key, stop), daemon=True)
    process.start()
    wait_until_caught_up(database)
    signed = checkpoints(database)
    yield
    wait_until_caught_up(database)
    assert checkpoints(database) > signed, "the notary signed nothing meanwhile"
    stop.set()
    process.join()


def keeping(url: str, folder: Path, key: str, stop: Event) -> None:
    published = Published(folder / "published")
    Notary(url, SigningKey.of_text(key), published, folder / "memory").run(stop)  # type: ignore[arg-type]  # as threading's


def wait_until_caught_up(database: Database) -> None:
    deadline = time.monotonic() + CAUGHT_UP_WITHIN_SECONDS
    query = "select (select count(*) from ledger.events) = (select coalesce(max(size), 0) from proofs.checkpoints)"
    with psycopg.connect(database.superuser, autocommit=True) as conn:
        while conn.execute(query).fetchone() != (True,):
            assert time.monotonic() < deadline, "the notary does not catch up"
            time.sleep(0.1)


def checkpoints(database: Database) -> int:
    with psycopg.connect(database.superuser) as conn:
        row = conn.execute("select count(*) from proofs.checkpoints").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
