"""Whoever is shown the sealed texts of a case is on record: once for each reader, case and hour."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from domain.disclosure import NoteReading, stream_of
from domain.facts import Recorded
from services.forms import SEALED_FIELDS
from services.ledger import Ledger, Sender, on_the_hour

READING_IDS = UUID("5f1d3b52-8c6e-5f0b-9a3c-6b0a5c3f7e21")


def note_reading(ledger: Ledger, case: str, shown: list[Recorded], by: Sender) -> None:
    """Before the texts are opened. What is sealed for a patron is put on record by each opening of its own."""
    if not any(has_texts(each.envelope.fact) for each in shown):
        return
    hour = on_the_hour(ledger.clock.now()).isoformat()
    id_ = str(uuid5(READING_IDS, f"{by.key}/{case}/{hour}"))
    ledger.submit_own(NoteReading(of_case=case), stream_of(case), by, id_)


def has_texts(value: Any) -> bool:
    if isinstance(value, dict):
        if set(value) == SEALED_FIELDS:
            return len(value["under"]) == 1  # the case's key alone
        return any(map(has_texts, value.values()))
    return isinstance(value, list | tuple) and any(map(has_texts, value))
