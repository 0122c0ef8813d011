"""The staff directory: a feed is compared with what is known, and only what differs happens."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from domain.clauses import PR_4, PR_18
from domain.delegation import EndDelegation
from domain.directory import (
    DeclareFriendsRole,
    FriendsRoleDeclared,
    ImportStaff,
    Person,
    PersonChanged,
    PersonJoined,
    PersonLeft,
    PersonMoved,
    PersonReturned,
    StaffImported,
)
from domain.facts import Actor, Fact
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CLERK,
    DIRECTOR,
    FEED,
    HR,
    LEFT,
    MANAGER,
    MARKETING,
    MONDAY,
    OPERATOR,
    TIMER,
    YOUTH,
    House,
    founded,
    unfounded,
)

PEOPLE = {person.id: person for person in FEED.people}


def feed(*people: Person, left_out: int = 0) -> ImportStaff:
    return ImportStaff(feed_sha256="f" * 64, people=people, left_out=left_out)


def imported(**counts: int) -> StaffImported:
    counted = {"joined": 0, "changed": 0, "left": 0, "unchanged": 0, "left_out": 0} | counts
    return StaffImported(feed_sha256="f" * 64, **counted)


def said(person: str, **changed: Any) -> Person:
    return PEOPLE[person].model_copy(update=changed)


def feeds(house: House, *people: Person, by: Actor = HR) -> list[Fact]:
    return house.does(feed(*people), by, "directory")


def test_everyone_of_the_first_feed_joins() -> None:
    facts = unfounded().does(feed(*FEED.people), OPERATOR, "directory")
    assert facts == [*(PersonJoined(person=person) for person in FEED.people), imported(joined=len(FEED.people))]


def test_a_feed_that_says_nothing_new_makes_no_fact() -> None:
    house = founded()
    assert feeds(house, *FEED.people) == []
    feeds(house, said(MANAGER, hours="Tue-Fri"))
    assert feeds(house, said(MANAGER, hours="Tue-Fri")) == []


def test_only_what_differs_happens() -> None:
    assert feeds(founded(), said(CLERK), said(MANAGER, hours="Tue-Fri", supervisor="p-mac")) == [
        PersonChanged(person=said(MANAGER, hours="Tue-Fri", supervisor="p-mac"), changed=("supervisor", "hours")),
        imported(changed=1, unchanged=1),
    ]


def test_whoever_is_not_in_the_feed_stays_as_they_are() -> None:
    house = founded()
    feeds(house, said(MANAGER, hours="Tue-Fri"))
    assert house.library().is_active(CLERK)


@pytest.mark.parametrize("elsewhere", [{"branch": "west"}, {"position": "Library Clerk"}])
def test_another_branch_or_position_is_a_move(elsewhere: dict[str, str]) -> None:
    assert feeds(founded(), said(ASSISTANT, **elsewhere)) == [
        PersonMoved(
            person=said(ASSISTANT, **elsewhere), from_branch="durant", from_position=PEOPLE[ASSISTANT].position
        ),
        imported(changed=1),
    ]


def test_a_leaver_leaves_once_and_may_return() -> None:
    house = founded()
    gone, back = said(MARKETING, active=False), said(MARKETING, branch="kosciusko")
    assert feeds(house, gone) == [PersonLeft(person=gone), imported(left=1)]
    assert feeds(house, gone) == []
    assert house.library().roles(MARKETING) == frozenset()
    assert feeds(house, back) == [PersonReturned(person=back), imported(changed=1)]
    assert house.library().roles(MARKETING)


def test_rows_that_could_not_be_read_are_counted() -> None:
    facts = founded().does(feed(said(MANAGER, hours=""), left_out=3), HR, "directory")
    assert facts[-1] == imported(changed=1, left_out=3)


def test_nobody_is_named_twice_in_one_feed() -> None:
    refused = founded().refuses(feed(said(MANAGER), said(CLERK), said(MANAGER, hours="")), HR, "directory")
    assert (refused.clauses, refused.because) == ((PR_4,), "the feed names p-bm-durant twice")


@pytest.mark.parametrize("sender", [DIRECTOR, TIMER])
def test_the_directory_is_fed_by_hr_or_the_operator_alone(sender: str | Actor) -> None:
    refused = founded().refuses(feed(said(MANAGER, active=False)), sender, "directory")
    assert (refused.clauses, refused.because) == (
        (PR_4,),
        "the directory is fed by HR, not by a person of the staff",
    )


@pytest.mark.parametrize(
    ("person", "day", "works"),
    [
        ({"start": date(2026, 3, 3)}, date(2026, 3, 2), False),
        ({"start": date(2026, 3, 3)}, date(2026, 3, 3), True),
        ({"end": date(2026, 3, 3)}, date(2026, 3, 3), True),
        ({"end": date(2026, 3, 3)}, date(2026, 3, 4), False),
        ({"start": None, "end": None}, date(2026, 3, 4), True),
        ({"active": False}, date(2026, 3, 4), False),
    ],
)
def test_someone_is_employed_from_the_first_day_to_the_last(person: dict[str, Any], day: date, works: bool) -> None:
    assert said(MANAGER, **person).employed_on(day) is works


@pytest.mark.parametrize("id_", ["", "p 1", "-p", "p" * 101, "p\x00"])
def test_a_person_has_an_id_that_can_be_written_down(id_: str) -> None:
    with pytest.raises(ValidationError):
        Person.model_validate(said(MANAGER).model_dump() | {"id": id_})


# ---- Friends of the Library


@pytest.mark.parametrize("sender", [MANAGER, CLERK, OPERATOR])
def test_a_friends_role_is_declared_by_the_person_or_headquarters_or_the_operator(sender: str | Actor) -> None:
    declared = DeclareFriendsRole(person=MANAGER, administers=True)
    assert founded().does(declared, sender, "directory") == [FriendsRoleDeclared(person=MANAGER, administers=True)]


@pytest.mark.parametrize("sender", [ASSISTANT, BOARD, AUDITOR, LEFT, HR])
def test_nobody_else_declares_it(sender: str | Actor) -> None:
    refused = founded().refuses(DeclareFriendsRole(person=MANAGER, administers=True), sender, "directory")
    assert refused.clauses == (PR_18,)
    assert refused.remedy == "let p-bm-durant or someone at headquarters declare it"


@pytest.mark.parametrize("sender", [LEFT, AUDITOR])
def test_who_left_or_audits_declares_nothing_of_themselves_either(sender: str) -> None:
    assert founded().refuses(DeclareFriendsRole(person=sender, administers=True), sender, "directory")


def test_it_is_declared_of_someone_in_the_directory() -> None:
    refused = founded().refuses(DeclareFriendsRole(person="p-nobody", administers=True), CLERK, "directory")
    assert (refused.clauses, refused.because) == ((PR_18,), "nobody in the directory is p-nobody")


def test_what_was_declared_before_is_no_news() -> None:
    house, declared = founded(), DeclareFriendsRole(person=MANAGER, administers=True)
    assert house.does(DeclareFriendsRole(person=MANAGER, administers=False), MANAGER, "directory") == []
    house.does(declared, MANAGER, "directory")
    assert house.does(declared, MANAGER, "directory") == []


def test_another_step_is_none_of_the_directory() -> None:
    assert founded().refuses(EndDelegation(delegation="d"), DIRECTOR, "directory").clauses == (PR_4,)


def test_every_change_of_a_person_touches_the_person_and_the_staff() -> None:
    (left, _) = feeds(founded(), said(YOUTH, active=False))
    assert left.touches() == ("person:p-ysc", "staff")
    (declared,) = founded().does(DeclareFriendsRole(person=MANAGER, administers=True), MANAGER, "directory")
    assert declared.touches() == ("person:p-bm-durant", "staff")
    assert founded().now == MONDAY
