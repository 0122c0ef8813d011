"""Who was shown what is sealed, and who took records away: a reading and an export are events like any other.

PR-12: what is personal is protected, so that it was read is on record. An auditor sees everything but what is sealed,
and takes away what they have to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_12, PR_19
from domain.facts import Act, ActorKind, Authority, Command, Decision, Fact, Line, NoAuthority, Page, Refused, State
from domain.policy import Role

if TYPE_CHECKING:
    from domain.library import Library

STEM = "disclosure"
# what is taken of no single case
OF_ALL = f"{STEM}-all"
MAY_TAKE_RECORDS_AWAY = (Role.AUDITOR, Role.EXECUTIVE_DIRECTOR)


class NoteReading(Command, kind="disclosure.NoteReading"):
    """The sealed texts of a case were shown in clear."""

    of_case: Line


class NoteExport(Command, kind="disclosure.NoteExport"):
    """Records are taken away: which, in which formats, how many events, up to which log position."""

    of_case: str = Field(default="", max_length=200)
    of_person: str = Field(default="", max_length=100)
    of_account: str = Field(default="", max_length=300)
    of_branch: str = Field(default="", max_length=100)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    formats: tuple[Line, ...] = Field(min_length=1, max_length=20)
    events: int = Field(ge=0)
    up_to: int = Field(ge=0)


class TextsRead(Fact, kind="disclosure.TextsRead"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    of_case: Line


class RecordsTaken(Fact, kind="disclosure.RecordsTaken"):
    clauses: ClassVar[tuple[str, ...]] = (PR_12, PR_19)
    of_case: str = ""
    of_person: str = ""
    of_account: str = ""
    of_branch: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    formats: tuple[Line, ...]
    events: int
    up_to: int


class Disclosures(State):
    pass


def decide(act: Act, _: Disclosures, library: Library) -> Decision:
    match act.command:
        case NoteReading(of_case=case) as read if act.case == stream_of(case):
            return Decision((read.becomes(TextsRead),), in_which_capacity(act))
        case NoteExport(of_case=case) as taken if act.case == (stream_of(case) if case else OF_ALL):
            authority = only_who_audits_or_answers_for_it(act, library)
            return Decision((taken.becomes(RecordsTaken),), authority)
        case _:
            raise Refused(PR_12, "a reading is noted by the door that shows it", "read it, and it is on record")


def in_which_capacity(act: Act) -> Authority | None:
    return Authority(role="operator") if act.by.kind is ActorKind.OPERATOR else None


def only_who_audits_or_answers_for_it(act: Act, library: Library) -> Authority:
    """The installation's operator holds the records anyway; that they were taken is on record all the same."""
    if act.by.kind is ActorKind.OPERATOR:
        return Authority(role="operator")
    held = library.roles(act.person)
    role = next((each for each in MAY_TAKE_RECORDS_AWAY if each in held), None)
    if role is None:
        raise NoAuthority(
            PR_12, f"{act.by.id} neither audits the library nor answers for it", "let an auditor take it away"
        )
    return library.standing(act.person, role)


def stream_of(case: str) -> str:
    return f"{STEM}-{case}"


DISCLOSURE = Page(STEM, Disclosures, decide, lambda state, _: state, opens_with=(NoteReading, NoteExport))
