"""When the library is open: who closes what, and a calendar that leaves every place an opening."""

from __future__ import annotations

from datetime import date, time
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.calendar import Calendar, Closure, HolidayRule, WeeklyHours
from domain.clauses import PR_8
from domain.directory import DeclareFriendsRole
from domain.facts import Actor
from domain.opening_hours import AdoptCalendar, BranchClosed, CalendarAdopted, CloseBranch, ClosureLifted, LiftClosure
from domain.policy_adoption import AdoptPolicy
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    DIRECTOR,
    ELSEWHERE,
    LEFT,
    MANAGER,
    MARKETING,
    OPERATOR,
    POLICY,
    POLICY_TEXT,
    founded,
    unfounded,
)

STORM = date(2026, 3, 3)


def close(place: str = "durant", **part: Any) -> CloseBranch:
    return CloseBranch(place=place, day=STORM, because="Storm", **part)


def calendar(**changed: Any) -> AdoptCalendar:
    return AdoptCalendar(calendar=POLICY.calendar.model_copy(update=changed))


def test_a_manager_closes_the_own_branch() -> None:
    house = founded()
    (fact,) = house.does(close(), MANAGER, "opening_hours")
    assert fact == BranchClosed(closure=Closure(id=str(UUID(int=5)), place="durant", day=STORM, reason="Storm"))
    assert fact.touches() == ("calendar",)
    assert not house.library().calendar.is_open_day("durant", STORM)
    assert house.library().calendar.is_open_day("winona", STORM)


@pytest.mark.parametrize("place", ["durant", "hq", "*"])
def test_the_executive_director_closes_any_place_and_every_place(place: str) -> None:
    assert founded().does(close(place), DIRECTOR, "opening_hours")


@pytest.mark.parametrize("sender", [ELSEWHERE, ASSISTANT, MARKETING, BOARD, AUDITOR, LEFT, OPERATOR])
def test_nobody_else_closes_it(sender: str | Actor) -> None:
    refused = founded().refuses(close(), sender, "opening_hours")
    assert refused.clauses == (PR_8,)
    assert refused.remedy == "the Executive Director, or for one branch its Branch Manager, closes it"


def test_a_manager_does_not_close_every_place() -> None:
    assert founded().refuses(close("*"), MANAGER, "opening_hours").clauses == (PR_8,)


def test_a_place_that_is_not_there_cannot_be_closed() -> None:
    refused = founded().refuses(close("jackson"), DIRECTOR, "opening_hours")
    assert refused.because == "there is no place jackson"
    assert "durant" in refused.remedy


def test_a_part_of_a_day_can_be_closed() -> None:
    house = founded()
    house.does(close(from_time=time(12)), MANAGER, "opening_hours")
    ((opens, closes),) = house.library().calendar.openings("durant", STORM)
    assert (opens.hour, closes.hour) == (10, 12)


@pytest.mark.parametrize(
    ("part", "because"),
    [
        ({"from_time": time(12), "to_time": time(12)}, "the closure ends before it begins"),
        ({"from_time": time(13), "to_time": time(12)}, "the closure ends before it begins"),
        ({"to_time": time(0)}, "the closure ends before it begins"),
        ({"from_time": time.max}, "the closure ends before it begins"),
        ({"from_time": "12:00Z"}, "without a zone"),
        ({"to_time": "12:00+01:00"}, "without a zone"),
    ],
)
def test_a_closure_runs_forward_in_wall_time(part: dict[str, Any], because: str) -> None:
    with pytest.raises(ValidationError, match=because):
        CloseBranch.model_validate({"place": "durant", "day": STORM, "because": "Storm"} | part)


def test_a_minute_is_long_enough() -> None:
    assert founded().does(close(from_time=time(12), to_time=time(12, 1)), MANAGER, "opening_hours")


@pytest.mark.parametrize("sender", [MANAGER, DIRECTOR])
def test_a_closure_is_lifted_by_who_could_have_made_it(sender: str) -> None:
    house = founded()
    (closed,) = house.does(close(), MANAGER, "opening_hours")
    assert isinstance(closed, BranchClosed)
    lift = LiftClosure(closure=closed.closure.id, because="The storm passed")
    assert house.refuses(lift, ELSEWHERE, "opening_hours").clauses == (PR_8,)
    assert house.does(lift, sender, "opening_hours") == [
        ClosureLifted(closure=closed.closure.id, because="The storm passed")
    ]
    assert house.library().calendar.is_open_day("durant", STORM)
    assert house.refuses(lift, sender, "opening_hours").because == f"there is no closure {closed.closure.id}"


def test_the_operator_adopts_the_first_calendar_and_the_executive_director_every_other() -> None:
    house = unfounded()
    house.does(AdoptPolicy(text=POLICY_TEXT), OPERATOR, "policy_adoption")
    assert house.does(calendar(), OPERATOR, "opening_hours") == [CalendarAdopted(calendar=POLICY.calendar)]
    refused = founded().refuses(calendar(), OPERATOR, "opening_hours")
    assert refused.because == "only the Executive Director may adopt a calendar"
    assert founded().does(calendar(), DIRECTOR, "opening_hours")
    assert founded().refuses(calendar(), MANAGER, "opening_hours").clauses == (PR_8,)


def test_a_calendar_has_hours_for_every_place() -> None:
    hours = {place: each for place, each in POLICY.calendar.hours.items() if place != "west"}
    refused = founded().refuses(calendar(hours=hours | {"durant": WeeklyHours()}), DIRECTOR, "opening_hours")
    assert refused.clauses == (PR_8,)
    assert refused.because == "no opening to come for durant, west"


def test_a_calendar_closed_for_years_to_come_is_refused() -> None:
    closures = tuple(Closure(id=f"c-{n}", place="west", day=date.fromordinal(n), reason="x") for n in days(4 * 366))
    refused = founded().refuses(calendar(closures=closures), DIRECTOR, "opening_hours")
    assert refused.because == "no opening to come for west"
    assert founded().does(calendar(closures=closures[:366]), DIRECTOR, "opening_hours")


def days(many: int) -> range:
    return range(STORM.toordinal() - 10, STORM.toordinal() + many)


@pytest.mark.parametrize(
    ("rule", "because"),
    [
        ({"country": "XX"}, "XX"),
        ({"subdivision": "XX"}, "XX"),
        ({"removed": ("Doomsday",)}, "no holiday is named Doomsday"),
    ],
)
def test_the_holidays_of_a_calendar_are_known(rule: dict[str, Any], because: str) -> None:
    holidays = HolidayRule.model_validate(POLICY.calendar.holidays.model_dump() | rule)
    with_these = Calendar(timezone="America/Chicago", holidays=holidays, hours=POLICY.calendar.hours)
    refused = founded().refuses(AdoptCalendar(calendar=with_these), DIRECTOR, "opening_hours")
    assert refused.clauses == (PR_8,)
    assert because in refused.because


def test_before_any_policy_no_calendar_is_adopted() -> None:
    assert unfounded().refuses(calendar(), OPERATOR, "opening_hours").because == "no policy has been adopted"


def test_another_step_is_none_of_the_calendar() -> None:
    other = DeclareFriendsRole(person=MANAGER, administers=True)
    assert founded().refuses(other, DIRECTOR, "opening_hours").clauses == (PR_8,)
