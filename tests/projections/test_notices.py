"""Who is to be told what by mail? Everyone who is asked, reminded or told of a delay, once, at the address of then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.register import Register
from projections.notices import Notices, written, zone_of
from services.projector import rebuild
from tests.projections.history import REQUESTER, Life, a_life, rows
from tests.system import MONDAY, Database


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def told(database: Database) -> Any:
    def of(case: str) -> list[dict[str, Any]]:
        rebuild(database.url("projector"), Notices, "_t")
        return [
            row
            for row in rows(database.url("projector"), "outbox_t", "log_position", "person")
            if row["case_id"] == case
        ]

    return of


def summary(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["person"], row["subject"].partition(":")[0]) for row in messages]


def test_who_is_asked_is_told_with_case_account_and_due_time(life: Life, told: Any) -> None:
    life.clock.at = MONDAY
    case = life.asks_for("told.one")
    (message,) = told(case)
    assert (message["person"], message["to_address"]) == ("p-ed", "executive.director@example.org")
    assert message["subject"] == "Please decide on the account request: told.one on facebook"
    assert message["body"] == (
        f"You are asked to decide on the account request.\n\nCase: {case}\nAccount: told.one on facebook\n"
        "Asked on: Monday 02 March 2026, 10:00 CST\nDue: Monday 16 March 2026, 10:00 CDT\n\n"
        "This message was sent by Imprimatur.\n"
    )
    assert message["at"] == MONDAY


def test_reminders_escalation_and_overdue_are_told_to_those_they_concern(life: Life, told: Any) -> None:
    case = life.asks_for("told.two")
    for _ in range(16):
        life.time_passes(case, days=1)
    assert summary(told(case)) == [
        ("p-ed", "Please decide on the account request"),
        ("p-ed", "Reminder"),
        ("p-ed", "Reminder"),
        ("p-board", "Waiting too long"),
        ("p-ed", "Overdue"),
    ]


def test_a_task_that_moves_is_told_to_both_sides(life: Life, told: Any) -> None:
    case = life.asks_for("told.three")
    life.hr_says("p-ed", active=False)
    life.looks_again(case)
    life.hr_says("p-ed", active=True)
    assert summary(told(case)) == [
        ("p-ed", "Please decide on the account request"),
        ("p-board", "Please decide on the account request"),
        ("p-ed", "No longer yours"),
    ]


def test_the_requester_is_told_when_changes_are_asked(life: Life, told: Any) -> None:
    case = life.asks_for("told.four")
    life.asks_for_changes(case)
    assert summary(told(case))[1:] == [(REQUESTER, "Please change the request as asked")]


def test_the_address_is_the_one_of_that_moment(life: Life, told: Any) -> None:
    before = life.asks_for("told.five")
    life.hr_says("p-ed", work_email="new.director@example.org")
    after = life.asks_for("told.six")
    life.hr_says("p-ed", work_email="executive.director@example.org")
    assert [row["to_address"] for row in (*told(before), *told(after))] == [
        "executive.director@example.org", "new.director@example.org",
    ]  # fmt: skip


def test_message_ids_are_the_same_whenever_it_is_rebuilt_and_never_shared(
    life: Life, told: Any, database: Database
) -> None:
    rebuild(database.url("projector"), Notices, "_t")
    once = [row["message_id"] for row in rows(database.url("projector"), "outbox_t", "log_position", "person")]
    rebuild(database.url("projector"), Notices, "_t", page=3)
    assert [row["message_id"] for row in rows(database.url("projector"), "outbox_t", "log_position", "person")] == once
    assert len(set(once)) == len(once)


def test_times_are_told_in_the_library_s_zone_and_in_utc_before_there_is_a_policy() -> None:
    assert zone_of(Register()) is UTC
    assert written(datetime(2026, 7, 1, 15, 30, tzinfo=UTC), UTC) == "Wednesday 01 July 2026, 15:30 UTC"
