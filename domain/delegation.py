"""Standing in for someone: from whom, to whom, for which processes, over which half-open period, and why.

No cycles, and a chain has so many links at most as the policy file says. A decision under a delegation names both
persons; the delegate may not be the requester (the process asks that).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import AwareDatetime, Field, model_validator

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


class Delegate(Command, kind="delegation.Delegate"):
    """`until` is the first moment at which it no longer holds. Processes by stem, or `*` for every one."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    to: PersonId
    processes: tuple[str, ...] = Field(min_length=1, max_length=50)
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

    def holds(self, process: str, at: AwareDatetime) -> bool:
        return self.since <= at < self.until and (process in self.processes or "*" in self.processes)

    def overlaps(self, other: Delegate | Delegated) -> bool:
        shared = "*" in (*self.processes, *other.processes) or set(self.processes) & set(other.processes)
        return bool(shared) and self.since < other.until and other.since < self.until


class DelegationEnded(OfDelegation, kind="delegation.DelegationEnded"):
    pass


class DelegationLapsed(DelegationEnded, kind="delegation.DelegationLapsed"):
    """Ended because one of the two left the library's service."""

    giver: PersonId
    to: PersonId
    left: PersonId


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case Delegate() as wanted:
            authority = someone_active(act.person, library)
            someone_active(wanted.to, library)
            no_cycle_and_no_long_chain(act.person, wanted, library)
            fact = wanted.becomes(Delegated, delegation=act.id, giver=act.person)
            return Decision((fact,), authority)

        case EndDelegation(delegation=delegation):
            given = library.delegation(delegation)
            if given is None or act.person not in (given.giver, given.to):
                raise Refused(
                    PR_5, f"{act.by.id} has no delegation {delegation} to end", "the giver or the delegate ends it"
                )
            return Decision((DelegationEnded(delegation=delegation),), library.standing(act.person))

        case Reconsider() if act.by.kind is ActorKind.TIMER:
            return Decision(tuple(what_lapses(library)))

        case _:
            raise Refused(PR_5, f"{act.command.kind} is not a step of delegation", "Delegate or EndDelegation")


def what_lapses(library: Library) -> Iterator[DelegationLapsed]:
    for each in library.delegations():
        left = next((person for person in (each.giver, each.to) if not library.is_active(person)), None)
        if left:
            yield DelegationLapsed(delegation=each.delegation, giver=each.giver, to=each.to, left=left)


def someone_active(person: str, library: Library) -> Authority:
    if not library.is_active(person):
        raise Refused(PR_5, f"{person or 'the sender'} is not an active employee", "name someone of the active staff")
    return library.standing(person)


def no_cycle_and_no_long_chain(giver: str, wanted: Delegate, library: Library) -> None:
    if giver == wanted.to:
        raise Refused(PR_5, "nobody stands in for themselves", "name another person")
    given = [each for each in library.delegations() if each.overlaps(wanted)]
    after = links_from(wanted.to, given, lambda each: each.giver, lambda each: each.to)
    before = links_from(giver, given, lambda each: each.to, lambda each: each.giver)
    if giver in after.reached:
        raise Refused(PR_5, f"{wanted.to} already passes on to {giver}: a circle", "end that delegation first")
    most = library.policy.settings.delegation_chain_most.value
    if before.longest + 1 + after.longest > most:
        raise Refused(PR_5, f"the chain would have more than {most} links", "delegate to someone nearer to the role")


class Links:
    def __init__(self, reached: set[str], longest: int) -> None:
        self.reached, self.longest = reached, longest


def links_from(person: str, given: list[Delegated], here, there) -> Links:  # type: ignore[no-untyped-def]  # two getters
    reached: set[str] = set()
    edge, longest = {person}, 0
    while edge := {there(each) for each in given if here(each) in edge} - reached:
        reached |= edge
        longest += 1
    return Links(reached, longest)


DELEGATION = Page("delegation", State, decide, lambda state, _: state)
