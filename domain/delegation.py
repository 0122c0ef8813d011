"""Standing in for someone: from whom, to whom, for which processes, over which half-open period, and why.

No cycles, and a chain has so many links at most as the policy file says. A decision under a delegation names both
persons; the delegate may not be the requester (the process asks that).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from domain.clauses import PR_1, PR_5
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    Page,
    PersonId,
    Refused,
    Sealed,
    Slug,
    State,
)
from domain.waiting import Reconsider

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "delegation"
EVERY_PROCESS = "*"
Stem = Annotated[str, StringConstraints(max_length=80, pattern=r"^(\*|[a-z0-9][a-z0-9_-]*)$")]


class Delegate(Command, kind="delegation.Delegate"):
    """`until` is the first moment at which it no longer holds. Processes by stem, or `*` for every one."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    to: PersonId
    processes: tuple[Stem, ...] = Field(min_length=1, max_length=50)
    since: AwareDatetime
    until: AwareDatetime
    reason: Sealed

    @model_validator(mode="after")
    def a_period(self) -> Delegate:
        if self.until <= self.since:
            raise ValueError("the delegation ends before it begins; give an `until` after `since`")
        return self


class EndDelegation(Command, kind="delegation.EndDelegation"):
    delegation: Slug


class OfDelegation(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_5)
    delegation: Slug

    def touches(self) -> tuple[str, ...]:
        return ("delegations", "staff")


class Delegated(OfDelegation, kind="delegation.Delegated"):
    giver: PersonId
    to: PersonId
    processes: tuple[str, ...]
    since: AwareDatetime
    until: AwareDatetime
    reason: Sealed

    def holds(self, process: str, at: datetime) -> bool:
        return self.since <= at < self.until and (process in self.processes or EVERY_PROCESS in self.processes)


class DelegationEnded(OfDelegation, kind="delegation.DelegationEnded"):
    pass


class DelegationLapsed(DelegationEnded, kind="delegation.DelegationLapsed"):
    """Ended because one of the two left the library's service, or the giver the place or a role that it rested on."""

    giver: PersonId
    to: PersonId
    left: PersonId


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case Delegate() as wanted:
            authority = someone_who_acts(act.person, library)
            someone_who_acts(wanted.to, library)
            known_processes(wanted, library)
            a_period_to_come(wanted, library)
            no_circle_and_no_long_chain(act.person, wanted, library)
            fact = wanted.becomes(Delegated, delegation=act.id, giver=act.person)
            return Decision((fact,), authority)

        case EndDelegation(delegation=delegation):
            authority = someone_who_acts(act.person, library)
            given = library.delegation(delegation)
            if given is None or act.person not in (given.giver, given.to):
                raise Refused(
                    PR_5, f"{act.by.id} has no delegation {delegation} to end", "the giver or the delegate ends it"
                )
            return Decision((DelegationEnded(delegation=delegation),), authority)

        case Reconsider() if act.by.kind is ActorKind.TIMER:
            return Decision(tuple(what_lapses(library)))

        case _:
            raise Refused(PR_5, f"{act.command.kind} is not a step of delegation", "Delegate or EndDelegation")


def what_lapses(library: Library) -> Iterator[DelegationLapsed]:
    for each in library.delegations():
        gone = [person for person in (each.giver, each.to) if not library.is_active(person)]
        if left := next(iter(gone), library.left_behind(each.delegation)):
            yield DelegationLapsed(delegation=each.delegation, giver=each.giver, to=each.to, left=left)


def someone_who_acts(person: str, library: Library) -> Authority:
    if not library.is_active(person):
        raise Refused(PR_5, f"{person or 'the sender'} is not an active employee", "name someone of the active staff")
    if not library.may_act(person):
        raise Refused(PR_5, f"{person} audits, and so decides nothing", "name someone of the active staff")
    return library.standing(person)


def known_processes(wanted: Delegate, library: Library) -> None:
    known = (EVERY_PROCESS, *library.policy.decides)
    if unknown := [each for each in wanted.processes if each not in known]:
        raise Refused(PR_5, f"nobody decides on {', '.join(unknown)}", f"some of {', '.join(known)}")


def a_period_to_come(wanted: Delegate, library: Library) -> None:
    if wanted.until <= library.at:
        raise Refused(PR_5, "the delegation would be over already", "an `until` that is still to come")


def no_circle_and_no_long_chain(giver: str, wanted: Delegate, library: Library) -> None:
    """Asked of every moment at which something begins to hold: in between, nothing is added."""
    if giver == wanted.to:
        raise Refused(PR_5, "nobody stands in for themselves", "name another person")
    given = list(library.delegations())
    most = library.policy.settings.delegation_chain_most.value
    for process, moment in when_it_holds(wanted, given):
        links = {(each.giver, each.to) for each in given if each.holds(process, moment)}
        before, after = chains_to(giver, links), chains_from(wanted.to, links)
        if any(giver in chain for chain in after):
            raise Refused(PR_5, f"{wanted.to} already passes on to {giver}: a circle", "end that delegation first")
        if max(map(len, before)) + max(map(len, after)) - 1 > most:
            raise Refused(PR_5, f"the chain would have more than {most} links", "someone nearer to the role")


def when_it_holds(wanted: Delegate, given: list[Delegated]) -> Iterator[tuple[str, datetime]]:
    """Each process, and each moment of the wanted period, at which a chain may be longer than before."""
    processes = set(wanted.processes)
    if EVERY_PROCESS in processes:
        processes.update(process for each in given for process in each.processes)
    moments = {wanted.since, *(each.since for each in given if wanted.since < each.since < wanted.until)}
    return product(sorted(processes), sorted(moments))


def chains_from(person: str, links: set[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Every chain of persons that begins with this one, itself alone included."""
    passed_on = {each for each in links if each[0] == person}
    others = links - passed_on
    return [(person,), *((person, *chain) for _, to in passed_on for chain in chains_from(to, others))]


def chains_to(person: str, links: set[tuple[str, str]]) -> list[tuple[str, ...]]:
    return chains_from(person, {(to, giver) for giver, to in links})


DELEGATION = Page("delegation", State, decide, lambda state, _: state, by_todays_policy=True)
