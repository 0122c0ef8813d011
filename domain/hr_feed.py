"""What HR's systems send: who they are, their users and groups as sent, their whole files, and what had to wait.

A person is the same person under the same stable id, and has one source of record: no other system changes them. What
the directory cannot read is kept and shown, and tried again; HR is never blocked by the policy (PR-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter, ValidationError

from domain.clauses import PR_4
from domain.directory import (
    AsSent,
    OfPerson,
    Person,
    PersonChanged,
    PersonJoined,
    PersonLeft,
    PersonMoved,
    PersonReturned,
    PersonRolesChanged,
)
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Envelope,
    Fact,
    Line,
    NoAuthority,
    Page,
    PersonId,
    Refused,
    Sealed,
    Sha256,
    State,
    Value,
)
from domain.group_roles import is_mapped, whose_roles_change

if TYPE_CHECKING:
    from domain.library import Library

STEM = "hr_feed"
# the file that the operator imports by hand; everyone nobody else has claimed comes from there
STAFF_FILE = "staff-file"
LONGEST_ROW = 40
ANOTHER_HOLDS = "another user holds"
AS_PERSON_ID: TypeAdapter[str] = TypeAdapter(PersonId)

SYSTEM_NAME = r"^[a-z0-9]+([_-][a-z0-9]+){0,10}$"
System = Annotated[str, StringConstraints(max_length=40, pattern=SYSTEM_NAME)]
ScimId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Version = Annotated[int, Field(ge=0)]


def stream_of(system: str) -> str:
    return f"{STEM}-{system}"


def stream_of_resource(system: str, id_: str) -> str:
    return f"{STEM}-{system}.{id_}"


# names


class Said(Value):
    """A user as the directory reads it, in HR's own words; what else was sent stays in the sealed resource."""

    user_name: AsSent = ""
    employee_number: AsSent = ""
    external_id: AsSent = ""
    name: AsSent = ""
    work_email: AsSent = ""
    position: AsSent = ""
    branch: AsSent = ""
    manager: AsSent = ""
    active: bool = True
    start: date | None = None
    end: date | None = None
    hours: AsSent = ""
    effective_at: AwareDatetime | None = None
    unread: AsSent = ""  # dates that are none


class HeldRow(Value):
    """A row that could not be read: kept with its known columns, tried again with the next file."""

    item: Line
    person: AsSent = ""
    row: dict[str, str] = Field(max_length=LONGEST_ROW)
    problem: str = Field(max_length=2_000)
    would_pass: str = Field(max_length=2_000)


# messages


class RegisterHrSystem(Command, kind="hr_feed.RegisterHrSystem"):
    """A system that may write by SCIM. Only the hash of its bearer token is kept."""

    system: System
    token_sha256: Sha256


class RevokeHrToken(Command, kind="hr_feed.RevokeHrToken"):
    system: System


class AssignPeople(Command, kind="hr_feed.AssignPeople"):
    """From now on this system is these people's source of record."""

    system: System
    people: tuple[PersonId, ...] = Field(min_length=1, max_length=20_000)


class StoreUser(Command, kind="hr_feed.StoreUser"):
    """`expected` is the version that this replaces; 0 for a new one."""

    system: System
    id: ScimId
    said: Said
    resource: Sealed
    expected: Version


class DeleteUser(Command, kind="hr_feed.DeleteUser"):
    system: System
    id: ScimId
    expected: Version


class StoreGroup(Command, kind="hr_feed.StoreGroup"):
    system: System
    id: ScimId
    display_name: AsSent
    members: tuple[AsSent, ...] = Field(default=(), max_length=50_000)
    resource: dict[str, Any]
    expected: Version


class DeleteGroup(Command, kind="hr_feed.DeleteGroup"):
    system: System
    id: ScimId
    expected: Version


