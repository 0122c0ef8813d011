from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.delegation import Delegate
from domain.directory import DeclareFriendsRole
from domain.facts import Refused
from domain.in_force import Scope
from domain.posting_rights import Stage
from domain.posting_rights_messages import (
    AmendRequest,
    AskForChanges,
    GrantRights,
    MeetCondition,
    RefuseRights,
    ReinstateRights,
    RequestRights,
    RevokeRights,
    SuspendRights,
    WithdrawRequest,
)
from domain.requests import Condition
from tests.domain.world import DURANT, OPERATOR, WEST, World, names, sealed

CASE = "posting_rights-00000000-0000-0000-0000-000000000001"
OTHER = "posting_rights-00000000-0000-0000-0000-000000000002"
HOLDER, MANAGER, CLERK, DIRECTOR = "p-bs-durant-1", "p-bm-durant", "p-hq-clerk", "p-ed"


@pytest.fixture
def world() -> World:
    world = World()
    world.has_account()
    return world


def asks(world: World, by: str = HOLDER, case: str = CASE, **asked: Any) -> list[str]:
    wanted: dict[str, Any] = {"accounts": ("facebook:DurantLibrary",), "purpose": sealed()}
    return names(world.says(by, RequestRights(**(wanted | asked)), case))


def grants(world: World, by: str = MANAGER, case: str = CASE, **more: Any) -> list[str]:
    return names(world.says(by, GrantRights(content=world.state(case).content, **more), case))


def granted(world: World, **asked: Any) -> World:
    asks(world, **asked)
    grants(world)
    return world


def refused(clause: str, *words: str) -> Any:
    return pytest.raises(Refused, match=rf"(?s){re.escape(clause)}.*{'.*'.join(map(re.escape, words))}")


# ---- asking and deciding


def test_branch_staff_ask_their_own_branchs_manager(world: World) -> None:
    assert asks(world) == ["RightsRequested", "Asked"]
    state = world.state(CASE)
    assert (state.stage, state.waiting.persons, state.asked_for.accounts) == (
        Stage.APPROVER_REVIEW, (MANAGER,), (DURANT,)
    )  # fmt: skip


def test_headquarters_staff_ask_the_executive_director(world: World) -> None:
    asks(world, by=CLERK)
    assert world.state(CASE).waiting.persons == (DIRECTOR,)
    with refused("PR-5", "only the Executive Director"):
        grants(world, by="p-mac")
    assert grants(world, by=DIRECTOR) == ["RightsGranted"]


def test_a_vacant_managers_post_goes_to_the_executive_director(world: World) -> None:
    world.hr_says(MANAGER, active=False)
    asks(world)
    assert world.state(CASE).waiting.persons == (DIRECTOR,)
    assert grants(world, by=DIRECTOR) == ["RightsGranted"]


@pytest.mark.parametrize("by", [MANAGER, "p-mac", "p-ysc", DIRECTOR])
def test_who_posts_by_role_is_told_that_they_already_may(world: World, by: str) -> None:
    with refused("PR-4", "you already may"):
        asks(world, by=by)


@pytest.mark.parametrize("by", ["p-board", "p-auditor", "p-bs-west-left", "p-nobody"])
def test_nobody_outside_the_active_staff_asks(world: World, by: str) -> None:
    with refused("PR-5", "not an active employee"):
        asks(world, by=by)


@pytest.mark.parametrize("by", [HOLDER, "p-bm-west", "p-bs-durant-2", "p-mac", DIRECTOR])
def test_nobody_but_the_own_branchs_manager_decides(world: World, by: str) -> None:
    asks(world)
    with refused("PR-5"):
        grants(world, by=by)


@pytest.mark.parametrize("months", [0, -1, 13, 1_200])
def test_a_term_of_none_or_a_hundred_years_is_refused(world: World, months: int) -> None:
    with refused("PR-5", f"{months} months are no term"):
        asks(world, months=months)


@pytest.mark.parametrize("months", [1, 12])
def test_a_term_within_the_policys_is_one(world: World, months: int) -> None:
    assert asks(world, months=months) == ["RightsRequested", "Asked"]


def test_an_account_that_does_not_exist_or_is_closed_is_refused(world: World) -> None:
    with refused("PR-5", "the library has no account account:facebook:nowhere"):
        asks(world, accounts=("facebook:nowhere",))
    world.closes(DURANT)
    with refused("PR-5", "is closed"):
        asks(world)


def test_an_account_that_closed_before_the_decision_is_refused_then(world: World) -> None:
    asks(world)
    world.closes(DURANT)
    with refused("PR-5", "is closed"):
        grants(world)


