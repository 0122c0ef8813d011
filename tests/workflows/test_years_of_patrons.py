"""Patrons over months: in a file that comes last, since the tests share one clock that only goes on."""

from __future__ import annotations

from datetime import timedelta

from domain.consent_messages import RenewConsent, Shown
from domain.revocation_messages import AcceptRevocation, ConfirmLetter, RecordImpossible, WhyImpossible
from tests.domain.patrons import A_FILE, CLERK, MANAGER
from tests.workflows.patrons import OnePatron
from tests.workflows.running import Running


async def test_a_removal_nobody_makes_is_escalated_twice_and_the_case_waits_on(alone: Running) -> None:
    patron = OnePatron(alone)
    consent = await patron.has_consent()
    picture = await patron.is_pictured(consent.case)
    use = await patron.is_shown(picture.case)
    revocation = await patron.asks(consent.case)
    await revocation.done(AcceptRevocation(), CLERK)
    await alone.sleep(timedelta(days=40))
    said = [each for each in await revocation.kinds() if each.startswith("Removal")]
    assert said == ["RemovalAsked", *["RemovalReminded"] * 2, *["RemovalEscalated"] * 2]
    why = RecordImpossible(use=use, why=WhyImpossible.GIVEN_OUT_IN_PRINT, reason=patron.sealed())
    await revocation.done(why, CLERK)
    await revocation.until("letter")
    await revocation.done(ConfirmLetter(), CLERK)
    assert (await revocation.ended())["stage"] == "completed"
    await revocation.replayed()


async def test_a_guardians_consent_falls_due_and_is_renewed(alone: Running) -> None:
    patron = OnePatron(alone)
    month = (await alone.now() + timedelta(days=70)).date().replace(day=1)
    consent = await patron.has_consent("guardian", of_age_in=month)
    await alone.sleep(timedelta(days=75))
    await consent.until("renewal_due")
    await consent.done(RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,)), MANAGER)
    await consent.until("active")
    await consent.replayed()
