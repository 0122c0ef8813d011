"""The Merkle tree against RFC 6962's own definitions, the certificate logs' known roots, and another implementation."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree  # type: ignore[import-untyped]  # it ships no types

from services.audit.headers import Stored, fields, header, moment
from services.audit.package_verifier import (
    EMPTY_ROOT,
    Broken,
    Checkpoint,
    header_of,
    leaf_hash,
    must_be_consistent,
    root_by_inclusion,
)
from services.audit.tree import WIDTH, Frontier, Tree, root_over, tiles_between

# the leaves and roots that the certificate logs' implementations are tried with
KNOWN_LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
KNOWN_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LARGE = 70_000


def root_by_definition(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + root_by_definition(entries[:split]) + root_by_definition(entries[split:])).digest()


class Leaves:
    """Tiles of these leaves, as they would be published."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.rows = [leaves]
        while len(self.rows[-1]) >= WIDTH:
            row = self.rows[-1]
            self.rows.append([root_over(row[at : at + WIDTH]) for at in range(0, len(row) - WIDTH + 1, WIDTH)])

    def tile(self, level: int, nth: int) -> bytes:
        return b"".join(self.rows[level][nth * WIDTH : (nth + 1) * WIDTH])


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % nth for nth in range(count)]


def a_tree(count: int) -> Tree:
    return Tree(Leaves([leaf_hash(each) for each in entries(count)]).tile)


@pytest.fixture(scope="module")
def large() -> Tree:
    return a_tree(LARGE)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_that_the_certificate_logs_know(size: int) -> None:
    frontier = Frontier()
    for each in KNOWN_LEAVES[:size]:
        frontier.add(leaf_hash(each))
    tree = Tree(Leaves([leaf_hash(each) for each in KNOWN_LEAVES]).tile)
    assert (frontier.root().hex(), tree.root(size).hex()) == (KNOWN_ROOTS[size - 1], KNOWN_ROOTS[size - 1])


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == root_by_definition([])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 255, 256, 257, 511, 512, 513])
def test_growing_and_reading_agree_with_the_definition(size: int) -> None:
    expected, frontier = root_by_definition(entries(size)), Frontier()
    for each in entries(size):
        frontier.add(leaf_hash(each))
    tree = a_tree(size)
    assert {frontier.root(), tree.root(size), tree.frontier(size).root()} == {expected}


