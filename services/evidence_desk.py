"""A file of evidence, for someone who may read it: opened on record, and freed of what a camera writes beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from domain.clauses import PR_12
from domain.facts import Evidence, Malformed, NoAuthority, Recorded, stem_of
from domain.openings import Purpose
from domain.photo_permission import PROCESS as PICTURES
from services.desk import Caller, Desk, NoSuchCase, may_read_texts, reader_of
from services.opened_files import file_opened_for
from services.pictures.leaving import as_it_may_leave

FIELDS = set(Evidence.model_fields)


class OpenedFile(NamedTuple):
    """`drawn_anew`: the picture that can be seen is the one that was kept; its bytes are not."""

    sha256: str
    media_type: str
    content: bytes
    drawn_anew: bool


async def open_evidence(
    desk: Desk, case: str, sha256: str, reader: Caller | None, purpose: Purpose = Purpose.CASE_WORK
) -> OpenedFile:
    """A file that a fact of the case names. `reader` None is the operator, who holds the keys anyway."""
    return await desk.in_a_thread(lambda: _opened(desk, case, sha256, reader, purpose))


async def picture_of(
    desk: Desk, case: str, reader: Caller | None, purpose: Purpose = Purpose.CASE_WORK
) -> OpenedFile:
    """The picture that the case is about."""
    if stem_of(case) != PICTURES:
        raise Malformed("case", f"{case} is no case of a picture", f"one that begins with {PICTURES}-")
    return await desk.in_a_thread(lambda: _opened(desk, case, None, reader, purpose))


def _opened(desk: Desk, case: str, sha256: str | None, reader: Caller | None, purpose: Purpose) -> OpenedFile:
    state, recorded = desk.ledger.read_on(case)
    if not recorded:
        raise NoSuchCase("case", f"there is no case {case}", "an id that `case list` shows")
    library = desk.ledger.library()
    if reader is not None and not may_read_texts(reader.person, state, library):
        raise NoAuthority(PR_12, f"{reader.person} has nothing to do with this case", "someone who has opens it")
    evidence = the_one_named(recorded, sha256)
    content = file_opened_for(desk.ledger, desk.evidence, desk.keys, case, evidence, reader_of(reader), purpose)
    megapixels = library.policy.settings.picture_megapixels_most.value
    leaving = as_it_may_leave(content, evidence.media_type, megapixels)
    return OpenedFile(evidence.sha256, leaving.media_type, leaving.content, leaving.drawn_anew)


def the_one_named(recorded: Sequence[Recorded], sha256: str | None) -> Evidence:
    """By its hash; without one, the newest that there is."""
    named = [each for fact in recorded for each in evidence_in(fact.envelope.fact)]
    found = [each for each in named if sha256 in (None, each.sha256)]
    if not found:
        raise NoSuchCase("evidence", "no fact of this case names such a file", "a hash that `case show` tells")
    return found[-1]


def evidence_in(value: Any) -> Iterator[Evidence]:
    """Every file that is named in it, however deep."""
    if isinstance(value, dict) and set(value) == FIELDS:
        yield Evidence.model_validate(value)
        return
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for each in parts:
        yield from evidence_in(each)
