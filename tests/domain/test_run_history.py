"""A run's history is kept once, by the system alone."""

from __future__ import annotations

import pytest

from domain.facts import Actor, Evidence, Refused
from domain.run_history import KeepRunHistory, RunHistoryKept, stream_of
from tests.domain.house import CASE, DIRECTOR, OPERATOR, OTHER_CASE, TIMER, founded

HISTORY = Evidence(
    sha256="0" * 64, size=9, media_type="application/gzip", under=(f"case:{CASE}",), wrapped="AA==", nonce="AA=="
)
KEEP = KeepRunHistory(of_case=CASE, run="r1", type="AccountCreation", ended="completed", steps=3, history=HISTORY)


def test_a_run_is_kept_once_and_each_run_of_its_own() -> None:
    house = founded()
    (kept,) = house.does(KEEP, TIMER, stream_of(CASE))
    assert kept == KEEP.becomes(RunHistoryKept)
    assert house.does(KEEP, TIMER, stream_of(CASE)) == []
    assert len(house.does(KEEP.model_copy(update={"run": "r2"}), TIMER, stream_of(CASE))) == 1


@pytest.mark.parametrize("by", [DIRECTOR, OPERATOR])
def test_nobody_else_says_what_a_run_did(by: str | Actor) -> None:
    with pytest.raises(Refused):
        founded().does(KEEP, by, stream_of(CASE))


def test_it_is_kept_with_its_own_case() -> None:
    with pytest.raises(Refused):
        founded().does(KEEP, TIMER, stream_of(OTHER_CASE))
