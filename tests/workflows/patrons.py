"""Consents, pictures and revocations as durable workflows: what their tests and their recorded histories do."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from domain.consent_messages import ConfirmConsent, RejectConsent, RenewConsent, Shown
from domain.facts import Command, Sealed, patron_key
from domain.photo_permission_messages import AddPicture, GiveBasis, Person, SetPictureAside, TakePictureIn
from domain.revocation_messages import (
    AcceptRevocation,
    AskRevocation,
    Checked,
    CheckIdentity,
    ConfirmLetter,
    ConfirmRemoval,
    ConfirmTold,
    DeclineRevocation,
    How,
    Received,
    RecordImpossible,
    WhyImpossible,
    WhyNot,
)
from domain.uses import RecordUse
from domain.waiting import Reconsider
from services.ledger import SYSTEM
from tests.domain.patrons import A_FILE, CLERK, COORDINATOR, MANAGER, TAKEN, record
from tests.system import sealed
from tests.workflows.running import Requested, Running

PHOTOGRAPHER, PRINT = "p-bs-durant-2", "print:flyer"


class OnePatron:
    """Someone with a consent, a picture and a wish to end it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.patron, self.guardian = str(uuid4()), str(uuid4())

    def sealed(self, *also: str) -> Sealed:
        return sealed().model_copy(update={"under": ("case:x", *(patron_key(each) for each in (self.patron, *also)))})

    async def opens(self, process: str, command: Command, person: str) -> Requested:
        case = f"{process}-{uuid4()}"
        requested = await self.running.start(await self.running.payload(command, case, person), case)
        assert "recorded" in (answer := await requested.opened()), answer
        return requested

    async def consents(self, form: str = "adult", **changed: Any) -> Requested:
        said = {"patron": self.patron, "name": None} | changed
        if form == "guardian":
            said |= {"guardian": self.guardian, "of_age_in": changed.get("of_age_in") or date(2027, 5, 1)}
        return await self.opens("consent", record(form).model_copy(update=said), MANAGER)

    async def has_consent(self, form: str = "adult", **changed: Any) -> Requested:
        case = await self.consents(form, **changed)
        await case.done(ConfirmConsent(shown=Shown.PHOTO_ID, guardian_shown=True, evidence=(A_FILE,)), MANAGER)
        return case

    async def is_pictured(self, consent: str) -> Requested:
        take = TakePictureIn(
            taken_at=await self.running.now(), taken_by=PHOTOGRAPHER, place="durant",
            persons=(Person(patron=self.patron, who=self.sealed()),),
        )  # fmt: skip
        case = await self.opens("photo_permission", take, PHOTOGRAPHER)
        await case.done(AddPicture(evidence=(A_FILE,), taken=TAKEN), PHOTOGRAPHER)
        await case.done(GiveBasis(patron=self.patron, consent=consent), PHOTOGRAPHER)
        return case

    async def is_shown(self, picture: str, target: str = PRINT) -> str:
        command = RecordUse(used=picture, target=target)
        answer = await asyncio.to_thread(self.running.office.submit, command, "uses", MANAGER)
        assert not answer.refusal, answer.refusal
        return str(answer.facts[0].fact.model_dump()["use"])

    async def asks(self, consent: str, email: Sealed | None = None) -> Requested:
        ask = AskRevocation(
            patron=self.patron, received=Received.LETTER, place="durant", what=self.sealed(), email=email
        )
        case = await self.opens("revocation", ask, CLERK)
        check = CheckIdentity(checked=Checked.PHOTO_ID, on_record=self.patron, consents=(consent,))
        await case.done(check, CLERK)
        return case


async def reconsidered(running: Running, case: Requested) -> list[str]:
    """What the reconciler does for a case that looks at another, and the nudge after it."""
    ledger = running.office.ledger
    answer = await asyncio.to_thread(ledger.submit_own, Reconsider(), case.case, SYSTEM, str(uuid4()))
    await case.handle.signal("nudge")
    return [each.envelope.kind.partition(".")[2] for each in answer.facts]


async def a_patrons_life(running: Running) -> dict[str, Requested]:
    """Cases that came to their end as time passes, each under a name that begins with its last stage."""
    patron = OnePatron(running)
    rejected = await patron.consents()
    await rejected.done(RejectConsent(reason=patron.sealed()), MANAGER)
    consent = await patron.has_consent()
    picture = await patron.is_pictured(consent.case)
    post, flyer = await patron.is_shown(picture.case), await patron.is_shown(picture.case, "print:poster")
    declined = await patron.asks(consent.case, patron.sealed())
    await declined.done(DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=patron.sealed()), CLERK)
    told = await patron.asks(consent.case)
    await told.done(DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=patron.sealed()), CLERK)
    await told.until("telling")
    await told.done(ConfirmTold(how=How.LETTER), CLERK)
    revocation = await patron.asks(consent.case)
    await revocation.done(AcceptRevocation(), CLERK)
    await reconsidered(running, picture)
    await revocation.done(ConfirmRemoval(use=post), COORDINATOR)
    why = RecordImpossible(use=flyer, why=WhyImpossible.GIVEN_OUT_IN_PRINT, reason=patron.sealed())
    await revocation.signal(why, CLERK)
    await revocation.until("letter")
    await revocation.done(ConfirmLetter(), CLERK)
    await reconsidered(running, consent)
    await picture.done(SetPictureAside(reason=patron.sealed()), PHOTOGRAPHER)
    return {
        "rejected_consent": rejected, "declined_revocation": declined, "declined_and_told": told,
        "completed_revocation": revocation,
        "revoked_consent": consent, "set_aside_picture": picture,
    }  # fmt: skip


async def a_minors_consent(running: Running) -> dict[str, Requested]:
    """By skipping time: due for renewal, renewed, and over in the end."""
    patron = OnePatron(running)
    month = (await running.now() + timedelta(days=70)).date().replace(day=1)
    consent = await patron.has_consent("guardian", of_age_in=month)
    await running.sleep(timedelta(days=75))
    await consent.until("renewal_due")
    await consent.done(RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,)), MANAGER)
    await running.sleep(timedelta(days=366 * 5))
    return {"expired_renewed_consent": consent}


NAMES = (
    "rejected_consent", "declined_revocation", "declined_and_told", "completed_revocation", "revoked_consent",
    "set_aside_picture", "expired_renewed_consent",
)  # fmt: skip
