"""What HR's systems send: who they are, their users and groups as sent, their whole files, and what had to wait.

A person is the same person under the same stable id, and has one source of record: no other system changes them. What
the directory cannot read is kept and shown, and tried again; HR is never blocked by the policy (PR-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from domain.clauses import PR_4
from domain.directory import Person
from domain.facts import Act, ActorKind, Authority, Decision, NoAuthority, Page, Refused, State
from domain.hr_feed_messages import (
    STAFF_FILE,
    STEM,
    AssignPeople,
    DeleteGroup,
    DeleteUser,
    GroupDeleted,
    GroupStored,
    HrSystemRegistered,
    HrTokenRevoked,
    OfResource,
    RegisterHrSystem,
    RevokeHrToken,
    Said,
    SetAside,
    StoreGroup,
    StoreUser,
    TakeSnapshot,
    UserDeleted,
    UserStored,
)
from domain.hr_snapshot import (
    nobody_is_named_twice,
    not_more_leavers_than_usual,
    not_older_than_the_last,
    what_a_snapshot_changes,
    who_is_missing_from,
)
from domain.hr_users import (
    entrusted,
    is_older,
    names_held,
    user_stored,
    what_the_directory_learns,
    who_left_with,
    whose_roles_a_group_changes,
)

if TYPE_CHECKING:
    from domain.library import Library

ANOTHER_HOLDS = "another user holds"


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
