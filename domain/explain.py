"""May they post, and what makes it so: for any person, account and moment.

The answer is worked out from recorded facts alone, and only from those that touch the person, their rights, the account
and the policy. So an answer of the past is what the live one said then, and it takes no longer in a long log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pydantic import AwareDatetime

from domain.clauses import PR_1, PR_4, PR_5, PR_19
from domain.directory import OfPerson
from domain.facts import Fact, Recorded, Refused, Value
from domain.hr_feed_messages import GroupStored
from domain.in_force import (
    AccountPutInService,
    AccountTakenOutOfService,
    OfRights,
    Right,
    account_id,
    account_scope,
    rights_scope,
)
from domain.library import Library, title
from domain.policy_adoption import PolicyAdopted
from domain.register import Register


class Verdict(NamedTuple):
    """`rests_on`: the case whose right it is, where it is one."""

    may: bool
    because: str
    clauses: tuple[str, ...]
    would_change: tuple[str, ...]
    rests_on: str = ""


class Link(Value):
    """An event that the answer hangs on."""

    event_id: str
    log_position: int
    case: str
    at: AwareDatetime
    kind: str
    by: str
    on_behalf_of: str = ""
    clauses: tuple[str, ...]


class Explanation(Value):
    person: str
    account: str
    at: AwareDatetime
    may: bool
    because: str
    clauses: tuple[str, ...]
    chain: tuple[Link, ...]
    would_change: tuple[str, ...]


def scopes_of(person: str, account: str) -> tuple[str, ...]:
    """What has to be read of the log, and nothing else."""
    return ("policy", f"person:{person}", rights_scope(person), account_scope(account_id(account)))


def more_scopes(person: str, recorded: Iterable[Recorded]) -> tuple[str, ...]:
    """Where the policy lets a group of the HR system add a role: the groups, and the members of those that do."""
    register = folded(recorded)
    names = {name.casefold() for _, policy in register.policies for name in policy.groups}
    if not names:
        return ()
    system = register.hr.sources.get(person, "")
    groups = [each.fact for each in register.hr.resources.values() if isinstance(each.fact, GroupStored)]
    adding = [each for each in groups if each.system == system and each.display_name.casefold() in names]
    return ("groups", *(f"hr:{system}.{member}" for each in adding for member in each.members))


def explain(person: str, account: str, at: datetime, recorded: Iterable[Recorded]) -> Explanation:
    """From the facts that were on record at that moment and touch what `scopes_of` names; in log order."""
    known = list(recorded)
    library, account = Library(folded(known), at), account_id(account)
    verdict = may_post(person, account, library)
    story = Story(known, person, account, library.policy_version(), verdict.rests_on)
    return Explanation(
        person=person,
        account=account,
        at=at,
        may=verdict.may,
        because=verdict.because,
        clauses=verdict.clauses,
        chain=tuple(link(each) for each in known if story.tells(each)),
        would_change=verdict.would_change,
    )


def may_post(person: str, account: str, library: Library) -> Verdict:
    """PR-4: by role; PR-5: by a right that runs at this moment, for someone who is where it was given."""
    try:
        return what_stands_against_it(person, account, library) or by_role_or_right(person, account, library)
    except Refused as refused:
        return Verdict(False, refused.because, refused.clauses, (refused.remedy,))


def what_stands_against_it(person: str, account: str, library: Library) -> Verdict | None:
    _ = library.policy  # without one in force nothing may be said
    found = library.account(account)
    if found is None:
        return Verdict(False, f"the library has no account {account}", (PR_1,), ("the account is approved and opened",))
    if not found.in_service:
        return Verdict(False, f"{account} is closed", (PR_19,), ("another account, in service",))
    if not library.is_employee(person):
        known = "is not an active employee at this moment" if library.person(person) else "is not in the directory"
        return Verdict(False, f"{person} {known}", (PR_4,), ("HR says that they work here",))
    return None


def by_role_or_right(person: str, account: str, library: Library) -> Verdict:
    if role := library.may_post_by_role(person):
        losing = f"{person} leaves, or their position no longer is that of {title(role)}"
        return Verdict(True, f"{person} posts as {title(role)}, without asking", (PR_4,), (losing, *closing(account)))
    covering = [each for each in library.rights_of(person) if account in each.accounts]
    for right in sorted(covering, key=lambda each: each.until, reverse=True):
        if what_is_wrong_with(right, library) is None:
            return by_right(right, account)
    return without_one(person, account, covering, library)


def by_right(right: Right, account: str) -> Verdict:
    because = f"{right.holder} has the right to post ({right.scope.value.replace('_', ' ')}), granted in {right.case}"
    would_change = (
        f"its term ends at {right.until.isoformat()}",
        "it is suspended or revoked",
        f"{right.holder} leaves {right.place} or the library, or comes to post by role",
        *closing(account),
    )
    return Verdict(True, because, (PR_5,), would_change, right.case)


def without_one(person: str, account: str, covering: list[Right], library: Library) -> Verdict:
    for right in covering:
        because, remedy = what_is_wrong_with(right, library) or ("", "")
        return Verdict(False, because, (PR_5,), (remedy,), right.case)
    ask = f"{person} asks for posting rights to {account}, and {who_would_decide(person, library)} grants them"
    role = "or HR gives them a position that posts by role"
    return Verdict(False, f"{person} neither posts by role nor has a right to {account}", (PR_4, PR_5), (ask, role))


def what_is_wrong_with(right: Right, library: Library) -> tuple[str, str] | None:
    """Why a right that was granted gives nothing at this moment, and what would make it."""
    if library.at < right.since:
        return f"the right begins at {right.since.isoformat()}", "that moment comes"
    if library.at >= right.until:
        return f"the right's term ended at {right.until.isoformat()}", "a new request is granted"
    if right.lapsed:
        return f"the right, given for {right.place}, lapsed: {right.lapsed}", "a new request is granted"
    if right.paused:
        return "the right is suspended", f"it is reinstated in {right.case}"
    if right.conditions:
        return f"conditions are open: {', '.join(right.conditions)}", f"they are met in {right.case}"
    return None


def who_would_decide(person: str, library: Library) -> str:
    of_headquarters = library.place_of(person) == library.headquarters
    rule = library.decides("posting_rights_headquarters" if of_headquarters else "posting_rights_branch")
    return f"the {title(rule.by)}"


def closing(account: str) -> tuple[str, ...]:
    return (f"{account} is closed",)


# the chain


class Story:
    """Of all that touches a question, what its answer hangs on: the policy in force, the person as HR said last, the
    account's coming and going, and the right's whole story (or that of every right, where none decides it)."""

    def __init__(self, known: list[Recorded], person: str, account: str, version: str, case: str) -> None:
        self.person, self.account, self.version, self.case = person, account, version, case
        self.newest = {name: each.log_position for each in known if (name := self._one_of_its_kind(each.fact))}

    def tells(self, each: Recorded) -> bool:
        if isinstance(each.fact, OfRights):
            return each.fact.holder == self.person and self.case in ("", each.envelope.case)
        name = self._one_of_its_kind(each.fact)
        return bool(name) and self.newest[name] == each.log_position

    def _one_of_its_kind(self, fact: Fact) -> str:
        """Facts of one name stand in for each other: the newest counts."""
        match fact:
            case PolicyAdopted(version=self.version):
                return "policy"
            case OfPerson(person=person) if person.id == self.person:
                return "person"
            case AccountPutInService(account=self.account) | AccountTakenOutOfService(account=self.account):
                return type(fact).__name__
            case _:
                return ""


def folded(recorded: Iterable[Recorded]) -> Register:
    register = Register()
    for each in recorded:
        register.evolve(each.envelope, each.fact, each.log_position)
    return register


def link(recorded: Recorded) -> Link:
    envelope = recorded.envelope
    return Link(
        event_id=envelope.event_id,
        log_position=recorded.log_position,
        case=envelope.case,
        at=envelope.at,
        kind=envelope.kind,
        by=envelope.actor.id,
        on_behalf_of=envelope.on_behalf_of,
        clauses=envelope.clauses,
    )
