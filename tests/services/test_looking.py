"""What a door looks at before the ledger decides: the case as it stands, and rules that were read a moment ago."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.account_creation_messages import RefuseAccount, WithdrawRequest
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
