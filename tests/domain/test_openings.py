"""Who opens a file or looks for a patron is on record: who, for what, whom it is about."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from domain.facts import Command, NoAuthority
from domain.openings import (
    MOST_PATRONS,
    SEARCH,
    FileOpened,
    OpenFile,
    OpenSealed,
    PatronsSought,
    Purpose,
    SeekPatrons,
    stream_for,
)
from tests.domain.house import ASSISTANT, AUDITOR, CASE, CLERK, LEFT, LOGO, MANAGER, OPERATOR, TIMER, founded
from tests.domain.privacy_life import PATRON

FILE = OpenFile(case=CASE, file=LOGO.sha256, patrons=(PATRON,), purpose=Purpose.RECORDS_REQUEST)
SEARCHED = SeekPatrons(by_what=("email", "name"), patrons=(PATRON,), purpose=Purpose.IDENTITY_CHECK)


@pytest.mark.parametrize("by", [CLERK, MANAGER, ASSISTANT, OPERATOR, TIMER])
def test_a_file_that_is_opened_is_on_record_with_its_hash(by: str) -> None:
    (opened,) = founded().does(FILE, by, stream_for(CASE))
    name = by if isinstance(by, str) else by.id
    assert opened == FileOpened(
        case=CASE, file=LOGO.sha256, patrons=(PATRON,), purpose=Purpose.RECORDS_REQUEST, by=name
    )
    assert opened.cites() == ("PR-12",)


def test_a_file_of_a_case_alone_is_on_record_too() -> None:
    (opened,) = founded().does(FILE.model_copy(update={"patrons": ()}), CLERK, stream_for(CASE))
    assert opened.model_dump()["patrons"] == ()


@pytest.mark.parametrize("found", [(), (PATRON,)])
def test_a_search_is_on_record_by_what_was_asked_and_whom_it_fits_even_if_nobody(found: tuple[str, ...]) -> None:
    (sought,) = founded().does(SEARCHED.model_copy(update={"patrons": found}), CLERK, stream_for(SEARCH))
    assert sought == PatronsSought(
        by_what=("email", "name"), patrons=found, purpose=Purpose.IDENTITY_CHECK, by=CLERK
    )


@pytest.mark.parametrize("asked", [FILE, SEARCHED])
@pytest.mark.parametrize("person", [AUDITOR, LEFT, "p-nobody"])
def test_auditors_and_those_who_left_open_no_file_and_look_for_nobody(asked: Command, person: str) -> None:
    refused = founded().refuses(asked, person, stream_for(CASE))
    assert isinstance(refused, NoAuthority)
    assert refused.clauses == ("PR-12",)


def test_an_opening_of_texts_is_of_someone_and_none_is_of_more_than_a_thousand() -> None:
    with pytest.raises(ValidationError):
        OpenSealed(case=CASE, patrons=(), purpose=Purpose.CASE_WORK)
    for more_than in (FILE, SEARCHED):
        with pytest.raises(ValidationError):
            type(more_than).model_validate(more_than.model_dump() | {"patrons": (PATRON,) * (MOST_PATRONS + 1)})


def test_what_is_no_opening_is_refused_with_what_would_be_one() -> None:
    from domain.waiting import Reconsider

    refused = founded().refuses(Reconsider(), CLERK, stream_for(CASE))
    assert "OpenFile" in refused.remedy
