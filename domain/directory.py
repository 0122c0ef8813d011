"""The staff directory: who works where, in which position, from when to when, as HR's feeds say it.

Roles are never stored here: they derive from the position by the policy file at the moment they are asked for (PR-4).
A feed is compared with what is known and only the differences become facts, so feeding it twice applies it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, StringConstraints

from domain.clauses import PR_4, PR_18
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    Line,
    NoAuthority,
    Page,
    PersonId,
    Refused,
    Sha256,
    State,
    Value,
)
from domain.policy import Role

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "directory"
# a line as HR has it, or nothing: a branch or position that the policy does not know is kept and gives no authority
AsSent = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Person(Value):
    """One person of the staff directory, as HR says it. `branch` is a place of the policy file, or what HR calls it."""

    id: PersonId
    name: Line
    work_email: AsSent
    position: AsSent
    branch: AsSent
    supervisor: PersonId | None = None
    active: bool
    start: date | None = None
    end: date | None = None
    hours: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")

    def employed_on(self, day: date) -> bool:
        return self.active and (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


class ImportStaff(Command, kind="directory.ImportStaff"):
    """People as one feed names them. `left_out` counts the rows of the feed that could not be read."""

    feed_sha256: Sha256
    people: tuple[Person, ...] = Field(max_length=20_000)
    left_out: int = Field(default=0, ge=0)


class DeclareFriendsRole(Command, kind="directory.DeclareFriendsRole"):
    """PR-18: whether a person administers a site of a Friends of the Library organisation."""

    person: PersonId
    administers: bool


class OfPerson(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4,)
    person: Person

    def touches(self) -> tuple[str, ...]:
        return (f"person:{self.person.id}", "staff")


class PersonJoined(OfPerson, kind="directory.PersonJoined"):
    pass


class PersonChanged(OfPerson, kind="directory.PersonChanged"):
    changed: tuple[str, ...]


class PersonMoved(OfPerson, kind="directory.PersonMoved"):
    """Another branch or another position: what the person may do has to be asked anew."""

    from_branch: AsSent
    from_position: AsSent


class PersonLeft(OfPerson, kind="directory.PersonLeft"):
    pass


class PersonReturned(OfPerson, kind="directory.PersonReturned"):
    """Known before, active again. Nothing that ended when they left comes back by itself."""


class PersonRolesChanged(OfPerson, kind="directory.PersonRolesChanged"):
    """Nothing of what HR says of the person, but a group of HR's gives them a role, or gives it no longer."""

    gained: tuple[Role, ...] = ()
    lost: tuple[Role, ...] = ()


class StaffImported(Fact, kind="directory.StaffImported"):
    clauses: ClassVar[tuple[str, ...]] = (PR_4,)
    feed_sha256: Sha256
    joined: int
    changed: int
    left: int
    unchanged: int
    left_out: int


class FriendsRoleDeclared(Fact, kind="directory.FriendsRoleDeclared"):
    clauses: ClassVar[tuple[str, ...]] = (PR_18,)
    person: PersonId
    administers: bool

    def touches(self) -> tuple[str, ...]:
        return (f"person:{self.person}", "staff")


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case ImportStaff() as feed:
            only_hr_or_the_operator(act)
            nobody_is_named_twice(feed)
            differences = list(what_is_new_in(feed, library))
            if not differences:
                return Decision(())
            return Decision((*differences, summary_of(feed, differences)))

        case DeclareFriendsRole() as declared:
            authority = only_the_person_or_headquarters(act, declared, library)
            if library.friends_administrator(declared.person) == declared.administers:
                return Decision((), authority)
            return Decision((declared.becomes(FriendsRoleDeclared),), authority)

        case _:
            raise Refused(PR_4, f"{act.command.kind} is not a step of the directory", "a step that the directory knows")


def only_hr_or_the_operator(act: Act) -> None:
    if act.by.kind not in (ActorKind.HR_SYSTEM, ActorKind.OPERATOR):
        raise NoAuthority(
            PR_4,
            "the directory is fed by HR, not by a person of the staff",
            "send the change through the HR feed, or have the operator import it",
        )


def nobody_is_named_twice(feed: ImportStaff) -> None:
    seen: set[str] = set()
    for person in feed.people:
        if person.id in seen:
            raise Refused(PR_4, f"the feed names {person.id} twice", "one row per person id")
        seen.add(person.id)


def only_the_person_or_headquarters(act: Act, declared: DeclareFriendsRole, library: Library) -> Authority:
    if library.person(declared.person) is None:
        raise NoAuthority(PR_18, f"nobody in the directory is {declared.person}", "the id of a person of the directory")
    if act.by.kind is ActorKind.OPERATOR:
        return Authority(role="operator")
    of_themselves = act.person == declared.person and library.may_act(act.person)
    if not of_themselves and not library.at_headquarters(act.person):
        raise NoAuthority(
            PR_18,
            "a Friends-site role is declared by the person or by headquarters",
            f"let {declared.person} or someone at headquarters declare it",
        )
    return library.standing(act.person)


def what_is_new_in(feed: ImportStaff, library: Library) -> Iterator[OfPerson]:
    for person in feed.people:
        known = library.person(person.id)
        if known is None:
            yield PersonJoined(person=person)
        elif known != person:
            yield what_changed(known, person)


def what_changed(known: Person, said: Person) -> OfPerson:
    if known.active and not said.active:
        return PersonLeft(person=said)
    if said.active and not known.active:
        return PersonReturned(person=said)
    if (known.branch, known.position) != (said.branch, said.position):
        return PersonMoved(person=said, from_branch=known.branch, from_position=known.position)
    changed = tuple(name for name in Person.model_fields if getattr(known, name) != getattr(said, name))
    return PersonChanged(person=said, changed=changed)


def summary_of(feed: ImportStaff, differences: list[OfPerson]) -> StaffImported:
    def count(*kinds: type[OfPerson]) -> int:
        return sum(isinstance(each, kinds) for each in differences)

    return StaffImported(
        feed_sha256=feed.feed_sha256,
        joined=count(PersonJoined),
        changed=count(PersonChanged, PersonMoved, PersonReturned),
        left=count(PersonLeft),
        unchanged=len(feed.people) - len(differences),
        left_out=feed.left_out,
    )


DIRECTORY = Page("directory", State, decide, lambda state, _: state, by_todays_policy=True)
