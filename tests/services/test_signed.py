"""Checkpoints gathered from everywhere: each is held against the tree once, and ever so many take no memory."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.keys import SigningKey
from services.audit.occurring_twice import OccurringTwice
from services.audit.package_verifier import LARGEST_INTEGER, Checkpoint
from services.audit.published import Published
from services.audit.signed import Noted, Roots, Signed
from services.audit.tree import Frontier

KEY = SigningKey.fresh()
FEW, MANY = 200, 2_000


def leaf(nth: int) -> bytes:
    return hashlib.sha256(str(nth).encode()).digest()


def leaves(count: int) -> list[bytes]:
    return [leaf(nth) for nth in range(count)]


def notes(count: int) -> Iterator[tuple[int, bytes]]:
    """Of every size of one growing log."""
    frontier = Frontier()
    for size in range(1, count + 1):
        frontier.add(leaf(size - 1))
        yield size, KEY.sign(Checkpoint(KEY.public.name, size, frontier.root()).text)


def mailed(count: int) -> Iterator[Noted]:
    yield from (Noted(f"mail {size}", note) for size, note in notes(count))


def a_note(size: int, root: bytes, key: SigningKey = KEY) -> bytes:
    return key.sign(Checkpoint(key.public.name, size, root).text)


def held(count: int) -> int:
    """Blocks of memory that are held once so many checkpoints are gathered and the log that they are of has passed."""
    gc.collect()
    before = sys.getallocatedblocks()
    with closing(Signed(KEY.public)) as signed:
        signed.learn(mailed(count))
        roots = Roots(signed.by_size())
        for nth in range(count):
            roots.add([leaf(nth)])
        assert (signed.findings, roots.agreed, roots.first_wrong, roots.beyond) == ([], count, 0, 0)
        gc.collect()
        return sys.getallocatedblocks() - before


def test_ten_times_as_many_checkpoints_take_no_more_memory() -> None:
    held(FEW)
    assert held(MANY) < held(FEW) + (MANY - FEW) / 2


@pytest.mark.parametrize("wrong", [1, 255, 256, 257, 300])
def test_the_first_root_that_differs_is_named_with_the_last_that_agrees(wrong: int) -> None:
    with closing(Signed(KEY.public)) as signed:
        others = (Noted("mail", a_note(size, bytes(32))) if size == wrong else Noted("mail", note)
                  for size, note in notes(300))  # fmt: skip
        signed.learn(others)
        roots = Roots(signed.by_size())
        roots.add(leaves(300))
        assert (roots.first_wrong, roots.agreed) == (wrong, wrong - 1)


def test_a_checkpoint_beyond_the_end_of_the_log_is_left_over() -> None:
    with closing(Signed(KEY.public)) as signed:
        signed.learn(mailed(20))
        roots = Roots(signed.by_size())
        roots.add(leaves(12))
        assert (roots.agreed, roots.beyond) == (12, 13)


def test_two_trees_of_one_size_and_notes_that_are_none_are_findings() -> None:
    with closing(Signed(KEY.public)) as signed:
        signed.learn([
            Noted("first", a_note(3, bytes(32))), Noted("again", a_note(3, bytes(32))),
            Noted("second", a_note(3, b"\1" * 32)), Noted("forged", a_note(3, bytes(32), SigningKey.fresh())),
            Noted("nonsense", b"\xff"), Noted("huge", a_note(LARGEST_INTEGER + 1, bytes(32))),
        ])  # fmt: skip
        assert [(each.where, each.what.partition(":")[0]) for each in signed.findings] == [
            ("second", "two different trees of 3 events are signed, here and at first"),
            *((where, f"this is no checkpoint of {KEY.public.name}") for where in ("forged", "nonsense", "huge")),
        ]
        assert signed.largest == 3


def test_a_published_checkpoint_older_than_its_fellows_was_put_back(tmp_path: Path) -> None:
    published = Published(tmp_path)
    for size, note in notes(5):
        published.put_checkpoint(size, note)
    (tmp_path / "checkpoint").write_bytes((tmp_path / "checkpoints" / f"{3:012}").read_bytes())
    with closing(Signed(KEY.public)) as signed:
        signed.of_folder(published)
        (finding,) = signed.findings
    assert finding.where == str(tmp_path / "checkpoint")
    assert "is of 3 events, and one of 5 was signed" in finding.what


# ids


@given(st.lists(st.lists(st.text(max_size=4), max_size=20), max_size=5), st.integers(1, 1 << 20))
def test_what_occurs_twice_is_found_however_little_is_looked_at_at_once(pages: list[list[str]], at_once: int) -> None:
    with OccurringTwice(at_once) as ids:
        for page in pages:
            ids.learn(page)
        times = Counter(each for page in pages for each in page)
        assert Counter(ids.found()) == {each: count - 1 for each, count in times.items() if count > 1}


def test_ids_that_begin_in_many_ways_are_looked_at_as_closely() -> None:
    with OccurringTwice() as ids:
        ids.learn(f"{nth:04}" for nth in range(10_000))
        ids.learn(chr(0x100 + nth) * 3 for nth in range(1_000))
        ids.learn(["0042", chr(0x100 + 999) * 3])
        assert sorted(ids.found()) == ["0042", chr(0x100 + 999) * 3]
