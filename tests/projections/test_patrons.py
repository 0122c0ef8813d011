"""The consent register, the uses and the progress of revocations, each from nothing but the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from projections.consents import ConsentRegister
from projections.inbox import Inbox
from projections.notices import Notices
from projections.revocations import Revocations
from projections.uses import Uses
from services.projector import rebuild
from tests.domain.patrons import COORDINATOR, DIRECTOR, MANAGER
from tests.projections.history import Life, a_life, rows
from tests.services.patron_life import PRINT, PatronLife
from tests.system import Database

ACCOUNT = "account:facebook:durantshows"


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        life.has_an_open_account("durantshows")
        yield life


def seen(life: Life, kind: Any, table: str, database: Database, **where: Any) -> list[dict[str, Any]]:
    url = database.url("projector")
    rebuild(url, kind, "_t")
    return [row for row in rows(url, f"{table}_t") if all(row[name] == value for name, value in where.items())]


def test_a_consent_is_in_the_register_with_how_it_stands(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents()
    (row,) = seen(life, ConsentRegister, "consents", database, case_id=patron.consent)
    assert (row["form"], row["standing"], row["patron"], row["shown"]) == ("adult", "active", patron.patron, "photo_id")
    patron.revokes(patron.sealed())
    life.looks_again(patron.consent)
    (row,) = seen(life, ConsentRegister, "consents", database, case_id=patron.consent)
    assert (row["standing"], row["revocation"]) == ("revoked", patron.revocation)


def test_a_use_says_whose_consent_stood_behind_it_and_who_ended_it_where(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents().is_pictured()
    post, flyer = patron.is_shown(ACCOUNT, PRINT)
    patron.revokes(patron.sealed())
    patron.removed(post)
    found = {row["use_id"]: row for row in seen(life, Uses, "uses", database, content=patron.picture)}
    assert (found[post]["consents"], found[post]["patrons"]) == ([patron.consent], [patron.patron])
    assert (found[post]["ended_by"], found[post]["ended_in"]) == (COORDINATOR, patron.revocation)
    assert (found[flyer]["target"], found[flyer]["ended_at"]) == (PRINT, None)


def test_a_revocation_shows_how_far_it_is(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents().is_pictured()
    post, flyer = patron.is_shown(ACCOUNT, PRINT)
    patron.revokes(patron.sealed())
    life.time_passes(patron.revocation, days=8)
    patron.removed(post)
    (row,) = seen(life, Revocations, "revocations", database, case_id=patron.revocation)
    progress = ("stage", "uses_found", "removed", "to_remove", "escalated", "closed")
    assert tuple(row[each] for each in progress) == ("removing", 2, 1, 1, 1, False)
    patron.removed(flyer)
    (row,) = seen(life, Revocations, "revocations", database, case_id=patron.revocation)
    assert tuple(row[each] for each in progress) == ("completed", 2, 2, 0, 0, True)


def test_each_removal_is_a_task_of_its_own_in_the_inbox(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents().is_pictured()
    post, flyer = patron.is_shown(ACCOUNT, PRINT)
    patron.revokes(patron.sealed())
    tasks = {(row["task"], row["person"]) for row in seen(life, Inbox, "inbox", database, case_id=patron.revocation)}
    assert tasks == {(post, COORDINATOR), (post, MANAGER), (flyer, COORDINATOR)}
    patron.removed(post)
    tasks = {(row["task"], row["person"]) for row in seen(life, Inbox, "inbox", database, case_id=patron.revocation)}
    assert tasks == {(flyer, COORDINATOR)}


def test_a_removal_is_written_about_by_its_own_words_and_escalated_to_the_director(
    life: Life, database: Database
) -> None:
    patron = PatronLife(life).consents().is_pictured()
    patron.is_shown(ACCOUNT)
    patron.revokes(patron.sealed())
    life.time_passes(patron.revocation, days=30)
    sent = seen(life, Notices, "outbox", database, case_id=patron.revocation)
    to_the_director = [row for row in sent if row["person"] == DIRECTOR]
    assert [row["kind"] for row in to_the_director] == ["revocation.RemovalEscalated"]
    assert f"remove from {ACCOUNT}" in to_the_director[0]["body"]


def test_the_letter_to_the_patron_is_in_the_outbox_with_its_address_sealed(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents()
    patron.revokes(patron.sealed())
    sent = seen(life, Notices, "outbox", database, case_id=patron.revocation, person=f"patron:{patron.patron}")
    (letter,) = sent
    assert (letter["to_address"], letter["kind"]) == ("", "revocation.UsesRemoved")
    assert letter["sealed_address"]["ciphertext"] == "AA=="
    assert letter["sealed_in"]
    assert "It has stopped." in letter["body"]


def test_without_an_address_nothing_is_in_the_outbox_for_the_patron(life: Life, database: Database) -> None:
    patron = PatronLife(life).consents()
    patron.revokes()
    assert seen(life, Notices, "outbox", database, case_id=patron.revocation, person=f"patron:{patron.patron}") == []
