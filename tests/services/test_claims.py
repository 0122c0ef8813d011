"""What one case claims no other gets, whatever a decision had read: the database sees to that by itself."""

from __future__ import annotations

from typing import NamedTuple
from uuid import uuid4

import pytest

from domain.facts import Envelope
from services.ledger import Ledger, stored
from services.recorder import NotRecorded, Recording, ToRecord, learn, recorded_together
from tests.system import Office, a_case, a_request


class Said(NamedTuple):
    """What one event claims and gives free."""

    claims: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


class Writer:
    """One case, of which is recorded what no decision would ever record: it has read nothing."""

    def __init__(self, ledger: Ledger, like: Envelope) -> None:
        self._ledger, self._like = ledger, like
        self.case, self._stands_at = a_case(), 0

    def asks(self, *said: Said) -> tuple[Recording, ToRecord]:
        envelopes = [
            self._like.model_copy(
                update={
                    "case": self.case, "position": nth, "event_id": str(uuid4()), "touches": (),
                    "claims": each.claims, "releases": each.releases,
                }
            )
            for nth, each in enumerate(said, start=self._stands_at + 1)
        ]  # fmt: skip
        recording = Recording("a test", str(uuid4()), judged=self.case, stood_at=self._stands_at)
        events = [self._ledger.mapper.to_stored_event(stored(each)) for each in envelopes]
        return recording, ToRecord.of(recording, events)

    def records(self, *said: Said) -> None:
        recording, asked = self.asks(*said)
        with self._ledger.recorder.datastore.get_connection() as conn:
            (row,) = recorded_together(conn, [asked])
        learn(recording, row)
        self._stands_at += len(said)


@pytest.fixture(scope="module")
def like(office: Office) -> Envelope:
    return office.submit(a_request(), a_case(), "p-bm-durant").facts[0].envelope


@pytest.fixture
def one(office: Office, like: Envelope) -> Writer:
    return Writer(office.ledger, like)


@pytest.fixture
def other(office: Office, like: Envelope) -> Writer:
    return Writer(office.ledger, like)


@pytest.fixture
def key() -> str:
    return f"account:facebook:{uuid4().hex}"


def does_not_get(writer: Writer, key: str, *said: Said) -> None:
    with pytest.raises(NotRecorded) as told:
        writer.records(*said)
    assert (told.value.outcome, told.value.detail) == ("claimed", key)


def test_what_a_case_holds_no_other_gets_and_nothing_of_it_is_written(
    office: Office, one: Writer, other: Writer, key: str
) -> None:
    one.records(Said(claims=(key,)))
    before = office.ledger.recorder.max_notification_id()
    does_not_get(other, key, Said(), Said(claims=(f"{key}.2", key)))
    assert office.ledger.recorder.max_notification_id() == before
    other.records(Said(claims=(f"{key}.2",)))


def test_whoever_holds_it_may_claim_it_again(one: Writer, key: str) -> None:
    one.records(Said(claims=(key,)))
    one.records(Said(claims=(key,)))


def test_what_is_given_free_another_gets_and_the_first_no_more(one: Writer, other: Writer, key: str) -> None:
    one.records(Said(claims=(key,)))
    one.records(Said(), Said(releases=(key,)))
    other.records(Said(claims=(key,)))
    does_not_get(one, key, Said(claims=(key,)))


def test_what_one_event_gives_free_a_later_one_of_the_same_append_holds(one: Writer, other: Writer, key: str) -> None:
    one.records(Said(claims=(key,)))
    one.records(Said(releases=(key,)), Said(claims=(key,)))
    does_not_get(other, key, Said(claims=(key,)))


def test_what_one_event_holds_a_later_one_of_the_same_append_gives_free(one: Writer, other: Writer, key: str) -> None:
    one.records(Said(claims=(key,)), Said(releases=(key,)))
    other.records(Said(claims=(key,)))


def test_an_event_that_gives_a_key_free_and_claims_it_holds_it(one: Writer, other: Writer, key: str) -> None:
    one.records(Said(claims=(key,)))
    one.records(Said(claims=(key,), releases=(key,)))
    does_not_get(other, key, Said(claims=(key,)))


def test_of_two_who_claim_it_in_one_transaction_the_first_gets_it(
    office: Office, one: Writer, other: Writer, key: str
) -> None:
    asked = [writer.asks(Said(claims=(key,)))[1] for writer in (one, other)]
    with office.ledger.recorder.datastore.get_connection() as conn:
        told = recorded_together(conn, asked)
    assert [(row[0], row[6]) for row in told] == [("recorded", None), ("claimed", key)]
