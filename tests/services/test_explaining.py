"""The explainer over a real ledger: it reads what touches the question, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.facts import Malformed
from domain.posting_rights_messages import SuspendRights
from services.explaining import explained, touching
from tests.projections.history import Life, a_life
from tests.services.rights import HOLDER, MANAGER, granted
from tests.system import Database, sealed

ACCOUNT = "facebook:DurantLibrary"


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        granted(life, "durantlibrary")
        granted(life, "durantlibrary", "p-bs-durant-2")
        yield life


def kinds(told: dict[str, object]) -> list[str]:
    chain = told["chain"]
    assert isinstance(chain, list)
    return [each["kind"] for each in chain]


def test_the_chain_of_a_right_is_policy_person_account_and_grant(life: Life) -> None:
    told = explained(life.office.ledger.recorder, HOLDER, ACCOUNT, life.clock.now(), None)
    assert told["may"]
    assert kinds(told) == [
        "policy_adoption.PolicyAdopted", "directory.PersonJoined", "account_creation.AccountOpened",
        "posting_rights.RightsGranted",
    ]  # fmt: skip
    assert "may post to account:facebook:durantlibrary until" in told["chain"][-1]["what"]


def test_of_a_feed_of_many_only_the_persons_own_event_is_read(life: Life) -> None:
    found = touching(life.office.ledger.recorder, [f"person:{HOLDER}"], None)
    assert [each.envelope.kind for each in found] == ["directory.PersonJoined"]
    assert found[0].fact.model_dump()["person"]["id"] == HOLDER


def test_an_answer_of_the_past_is_what_was_said_then(life: Life) -> None:
    recorder, now = life.office.ledger.recorder, life.clock.now()
    before = explained(recorder, "p-bs-durant-2", ACCOUNT, now, None)
    (case,) = {each["case"] for each in before["chain"] if each["kind"].startswith("posting_rights")}
    answer = life.says(MANAGER, SuspendRights(reason=sealed()), case)
    suspended_at = answer.facts[0].recorded_at
    assert "suspended" in explained(recorder, "p-bs-durant-2", ACCOUNT, now, None)["because"]
    far = suspended_at + timedelta(days=3_650)
    then = explained(recorder, "p-bs-durant-2", ACCOUNT, far, suspended_at - timedelta(microseconds=1))
    assert [each["kind"] for each in then["chain"]] == kinds(before)


@pytest.mark.parametrize("account", ["", "nothing", "facebook:", "a" * 400 + ":b", "x:\x00"])
def test_what_names_no_account_is_malformed(life: Life, account: str) -> None:
    with pytest.raises(Malformed, match="names no account"):
        explained(life.office.ledger.recorder, HOLDER, account, life.clock.now(), None)


def test_a_moment_to_come_is_malformed(life: Life) -> None:
    now = life.clock.now()
    with pytest.raises(Malformed, match="still to come"):
        explained(life.office.ledger.recorder, HOLDER, ACCOUNT, now, now + timedelta(seconds=1))
