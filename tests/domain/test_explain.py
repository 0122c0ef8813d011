"""Whatever happened, an answer about the past is what the live one said then, and names what makes it so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.explain import Explanation, explain, may_post, more_scopes, scopes_of
from domain.facts import Refused
from domain.posting_rights_messages import (
    GrantRights,
    MeetCondition,
    ReinstateRights,
    RequestRights,
    RevokeRights,
    SuspendRights,
)
from domain.requests import Condition
from tests.domain.world import DURANT, WEST, World, sealed

CASES = [f"posting_rights-00000000-0000-0000-0000-00000000000{nth}" for nth in range(6)]
HOLDER, OTHER, MANAGER = "p-bs-durant-1", "p-bs-west-1", "p-bm-durant"
PEOPLE, ACCOUNTS = (HOLDER, OTHER, MANAGER, "p-nobody"), (DURANT, WEST, "account:facebook:never")


def explained(world: World, person: str, account: str, at: Any = None, up_to: int | None = None) -> Explanation:
    """As the service asks it: of the whole log, only what touches the question's scopes and was on record then."""
    scopes = set(scopes_of(person, account))
    on_record = [each for each in world.log if each.log_position <= (up_to or len(world.log))]
    scopes |= set(more_scopes(person, [each for each in on_record if scopes & set(each.envelope.touches)]))
    return explain(
        person, account, at or world.at, [each for each in on_record if scopes & set(each.envelope.touches)]
    )


def kinds(explanation: Explanation) -> list[str]:
    return [each.kind.partition(".")[2] for each in explanation.chain]


@pytest.fixture
def world() -> World:
    world = World()
    world.has_account()
    return world


def granted(world: World, case: str = CASES[0], **more: Any) -> World:
    world.says(HOLDER, RequestRights(accounts=(DURANT,), months=2, purpose=sealed()), case)
    world.says(MANAGER, GrantRights(content=world.state(case).content, **more), case)
    return world


def test_who_posts_by_role_may_and_the_chain_is_policy_person_account(world: World) -> None:
    found = explained(world, MANAGER, "facebook:DurantLibrary")
    assert (found.may, found.clauses, kinds(found)) == (
        True, ("PR-4",), ["PolicyAdopted", "PersonJoined", "Opened"]
    )  # fmt: skip


def test_who_has_no_right_may_not_and_is_told_what_would_change_it(world: World) -> None:
    found = explained(world, HOLDER, DURANT)
    assert (found.may, found.clauses) == (False, ("PR-4", "PR-5"))
    assert "the Branch Manager grants them" in found.would_change[0]


def test_a_right_is_a_chain_from_the_policy_to_the_grant(world: World) -> None:
    found = explained(granted(world), HOLDER, DURANT)
    assert (found.may, found.clauses) == (True, ("PR-5",))
    assert kinds(found) == ["PolicyAdopted", "PersonJoined", "Opened", "RightsGranted"]
    assert [each.by for each in found.chain][-1] == MANAGER
    assert found.chain[-1].log_position == len(world.log)


def test_the_answer_changes_at_the_very_moment_the_term_ends(world: World) -> None:
    granted(world)
    until = world.state(CASES[0]).right.until
    assert explained(world, HOLDER, DURANT, until - timedelta(seconds=1)).may
    after = explained(world, HOLDER, DURANT, until)
    assert (after.may, "term ended" in after.because) == (False, True)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda world: world.says(MANAGER, SuspendRights(reason=sealed()), CASES[0]), "suspended"),
        (lambda world: world.says(MANAGER, RevokeRights(reason=sealed()), CASES[0]), "nor has a right"),
        (lambda world: world.hr_says(HOLDER, active=False), "not an active employee"),
        (lambda world: world.hr_says(HOLDER, end=date(2026, 3, 1)), "not an active employee"),
        (lambda world: world.hr_says(HOLDER, branch="west"), "moved from durant to west"),
        (lambda world: world.closes(DURANT), "is closed"),
    ],
)
def test_what_takes_a_right_away_takes_the_answer_away_at_once(
    world: World, change: Callable[[World], Any], because: str
) -> None:
    before, then = len(granted(world).log), world.at
    world.at += timedelta(hours=1)
    change(world)
    now = explained(world, HOLDER, DURANT)
    assert (now.may, because in now.because) == (False, True), now.because
    assert explained(world, HOLDER, DURANT, then, up_to=before).may


