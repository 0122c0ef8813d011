"""Proof of the sender: a door that has authenticated a person signs who they are, how they proved it, for which case,
which command id, which content, and when. Ed25519 in a compact JWS (RFC 7515, RFC 8037, RFC 9864).

It is no session token: it is bound to one command, so it may live for days, and replaying it does nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from domain.facts import Actor, ActorKind, Channel
from services.settings import write_whole
from services.submissions import Submission

ALGORITHM = "Ed25519"
COMMAND_PURPOSE = "command"
TOKEN_PURPOSE = "session"  # noqa: S105  # the name of a purpose, not a secret
CLOCK_SKEW = timedelta(minutes=5)
NOBODY_SIGNS_FOR = (ActorKind.TIMER, ActorKind.UNPROVEN)


class Unproven(Exception):
    """The sender is not proven: in the system's words, without a word of what was sent."""


class Ed25519(JWSAlgModel):
    """joserfc's own, but checked by libsodium: every command is, it takes half the time, and other threads of the
    process go on meanwhile."""

    name = description = ALGORITHM
    key_type = "OKP"
    _joserfc = JWSRegistry.algorithms[ALGORITHM]

    def check_key(self, key: OKPKey) -> None:
        self._joserfc.check_key(key)

    def sign(self, msg: bytes, key: OKPKey) -> bytes:
        return self._joserfc.sign(msg, key)

    def verify(self, msg: bytes, sig: bytes, key: OKPKey) -> bool:
        try:
            VerifyKey(key.public_key.public_bytes_raw()).verify(msg, sig)
        except (BadSignatureError, ValueError):
            # not this signature, or none at all
            return False
        return True


REGISTRY = JWSRegistry(algorithms=[ALGORITHM])
# no other algorithm is known here, whatever a header says
REGISTRY.algorithms = {ALGORITHM: Ed25519()}


class Statement(BaseModel):
    """What the door signs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str
    actor: Actor
    method: str
    channel: Channel
    case: str = ""
    command: str = ""
    content: str = ""
    at: AwareDatetime


@dataclass(frozen=True)
class Proven:
    actor: Actor
    method: str
    channel: Channel
    signed_at: datetime


class DoorKey:
    """The private key of a door; the public half is in the log since the founding."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    @classmethod
    def of_file(cls, file: Path) -> DoorKey:
        """The key in this file (JWK); made on first use, readable by its owner alone."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = OKPKey.generate_key("Ed25519", private=True)
            write_whole(file, json.dumps(key.as_dict(private=True)), mode=0o600)
        return cls(OKPKey.import_key(json.loads(file.read_text())))

    @property
    def public(self) -> str:
        """base64url of the 32-byte public key."""
        return str(self._key.as_dict(private=False)["x"])

    def verifier(self) -> Verifier:
        return Verifier(self.public)

    def sign(self, statement: Statement) -> str:
        payload = statement.model_dump_json().encode()
        return jws.serialize_compact({"alg": ALGORITHM}, payload, self._key, registry=REGISTRY)

    def prove(self, submission: Submission, actor: Actor, method: str, channel: Channel, at: datetime) -> Submission:
        """The same submission with a credential that is good for it alone."""
        statement = Statement(
            purpose=COMMAND_PURPOSE,
            actor=actor,
            method=method,
            channel=channel,
            case=submission.case,
            command=submission.id,
            content=submission.content,
            at=at,
        )
        # the credential is no part of the content, so the copy may take along what was reckoned of it
        return submission.model_copy(update={"credential": self.sign(statement)})

    def token(self, person: str, method: str, at: datetime) -> str:
        """A bearer token for the API: proves the person to the door, which then signs each command by itself."""
        actor = Actor(kind=ActorKind.PERSON, id=person)
        return self.sign(Statement(purpose=TOKEN_PURPOSE, actor=actor, method=method, channel=Channel.API, at=at))


class Verifier:
    """Knows a door's public key and nothing else."""

    def __init__(self, public: str) -> None:
        self._key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public})

    def proves(self, submission: Submission, now: datetime, life: timedelta) -> Proven:
        """Who sends this, or Unproven: no credential, not ours, expired, or for another case, command or content."""
        said = self._read(submission.credential)
        if said.purpose != COMMAND_PURPOSE:
            raise Unproven("the credential is not one for a command")
        if said.actor.kind in NOBODY_SIGNS_FOR:
            raise Unproven("the credential is for the system itself, which sends nothing through a door")
        if said.case != submission.case:
            raise Unproven("the credential is for another case")
        if said.command != submission.id:
            raise Unproven("the credential is for another command id")
        if said.content != submission.content:
            raise Unproven("the credential is for another command or other content")
        self._in_time(said.at, now, life)
        return Proven(said.actor, said.method, said.channel, said.at)

    def session(self, token: str, now: datetime, life: timedelta) -> Proven:
        """Whose bearer token this is, or Unproven."""
        said = self._read(token)
        if said.purpose != TOKEN_PURPOSE:
            raise Unproven("the token is not a bearer token")
        self._in_time(said.at, now, life)
        return Proven(said.actor, said.method, said.channel, said.at)

    def _read(self, credential: str) -> Statement:
        if not credential:
            raise Unproven("there is no credential")
        try:
            payload: Any = jws.deserialize_compact(credential, self._key, registry=REGISTRY).payload
            return Statement.model_validate_json(payload)
        except (JoseError, ValidationError, ValueError, TypeError, KeyError):
            raise Unproven("the credential is not signed by a door of this system") from None

    def _in_time(self, at: datetime, now: datetime, life: timedelta) -> None:
        if now > at + life:
            raise Unproven(f"the credential has expired: it was good for {life.total_seconds() / 3600:g} hours")
        if at > now + CLOCK_SKEW:
            raise Unproven("the credential is from the future")