def test_a_friends_sites_administrator_is_refused_when_asking_and_when_granting(world: World) -> None:
    asks(world)
    world.does("directory", DeclareFriendsRole(person=HOLDER, administers=True), OPERATOR)
    with refused("PR-18", "Friends"):
        grants(world)
    with refused("PR-18", "Friends"):
        asks(world, case=OTHER)


def test_the_same_account_is_not_asked_for_twice_at_a_time(world: World) -> None:
    asks(world)
    with refused("PR-5", "asked for this account already"):
        asks(world, case=OTHER)
    world.says(HOLDER, WithdrawRequest(), CASE)
    assert asks(world, case=OTHER) == ["RightsRequested", "Asked"]


def test_a_decision_is_on_exactly_what_stands(world: World) -> None:
    asks(world)
    old = world.state(CASE).content
    world.says(HOLDER, AmendRequest(accounts=(DURANT,), months=3, purpose=sealed()), CASE)
    with refused("PR-5", "the request now reads"):
        world.says(MANAGER, GrantRights(content=old), CASE)
    assert grants(world) == ["RightsGranted"]


def test_changes_are_asked_and_made_and_decided_on(world: World) -> None:
    asks(world)
    changes = AskForChanges(content=world.state(CASE).content, reason=sealed())
    assert names(world.says(MANAGER, changes, CASE)) == ["ChangesAsked", "Asked"]
    assert world.state(CASE).waiting.persons == (HOLDER,)
    with refused("PR-5", "does not follow changes asked"):
        grants(world)
    amend = AmendRequest(accounts=(DURANT,), scope=Scope.REPLIES, purpose=sealed())
    assert names(world.says(HOLDER, amend, CASE)) == ["RequestAmended", "Asked"]
    assert grants(world) == ["RightsGranted"]


def test_a_request_is_refused_and_may_be_made_again(world: World) -> None:
    asks(world)
    world.says(MANAGER, RefuseRights(content=world.state(CASE).content, reason=sealed()), CASE)
    assert world.state(CASE).stage is Stage.REFUSED
    with refused("PR-5", "the case is over: refused"):
        grants(world)
    assert asks(world, case=OTHER) == ["RightsRequested", "Asked"]


def test_silence_grants_nothing_and_ends_in_expiry(world: World) -> None:
    asks(world)
    told = [names(world.time_passes(CASE, days=1)) for _ in range(31)]
    assert [each for day in told for each in day] == [
        "Reminded", "Reminded", "Escalated", "BecameOverdue", "RequestExpired"
    ]  # fmt: skip
    assert world.state(CASE).stage is Stage.UNDECIDED
    assert world.library().rights_of(HOLDER) == []


# ---- what is granted


def test_a_grant_names_accounts_scope_term_place_and_approver(world: World) -> None:
    granted(world, months=12)
    right = world.state(CASE).right
    assert (right.accounts, right.scope, right.place) == ((DURANT,), Scope.POSTS_AND_REPLIES, "durant")
    assert right.until.astimezone(UTC) == datetime(2027, 3, 2, 16, 0, tzinfo=UTC)
    assert right.renewal_from == right.until - timedelta(days=30)
    assert world.log[-1].envelope.actor.id == MANAGER
    assert world.log[-1].envelope.role == "branch_manager"


def test_the_last_day_of_a_longer_month_becomes_that_of_a_shorter(world: World) -> None:
    world.at = datetime(2026, 8, 31, 16, 0, tzinfo=UTC)
    granted(world, months=6)
    assert world.state(CASE).right.until.date().isoformat() == "2027-02-28"


def test_a_grant_may_be_less_than_was_asked_for_and_never_more(world: World) -> None:
    world.has_account(WEST, "west")
    asks(world, accounts=(DURANT, WEST), scope=Scope.POSTS, months=6)
    for more in (
        {"accounts": ("account:facebook:other",)},
        {"scope": Scope.POSTS_AND_REPLIES},
        {"scope": Scope.REPLIES},
        {"months": 7},
        {"months": 0},
    ):
        with refused("PR-5"):
            grants(world, **more)
    assert grants(world, accounts=(WEST,), months=1) == ["RightsGranted"]
    assert world.state(CASE).right.accounts == (WEST,)


def test_a_delegate_decides_and_both_persons_are_on_the_event(world: World) -> None:
    asks(world)
    window = {"since": world.at, "until": world.at + timedelta(days=7)}
    command = Delegate(to="p-bs-durant-2", processes=("posting_rights_branch",), reason=sealed(), **window)
    world.says(MANAGER, command, "delegation")
    assert grants(world, by="p-bs-durant-2") == ["RightsGranted"]
    envelope = world.log[-1].envelope
    assert (envelope.actor.id, envelope.on_behalf_of, envelope.role) == ("p-bs-durant-2", MANAGER, "branch_manager")


