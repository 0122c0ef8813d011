"""Every decision on record, judged anew: what agrees, what does not, what is known to differ, what cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain.policy_adoption import AdoptPolicy
from services.audit.knowledge import Libraries, folded
from services.audit.known_differences import KnownDifference, known_differences
from services.audit.reading import every_event, newest, reading, shared_up_to
from services.audit.rejudge import rejudged
from tests.projections.history import REQUESTER, Life, a_life
from tests.services.auditing import changed, live, position_of
from tests.system import POLICY, ROOT, Database, a_case, a_request

APPROVED, REQUESTED = "account_creation.AccountApproved", "account_creation.AccountRequested"


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        live(life)
        yield life


def judged(database: Database, *known: KnownDifference) -> dict[str, Any]:
    with reading(database.url("reader")) as conn:
        return rejudged(conn, newest(conn), known)


def test_every_decision_of_a_life_comes_out_as_recorded(life: Life, database: Database) -> None:
    told = judged(database)
    assert told["disagree"] == []
    assert told["not_rejudgeable"] == []
    assert told["judged"] == told["agree"] > 100
    with reading(database.url("reader")) as conn:
        refused = sum(each.envelope.kind == "attempts.AttemptRefused" for each in every_event(conn, newest(conn)))
    assert refused > 10, "the life has refused attempts, which are judged too"


def test_an_approval_by_someone_else_is_named(life: Life, database: Database) -> None:
    position = position_of(database, APPROVED)
    with changed(database, position, lambda said: said["actor"].update(id="p-bm-durant")):
        (found,) = judged(database)["disagree"]
    assert (found["log_position"], found["command"]) == (position, "account_creation.ApproveAccount")
    assert found["differences"][0].startswith("it would be refused today (PR-1)")


def test_a_fact_that_says_something_else_is_named_with_the_field(life: Life, database: Database) -> None:
    position = position_of(database, REQUESTED)
    with changed(database, position, lambda said: said["fact"].update(posters=[])):
        found = judged(database)["disagree"]
    assert found[0]["log_position"] == position
    assert found[0]["differences"] == ["account_creation.AccountRequested differs in posters"]


def test_an_authority_that_nobody_had_is_named(life: Life, database: Database) -> None:
    position = position_of(database, APPROVED)
    with changed(database, position, lambda said: said.update(role="board_delegate")):
        (found,) = judged(database)["disagree"]
    assert found["differences"] == ["the authority was board_delegate at hq and would be executive_director at hq"]


def test_a_refusal_for_another_reason_is_named(life: Life, database: Database) -> None:
    position = position_of(database, "attempts.AttemptRefused")
    with changed(database, position, lambda said: said["fact"].update(because="no reason at all")):
        (found,) = judged(database)["disagree"]
    assert (found["log_position"], found["differences"]) == (position, ["the refusal's reason differ"])


def test_another_policy_version_than_that_of_the_case_is_named(life: Life, database: Database) -> None:
    position = position_of(database, APPROVED)
    with changed(database, position, lambda said: said.update(policy="1999")):
        found = judged(database)["disagree"]
    assert "the policy version was 1999 and would be" in found[0]["differences"][0]


def test_a_known_difference_is_told_with_the_page_that_explains_it_and_is_no_disagreement(
    life: Life, database: Database
) -> None:
    position = position_of(database, APPROVED)
    known = KnownDifference(command="account_creation.ApproveAccount", decision="0001-deciders-in-an-envelope.md")
    with changed(database, position, lambda said: said["actor"].update(id="p-bm-durant")):
        told = judged(database, known)
    assert told["disagree"] == []
    assert [(each["log_position"], each["explained_by"]) for each in told["known"]] == [(position, known.decision)]


def test_a_decision_whose_command_is_erased_is_told_apart(life: Life, database: Database) -> None:
    position = position_of(database, APPROVED)
    with changed(database, position, lambda said: said.update(command=None)):
        told = judged(database)
    assert [each["log_position"] for each in told["not_rejudgeable"]] == [position]
    assert told["disagree"] == []


def test_the_page_of_each_known_difference_is_there() -> None:
    pages = ROOT / "docs" / "decisions"
    assert [each.decision for each in known_differences() if not (pages / each.decision).is_file()] == []


def test_the_library_at_any_position_is_what_folding_from_event_one_gives(life: Life, database: Database) -> None:
    with reading(database.url("reader")) as conn:
        libraries, positions = Libraries(lambda position: shared_up_to(conn, position)), [0]
        for each in every_event(conn, newest(conn)):
            libraries.learn(each)
            if each.envelope.touches:
                positions.append(each.log_position)
            for position in positions[-1:-40:-7]:
                found, anew = libraries.as_of(position), folded(shared_up_to(conn, position))
                assert (found.position, found.people, found.claims) == (position, anew.people, anew.claims)
                assert found.in_force.rights == anew.in_force.rights


def test_what_was_decided_under_an_older_version_stays_right_once_a_stricter_one_is_adopted(
    life: Life, database: Database
) -> None:
    """PR-7's two administrators become three: for cases that begin from then on."""
    life.hr_says("p-mac", active=True)
    begun_before = life.asks_for("begunbefore")
    text = POLICY.read_text(encoding="utf-8").replace('version = "2026-1"', 'version = "2026-2"', 1)
    tomorrow = (life.clock.now() + timedelta(days=1)).date()
    text = text.replace("effective = 2026-01-01", f"effective = {tomorrow}", 1)
    stricter = text.replace(
        "[settings.minimum_administrators]\nvalue = 2", "[settings.minimum_administrators]\nvalue = 3"
    )
    assert life.says("p-ed", AdoptPolicy(text=stricter), "policy_adoption").facts
    life.clock.passes(days=2)
    assert life.approves(begun_before).facts
    refused = life.says(REQUESTER, a_request("begunafter"), a_case()).refusal
    assert refused is not None
    assert refused.clauses == ("PR-7",)
    told = judged(database)
    assert told["disagree"] == []
    with reading(database.url("reader")) as conn:
        versions = [each.envelope.policy for each in every_event(conn, newest(conn))]
    assert {"2026-1", "2026-2"} <= {*versions}
