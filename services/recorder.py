"""The event store's recorder: one decision recorded in one transaction and one round trip.

Plugged into the eventsourcing library by APPLICATION_RECORDER_TOPIC. The SQL function does the checking and the
writing under the table's lock; a COMMIT whose answer was lost is simply asked again, because the command id answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from eventsourcing.persistence import InterfaceError, OperationalError, PersistenceError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Connection, Cursor
from psycopg import Error as DatabaseError
from psycopg.errors import LockNotAvailable
from psycopg.rows import DictRow, TupleRow, tuple_row
from psycopg_pool import PoolTimeout

from services.group_commit import GroupCommit

# what is raised where PostgreSQL does not answer: by the library, by the driver, by its pool
DATABASE_AWAY = (PersistenceError, DatabaseError, PoolTimeout)

ATTEMPTS = 10
WAIT_SECONDS = 0.2
# A connection that answers no more must not hold its thread for ever; what was asked is then asked on another.
CONNECTION = {
    "application_name": "imprimatur-ledger",
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    # all is asked by key; a plan that was made while the tables were empty would go through them for ever
    "options": "-c enable_seqscan=off -c jit=off",
}

RECORD = "select * from ledger.record_decision_in_events(%s::json, %b::bytea[])"
# an event is sent sooner as an argument of its own than as one of an array; a decision has rarely more than so many
FEW = 4
RECORD_FEW = [RECORD.replace("%b", f"array[{', '.join(['%b'] * events)}]") for events in range(FEW + 1)]
RECORD_TOGETHER = "select * from ledger.record_decisions_in_events(%s::json, %s::integer[], %b::bytea[])"
EVENTS = "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
STREAM_AFTER = EVENTS + "where originator_id = %s and originator_version > %s order by originator_version"
SHARED_AFTER = EVENTS + "where shared and notification_id > %s order by notification_id"
RANGE = EVENTS + "where notification_id between %s and %s order by notification_id"
HEADS = (
    EVENTS.replace("select", "select distinct on (originator_id)", 1)
    + "order by originator_id, originator_version desc"
)
# one statement, so one moment: where the command has no first answer, none of the events is its own success
READ_ON = (
    "select 1 as part, originator_id, originator_version, topic, state, notification_id, recorded_at, null::jsonb "
    "from ledger.events where originator_id = %s and originator_version > %s "
    "union all select 2, originator_id, originator_version, topic, state, notification_id, recorded_at, null "
    "from ledger.events where shared and notification_id > %s "
    "union all select 3, content_hash, first, '', '', last, null, refusal "
    "from ledger.commands where sender = %s and command_id = %s "
    "order by 1, 6"
)
ATTEMPTS_OF = (
    "select (select count(*) from ledger.events where topic = 'attempts.AttemptRefused' and actor = %(actor)s "
    "and at > %(since)s and (%(everywhere)s or originator_id = %(stream)s)) as recent, "
    "(select coalesce(max(originator_version), 0) from ledger.events where originator_id = %(stream)s) as head"
)

OWN, SHARED, FIRST_ANSWER = 1, 2, 3

T = TypeVar("T")


class Row(NamedTuple):
    """A stored event with what the database alone knows of it."""

    stream: str
    version: int
    topic: str
    state: bytes
    log_position: int
    recorded_at: datetime


class Known(NamedTuple):
    """The first answer to a command id: where its facts stand, or the refusal it got; and what it was the answer to."""

    first: int
    last: int
    refusal: dict[str, Any] | None
    content_hash: str


class NotRecorded(Exception):
    """Nothing was written. `outcome` is answered (and `known` the first answer), moved, behind or claimed."""

    def __init__(self, outcome: str, detail: str, known: Known | None = None) -> None:
        self.outcome, self.detail, self.known = outcome, detail, known
        super().__init__(f"{outcome}: {detail}")


@dataclass
class Recording:
    """What goes with the events of one decision: whose command it answers, and what it was judged on.

    `judged` is the stream that was judged, `stood_at` its last position then; `reads` are the scopes of the library
    that were looked at, as of log position `read_up_to`. When it is recorded, the database adds the rest:
    `library_changed_at` is where the library was changed before this changed it, if it did.
    """

    sender: str = ""
    command_id: str = ""
    content_hash: str = ""
    refusal: dict[str, Any] | None = None
    judged: str = ""
    stood_at: int = 0
    reads: tuple[str, ...] = ()
    read_up_to: int = 0
    first: int = 0
    last: int = 0
    recorded_at: datetime | None = None
    library_changed_at: int | None = None


class ToRecord(NamedTuple):
    """One decision, as the database is asked to record it."""

    decision: str
    states: list[bytes]

    @classmethod
    def of(cls, recording: Recording, stored_events: Sequence[StoredEvent]) -> ToRecord:
        return cls(described(recording), [event.state for event in stored_events])


class LedgerRecorder(PostgresApplicationRecorder):
    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "events") -> None:
        if isinstance(datastore.pool.kwargs, dict):
            # before the library asks anything: its first question opens the pool
            datastore.pool.kwargs.update(CONNECTION)
        super().__init__(datastore, events_table_name="events")
        self.channel_name = "ledger_events"
        self._together = GroupCommit[ToRecord, TupleRow](
            lambda group: self._asked(lambda conn: recorded_together(conn, group))
        )

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Positions in the log, or NotRecorded. `recording` goes with the events; `within` is a connection that holds
        the lock already."""
        recording: Recording = kwargs["recording"]
        asked = ToRecord.of(recording, stored_events)
        within: Connection[DictRow] | None = kwargs.get("within")
        row = recorded_together(within, [asked])[0] if within else self._together.ask(asked)
        learn(recording, row)
        return range(recording.first, recording.last + 1)

    def _asked(self, ask: Callable[[Connection[DictRow]], T], within: Connection[DictRow] | None = None) -> T:
        """What PostgreSQL answers. Asked again while it is away and after each broken connection, so only what may be
        asked twice is asked here: a COMMIT whose answer was lost may have happened."""
        if within is not None:
            return ask(within)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.datastore.get_connection() as conn:
                    return ask(conn)
            except (InterfaceError, OperationalError) as error:
                if attempt == ATTEMPTS or isinstance(error.__cause__, LockNotAvailable):
                    raise
                time.sleep(WAIT_SECONDS)
                # after a restart every connection of the pool is dead: not one attempt for each of them
                self.datastore.pool.check()
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def holding_the_lock(self) -> Iterator[Connection[DictRow]]:
        """Nothing is recorded by anyone else until this ends: what is read inside is what a decision meets."""
        with self.datastore.get_connection() as conn, conn.transaction():
            conn.execute("select ledger.hold_still()")
            yield conn

    def read_on(
        self,
        stream: str,
        after: int,
        shared_after: int,
        sender: str = "",
        command_id: str = "",
        within: Connection[DictRow] | None = None,
    ) -> tuple[list[Row], list[Row], Known | None]:
        """In one round trip and as of one moment: the stream's newer events, the library's newer events, the
        command's first answer."""
        asked = (stream, after, shared_after, sender, command_id)
        found = self._asked(lambda conn: tuples(conn).execute(READ_ON, asked, prepare=True).fetchall(), within)
        own, shared = ([Row(*row) for part, *row, _ in found if part == wanted] for wanted in (OWN, SHARED))
        known = next((Known(row[2], row[5], row[7], row[1]) for row in found if row[0] == FIRST_ANSWER), None)
        return own, shared, known

    def stream_after(self, stream: str, after: int) -> list[Row]:
        return self._rows(STREAM_AFTER, (stream, after))

    def shared_after(self, after: int) -> list[Row]:
        """Newer events that changed what decisions know of the library."""
        return self._rows(SHARED_AFTER, (after,))

    def between(self, first: int, last: int) -> list[Row]:
        return self._rows(RANGE, (first, last))

    def heads(self) -> list[Row]:
        """The newest event of every stream."""
        return self._rows(HEADS, ())

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[Row]:
        found = self._asked(lambda conn: tuples(conn).execute(query, parameters, prepare=True).fetchall())
        return [Row(*row) for row in found]

    def attempts_since(
        self, stream: str, actor: str, since: datetime, everywhere: bool, within: Connection[DictRow] | None = None
    ) -> tuple[int, int]:
        """How many refused attempts of this actor were recorded since then, on this stream or everywhere; and the
        stream's last position."""
        asked = {"stream": stream, "actor": actor, "since": since, "everywhere": everywhere}
        row = self._asked(lambda conn: conn.execute(ATTEMPTS_OF, asked).fetchone(), within)
        return (row["recent"], row["head"]) if row else (0, 0)

    def tally(
        self, case: str, sender: str, hour: datetime, count: int, within: Connection[DictRow] | None = None
    ) -> None:
        self._asked(
            lambda conn: conn.execute(
                "insert into ledger.suppressed as t values (%s, %s, %s, %s) "
                "on conflict (case_id, sender, since) do update set count = t.count + excluded.count",
                (case, sender, hour, count),
            ),
            within,
        )

    def has_tallies_before(self, hour: datetime) -> bool:
        query = "select 1 from ledger.suppressed where since < %s limit 1"
        return self._asked(lambda conn: conn.execute(query, (hour,)).fetchone()) is not None

    def take_tallies_before(self, hour: datetime, within: Connection[DictRow]) -> list[DictRow]:
        """Gone with the transaction in which they become events, and not otherwise."""
        query = "delete from ledger.suppressed where since < %s returning case_id, sender, since, count"
        return within.execute(query, (hour,)).fetchall()

    def note_evidence(self, sha256: str, size: int) -> None:
        self._asked(
            lambda conn: conn.execute(
                "insert into ledger.evidence (sha256, size) values (%s, %s) on conflict (sha256) do nothing",
                (sha256, size),
            )
        )


