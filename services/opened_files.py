"""Opening a file of evidence: on record first, as every opening is."""

from __future__ import annotations

from domain.clauses import PR_12
from domain.facts import Evidence, Malformed, Refused, patrons_in
from domain.openings import OpenFile, Purpose
from services.evidence import EvidenceStore
from services.key_store import KeyStore
from services.ledger import Ledger, Sender
from services.openings import on_record
from services.seal import ERASED, CannotOpen


class Erased(Refused):
    """Nobody opens it any more, whoever asks."""

    def __init__(self) -> None:
        because = f"{ERASED}: it is about someone who was erased, and a key that it was sealed under is destroyed"
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
