"""The tree in its tables: leaves under their dense index, the roots over 256 of them, and what was signed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.sql import SQL

from services.audit.package_verifier import HASH_BYTES
from services.audit.tree import WIDTH, Tree, root_over

LEAVES = SQL("select hash from proofs.leaves where index >= %s and index < %s order by index")
NODES = SQL("select hash from proofs.nodes where level = %s and nth >= %s and nth < %s order by nth")
NEWEST_LEAF = SQL("select index, log_position from proofs.leaves order by index desc limit 1")
ADD_LEAVES = SQL("copy proofs.leaves (index, log_position, hash) from stdin")
ADD_NODE = SQL("insert into proofs.nodes (level, nth, hash) values (%s, %s, %s)")
ADD_CHECKPOINT = SQL("insert into proofs.checkpoints (size, note) values (%s, %s) on conflict (size) do nothing")
CHECKPOINTS_AT_ONCE = 1_000
NEWEST_CHECKPOINT = SQL("select note from proofs.checkpoints order by size desc limit 1")
CHECKPOINTS = SQL("select size, note from proofs.checkpoints order by size")


class Leaf(NamedTuple):
    log_position: int
    hash: bytes


class ProofTables:
    def __init__(self, conn: Connection[Any]) -> None:
        self._conn = conn

    def size_and_position(self) -> tuple[int, int]:
        """How many leaves there are, and the log position of the last."""
        row = self._conn.execute(NEWEST_LEAF).fetchone()
        return (row[0] + 1, row[1]) if row else (0, 0)

    def tile(self, level: int, nth: int) -> bytes:
        begin, end = nth * WIDTH, (nth + 1) * WIDTH
        rows = (
            self._conn.execute(LEAVES, (begin, end), binary=True)
            if level == 0
            else self._conn.execute(NODES, (level, begin, end), binary=True)
        )
        return b"".join(row[0] for row in rows)

    def tree(self) -> Tree:
        return Tree(self.tile)

    def add(self, begin: int, leaves: Sequence[Leaf]) -> None:
        """In the caller's transaction; the roots over the tiles that they fill come with them."""
        with self._conn.cursor() as cursor, cursor.copy(ADD_LEAVES) as copy:
            for nth, leaf in enumerate(leaves):
                copy.write_row((begin + nth, leaf.log_position, leaf.hash))
        level, old, new = 1, begin // WIDTH, (begin + len(leaves)) // WIDTH
        while old < new:
            for nth in range(old, new):
                raw = self.tile(level - 1, nth)
                hashes = [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
                self._conn.execute(ADD_NODE, (level, nth, root_over(hashes)))
            level, old, new = level + 1, old // WIDTH, new // WIDTH

    def add_checkpoint(self, size: int, note: bytes) -> None:
        self._conn.execute(ADD_CHECKPOINT, (size, note))

    def newest_checkpoint(self) -> bytes | None:
        row = self._conn.execute(NEWEST_CHECKPOINT).fetchone()
        return bytes(row[0]) if row else None

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """Within a transaction, and not all of them at once."""
        with self._conn.cursor(name="checkpoints") as cursor:
            cursor.itersize = CHECKPOINTS_AT_ONCE
            for size, note in cursor.execute(CHECKPOINTS):
                yield size, bytes(note)
