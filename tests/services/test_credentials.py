"""Proof of the sender: whatever is not signed by a door for exactly this command changes nothing and burns no id."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from joserfc.jwk import OctKey, OKPKey
from joserfc.jws import JWSRegistry, serialize_compact

from domain.account_creation import AccountCase
from domain.account_creation_messages import ApproveAccount, RefuseAccount
from domain.facts import Actor, ActorKind, Channel
from domain.policy_adoption import STREAM as POLICIES
from domain.policy_adoption import AdoptPolicy
from services.credentials import COMMAND_PURPOSE, TOKEN_PURPOSE, DoorKey, Statement, Unproven
from services.ledger import Ledger
from services.submissions import Submission
from tests.system import POLICY, Database, Office, SetClock, a_case, a_request, sealed

LIFE = timedelta(hours=72)
A_MOMENT = timedelta(microseconds=1)


@pytest.fixture
def approval(office: Office) -> Submission:
    """A good approval of a case that was requested."""
    case = a_case()
    office.submit(a_request(f"c{case[-10:]}"), case, "p-bm-durant")
    return office.submission(ApproveAccount(content=content_of(office, case)), case, "p-ed")


def content_of(office: Office, case: str) -> str:
    state = office.ledger.state(case)
    assert isinstance(state, AccountCase)
    return state.content


def said_in(submission: Submission) -> dict[str, Any]:
    payload = submission.credential.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


def statement(submission: Submission, **changed: Any) -> Statement:
    return Statement.model_validate(said_in(submission) | changed)


def unsigned(header: dict[str, Any], payload: bytes, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), payload, signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def by_another_key(_: Office, good: Submission) -> str:
    return DoorKey(OKPKey.generate_key("Ed25519", private=True)).sign(statement(good))


def with_the_public_key_as_a_secret(office: Office, good: Submission) -> str:
    secret = OctKey.import_key(base64.urlsafe_b64decode(office.door.public + "="))
    payload = statement(good).model_dump_json().encode()
    return serialize_compact({"alg": "HS256"}, payload, secret, registry=JWSRegistry(algorithms=["HS256"]))


def of_somebody_else_under_the_same_signature(_: Office, good: Submission) -> str:
    header, _payload, signature = good.credential.split(".")
    other = statement(good, actor={"kind": "person", "id": "p-mac"}).model_dump_json().encode()
    return ".".join((header, unsigned({}, other).split(".")[1], signature))


def with_a_critical_header_nobody_knows(office: Office, good: Submission) -> str:
    said = unsigned({"alg": "Ed25519", "crit": ["x"], "x": 1}, statement(good).model_dump_json().encode())
    key = office.door._key.private_key
    assert key is not None
    signature = key.sign(said.rpartition(".")[0].encode())  # type: ignore[union-attr]
    return said + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


FORGED: dict[str, tuple[Callable[[Office, Submission], str], str]] = {
    "none": (lambda _, good: "", "there is no credential"),
    "garbage": (lambda _, good: "garbage", "the credential is not signed by a door of this system"),
    "garbage in three parts": (lambda _, good: "a.b.c", "the credential is not signed by a door of this system"),
    "not ASCII": (lambda _, good: "\u2713.\u2713.\u2713", "the credential is not signed by a door of this system"),
    "another key": (by_another_key, "the credential is not signed by a door of this system"),
    "alg none": (
        lambda _, good: unsigned({"alg": "none"}, statement(good).model_dump_json().encode()),
        "the credential is not signed by a door of this system",
    ),
    "HS256 with the public key": (
        with_the_public_key_as_a_secret,
        "the credential is not signed by a door of this system",
    ),
    "a bit of the signature changed": (
        lambda _, good: good.credential[:-3] + ("A" if good.credential[-3] != "A" else "B") + good.credential[-2:],
        "the credential is not signed by a door of this system",
    ),
    "a signature cut short": (
        lambda _, good: good.credential[:-8],
        "the credential is not signed by a door of this system",
    ),
    "another payload under the signature": (
        of_somebody_else_under_the_same_signature,
        "the credential is not signed by a door of this system",
    ),
    "a statement of another form": (
        lambda office, good: serialize_compact(
            {"alg": "Ed25519"}, b"{}", office.door._key, registry=JWSRegistry(algorithms=["Ed25519"])
        ),
        "the credential is not signed by a door of this system",
    ),
    "a critical header nobody here knows": (
        with_a_critical_header_nobody_knows,
        "the credential is not signed by a door of this system",
    ),
    "a bearer token": (
        lambda office, good: office.door.sign(statement(good, purpose=TOKEN_PURPOSE)),
        "the credential is not one for a command",
    ),
    "another case": (
        lambda office, good: office.door.sign(statement(good, case=a_case())),
        "the credential is for another case",
    ),
    "another command id": (
        lambda office, good: office.door.sign(statement(good, command=str(uuid4()))),
        "the credential is for another command id",
    ),
    "other content": (
        lambda office, good: office.door.sign(statement(good, content="0" * 64)),
        "the credential is for another command or other content",
    ),
    "another command": (
        lambda office, good: office.submission(
            RefuseAccount(content=good.fields["content"], reason=sealed()), good.case, "p-ed", good.id
        ).credential,
        "the credential is for another command or other content",
    ),
    "the timer": (
        lambda office, good: office.door.sign(statement(good, actor={"kind": "timer", "id": "timer"})),
        "the credential is for the system itself, which sends nothing through a door",
    ),
    "expired": (
        lambda office, good: office.door.sign(statement(good, at=office.clock.now() - LIFE - A_MOMENT)),
        "the credential has expired: it was good for 72 hours",
    ),
    "from the future": (
        lambda office, good: office.door.sign(statement(good, at=office.clock.now() + timedelta(minutes=5) + A_MOMENT)),
        "the credential is from the future",
    ),
}


@pytest.mark.parametrize("forged", list(FORGED))
def test_without_proof_nothing_changes_and_no_id_is_burnt(
    office: Office, database: Database, approval: Submission, forged: str
) -> None:
    credential, because = FORGED[forged]
    before = written(database)
    with pytest.raises(Unproven) as unproven:
        office.ledger.submit(approval.model_copy(update={"credential": credential(office, approval)}))
    assert str(unproven.value) == because
    assert written(database) == before
    good = office.ledger.submit(approval)
    assert [each.envelope.kind for each in good.facts] == ["account_creation.AccountApproved", "waiting.Asked"]


def written(database: Database) -> object:
    with psycopg.connect(database.url("reader")) as conn:
        return conn.execute(
            "select (select count(*) from ledger.events), (select count(*) from ledger.commands)"
        ).fetchone()


def test_a_credential_lives_to_its_last_moment(office: Office, approval: Submission) -> None:
    at = office.clock.now() - LIFE
    lasting = approval.model_copy(update={"credential": office.door.sign(statement(approval, at=at))})
    answer = office.ledger.submit(lasting)
    assert answer.facts[0].envelope.occurred_at == at
    assert answer.facts[0].envelope.at == office.clock.now()


def test_what_a_sender_says_of_the_time_gives_no_advantage(office: Office, approval: Submission) -> None:
    ahead = office.clock.now() + timedelta(minutes=5)
    early = approval.model_copy(update={"credential": office.door.sign(statement(approval, at=ahead))})
    assert office.ledger.submit(early).facts[0].envelope.at == office.clock.now()


def test_a_bearer_token_proves_a_person_and_a_commands_credential_does_not(
    office: Office, approval: Submission
) -> None:
    now = office.clock.now()
    verifier = office.door.verifier()
    token = office.door.token("p-ed", "passkey", now)
    said = verifier.session(token, now + LIFE, LIFE)
    assert (said.actor, said.method) == (Actor(kind=ActorKind.PERSON, id="p-ed"), "passkey")
    with pytest.raises(Unproven, match="expired"):
        verifier.session(token, now + LIFE + A_MOMENT, LIFE)
    with pytest.raises(Unproven, match="not a bearer token"):
        verifier.session(approval.credential, now, LIFE)


def test_without_a_door_key_nobody_is_proven(database: Database, office: Office, approval: Submission) -> None:
    ledger = Ledger(database.url("recorder"), office.clock)
    with pytest.raises(Unproven, match="no door key yet"):
        ledger.submit(approval)
    ledger.close()


def test_the_door_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "door.jwk"
    first = DoorKey.of_file(file)
    assert DoorKey.of_file(file).public == first.public
    assert file.stat().st_mode & 0o777 == 0o600
    assert "d" in json.loads(file.read_text())


def test_what_a_door_signs_is_said_in_full(office: Office, approval: Submission) -> None:
    assert statement(approval) == Statement(
        purpose=COMMAND_PURPOSE,
        actor=Actor(kind=ActorKind.PERSON, id="p-ed"),
        method="a test",
        channel=Channel.API,
        case=approval.case,
        command=approval.id,
        content=approval.content,
        at=office.clock.now(),
    )


def test_a_process_that_has_just_started_knows_how_long_the_policy_lets_a_credential_live(
    office: Office, database: Database
) -> None:
    text = POLICY.read_text()
    i = text.index("value = 72", text.index("[settings.credential_life_hours]"))
    shorter = text[:i] + "value = 1" + text[i + len("value = 72") :]
    adopted = office.submit(AdoptPolicy(text=shorter.replace('"2026-1"', '"2026-2"', 1)), POLICIES, "p-ed")
    assert adopted.facts, adopted.refusal
    case = a_case()
    request = office.submission(a_request("just.started"), case, "p-bm-durant")
    assert isinstance(office.clock, SetClock)
    fresh = Ledger(database.url("recorder"), SetClock(office.clock.now() + timedelta(hours=2)), office.door.verifier())
    with pytest.raises(Unproven, match="good for 1 hours"):
        fresh.submit(request)
    fresh.close()
