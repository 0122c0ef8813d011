"""Who decides: looked up in the directory at that moment, and never a party to the request."""

from __future__ import annotations

from datetime import date, timedelta

from domain.account_creation_messages import AccountApproved
from domain.clauses import PR_1
from domain.policy import Role
from tests.domain.cases import (
    ONE_SECOND,
    approval,
    asked_to_decide,
    in_review,
    lets,
)
from tests.domain.house import (
    BOARD,
    CLERK,
    DIRECTOR,
    MANAGER,
    YOUTH,
    a_request,
    at,
    founded,
)

IT_TECHNICIAN = "p-hq-it"


def test_the_executive_directors_own_request_goes_to_the_boards_delegate() -> None:
    house = founded()
    assert house.does(a_request(), DIRECTOR)[1] == asked_to_decide(BOARD, role=Role.BOARD_DELEGATE)
    refused = house.refuses(approval(house), DIRECTOR)
    assert refused.clauses == (PR_1,)
    assert refused.because == "p-ed asked for this or edited it, and nobody decides on their own request"
    assert refused.remedy == "leave the decision to the Board Delegate: p-board"
    assert house.does(approval(house), BOARD)[0] == AccountApproved(content=house.case().content)


def test_the_boards_delegate_stands_in_while_the_post_is_vacant() -> None:
    house = founded().leaves(DIRECTOR)
    assert house.does(a_request(), MANAGER)[1] == asked_to_decide(BOARD, role=Role.BOARD_DELEGATE)
    decision = house.decides(approval(house), BOARD)
    assert decision.authority == (Role.BOARD_DELEGATE, "hq", "")


def test_the_boards_delegate_decides_nothing_while_the_post_is_filled() -> None:
    house = in_review()
    assert house.refuses(approval(house), BOARD).because == "only the Executive Director may decide on account creation"


def test_with_both_posts_vacant_nobody_is_asked_and_nobody_decides() -> None:
    house = founded().leaves(DIRECTOR, BOARD)
    assert house.does(a_request(), MANAGER)[1] == asked_to_decide(role=Role.BOARD_DELEGATE, persons=())
    assert house.refuses(approval(house), BOARD).remedy == "ask the Board Delegate: the post is vacant"


def test_a_successor_decides_what_was_asked_of_a_leaver() -> None:
    house = in_review().leaves(DIRECTOR)
    assert house.refuses(approval(house), DIRECTOR).because == "only the Board Delegate may decide on account creation"
    house.hr_says(YOUTH, position="Executive Director")
    assert house.decides(approval(house), YOUTH).authority == (Role.EXECUTIVE_DIRECTOR, "hq", "")


def test_an_executive_director_whose_last_day_is_over_decides_nothing() -> None:
    house = in_review()
    house.hr_says(DIRECTOR, end=date(2026, 3, 2))
    # midnight in Mississippi is six in UTC
    house.comes(at("2026-03-03T05:59:59"))
    assert house.copy().does(approval(house), DIRECTOR)
    house.comes(at("2026-03-03T06:00:00"))
    assert house.refuses(approval(house), DIRECTOR).because == "only the Board Delegate may decide on account creation"


def test_a_delegate_is_asked_and_decides_on_behalf_of_the_executive_director() -> None:
    house = lets(founded(), DIRECTOR, YOUTH)
    assert house.does(a_request(), MANAGER)[1] == asked_to_decide(DIRECTOR, YOUTH)
    assert house.decides(approval(house), YOUTH).authority == (Role.EXECUTIVE_DIRECTOR, "hq", DIRECTOR)


def test_a_delegate_of_a_delegate_acts_on_behalf_of_the_one_who_gave_it_first() -> None:
    house = lets(lets(in_review(), DIRECTOR, YOUTH), YOUTH, CLERK)
    assert house.decides(approval(house), CLERK).authority == (Role.EXECUTIVE_DIRECTOR, "hq", DIRECTOR)


def test_a_delegation_for_another_process_gives_nothing_here() -> None:
    house = lets(in_review(), DIRECTOR, YOUTH, processes=("posting_rights_branch",))
    assert house.refuses(approval(house), YOUTH).clauses == (PR_1,)


def test_a_delegation_is_half_open() -> None:
    house = lets(in_review(), DIRECTOR, YOUTH, days=1)
    end = house.now + timedelta(days=1)
    assert house.copy().comes(end - ONE_SECOND).does(approval(house), YOUTH)
    assert house.comes(end).refuses(approval(house), YOUTH).clauses == (PR_1,)


def test_a_delegate_who_is_the_requester_does_not_decide() -> None:
    house = lets(in_review(), DIRECTOR, MANAGER)
    assert "nobody decides on their own request" in house.refuses(approval(house), MANAGER).because


def test_a_delegate_of_the_requesting_executive_director_does_not_decide() -> None:
    house = lets(founded().requested(by=DIRECTOR), DIRECTOR, YOUTH)
    assert house.refuses(approval(house), YOUTH).because == "only the Board Delegate may decide on account creation"
    assert house.does(approval(house), BOARD)


def test_of_two_executive_directors_the_one_who_asks_passes_nothing_on() -> None:
    house = founded()
    house.hr_says(IT_TECHNICIAN, position="Executive Director")
    lets(house.requested(by=DIRECTOR), DIRECTOR, YOUTH)
    assert house.refuses(approval(house), YOUTH).remedy == "ask the Executive Director: p-ed, p-hq-it"
    lets(house, IT_TECHNICIAN, YOUTH)
    assert house.decides(approval(house), YOUTH).authority == (Role.EXECUTIVE_DIRECTOR, "hq", IT_TECHNICIAN)


def test_a_requester_does_not_choose_who_decides_by_passing_a_delegation_on() -> None:
    house = lets(lets(founded(), DIRECTOR, MANAGER), MANAGER, YOUTH)
    assert house.does(a_request(), MANAGER)[1] == asked_to_decide(DIRECTOR)
    assert house.refuses(approval(house), YOUTH).clauses == (PR_1,)
    assert house.does(approval(house), DIRECTOR)


def test_a_leavers_delegation_holds_no_longer() -> None:
    house = lets(lets(in_review(), DIRECTOR, YOUTH), YOUTH, CLERK).leaves(YOUTH)
    assert house.refuses(approval(house), CLERK).clauses == (PR_1,)


def test_an_auditor_decides_nothing_though_a_delegation_was_given_before() -> None:
    house = lets(in_review(), DIRECTOR, CLERK)
    house.hr_says(CLERK, position="Auditor")
    assert house.refuses(approval(house), CLERK).clauses == (PR_1,)
    assert house.reconsiders() == []