def test_a_delegate_is_never_the_requester(world: World) -> None:
    asks(world)
    window = {"since": world.at, "until": world.at + timedelta(days=7)}
    world.says(MANAGER, Delegate(to=HOLDER, processes=("*",), reason=sealed(), **window), "delegation")
    with refused("PR-5", "nobody decides on their own request"):
        grants(world, by=HOLDER)


def test_conditions_are_tracked_to_closure(world: World) -> None:
    asks(world)
    grants(world, conditions=(Condition(id="training", what=sealed()),))
    (right,) = world.library().rights_of(HOLDER)
    assert right.conditions == ("training",)
    with refused("PR-5", "no condition other"):
        world.says(MANAGER, MeetCondition(condition="other"), CASE)
    assert names(world.says(MANAGER, MeetCondition(condition="training"), CASE)) == ["ConditionMet"]
    (right,) = world.library().rights_of(HOLDER)
    assert right.conditions == ()
    with refused("PR-5", "no condition training is open"):
        world.says(MANAGER, MeetCondition(condition="training"), CASE)


def test_a_right_is_suspended_reinstated_and_revoked_by_who_decides(world: World) -> None:
    granted(world)
    with refused("PR-5", "only the Branch Manager"):
        world.says("p-bm-west", SuspendRights(reason=sealed()), CASE)
    world.says(MANAGER, SuspendRights(reason=sealed()), CASE)
    assert world.state(CASE).stage is Stage.SUSPENDED
    with refused("PR-5", "does not follow suspended"):
        world.says(MANAGER, SuspendRights(reason=sealed()), CASE)
    world.says(MANAGER, ReinstateRights(reason=sealed()), CASE)
    assert world.state(CASE).stage is Stage.GRANTED
    world.says(MANAGER, RevokeRights(reason=sealed()), CASE)
    assert (world.state(CASE).stage, world.state(CASE).ended) == (Stage.ENDED, "revoked")
    assert world.library().rights_of(HOLDER) == []


def test_who_has_a_right_is_told_so_until_renewal_opens(world: World) -> None:
    granted(world)
    until = world.state(CASE).right.until
    world.at = until - timedelta(days=30, seconds=1)
    with refused("PR-5", "you already may, until 2027-03-02"):
        asks(world, case=OTHER)
    world.at = until - timedelta(days=30)
    assert asks(world, case=OTHER) == ["RightsRequested", "Asked"]


# ---- how it ends


def test_renewal_is_asked_once_ahead_and_the_right_expires_at_its_moment(world: World) -> None:
    granted(world)
    right = world.state(CASE).right
    world.at = right.renewal_from - timedelta(seconds=1)
    assert world.time_passes(CASE) == ()
    assert world.state(CASE).next_due() == right.renewal_from
    assert names(world.time_passes(CASE, seconds=1)) == ["RenewalAsked", "Asked"]
    assert world.state(CASE).waiting.persons == (HOLDER,)
    world.at = right.until - timedelta(seconds=1)
    assert world.time_passes(CASE) == ()
    assert world.state(CASE).next_due() == right.until
    assert names(world.time_passes(CASE, seconds=1)) == ["RightsExpired"]
    assert world.state(CASE).ended == "expired"


def test_a_suspended_right_expires_all_the_same(world: World) -> None:
    granted(world, months=1)
    world.says(MANAGER, SuspendRights(reason=sealed()), CASE)
    world.at = world.state(CASE).right.until
    with refused("PR-5", "term is over"):
        world.says(MANAGER, ReinstateRights(reason=sealed()), CASE)
    assert names(world.time_passes(CASE)) == ["RightsExpired"]


@pytest.mark.parametrize(
    ("changed", "ended", "fact"),
    [
        ({"active": False}, "lapsed", "RightsLapsed"),
        ({"branch": "west"}, "lapsed", "RightsLapsed"),
        ({"position": "Branch Manager"}, "superseded by role", "RightsSuperseded"),
        ({"branch": "west", "position": "Branch Manager"}, "superseded by role", "RightsSuperseded"),
    ],
)
@pytest.mark.parametrize("suspended", [False, True])
def test_a_right_ends_at_once_with_what_hr_says_of_its_holder(
    world: World, changed: dict[str, Any], ended: str, fact: str, suspended: bool
) -> None:
    granted(world)
    if suspended:
        world.says(MANAGER, SuspendRights(reason=sealed()), CASE)
    world.hr_says(HOLDER, **changed)
    assert names(world.looks_again(CASE)) == [fact]
    assert (world.state(CASE).stage, world.state(CASE).ended) == (Stage.ENDED, ended)
    assert world.looks_again(CASE) == ()


