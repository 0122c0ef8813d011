"""Does keeping proofs slow recording? The time that a recorded command takes while the notary follows, publishes and
signs, against the time without it.

Same process, same server, same commands, by turns: a notary in a process of its own has caught up before the turn with
it begins, and has stopped before the next without. Each turn is a second or more, in which it signs; turns are compared
with their neighbours, first the one before and then the one after, so that a machine that slows down takes no side.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg

from services.audit.keys import SigningKey
from services.audit.notary import Notary
from services.audit.published import Published
from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.bench.recording import PASSWORDS, Side, Writers, installation
from tests.system import Database

GOAL = 1.1
ROUNDS = 16
EACH = 250
CAUGHT_UP_WITHIN_SECONDS = 60.0


def measure(rounds: int = ROUNDS, each: int = EACH) -> dict[str, Any]:
    with TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "data")
        server.start()
        try:
            with installation(server) as at:
                writer, database = Writers(at, 1, 1), Database(server.superuser_dsn, "ours", PASSWORDS)
                found = compared(writer, database, Path(folder), rounds, each)
                writer.close()
                return found
        finally:
            server.stop()
            server.remove()


def compared(writer: Writers, database: Database, folder: Path, rounds: int, each: int) -> dict[str, Any]:
    took: dict[bool, list[float]] = {True: [], False: []}
    with a_notary(database, folder) as keeping:
        for nth in range(rounds + 1):
            for proven in (True, False) if nth % 2 else (False, True):
                with keeping.proofs() if proven else nullcontext():
                    per_second = writer.per_second(Side.OURS, each)
                if nth:
                    # the first round warms everything up
                    took[proven].append(1000 / per_second)
    ours, baseline = (statistics.median(took[proven]) for proven in (True, False))
    ratios = [a / b for a, b in zip(took[True], took[False], strict=True)]
    ratio = statistics.median(ratios)
    return {
        "name": "a recorded command while its proofs are kept",
        "ours": round(ours, 3),
        "baseline_name": "the same command without proof-keeping",
        "baseline": round(baseline, 3),
        "unit": "ms",
        "ratio": round(ratio, 2),
        "goal": f"<= {GOAL}",
        "holds": ratio <= GOAL,
        "rounds": [round(each, 2) for each in ratios],
    }


class Signals(NamedTuple):
    """`go`: keep proofs until `halt`; `idle`: none are kept; `over`: the process ends."""

    go: Event
    halt: Event
    idle: Event
    over: Event


class Keeping:
    def __init__(self, database: Database, signals: Signals) -> None:
        self._database, self._signals = database, signals

    @contextmanager
    def proofs(self) -> Iterator[None]:
        signals = self._signals
        signals.halt.clear()
        signals.idle.clear()
        signals.go.set()
        wait_until_caught_up(self._database)
        signed = checkpoints(self._database)
        yield
        wait_until_caught_up(self._database)
        assert checkpoints(self._database) > signed, "the notary signed nothing meanwhile"
        signals.go.clear()
        signals.halt.set()
        assert signals.idle.wait(CAUGHT_UP_WITHIN_SECONDS), "the notary does not stop"


@contextmanager
def a_notary(database: Database, folder: Path) -> Iterator[Keeping]:
    context = get_context("spawn")
    signals = Signals(*(context.Event() for _ in Signals._fields))
    process = context.Process(target=keeping, args=(database.url("notary"), folder, signals), daemon=True)
    process.start()
    try:
        yield Keeping(database, signals)
    finally:
        signals.over.set()
        signals.halt.set()
        signals.go.set()
        process.join()


def keeping(url: str, folder: Path, signals: Signals) -> None:
    notary = Notary(url, SigningKey.fresh(), Published(folder / "published"), folder / "memory")
    while signals.go.wait() and not signals.over.is_set():
        notary.run(signals.halt)  # type: ignore[arg-type]  # as threading's
        signals.idle.set()


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
