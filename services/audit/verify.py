"""Is the log whole, and is it the one that was signed? Every stored event is read again, once, in log order.

Its columns must say what its bytes say; log positions and each stream's must be without a gap; no event id may occur
twice; and the tree over the headers must lead to every checkpoint that was ever signed, wherever one lies: in the proof
tables, in the published folder, or in an auditor's own drawer. Where the published leaf hashes are at hand the first
event that differs is named; with checkpoints alone, the stretch between the last that agrees and the first that does
not. Memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg
from msgspec import DecodeError, Struct
from msgspec.json import Decoder
from psycopg import Connection
from psycopg.rows import tuple_row
from pydantic import ValidationError

from domain.facts import Envelope, Malformed, load_fact
from services.audit.divergence import what_happened
from services.audit.headers import SHA256, Stored, in_utc, written
from services.audit.occurring_twice import OccurringTwice
from services.audit.package_verifier import Broken, PublicKey
from services.audit.proof_tables import ProofTables
from services.audit.published import Published
from services.audit.signed import Finding, Noted, Roots, Signed, first_difference, leaves_published
from services.audit.tree import WIDTH

# whole tiles, so that a page begins where a tile does
PAGE = 8 * WIDTH
FINDINGS_MOST = 1_000
TEXTS = (
    "event_id", "actor", "on_behalf_of", "role", "place", "channel", "command_id", "cause", "correlation", "policy",
)  # fmt: skip
OTHERS = ("read_up_to", "clauses", "shared", "at", "occurred_at")
COLUMNS = (*TEXTS, *OTHERS)
OWN = 6
BETWEEN, BETWEEN_TEXTS = "\x1f", len(TEXTS) - 1
# the texts as one: they are compared as one, and told apart only where they differ
READ = """
    select originator_id, originator_version, topic, state, notification_id, recorded_at,
        concat_ws(E'\\x1f', event_id, actor, on_behalf_of, role, place, channel, command_id, cause, correlation,
            policy),
        read_up_to, clauses, shared, at, occurred_at
    from ledger.events where notification_id > %s order by notification_id limit %s"""
LEAVES = (
    "select coalesce(string_agg(hash, ''::bytea order by index), '') from proofs.leaves"
    " where index >= %s and index < %s"
)
BEFORE = "select notification_id from ledger.events where originator_id = %s and originator_version = %s"
# heads of streams kept in memory; beyond that the database is asked again
STREAMS_IN_MEMORY = 20_000
TWICE = """
    select notification_id, originator_id, originator_version, topic, event_id from (
        select *, row_number() over (partition by event_id order by notification_id) as nth from ledger.events
        where event_id = any (%s)) as e
    where nth > 1 order by notification_id limit %s"""


def verify(
    url: str, published: Published | None = None, key: PublicKey | None = None, notes: Iterable[Noted] = ()
) -> dict[str, Any]:
    """How many events and streams there are, up to where they are signed for, and what is wrong: an empty list of
    findings is a log in order. Without a key nothing that is signed can be checked, only the proof tables."""
    with ExitStack() as held:
        signed = held.enter_context(closing(Signed(key))) if key else None
        # before the log is looked at: what is published was in it by then
        leaves = published.leaves() if published else 0
        if signed:
            signed.learn(notes)
            if published:
                signed.of_folder(published)
        conn = held.enter_context(one_moment(url))
        if signed:
            signed.of_tables(conn, published is not None)
        reading = Reading(conn, published, leaves, signed, held.enter_context(OccurringTwice()))
        reading.through(pages(conn))
        return reading.told()


@contextmanager
def one_moment(url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(url, row_factory=tuple_row) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        conn.execute("set local timezone = 'UTC'")
        yield conn


def pages(conn: Connection[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Every event in log order."""
    after = 0
    with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        while rows := cursor.execute(READ, (after, PAGE)).fetchall():
            yield rows
            after = rows[-1][4]


