"""Waiting in business time: each moment once, for whoever is asked now; nothing is approved by silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from domain.account_creation import Stage
from domain.account_creation_messages import RequestExpired, RequestWithdrawn
from domain.calendar import Closure
from domain.clauses import PR_2, PR_3, PR_7, PR_8
from domain.opening_hours import CloseBranch, LiftClosure
from domain.policy import Role
from domain.waiting import (
    Asked,
    BecameOverdue,
    Due,
    DueMomentsReissued,
    Escalated,
    Reminded,
    TaskRerouted,
)
from tests.domain.cases import (
    ACCOUNT,
    AT,
    ESCALATION,
    EXPIRY,
    FIRST_REMINDER,
    ONE_SECOND,
    OPEN_STAGES,
    OVERDUE,
    SECOND_REMINDER,
    THOSE_WHO_MAKE_IT,
    TO_DECIDE,
    TO_SET_UP,
    TO_VERIFY,
    amended,
    approval,
    being_set_up,
    changes,
    due,
    in_review,
    in_verification,
    lets,
    sent_back,
    under,
)
from tests.domain.house import (
    ASSISTANT,
    BOARD,
    CLERK_ELSEWHERE,
    DIRECTOR,
    MANAGER,
    MARKETING,
    MONDAY,
    OTHER_CASE,
    POLICY_TEXT,
    YOUTH,
    House,
    a_request,
    at,
    founded,
)

# ---- time

REMINDED_ONCE = Reminded(nth=1, persons=(DIRECTOR,), to=TO_DECIDE)
REMINDED_TWICE = Reminded(nth=2, persons=(DIRECTOR,), to=TO_DECIDE)
ESCALATED = Escalated(role=Role.BOARD_DELEGATE, persons=(BOARD,), to=TO_DECIDE)
OVERDUE_NOW = BecameOverdue(persons=(DIRECTOR,), to=TO_DECIDE)
EXPIRED = RequestExpired(account=ACCOUNT)
EACH_MOMENT = [
    (FIRST_REMINDER, [], REMINDED_ONCE),
    (SECOND_REMINDER, [REMINDED_ONCE], REMINDED_TWICE),
    (ESCALATION, [REMINDED_ONCE, REMINDED_TWICE], ESCALATED),
    (OVERDUE, [REMINDED_ONCE, REMINDED_TWICE, ESCALATED], OVERDUE_NOW),
    (EXPIRY, [REMINDED_ONCE, REMINDED_TWICE, ESCALATED, OVERDUE_NOW], EXPIRED),
]


@pytest.mark.parametrize(("moment", "before", "then"), EACH_MOMENT)
def test_each_moment_makes_its_fact_at_that_second_and_once(moment: datetime, before: list[Any], then: Any) -> None:
    house = in_review().comes(moment - ONE_SECOND)
    assert house.time_passes() == before
    assert house.comes(moment).time_passes() == [then]
    assert house.comes(moment + ONE_SECOND).time_passes() == []


def test_moments_that_nobody_looked_at_become_facts_in_their_order() -> None:
    assert in_review().comes(EXPIRY + timedelta(days=9)).time_passes() == [
        REMINDED_ONCE, REMINDED_TWICE, ESCALATED, OVERDUE_NOW, EXPIRED,
    ]  # fmt: skip


def test_after_the_expiry_nothing_more_happens_whatever_else_was_due() -> None:
    house = under(POLICY_TEXT, expire_after_days=3).requested().comes(OVERDUE)
    assert house.time_passes() == [REMINDED_ONCE, EXPIRED]


def test_moments_are_kept_in_one_time_zone() -> None:
    for house in (in_review(), sent_back()):
        wait = house.case().waiting
        assert wait
        assert {each.at.tzinfo for each in wait.due} == {UTC}


def test_after_a_decision_nobody_is_reminded_of_it() -> None:
    house = sent_back().comes(OVERDUE)
    assert house.time_passes() == []


@pytest.mark.parametrize("ended", [Stage.OPEN, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED])
def test_after_the_end_time_makes_nothing(ended: Stage) -> None:
    assert AT[ended]().comes(EXPIRY + timedelta(days=99)).time_passes() == []


def test_silence_approves_nothing() -> None:
    house = in_review().comes(EXPIRY)
    house.time_passes()
    assert house.case().stage is Stage.EXPIRED
    assert house.refuses(approval(house), DIRECTOR).because == "the case has ended: expired"


def test_changes_asked_expire_after_thirty_days_without_a_reminder() -> None:
    house = sent_back().comes(EXPIRY - ONE_SECOND)
    assert house.time_passes() == []
    assert house.comes(EXPIRY).time_passes() == [EXPIRED]


def test_thirty_days_are_thirty_days_on_the_librarys_wall_clock() -> None:
    in_autumn = founded().comes(at("2026-10-20T16:00")).requested()
    wait = in_autumn.case().waiting
    assert wait
    assert wait.due[-1].at == at("2026-11-19T17:00")


def test_a_question_that_pauses_starts_the_clock_anew() -> None:
    house = sent_back().passes(days=7)
    (_, asked) = house.does(amended(), MANAGER)
    assert isinstance(asked, Asked)
    assert (asked.since, asked.due[0].at) == (at("2026-03-09T16:00"), at("2026-03-11T16:00"))


@pytest.mark.parametrize("given", [being_set_up, in_verification])
def test_set_up_is_reminded_and_told_to_the_executive_director(given: Callable[[], House]) -> None:
    house = given()
    to = TO_SET_UP if given is being_set_up else TO_VERIFY
    rests_on = (PR_2, PR_3) if given is being_set_up else (PR_2, PR_7)
    assert house.comes(ESCALATION).time_passes() == [
        Reminded(nth=1, persons=THOSE_WHO_MAKE_IT, to=to, rests_on=rests_on),
        Reminded(nth=2, persons=THOSE_WHO_MAKE_IT, to=to, rests_on=rests_on),
        Escalated(role=Role.EXECUTIVE_DIRECTOR, persons=(DIRECTOR,), to=to, rests_on=rests_on),
    ]
    assert [fact.cites() for fact in house.facts_of()[-3:]] == [rests_on] * 3
    assert house.comes(EXPIRY).time_passes()[-1] == EXPIRED


def test_set_up_is_overdue_when_the_policy_says() -> None:
    house = under(POLICY_TEXT, setup_due_bd=7).requested().approved()
    wait = house.case().waiting
    assert wait
    assert [each.at for each in wait.due if each.what is Due.OVERDUE] == [at("2026-03-11T15:00")]
    assert house.reconsiders() == []


# ---- what changes outside the case


def test_a_requester_who_leaves_takes_the_request_along() -> None:
    for stage in OPEN_STAGES:
        house = AT[stage]().leaves(MANAGER)
        assert house.reconsiders() == [
            RequestWithdrawn(account=ACCOUNT, cause="the requester left the library's service")
        ]
        assert house.case().stage is Stage.WITHDRAWN


def test_a_requester_whose_last_day_is_over_takes_the_request_along() -> None:
    house = in_review()
    house.hr_says(MANAGER, end=date(2026, 3, 3))
    assert house.comes(at("2026-03-04T05:59:59")).reconsiders() == []
    assert [type(fact) for fact in house.comes(at("2026-03-04T06:00:00")).reconsiders()] == [RequestWithdrawn]


def test_when_the_executive_director_leaves_the_boards_delegate_is_asked() -> None:
    house = in_review().leaves(DIRECTOR)
    assert house.reconsiders() == [
        TaskRerouted(role=Role.BOARD_DELEGATE, before=(DIRECTOR,), persons=(BOARD,), to=TO_DECIDE)
    ]
    assert house.reconsiders() == []
    assert house.comes(FIRST_REMINDER).time_passes() == [Reminded(nth=1, persons=(BOARD,), to=TO_DECIDE)]


def test_a_delegate_is_asked_from_then_on_and_no_longer_after() -> None:
    house = lets(in_review(), DIRECTOR, YOUTH, days=1)
    assert house.reconsiders() == [
        TaskRerouted(role=Role.EXECUTIVE_DIRECTOR, before=(DIRECTOR,), persons=(DIRECTOR, YOUTH), to=TO_DECIDE)
    ]
    assert house.passes(days=1).reconsiders() == [
        TaskRerouted(role=Role.EXECUTIVE_DIRECTOR, before=(DIRECTOR, YOUTH), persons=(DIRECTOR,), to=TO_DECIDE)
    ]


def test_a_branch_without_manager_is_the_executive_directors() -> None:
    house = founded().requested(by=ASSISTANT, administrators=(MARKETING, YOUTH)).approved().leaves(MANAGER)
    with_the_director = (*THOSE_WHO_MAKE_IT[:-1], DIRECTOR)
    assert house.reconsiders() == [
        TaskRerouted(
            role=Role.HEADQUARTERS_STAFF, before=THOSE_WHO_MAKE_IT, persons=with_the_director, to=TO_SET_UP,
            rests_on=(PR_2, PR_3),
        )
    ]  # fmt: skip


def test_an_account_of_headquarters_is_made_by_headquarters_alone() -> None:
    house = founded().requested(place="hq").approved()
    wait = house.case().waiting
    assert wait
    assert wait.persons == THOSE_WHO_MAKE_IT[:-1]


def test_staff_elsewhere_who_come_and_go_change_nothing() -> None:
    house = in_review().leaves(CLERK_ELSEWHERE)
    assert house.reconsiders() == []


def test_while_the_requester_is_asked_it_does_not_matter_who_decides() -> None:
    assert sent_back().leaves(DIRECTOR).reconsiders() == []


def closes(house: House, day: date, place: str = "*", **part: time) -> House:
    house.does(CloseBranch(place=place, day=day, because="Storm", **part), DIRECTOR, "opening_hours")
    return house


def test_a_storm_moves_every_open_moment() -> None:
    house = closes(in_review(), date(2026, 3, 3))
    assert house.reconsiders() == [
        DueMomentsReissued(
            due=due(at("2026-03-05T16:00"), at("2026-03-09T15:00"), at("2026-03-10T15:00"), at("2026-03-17T15:00"))
        )
    ]
    assert house.reconsiders() == []
    assert house.comes(FIRST_REMINDER).time_passes() == []
    assert house.comes(at("2026-03-05T16:00")).time_passes() == [REMINDED_ONCE]


def test_what_has_been_done_keeps_its_moment() -> None:
    house = in_review().comes(FIRST_REMINDER)
    house.time_passes()
    closes(house, date(2026, 3, 3))
    closes(house, date(2026, 3, 5))
    assert house.reconsiders() == [
        DueMomentsReissued(
            due=due(FIRST_REMINDER, at("2026-03-10T15:00"), at("2026-03-11T15:00"), at("2026-03-18T15:00"))
        )
    ]


def test_a_storm_on_the_day_itself_reminds_nobody() -> None:
    house = closes(in_review(), date(2026, 3, 4)).comes(FIRST_REMINDER)
    assert house.time_passes() == [
        DueMomentsReissued(
            due=due(at("2026-03-05T16:00"), at("2026-03-09T15:00"), at("2026-03-10T15:00"), at("2026-03-17T15:00"))
        )
    ]


def test_a_lifted_closure_moves_them_back() -> None:
    house = closes(in_review(), date(2026, 3, 3))
    house.reconsiders()
    (closure,) = house.library().calendar.closures
    house.does(LiftClosure(closure=closure.id, because="The storm passed"), DIRECTOR, "opening_hours")
    assert house.reconsiders() == [DueMomentsReissued(due=due())]


def test_a_branch_that_closes_does_not_move_what_headquarters_is_asked() -> None:
    assert closes(in_review(), date(2026, 3, 3), place="durant").reconsiders() == []


def test_a_closure_does_not_move_what_stops_the_clock() -> None:
    house = under(POLICY_TEXT, changes_asked_expire_after_days=10).requested()
    house.does(changes(house), DIRECTOR)
    assert closes(house, date(2026, 3, 3)).reconsiders() == []
    assert closes(sent_back(), date(2026, 3, 3)).reconsiders() == []


def test_friday_evening_waits_for_the_next_opening() -> None:
    house = founded().comes(at("2026-03-06T23:30")).requested()
    wait = house.case().waiting
    assert wait
    # half past five on Friday in winter; two open days later that is closed, so the day after when it opens
    assert wait.due[0].at == at("2026-03-11T13:00")


def test_a_house_that_never_opens_again_asks_nobody_and_says_why() -> None:
    house = in_review()
    shut = {"closures": tuple(closed_for_ever())}
    assert house.register.calendar
    house.register.calendar = house.register.calendar.model_copy(update=shut)
    refused = house.refuses(a_request("durantreads"), MANAGER, OTHER_CASE)
    assert refused.clauses == (PR_8,)
    assert refused.because.startswith("nobody can be asked: hq has no opening")
    assert refused.remedy == "adopt a calendar in which hq opens again"
    assert house.reconsiders() == []
    assert house.comes(FIRST_REMINDER).time_passes() == [REMINDED_ONCE]


def closed_for_ever() -> list[Closure]:
    days = (MONDAY.astimezone(UTC).date() + timedelta(days=n) for n in range(4 * 366))
    return [Closure(id=f"c-{day}", place="*", day=day, reason="rebuilding") for day in days]
