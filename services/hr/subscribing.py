"""Who is told stands in the log; the secrets by which they know us stand beside it, wrapped by a key of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL
from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from domain.facts import Command, Malformed, load_fact
from domain.webhooks import (
    STREAM,
    WEBHOOKS,
    EndSubscription,
    ForgetOldSecret,
    RotateSecret,
    Subscribe,
    Subscription,
    Subscriptions,
)
from services.founding import operator_name
from services.hr.addresses import well_formed
from services.key_store import KeyEncryptionKeys, KeyFile
from services.ledger import Ledger, operator
from services.settings import secrets_folder, write_whole

SECRET_BYTES, ID_CHARS = 32, 12
SECRET_PREFIX = "whsec_"  # noqa: S105  the standard's own prefix, and no secret
OF_THE_LOG = SQL(
    "select topic, state from ledger.events where originator_id = %s order by originator_version"
)


class Subscriber(BaseModel):
    """`secrets`: the newest first; while there are two, each delivery carries a signature by either. `since`: the log
    position from which on it is told."""

    model_config = ConfigDict(frozen=True)

    id: str
    url: str
    secrets: tuple[str, ...]
    since: int = 0

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "url": self.url, "since": self.since, "secrets": len(self.secrets)}


class Secrets:
    """By fingerprint, in one file of the installation's secrets, each wrapped by a key that is theirs alone: the
    key-encryption key of what is sealed dies whenever a person is forgotten, and with it what only it has wrapped."""

    def __init__(self, data: Path, key: KeyEncryptionKeys) -> None:
        self._file, self._key = secrets_folder(data) / "webhooks.json", key

    @classmethod
    def of_data(cls, data: Path) -> Secrets:
        """Those of this installation; their key is made on first use."""
        return cls(data, KeyFile(secrets_folder(data) / "webhooks.key").made())

    def made(self) -> tuple[str, str]:
        """A new one, kept before anybody hears of it: its fingerprint and itself."""
        raw = os.urandom(SECRET_BYTES)
        key = hashlib.sha256(raw).hexdigest()
        self._keep(self._all() | {key: base64.b64encode(self._key.newest().wrap(raw)).decode()})
        return key, as_told(raw)

    def of(self, subscription: Subscription) -> tuple[str, ...]:
        kept = self._all()
        return tuple(opened for key in subscription.keys if key in kept and (opened := self._opened(kept[key])))

    def forget_all_but(self, keys: set[str]) -> None:
        self._keep({key: wrapped for key, wrapped in self._all().items() if key in keys})

    def _opened(self, wrapped: str) -> str:
        try:
            return as_told(self._key.newest().unwrap(base64.b64decode(wrapped)))
        except (InvalidUnwrap, ValueError):
            return ""

    def _all(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return kept

    def _keep(self, secrets: dict[str, str]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(secrets), mode=0o600)


def as_told(raw: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def told_by_the_log(conn: Connection[DictRow]) -> Subscriptions:
    """As the log has it, read as whoever may read it."""
    told = Subscriptions(case=STREAM)
    for row in conn.execute(OF_THE_LOG, (STREAM,)).fetchall():
        told = WEBHOOKS.evolve(told, load_fact(row["topic"], from_json(bytes(row["state"]))["fact"]))
    return told


def subscribers(conn: Connection[DictRow], secrets: Secrets) -> list[Subscriber]:
    return [with_secrets(each, secrets) for each in told_by_the_log(conn).open]


def with_secrets(told: Subscription, secrets: Secrets) -> Subscriber:
    return Subscriber(id=told.id, url=told.url, secrets=secrets.of(told), since=told.since)


# the operator's acts


def subscribe(ledger: Ledger, secrets: Secrets, url: str, since: int, inside_too: bool = False) -> Subscriber:
    id_, address = uuid4().hex[:ID_CHARS], well_formed(url, inside_too)
    key, _ = secrets.made()
    submit(ledger, Subscribe(subscriber=id_, url=address, key=key, since=since))
    return named(ledger, secrets, id_)


def rotate(ledger: Ledger, secrets: Secrets, id_: str) -> Subscriber:
    """A new secret; the one before it signs too, until the next rotation or `forget_old`."""
    named(ledger, secrets, id_)
    key, _ = secrets.made()
    submit(ledger, RotateSecret(subscriber=id_, key=key))
    return named(ledger, secrets, id_)


def forget_old(ledger: Ledger, secrets: Secrets, id_: str) -> Subscriber:
    named(ledger, secrets, id_)
    submit(ledger, ForgetOldSecret(subscriber=id_))
    forget_unused(ledger, secrets)
    return named(ledger, secrets, id_)


def end(ledger: Ledger, secrets: Secrets, id_: str) -> None:
    named(ledger, secrets, id_)
    submit(ledger, EndSubscription(subscriber=id_))
    forget_unused(ledger, secrets)


def named(ledger: Ledger, secrets: Secrets, id_: str) -> Subscriber:
    told = open_ones(ledger)
    found = told.named(id_)
    if found is None:
        known = ", ".join(each.id for each in told.open) or "none yet: add one"
        raise Malformed("subscriber", f"there is no subscriber {id_}", known)
    return with_secrets(found, secrets)


def open_ones(ledger: Ledger) -> Subscriptions:
    state = ledger.state(STREAM)
    return state if isinstance(state, Subscriptions) else Subscriptions(case=STREAM)


def forget_unused(ledger: Ledger, secrets: Secrets) -> None:
    secrets.forget_all_but({key for each in open_ones(ledger).open for key in each.keys})


def submit(ledger: Ledger, command: Command) -> None:
    answer = ledger.submit_own(command, STREAM, operator(operator_name()), str(uuid4()))
    if answer.refusal:
        raise Malformed("subscriber", answer.refusal.because, answer.refusal.remedy)
