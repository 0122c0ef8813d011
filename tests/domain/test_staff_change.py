from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.delegation import Delegate
from domain.directory import OfPerson
from domain.facts import Refused
from domain.policy import policy_hash
from domain.policy_adoption import PolicyAdopted
from domain.staff_change import Stage, change_of
from domain.staff_change_messages import (
    Change,
    Consequence,
    FollowStaffChange,
    ReportStaffChange,
    SeatAdministrator,
    StaffChangeReported,
)
from domain.waiting import LetTimePass
from tests.domain.world import DURANT, MONDAY, TIMER, WEST, World, names, sealed
from tests.system import POLICY

MANAGER, COORDINATOR, OTHER_COORDINATOR = "p-bm-durant", "p-mac", "p-ysc"


@pytest.fixture
def world() -> World:
    world = World()
    world.has_account()
    return world


def follows(world: World, person: str, **changed: Any) -> tuple[str, list[str]]:
    """HR says something, and its case begins."""
    fact, _ = world.hr_says(person, **changed)
    assert isinstance(fact, OfPerson)
    change, case = change_of(fact), f"staff_change-{uuid4()}"
    assert change is not None
    event = world.log[-2].envelope.event_id
    from_place = getattr(fact, "from_branch", "")
    command = FollowStaffChange(person=person, change=change, event=event, log_position=1, from_place=from_place)
    return case, names(world.does(case, command, TIMER))


def reports(world: World, case: str, *consequences: Consequence) -> StaffChangeReported:
    (fact,) = world.does(case, ReportStaffChange(consequences=consequences), TIMER)
    assert isinstance(fact, StaffChangeReported)
    return fact


def refused(clause: str, *words: str) -> Any:
    return pytest.raises(Refused, match=rf"(?s){re.escape(clause)}.*{'.*'.join(map(re.escape, words))}")


def test_a_leavers_seat_is_vacated_credentials_are_listed_and_the_breach_opens_a_remedy(world: World) -> None:
    case, facts = follows(world, MANAGER, active=False)
    assert facts == ["StaffChangeFollowed", "AdministratorLeft", "CredentialsToRotate", "RemedyOpened", "Asked"]
    account = world.library().account(DURANT)
    assert account
    assert account.administrators == (COORDINATOR,)
    report = reports(world, case)
    assert report.also_to == ("human.resources@example.org",)
    assert (report.told, report.seats_vacated, report.credentials, report.remedies) == (
        ("p-ed",), (DURANT,), (DURANT,), (DURANT,)
    )  # fmt: skip
    assert world.state(case).stage is Stage.REMEDY


def test_hr_without_an_address_gets_no_letter(world: World) -> None:
    text = POLICY.read_text(encoding="utf-8")
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("hr_email"))
    fact = PolicyAdopted(version="2026-2", effective=MONDAY.date(), sha256=policy_hash(text), text=text)
    world.record("policy_adoption", [fact])
    case, _ = follows(world, MANAGER, active=False)
    assert reports(world, case).also_to == ()


def test_hr_is_never_held_up_by_a_breach(world: World) -> None:
    for person in (MANAGER, COORDINATOR, OTHER_COORDINATOR, "p-ed"):
        assert names(world.hr_says(person, active=False)) == ["PersonLeft", "StaffImported"]


def test_an_account_that_keeps_enough_needs_no_remedy(world: World) -> None:
    world.has_account(WEST, "west", COORDINATOR, OTHER_COORDINATOR, "p-bm-west")
    case, facts = follows(world, "p-bm-west", active=False)
    assert facts == ["StaffChangeFollowed", "AdministratorLeft", "CredentialsToRotate"]
    reports(world, case)
    assert world.state(case).stage is Stage.DONE


def test_the_last_coordinators_leaving_is_a_breach_though_two_remain(world: World) -> None:
    world.has_account(WEST, "west", COORDINATOR, MANAGER, "p-bm-west")
    case, _ = follows(world, COORDINATOR, active=False)
    opened = [fact for fact in world.streams[case] if fact.envelope.kind == "staff_change.RemedyOpened"]
    assert [each.envelope.fact["because"] for each in opened] == [
        "1 of at least 2 administrators", "no administrator is one of the two coordinators"
    ]  # fmt: skip


def test_a_coordinator_who_changes_position_breaks_pr_7_without_leaving_a_seat(world: World) -> None:
    case, facts = follows(world, COORDINATOR, position="Headquarters Clerk")
    assert facts == ["StaffChangeFollowed", "RemedyOpened", "Asked"]
    assert world.state(case).waiting.persons == (OTHER_COORDINATOR,)