class TakeSnapshot(Command, kind="hr_feed.TakeSnapshot"):
    """Everyone a system knows, in one file. Who is its own and is not in it has left."""

    system: System = STAFF_FILE
    feed_sha256: Sha256
    people: tuple[Person, ...] = Field(max_length=20_000)
    held: tuple[HeldRow, ...] = Field(default=(), max_length=20_000)
    accept_leavers: bool = False
    as_of: AwareDatetime | None = None


class HrFact(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4,)
    system: System

    def touches(self) -> tuple[str, ...]:
        return (f"hr:{self.system}",)


class HrSystemRegistered(HrFact, kind="hr_feed.HrSystemRegistered"):
    token_sha256: Sha256


class HrTokenRevoked(HrFact, kind="hr_feed.HrTokenRevoked"):
    pass


class SourceSet(HrFact, kind="hr_feed.SourceSet"):
    """Whose word counts for this person."""

    person: PersonId

    def touches(self) -> tuple[str, ...]:
        return (f"person:{self.person}", "staff")


class OfResource(HrFact):
    id: ScimId

    def touches(self) -> tuple[str, ...]:
        return (f"hr:{self.system}.{self.id}",)


class UserStored(OfResource, kind="hr_feed.UserStored"):
    person: PersonId
    said: Said
    resource: Sealed
    takes: tuple[str, ...] = ()
    gives_up: tuple[str, ...] = ()

    def claims(self) -> tuple[str, ...]:
        return self.takes

    def releases(self) -> tuple[str, ...]:
        return self.gives_up


class UserDeleted(OfResource, kind="hr_feed.UserDeleted"):
    person: PersonId
    gives_up: tuple[str, ...] = ()

    def releases(self) -> tuple[str, ...]:
        return self.gives_up


class GroupStored(OfResource, kind="hr_feed.GroupStored"):
    display_name: AsSent
    members: tuple[AsSent, ...]
    resource: dict[str, Any]

    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), "groups")


class GroupDeleted(OfResource, kind="hr_feed.GroupDeleted"):
    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), "groups")


class SetAside(OfResource, kind="hr_feed.SetAside"):
    """A message that came late: what is known holds from a later time than what it says."""

    said: Said


class Quarantined(HrFact, kind="hr_feed.Quarantined"):
    """Kept and shown until it is mended: a row of a file, or a user as sent (`user:` and its id)."""

    item: Line
    person: AsSent = ""
    row: dict[str, str] = Field(default_factory=dict)
    problem: str
    would_pass: str


class QuarantineCleared(HrFact, kind="hr_feed.QuarantineCleared"):
    item: Line


class SnapshotTaken(HrFact, kind="hr_feed.SnapshotTaken"):
    feed_sha256: Sha256
    as_of: AwareDatetime | None = None
    joined: int
    changed: int
    left: int
    unchanged: int
    held: int


# what is known


@dataclass
class HrSystem:
    token_sha256: str = ""
    snapshot: SnapshotTaken | None = None


class StoredResource(NamedTuple):
    """A user or group as it stands. `version`: its position in its stream; `command`: what its seal is bound to."""

    type: Literal["User", "Group"]
    system: str
    id: str
    fact: UserStored | GroupStored
    version: int
    created: datetime
    modified: datetime
    command: str


