"""Whose word counts, what a whole file ends, which roles a group may give: the feed's rules by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delegation import Delegate, DelegationLapsed
from domain.directory import (
    Person,
    PersonChanged,
    PersonJoined,
    PersonLeft,
    PersonMoved,
    PersonReturned,
    PersonRolesChanged,
)
from domain.facts import Actor, ActorKind, Fact, Refused
from domain.hr_difference import difference
from domain.hr_feed import remedies
from domain.hr_feed_messages import (
    STAFF_FILE,
    AssignPeople,
    DeleteGroup,
    DeleteUser,
    GroupDeleted,
    GroupStored,
    HeldRow,
    HrSystemRegistered,
    QuarantineCleared,
    Quarantined,
    RegisterHrSystem,
    RevokeHrToken,
    Said,
    SetAside,
    SnapshotTaken,
    SourceSet,
    StoreGroup,
    StoreUser,
    TakeSnapshot,
    UserDeleted,
    UserStored,
    stream_of,
    stream_of_resource,
)
from domain.hr_users import stable_id
from domain.policy import PolicyError, parse_policy, policy_hash
from domain.policy_adoption import PolicyAdopted
from domain.staff_change import change_of
from domain.staff_change_messages import Change
from tests.domain.world import MONDAY, World, sealed, the_staff
from tests.system import POLICY

AT_WORK = tuple(each for each in the_staff() if each.active)
OKTA = Actor(kind=ActorKind.HR_SYSTEM, id="okta")
OPERATOR = Actor(kind=ActorKind.OPERATOR, id="root")
MANAGER = Actor(kind=ActorKind.PERSON, id="p-ed")
GROUPS = """
[groups."Online Helpdesk"]
roles = ["helpdesk"]
positions = ["Information Technology Technician"]
"""


class Feeds(World):
    """A library that is fed by `okta` too."""

    def __init__(self) -> None:
        super().__init__()
        self.does(stream_of("okta"), RegisterHrSystem(system="okta", token_sha256="0" * 64), OPERATOR)

    def sends(self, nth: int, by: Actor = OKTA, expected: int = -1, **said: Any) -> tuple[Fact, ...]:
        told = {"user_name": f"u{nth}@example.org", "position": "Library Clerk", "branch": "durant"} | said
        known = self.register.hr.resources.get(("okta", an_id(nth)))
        version = (known.version if known else 0) if expected < 0 else expected
        command = StoreUser(system="okta", id=an_id(nth), said=Said(**told), resource=sealed(), expected=version)
        return self.does(stream_of_resource("okta", an_id(nth)), command, by)

    def deletes(self, nth: int) -> tuple[Fact, ...]:
        version = self.register.hr.resources["okta", an_id(nth)].version
        command = DeleteUser(system="okta", id=an_id(nth), expected=version)
        return self.does(stream_of_resource("okta", an_id(nth)), command, OKTA)

    def puts_in_group(self, name: str, *members: int, by: Actor = OKTA) -> tuple[Fact, ...]:
        id_, people = an_id(999), tuple(an_id(each) for each in members)
        known = self.register.hr.resources.get(("okta", id_))
        version = known.version if known else 0
        command = StoreGroup(
            system="okta", id=id_, display_name=name, members=people, resource={}, expected=version
        )
        return self.does(stream_of_resource("okta", id_), command, by)

    def takes(self, *people: Person, **more: Any) -> tuple[Fact, ...]:
        system = more.pop("system", STAFF_FILE)
        command = TakeSnapshot(system=system, feed_sha256=more.pop("sha", "1" * 64), people=people, **more)
        return self.does(stream_of(system), command, OPERATOR)

    def adopts_groups(self) -> None:
        text = with_groups(POLICY.read_text(encoding="utf-8").replace('version = "2026-1"', 'version = "2026-2"'))
        policy = parse_policy(text, "test")
        fact = PolicyAdopted(version="2026-2", effective=policy.effective, sha256=policy_hash(text), text=text)
        self.record("policy_adoption", [fact])

    def roles(self, person: str) -> set[str]:
        return {role.value for role in self.library().roles(person)}


@pytest.fixture
def feeds() -> Feeds:
    return Feeds()


def an_id(nth: int) -> str:
    return f"{nth:032x}"


def with_groups(text: str) -> str:
    return text.replace("\n[places.hq]", f"{GROUPS}\n[places.hq]")


def kinds(facts: tuple[Fact, ...]) -> list[type[Fact]]:
    return [type(each) for each in facts]


# whose word counts


def test_only_the_operator_registers_and_revokes(feeds: Feeds) -> None:
    for command in (RegisterHrSystem(system="entra", token_sha256="1" * 64), RevokeHrToken(system="okta")):
        for actor in (OKTA, MANAGER):
            with pytest.raises(Refused, match="whoever runs the installation"):
                feeds.judged(stream_of(command.system), command, actor)


def test_a_system_has_one_token_at_a_time(feeds: Feeds) -> None:
    again = RegisterHrSystem(system="okta", token_sha256="1" * 64)
    with pytest.raises(Refused, match="has a token already"):
        feeds.judged(stream_of("okta"), again, OPERATOR)
    feeds.does(stream_of("okta"), RevokeHrToken(system="okta"), OPERATOR)
    assert feeds.register.hr.system_of_token("0" * 64) is None
    assert kinds(feeds.does(stream_of("okta"), again, OPERATOR)) == [HrSystemRegistered]
    assert feeds.register.hr.system_of_token("1" * 64) == "okta"


@pytest.mark.parametrize("actor", [MANAGER, OPERATOR, Actor(kind=ActorKind.HR_SYSTEM, id="entra")])
def test_nobody_else_writes_for_a_system(feeds: Feeds, actor: Actor) -> None:
    with pytest.raises(Refused, match="does not write for okta"):
        feeds.sends(1, by=actor)


def test_a_new_user_is_a_person_who_joined_with_this_source(feeds: Feeds) -> None:
    facts = feeds.sends(1, employee_number="E1")
    assert kinds(facts) == [UserStored, PersonJoined, SourceSet]
    assert feeds.library().source_of("E1") == "okta"


def test_a_user_who_says_nothing_new_of_the_person_is_only_stored(feeds: Feeds) -> None:
    feeds.sends(1)
    assert kinds(feeds.sends(1)) == [UserStored]


def test_a_person_of_another_feed_is_not_changed(feeds: Feeds) -> None:
    before = feeds.register.people["p-hq-clerk"]
    facts = feeds.sends(1, employee_number="p-hq-clerk")
    assert kinds(facts) == [UserStored, Quarantined]
    assert feeds.register.people["p-hq-clerk"] == before
    assert kinds(feeds.sends(1, employee_number="p-hq-clerk")) == [UserStored]


def test_an_assigned_person_is_brought_up_to_what_their_new_source_said(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="p-hq-clerk")
    facts = feeds.does(stream_of("okta"), AssignPeople(system="okta", people=("p-hq-clerk",)), OPERATOR)
    assert kinds(facts) == [SourceSet, PersonMoved, QuarantineCleared]
    assert feeds.register.people["p-hq-clerk"].branch == "durant"


def test_a_write_on_an_old_version_is_refused(feeds: Feeds) -> None:
    feeds.sends(1)
    feeds.sends(1, position="Cataloger")
    with pytest.raises(Refused, match="changed or deleted meanwhile"):
        feeds.sends(1, expected=1)


def test_what_was_deleted_does_not_come_back_under_its_id(feeds: Feeds) -> None:
    feeds.sends(1)
    assert kinds(feeds.deletes(1)) == [UserDeleted, PersonLeft]
    with pytest.raises(Refused, match="changed or deleted meanwhile"):
        feeds.sends(1, expected=0)


def test_a_user_name_and_a_person_are_held_by_one_user(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="E1")
    twice: tuple[dict[str, Any], ...] = ({"user_name": "U1@Example.org"}, {"employee_number": "E1"})
    for said in twice:
        with pytest.raises(Refused, match="another user holds"):
            feeds.sends(2, **said)
    feeds.deletes(1)
    assert kinds(feeds.sends(2, user_name="U1@Example.org", employee_number="E1")) == [UserStored, PersonReturned]


def test_a_renamed_user_gives_the_old_name_up(feeds: Feeds) -> None:
    feeds.sends(1)
    feeds.sends(1, user_name="married@example.org")
    assert kinds(feeds.sends(2, user_name="u1@example.org")) == [UserStored, PersonJoined, SourceSet]


@pytest.mark.parametrize(
    ("said", "id_"),
    [
        ({"employee_number": "E1", "external_id": "x"}, "E1"),
        ({"employee_number": "no good", "external_id": "00u1"}, "00u1"),
        ({"external_id": "u1@example.org", "user_name": "u1@example.org"}, an_id(1)),
        ({"external_id": "U1", "user_name": "u1@example.org"}, an_id(1)),
        ({"external_id": "mail1", "user_name": "u1", "work_email": "mail1@example.org"}, an_id(1)),
        ({}, an_id(1)),
    ],
)
def test_the_stable_id_is_never_a_name(said: dict[str, str], id_: str) -> None:
    assert stable_id(Said.model_validate(said), an_id(1)) == id_


# order and time


def test_only_what_says_from_when_it_holds_can_be_late(feeds: Feeds) -> None:
    feeds.sends(1, effective_at=MONDAY)
    assert kinds(feeds.sends(1, position="Cataloger", effective_at=MONDAY.replace(hour=15))) == [SetAside]
    assert kinds(feeds.sends(1, position="Cataloger")) == [UserStored, PersonMoved]


PLAIN = Person(id="x", name="X", work_email="", position="Library Clerk", branch="durant", active=True)


@pytest.mark.parametrize(
    ("known", "said", "kind"),
    [
        ({}, {"active": False}, PersonLeft),
        ({}, {"end": "2026-03-01"}, PersonLeft),
        ({}, {"end": "2026-03-02"}, PersonChanged),
        ({}, {"end": "2026-12-31"}, PersonChanged),
        ({"end": "2026-03-01"}, {}, PersonReturned),
        ({"end": "2026-03-01"}, {"active": False}, PersonChanged),
        ({"active": False}, {}, PersonReturned),
        ({"active": False}, {"end": "2026-03-01"}, PersonChanged),
        ({"start": "2026-04-01"}, {}, PersonChanged),
        ({"start": "2026-04-01"}, {"active": False, "start": "2026-04-01"}, PersonLeft),
        ({}, {"branch": "winona"}, PersonMoved),
        ({}, {"position": "Branch Manager"}, PersonMoved),
        ({}, {"active": False, "branch": "winona"}, PersonLeft),
        ({}, {"name": "Y"}, PersonChanged),
    ],
)
def test_a_change_is_named_by_what_it_means_on_the_day(known: dict[str, Any], said: dict[str, Any], kind: type) -> None:
    before, after = (Person.model_validate(PLAIN.model_dump() | each) for each in (known, said))
    assert type(difference(before, after, MONDAY.date())) is kind


# managers


def test_nobody_manages_themselves_and_nobody_ends_before_they_start(feeds: Feeds) -> None:
    of_themselves: tuple[dict[str, Any], ...] = ({"manager": an_id(1)}, {"manager": "E1", "employee_number": "E1"})
    for said in of_themselves:
        with pytest.raises(Refused, match="their own manager"):
            feeds.sends(1, **said)
    with pytest.raises(Refused, match="before the start"):
        feeds.sends(1, start="2026-03-02", end="2026-03-01")


def test_a_circle_waits_and_closes_no_circle_in_the_directory(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="E1")
    feeds.sends(2, employee_number="E2", manager=an_id(1))
    feeds.sends(3, employee_number="E3", manager=an_id(2))
    assert kinds(feeds.sends(1, employee_number="E1", manager=an_id(3))) == [UserStored, Quarantined]
    assert kinds(feeds.sends(2, employee_number="E2")) == [
        UserStored, PersonChanged, PersonChanged, QuarantineCleared
    ]  # fmt: skip
    assert feeds.register.people["E1"].supervisor == "E3"


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=25))
def test_whatever_order_managers_come_in_the_directory_holds_no_circle(messages: list[tuple[int, int]]) -> None:
    feeds = Feeds()
    for nth in range(1, 6):
        feeds.sends(nth, employee_number=f"E{nth}")
    for nth, manager in messages:
        if nth != manager:
            feeds.sends(nth, employee_number=f"E{nth}", manager=an_id(manager) if manager else "")
    for nth in range(1, 6):
        above, steps = feeds.register.people[f"E{nth}"].supervisor, 0
        while above:
            above, steps = feeds.register.people[above].supervisor, steps + 1
            assert steps < 5


# groups


def test_a_group_gives_a_mapped_role_to_the_positions_named_and_to_no_other(feeds: Feeds) -> None:
    feeds.adopts_groups()
    feeds.sends(1, employee_number="E1", position="Information Technology Technician", branch="hq")
    feeds.sends(2, employee_number="E2", position="Library Clerk")
    feeds.sends(3, employee_number="E3", position="Information Technology Technician", branch="Atlantis")
    assert kinds(feeds.puts_in_group("online  HELPDESK", 1, 2, 3)) == [GroupStored, PersonRolesChanged]
    assert feeds.roles("E1") == {"headquarters_staff", "helpdesk"}
    assert feeds.roles("E2") == {"branch_staff"}
    assert feeds.roles("E3") == set()
    feeds.puts_in_group("Online Helpdesk", 2)
    assert feeds.roles("E1") == {"headquarters_staff"}


def role_change(fact: Fact) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    assert isinstance(fact, PersonRolesChanged)
    return fact.person.id, tuple(map(str, fact.gained)), tuple(map(str, fact.lost))


def test_a_role_that_a_group_gives_or_takes_is_a_change_of_that_person(feeds: Feeds) -> None:
    feeds.adopts_groups()
    for nth in (1, 2):
        feeds.sends(nth, employee_number=f"E{nth}", position="Information Technology Technician", branch="hq")
    _, gained = feeds.puts_in_group("Online Helpdesk", 1)
    assert role_change(gained) == ("E1", ("helpdesk",), ())
    assert isinstance(gained, PersonRolesChanged)
    assert change_of(gained) is Change.ROLES
    _, lost, instead = feeds.puts_in_group("Online Helpdesk", 2)
    assert (role_change(lost), role_change(instead)) == (("E1", (), ("helpdesk",)), ("E2", ("helpdesk",), ()))
    _, renamed = feeds.puts_in_group("Readers", 2)
    assert role_change(renamed) == ("E2", (), ("helpdesk",))
    assert kinds(feeds.puts_in_group("Readers", 1, 2)) == [GroupStored]


def test_a_deleted_group_takes_its_roles_along(feeds: Feeds) -> None:
    feeds.adopts_groups()
    feeds.sends(1, employee_number="E1", position="Information Technology Technician", branch="hq")
    feeds.puts_in_group("Online Helpdesk", 1)
    version = feeds.register.hr.resources["okta", an_id(999)].version
    gone = DeleteGroup(system="okta", id=an_id(999), expected=version)
    _, lost = feeds.does(stream_of_resource("okta", an_id(999)), gone, OKTA)
    assert role_change(lost) == ("E1", (), ("helpdesk",))


def test_what_a_role_by_a_group_gave_away_ends_with_it(feeds: Feeds) -> None:
    feeds.adopts_groups()
    feeds.sends(1, employee_number="E1", position="Information Technology Technician", branch="hq")
    feeds.puts_in_group("Online Helpdesk", 1)
    until = feeds.at + timedelta(days=9)
    given = Delegate(to="p-ysc", processes=("*",), since=feeds.at, until=until, reason=sealed())
    feeds.says("E1", given, "delegation")
    feeds.puts_in_group("Online Helpdesk")
    feeds.puts_in_group("Online Helpdesk", 1)
    assert kinds(feeds.looks_again("delegation")) == [DelegationLapsed]


def test_a_role_by_a_group_counts_from_when_its_system_s_word_does(feeds: Feeds) -> None:
    feeds.adopts_groups()
    feeds.sends(1, employee_number="p-hq-it")
    feeds.puts_in_group("Online Helpdesk", 1)
    taken = AssignPeople(system="okta", people=("p-hq-it",))
    assert PersonRolesChanged in kinds(feeds.does(stream_of("okta"), taken, OPERATOR))
    assert "helpdesk" not in feeds.roles("p-hq-it")  # okta says that they are a clerk


def test_a_group_speaks_only_for_its_own_system_s_people(feeds: Feeds) -> None:
    feeds.adopts_groups()
    feeds.sends(1, employee_number="p-hq-it")
    feeds.puts_in_group("Online Helpdesk", 1)
    assert "helpdesk" not in feeds.roles("p-hq-it")


def test_a_decision_that_rests_on_groups_says_so(feeds: Feeds) -> None:
    library = feeds.library()
    library.roles("p-ed")
    assert "groups" not in library.read
    feeds.adopts_groups()
    library = feeds.library()
    library.roles("p-ed")
    assert "groups" in library.read
    assert "groups" in GroupDeleted(system="okta", id=an_id(1)).touches()


def test_a_policy_maps_groups_to_positions_that_it_names() -> None:
    text = with_groups(POLICY.read_text(encoding="utf-8")).replace(
        'positions = ["Information Technology Technician"]', 'positions = ["Information Technologist"]'
    )
    with pytest.raises(PolicyError, match="no position has the title Information Technologist"):
        parse_policy(text, "test")


# what the policy does not know


def test_an_unknown_branch_or_position_gives_nothing_and_has_a_remedy(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="E1", position="Executive Director", branch="Atlantis")
    feeds.sends(2, employee_number="E2", position="Wizard")
    feeds.sends(3, employee_number="E3", branch="")
    assert [feeds.roles(each) for each in ("E1", "E2", "E3")] == [set(), set(), set()]
    assert "E1" not in feeds.library().holders(next(iter(feeds.library().policy.may_post)))
    assert [(each.person, each.field, each.said) for each in remedies(feeds.library())] == [
        ("E1", "branch", "Atlantis"), ("E2", "position", "Wizard"), ("E3", "branch", "")
    ]  # fmt: skip


# whole files


def test_a_file_ends_only_its_own_people(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="E1")
    facts = feeds.takes(*AT_WORK[:-1])
    assert [each.person.id for each in facts if isinstance(each, PersonLeft)] == [AT_WORK[-1].id]
    assert feeds.register.people["E1"].active


def test_the_same_file_again_changes_nothing(feeds: Feeds) -> None:
    assert kinds(feeds.takes(*the_staff())) == [SnapshotTaken]
    assert feeds.takes(*the_staff()) == ()


@pytest.mark.parametrize(("missing", "passes"), [(0, True), (4, True), (5, False), (40, False)])
def test_more_leavers_than_the_policy_expects_are_asked_about(feeds: Feeds, missing: int, passes: bool) -> None:
    assert len(AT_WORK) == 40  # of whom 10 percent are 4
    staff = AT_WORK[: len(AT_WORK) - missing]
    if passes:
        assert sum(isinstance(each, PersonLeft) for each in feeds.takes(*staff)) == missing
        return
    with pytest.raises(Refused) as refused:
        feeds.takes(*staff)
    assert "--accept-leavers" in refused.value.remedy
    assert sum(isinstance(each, PersonLeft) for each in feeds.takes(*staff, accept_leavers=True)) == missing


def test_a_row_that_cannot_be_read_keeps_its_person(feeds: Feeds) -> None:
    row = HeldRow(item="row x", person=AT_WORK[-1].id, row={}, problem="end: no date", would_pass="a date")
    facts = feeds.takes(*AT_WORK[:-1], held=(row,))
    assert kinds(facts) == [Quarantined, SnapshotTaken]
    assert kinds(feeds.takes(*the_staff(), sha="2" * 64)) == [QuarantineCleared, SnapshotTaken]


def test_a_row_that_does_not_say_whose_it_is_keeps_everyone(feeds: Feeds) -> None:
    row = HeldRow(item="line 9", row={}, problem="id: is empty", would_pass="a value")
    assert PersonLeft not in kinds(feeds.takes(*AT_WORK[:-3], held=(row,)))


def test_an_older_file_is_refused_where_files_say_when_they_were_made(feeds: Feeds) -> None:
    feeds.takes(*the_staff(), as_of=MONDAY)
    with pytest.raises(Refused, match="was applied already"):
        feeds.takes(*AT_WORK[:-1], sha="2" * 64, as_of=MONDAY.replace(hour=15))


def test_a_file_leaves_another_feed_s_person_alone_and_shows_them(feeds: Feeds) -> None:
    feeds.sends(1, employee_number="E1")
    facts = feeds.takes(*the_staff(), Person.model_validate(PLAIN.model_dump() | {"id": "E1", "name": "Other"}))
    assert [each.person for each in facts if isinstance(each, Quarantined)] == ["E1"]
    assert feeds.register.people["E1"].name == "u1@example.org"


def test_a_circle_in_a_file_is_opened_and_shown(feeds: Feeds) -> None:
    above = {"p-ed": "p-hq-clerk", "p-hq-clerk": "p-ed"}
    facts = feeds.takes(*(each.model_copy(update={"supervisor": above.get(each.id)}) for each in the_staff()))
    assert [each.item for each in facts if isinstance(each, Quarantined)] == ["person p-ed"]
    assert feeds.register.people["p-ed"].supervisor is None


def test_a_file_of_a_system_nobody_registered_is_refused(feeds: Feeds) -> None:
    with pytest.raises(Refused, match="no HR system is registered as sap"):
        feeds.takes(system="sap")
