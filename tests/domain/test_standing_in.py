"""Standing in for someone: half-open windows, chains of three at most, no circles, duties kept apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.delegation import Delegate, EndDelegation
from domain.facts import Refused
from domain.posting_rights_messages import GrantRights, RequestRights
from tests.domain.world import DURANT, World, sealed

CASE = "posting_rights-00000000-0000-0000-0000-000000000001"
HOLDER, MANAGER = "p-bs-durant-1", "p-bm-durant"
STEM = "posting_rights_branch"


@pytest.fixture
def world() -> World:
    world = World()
    world.has_account()
    world.says(HOLDER, RequestRights(accounts=(DURANT,), purpose=sealed()), CASE)
    return world


def delegates(world: World, giver: str, to: str, begins: int = 0, ends: int = 7, process: str = STEM) -> str:
    window = {"since": world.at + timedelta(days=begins), "until": world.at + timedelta(days=ends)}
    (fact,) = world.says(giver, Delegate(to=to, processes=(process,), reason=sealed(), **window), "delegation")
    return str(fact.delegation)  # type: ignore[attr-defined]


def grants(world: World, by: str) -> Any:
    world.says(by, GrantRights(content=world.state(CASE).content), CASE)
    return world.log[-1].envelope


def test_the_window_holds_from_its_first_moment_and_no_longer_at_its_last(world: World) -> None:
    delegates(world, MANAGER, "p-bs-durant-2", begins=1, ends=2)
    begins, ends = world.at + timedelta(days=1), world.at + timedelta(days=2)
    for at, holds in (
        (begins - timedelta(seconds=1), False),
        (begins, True),
        (ends - timedelta(seconds=1), True),
        (ends, False),
    ):
        assert bool(world.library(at).stands_in_for("p-bs-durant-2", STEM)) is holds


def test_an_end_that_is_no_later_than_its_start_is_malformed(world: World) -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        Delegate(to=HOLDER, processes=("*",), since=world.at, until=world.at, reason=sealed())


def test_a_chain_of_three_decides_and_names_who_gave_it_first(world: World) -> None:
    for giver, to in ((MANAGER, "p-bs-durant-2"), ("p-bs-durant-2", "p-bs-west-1"), ("p-bs-west-1", "p-bs-winona-1")):
        delegates(world, giver, to)
    envelope = grants(world, "p-bs-winona-1")
    assert (envelope.actor.id, envelope.on_behalf_of) == ("p-bs-winona-1", MANAGER)


def test_a_fourth_link_is_refused_at_either_end(world: World) -> None:
    for giver, to in ((MANAGER, "p-bs-durant-2"), ("p-bs-durant-2", "p-bs-west-1"), ("p-bs-west-1", "p-bs-winona-1")):
        delegates(world, giver, to)
    for giver, to in (("p-bs-winona-1", "p-bs-winona-2"), ("p-ed", MANAGER)):
        with pytest.raises(Refused, match="more than 3 links"):
            delegates(world, giver, to)


def test_a_circle_is_refused_whether_short_or_long(world: World) -> None:
    with pytest.raises(Refused, match="themselves"):
        delegates(world, MANAGER, MANAGER)
    delegates(world, MANAGER, "p-bs-durant-2")
    delegates(world, "p-bs-durant-2", "p-bs-west-1")
    for giver in ("p-bs-durant-2", "p-bs-west-1"):
        with pytest.raises(Refused, match="circle"):
            delegates(world, giver, MANAGER)


def test_a_circle_of_windows_that_never_meet_is_none(world: World) -> None:
    delegates(world, MANAGER, "p-bs-durant-2", begins=0, ends=1)
    delegates(world, "p-bs-durant-2", MANAGER, begins=1, ends=2)


def test_the_requester_never_decides_though_the_right_to_is_passed_on_to_them(world: World) -> None:
    delegates(world, MANAGER, HOLDER)
    with pytest.raises(Refused, match="nobody decides on their own request"):
        grants(world, HOLDER)


def test_one_process_passed_on_is_not_another(world: World) -> None:
    delegates(world, MANAGER, "p-bs-durant-2", process="account_creation")
    with pytest.raises(Refused, match="only the Branch Manager"):
        grants(world, "p-bs-durant-2")


@pytest.mark.parametrize("by", [MANAGER, "p-bs-durant-2"])
def test_either_of_the_two_ends_it_and_nobody_else(world: World, by: str) -> None:
    delegation = delegates(world, MANAGER, "p-bs-durant-2")
    with pytest.raises(Refused, match="has no delegation"):
        world.says("p-ed", EndDelegation(delegation=delegation), "delegation")
    world.says(by, EndDelegation(delegation=delegation), "delegation")
    with pytest.raises(Refused, match="only the Branch Manager"):
        grants(world, "p-bs-durant-2")


def test_a_delegate_who_left_decides_nothing(world: World) -> None:
    delegates(world, MANAGER, "p-bs-durant-2")
    world.hr_says("p-bs-durant-2", active=False)
    with pytest.raises(Refused, match="PR-5"):
        grants(world, "p-bs-durant-2")


@pytest.mark.parametrize(("giver", "to"), [("p-bs-west-left", HOLDER), (MANAGER, "p-bs-west-left")])
def test_neither_giver_nor_delegate_may_be_gone(world: World, giver: str, to: str) -> None:
    with pytest.raises(Refused, match="not an active employee"):
        delegates(world, giver, to)
