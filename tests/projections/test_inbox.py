"""What waits for me? Each task is with whoever is asked now, as long as they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from projections.inbox import Inbox
from services.projector import rebuild
from tests.projections.history import REQUESTER, Life, a_life, rows
from tests.system import MONDAY, TASKS, Database


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def open_tasks(database: Database) -> Any:
    def of(case: str) -> dict[str, dict[str, Any]]:
        rebuild(database.url("projector"), Inbox, "_t")
        found = rows(database.url("projector"), "inbox_t")
        return {row["person"]: row for row in found if row["case_id"] == case}

    return of


def test_a_request_waits_for_the_executive_director(life: Life, open_tasks: Any) -> None:
    life.clock.at = MONDAY
    tasks = open_tasks(life.asks_for("inbox.one"))
    assert list(tasks) == ["p-ed"]
    task = tasks["p-ed"]
    assert (task["process"], task["role"], task["place"], task["to_do"], task["since"]) == (
        "account_creation", "executive_director", "hq", "decide on the account request", MONDAY,
    )  # fmt: skip
    assert task["account"] == "account:facebook:inbox.one"
    assert (task["next_is"], task["next_due"]) == ("reminder", datetime.fromisoformat("2026-03-04T10:00:00-06:00"))
    assert (task["escalated"], task["overdue"]) == (False, False)


def test_a_task_shows_what_has_become_of_its_moments(life: Life, open_tasks: Any) -> None:
    case = life.asks_for("inbox.two")
    marks = []
    for days in (2, 5, 7):
        life.time_passes(case, days=days)
        task = open_tasks(case)["p-ed"]
        marks.append((task["escalated"], task["overdue"], task["next_is"]))
    assert marks == [(False, False, "reminder"), (True, False, "overdue"), (True, True, "expiry")]


def test_a_decision_takes_the_task_from_one_and_gives_it_to_others(life: Life, open_tasks: Any) -> None:
    case = life.asks_for("inbox.three")
    life.approves(case)
    tasks = open_tasks(case)
    assert "p-ed" not in tasks
    assert {"p-mac", "p-bm-durant"} <= set(tasks)
    assert {task["to_do"] for task in tasks.values()} == {"set the account up with the branch"}


def test_changes_asked_wait_for_the_requester_alone(life: Life, open_tasks: Any) -> None:
    case = life.asks_for("inbox.four")
    life.asks_for_changes(case)
    tasks = open_tasks(case)
    assert [(person, task["next_is"]) for person, task in tasks.items()] == [(REQUESTER, "expiry")]


@pytest.mark.parametrize("ending", ["refused", "withdrawn", "expired", "opened"])
def test_nothing_waits_in_a_case_that_has_ended(life: Life, open_tasks: Any, ending: str) -> None:
    match ending:
        case "refused":
            life.refuses(case_id := life.asks_for("ending.refused"))
        case "withdrawn":
            life.withdraws(case_id := life.asks_for("ending.withdrawn"))
        case "expired":
            life.time_passes(case_id := life.asks_for("ending.expired"), days=31)
        case _:
            case_id = life.has_an_open_account("ending.opened")
    assert life.state(case_id).closed()
    assert open_tasks(case_id) == {}


def test_a_task_follows_the_staff(life: Life, open_tasks: Any) -> None:
    case = life.asks_for("inbox.five")
    life.approves(case)
    life.does(case, TASKS[0])
    assert "p-ysc" in open_tasks(case)
    life.hr_says("p-ysc", active=False)
    life.looks_again(case)
    assert "p-ysc" not in open_tasks(case)
    life.hr_says("p-ysc", active=True)
    life.looks_again(case)
    assert "p-ysc" in open_tasks(case)


def test_refused_attempts_and_other_streams_leave_no_task(life: Life, open_tasks: Any, database: Database) -> None:
    case = life.asks_for("inbox.six")
    before = open_tasks(case)
    refused = life.approves(case, by=REQUESTER)
    assert refused.refusal
    assert open_tasks(case) == before
    assert all(row["process"] == "account_creation" for row in rows(database.url("projector"), "inbox_t"))
