"""What a user or group as sent makes of the directory: who it is, what is new, what has to wait.

A person is the same person under the same stable id, and has one source of record (PR-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from domain.directory import Person, PersonJoined, PersonRolesChanged
from domain.facts import Fact, PersonId
from domain.group_roles import is_mapped, whose_roles_change
from domain.hr_difference import difference, leads_back
from domain.hr_feed_messages import (
    AssignPeople,
    GroupStored,
    QuarantineCleared,
    Quarantined,
    Said,
    SourceSet,
    StoreUser,
    UserStored,
)

if TYPE_CHECKING:
    from domain.library import Library

AS_PERSON_ID: TypeAdapter[str] = TypeAdapter(PersonId)


def user_stored(sent: StoreUser, known: UserStored | None, library: Library) -> UserStored:
    person = known.person if known else stable_id(sent.said, sent.id)
    stored = UserStored(system=sent.system, id=sent.id, person=person, said=sent.said, resource=sent.resource)
    takes, held = names_held(stored), names_held(known) if known else ()
    changed = {
        "takes": tuple(name for name in takes if name not in held),
        "gives_up": tuple(name for name in held if name not in takes),
    }
    return stored.model_copy(update=changed)


def names_held(user: UserStored) -> tuple[str, ...]:
    """What no second user of the same system may have: the user name in any case, and being this person."""
    return (f"scim-{user.system}:userName {user.said.user_name.casefold()}", f"scim-{user.system}:person {user.person}")


def stable_id(said: Said, id_: str) -> str:
    """HR's own number first; what the vendor calls external only where it is no user name or e-mail in disguise."""
    names = {each.casefold() for name in (said.user_name, said.work_email) for each in (name, name.partition("@")[0])}
    for wanted in (said.employee_number, "" if said.external_id.casefold() in names else said.external_id):
        if may_be_a_person_id(wanted):
            return wanted
    return id_


def may_be_a_person_id(text: str) -> bool:
    try:
        AS_PERSON_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def is_older(said: Said, known: Said) -> bool:
    """Only what says from when it holds can be told to be late; all else is taken in the order it comes."""
    return bool(said.effective_at and known.effective_at and said.effective_at < known.effective_at)


def what_the_directory_learns(stored: UserStored, library: Library) -> Iterator[Fact]:
    changed: dict[str, Person] = {}
    yield from of_one_user(stored, library, changed)
    for item in library.hr(f"hr:{stored.system}").waiting(stored.system):
        other = library.hr().user(stored.system, item.item.removeprefix("user:"))
        if other and other.id != stored.id:
            yield from of_one_user(other, library, changed, newer=stored)


def of_one_user(
    user: UserStored,
    library: Library,
    changed: dict[str, Person],
    newer: UserStored | None = None,
    entrusted: bool = False,
) -> Iterator[Fact]:
    """The difference to the directory, and what of it has to wait. `changed`: what this decision has changed so far."""
    item, known = f"user:{user.id}", library.person(user.person)
    source = library.source_of(user.person)
    if known and source != user.system and not entrusted:
        because = f"{user.person} is fed by {source}, and a person has one source of record"
        yield from held(user, item, because, f"`hr assign {user.system} {user.person}`, if it takes over", library)
        return
    person, trouble = as_person(user, library, changed, newer)
    changed[person.id] = person
    if known is None:
        yield PersonJoined(person=person)
        yield SourceSet(system=user.system, person=person.id)
    elif known != person:
        yield difference(known, person, library.today)
    if trouble or user.said.unread:
        because = "; ".join(filter(None, (user.said.unread, trouble)))
        yield from held(user, item, because, "dates as 2026-03-02; a manager this system sent, not below them", library)
    elif (user.system, item) in library.hr().quarantine:
        yield QuarantineCleared(system=user.system, item=item)


def held(user: UserStored, item: str, problem: str, would_pass: str, library: Library) -> Iterator[Fact]:
    fact = Quarantined(system=user.system, item=item, person=user.person, problem=problem, would_pass=would_pass)
    if library.hr(f"hr:{user.system}").quarantine.get((user.system, item)) != fact:
        yield fact


def as_person(
    user: UserStored, library: Library, changed: Mapping[str, Person], newer: UserStored | None = None
) -> tuple[Person, str]:
    said = user.said
    supervisor, trouble = supervisor_of(user, library, changed, newer)
    person = Person(
        id=user.person,
        name=said.name or said.user_name or user.person,
        work_email=said.work_email,
        position=said.position,
        branch=library.policy.place_named(said.branch),
        supervisor=supervisor,
        active=said.active,
        start=said.start,
        end=said.end,
        hours=said.hours,
    )
    return person, trouble


def supervisor_of(
    user: UserStored, library: Library, changed: Mapping[str, Person], newer: UserStored | None
) -> tuple[str | None, str]:
    """The manager as a person id; none, and why, where nobody is known by it or the line would lead back."""
    manager = user.said.manager
    if not manager:
        return None, ""
    known = library.hr(f"hr:{user.system}.{manager}").user(user.system, manager)
    named = newer if newer and newer.id == manager else known
    supervisor = named.person if named else manager
    if named is None and (not may_be_a_person_id(manager) or library.person(manager) is None):
        return None, f"nobody is known as the manager {manager}"
    if leads_back(user.person, supervisor, library, changed):
        return None, f"the manager {supervisor} is below {user.person} already"
    return supervisor, ""


def who_left_with(user: UserStored, library: Library) -> Iterator[Fact]:
    person, item = library.person(user.person), f"user:{user.id}"
    if person and library.source_of(person.id) == user.system and person.active:
        yield difference(person, person.model_copy(update={"active": False}), library.today)
    if (user.system, item) in library.hr(f"hr:{user.system}").quarantine:
        yield QuarantineCleared(system=user.system, item=item)


def entrusted(asked: AssignPeople, library: Library) -> Iterator[Fact]:
    """The new source's word counts at once, where it has already spoken."""
    moved = {each for each in asked.people if library.source_of(each) != asked.system}
    yield from (SourceSet(system=asked.system, person=each) for each in sorted(moved))
    yield from whose_roles_a_source_changes(moved, asked.system, library)
    changed: dict[str, Person] = {}
    for each in library.hr(f"hr:{asked.system}").users_of(asked.system):
        if isinstance(each.fact, UserStored) and each.fact.person in moved:
            yield from of_one_user(each.fact, library, changed, entrusted=True)


def whose_roles_a_group_changes(
    known: GroupStored | None, stored: GroupStored | None, library: Library
) -> Iterator[PersonRolesChanged]:
    both = [each for each in (known, stored) if each]
    if not any(is_mapped(each.display_name, library.policy) for each in both):
        return
    scopes = {f"hr:{each.system}.{member}" for each in both for member in each.members}
    register = library.hr("groups", *scopes)
    before = register.groups()
    name = f"{both[0].system}.{both[0].id}"
    after = before | {name: stored} if stored else {key: each for key, each in before.items() if key != name}
    yield from whose_roles_change(register.people_by(before), register.people_by(after), library)


def whose_roles_a_source_changes(moved: Iterable[str], system: str, library: Library) -> Iterator[PersonRolesChanged]:
    if library.policy.groups:
        register = library.hr("groups")
        then = replace(register, sources=register.sources | dict.fromkeys(moved, system))
        yield from whose_roles_change(register.groups_of_people(), then.groups_of_people(), library)
