"""How does this case stand? One row, equal to what the case's own page folds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain.account_creation import AccountCase
from projections.cases import CasePages
from services.projector import rebuild
from tests.projections.history import REQUESTER, Life, a_life, rows
from tests.system import MONDAY, Database, sealed


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def page_of(database: Database) -> Any:
    def of(case: str) -> dict[str, Any]:
        rebuild(database.url("projector"), CasePages, "_t")
        return next(row for row in rows(database.url("projector"), "cases_t") if row["case_id"] == case)

    return of


def test_a_new_case(life: Life, page_of: Any) -> None:
    life.clock.at = MONDAY
    case = life.asks_for("case.one")
    page = page_of(case)
    assert {
        name: page[name] for name in ("process", "stage", "closed", "requester", "place", "account", "position")
    } == {
        "process": "account_creation",
        "stage": "executive_review",
        "closed": False,
        "requester": REQUESTER,
        "place": "durant",
        "account": "account:facebook:case.one",
        "position": 2,
    }
    assert (page["waiting_role"], page["waiting_persons"]) == ("executive_director", ["p-ed"])
    assert page["content"] == life.state(case).content
    assert page["opened_at"] == page["updated_at"] == MONDAY
    assert page["policy"] == "2026-1"


@pytest.mark.parametrize(
    ("ends", "stage", "closed"),
    [
        ("approves", "set_up", False),
        ("asks_for_changes", "changes_asked", False),
        ("refuses", "refused", True),
        ("withdraws", "withdrawn", True),
    ],
)
def test_it_follows_each_decision(life: Life, page_of: Any, ends: str, stage: str, closed: bool) -> None:
    case = life.asks_for(f"follows.{ends.replace('_', '.')}")
    life.clock.passes(hours=3)
    opened_at, decided_at = life.state(case).waiting, life.clock.now()
    answer = getattr(life, ends)(case)
    page = page_of(case)
    assert (page["stage"], page["closed"], page["waiting_role"] is None) == (stage, closed, closed)
    assert opened_at is not None
    assert (page["opened_at"], page["updated_at"]) == (opened_at.since, decided_at)
    assert (page["position"], page["log_position"]) == (life.state(case).position, answer.position)


def test_the_whole_state_is_there_and_what_is_sealed_stays_sealed(life: Life, page_of: Any) -> None:
    case = life.has_an_open_account("case.two")
    page = page_of(case)
    state = life.state(case)
    assert page["state"] == json.loads(state.model_dump_json())
    assert AccountCase.model_validate(page["state"]).model_dump() == state.model_dump()
    assert page["state"]["request"]["purpose"]["ciphertext"] == sealed().ciphertext
    assert page["stage"] == "open"


def test_a_refused_attempt_does_not_move_a_case(life: Life, page_of: Any) -> None:
    case = life.asks_for("case.three")
    before = page_of(case)
    assert life.approves(case, by=REQUESTER).refusal
    assert page_of(case) == before


def test_only_cases_have_a_page(life: Life, database: Database) -> None:
    rebuild(database.url("projector"), CasePages, "_t")
    assert {row["process"] for row in rows(database.url("projector"), "cases_t")} == {"account_creation"}
