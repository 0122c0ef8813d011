"""Patrons are found by what they can say of themselves, and by nobody who has the tables alone."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from domain.facts import Malformed, patron_key
from domain.revocation_messages import AskRevocation, Received
from services.erasing import IndexSweeper
from services.patrons import PatronIndex, normalised
from services.seal import KeyEncryptionKey, KeyStore
from tests.system import Database, Office

SAID = {"name": "Reader of the Durant branch", "email": "reader@example.org", "telephone": "(662) 555-0142"}


@pytest.fixture
def keys(database: Database) -> Iterator[KeyStore]:
    keys = KeyStore(database.url("keeper"), KeyEncryptionKey(b"k" * 32))
    yield keys
    keys.close()


@pytest.fixture
def index(keys: KeyStore) -> PatronIndex:
    return PatronIndex(keys)


@pytest.mark.parametrize(
    ("kind", "one_way", "another"),
    [
        ("name", "Réader  OF the Durant", "durant, the reader of"),
        ("email", " Reader@Example.ORG ", "reader@example.org"),
        ("telephone", "+1 (662) 555-0142", "662.555.0142"),
        ("telephone", "0044 20 7946 0018", "00442079460018"),
        ("handle", "@TheReader", "thereader"),
    ],
)
def test_the_same_said_in_another_way_is_the_same(kind: str, one_way: str, another: str) -> None:
    assert normalised({kind: one_way}) == normalised({kind: another})
    assert normalised({kind: one_way})[kind]


def test_what_says_nothing_finds_nobody(index: PatronIndex) -> None:
    index.note(str(uuid4()), {"name": "...", "telephone": "none"})
    assert index.find({"name": "!!!", "telephone": ""}) == []


def test_a_patron_is_found_by_any_of_the_values_and_the_one_who_fits_most_is_first(index: PatronIndex) -> None:
    first, second = str(uuid4()), str(uuid4())
    index.note(first, SAID)
    index.note(second, SAID | {"email": "another@example.org"})
    index.note(second, SAID)  # the same again is nothing new
    assert index.find({"email": "another@example.org"}) == [second]
    assert index.find({"name": SAID["name"], "email": "another@example.org"}) == [second, first]
    assert index.find({"telephone": "555 0142"}) == []


def test_nothing_of_it_stands_in_clear(index: PatronIndex, database: Database) -> None:
    patron = str(uuid4())
    index.note(patron, SAID)
    with psycopg.connect(database.url("keeper")) as conn:
        rows = conn.execute("select digest, sealed from keys.patron_index where patron = %s", (patron,)).fetchall()
    everything = b"".join(bytes(each) for row in rows for each in row)
    assert len(rows) == len(SAID)
    for value in normalised(SAID).values():
        assert value.encode() not in everything


def noted_days_ago(database: Database, patron: str, days: int) -> None:
    with psycopg.connect(database.url("keeper")) as conn:
        query = "update keys.patron_index set noted_at = noted_at - make_interval(days => %s) where patron = %s"
        conn.execute(query, (days, patron))


def test_what_was_noted_for_a_command_that_never_came_is_swept_and_nobody_on_record_is(
    index: PatronIndex, database: Database
) -> None:
    """Not before its credential is over; and of a refused attempt the log has something sealed, so its patron is
    found, to be forgotten."""
    office = Office(database).founded()
    recorded, refused, lost, young = (str(uuid4()) for _ in range(4))
    mine = {each: {"name": f"Reader {each}"} for each in (recorded, refused, lost, young)}
    for patron, said in mine.items():
        index.note(patron, said)
        text = office.seal.text("Who they are.", case := f"revocation-{uuid4()}", "told", "what", [patron_key(patron)])
        place = "durant" if patron == recorded else "nowhere"
        ask = AskRevocation(patron=patron, received=Received.LETTER, place=place, what=text)
        if patron in (recorded, refused):
            assert bool(office.submit(ask, case, "p-hq-clerk").refusal) is (patron == refused)
        noted_days_ago(database, patron, 3 if patron == young else 4)
    sweeper = IndexSweeper(office.ledger, index)
    assert sweeper.one_pass() == 1
    assert [patron for patron, said in mine.items() if index.find(said) == []] == [lost]
    noted_days_ago(database, young, 4)
    index.note(young, mine[young])  # said again, and it may still come
    assert sweeper.one_pass() == 0
    office.close()


@pytest.mark.parametrize("wrong", [{"shoe_size": "9"}, {"name": "x" * 401}])
def test_what_patrons_are_not_found_by_is_malformed_and_not_repeated(index: PatronIndex, wrong: dict[str, str]) -> None:
    with pytest.raises(Malformed) as malformed:
        index.find(wrong)
    assert "9" not in str(malformed.value)
    with pytest.raises(Malformed):
        index.note("no-id", SAID)