@dataclass
class HrRegister:
    """Everything the log has said of HR's systems so far. `journal` names each resource that changed, in log order."""

    systems: dict[str, HrSystem] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    resources: dict[tuple[str, str], StoredResource] = field(default_factory=dict)
    quarantine: dict[tuple[str, str], Quarantined] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)

    def still(self) -> HrRegister:
        """As it is now: nothing that is learned later changes it."""
        systems = {name: replace(each) for name, each in self.systems.items()}
        return HrRegister(
            systems, dict(self.sources), dict(self.resources), dict(self.quarantine), list(self.journal)
        )

    def learn(self, envelope: Envelope, fact: Fact) -> bool:
        """Whether roles may have changed by it."""
        match fact:
            case HrSystemRegistered(system=system, token_sha256=hash_):
                self.system(system).token_sha256 = hash_
            case HrTokenRevoked(system=system):
                self.system(system).token_sha256 = ""
            case SnapshotTaken(system=system):
                self.system(system).snapshot = fact
            case SourceSet(system=system, person=person):
                self.sources[person] = system
                return True
            case Quarantined(system=system, item=item):
                self.quarantine[system, item] = fact
            case QuarantineCleared(system=system, item=item):
                self.quarantine.pop((system, item), None)
            case OfResource() if not isinstance(fact, SetAside):
                return self._learn_of_a_resource(envelope, fact)
        return False

    def system(self, system: str) -> HrSystem:
        return self.systems.setdefault(system, HrSystem())

    def _learn_of_a_resource(self, envelope: Envelope, fact: OfResource) -> bool:
        key = (fact.system, fact.id)
        match fact:
            case UserStored() | GroupStored():
                known = self.resources.get(key)
                created = known.created if known else envelope.at
                type_: Literal["User", "Group"] = "User" if isinstance(fact, UserStored) else "Group"
                self.resources[key] = StoredResource(
                    type_, *key, fact, envelope.position, created, envelope.at, envelope.command_id
                )
            case UserDeleted() | GroupDeleted():
                self.resources.pop(key, None)
        self.journal.append(key)
        return isinstance(fact, GroupStored | GroupDeleted)

    def system_of_token(self, token_sha256: str) -> str | None:
        held_by = {each.token_sha256: name for name, each in list(self.systems.items()) if each.token_sha256}
        return held_by.get(token_sha256)

    def user(self, system: str, id_: str) -> UserStored | None:
        found = self.resources.get((system, id_))
        return found.fact if found and isinstance(found.fact, UserStored) else None

    def groups_of_people(self) -> dict[str, set[str]]:
        """The names of the groups each person is in. A group speaks only for its own system's people."""
        return self.people_by(self.groups())

    def groups(self) -> dict[str, GroupStored]:
        stored = (each.fact for each in list(self.resources.values()))
        return {f"{each.system}.{each.id}": each for each in stored if isinstance(each, GroupStored)}

    def people_by(self, groups: Mapping[str, GroupStored]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for each in groups.values():
            for person in self._people_in(each):
                found.setdefault(person, set()).add(each.display_name)
        return found

    def _people_in(self, group: GroupStored) -> Iterator[str]:
        for member in group.members:
            user = self.user(group.system, member)
            if user and self.sources.get(user.person) == group.system:
                yield user.person

    def users_of(self, system: str) -> list[StoredResource]:
        return [each for each in list(self.resources.values()) if each.system == system and each.type == "User"]

    def waiting(self, system: str) -> list[Quarantined]:
        return [each for (of, _), each in sorted(self.quarantine.items()) if of == system]


# decide


def decide(act: Act, state: State, library: Library) -> Decision:
    match act.command:
        case RegisterHrSystem() as asked:
            only_the_operator(act)
            a_system_and_no_file(asked.system)
            no_token_is_in_use(asked.system, library)
            return Decision((asked.becomes(HrSystemRegistered),), Authority(role="operator"))

        case RevokeHrToken() as asked:
            only_the_operator(act)
            a_token_is_in_use(asked.system, library)
            return Decision((asked.becomes(HrTokenRevoked),), Authority(role="operator"))

        case AssignPeople() as asked:
            only_the_operator(act)
            the_system_is_known(asked.system, library)
            everyone_is_in_the_directory(asked.people, library)
            return Decision(tuple(entrusted(asked, library)), Authority(role="operator"))

        case StoreUser() as sent:
            only_that_system(act, sent.system)
            known = the_version_replaced(state, sent, UserStored, library)
            nobody_ends_before_they_start(sent.said)
            if known and is_older(sent.said, known.said):
                return Decision((SetAside(system=sent.system, id=sent.id, said=sent.said),))
            stored = user_stored(sent, known, library)
            nobody_is_their_own_manager(stored)
            no_other_holds(stored.takes, act.case, library)
            return Decision((stored, *what_the_directory_learns(stored, library)))

        case DeleteUser() as sent:
            only_that_system(act, sent.system)
            known = the_version_replaced(state, sent, UserStored, library)
            gone = UserDeleted(system=sent.system, id=sent.id, person=known.person, gives_up=names_held(known))
            return Decision((gone, *who_left_with(known, library)))

        case StoreGroup() as sent:
            only_that_system(act, sent.system)
            before = the_version_replaced(state, sent, GroupStored, library)
            group = sent.becomes(GroupStored)
            return Decision((group, *whose_roles_a_group_changes(before, group, library)))

        case DeleteGroup() as sent:
            only_that_system(act, sent.system)
            before = the_version_replaced(state, sent, GroupStored, library)
            return Decision((sent.becomes(GroupDeleted), *whose_roles_a_group_changes(before, None, library)))

        case TakeSnapshot() as feed:
            only_the_operator_or_that_system(act, feed.system)
            the_system_is_known(feed.system, library)
            nobody_is_named_twice(feed)
            not_older_than_the_last(feed, library)
            leavers = who_is_missing_from(feed, library)
            not_more_leavers_than_usual(feed, leavers, library)
            return Decision(tuple(what_a_snapshot_changes(feed, leavers, library)))

        case _:
            raise Refused(PR_4, f"{act.command.kind} is not a step of an HR feed", "a step that the feed knows")


# its rules


def only_the_operator(act: Act) -> None:
    if act.by.kind is not ActorKind.OPERATOR:
        raise NoAuthority(PR_4, "only whoever runs the installation may do this", "the operator, at the command line")


def only_that_system(act: Act, system: str) -> None:
    if act.by.kind is not ActorKind.HR_SYSTEM or act.by.id != system:
        raise NoAuthority(PR_4, f"{act.by.id} does not write for {system}", f"the bearer token of {system}")


def only_the_operator_or_that_system(act: Act, system: str) -> None:
    if act.by.kind is not ActorKind.OPERATOR:
        only_that_system(act, system)


def a_system_and_no_file(system: str) -> None:
    if system == STAFF_FILE:
        raise Refused(PR_4, f"{STAFF_FILE} is the file that is imported by hand", "another name")


def no_token_is_in_use(system: str, library: Library) -> None:
    known = library.hr(f"hr:{system}").systems.get(system)
    if known and known.token_sha256:
        raise Refused(PR_4, f"{system} has a token already", f"`hr revoke {system}` first")


def a_token_is_in_use(system: str, library: Library) -> None:
    known = library.hr(f"hr:{system}").systems.get(system)
    if not known or not known.token_sha256:
        raise Refused(PR_4, f"{system} has no token", "a system that `hr list` shows with a token")


def the_system_is_known(system: str, library: Library) -> None:
    if system != STAFF_FILE and system not in library.hr(f"hr:{system}").systems:
        raise Refused(PR_4, f"no HR system is registered as {system}", f"`hr register {system}` first, or {STAFF_FILE}")


def everyone_is_in_the_directory(people: Iterable[str], library: Library) -> None:
    if unknown := [each for each in people if library.person(each) is None]:
        raise Refused(PR_4, f"nobody in the directory is {', '.join(unknown[:5])}", "ids that `staff list` shows")


def the_version_replaced(
    state: State, sent: StoreUser | DeleteUser | StoreGroup | DeleteGroup, type_: type[OfResource], library: Library
) -> Any:
    """The resource as it stands; what was written meanwhile is never written over unseen."""
    known = library.hr(f"hr:{sent.system}.{sent.id}").resources.get((sent.system, sent.id))
    if (known.version if known else 0) != sent.expected or (known is None and state.position > 0):
        raise Refused(PR_4, f"{sent.id} was changed or deleted meanwhile", "read it again and send the change again")
    if known is None and not isinstance(sent, StoreUser | StoreGroup):
        raise Refused(PR_4, f"there is no {sent.id}", "the id of a resource that this system created")
    if known and not isinstance(known.fact, type_):
        raise Refused(PR_4, f"{sent.id} is of another type", "the id of a resource of this type")
    return known.fact if known else None


def nobody_ends_before_they_start(said: Said) -> None:
    if said.start and said.end and said.end < said.start:
        raise Refused(PR_4, f"the end {said.end} is before the start {said.start}", "an end on or after the start")


def nobody_is_their_own_manager(stored: UserStored) -> None:
    if stored.said.manager and stored.said.manager in (stored.id, stored.person):
        raise Refused(PR_4, f"{stored.person} is named as their own manager", "another person as manager, or none")


def no_other_holds(names: Iterable[str], stream: str, library: Library) -> None:
    for name in names:
        if library.holder_of(name) not in (None, stream):
            raise Refused(PR_4, f"{ANOTHER_HOLDS} {name.partition(':')[2]}", "a name and number of their own")


def nobody_is_named_twice(feed: TakeSnapshot) -> None:
    seen: set[str] = set()
    for person in feed.people:
        if person.id in seen:
            raise Refused(PR_4, f"the feed names {person.id} twice", "one row per person id")
        seen.add(person.id)


def not_older_than_the_last(feed: TakeSnapshot, library: Library) -> None:
    last = library.hr(f"hr:{feed.system}").system(feed.system).snapshot
    if last and last.as_of and feed.as_of and feed.as_of < last.as_of:
        raise Refused(PR_4, f"a file of {last.as_of:%Y-%m-%d %H:%M} was applied already", "the newest file")


def not_more_leavers_than_usual(feed: TakeSnapshot, leavers: list[Person], library: Library) -> None:
    """A cut-off file must not end half the library's accounts."""
    most = library.policy.settings.feed_leavers_most_percent.value
    of_it = (each for each in library.people() if library.source_of(each.id) == feed.system)
    own = sum(not has_gone(each, library.today) for each in of_it)
    if leavers and not feed.accept_leavers and len(leavers) * 100 > most * own:
        raise Refused(
            PR_4,
            f"{len(leavers)} of {own} people are missing from the file, more than {most} percent: "
            + ", ".join(each.id for each in leavers[:10]),
            "the whole file; or --accept-leavers, if they all left",
        )


# what follows


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


def leads_back(person: str, supervisor: str, library: Library, changed: Mapping[str, Person]) -> bool:
    above: str | None = supervisor
    seen: set[str] = set()
    while above and above not in seen:
        if above == person:
            return True
        seen.add(above)
        found = changed.get(above) or library.person(above)
        above = found.supervisor if found else None
    return False


def difference(known: Person, said: Person, day: date) -> OfPerson:
    """Left and returned by the day it is: a departure that was told late is one at once, a planned one is a change."""
    if has_gone(said, day) and not has_gone(known, day):
        return PersonLeft(person=said)
    if has_gone(known, day) and not has_gone(said, day):
        return PersonReturned(person=said)
    if (known.branch, known.position) != (said.branch, said.position):
        return PersonMoved(person=said, from_branch=known.branch, from_position=known.position)
    changed = tuple(name for name in Person.model_fields if getattr(known, name) != getattr(said, name))
    return PersonChanged(person=said, changed=changed)


def has_gone(person: Person, day: date) -> bool:
    return not person.active or (person.end is not None and person.end < day)


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


def who_is_missing_from(feed: TakeSnapshot, library: Library) -> list[Person]:
    """Only the feed's own people; nobody while a row does not even say whose it is."""
    if any(not row.person for row in feed.held):
        return []
    named = {person.id for person in feed.people} | {row.person for row in feed.held}
    return [
        each
        for each in library.people()
        if not has_gone(each, library.today) and each.id not in named and library.source_of(each.id) == feed.system
    ]


def what_a_snapshot_changes(feed: TakeSnapshot, leavers: list[Person], library: Library) -> Iterator[Fact]:
    differences, waiting = of_everyone(feed, library)
    differences += [PersonLeft(person=each.model_copy(update={"active": False})) for each in leavers]
    rows = [*feed.held, *waiting]
    quarantine = list(held_and_cleared(feed, rows, library))
    last = library.hr(f"hr:{feed.system}").system(feed.system).snapshot
    if not differences and not quarantine and last and last.feed_sha256 == feed.feed_sha256:
        return
    for each in differences:
        yield each
        if isinstance(each, PersonJoined):
            yield SourceSet(system=feed.system, person=each.person.id)
    yield from quarantine
    yield summary_of(feed, differences, len(rows))


def of_everyone(feed: TakeSnapshot, library: Library) -> tuple[list[OfPerson], list[HeldRow]]:
    """The differences of the feed's own people, and the rows that have to wait although they can be read."""
    differences: list[OfPerson] = []
    waiting: list[HeldRow] = []
    changed = {person.id: person for person in feed.people}
    for said in feed.people:
        known = library.person(said.id)
        if known and library.source_of(said.id) != feed.system:
            waiting.append(of_another(said, library.source_of(said.id)))
            continue
        if said.supervisor and leads_back(said.id, said.supervisor, library, changed):
            waiting.append(below_already(said))
            said = changed[said.id] = said.model_copy(update={"supervisor": None})
        if known is None:
            differences.append(PersonJoined(person=said))
        elif known != said:
            differences.append(difference(known, said, library.today))
    return differences, waiting


def of_another(said: Person, source: str) -> HeldRow:
    because = f"{said.id} is fed by {source}, and a person has one source of record"
    return waiting_row(said, because, "`hr assign`, if this feed takes over")


def below_already(said: Person) -> HeldRow:
    because = f"the manager {said.supervisor} is below {said.id} already"
    return waiting_row(said, because, "a manager who is not below them")


def waiting_row(said: Person, problem: str, would_pass: str) -> HeldRow:
    return HeldRow(item=f"person {said.id}", person=said.id, row={}, problem=problem, would_pass=would_pass)


def held_and_cleared(feed: TakeSnapshot, rows: Iterable[HeldRow], library: Library) -> Iterator[Fact]:
    """A file says everything: what it holds no longer is mended or gone, and waits no more."""
    before = {each.item: each for each in library.hr(f"hr:{feed.system}").waiting(feed.system)}
    now = {row.item: Quarantined(system=feed.system, **row.model_dump()) for row in rows}
    yield from (fact for item, fact in now.items() if before.get(item) != fact)
    gone = [item for item in before if item not in now and not item.startswith("user:")]
    yield from (QuarantineCleared(system=feed.system, item=item) for item in gone)


def summary_of(feed: TakeSnapshot, differences: list[OfPerson], held: int) -> SnapshotTaken:
    def count(*kinds: type[OfPerson]) -> int:
        return sum(isinstance(each, kinds) for each in differences)

    named = {person.id for person in feed.people}
    return SnapshotTaken(
        system=feed.system,
        feed_sha256=feed.feed_sha256,
        as_of=feed.as_of,
        joined=count(PersonJoined),
        changed=count(PersonChanged, PersonMoved, PersonReturned),
        left=count(PersonLeft),
        unchanged=len(feed.people) - sum(each.person.id in named for each in differences),
        held=held,
    )


# remedies


class Remedy(NamedTuple):
    """What HR says of someone and the policy does not know: kept as sent, and gives no authority."""

    person: str
    field: Literal["branch", "position"]
    said: str
    would_pass: str


def remedies(library: Library) -> list[Remedy]:
    """Everyone at work whose branch or position the policy does not know."""
    return [each for person in library.people() if library.is_active(person.id) for each in of_person(person, library)]


def of_person(person: Person, library: Library) -> Iterator[Remedy]:
    policy = library.policy
    if person.branch not in policy.places:
        would_pass = f"in HR one of {', '.join(policy.places)}; or another place in the policy"
        yield Remedy(person.id, "branch", person.branch, would_pass)
    if not policy.roles_of(person.position):
        would_pass = f"in HR one of {', '.join(policy.positions)}; or another position in the policy"
        yield Remedy(person.id, "position", person.position, would_pass)


HR_FEED = Page(STEM, State, decide, lambda state, _: state, by_todays_policy=True)