def test_a_frontier_that_is_read_grows_as_one_that_was_kept(large: Tree) -> None:
    for size in (1, 255, 256, 300, 65_535, 65_536, 65_537, 69_999):
        frontier = large.frontier(size)
        frontier.add(large.leaf(size))
        assert frontier.root() == large.root(size + 1)
    tiles = Frontier()
    for nth in range(LARGE // WIDTH):
        tiles.add_tile(root_over([large.leaf(nth * WIDTH + each) for each in range(WIDTH)]))
    assert tiles.root() == large.root(LARGE // WIDTH * WIDTH)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_entry_is_proven_in_every_size_and_nowhere_else(large: Tree, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGE) | st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    proof, leaf = large.inclusion(index, size), large.leaf(index)
    assert root_by_inclusion(index, size, leaf, proof) == large.root(size)
    for wrong in (index - 1, index + 1, index ^ 1):
        assert not_proven(wrong, size, leaf, proof, large.root(size))
    assert not_proven(index, size, leaf_hash(b"another"), proof, large.root(size))
    assert not_proven(index, size, leaf, [*proof, leaf], large.root(size))
    assert not proof or not_proven(index, size, leaf, proof[:-1], large.root(size))


def not_proven(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    try:
        return root_by_inclusion(index, size, leaf, proof) != root
    except Broken:
        return True


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_tree_is_proven_to_begin_with_every_smaller_one(large: Tree, data: st.DataObject) -> None:
    new = data.draw(st.integers(1, LARGE) | st.integers(1, 600))
    old = data.draw(st.integers(0, new))
    before, after = (Checkpoint("log", size, large.root(size)) for size in (old, new))
    proof = large.consistency(old, new)
    must_be_consistent(before, after, proof)
    for wrong in (
        before._replace(root=leaf_hash(b"another")) if old else before._replace(size=1, root=leaf_hash(b"another")),
        before._replace(size=old + 1),
        before._replace(size=new + 1),
    ):
        with pytest.raises(Broken):
            must_be_consistent(wrong, after, proof)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 64, 100])
def test_pymerkle_makes_the_same_tree_and_the_same_proofs(size: int) -> None:
    theirs, ours = InmemoryTree(algorithm="sha256"), a_tree(size)
    for each in entries(size):
        theirs.append_entry(each)
    assert theirs.get_root() == ours.root(size)
    for index in range(size):
        path = theirs.prove_inclusion(index + 1, size).serialize()["path"]
        assert [bytes.fromhex(each) for each in path[1:]] == ours.inclusion(index, size)


def test_the_tiles_between_two_sizes_are_those_that_differ() -> None:
    names = [each.path for each in tiles_between(255, 65_537)]
    assert names[0] == "tile/0/000"
    assert "tile/0/256.p/1" in names
    assert "tile/1/000" in names
    assert names[-1] == "tile/2/000.p/1"
    assert len(names) == 256 + 1 + 1 + 1
    assert [each.path for each in tiles_between(300, 301)] == ["tile/0/001.p/45"]
    assert list(tiles_between(301, 301)) == []
    (far,) = [each.path for each in tiles_between(256 * 1_234_067, 256 * 1_234_067 + 1)]
    assert far == "tile/0/x001/x234/067.p/1"


@given(
    st.builds(
        Stored,
        case=st.text(),
        position=st.integers(1, 2**53 - 1),
        kind=st.text(),
        state=st.binary(),
        log_position=st.integers(1, 2**53 - 1),
        recorded_at=st.datetimes(timezones=st.just(UTC)),
    ),
    st.integers(0, 2**53 - 1),
)
def test_a_header_is_canonical_json_and_reads_back(event: Stored, index: int) -> None:
    raw = header(index, event)
    assert raw == rfc8785.dumps(fields(index, event))
    assert header_of(raw) == fields(index, event)


ZONES = st.sampled_from((UTC, timezone(timedelta(hours=-6)), ZoneInfo("America/Chicago"), ZoneInfo("UTC")))


@given(st.datetimes(datetime(1970, 1, 2, tzinfo=UTC).replace(tzinfo=None), timezones=ZONES))
@example(datetime(2026, 3, 2, tzinfo=UTC))
@example(datetime(2026, 3, 2, microsecond=120_000, tzinfo=UTC))
@example(datetime(2026, 3, 2, microsecond=7, tzinfo=ZoneInfo("UTC")))
def test_a_moment_is_written_in_utc_with_all_six_digits(at: datetime) -> None:
    there = at.astimezone(UTC)
    day, time = f"{there.year:04}-{there.month:02}-{there.day:02}", f"{there.hour:02}:{there.minute:02}"
    assert moment(at) == f"{day}T{time}:{there.second:02}.{there.microsecond:06}Z"


@pytest.mark.parametrize(
    ("what", "other"),
    [(b'"index":0', b'"index": 0'), (b'"index":0', b'"index":00'), (b'"index":0', b'"index":0.0'),
     (b'"index":0', b'"index":-0'), (b'"kind":"k"', b'"kind":"\\u006b"'), (b',"v":1', b',"v":1,"w":2'),
     (b',"v":1', b""), (b'"v":1}', b'"v":1}\n')],
)  # fmt: skip
def test_the_same_header_in_other_bytes_is_none(what: bytes, other: bytes) -> None:
    raw = header(0, Stored("c", 1, "k", b"", 1, datetime(2026, 3, 2, tzinfo=UTC)))
    assert what in raw
    with pytest.raises(Broken):
        header_of(raw.replace(what, other))
