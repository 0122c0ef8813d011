"""Opening what is sealed: first it is on record who does so and for what, then it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from domain.clauses import PR_12
from domain.facts import Command, Evidence, Malformed, NoAuthority, Recorded, Refused, patrons_in
from domain.openings import MOST_PATRONS, SEARCH, OpenFile, OpenSealed, Purpose, SeekPatrons, stream_for
from services.evidence import EvidenceStore
from services.forms import keys_of, opened
from services.key_store import KeyStore
from services.ledger import Ledger, Sender
from services.seal import ERASED, CannotOpen, Seal


def opened_for(
    ledger: Ledger, seal: Seal, case: str, recorded: Sequence[Recorded], by: Sender, purpose: Purpose
) -> list[dict[str, Any]]:
    """The facts in clear, `[erased]` where a key is gone. NoAuthority for those who open nothing of patrons."""
    facts = [each.envelope.fact for each in recorded]
    note_opening(ledger, case, facts, by, purpose)
    # only now, so that nobody sees what was destroyed while it was noted
    opening = seal.opening(keys_of(facts))
    return [opened(each.envelope.fact, each.envelope.command_id, opening) for each in recorded]


def note_opening(ledger: Ledger, case: str, value: object, by: Sender, purpose: Purpose) -> None:
    """Nothing where nothing of a patron's is left to be opened in this value."""
    library = ledger.library()
    patrons = tuple(sorted(each for each in patrons_in(value) if not library.is_forgotten(each)))
    if patrons:
        on_record(ledger, case, OpenSealed(case=case, patrons=patrons, purpose=purpose), by)


class Erased(Refused):
    """Nobody opens it any more, whoever asks."""

    def __init__(self) -> None:
        because = f"{ERASED}: it was sealed for someone who was erased, and their key is destroyed"
        super().__init__(PR_12, because, "nothing: what was erased comes back by no way")


def file_opened_for(
    ledger: Ledger, store: EvidenceStore, keys: KeyStore, case: str, evidence: Evidence, by: Sender, purpose: Purpose
) -> bytes:
    """A file in clear. Erased where a key is gone, NoAuthority for those who open nothing of patrons, Malformed where
    the file is lost or is not what its name says."""
    its_keys_are_there(keys, evidence)
    patrons = tuple(sorted(patrons_in(evidence.model_dump())))
    on_record(ledger, case, OpenFile(case=case, file=evidence.sha256, patrons=patrons, purpose=purpose), by)
    try:
        return store.get(evidence)
    except CannotOpen as error:
        # destroyed while it was noted, or damaged
        its_keys_are_there(keys, evidence)
        raise Malformed("evidence", str(error), "the file as it was kept, from a backup") from None
    except FileNotFoundError:
        raise Malformed("evidence", "the file is lost", "the file as it was kept, from a backup") from None


def its_keys_are_there(keys: KeyStore, evidence: Evidence) -> None:
    if not {*evidence.under} <= {*keys.existing(evidence.under)}:
        raise Erased


def note_search(ledger: Ledger, by_what: Sequence[str], found: Sequence[str], by: Sender, purpose: Purpose) -> None:
    """Before the answer is given, whether or not anyone was found."""
    if len(found) > MOST_PATRONS:
        raise Malformed("find", f"more than {MOST_PATRONS} fit", "say more of them")
    on_record(ledger, SEARCH, SeekPatrons(by_what=tuple(by_what), patrons=tuple(found), purpose=purpose), by)


def on_record(ledger: Ledger, case: str, opening: Command, by: Sender) -> None:
    answer = ledger.submit_own(opening, stream_for(case), by, str(uuid4()))
    if answer.refusal:
        raise NoAuthority(answer.refusal.clauses, answer.refusal.because, answer.refusal.remedy)
