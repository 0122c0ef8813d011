"""The event store's recorder: one decision recorded in one transaction and one round trip.

Plugged into the eventsourcing library by APPLICATION_RECORDER_TOPIC. The SQL function does the checking and the
writing under the table's lock; a COMMIT whose answer was lost is simply asked again, because the command id answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from eventsourcing.persistence import InterfaceError, OperationalError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import retry
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

# psycopg sends the smallest integer type that fits, so each argument says what it is
RECORD = (
    "select * from ledger.record_decision_in_events("
    "%s::text, %s::text, %s::text, %s::jsonb, %s::text[], %s::bigint, "
    "%s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::jsonb, "
    "%s::text[], %s::text[], %s::text[], %s::text[])"
)
STREAM_AFTER = (
    "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
    "where originator_id = %s and originator_version > %s order by originator_version"
)
SHARED_AFTER = (
    "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
    "where shared and notification_id > %s order by notification_id"
)
RANGE = (
    "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
    "where notification_id between %s and %s order by notification_id"
)
COMMAND = "select content_hash, stream, first, last, refusal from ledger.commands where sender = %s and command_id = %s"


class Row(NamedTuple):
    """A stored event with what the database alone knows of it."""

    stream: str
    version: int
    topic: str
    state: bytes
    log_position: int
    recorded_at: datetime


class Known(NamedTuple):
    """The first answer to a command id: where its facts stand, or the refusal it got."""

    content_hash: str
    stream: str
    first: int
    last: int
    refusal: dict[str, Any] | None


class NotRecorded(Exception):
    """Nothing was written: `outcome` is known, conflict, moved, behind or claimed."""

    def __init__(self, outcome: str, detail: str, known: Known | None = None) -> None:
        self.outcome, self.detail, self.known = outcome, detail, known
        super().__init__(f"{outcome}: {detail}")


@dataclass
class Recording:
    """What goes with the events of one decision: its command id, what it read, what it claims, releases, touches."""

    sender: str
    command_id: str
    content_hash: str
    reads: list[str]
    read_up_to: int
    columns: list[dict[str, Any]]
    claims: list[tuple[str, str]] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    touches: list[str] = field(default_factory=list)
    refusal: dict[str, Any] | None = None
    recorded_at: datetime | None = None


class LedgerRecorder(PostgresApplicationRecorder):
    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "events") -> None:
        super().__init__(datastore, events_table_name="events")
        self.channel_name = "ledger_events"

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Positions in the log, or NotRecorded. `recording` goes with the events; `within` is a connection that holds
        the lock already."""
        recording: Recording = kwargs["recording"]
        within: Connection[DictRow] | None = kwargs.get("within")
        if within is not None:
            return self._record(within, stored_events, recording)
        return self._record_on_a_connection_of_its_own(stored_events, recording)

    # a COMMIT whose answer was lost may have happened: asked again, the command id says so (`known`)
    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def _record_on_a_connection_of_its_own(self, events: Sequence[StoredEvent], recording: Recording) -> Sequence[int]:
        with self.datastore.get_connection() as conn:
            return self._record(conn, events, recording)

    def _record(self, conn: Connection[DictRow], events: Sequence[StoredEvent], recording: Recording) -> list[int]:
        row = conn.execute(
            RECORD,
            (
                recording.sender,
                recording.command_id,
                recording.content_hash,
                Json(recording.refusal) if recording.refusal else None,
                recording.reads,
                recording.read_up_to,
                [event.originator_id for event in events],
                [event.originator_version for event in events],
                [event.topic for event in events],
                [event.state for event in events],
                Json(recording.columns),
                [key for key, _ in recording.claims],
                [case for _, case in recording.claims],
                recording.releases,
                recording.touches,
            ),
            prepare=True,
        ).fetchone()
        if row is None:
            raise NotRecorded("nothing", "the recording function gave no answer")
        if row["outcome"] != "recorded":
            known = None
            if row["outcome"] == "known":
                known = Known(recording.content_hash, row["detail"], row["first"], row["last"], row["refusal"])
            raise NotRecorded(row["outcome"], row["detail"] or "", known)
        recording.recorded_at = row["recorded"]
        return list(range(row["first"], row["last"] + 1))

    @contextmanager
    def holding_the_lock(self) -> Iterator[Connection[DictRow]]:
        """Nothing is recorded by anyone else until this ends: what is read inside is what a decision meets."""
        with self.datastore.get_connection() as conn, conn.transaction():
            conn.execute("set local lock_timeout = '20s'")
            conn.execute("lock table ledger.events in exclusive mode")
            yield conn

    def read_on(
        self, stream: str, after: int, shared_after: int, sender: str, command_id: str, within: Connection[DictRow] | None = None
    ) -> tuple[list[Row], list[Row], Known | None]:
        """In one round trip: the stream's newer events, the library's newer events, the command's first answer."""
        if within is not None:
            return self._read_on(within, stream, after, shared_after, sender, command_id)
        with self.datastore.get_connection() as conn:
            return self._read_on(conn, stream, after, shared_after, sender, command_id)

    def _read_on(
        self, conn: Connection[DictRow], stream: str, after: int, shared_after: int, sender: str, command_id: str
    ) -> tuple[list[Row], list[Row], Known | None]:
        with conn.pipeline():
            known = conn.execute(COMMAND, (sender, command_id), prepare=True)
            shared = conn.execute(SHARED_AFTER, (shared_after,), prepare=True)
            own = conn.execute(STREAM_AFTER, (stream, after), prepare=True)
            found = known.fetchone()
            return as_rows(own.fetchall()), as_rows(shared.fetchall()), Known(**found) if found else None

    def stream_after(self, stream: str, after: int) -> list[Row]:
        return self._rows(STREAM_AFTER, (stream, after))

    def shared_after(self, after: int) -> list[Row]:
        return self._rows(SHARED_AFTER, (after,))

    def between(self, first: int, last: int) -> list[Row]:
        return self._rows(RANGE, (first, last))

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[Row]:
        with self.datastore.get_connection() as conn:
            return as_rows(conn.execute(query, parameters, prepare=True).fetchall())

    def attempts_since(self, stream: str, actor: str, since: datetime) -> tuple[int, int]:
        """How many refused attempts of this actor stand on the stream since then, and the stream's last position."""
        with self.datastore.get_connection() as conn:
            row = conn.execute(
                "select count(*) filter (where at > %s and actor = %s) as recent, "
                "coalesce(max(originator_version), 0) as last from ledger.events where originator_id = %s",
                (since, actor, stream),
            ).fetchone()
        return (row["recent"], row["last"]) if row else (0, 0)

    def tally(self, case: str, sender: str, hour: datetime, count: int) -> None:
        with self.datastore.get_connection() as conn:
            conn.execute(
                "insert into ledger.suppressed as t values (%s, %s, %s, %s) "
                "on conflict (case_id, sender, since) do update set count = t.count + excluded.count",
                (case, sender, hour, count),
            )

    def tallies_before(self, hour: datetime) -> list[DictRow]:
        with self.datastore.get_connection() as conn:
            return conn.execute("select * from ledger.suppressed where since < %s", (hour,)).fetchall()

    def forget_tally(self, case: str, sender: str, hour: datetime) -> None:
        with self.datastore.get_connection() as conn:
            conn.execute(
                "delete from ledger.suppressed where case_id = %s and sender = %s and since = %s", (case, sender, hour)
            )

    def note_evidence(self, sha256: str, size: int) -> None:
        with self.datastore.get_connection() as conn:
            conn.execute(
                "insert into ledger.evidence (sha256, size) values (%s, %s) on conflict (sha256) do nothing", (sha256, size)
            )


def as_rows(found: list[DictRow]) -> list[Row]:
    return [
        Row(
            each["originator_id"],
            each["originator_version"],
            each["topic"],
            bytes(each["state"]),
            each["notification_id"],
            each["recorded_at"],
        )
        for each in found
    ]
