"""HR systems and their tokens: apart from what serves SCIM, which takes every command line a second to load."""

from __future__ import annotations

import hashlib

from domain.facts import Actor, ActorKind, Channel
from services.ledger import Sender

METHOD = "bearer token of the HR system"


def as_system(system: str) -> Sender:
    return Sender(Actor(kind=ActorKind.HR_SYSTEM, id=system), METHOD, Channel.HR_FEED, None)


def hash_of_token(token: str) -> str:
    """The token is 32 random bytes: its plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()
