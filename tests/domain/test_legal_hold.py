"""Who places a legal hold, over what, and that someone else releases it."""

from __future__ import annotations

import pytest

from domain.facts import NoAuthority
from domain.legal_hold import Over, PlaceHold, ReleaseHold
from domain.openings import OpenSealed, Purpose, stream_for
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CASE,
    CLERK,
    DIRECTOR,
    LEFT,
    MANAGER,
    MARKETING,
    OPERATOR,
    TIMER,
    founded,
    sealed,
)
from tests.domain.privacy_life import PATRON, erased, holds, releases

ALL = PlaceHold(over=Over.ALL, reason=sealed())


@pytest.mark.parametrize("person", [CLERK, MANAGER, DIRECTOR])
def test_whoever_answers_for_records_places_one_at_once(person: str) -> None:
    house = founded()
    hold = holds(house, by=person)
    assert [each.hold for each in house.library().legal_holds()] == [hold]


@pytest.mark.parametrize("person", [ASSISTANT, AUDITOR, BOARD, LEFT])
def test_others_place_none(person: str) -> None:
    assert isinstance(founded().refuses(ALL, person, "legal_hold"), NoAuthority)


@pytest.mark.parametrize(
    ("over", "of"), [(Over.ALL, "something"), (Over.CASE, ""), (Over.PERSON, ""), (Over.ACCOUNT, "facebook:nowhere")]
)
def test_a_hold_names_what_it_is_over(over: Over, of: str) -> None:
    place = PlaceHold(over=over, of=of, reason=sealed())
    assert founded().refuses(place, CLERK, "legal_hold").clauses == ("PR-12",)


def test_an_account_is_held_under_the_name_that_the_log_has() -> None:
    house = founded().requested().approved().set_up().confirmed().opened()
    holds(house, Over.ACCOUNT, "facebook:DurantLibrary")
    assert [each.of for each in house.library().legal_holds()] == ["account:facebook:durantlibrary"]


def test_it_is_released_by_the_director_and_by_the_board_where_the_director_placed_it() -> None:
    house = founded()
    hold = holds(house, by=CLERK)
    for person in (CLERK, MARKETING, BOARD):
        assert isinstance(house.refuses(ReleaseHold(hold=hold, reason=sealed()), person, "legal_hold"), NoAuthority)
    releases(house, hold)
    assert house.library().legal_holds() == []
    hold = holds(house, by=DIRECTOR)
    assert isinstance(house.refuses(ReleaseHold(hold=hold, reason=sealed()), DIRECTOR, "legal_hold"), NoAuthority)
    releases(house, hold, by=BOARD)
    assert house.library().legal_holds() == []


def test_a_hold_that_does_not_stand_is_not_released() -> None:
    house = founded()
    hold = holds(house)
    releases(house, hold)
    assert hold in house.refuses(ReleaseHold(hold=hold, reason=sealed()), DIRECTOR, "legal_hold").because


def test_nobody_who_was_erased_is_held() -> None:
    house = erased(founded())
    place = PlaceHold(over=Over.PERSON, of=PATRON, reason=sealed())
    assert "erased" in house.refuses(place, CLERK, "legal_hold").because


# openings


@pytest.mark.parametrize("by", [CLERK, MANAGER, ASSISTANT, OPERATOR, TIMER])
def test_each_opening_is_on_record_with_who_for_whom_and_what_for(by: str) -> None:
    house = founded()
    (opened,) = house.does(OpenSealed(case=CASE, patrons=(PATRON,), purpose=Purpose.CASE_WORK), by, stream_for(CASE))
    assert opened.model_dump() == {
        "case": CASE, "patrons": (PATRON,), "purpose": Purpose.CASE_WORK, "by": by if isinstance(by, str) else by.id,
    }  # fmt: skip


@pytest.mark.parametrize("person", [AUDITOR, LEFT, "p-nobody"])
def test_auditors_and_those_who_left_open_nothing(person: str) -> None:
    opening = OpenSealed(case=CASE, patrons=(PATRON,), purpose=Purpose.CASE_WORK)
    assert isinstance(founded().refuses(opening, person, stream_for(CASE)), NoAuthority)
