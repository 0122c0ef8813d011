"""Opening what is sealed: first it is on record who does so and for what, then it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from domain.facts import Command, Malformed, NoAuthority, Recorded, patrons_in
from domain.openings import MOST_PATRONS, SEARCH, OpenSealed, Purpose, SeekPatrons, stream_for
from services.forms import keys_of, opened
from services.ledger import Ledger, Sender
from services.seal import Opening, Seal


def opened_for(
    ledger: Ledger, seal: Seal, case: str, recorded: Sequence[Recorded], by: Sender, purpose: Purpose
) -> list[dict[str, Any]]:
    """The facts in clear, `[erased]` where a key is gone. NoAuthority for those who open nothing of patrons."""
    facts = [each.envelope.fact for each in recorded]
    note_opening(ledger, case, facts, by, purpose)
    # only now, so that nobody sees what was destroyed while it was noted
    opening = seal.opening(keys_of(facts))
    return [in_clear(each, opening) for each in recorded]


def in_clear(recorded: Recorded, opening: Opening) -> dict[str, Any]:
    """A fact as it is shown: each text opened as what it was sealed as."""
    envelope = recorded.envelope
    shown = {}
    for field, value in envelope.fact.items():
        command, at = recorded.fact.sealed_at(field, envelope.command_id)
        shown[field] = opened(value, command, opening, at)
    return shown


def note_opening(ledger: Ledger, case: str, value: object, by: Sender, purpose: Purpose) -> None:
    """Nothing where nothing of a patron's is left to be opened in this value."""
    library = ledger.library()
    patrons = tuple(sorted(each for each in patrons_in(value) if not library.is_forgotten(each)))
    if patrons:
        on_record(ledger, case, OpenSealed(case=case, patrons=patrons, purpose=purpose), by)


def note_search(ledger: Ledger, by_what: Sequence[str], found: Sequence[str], by: Sender, purpose: Purpose) -> None:
    """Before the answer is given, whether or not anyone was found."""
    if len(found) > MOST_PATRONS:
        raise Malformed("find", f"more than {MOST_PATRONS} fit", "say more of them")
    on_record(ledger, SEARCH, SeekPatrons(by_what=tuple(by_what), patrons=tuple(found), purpose=purpose), by)


def on_record(ledger: Ledger, case: str, opening: Command, by: Sender) -> None:
    answer = ledger.submit_own(opening, stream_for(case), by, str(uuid4()))
    if answer.refusal:
        raise NoAuthority(answer.refusal.clauses, answer.refusal.because, answer.refusal.remedy)
