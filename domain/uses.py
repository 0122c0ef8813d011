"""The register of uses: which content stands on which account or in which print, and whose consent stands behind it.

One command for all of them, whoever records it. Nothing is used without a valid basis: PU-6 for what a patron sent in,
PR-13 for everyone who can be recognised in a picture, PR-14 for where it may stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_13, PR_14
from domain.facts import (
    Act,
    Command,
    Decision,
    Page,
    PatronId,
    PersonId,
    Refused,
    Sealed,
    Slug,
    State,
)
from domain.may_use import may_use
from domain.patron_basis import ContentId, Target, UseBegun, UseOver
from domain.who_may import only_staff

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "uses"


class RecordUse(Command, kind="uses.RecordUse"):
    """Put on record before it is published: what stands already without a basis is noted in a revocation, and removed.
    `hiding`: those who were made unrecognisable. `post`: what it is called there."""

    secret_texts: ClassVar[tuple[str, ...]] = ("post",)
    used: ContentId
    target: Target
    hiding: tuple[PatronId, ...] = Field(default=(), max_length=100)
    post: Sealed | None = None


class EndUse(Command, kind="uses.EndUse"):
    """It stands there no longer."""

    use: Slug


class UseRecorded(UseBegun, kind="uses.UseRecorded"):
    by: PersonId
    post: Sealed | None = None


class UseEnded(UseOver, kind="uses.UseEnded"):
    by: PersonId


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case RecordUse() as wanted:
            authority = only_staff(act, PR_14, library)
            answer = may_use(wanted.used, wanted.target, library, wanted.hiding)
            answer.or_refuse()
            recorded = wanted.becomes(UseRecorded, use=act.id, since=library.at, bases=answer.bases, by=act.person)
            return Decision((recorded,), authority)

        case EndUse() as end:
            authority = only_staff(act, PR_14, library)
            use = library.use(end.use)
            if use is None or not use.stands_at(library.at):
                raise Refused(PR_14, f"no use {end.use} stands", "one that `imprimatur consent uses` lists as standing")
            return Decision((UseEnded(use=use.id, used=use.content, by=act.person),), authority)

        case _:
            raise Refused(PR_13, f"{act.command.kind} is not a step of the register of uses", "RecordUse or EndUse")


USES = Page(STREAM, State, decide, lambda state, _: state)
