"""Everything that was ever signed or published of the log, gathered before the log is read: what it is held to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import Connection

from services.audit.package_verifier import HASH_BYTES, Broken, Checkpoint, PublicKey
from services.audit.proof_tables import ProofTables
from services.audit.published import Published
from services.audit.tree import WIDTH, Frontier, root_over

# what was signed longer ago than this and is not published yet will not be by itself
PUBLISHED_WITHIN_SECONDS = 120.0
SIGNED_AND_NOT_OUT = (
    "select size from proofs.checkpoints where size > %s"
    " and signed_at < clock_timestamp() - make_interval(secs => %s) order by size limit 1"
)


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
        self.roots: dict[int, bytes] = {}
        self._where: dict[int, str] = {}
        self._kept: set[int] = set()
        self.findings: list[Finding] = []

    def learn(self, notes: Iterable[Noted]) -> set[int]:
        found = set()
        for each in notes:
            if (size := self._learned(each)) is not None:
                found.add(size)
                if not each.ahead:
                    self._kept.add(size)
        return found

    def _learned(self, noted: Noted) -> int | None:
        try:
            found = Checkpoint.opened(noted.raw, self._key)
        except Broken as broken:
            self.findings.append(Finding(noted.where, f"this is no checkpoint of {self._key.name}: {broken}"))
            return None
        known = self.roots.setdefault(found.size, found.root)
        first = self._where.setdefault(found.size, noted.where)
        if known != found.root:
            two = f"two different trees of {found.size} events are signed, here and at {first}"
            self.findings.append(Finding(noted.where, two))
        return found.size

    def of_folder(self, published: Published) -> None:
        """Read before the tables are: what is published was in them already."""
        sizes = self.learn(Noted(str(file), raw) for file, raw in published.notes())
        newest = self.learn([Noted(str(published.folder / "checkpoint"), raw)] if (raw := published.note()) else [])
        if sizes and (not newest or max(newest) < max(sizes)):
            found = f"of {max(newest)} events" if newest else "missing"
            self.findings.append(
                Finding(
                    str(published.folder / "checkpoint"),
                    f"the newest checkpoint is {found}, and one of {max(sizes)} was signed: an old one was put back",
                )
            )
        self._published = max(sizes, default=0)

    def of_tables(self, conn: Connection[Any], published: bool) -> None:
        tables = ProofTables(conn)
        sizes = self.learn(Noted(f"proofs.checkpoints, size {size}", raw) for size, raw in tables.checkpoints())
        missing = sorted(self._kept - sizes)
        if missing:
            self.findings.append(
                Finding(
                    f"proofs.checkpoints, size {missing[0]}",
                    f"{self._where[missing[0]]} holds a checkpoint that the tables do not have: they were changed",
                )
            )
        if published:
            row = conn.execute(SIGNED_AND_NOT_OUT, (self._published, PUBLISHED_WITHIN_SECONDS)).fetchone()
            if row:
                what = f"the checkpoint of {row[0]} events was signed and is not published: an old folder was put back"
                self.findings.append(Finding("checkpoint", what))

    @property
    def largest(self) -> int:
        return max(self.roots, default=0)


class Roots:
    """The tree as it grows, held against every signed root that it passes."""

    def __init__(self, roots: dict[int, bytes]) -> None:
        self._sizes = sorted(roots, reverse=True)
        self._roots = roots
        self._frontier = Frontier()
        self.agreed = 0
        self.first_wrong = 0

    def add(self, leaves: Sequence[bytes]) -> None:
        for at in range(0, len(leaves), WIDTH):
            tile = leaves[at : at + WIDTH]
            whole = len(tile) == WIDTH and self._frontier.size % WIDTH == 0
            if whole and not (self._sizes and self._sizes[-1] < self._frontier.size + WIDTH):
                self._frontier.add_tile(root_over(list(tile)))
                self._compare()
            else:
                for leaf in tile:
                    self._frontier.add(leaf)
                    self._compare()

    def _compare(self) -> None:
        while self._sizes and self._sizes[-1] <= self._frontier.size:
            size = self._sizes.pop()
            if self.first_wrong:
                continue
            if self._frontier.root() == self._roots[size]:
                self.agreed = size
            else:
                self.first_wrong = size

    @property
    def size(self) -> int:
        return self._frontier.size

    @property
    def beyond(self) -> int:
        """The smallest signed size that the log does not reach."""
        return self._sizes[-1] if self._sizes else 0


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
