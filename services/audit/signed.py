"""Everything that was ever signed or published of the log, gathered before the log is read: what it is held to.

Gathered on disk, by the size of the tree, and read from there beside the log: ever so many checkpoints take no memory.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from psycopg import Connection

from services.audit.package_verifier import EMPTY_ROOT, HASH_BYTES, LARGEST_INTEGER, Broken, Checkpoint, PublicKey
from services.audit.proof_tables import ProofTables
from services.audit.published import Published
from services.audit.tree import WIDTH, Frontier, root_over

# what was signed longer ago than this and is not published yet will not be by itself
PUBLISHED_WITHIN_SECONDS = 120.0
SIGNED_AND_NOT_OUT = (
    "select size from proofs.checkpoints where size > %s"
    " and signed_at < clock_timestamp() - make_interval(secs => %s) order by size limit 1"
)
# of a checkpoint: somebody keeps it, it is published, the tables have it
KEPT, PUBLISHED, IN_TABLES = 1, 2, 4
TABLE = """
    create table signed (
        size integer primary key, root blob not null, note blob not null unique, place text not null,
        seen integer not null)"""
ADD = "insert or ignore into signed values (?, ?, ?, ?, 0)"
SAME_BYTES = "select size from signed where note = ?"
OF_SIZE = "select root, place from signed where size = ?"
SEEN = "update signed set seen = seen | ? where size = ?"
LARGEST = "select coalesce(max(size), 0) from signed where seen & ?1 = ?1"
NOT_IN_TABLES = "select size, place from signed where seen & ? and not seen & ? order by size limit 1"
BY_SIZE = "select size, root from signed where size > 0 order by size"


class Finding(NamedTuple):
    where: str
    what: str


class Noted(NamedTuple):
    """A note and where it was found. `ahead`: where it lies before the tables have it."""

    where: str
    raw: bytes
    ahead: bool = False


class Signed:
    """Checkpoints by size, each signed by the log's key; what is wrong with the others is in `findings`."""

    def __init__(self, key: PublicKey) -> None:
        self._key = key
        # a file without a name, gone when this is closed
        self._known = sqlite3.connect("", isolation_level=None)
        self._known.execute(TABLE)
        self._known.execute("begin")
        self._published = 0
        self.findings: list[Finding] = []

    def close(self) -> None:
        self._known.close()

    def learn(self, notes: Iterable[Noted]) -> None:
        for each in notes:
            self._learned(each, 0 if each.ahead else KEPT)

    def _learned(self, noted: Noted, seen: int) -> int:
        """Of how many events it is the checkpoint; 0 where it is none of this log."""
        note = hashlib.sha256(noted.raw).digest()
        known = self._known.execute(SAME_BYTES, (note,)).fetchone()
        size = known[0] if known else self._opened(noted, note)
        if size:
            self._known.execute(SEEN, (seen, size))
        return int(size)

    def _opened(self, noted: Noted, note: bytes) -> int:
        try:
            found = Checkpoint.opened(noted.raw, self._key)
            if found.size > LARGEST_INTEGER:
                raise Broken(f"no log holds {found.size} events")
        except Broken as broken:
            self.findings.append(Finding(noted.where, f"this is no checkpoint of {self._key.name}: {broken}"))
            return 0
        self._known.execute(ADD, (found.size, found.root, note, noted.where))
        root, first = self._known.execute(OF_SIZE, (found.size,)).fetchone()
        if root != found.root:
            two = f"two different trees of {found.size} events are signed, here and at {first}"
            self.findings.append(Finding(noted.where, two))
        return found.size

    def of_folder(self, published: Published) -> None:
        """Read before the tables are: what is published was in them already."""
        newest, newest_size = published.folder / "checkpoint", 0
        for file, raw in published.notes():
            size = self._learned(Noted(str(file), raw), PUBLISHED)
            if file == newest:
                newest_size = size
        self._published = self._largest(PUBLISHED)
        if newest_size < self._published:
            found = f"of {newest_size} events" if newest_size else "missing"
            self.findings.append(
                Finding(
                    str(newest),
                    f"the newest checkpoint is {found}, and one of {self._published} was signed: an old one was put"
                    " back",
                )
            )

    def of_tables(self, conn: Connection[Any], published: bool) -> None:
        for size, raw in ProofTables(conn).checkpoints():
            self._learned(Noted(f"proofs.checkpoints, size {size}", raw), IN_TABLES)
        missing = self._known.execute(NOT_IN_TABLES, (KEPT | PUBLISHED, IN_TABLES)).fetchone()
        if missing:
            size, where = missing
            self.findings.append(
                Finding(
                    f"proofs.checkpoints, size {size}",
                    f"{where} holds a checkpoint that the tables do not have: they were changed",
                )
            )
        if published:
            row = conn.execute(SIGNED_AND_NOT_OUT, (self._published, PUBLISHED_WITHIN_SECONDS)).fetchone()
            if row:
                what = f"the checkpoint of {row[0]} events was signed and is not published: an old folder was put back"
                self.findings.append(Finding("checkpoint", what))

    @property
    def largest(self) -> int:
        return self._largest(0)

    def _largest(self, seen: int) -> int:
        return int(self._known.execute(LARGEST, (seen,)).fetchone()[0])

    def by_size(self) -> Iterator[tuple[int, bytes]]:
        """Every signed size with its root, the smallest first."""
        return self._known.execute(BY_SIZE)


class Roots:
    """The tree as it grows, held against every signed root that it passes; `signed`: those, by size."""

    def __init__(self, signed: Iterator[tuple[int, bytes]]) -> None:
        self._signed = signed
        self._next = next(signed, None)
        self._frontier = Frontier()
        self.agreed, self.agreed_root = 0, EMPTY_ROOT
        self.first_wrong = 0

    def add(self, leaves: Sequence[bytes]) -> None:
        for at in range(0, len(leaves), WIDTH):
            tile = leaves[at : at + WIDTH]
            whole = len(tile) == WIDTH and self._frontier.size % WIDTH == 0
            if whole and not (self._next and self._next[0] < self._frontier.size + WIDTH):
                self._frontier.add_tile(root_over(list(tile)))
                self._compare()
            else:
                for leaf in tile:
                    self._frontier.add(leaf)
                    self._compare()

    def _compare(self) -> None:
        while self._next and self._next[0] <= self._frontier.size:
            size, root = self._next
            self._next = next(self._signed, None)
            if self.first_wrong:
                continue
            if self._frontier.root() == root:
                self.agreed, self.agreed_root = size, root
            else:
                self.first_wrong = size

    @property
    def size(self) -> int:
        return self._frontier.size

    @property
    def beyond(self) -> int:
        """The smallest signed size that the log does not reach."""
        return self._next[0] if self._next else 0


def leaves_published(published: Published, begin: int, count: int) -> bytes:
    """The leaf hashes of these entries, as far as they are published; `begin` is where a tile begins."""
    tiles: list[bytes] = []
    for nth in range(begin // WIDTH, -(-(begin + count) // WIDTH)):
        tiles.append(published.tile(0, nth))
        if len(tiles[-1]) < WIDTH * HASH_BYTES:
            break
    return b"".join(tiles)[: count * HASH_BYTES]


def first_difference(ours: Sequence[bytes], theirs: bytes) -> int | None:
    """The place of the first hash that differs, of those that both have."""
    if b"".join(ours)[: len(theirs)] == theirs:
        return None
    for nth, hash_ in enumerate(ours):
        if theirs[nth * HASH_BYTES : (nth + 1) * HASH_BYTES] not in (hash_, b""):
            return nth
    return None
