"""How long does `explain posting` take at 100,000 events, measured against itself at 1,000?

Both logs begin with the same founding, account and right, recorded by the real ledger; the longer one goes on with the
rights of ever more people, each event with the rows that the recording function writes beside it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from domain.facts import Envelope
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.explaining import explained
from tests.conftest import PASSWORDS
from tests.projections.history import Life
from tests.services.rights import HOLDER, granted
from tests.system import Database, Office, SetClock

GOAL = 1.5
FEW, MANY, ROUNDS, ASKED_EACH_ROUND = 1_000, 100_000, 9, 20
ACCOUNT = "facebook:durantlibrary"
EVENTS = (
    "copy ledger.events (originator_id, originator_version, topic, state, notification_id, recorded_at, event_id, at, "
    "occurred_at, actor, on_behalf_of, role, place, channel, command_id, cause, correlation, policy, read_up_to, "
    "clauses, shared) from stdin"
)
COMMANDS = "copy ledger.commands (sender, command_id, content_hash, stream, first, last) from stdin"
SCOPES = "copy ledger.scopes (scope, position) from stdin"


class Log(NamedTuple):
    office: Office
    events: int

    def seconds(self) -> float:
        """For one question, with everything that a door does for it."""
        recorder, now = self.office.ledger.recorder, self.office.clock.now()
        began = time.perf_counter()
        for _ in range(ASKED_EACH_ROUND):
            assert explained(recorder, HOLDER, ACCOUNT, now, None)["may"]
        return (time.perf_counter() - began) / ASKED_EACH_ROUND


def measure(few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o711)
        server = EmbeddedPostgreSQL(data / "bench")
        server.start()
        short, long = a_log(server, "few", few), a_log(server, "many", many)
        try:
            return measured(short, long, rounds)
        finally:
            short.office.close()
            long.office.close()
            server.remove()


def measured(short: Log, long: Log, rounds: int) -> dict[str, Any]:
    short.seconds(), long.seconds()  # each plans its query and reads its pages once
    pairs = [(short.seconds(), long.seconds()) for _ in range(rounds)]
    baseline, ours = (median(each) for each in zip(*pairs, strict=True))
    return {
        "name": "explain",
        "ours": round(1_000 * ours, 2),
        "baseline_name": f"the same question in a log of {short.events} events",
        "baseline": round(1_000 * baseline, 2),
        "unit": "ms",
        "ratio": round(ours / baseline, 3),
        "goal": GOAL,
        "holds": ours / baseline <= GOAL,
        "rounds": rounds,
    }


def a_log(server: EmbeddedPostgreSQL, name: str, events: int) -> Log:
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(f"create database {name}")
    database = Database(server.superuser_dsn, name, PASSWORDS)
    migrate(database.superuser, PASSWORDS)
    office = Office(database, SetClock()).founded()
    life = Life(office)
    case = granted(life, "durantlibrary")
    _, recorded = office.ledger.read_on(case)
    begin = office.ledger.recorder.max_notification_id() or 0
    fill(database, [each.envelope for each in recorded], begin, events - begin)
    return Log(office, events)


def fill(database: Database, pattern: list[Envelope], begin: int, events: int) -> None:
    told = list(retold(pattern, begin, events))
    with psycopg.connect(database.superuser) as conn, conn.cursor() as cursor:
        for statement, rows in (
            (EVENTS, map(event_row, told)),
            (COMMANDS, map(command_row, told)),
            (SCOPES, (row for each in told for row in scope_rows(each))),
        ):
            with cursor.copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
    with psycopg.connect(database.superuser, autocommit=True) as conn:
        conn.execute("vacuum (analyze)")


def retold(pattern: list[Envelope], begin: int, events: int) -> Iterator[tuple[int, Envelope]]:
    """The same right, for somebody else each time."""
    case, holder = "", ""
    for nth in range(events):
        if nth % len(pattern) == 0:
            case, holder = f"posting_rights-{uuid4()}", f"p-other-{nth}"
        envelope = pattern[nth % len(pattern)]
        text = envelope.model_dump_json().replace(envelope.case, case).replace(HOLDER, holder)
        ids = {"event_id": str(uuid4()), "command_id": str(uuid4())}
        yield begin + nth + 1, Envelope.model_validate_json(text).model_copy(update=ids)


def event_row(told: tuple[int, Envelope]) -> tuple[Any, ...]:
    position, e = told
    sender = f"{e.actor.kind.value}:{e.actor.id}"
    return (
        e.case, e.position, e.kind, e.model_dump_json().encode(), position, e.at, e.event_id, e.at, e.occurred_at,
        sender, e.on_behalf_of, e.role, e.place, e.channel.value, e.command_id, e.cause, e.correlation, e.policy,
        e.read_up_to, list(e.clauses), bool(e.touches),
    )  # fmt: skip


def command_row(told: tuple[int, Envelope]) -> tuple[Any, ...]:
    position, e = told
    return f"{e.actor.kind.value}:{e.actor.id}", e.command_id, "0" * 64, e.case, position, position


def scope_rows(told: tuple[int, Envelope]) -> list[tuple[str, int]]:
    position, e = told
    return [(scope, position) for scope in dict.fromkeys(e.touches)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