def test_a_remedy_is_reminded_of_escalated_and_overdue_after_its_ten_business_days_and_never_expires(
    world: World,
) -> None:
    case, _ = follows(world, MANAGER, active=False)
    reports(world, case)
    told = [name for _ in range(60) for name in names(world.time_passes(case, days=1))]
    assert told == ["Reminded", "Reminded", "Escalated", "BecameOverdue"]
    assert world.state(case).stage is Stage.REMEDY


def test_headquarters_seats_an_administrator_and_the_remedy_is_done(world: World) -> None:
    case, _ = follows(world, MANAGER, active=False)
    reports(world, case)
    seat = SeatAdministrator(account=DURANT, person="p-bs-durant-1")
    with refused("PR-7", "only headquarters"):
        world.says("p-bm-west", seat, case)
    with refused("PR-7", "administers", "already"):
        world.says(OTHER_COORDINATOR, SeatAdministrator(account=DURANT, person=COORDINATOR), case)
    with refused("PR-7", "not of the active staff"):
        world.says(OTHER_COORDINATOR, SeatAdministrator(account=DURANT, person=MANAGER), case)
    with refused("PR-7", "not to be mended"):
        world.says(OTHER_COORDINATOR, SeatAdministrator(account=WEST, person="p-bs-durant-1"), case)
    assert names(world.says(OTHER_COORDINATOR, seat, case)) == ["AdministratorSeated", "RemedyClosed"]
    assert world.state(case).stage is Stage.DONE
    account = world.library().account(DURANT)
    assert account
    assert account.administrators == (COORDINATOR, "p-bs-durant-1")


def test_seating_someone_who_is_no_coordinator_leaves_the_remedy_open_where_that_is_missing(world: World) -> None:
    case, _ = follows(world, COORDINATOR, active=False)
    reports(world, case)
    seated = names(world.says("p-hq-clerk", SeatAdministrator(account=DURANT, person="p-bs-durant-1"), case))
    assert seated == ["AdministratorSeated"]
    seated = names(world.says("p-hq-clerk", SeatAdministrator(account=DURANT, person=OTHER_COORDINATOR), case))
    assert seated == ["AdministratorSeated", "RemedyClosed"]


def test_a_remedy_made_elsewhere_is_done_here_too(world: World) -> None:
    first, _ = follows(world, MANAGER, active=False)
    second, _ = follows(world, COORDINATOR, active=False)
    for case in (first, second):
        reports(world, case)
    for person in ("p-bs-durant-1", OTHER_COORDINATOR):
        world.says("p-hq-clerk", SeatAdministrator(account=DURANT, person=person), first)
    assert names(world.looks_again(second)) == ["RemedyClosed"]
    assert world.state(second).stage is Stage.DONE


def test_a_closed_account_needs_no_remedy_any_longer(world: World) -> None:
    case, _ = follows(world, MANAGER, active=False)
    reports(world, case)
    world.closes(DURANT)
    assert names(world.looks_again(case)) == ["RemedyClosed"]


def test_a_planned_departure_is_looked_at_ahead_and_carried_out_on_its_day(world: World) -> None:
    case, facts = follows(world, MANAGER, end=date(2026, 3, 13))
    assert facts == ["StaffChangeFollowed", "DepartureAhead"]
    report = reports(world, case)
    assert (report.told, report.last_day, report.in_breach_then) == (("p-ed",), date(2026, 3, 13), (DURANT,))
    state = world.state(case)
    assert (state.stage, state.next_due().isoformat()) == (Stage.AHEAD, "2026-03-14T05:00:00+00:00")
    world.at = state.next_due() - timedelta(seconds=1)
    assert world.does(case, LetTimePass(), TIMER) == ()
    world.at = state.next_due()
    assert names(world.does(case, LetTimePass(), TIMER)) == [
        "DepartureCame", "AdministratorLeft", "CredentialsToRotate", "RemedyOpened", "Asked"
    ]  # fmt: skip
    assert reports(world, case).seats_vacated == (DURANT,)
    assert world.state(case).stage is Stage.REMEDY


@pytest.mark.parametrize("changed", [{"end": None}, {"end": date(2026, 4, 1)}, {"active": False}])
def test_a_planned_departure_that_hr_changes_is_off_the_record_of_its_case(
    world: World, changed: dict[str, Any]
) -> None:
    case, _ = follows(world, MANAGER, end=date(2026, 3, 13))
    reports(world, case)
    world.hr_says(MANAGER, **changed)
    assert names(world.looks_again(case)) == ["DepartureOffRecord"]
    assert world.state(case).stage is Stage.DONE