def test_a_condition_keeps_a_right_from_running_until_it_is_met(world: World) -> None:
    granted(world, conditions=(Condition(id="training", what=sealed()),))
    assert "conditions are open: training" in explained(world, HOLDER, DURANT).because
    world.says(MANAGER, MeetCondition(condition="training"), CASES[0])
    found = explained(world, HOLDER, DURANT)
    assert (found.may, kinds(found)[-2:]) == (True, ["RightsGranted", "ConditionMet"])


@pytest.mark.parametrize(
    ("person", "account", "because"),
    [("p-nobody", DURANT, "not in the directory"), (HOLDER, "facebook:never", "has no account")],
)
def test_unknown_persons_and_accounts_are_answered_too(
    world: World, person: str, account: str, because: str
) -> None:
    found = explained(world, person, account)
    assert (found.may, because in found.because) == (False, True)


def test_before_any_policy_nobody_may() -> None:
    found = explain(HOLDER, DURANT, World().at, [])
    assert (found.may, found.clauses, found.chain) == (False, ("PR-19",), ())


# ---- random histories

STEPS: dict[str, Callable[[World, int], Any]] = {
    "request": lambda world, nth: world.says(
        (HOLDER, OTHER)[nth % 2],
        RequestRights(accounts=((DURANT,), (WEST,), (DURANT, WEST))[nth % 3], months=nth % 3 + 1, purpose=sealed()),
        CASES[nth],
    ),
    "grant": lambda world, nth: world.says(
        ("p-bm-durant", "p-bm-west", "p-ed")[nth % 3],
        GrantRights(
            content=world.state(CASES[nth]).content or "0" * 64,
            conditions=(Condition(id="training", what=sealed()),) if nth == 5 else (),
        ),
        CASES[nth],
    ),
    "meet": lambda world, nth: world.says("p-bm-durant", MeetCondition(condition="training"), CASES[nth]),
    "suspend": lambda world, nth: world.says("p-bm-durant", SuspendRights(reason=sealed()), CASES[nth]),
    "reinstate": lambda world, nth: world.says("p-bm-durant", ReinstateRights(reason=sealed()), CASES[nth]),
    "revoke": lambda world, nth: world.says("p-bm-west", RevokeRights(reason=sealed()), CASES[nth]),
    "leave": lambda world, nth: world.hr_says((HOLDER, OTHER, MANAGER)[nth % 3], active=nth < 3),
    "move": lambda world, nth: world.hr_says((HOLDER, OTHER)[nth % 2], branch=("durant", "west", "hq")[nth % 3]),
    "rise": lambda world, nth: world.hr_says(HOLDER, position=("Branch Manager", "Library Clerk")[nth % 2]),
    "leave and return": lambda world, nth: [world.hr_says((HOLDER, OTHER)[nth % 2], active=on) for on in (False, True)],
    "end": lambda world, nth: world.hr_says(HOLDER, end=date(2026, 3 + nth, 15)),
    "close": lambda world, nth: world.closes((DURANT, WEST)[nth % 2]),
    "open": lambda world, nth: world.has_account(*((DURANT, "durant"), (WEST, "west"))[nth % 2]),
    "pass": lambda world, nth: world.time_passes(CASES[nth], days=nth * 7 + 1),
    "reconsider": lambda world, nth: world.looks_again(CASES[nth]),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5)), min_size=5, max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_explained_of_any_past_moment_is_what_the_live_one_said_then(history: list[tuple[str, int]]) -> None:
    world, said = World(), []
    for name, nth in [("open", 0), ("open", 1), ("request", 0), ("grant", 0), *history]:
        try:
            STEPS[name](world, nth)
        except Refused:
            continue
        live = {(p, a): may_post(p, a, world.library())[:3] for p in PEOPLE for a in ACCOUNTS}
        said.append((world.at, len(world.log), live))
    for at, up_to, live in said:
        for (person, account), answer in live.items():
            found = explained(world, person, account, at, up_to)
            assert (found.may, found.because, found.clauses) == answer
