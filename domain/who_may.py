"""Who may, where processes ask it in the same words: each names the clause on which it asks.

People are looked up at the moment of the decision; the answer is in which capacity they act. PR-12 where it is about
what is a patron's: whoever handles it is of the place where it came in, or of headquarters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.clauses import PR_12
from domain.facts import Act, ActorKind, Authority, NoAuthority

if TYPE_CHECKING:
    from domain.library import Library


def only_staff(
    act: Act, clause: str, library: Library, remedy: str = "an active employee of the directory"
) -> Authority:
    if not library.is_employee(act.person):
        raise NoAuthority(clause, f"{act.by.id} is not an active employee", remedy)
    return library.standing(act.person)


def only_staff_who_handle_it(act: Act, what: str, place: str, clause: str, library: Library) -> Authority:
    """Headquarters, or the place where it came in."""
    authority = only_staff(act, clause, library)
    if library.place_of(act.person) != place and not library.at_headquarters(act.person):
        raise NoAuthority(PR_12, f"only {place} and headquarters handle this {what}", f"let someone of {place} do it")
    return authority


def only_the_requester(act: Act, requester: str, clause: str, library: Library, to: str) -> Authority:
    if act.person != requester:
        raise NoAuthority(clause, f"only the requester may {to}", f"let {requester} do it")
    return who_asks(act, clause, library)


def who_asks(act: Act, clause: str, library: Library) -> Authority:
    return only_staff(act, clause, library, remedy="an active employee of the directory asks")


def only_headquarters(act: Act, clause: str, library: Library, to: str) -> Authority:
    if not library.at_headquarters(act.person):
        raise NoAuthority(clause, f"only headquarters may {to}", "let someone of headquarters do it")
    return library.standing(act.person)


def only_the_system(
    act: Act,
    clause: str,
    because: str = "time passes by the ledger's clock, at nobody's request",
    remedy: str = "nothing: wait",
) -> None:
    if act.by.kind is not ActorKind.TIMER:
        raise NoAuthority(clause, because, remedy)