def tuples(conn: Connection[DictRow]) -> Cursor[TupleRow]:
    return conn.cursor(row_factory=tuple_row, binary=True)


def described(recording: Recording) -> str:
    # one argument and not eight: what is said of a decision is small, and each argument has its price
    return json.dumps(
        {
            "sender": recording.sender,
            "command_id": recording.command_id,
            "content_hash": recording.content_hash,
            "refusal": recording.refusal,
            "judged": recording.judged,
            "stood_at": recording.stood_at,
            "reads": recording.reads,
            "read_up_to": recording.read_up_to,
        }
    )


def recorded_together(conn: Connection[DictRow], group: Sequence[ToRecord]) -> list[TupleRow]:
    """The recording function's answer for each."""
    return tuples(conn).execute(*asked_together(group), prepare=True).fetchall()


def asked_together(group: Sequence[ToRecord]) -> tuple[str, Sequence[Any]]:
    """What is asked of PostgreSQL to record these in one transaction: it answers with a row for each."""
    if len(group) > 1:
        # in an array of PostgreSQL's every quotation mark of a text is escaped, at a price
        decisions = f"[{','.join(each.decision for each in group)}]"
        states = [state for each in group for state in each.states]
        return RECORD_TOGETHER, (decisions, [len(each.states) for each in group], states)
    ((decision, states),) = group
    return (RECORD_FEW[len(states)], (decision, *states)) if len(states) <= FEW else (RECORD, (decision, states))


def learn(recording: Recording, row: TupleRow) -> None:
    """Where it stands now, or NotRecorded."""
    outcome, first, last, refusal, content_hash, recorded, detail = row
    if outcome == "answered":
        known = Known(first, last, json.loads(refusal) if refusal else None, content_hash)
        raise NotRecorded(outcome, recording.command_id, known)
    if outcome != "recorded":
        raise NotRecorded(outcome, detail)
    recording.first, recording.last, recording.recorded_at = first, last, recorded
    recording.library_changed_at = int(detail) if detail else None
