"""The founding: once, by the operator."""

from __future__ import annotations

import pytest

from domain.clauses import PR_19
from domain.facts import Actor
from domain.founding import (
    BeginFollowingStaff,
    FollowingStaffBegun,
    FoundSystem,
    SystemFounded,
    follows_staff_since,
)
from tests.domain.house import DIRECTOR, HR, OPERATOR, TIMER, founded, unfounded

FOUND = FoundSystem(installation="A library", policy_sha256="0" * 64, door_key="AA")


def test_the_operator_founds_the_system() -> None:
    decision = unfounded().decides(FOUND, OPERATOR, "founding")
    assert decision.facts == (SystemFounded(installation="A library", policy_sha256="0" * 64, door_key="AA"),)
    assert decision.authority == ("operator", "", "")


@pytest.mark.parametrize("sender", [DIRECTOR, HR, TIMER])
def test_nobody_else_founds_it(sender: str | Actor) -> None:
    assert unfounded().refuses(FOUND, sender, "founding").clauses == (PR_19,)


def test_it_is_founded_once() -> None:
    assert founded().refuses(FOUND, OPERATOR, "founding").because == "the system is founded once, by its operator"


def test_changes_of_staff_are_followed_from_the_first_event_or_from_when_that_began() -> None:
    new, old = unfounded(), unfounded()
    new.does(FOUND.model_copy(update={"follows_staff": True}), OPERATOR, "founding")
    assert follows_staff_since(new.log) == 0
    old.does(FOUND, OPERATOR, "founding")
    assert follows_staff_since(old.log) is None
    assert old.does(BeginFollowingStaff(), TIMER, "founding") == [FollowingStaffBegun()]
    assert follows_staff_since(old.log) == 2


@pytest.mark.parametrize("sender", [DIRECTOR, HR, OPERATOR])
def test_nobody_but_the_system_says_when_following_begins(sender: str | Actor) -> None:
    assert founded().refuses(BeginFollowingStaff(), sender, "founding").clauses == (PR_19,)
