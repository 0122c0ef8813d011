"""Standing in for someone: for a period, for some processes, in no circle and no long chain."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from domain.clauses import PR_5
from domain.delegation import Delegate, Delegated, DelegationEnded, EndDelegation
from domain.directory import DeclareFriendsRole
from domain.facts import Fact
from tests.domain.cases import under
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CLERK,
    DIRECTOR,
    ELSEWHERE,
    LEFT,
    MANAGER,
    MARKETING,
    MONDAY,
    OPERATOR,
    POLICY_TEXT,
    YOUTH,
    House,
    founded,
    sealed,
)

DAY = timedelta(days=1)
HERE = "account_creation"
A, B, C, D, E = DIRECTOR, MARKETING, YOUTH, CLERK, MANAGER


def to(person: str, first: float = 0, last: float = 10, processes: tuple[str, ...] = (HERE,)) -> Delegate:
    return Delegate(
        to=person, processes=processes, since=MONDAY + first * DAY, until=MONDAY + last * DAY, reason=sealed()
    )


def chain(*people: str, house: House | None = None) -> House:
    house = house or founded()
    for giver, delegate in pairwise(people):
        house.does(to(delegate), giver, "delegation")
    return house


def given_by(house: House, giver: str, wanted: Delegate) -> Fact:
    (fact,) = house.does(wanted, giver, "delegation")
    return fact


def why_not(house: House, giver: str, wanted: Delegate) -> str:
    refused = house.refuses(wanted, giver, "delegation")
    assert refused.clauses == (PR_5,)
    return refused.because


def test_a_delegation_names_both_persons_the_period_and_the_processes() -> None:
    wanted = to(YOUTH)
    fact = given_by(founded(), DIRECTOR, wanted)
    assert isinstance(fact, Delegated)
    assert fact == Delegated(
        delegation=fact.delegation,
        giver=DIRECTOR,
        to=YOUTH,
        processes=(HERE,),
        since=MONDAY,
        until=MONDAY + 10 * DAY,
        reason=sealed(),
    )
    assert fact.touches() == ("delegations", "staff")


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        (MONDAY - timedelta(seconds=1), False),
        (MONDAY, True),
        (MONDAY + 10 * DAY - timedelta(seconds=1), True),
        (MONDAY + 10 * DAY, False),
    ],
)
def test_it_holds_from_its_first_moment_to_before_its_last(moment: datetime, holds: bool) -> None:
    house = chain(A, B).comes(moment)
    assert house.library().stands_in_for(B, HERE) == ((A,) if holds else ())
    assert house.library().delegates_of(A, HERE) == ((B,) if holds else ())


def test_it_holds_for_its_processes_and_the_star_for_every_one() -> None:
    house = chain(A, B)
    given_by(house, C, to(D, processes=("*",)))
    library = house.library()
    assert library.stands_in_for(B, "account_termination") == ()
    assert library.stands_in_for(D, "account_termination") == (C,)


def test_a_chain_is_followed_to_both_ends_the_nearest_first() -> None:
    library = chain(A, B, C, D).library()
    assert library.stands_in_for(D, HERE) == (C, B, A)
    assert library.delegates_of(A, HERE) == (B, C, D)


def test_a_chain_is_not_followed_through_who_left_or_is_left_aside() -> None:
    assert chain(A, B, C, D).leaves(B).library().stands_in_for(D, HERE) == (C,)
    assert chain(A, B, C, D).library().stands_in_for(D, HERE, not_through=(B,)) == (C,)
    assert chain(A, B, C, D).library().delegates_of(A, HERE, not_through=(B,)) == (B,)


def test_three_links_are_a_chain_and_four_are_too_many() -> None:
    house = chain(A, B, C, D)
    assert why_not(house, D, to(E)) == "the chain would have more than 3 links"
    assert why_not(house, E, to(A)) == "the chain would have more than 3 links"


def test_two_chains_are_not_joined_to_a_longer_one() -> None:
    house = chain(A, B)
    chain(D, E, house=house)
    assert house.copy().does(to(D), B, "delegation")
    chain(E, ASSISTANT, house=house)
    assert why_not(house, B, to(D)) == "the chain would have more than 3 links"


def test_a_short_cut_does_not_hide_a_long_chain() -> None:
    house = chain(A, B, C, D)
    given_by(house, A, to(D))
    assert why_not(house, D, to(E)) == "the chain would have more than 3 links"


def test_a_circle_is_refused_whatever_its_size() -> None:
    assert why_not(founded(), A, to(A)) == "nobody stands in for themselves"
    assert why_not(chain(A, B), B, to(A)) == "p-ed already passes on to p-mac: a circle"
    assert why_not(chain(A, B, C), C, to(A)) == "p-ed already passes on to p-ysc: a circle"


def test_what_holds_at_other_times_or_for_other_processes_makes_no_circle_or_chain() -> None:
    assert chain(A, B).does(to(A, 10, 20), B, "delegation")
    assert why_not(chain(A, B), B, to(A, 9.9, 20)) == "p-ed already passes on to p-mac: a circle"
    assert chain(A, B).does(to(A, processes=("policy_amendment",)), B, "delegation")
    assert why_not(chain(A, B), B, to(A, processes=("*",))) == "p-ed already passes on to p-mac: a circle"


def test_a_circle_that_begins_only_later_is_a_circle() -> None:
    house = founded()
    given_by(house, A, to(B, 5, 10))
    assert why_not(house, B, to(A, 0, 10)) == "p-ed already passes on to p-mac: a circle"


def test_links_that_never_hold_together_are_no_chain() -> None:
    house = founded()
    for giver, delegate, first, last in ((B, C, 0, 2), (C, D, 2, 4), (D, E, 4, 6)):
        given_by(house, giver, to(delegate, first, last))
    assert house.does(to(B), A, "delegation")


def test_the_number_of_links_is_the_policys() -> None:
    house = under(POLICY_TEXT, delegation_chain_most=1)
    assert why_not(chain(A, B, house=house), B, to(C)) == "the chain would have more than 1 links"


def test_a_delegation_that_is_over_makes_no_circle() -> None:
    assert chain(A, B).passes(days=11).does(to(A, 11, 12), B, "delegation")


@pytest.mark.parametrize(
    ("giver", "delegate", "because"),
    [
        (DIRECTOR, LEFT, "p-bs-west-left is not an active employee"),
        (DIRECTOR, "p-nobody", "p-nobody is not an active employee"),
        (LEFT, DIRECTOR, "p-bs-west-left is not an active employee"),
        (DIRECTOR, AUDITOR, "p-auditor audits, and so decides nothing"),
        (AUDITOR, DIRECTOR, "p-auditor audits, and so decides nothing"),
    ],
)
def test_it_is_given_by_and_to_someone_who_acts(giver: str, delegate: str, because: str) -> None:
    assert why_not(founded(), giver, to(delegate)) == because


def test_the_operator_stands_for_nobody() -> None:
    refused = founded().refuses(to(YOUTH), OPERATOR, "delegation")
    assert refused.because == "the sender is not an active employee"


def test_the_boards_delegate_has_a_stand_in_too() -> None:
    assert founded().does(to(YOUTH), BOARD, "delegation")


def test_a_process_that_nobody_decides_on_is_named() -> None:
    refused = founded().refuses(to(YOUTH, processes=(HERE, "account_cration")), DIRECTOR, "delegation")
    assert refused.because == "nobody decides on account_cration"
    assert "account_creation" in refused.remedy


@pytest.mark.parametrize(("last", "passes"), [(1.01, True), (1, False), (0.5, False)])
def test_it_ends_in_time_to_come(last: float, passes: bool) -> None:
    house = founded().passes(days=1)
    if passes:
        assert house.does(to(YOUTH, 0, last), DIRECTOR, "delegation")
    else:
        assert why_not(house, DIRECTOR, to(YOUTH, 0, last)) == "the delegation would be over already"


@pytest.mark.parametrize("last", [0, -1])
def test_it_ends_after_it_begins(last: float) -> None:
    with pytest.raises(ValidationError, match="ends before it begins"):
        to(YOUTH, 0, last)


@pytest.mark.parametrize("process", ["", "Account", "a b", "x" * 81, "**"])
def test_a_process_is_a_stem_or_the_star(process: str) -> None:
    with pytest.raises(ValidationError):
        to(YOUTH, processes=(process,))


def test_a_time_without_a_zone_is_no_time() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Delegate(to=YOUTH, processes=(HERE,), since=datetime(2026, 3, 2), until=MONDAY, reason=sealed())  # noqa: DTZ001


@pytest.mark.parametrize("who", [DIRECTOR, YOUTH])
def test_the_giver_or_the_delegate_ends_it(who: str) -> None:
    house = founded()
    fact = given_by(house, DIRECTOR, to(YOUTH))
    assert isinstance(fact, Delegated)
    ending = EndDelegation(delegation=fact.delegation)
    assert house.does(ending, who, "delegation") == [DelegationEnded(delegation=fact.delegation)]
    assert house.library().stands_in_for(YOUTH, HERE) == ()
    assert house.refuses(ending, who, "delegation").remedy == "the giver or the delegate ends it"


@pytest.mark.parametrize("who", [MARKETING, ELSEWHERE])
def test_nobody_else_ends_it(who: str) -> None:
    house = founded()
    fact = given_by(house, DIRECTOR, to(YOUTH))
    assert isinstance(fact, Delegated)
    refused = house.refuses(EndDelegation(delegation=fact.delegation), who, "delegation")
    assert (refused.clauses, refused.because) == ((PR_5,), f"{who} has no delegation {fact.delegation} to end")


def test_who_left_ends_nothing() -> None:
    house = founded()
    fact = given_by(house, DIRECTOR, to(YOUTH))
    assert isinstance(fact, Delegated)
    house.leaves(YOUTH)
    assert (
        "not an active employee"
        in house.refuses(EndDelegation(delegation=fact.delegation), YOUTH, "delegation").because
    )


def test_another_step_is_none_of_delegation() -> None:
    other = DeclareFriendsRole(person=MANAGER, administers=True)
    assert founded().refuses(other, DIRECTOR, "delegation").remedy == "Delegate or EndDelegation"
