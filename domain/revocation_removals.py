"""What has to go when a patron takes something back: a task for each use, who takes it down, and until when.

PU-6: each use ends removed, or on record as impossible, or gone by other hands. Where nobody takes it down the
coordinator is told, and then the director.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from domain.clauses import PR_12, PR_14, PU_6
from domain.facts import Act, Authority, Fact, NoAuthority, Refused, Value
from domain.patron_basis import PRINT
from domain.patron_register import Use
from domain.policy import Role
from domain.revocation_messages import (
    RemovalAsked,
    RemovalEscalated,
    RemovalMomentsReissued,
    RemovalReminded,
    RemovalRerouted,
    WhyImpossible,
)
from domain.waiting import (
    BecameOverdue,
    Due,
    DueMoment,
    DueMomentsReissued,
    Escalated,
    Reminded,
    TaskRerouted,
    Wait,
    due_moments,
    what_is_due,
)
from domain.who_may import only_staff

if TYPE_CHECKING:
    from domain.library import Library
    from domain.revocation import RevocationCase


class Removal(Value):
    """A task: one use, whoever takes it down, and until when."""

    use: str
    content: str
    target: str
    wait: Wait
    ended: str = ""
    why: WhyImpossible | None = None

    def but(self, **changed: object) -> Removal:
        return self.model_copy(update=changed)


# who may


def only_who_takes_it_down(act: Act, removal: Removal, library: Library) -> Authority:
    """Those who were asked, and headquarters."""
    authority = only_staff(act, PR_12, library)
    if act.person not in removal.wait.persons and not library.at_headquarters(act.person):
        asked = ", ".join(removal.wait.persons) or "headquarters"
        raise NoAuthority((PU_6, PR_14), f"{act.person} does not administer {removal.target}", f"let {asked} do it")
    return authority


# what must hold


def one_that_is_open(use: str, case: RevocationCase) -> Removal:
    found = next((each for each in case.open_removals() if each.use == use), None)
    if found is None:
        still_open = ", ".join(each.use for each in case.open_removals())
        raise Refused(PU_6, f"no removal of {use} is open", f"one of {still_open}")
    return found


# what is asked


def rests_on(use: Use, case: RevocationCase) -> bool:
    by_consent = any(basis.consent in case.consents for basis in use.bases)
    shown = use.content in case.pictures and (
        not use.bases or case.patron in [basis.patron for basis in use.bases]
    )
    return by_consent or shown


def ask_for_removal(use: str, content: str, target: str, library: Library) -> RemovalAsked:
    role, persons = who_takes_it_down(target, library)
    return RemovalAsked(
        use=use, used=content, target=target, rests_on=(PU_6, PR_12), role=role, place=library.headquarters,
        persons=persons, to=f"remove from {target} what a patron has taken back", since=library.at,
        due=without_expiry(due_moments(library.headquarters, library.at, library)),
        escalates_to=Role.MARKETING_AND_ACCESS_COORDINATOR,
    )  # fmt: skip


def who_takes_it_down(target: str, library: Library) -> tuple[Role, tuple[str, ...]]:
    """The account's administrators; for print, and where none of them is left, the coordinator."""
    account = None if target.startswith(PRINT) else library.account(target)
    active = [each for each in account.administrators if library.is_employee(each)] if account else []
    if active:
        return Role(library.standing(active[0]).role or Role.BRANCH_STAFF), tuple(active)
    return who_answers(library)


def who_answers(library: Library) -> tuple[Role, tuple[str, ...]]:
    """The coordinator; the director while that post is vacant."""
    role = Role.MARKETING_AND_ACCESS_COORDINATOR
    holders = library.holders(role)
    return (role, holders) if holders else (Role.EXECUTIVE_DIRECTOR, library.holders(Role.EXECUTIVE_DIRECTOR))


def without_expiry(due: tuple[DueMoment, ...]) -> tuple[DueMoment, ...]:
    return tuple(each for each in due if each.what is not Due.EXPIRY)


# what time brings


def never() -> Fact:
    raise LookupError("a revocation has no end but its own")


def what_is_due_of(removal: Removal, library: Library) -> list[Fact]:
    """At five business days the coordinator is told, at ten the director: the policy file's own numbers of both."""
    due = what_is_due(removal.wait, library.at, library, never)
    return [of_removal(each, removal.use, library) for each in due]


def of_removal(fact: Fact, use: str, library: Library) -> Fact:
    said = {name: getattr(fact, name) for name in type(fact).model_fields}
    match fact:
        case Reminded():
            return RemovalReminded(use=use, **said)
        case Escalated():
            return RemovalEscalated(use=use, nth=1, **said)
        case BecameOverdue(to=to, rests_on=clauses):
            director = Role.EXECUTIVE_DIRECTOR
            persons = library.holders(director)
            return RemovalEscalated(use=use, nth=2, role=director, persons=persons, to=to, rests_on=clauses)
        case TaskRerouted():
            return RemovalRerouted(use=use, **said)
        case DueMomentsReissued():
            return RemovalMomentsReissued(use=use, **said)
        case other:
            raise LookupError(f"{type(other).__name__} is nothing that happens to a removal")


def still_stands(use: str, library: Library) -> bool:
    found = library.use(use)
    return found is not None and found.stands_at(library.at)


# how the state follows from the facts


def ended(case: RevocationCase, use: str, how: str, why: WhyImpossible | None = None) -> RevocationCase:
    changed = tuple(each.but(ended=how, why=why) if each.use == use else each for each in case.removals)
    return case.but(removals=changed)


def with_wait(case: RevocationCase, use: str, after: Callable[[Wait], Wait]) -> RevocationCase:
    changed = tuple(each.but(wait=after(each.wait)) if each.use == use else each for each in case.removals)
    return case.but(removals=changed)
