"""How long does `audit as-of` take with 1,000,000 events of history, measured against itself with 10,000?

Both logs have the same open things, recorded by the real ledger: cases under way, open accounts, rights. The longer one
goes on with ever more cases that were asked for and came to nothing: the events of one that the ledger recorded, in a
stream and at positions of their own, and beside them what the projection writes of such a case. As-of is asked for the
present, and for a moment in the middle of the history.
"""

from __future__ import annotations

import json
import tempfile
import time
from datetime import datetime, timedelta
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from domain.facts import Envelope
from projections.standing import Standing
from services.audit.as_of import as_of
from services.audit.reading import RECORDED_AT, newest, reading
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import compare
from tests.bench.explain import EVENTS
from tests.conftest import PASSWORDS
from tests.projections.history import Life, with_a_restart_after_each
from tests.services.rights import granted
from tests.system import Database, Office, SetClock

GOAL = 2.0
FEW, MANY, ROUNDS = 10_000, 1_000_000, 31
OPEN_CASES, OPEN_ACCOUNTS = 20, 10
STANDING = "copy views.standing (key, since, until, what, stream, process, account) from stdin"
AT_ONCE = 50_000
EACH_EVENT_LATER = timedelta(milliseconds=1)


class Log(NamedTuple):
    office: Office
    database: Database
    events: int
    begin: int

    def seconds(self, share: float) -> float:
        """For one question: `share` 1 is the present, less is so far into the history."""
        position = self.begin + round((self.events - self.begin) * share)
        with reading(self.database.url("reader")) as conn:
            at = conn.execute(RECORDED_AT, (position,)).fetchall()[0]["moment"]
        began = time.perf_counter()
        with reading(self.database.url("reader")) as conn:
            found = as_of(conn, at)["registers"]
        spent = time.perf_counter() - began
        assert len(found["cases"]) >= OPEN_CASES
        assert len(found["accounts"]) >= OPEN_ACCOUNTS
        return spent


def measure(few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o711)
        server = EmbeddedPostgreSQL(data / "bench")
        server.start()
        short, long = a_log(server, "few", few), a_log(server, "many", many)
        try:
            return [measured(short, long, rounds, share, when) for share, when in ((1.0, "now"), (0.5, "then"))]
        finally:
            short.office.close()
            long.office.close()
            server.remove()


def measured(short: Log, long: Log, rounds: int, share: float, when: str) -> dict[str, Any]:
    short.seconds(share), long.seconds(share)  # each plans its query and reads its pages once
    pairs = [each_asked_once(short, long, share, nth) for nth in range(rounds)]
    baseline, ours = (median(each) for each in zip(*pairs, strict=True))
    ratios = [one / other for other, one in pairs]
    return {
        "name": f"as_of {when}",
        "ours": round(1_000 * ours, 1),
        "baseline_name": f"the same question after {short.events} events, with the same open things",
        "baseline": round(1_000 * baseline, 1),
        "unit": "ms",
        "ratio": round(median(ratios), 3),
        "goal": GOAL,
        "holds": median(ratios) <= GOAL,
        "rounds": [round(each, 2) for each in ratios],
    }


def each_asked_once(short: Log, long: Log, share: float, nth: int) -> tuple[float, float]:
    """One right after the other, now this one first and now that, so that a machine that slows down takes no side."""
    if nth % 2:
        later = long.seconds(share)
        return short.seconds(share), later
    return short.seconds(share), long.seconds(share)


def a_log(server: EmbeddedPostgreSQL, name: str, events: int) -> Log:
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(f"create database {name}")
    database = Database(server.superuser_dsn, name, PASSWORDS)
    migrate(database.superuser, PASSWORDS)
    office = Office(database, SetClock()).founded()
    life = Life(office)
    for nth in range(OPEN_ACCOUNTS):
        granted(life, f"library{nth}", "p-bs-durant-1")
    for nth in range(OPEN_CASES):
        life.asks_for(f"open{nth}")
    pattern = a_case_that_came_to_nothing(life)
    with_a_restart_after_each(database.url("projector"), Standing, "", repeat(5_000))
    with reading(database.url("reader")) as conn:
        begin = newest(conn)
    fill(database, pattern, begin, events - begin)
    if events <= FEW:
        # what is loaded beside the log is what the projection makes of it
        assert compare(database.url("projector"), Standing) == []
    return Log(office, database, begin + (events - begin) // len(pattern) * len(pattern), begin)


def a_case_that_came_to_nothing(life: Life) -> list[Envelope]:
    case = life.asks_for("nothing")
    life.asks_for_changes(case)
    life.amends(case, "nothing2")
    life.withdraws(case)
    _, recorded = life.office.ledger.read_on(case)
    return [each.envelope for each in recorded]


def fill(database: Database, pattern: list[Envelope], begin: int, events: int) -> None:
    cases, told = events // len(pattern), [Told(each) for each in pattern]
    with psycopg.connect(database.superuser) as conn:
        moment = conn.execute("select max(recorded_at) from ledger.events").fetchone()
        assert moment is not None
        for first in range(0, cases, AT_ONCE // len(pattern)):
            last = min(cases, first + AT_ONCE // len(pattern))
            names = [f"account_creation-{uuid4()}" for _ in range(first, last)]
            with conn.cursor().copy(EVENTS.encode()) as copy:
                for nth, case in enumerate(names, start=first):
                    for position, each in enumerate(told, start=begin + nth * len(pattern) + 1):
                        copy.write_row(each.row(case, position, moment[0] + EACH_EVENT_LATER * (position - begin)))
            with conn.cursor().copy(STANDING.encode()) as copy:
                for nth, case in enumerate(names, start=first):
                    since = begin + nth * len(pattern) + 1
                    until = since + len(pattern) - 1
                    copy.write_row((case, since, until, "stream", case, "account_creation", ""))
        tracked = "update views.notification_tracking set notification_id = %s where application_name = 'standing'"
        conn.execute(tracked, (begin + cases * len(pattern),))
    with psycopg.connect(database.superuser, autocommit=True) as conn:
        conn.execute("vacuum analyze ledger.events")
        conn.execute("vacuum analyze views.standing")


class Told:
    """One recorded event, to be told again of other cases."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope, self.text = envelope, envelope.model_dump_json()

    def row(self, case: str, position: int, recorded_at: datetime) -> tuple[Any, ...]:
        e, id_ = self.envelope, str(uuid4())
        stored = self.text.replace(e.case, case).replace(e.event_id, id_).encode()
        return (
            case, e.position, e.kind, stored, position, recorded_at, id_, e.at, e.occurred_at,
            f"{e.actor.kind.value}:{e.actor.id}", e.on_behalf_of, e.role, e.place, e.channel.value, e.command_id,
            e.cause, case, e.policy, e.read_up_to, list(e.clauses), bool(e.touches),
        )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