def test_who_is_back_before_anyone_looked_has_no_seat_either(world: World) -> None:
    world.hr_says(MANAGER, active=False)
    world.hr_says(MANAGER, active=True)
    command = FollowStaffChange(person=MANAGER, change=Change.LEFT, event="x", log_position=1)
    assert "AdministratorLeft" in names(world.does(f"staff_change-{uuid4()}", command, TIMER))


def test_who_returns_gets_no_seat_back(world: World) -> None:
    follows(world, MANAGER, active=False)
    _, facts = follows(world, MANAGER, active=True)
    assert facts == ["StaffChangeFollowed"]
    account = world.library().account(DURANT)
    assert account
    assert MANAGER not in account.administrators


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        ({"active": False}, Change.LEFT),
        ({"branch": "west"}, Change.MOVED),
        ({"position": "Library Clerk"}, Change.MOVED),
        ({"end": date(2026, 12, 31)}, Change.CHANGED),
        ({"name": "Another name"}, None),
        ({"work_email": "other@example.org"}, None),
    ],
)
def test_a_change_is_followed_where_something_can_follow(
    world: World, changed: dict[str, Any], change: Change | None
) -> None:
    fact, _ = world.hr_says(MANAGER, **changed)
    assert isinstance(fact, OfPerson)
    assert change_of(fact) is change


def test_a_person_cannot_begin_follow_or_report_a_change(world: World) -> None:
    command = FollowStaffChange(person=MANAGER, change=Change.LEFT, event="x", log_position=1)
    with refused("PR-4", "followed by the system"):
        world.says("p-ed", command, f"staff_change-{uuid4()}")


def test_a_leavers_delegations_lapse_given_and_taken(world: World) -> None:
    window = {"since": world.at, "until": world.at + timedelta(days=9)}
    world.says(MANAGER, Delegate(to="p-bs-durant-1", processes=("*",), reason=sealed(), **window), "delegation")
    world.says("p-ed", Delegate(to=MANAGER, processes=("*",), reason=sealed(), **window), "delegation")
    world.says("p-ed", Delegate(to="p-ysc", processes=("*",), reason=sealed(), **window), "delegation")
    world.hr_says(MANAGER, active=False)
    assert names(world.looks_again("delegation")) == ["DelegationLapsed", "DelegationLapsed"]
    assert [each.to for each in world.library().delegations()] == ["p-ysc"]
    assert world.looks_again("delegation") == ()


def who_stand_in(world: World) -> list[str]:
    return [each.to for each in world.library().delegations() if not world.library().left_behind(each.delegation)]


@pytest.mark.parametrize("changed", [{"branch": "west"}, {"position": "Library Clerk"}, {"active": False}])
@pytest.mark.parametrize("back", [False, True])
def test_what_a_mover_gave_ends_with_the_place_or_role_it_rested_on_though_they_be_back_by_now(
    world: World, changed: dict[str, Any], back: bool
) -> None:
    window = {"since": world.at, "until": world.at + timedelta(days=9)}
    before = world.register.people[MANAGER]
    world.says(MANAGER, Delegate(to="p-bs-durant-1", processes=("*",), reason=sealed(), **window), "delegation")
    world.says("p-ed", Delegate(to="p-ysc", processes=("*",), reason=sealed(), **window), "delegation")
    world.hr_says(MANAGER, **changed)
    if back:
        world.hr_says(MANAGER, **{name: getattr(before, name) for name in changed})
    assert who_stand_in(world) == ["p-ysc"]
    assert world.library().stands_in_for("p-bs-durant-1", "posting_rights_branch") == ()
    (lapsed,) = world.looks_again("delegation")
    assert (type(lapsed).__name__, getattr(lapsed, "left", "")) == ("DelegationLapsed", MANAGER)
    assert world.looks_again("delegation") == ()


@pytest.mark.parametrize("changed", [{"name": "Another"}, {"position": "Librarian/Branch Manager"}, {"hours": "Mon"}])
def test_who_keeps_place_and_roles_keeps_what_they_gave(world: World, changed: dict[str, Any]) -> None:
    window = {"since": world.at, "until": world.at + timedelta(days=9)}
    world.says(MANAGER, Delegate(to="p-bs-durant-1", processes=("*",), reason=sealed(), **window), "delegation")
    world.hr_says(MANAGER, **changed)
    assert world.looks_again("delegation") == ()
    assert who_stand_in(world) == ["p-bs-durant-1"]


def test_a_delegate_who_moves_still_stands_in_for_whoever_asked_them(world: World) -> None:
    window = {"since": world.at, "until": world.at + timedelta(days=9)}
    world.says(MANAGER, Delegate(to="p-bs-durant-1", processes=("*",), reason=sealed(), **window), "delegation")
    world.hr_says("p-bs-durant-1", branch="west")
    assert world.looks_again("delegation") == ()
