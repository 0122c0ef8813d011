"""Consents, pictures, uses and revocations on a real ledger, as the tests speak of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from domain.consent_messages import ConfirmConsent, Shown
from domain.facts import Command, Sealed, patron_key
from domain.photo_permission_messages import AddPicture, GiveBasis, Person, TakePictureIn
from domain.revocation_messages import AcceptRevocation, AskRevocation, Checked, CheckIdentity, ConfirmRemoval, Received
from domain.uses import RecordUse
from tests.domain.patrons import A_FILE, CLERK, COORDINATOR, MANAGER, TAKEN, record
from tests.projections.history import Life
from tests.system import sealed

PHOTOGRAPHER, PRINT = "p-bs-durant-2", "print:flyer"


class PatronLife:
    """One patron, their consent, and a picture of them."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.patron = str(uuid4())
        self.consent, self.picture = f"consent-{uuid4()}", f"photo_permission-{uuid4()}"
        self.revocation = f"revocation-{uuid4()}"

    def sealed(self) -> Sealed:
        """Stands for what only this patron's key opens."""
        return sealed().model_copy(update={"under": ("case:x", patron_key(self.patron))})

    def does(self, person: str, command: Command, case: str) -> tuple[Any, ...]:
        answer = self.life.says(person, command, case)
        assert answer.facts, answer.refusal
        return tuple(each.fact for each in answer.facts)

    def consents(self, form: str = "adult", **changed: Any) -> PatronLife:
        said = record(form).model_copy(update={"patron": self.patron, "name": self.sealed()} | changed)
        self.does(MANAGER, said, self.consent)
        confirm = ConfirmConsent(shown=Shown.PHOTO_ID, guardian_shown=True, evidence=(A_FILE,))
        self.does(MANAGER, confirm, self.consent)
        return self

    def is_pictured(self) -> PatronLife:
        take = TakePictureIn(
            taken_at=self.life.clock.now() - timedelta(hours=1), taken_by=PHOTOGRAPHER, place="durant",
            persons=(Person(patron=self.patron, who=self.sealed()),),
        )  # fmt: skip
        self.does(PHOTOGRAPHER, take, self.picture)
        self.does(PHOTOGRAPHER, AddPicture(evidence=(A_FILE,), taken=TAKEN), self.picture)
        self.does(PHOTOGRAPHER, GiveBasis(patron=self.patron, consent=self.consent), self.picture)
        return self

    def is_shown(self, *targets: str) -> list[str]:
        facts = [self.does(MANAGER, RecordUse(used=self.picture, target=each), "uses")[0] for each in targets]
        return [each.use for each in facts]

    def asks(self, email: Sealed | None = None) -> PatronLife:
        ask = AskRevocation(
            patron=self.patron, received=Received.LETTER, place="durant", what=self.sealed(), email=email
        )
        self.does(CLERK, ask, self.revocation)
        check = CheckIdentity(checked=Checked.PHOTO_ID, on_record=self.patron, consents=(self.consent,))
        self.does(CLERK, check, self.revocation)
        return self

    def revokes(self, email: Sealed | None = None) -> tuple[Any, ...]:
        self.asks(email)
        return self.does(CLERK, AcceptRevocation(), self.revocation)

    def removed(self, use: str) -> tuple[Any, ...]:
        return self.does(COORDINATOR, ConfirmRemoval(use=use), self.revocation)


def patrons_in(life: Life, account: str) -> None:
    """One who revokes and one who does not; headquarters is at work again."""
    for person in (COORDINATOR, CLERK, MANAGER, PHOTOGRAPHER):
        life.hr_says(person, active=True)
    PatronLife(life).consents().is_pictured().is_shown(account)
    other = PatronLife(life).consents().is_pictured()
    post, _ = other.is_shown(account, PRINT)
    other.revokes(other.sealed())
    life.time_passes(other.revocation, days=9)
    other.removed(post)
    life.looks_again(other.consent)
    life.looks_again(other.picture)
