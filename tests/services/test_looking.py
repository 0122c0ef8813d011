"""What a door looks at before the ledger decides: the case as it stands, and rules that were read a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from domain.account_creation_messages import RefuseAccount, WithdrawRequest, claim
from domain.policy_adoption import STREAM as POLICIES
from domain.policy_adoption import AdoptPolicy
from services.ledger import Ledger
from services.recorder import LedgerRecorder
from tests.system import POLICY, Office, a_case, a_request, sealed

LIMIT = "[settings.reason_max_chars]\nvalue = 4000"


@pytest.fixture
def door(office: Office) -> Iterator[Ledger]:
    """The ledger of another process: what `office` records it has to read."""
    door = office.elsewhere()
    yield door
    door.close()


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The case of each reading of the library; empty where it was of none."""
    read, read_on = list[str](), LedgerRecorder.read_on

    def noted(recorder: LedgerRecorder, case: str, *more: Any) -> object:
        read.append(case)
        return read_on(recorder, case, *more)

    monkeypatch.setattr(LedgerRecorder, "read_on", noted)
    return read


def test_many_who_come_within_a_second_share_one_reading_of_the_library(
    office: Office, door: Ledger, readings: list[str]
) -> None:
    cases = [a_case() for _ in range(3)]
    for nth, case in enumerate(cases):
        assert office.submit(a_request(f"shared{nth}"), case, "p-bm-durant").facts
    readings.clear()
    for case in cases:
        assert door.rules().settings.reason_max_chars.value == 4000
        assert door.seen(case).position == 2
    assert readings == [""]


class Held:
    """Readings of the library that have begun, and do not end before they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._let_go, read_on = 0, Event(), LedgerRecorder.read_on

        def held(recorder: LedgerRecorder, *asked: Any) -> object:
            self.begun += 1
            found = read_on(recorder, *asked)
            assert self._let_go.wait(10)
            return found

        monkeypatch.setattr(LedgerRecorder, "read_on", held)

    def let_go(self) -> None:
        self._let_go.set()

    def begun_by(self, threads: ThreadPoolExecutor, ask: Callable[[], Any], times: int) -> list[Future[Any]]:
        """Asked by so many at once, each of which has got as far as it gets."""
        asked = [threads.submit(ask) for _ in range(times)]
        time.sleep(0.3)
        return asked


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_of_many_who_look_at_once_one_reads_the_library(
    office: Office, door: Ledger, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    asked = held.begun_by(threads, door.rules, 8)
    assert held.begun == 1
    held.let_go()
    assert {each.result().settings.reason_max_chars.value for each in asked} == {4000}
    assert held.begun == 1


def test_who_asks_for_the_library_as_of_now_is_not_given_what_was_read_before(
    office: Office, door: Ledger, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.WAIT_FOR_ANOTHERS_LOOK_SECONDS", 10.0)
    held, case, handle = Held(monkeypatch), a_case(), "readanew"
    first = held.begun_by(threads, door.library, 1)
    # it has read what there was, and is not back yet
    assert office.submit(a_request(handle), case, "p-bm-durant").facts
    later = held.begun_by(threads, door.library, 5)
    held.let_go()
    key = claim("facebook", handle)
    assert [each.result().holder_of(key) for each in (*first, *later)] == [None, *([case] * 5)]
    assert held.begun == 1 + 1


def test_nobody_waits_long_for_another_who_looks(
    office: Office, door: Ledger, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.WAIT_FOR_ANOTHERS_LOOK_SECONDS", 0.01)
    held = Held(monkeypatch)
    asked = held.begun_by(threads, door.rules, 3)
    assert held.begun == 3
    held.let_go()
    assert {each.result().settings.reason_max_chars.value for each in asked} == {4000}


def test_the_first_who_looks_at_a_case_reads_case_and_library_at_once(
    office: Office, door: Ledger, readings: list[str]
) -> None:
    case = a_case()
    assert office.submit(a_request("atonce"), case, "p-bm-durant").facts
    readings.clear()
    assert door.seen(case).position == 2
    assert door.rules().settings.reason_max_chars.value == 4000
    assert readings == [case]


def test_a_case_is_seen_as_it_stands_whoever_moved_it_a_moment_ago(office: Office, door: Ledger) -> None:
    case = a_case()
    positions = [door.seen(case).position]
    for person, command in (
        ("p-bm-durant", a_request("moved")),
        ("p-ed", RefuseAccount(content="0" * 64, reason=sealed())),
        ("p-bm-durant", WithdrawRequest()),
    ):
        office.submit(command, case, person)
        positions.append(door.seen(case).position)
    assert positions == [0, 2, 2, 3]
    assert door.seen(case) == office.ledger.state(case)


def test_rules_that_another_process_adopted_are_known_a_second_later(
    office: Office, door: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert door.rules().settings.reason_max_chars.value == 4000
    text = POLICY.read_text().replace(LIMIT, LIMIT.replace("4000", "300")).replace('"2026-1"', '"2026-2"', 1)
    assert office.submit(AdoptPolicy(text=text), POLICIES, "p-ed").facts
    monkeypatch.setattr("services.ledger.LATELY_SECONDS", 0.0)
    assert door.rules().settings.reason_max_chars.value == 300
