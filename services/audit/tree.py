"""The Merkle tree of RFC 6962 over the log's events, kept as tiles of 256 hashes (C2SP tlog-tiles).

A tile of level 0 holds leaf hashes, one of level n the roots of 256 tiles below. Whatever can hand out tiles, a table
or a folder, can prove inclusion and consistency for any size that it has.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from services.audit.package_verifier import EMPTY_ROOT, HASH_BYTES, Broken, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
TILES_IN_MEMORY = 512
SHA256 = hashlib.sha256


class TileAt(NamedTuple):
    level: int
    nth: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """As tlog-tiles names it, below the log's address."""
        return f"tile/{self.level}/{self._place}"

    @property
    def entries_path(self) -> str:
        return f"tile/entries/{self._place}"

    @property
    def _place(self) -> str:
        groups = [f"{self.nth % 1000:03}"]
        above = self.nth // 1000
        while above:
            groups.insert(0, f"x{above % 1000:03}")
            above //= 1000
        return "/".join(groups) + (f".p/{self.width}" if self.width < WIDTH else "")


def tiles_between(old: int, new: int) -> Iterator[TileAt]:
    """Every tile of a tree of `new` leaves that a tree of `old` leaves does not have in the same width."""
    level = 0
    while new:
        for nth in range(old // WIDTH, -(-new // WIDTH)):
            width = min(WIDTH, new - nth * WIDTH)
            if max(0, old - nth * WIDTH) < width:
                yield TileAt(level, nth, width)
        old, new, level = old // WIDTH, new // WIDTH, level + 1


class Frontier:
    """The roots of the whole subtrees that a tree of this size consists of, largest first: all that growing needs."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        node, left = self.size, leaf
        while node & 1:
            left = SHA256(b"\x01" + self._roots.pop() + left).digest()
            node >>= 1
        self._roots.append(left)
        self.size += 1

    def add_tile(self, root: bytes) -> None:
        """256 leaves at once, by the root over them; where the tree is whole tiles until here."""
        node = self.size // WIDTH
        while node & 1:
            root = SHA256(b"\x01" + self._roots.pop() + root).digest()
            node >>= 1
        self._roots.append(root)
        self.size += WIDTH

    def root(self) -> bytes:
        if not self._roots:
            return EMPTY_ROOT
        found = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            found = node_hash(left, found)
        return found

    def copy(self) -> Frontier:
        other = Frontier()
        other.size, other._roots = self.size, list(self._roots)
        return other


def root_over(hashes: list[bytes]) -> bytes:
    """Of a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [
            SHA256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


class Tree:
    """`tile(level, nth)`: as many hashes of that tile as there are, one after the other."""

    def __init__(self, tile: Callable[[int, int], bytes]) -> None:
        self._tile = tile
        self._known: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()

    def leaf(self, index: int) -> bytes:
        return self._whole(0, index)

    def root(self, size: int) -> bytes:
        return self._over(0, size) if size else EMPTY_ROOT

    def frontier(self, size: int) -> Frontier:
        found = Frontier()
        begin = 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                found._roots.append(self._whole(level, begin >> level))
                begin += 1 << level
        found.size = size
        return found

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path of RFC 6962, section 2.1.1."""
        if not 0 <= index < size:
            raise Broken(f"there is no entry {index} in a tree of {size}")
        path: list[bytes] = []
        begin, end = 0, size
        while end - begin > 1:
            middle = begin + largest_power_below(end - begin)
            if index < middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof of RFC 6962, section 2.1.2; empty where there is nothing to prove."""
        if not 0 <= old <= new:
            raise Broken(f"a tree of {new} cannot follow one of {old}")
        if old in (0, new):
            return []
        path: list[bytes] = []
        begin, end = 0, new
        while old != end:
            middle = begin + largest_power_below(end - begin)
            if old <= middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        if begin:
            path.append(self._over(begin, end))
        return path[::-1]

    def _over(self, begin: int, end: int) -> bytes:
        """The root over these leaves; `begin` is a multiple of the largest power of two in it."""
        width = end - begin
        if width & (width - 1) == 0:
            return self._whole(width.bit_length() - 1, begin // width)
        middle = begin + largest_power_below(width)
        return node_hash(self._over(begin, middle), self._over(middle, end))

    def _whole(self, level: int, nth: int) -> bytes:
        above, within = divmod(level, HEIGHT)
        tile, place = divmod(nth << within, WIDTH)
        rows = self._rows(above, tile, (place + (1 << within)))
        return rows[within][place >> within]

    def _rows(self, level: int, nth: int, wide: int) -> list[list[bytes]]:
        """The hashes of a tile and all that can be made of them, row by row."""
        known = self._known.get((level, nth))
        if known is None or len(known[0]) < wide:
            raw = self._tile(level, nth)
            if len(raw) < wide * HASH_BYTES:
                raise Broken(f"the tree's tile {level}/{nth} is missing or too short")
            known = self._known[level, nth] = rows_of(raw)
            if len(self._known) > TILES_IN_MEMORY:
                self._known.popitem(last=False)
        return known


def rows_of(raw: bytes) -> list[list[bytes]]:
    rows = [[raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


def largest_power_below(width: int) -> int:
    return 1 << (width - 1).bit_length() - 1
