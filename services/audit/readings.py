"""Whoever is shown the sealed texts of a case is on record: once for each reader, case and hour."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from domain.disclosure import NoteReading, stream_of
from domain.facts import Actor, ActorKind, Channel, Recorded
from services.forms import SEALED_FIELDS
from services.founding import operator_name
from services.ledger import Ledger, Sender, on_the_hour, operator

READING_IDS = UUID("5f1d3b52-8c6e-5f0b-9a3c-6b0a5c3f7e21")


def note_reading(ledger: Ledger, case: str, shown: list[Recorded], reader: str | None) -> None:
    """Before the texts are opened; `reader` None is whoever runs the installation."""
    if not any(has_texts(each.envelope.fact) for each in shown):
        return
    sender = sender_of(reader)
    hour = on_the_hour(ledger.clock.now()).isoformat()
    id_ = str(uuid5(READING_IDS, f"{sender.key}/{case}/{hour}"))
    ledger.submit_own(NoteReading(of_case=case), stream_of(case), sender, id_)


def sender_of(reader: str | None) -> Sender:
    if reader is None:
        return operator(operator_name())
    return Sender(Actor(kind=ActorKind.PERSON, id=reader), "the door that showed it", Channel.API, None)


def has_texts(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == SEALED_FIELDS or any(map(has_texts, value.values()))
    return isinstance(value, list | tuple) and any(map(has_texts, value))