class Reading:
    """One pass over the log as it stood at one moment."""

    def __init__(
        self,
        conn: Connection[Any],
        published: Published | None,
        leaves: int,
        signed: Signed | None,
        ids: OccurringTwice,
    ) -> None:
        """`leaves`: how many were published before this moment."""
        self._conn, self._published, self._leaves, self._ids = conn, published, leaves, ids
        self._covered = signed.largest if signed else 0
        self._roots = Roots(signed.by_size() if signed else iter(()))
        self._findings: list[Finding] = list(signed.findings) if signed else []
        self._differs = self._tables_differ = False
        self._heads: dict[str, int] = {}
        self.events = self.streams = 0

    def through(self, pages: Iterable[list[tuple[Any, ...]]]) -> None:
        for rows in pages:
            self._take(rows)
        self._at_the_end()

    def told(self) -> dict[str, Any]:
        findings = [*self._findings, *event_ids_twice(self._conn, self._ids)][:FINDINGS_MOST]
        return {
            "events": self.events,
            "streams": self.streams,
            "signed": self._roots.agreed,
            "findings": [each._asdict() for each in findings],
        }

    def _take(self, rows: list[tuple[Any, ...]]) -> None:
        begin, covered = self.events, self._covered
        leaves: list[bytes] = []
        heads = self._heads
        if len(heads) > STREAMS_IN_MEMORY:
            heads.clear()
        for nth, row in enumerate(rows, start=begin):
            case, position, kind, state, log_position, recorded_at, *_ = row
            header = written(nth, case, position, kind, state, log_position, in_utc(recorded_at))
            leaves.append(SHA256(b"\x00" + header).digest())
            self.streams += position == 1
            if heads.get(case, 0) != position - 1:
                self._look_for_the_one_before(row)
            heads[case] = position
            if log_position != nth + 1 or not says_what_its_bytes_say(row) or nth >= covered:
                self._look_closer(nth, row)
        self.events += len(rows)
        self._ids.learn(row[6].partition(BETWEEN)[0] for row in rows)
        self._roots.add(leaves)
        self._hold_against_the_leaves(begin, rows, leaves)

    def _look_for_the_one_before(self, row: tuple[Any, ...]) -> None:
        """Its stream's last event is not in memory, or is not the one before it."""
        if row[1] == 1:
            return
        before = self._conn.execute(BEFORE, (row[0], row[1] - 1)).fetchone()
        if before is None:
            self._findings.append(Finding(place_of(row), f"stream position {row[1] - 1} is missing before it"))
        elif before[0] >= row[4]:
            self._findings.append(Finding(place_of(row), "the event before it in its stream stands after it"))

    def _look_closer(self, nth: int, row: tuple[Any, ...]) -> None:
        place = place_of(row)
        if row[4] != nth + 1 and not any("log position" in each.what for each in self._findings):
            what = f"log position {nth + 1} was expected here: something is missing or was put in before"
            self._findings.append(Finding(place, what))
        self._findings += [Finding(place, what) for what in not_as_stored(row)]

    # -- against what was signed and published

    def _hold_against_the_leaves(self, begin: int, rows: list[tuple[Any, ...]], leaves: list[bytes]) -> None:
        if self._published and not self._differs:
            nth = first_difference(leaves, leaves_published(self._published, begin, len(leaves)))
            if nth is not None:
                self._found_what_happened(begin + nth, Stored(*rows[nth][:OWN]))
        if not self._tables_differ:
            row = self._conn.execute(LEAVES, (begin, begin + len(leaves)), binary=True).fetchone()
            nth = first_difference(leaves, row[0] if row else b"")
            if nth is not None:
                self._tables_differ = True
                what = "the proof tables hold another leaf for it: the event or the tables were changed"
                self._findings.append(Finding(place_of(rows[nth]), what))

    def _found_what_happened(self, index: int, now: Stored | None) -> None:
        assert self._published is not None  # noqa: S101  # asked for where there is one
        self._differs = True
        self._findings.insert(0, what_happened(self._conn, self._published, index, now, self._leaves))

    def _at_the_end(self) -> None:
        if self._published and not self._differs and self._leaves > self.events:
            self._found_what_happened(self.events, None)
        self._hold_against_the_roots()
        self._hold_the_tables_against_the_root()

    def _hold_against_the_roots(self) -> None:
        roots = self._roots
        if roots.first_wrong:
            self._findings.append(
                Finding(
                    f"log {roots.agreed + 1} to {roots.first_wrong}",
                    f"these events are not those that were signed for: the checkpoint of {roots.agreed} events agrees,"
                    f" the one of {roots.first_wrong} does not",
                )
            )
        elif roots.beyond:
            self._findings.append(
                Finding(
                    f"log {self.events + 1}",
                    f"rolled back: {self.events} events are here, and a checkpoint of {roots.beyond} was signed; the"
                    f" one of {roots.agreed} agrees",
                )
            )

    def _hold_the_tables_against_the_root(self) -> None:
        agreed = self._roots.agreed
        if not agreed:
            return
        tables = ProofTables(self._conn)
        try:
            size, _ = tables.size_and_position()
            same = size >= self._covered and tables.tree().root(agreed) == self._roots.agreed_root
        except Broken:
            same = False
        if not same and not self._tables_differ:
            what = f"they do not lead to the checkpoint of {agreed} events: they were changed or rolled back"
            self._findings.append(Finding("the proof tables", what))


