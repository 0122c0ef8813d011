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
    Sha256,
    State,
)

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "openings"
BESIDE = f"{PROCESS}-"
# beside no case: looking for a patron by what they can say
SEARCH = "search"
MOST_PATRONS = 1_000


class Purpose(StrEnum):
    CASE_WORK = auto()
    IDENTITY_CHECK = auto()
    PATRON_ASKED = auto()
    LETTER = auto()
    RECORDS_REQUEST = auto()


class OpenSealed(Command, kind="openings.OpenSealed"):
    case: Line
    patrons: tuple[PatronId, ...] = Field(min_length=1, max_length=MOST_PATRONS)
    purpose: Purpose


class OpenFile(Command, kind="openings.OpenFile"):
    """A file of evidence, whether or not it is sealed for a patron too."""

    case: Line
    file: Sha256
    patrons: tuple[PatronId, ...] = Field(max_length=MOST_PATRONS)
    purpose: Purpose


class SeekPatrons(Command, kind="openings.SeekPatrons"):
    """Whom what was said fits: that it fits nobody is an answer too. What was said is kept nowhere."""

    by_what: tuple[Line, ...] = Field(min_length=1, max_length=10)
    patrons: tuple[PatronId, ...] = Field(max_length=MOST_PATRONS)
    purpose: Purpose


class SealedOpened(Fact, kind="openings.SealedOpened"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    case: Line
    patrons: tuple[PatronId, ...]
    purpose: Purpose
    by: Line


class FileOpened(Fact, kind="openings.FileOpened"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    case: Line
    file: Sha256
    patrons: tuple[PatronId, ...]
    purpose: Purpose
    by: Line


class PatronsSought(Fact, kind="openings.PatronsSought"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    by_what: tuple[Line, ...]
    patrons: tuple[PatronId, ...]
    purpose: Purpose
    by: Line


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case OpenSealed() as opening:
            authority = only_who_works_here(act, library)
            return Decision((opening.becomes(SealedOpened, by=act.by.id),), authority)
        case OpenFile() as opening:
            authority = only_who_works_here(act, library)
            return Decision((opening.becomes(FileOpened, by=act.by.id),), authority)
        case SeekPatrons() as search:
            authority = only_who_works_here(act, library)
            return Decision((search.becomes(PatronsSought, by=act.by.id),), authority)
        case _:
            because = f"{act.command.kind} is no opening of what is sealed"
            raise Refused(PR_12, because, "OpenSealed, OpenFile or SeekPatrons")


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
