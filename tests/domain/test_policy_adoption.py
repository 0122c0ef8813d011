"""Adopting a version of the policy: from its day on, and word for word."""

from __future__ import annotations

import pytest

from domain.clauses import PR_19
from domain.directory import DeclareFriendsRole
from domain.facts import Actor
from domain.policy import policy_hash
from domain.policy_adoption import AdoptPolicy, PolicyAdopted
from tests.domain.house import (
    BOARD,
    DIRECTOR,
    LEFT,
    MANAGER,
    OPERATOR,
    OTHER_CASE,
    POLICY,
    POLICY_TEXT,
    House,
    a_request,
    at,
    founded,
    unfounded,
)


def version(name: str, effective: str = "2026-01-01") -> str:
    return POLICY_TEXT.replace('version = "2026-1"', f'version = "{name}"').replace(
        "effective = 2026-01-01", f"effective = {effective}"
    )


def adopts(house: House, name: str, effective: str) -> House:
    house.does(AdoptPolicy(text=version(name, effective)), DIRECTOR, "policy_adoption")
    return house


def in_force(house: House, moment: str) -> str:
    return house.comes(at(moment)).library().policy_version()


def test_the_operator_adopts_the_first_version_and_its_exact_text_is_on_record() -> None:
    (fact,) = unfounded().does(AdoptPolicy(text=POLICY_TEXT), OPERATOR, "policy_adoption")
    assert fact == PolicyAdopted(
        version="2026-1", effective=POLICY.effective, sha256=policy_hash(POLICY_TEXT), text=POLICY_TEXT
    )
    assert fact.touches() == ("policy",)


@pytest.mark.parametrize("sender", [OPERATOR, BOARD, MANAGER, LEFT])
def test_every_later_version_is_the_executive_directors(sender: str | Actor) -> None:
    refused = founded().refuses(AdoptPolicy(text=version("2026-2")), sender, "policy_adoption")
    assert (refused.clauses, refused.because) == ((PR_19,), "only the Executive Director may adopt a policy version")
    assert founded().does(AdoptPolicy(text=version("2026-2")), DIRECTOR, "policy_adoption")


def test_the_same_version_again_is_no_news_and_another_text_under_its_name_is_refused() -> None:
    house = founded()
    assert house.does(AdoptPolicy(text=POLICY_TEXT), DIRECTOR, "policy_adoption") == []
    refused = house.refuses(AdoptPolicy(text=POLICY_TEXT + "\n"), DIRECTOR, "policy_adoption")
    assert refused.because == "version 2026-1 is adopted with another text"
    assert refused.remedy == "give the changed text a new version"


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("version = 1", "policy:1: version: Input should be a valid string"),
        (POLICY_TEXT.replace("[clauses.PR-1]", "[clauses.PR-99]"), "clauses.PR-1: this clause is missing"),
        ("version =", "policy:1"),
        ("x = " + "[" * 100_000, "it is nested too deeply"),
        ("\x00", "policy:1"),
    ],
)
def test_a_text_that_does_not_hold_together_is_refused(text: str, because: str) -> None:
    refused = founded().refuses(AdoptPolicy(text=text), DIRECTOR, "policy_adoption")
    assert refused.clauses == (PR_19,)
    assert refused.because.startswith("the policy file does not hold together: ")
    assert because in refused.because


def test_a_version_is_in_force_from_the_first_minute_of_its_day_in_the_library() -> None:
    house = adopts(founded(), "2026-2", "2026-07-01")
    assert in_force(house, "2026-07-01T04:59:59") == "2026-1"
    assert in_force(house, "2026-07-01T05:00:00") == "2026-2"


def test_the_later_day_wins_in_whichever_order_they_were_adopted() -> None:
    house = adopts(adopts(founded(), "2026-3", "2026-09-01"), "2026-2", "2026-07-01")
    assert in_force(house, "2026-06-01T12:00") == "2026-1"
    assert in_force(house, "2026-08-01T12:00") == "2026-2"
    assert in_force(house, "2026-10-01T12:00") == "2026-3"


def test_of_two_versions_of_one_day_the_one_adopted_last_is_in_force() -> None:
    house = adopts(adopts(founded(), "2026-2", "2026-07-01"), "2026-2b", "2026-07-01")
    assert in_force(house, "2026-07-02T12:00") == "2026-2b"


def test_before_the_day_of_the_first_version_nothing_can_be_asked() -> None:
    house = founded()
    refused = house.comes(at("2026-01-01T05:59:59")).refuses(a_request(), MANAGER)
    assert (refused.clauses, refused.because) == ((PR_19,), "no version of the policy is in force")
    assert house.library().policy_version() == ""
    assert house.comes(at("2026-01-01T06:00:00")).does(a_request(), MANAGER)


def test_a_running_case_keeps_its_version_and_a_new_one_takes_the_new() -> None:
    house = adopts(founded().requested(), "2026-2", "2026-03-02")
    house.requested(handle="durantreads", case=OTHER_CASE)
    assert house.case().policy == "2026-1"
    assert house.case(OTHER_CASE).policy == "2026-2"
    house.approved()
    assert {each.envelope.policy for each in house.log if each.envelope.case == house.case().case} == {"2026-1"}


def test_the_hash_of_an_adopted_version_is_known() -> None:
    library = founded().library()
    assert library.adopted("2026-1") == policy_hash(POLICY_TEXT)
    assert library.adopted("2026-2") is None
    assert not unfounded().library().has_a_policy()


def test_another_step_is_none_of_adopting() -> None:
    other = DeclareFriendsRole(person=MANAGER, administers=True)
    assert founded().refuses(other, DIRECTOR, "policy_adoption").remedy == "AdoptPolicy"