# -- columns and bytes


class SaidBy(Struct, gc=False):
    """Of whom the stored bytes speak; here and below no more is read of them than the columns say."""

    kind: str
    id: str


class Said(Struct, gc=False):
    event_id: str
    case: str
    position: int
    at: datetime
    occurred_at: datetime
    actor: SaidBy
    on_behalf_of: str
    role: str
    place: str
    channel: str
    command_id: str
    cause: str
    correlation: str
    policy: str
    read_up_to: int
    clauses: list[str]
    touches: list[str]
    kind: str


said_in = Decoder(Said).decode


def says_what_its_bytes_say(row: tuple[Any, ...]) -> bool:
    """Quickly yes; where it is no, or not quickly told, `not_as_stored` says why."""
    try:
        said = said_in(row[3])
    except (DecodeError, UnicodeDecodeError):
        return False
    case, position, kind, _, _, _, texts, read_up_to, clauses, shared, at, occurred_at = row
    actor = said.actor
    return bool(
        texts == (
            f"{said.event_id}\x1f{actor.kind}:{actor.id}\x1f{said.on_behalf_of}\x1f{said.role}\x1f{said.place}\x1f"
            f"{said.channel}\x1f{said.command_id}\x1f{said.cause}\x1f{said.correlation}\x1f{said.policy}"
        )
        and texts.count(BETWEEN) == BETWEEN_TEXTS
        and said.case == case
        and said.position == position
        and said.kind == kind
        and said.read_up_to == read_up_to
        and said.clauses == clauses
        and bool(said.touches) is shared
        and said.at == at
        and said.occurred_at == occurred_at
    )  # fmt: skip


def not_as_stored(row: tuple[Any, ...]) -> Iterator[str]:
    """What the columns of an event say otherwise than its bytes, read as the ledger itself reads them."""
    try:
        envelope = Envelope.model_validate_json(row[3])
        load_fact(envelope.kind, envelope.fact)
    except (ValidationError, ValueError, Malformed):
        yield "the stored bytes are no event of this system"
        return
    if (envelope.case, envelope.position, envelope.kind) != row[:3]:
        yield "the stored bytes belong to another place in the log"
    said = envelope.model_dump(include=set(COLUMNS)) | {
        "actor": f"{envelope.actor.kind.value}:{envelope.actor.id}",
        "clauses": list(envelope.clauses),
        "shared": bool(envelope.touches),
    }
    texts = row[6].split(BETWEEN)
    if len(texts) != len(TEXTS):
        yield "a column holds a sign that no text of an event has"
        return
    for name, stored in zip(COLUMNS, (*texts, *row[7:]), strict=True):
        if stored != said[name]:
            yield f"the column {name} is not what the stored bytes say"


# -- ids


def event_ids_twice(conn: Connection[Any], ids: OccurringTwice) -> Iterator[Finding]:
    if found := [*dict.fromkeys(islice(ids.found(), FINDINGS_MOST))]:
        for log_position, stream, position, kind, event_id in conn.execute(TWICE, (found, FINDINGS_MOST)):
            yield Finding(f"log {log_position}, {stream} {position}, {kind}", f"the event id {event_id} occurs twice")


def place_of(row: tuple[Any, ...]) -> str:
    return f"log {row[4]}, {row[0]} {row[1]}, {row[2]}"
