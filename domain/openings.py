"""Who opened what is sealed under a patron's key, and for what: on record before they see it (PR-12).

Each case has a stream of its own for this beside it, so that looking at a case never moves it.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_12
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
    PatronId,
    Refused,
    State,
)

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "openings"
BESIDE = f"{PROCESS}-"


class Purpose(StrEnum):
    CASE_WORK = auto()
    IDENTITY_CHECK = auto()
    PATRON_ASKED = auto()
    LETTER = auto()
    RECORDS_REQUEST = auto()


class OpenSealed(Command, kind="openings.OpenSealed"):
    case: Line
    patrons: tuple[PatronId, ...] = Field(min_length=1, max_length=1_000)
    purpose: Purpose


class SealedOpened(Fact, kind="openings.SealedOpened"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    case: Line
    patrons: tuple[PatronId, ...]
    purpose: Purpose
    by: Line


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case OpenSealed() as opening:
            authority = only_who_works_here(act, library)
            return Decision((opening.becomes(SealedOpened, by=act.by.id),), authority)
        case _:
            raise Refused(PR_12, f"{act.command.kind} is no opening of what is sealed", "OpenSealed")


def only_who_works_here(act: Act, library: Library) -> Authority:
    """Whether they have to do with the case is asked where it is shown. The system opens what it writes to a patron;
    the operator holds the keys anyway."""
    if act.by.kind in (ActorKind.TIMER, ActorKind.OPERATOR):
        return Authority(role=act.by.kind.value)
    if not library.may_act(act.person):
        raise NoAuthority(PR_12, f"{act.by.id} does not open what patrons entrusted to the library", "active staff")
    return library.standing(act.person)


def stream_for(case: str) -> str:
    return BESIDE + case


OPENINGS = Page(PROCESS, State, decide, lambda state, _: state)
