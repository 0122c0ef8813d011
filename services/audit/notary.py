"""Keeps the log's proofs: one follower that adds each event's leaf to the tree, reads the bytes again from storage,
and signs a checkpoint only where it follows from every one it signed before.

What it signed last stands in a file beside its key, written before the checkpoint goes anywhere: a database that was
rolled back, or rewritten, meets what it once was. Then nothing is signed any more, and the log says why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL

from services.audit.headers import PAGE, Stored, events_after, header, leaf
from services.audit.keys import SigningKey, log_key
from services.audit.package_verifier import HASH_BYTES, Broken, Checkpoint, leaf_hash
from services.audit.proof_tables import Leaf, ProofTables
from services.audit.published import Published, put
from services.audit.sending import Sender, senders_of
from services.audit.tree import WIDTH, Frontier, TileAt, tiles_between
from services.settings import Settings

POLL = 1.0
# of a long backlog: so that a checkpoint never stands for more than this
SIGNED_AT_ONCE = 10 * PAGE
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 30.0
TRY_LOCK = SQL("select pg_try_advisory_lock(hashtextextended('imprimatur notary', 0))")
LISTEN = SQL("listen ledger_events")

log = logging.getLogger("imprimatur.notary")


class WillNotSign(Exception):
    """What would be signed contradicts what was: in one sentence, which."""


class Notary:
    def __init__(
        self,
        url: str,
        key: SigningKey,
        published: Published,
        memory: Path,
        every: float = POLL,
        senders: tuple[Sender, ...] = (),
    ) -> None:
        """`memory`: the file of what was signed last. `every`: seconds from one checkpoint to the next, at least."""
        self._url, self._key, self._published, self._memory = url, key, published, memory
        self._every, self._senders = every, senders

    def run(self, stop: Event) -> None:
        back_off = FIRST_BACK_OFF
        while not stop.is_set():
            try:
                with connected(self._url) as conn:
                    if has_the_lock(conn, stop):
                        conn.execute(LISTEN)
                        for _ in self.follow(conn, stop):
                            back_off = FIRST_BACK_OFF
            except (WillNotSign, Broken) as refused:
                log.error("no checkpoint is signed: %s", refused)
                put(refusal_beside(self._memory), f"{refused}\n".encode())
            except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.UndefinedTable) as error:
                log.warning("the notary lost the database (%s)", type(error).__name__)
            except Exception as error:  # whatever it is, the projections go on and this is tried again
                log.error("the notary failed: %s", type(error).__name__)
            stop.wait(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF)

    def follow(self, conn: Connection[Any], stop: Event) -> Iterator[Checkpoint | None]:
        """Signs whenever there is something new; yields after each look."""
        keeping = Keeping(conn, self._key, self._published, self._memory)
        while not stop.is_set():
            began = time.monotonic()
            keeping.catch_up()
            refusal_beside(self._memory).unlink(missing_ok=True)
            yield keeping.signed
            for sender in self._senders:
                sender.send(conn, keeping.signed, keeping.note)
            self._sleep(conn, stop, began)

    def _sleep(self, conn: Connection[Any], stop: Event, began: float) -> None:
        stop.wait(max(0.0, self._every - (time.monotonic() - began)))
        if not stop.is_set():
            for _ in conn.notifies(timeout=POLL, stop_after=1):
                pass

    def once(self) -> Checkpoint | None:
        """Everything recorded so far, signed and published; None where nothing is recorded."""
        with connected(self._url) as conn:
            has_the_lock(conn, Event())
            keeping = Keeping(conn, self._key, self._published, self._memory)
            keeping.catch_up()
            return keeping.signed


class Keeping:
    """The tree as one holder of the lock keeps it."""

    def __init__(self, conn: Connection[Any], key: SigningKey, published: Published, memory: Path) -> None:
        self._conn, self._key, self._published, self._memory = conn, key, published, memory
        self._tables = ProofTables(conn)
        self.signed: Checkpoint | None = None
        self.note = b""
        self._begin()

    # -- what was signed before

    def _begin(self) -> None:
        """From the newest of all that was ever signed, wherever it is remembered, and from nothing else."""
        for raw in (self._remembered(), self._tables.newest_checkpoint(), self._published.note()):
            if raw is not None:
                self._must_follow(self._opened(raw), raw)
        self._size, self._position = self._tables.size_and_position()
        signed_up_to = self.signed.size if self.signed else 0
        self._frontier = self._tables.tree().frontier(signed_up_to)
        self._signed_position = self._position_of(signed_up_to)
        self._published.put_key(self._key.public)
        if self.signed:
            self._tables.add_checkpoint(self.signed.size, self.note)
            self._publish()

    def _remembered(self) -> bytes | None:
        return self._memory.read_bytes() if self._memory.exists() else None

    def _opened(self, raw: bytes) -> Checkpoint:
        try:
            return Checkpoint.opened(raw, self._key.public)
        except Broken as broken:
            raise WillNotSign(f"a checkpoint that is remembered is not this key's: {broken}") from None

    def _must_follow(self, found: Checkpoint, raw: bytes) -> None:
        """The tables hold the tree of this checkpoint."""
        size, _ = self._tables.size_and_position()
        if size < found.size:
            raise WillNotSign(f"{found.size} events were signed for, and the proofs end at {size}: rolled back?")
        if self._tables.tree().root(found.size) != found.root:
            raise WillNotSign(f"the proofs no longer lead to the checkpoint of {found.size} events: rewritten?")
        if self.signed is None or found.size > self.signed.size:
            self.signed, self.note = found, raw

    def _position_of(self, size: int) -> int:
        if size == 0:
            return 0
        row = self._conn.execute("select log_position from proofs.leaves where index = %s", (size - 1,)).fetchone()
        return int(row[0]) if row else 0

    # -- what is new

    def catch_up(self) -> None:
        while page := events_after(self._conn, self._position):
            leaves = [Leaf(event.log_position, leaf(self._size + nth, event)) for nth, event in enumerate(page)]
            with self._conn.transaction():
                self._tables.add(self._size, leaves)
            self._size, self._position = self._size + len(page), page[-1].log_position
            if self._size - self._frontier.size >= SIGNED_AT_ONCE:
                self._sign(self._read_again())
        if self._size > self._frontier.size:
            self._sign(self._read_again())

    def _read_again(self) -> Frontier:
        """The tree over what storage gives back now: each event's bytes, and the leaf that is kept of it."""
        frontier, position = self._frontier.copy(), self._signed_position
        while frontier.size < self._size:
            page = events_after(self._conn, position, min(PAGE, self._size - frontier.size))
            if not page:
                raise WillNotSign(f"entry {frontier.size} of the tree is no longer in the log")
            for event in page:
                frontier.add(leaf(frontier.size, event))
            position = page[-1].log_position
        if self._tables.tree().root(frontier.size) != frontier.root():
            raise WillNotSign(
                f"between log positions {self._signed_position} and {position} the stored bytes are not those that were"
                " read first"
            )
        self._signed_position = position
        return frontier

    def _sign(self, frontier: Frontier) -> None:
        """Remembered first: what may have got out is never contradicted."""
        checkpoint = Checkpoint(self._key.public.name, frontier.size, frontier.root())
        note = self._key.sign(checkpoint.text)
        put(self._memory, note)
        self._tables.add_checkpoint(checkpoint.size, note)
        self._frontier, self.signed, self.note = frontier, checkpoint, note
        self._publish()

    # -- what others see

    def _publish(self) -> None:
        if self.signed is None:
            return
        there = self._published.checkpoint(self._key.public)
        since = there.size if there else 0
        if since > self.signed.size:
            raise WillNotSign(f"a checkpoint of {since} events is published, and {self.signed.size} were signed for")
        if since == self.signed.size:
            return
        for at in tiles_between(since, self.signed.size):
            raw = self._tables.tile(at.level, at.nth)[: at.width * HASH_BYTES]
            if at.level == 0:
                self._published.put_entries(at, self._headers(at, raw))
            self._published.put_tile(at, raw)
        self._published.put_checkpoint(self.signed.size, self.note)
        for at in tiles_between(since, self.signed.size):
            if at.width == WIDTH:
                self._published.forget_parts_of(at)

    def _headers(self, at: TileAt, hashes: bytes) -> list[bytes]:
        """Of the events under a tile; they are what the leaves say, or nothing goes out."""
        begin = at.nth * WIDTH
        events = events_after(self._conn, self._position_of(begin), at.width)
        found = [header(begin + nth, event) for nth, event in enumerate(events)]
        if b"".join(leaf_hash(each) for each in found) != hashes:
            raise WillNotSign(f"{place_between(events)} the stored bytes are not those that were signed for")
        return found


def place_between(events: list[Stored]) -> str:
    if not events:
        return "at the end of the log"
    return f"between log positions {events[0].log_position} and {events[-1].log_position}"


def connected(url: str) -> Connection[Any]:
    return psycopg.connect(url, autocommit=True, row_factory=tuple_row, connect_timeout=2)


def has_the_lock(conn: Connection[Any], stop: Event) -> bool:
    """One notary at a time; the lock goes with the connection."""
    while not stop.is_set():
        row = conn.execute(TRY_LOCK).fetchone()
        if row and row[0]:
            return True
        stop.wait(POLL)
    return False


def refusal_beside(memory: Path) -> Path:
    """Where it says why nothing is signed, for as long as that is so."""
    return memory.with_name("refused")


def memory_of(settings: Settings) -> Path:
    return settings.data / "proofs" / "last-signed"


def notary_of(settings: Settings) -> Notary:
    return Notary(
        settings.notary_url,
        log_key(settings),
        Published(settings.published_folder),
        memory_of(settings),
        settings.checkpoint_seconds,
        senders_of(settings),
    )


def run_notary(settings: Settings, stop: Event) -> None:
    """Until told to stop."""
    notary_of(settings).run(stop)
