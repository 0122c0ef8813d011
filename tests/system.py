"""The parts of a running system, put together as the product does, for tests that need some of them for real."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from joserfc.jwk import OKPKey

from domain.account_creation_messages import RequestAccount
from domain.facts import Actor, ActorKind, Channel, Command, Sealed
from services.clock import Clock
from services.credentials import DoorKey
from services.founding import found
from services.ledger import Answer, Ledger
from services.seal import KeyEncryptionKey, KeyStore, Seal
from services.settings import with_user
from services.submissions import Submission

ROOT = Path(__file__).parent.parent
POLICY = ROOT / "policies" / "mmrls.toml"
STAFF = ROOT / "policies" / "mmrls-staff-example.csv"
LOGO = "59d9db25dfe9d550a43bbdab770452997121ba4b2d735b51b98318e59c8ee928"
MONDAY = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
TASKS = (
    "account_made",
    "branding",
    "logo",
    "maintained_by",
    "contact_details",
    "website_link",
    "policy_link",
    "credentials_in_vault",
    "two_factor",
)


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self, at: datetime = MONDAY) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def passes(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Database:
    """One migrated database and how each role reaches it."""

    server: str
    name: str
    passwords: dict[str, str]

    @property
    def superuser(self) -> str:
        return urlunsplit(urlsplit(self.server)._replace(path=f"/{self.name}"))

    def url(self, role: str) -> str:
        return with_user(self.superuser, f"imprimatur_{role}", self.passwords[role])

    def transactions_and_commands(self, first: int, last: int) -> tuple[int, int]:
        """In how many transactions these log positions were recorded, and for how many commands."""
        with psycopg.connect(self.url("reader")) as conn:
            found = conn.execute(
                "select count(distinct xmin::text), count(distinct command_id) from ledger.events "
                "where notification_id between %s and %s",
                (first, last),
            ).fetchone()
        assert found is not None
        return found[0], found[1]


def sealed() -> Sealed:
    return Sealed(under=("case:x",), wrapped="AA==", nonce="AA==", ciphertext="AA==")


def sealed_for(case: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields with every stand-in of `sealed()` as if it had been sealed for this case."""
    moved: dict[str, Any] = json.loads(json.dumps(fields).replace('"case:x"', f'"case:{case}"'))
    return moved


def a_case() -> str:
    return f"account_creation-{uuid4()}"


def a_request(handle: str = "durantlibrary", **changed: Any) -> RequestAccount:
    asked: dict[str, Any] = {
        "platform": "facebook",
        "handle": handle,
        "place": "durant",
        "purpose": sealed(),
        "audience": sealed(),
        "administrators": ("p-mac", "p-bm-durant"),
        "posters": ("p-bm-durant",),
    }
    return RequestAccount(**(asked | changed))


class Office:
    """A founded ledger with a door that signs for whoever the test says is there."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.clock = clock or SetClock()
        self.door = DoorKey(OKPKey.generate_key("Ed25519", private=True))
        self.ledger = Ledger(database.url("recorder"), self.clock, self.door.verifier())
        self.keys = KeyStore(database.url("keeper"), KeyEncryptionKey(b"k" * 32))
        self.seal = Seal(self.keys)

    def founded(self) -> Office:
        found(self.ledger, self.door.public, POLICY, STAFF)
        return self

    def elsewhere(self) -> Ledger:
        """The same ledger as another process has it: nothing in memory yet. To be closed."""
        return Ledger(self.ledger.url, self.clock, self.door.verifier())

    def submission(self, command: Command, case: str, person: str, id_: str | None = None) -> Submission:
        fields = sealed_for(case, command.model_dump(mode="json"))
        plain = Submission(kind=command.kind, id=id_ or str(uuid4()), case=case, fields=fields)
        actor = Actor(kind=ActorKind.PERSON, id=person)
        return self.door.prove(plain, actor, "a test", Channel.API, self.clock.now())

    def submit(self, command: Command, case: str, person: str, id_: str | None = None) -> Answer:
        return self.ledger.submit(self.submission(command, case, person, id_))

    def close(self) -> None:
        self.ledger.close()
        self.keys.close()