@pytest.mark.parametrize("changed", [{"name": "Another name"}, {"position": "Library Clerk"}, {"supervisor": None}])
def test_a_change_that_matters_not_leaves_the_right_alone(world: World, changed: dict[str, Any]) -> None:
    granted(world)
    world.hr_says(HOLDER, **changed)
    assert world.looks_again(CASE) == ()


def test_a_rehired_holder_has_no_old_right(world: World) -> None:
    granted(world)
    world.hr_says(HOLDER, active=False)
    world.looks_again(CASE)
    world.hr_says(HOLDER, active=True)
    assert world.looks_again(CASE) == ()
    assert world.library().rights_of(HOLDER) == []


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ({"active": False}, {"active": True}),
        ({"branch": "west"}, {"branch": "durant"}),
        ({"position": "Branch Manager"}, {"position": "Library Clerk"}),
    ],
)
def test_a_holder_who_is_back_before_anyone_looked_has_no_right_either(
    world: World, away: dict[str, Any], back: dict[str, Any]
) -> None:
    granted(world)
    world.hr_says(HOLDER, **away)
    world.hr_says(HOLDER, **back)
    assert names(world.looks_again(CASE)) == ["RightsLapsed"]


def test_a_position_that_gives_no_role_to_post_by_leaves_the_right_alone_though_it_was_held_for_a_moment(
    world: World,
) -> None:
    granted(world)
    world.hr_says(HOLDER, position="Library Clerk")
    world.hr_says(HOLDER, position="Library Assistant")
    assert world.looks_again(CASE) == ()


def test_a_requester_who_is_back_before_anyone_looked_has_to_ask_again(world: World) -> None:
    asks(world)
    world.at += timedelta(minutes=1)
    world.hr_says(HOLDER, active=False)
    world.hr_says(HOLDER, active=True)
    assert names(world.looks_again(CASE)) == ["RequestWithdrawn"]
    world.at += timedelta(minutes=1)
    asks(world, case=OTHER)
    assert world.looks_again(OTHER) == ()


def test_a_right_over_closed_accounts_alone_lapses(world: World) -> None:
    world.has_account(WEST, "west")
    granted(world, accounts=(DURANT, WEST))
    world.closes(DURANT)
    assert world.looks_again(CASE) == ()
    world.closes(WEST)
    assert names(world.looks_again(CASE)) == ["RightsLapsed"]


def test_an_approver_who_leaves_takes_no_task_with_them(world: World) -> None:
    asks(world)
    world.hr_says(MANAGER, active=False)
    assert names(world.looks_again(CASE)) == ["TaskRerouted"]
    assert world.state(CASE).waiting.persons == (DIRECTOR,)
    with refused("PR-5"):
        grants(world, by=MANAGER)


def test_a_requester_who_moves_is_decided_on_by_the_new_branchs_manager(world: World) -> None:
    asks(world)
    world.hr_says(HOLDER, branch="west")
    assert names(world.looks_again(CASE)) == ["TaskRerouted"]
    with refused("PR-5"):
        grants(world, by=MANAGER)
    assert grants(world, by="p-bm-west") == ["RightsGranted"]
    assert world.state(CASE).right.place == "west"


@pytest.mark.parametrize("changed", [{"active": False}, {"position": "Branch Manager"}])
def test_a_request_ends_when_its_requester_leaves_or_posts_by_role(world: World, changed: dict[str, Any]) -> None:
    asks(world)
    world.hr_says(HOLDER, **changed)
    (fact,) = world.looks_again(CASE)
    assert (names((fact,)), bool(fact.cause)) == (["RequestWithdrawn"], True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stage", [each for each in Stage if each is not Stage.NOT_REQUESTED])
def test_every_command_at_every_stage_is_decided_or_refused_with_its_clause(world: World, stage: Stage) -> None:
    state = granted(world).state(CASE).but(stage=stage)
    for command in (SuspendRights, ReinstateRights, RevokeRights, AskForChanges, RefuseRights, WithdrawRequest):
        fields = {"reason": sealed()} | ({"content": state.content} if "content" in command.model_fields else {})
        by = HOLDER if command is WithdrawRequest else MANAGER
        told = decide_at(world, state, command(**fields), by)
        assert told if isinstance(told, tuple) else (told.clauses == ("PR-5",) and told.remedy)


def decide_at(world: World, state: Any, command: Any, by: str) -> Any:
    from domain.facts import Act, Actor, ActorKind, Channel
    from domain.posting_rights import decide

    act = Act(command, "x", CASE, Actor(kind=ActorKind.PERSON, id=by), world.at, Channel.API, "a test")
    try:
        return decide(act, state, world.library()).facts
    except Refused as refusal:
        return refusal
