"""Bad input, told by field, with what would pass; nothing of it is recorded."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from domain.account_creation import PROCESS
from domain.delegation import STREAM as DELEGATIONS
from domain.facts import Actor, ActorKind, Channel, Malformed
from services.submissions import Submission, parse_submission
from tests.system import Database, Office, a_case, a_request, sealed

REQUEST = "account_creation.RequestAccount"
CASE = a_case()
A_SEALED_TEXT = sealed().model_dump(mode="json") | {"under": [f"case:{CASE}"]}
GOOD = a_request("well.formed").model_dump(mode="json") | {"purpose": A_SEALED_TEXT, "audience": A_SEALED_TEXT}
DELEGATED = {
    "to": "p-mac",
    "processes": [PROCESS],
    "since": "2026-03-02T09:00:00-06:00",
    "until": "2026-03-09T09:00:00-06:00",
    "reason": sealed().model_dump(mode="json") | {"under": ["case:delegation"]},
}


def payload(kind: str = REQUEST, case: str = CASE, **fields: Any) -> dict[str, Any]:
    base = DELEGATED if kind == "delegation.Delegate" else GOOD
    return {"kind": kind, "id": str(uuid4()), "case": case, "fields": base | fields, "credential": "not looked at"}


def delegation(**fields: Any) -> dict[str, Any]:
    return payload("delegation.Delegate", DELEGATIONS, **fields)


BAD: dict[str, tuple[object, str, str]] = {
    "no object": (["a list"], "message", "an object"),
    "nothing": ({}, "kind", "give the field"),
    "an extra field beside": (payload() | {"role": "executive_director"}, "role", "leave the field out"),
    "a field named by a whole text": (payload() | {"Dear Sir, I am": 1}, "?", "leave the field out"),
    "an id that is no UUID": (payload() | {"id": "1"}, "id", "a UUID"),
    "a case with a line break": (
        payload() | {"case": CASE + "\n"},
        "case",
        "text without control characters, of the form ",
    ),
    "a case of dashes": (
        payload() | {"case": "account_creation-" + "-" * 36},
        "case",
        "text without control characters, of the form ",
    ),
    "an unknown kind": (payload("account_creation.Approve"), "kind", "a command that `imprimatur commands` lists"),
    "a fact for a command": (payload("waiting.Asked"), "kind", "a command that `imprimatur commands` lists"),
    "a kind with a NUL": (payload("account\x00"), "kind", "a command that `imprimatur commands` lists"),
    "an extra field": (payload(approved=True), "approved", "leave the field out"),
    "a missing field": (
        payload() | {"fields": {name: GOOD[name] for name in GOOD if name != "place"}},
        "place",
        "give the field",
    ),
    "a NUL in a line": (
        payload(handle="durant\x00library"),
        "handle",
        "text without control characters, of the form ",
    ),
    "a NUL where no form is asked for": (
        delegation(processes=[PROCESS, "\x00"]),
        "processes.1",
        "text without control characters",
    ),
    "a NUL in a sealed text": (
        payload(purpose=A_SEALED_TEXT | {"ciphertext": "AA\x00A"}),
        "purpose.ciphertext",
        "text without control characters",
    ),
    "half a character": (payload(handle="durant\ud800"), "handle", "text in valid Unicode"),
    "a reason of 1 MB": (
        payload(purpose=A_SEALED_TEXT | {"ciphertext": "A" * 1_000_000}),
        "purpose.ciphertext",
        "at most 100000 characters",
    ),
    "a text that is not sealed": (
        payload(purpose="in clear"),
        "purpose",
        "an object; a text that only its readers may open is sealed by a door first",
    ),
    "a text that was sealed for another case": (
        payload(purpose=A_SEALED_TEXT | {"under": [f"case:{a_case()}"]}),
        "purpose",
        f"sealed for {CASE}",
    ),
    "a time without a zone": (
        delegation(since="2026-03-02T09:00:00"),
        "since",
        "a time with its zone, such as 2026-03-02T09:00:00-06:00",
    ),
    "a time that is none": (
        delegation(until="tomorrow"),
        "until",
        "an RFC 3339 time, such as 2026-03-02T09:00:00-06:00",
    ),
    "too many of something": (payload(administrators=["p-mac"] * 51), "administrators", "at most 50 of them"),
    "a number for a text": (payload(handle=7), "handle", "a text"),
    "a credential of 1 MB": (payload() | {"credential": "x" * 1_000_000}, "credential", "at most 4000 characters"),
}


@pytest.mark.parametrize("bad", list(BAD))
def test_it_is_told_which_field_and_what_would_pass(office: Office, database: Database, bad: str) -> None:
    arrived, field, would_pass = BAD[bad]
    before = everything(database)
    with pytest.raises(Malformed) as malformed:
        office.ledger.submit(parse_submission(arrived))
    assert (malformed.value.field, malformed.value.would_pass[: len(would_pass)]) == (field, would_pass)
    assert everything(database) == before


@pytest.mark.parametrize("bad", list(BAD))
def test_what_was_sent_is_not_repeated(bad: str) -> None:
    arrived, _, _ = BAD[bad]
    with pytest.raises(Malformed) as malformed:
        _ = parse_submission(arrived).command
    assert "Dear Sir" not in str(malformed.value)
    assert len(str(malformed.value)) < 500


def everything(database: Database) -> object:
    with psycopg.connect(database.url("reader")) as conn:
        return conn.execute(
            "select (select count(*) from ledger.events), (select count(*) from ledger.commands), "
            "(select count(*) from ledger.suppressed)"
        ).fetchone()


def test_the_same_payload_without_a_fault_is_a_command() -> None:
    assert parse_submission(payload()).command.kind == REQUEST
    assert parse_submission(delegation()).command.kind == "delegation.Delegate"


def test_the_content_is_the_same_however_its_fields_are_ordered_and_another_for_another_case() -> None:
    one = parse_submission(payload())
    other = Submission.model_validate(one.model_dump() | {"fields": dict(reversed(one.fields.items()))})
    assert other.content == one.content
    assert Submission.model_validate(one.model_dump() | {"case": a_case()}).content != one.content


def test_a_command_that_proves_its_sender_and_is_malformed_is_not_recorded(office: Office, database: Database) -> None:
    actor = Actor(kind=ActorKind.PERSON, id="p-bm-durant")
    plain = parse_submission(payload(place="no such place!"))
    proven = office.door.prove(plain, actor, "a test", Channel.API, office.clock.now())
    before = everything(database)
    with pytest.raises(Malformed, match="place"):
        office.ledger.submit(proven)
    assert everything(database) == before
