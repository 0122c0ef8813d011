"""Consent, photo permission and revocation as durable workflows; each test ends by replaying."""

from __future__ import annotations

import asyncio

from domain.consent_messages import RejectConsent
from domain.photo_permission_messages import SetPictureAside
from domain.revocation_messages import AcceptRevocation, ConfirmRemoval, ConfirmTold, DeclineRevocation, How, WhyNot
from domain.uses import RecordUse
from tests.domain.patrons import CLERK, COORDINATOR, MANAGER
from tests.workflows.patrons import PHOTOGRAPHER, PRINT, OnePatron, reconsidered
from tests.workflows.running import Running


async def test_from_a_consent_over_a_picture_and_its_uses_to_the_letter(running: Running) -> None:
    patron = OnePatron(running)
    consent = await patron.has_consent()
    picture = await patron.is_pictured(consent.case)
    await picture.until("cleared")
    use = await patron.is_shown(picture.case)
    revocation = await patron.asks(consent.case, patron.sealed())
    assert await reconsidered(running, consent) == ["RevocationKnown"]
    await revocation.done(AcceptRevocation(), CLERK)
    again = RecordUse(used=picture.case, target=PRINT)
    refused = await asyncio.to_thread(running.office.submit, again, "uses", MANAGER)
    assert refused.refusal
    assert refused.refusal.clauses == ("PU-6", "PR-12")
    assert await reconsidered(running, consent) == ["ConsentRevoking"]
    assert await reconsidered(running, picture) == ["PictureBlocked", "Asked"]
    await revocation.done(ConfirmRemoval(use=use), COORDINATOR)
    assert (await revocation.ended())["stage"] == "completed"
    assert await reconsidered(running, consent) == ["ConsentRevoked"]
    assert (await consent.ended())["stage"] == "revoked"
    await picture.done(SetPictureAside(reason=patron.sealed()), PHOTOGRAPHER)
    assert (await picture.ended())["stage"] == "set_aside"
    for case in (consent, picture, revocation):
        await case.replayed()


async def test_a_rejected_consent_and_a_declined_revocation_end_their_cases(running: Running) -> None:
    patron = OnePatron(running)
    rejected = await patron.consents()
    await rejected.done(RejectConsent(reason=patron.sealed()), MANAGER)
    assert (await rejected.ended())["stage"] == "rejected"
    consent = await patron.has_consent()
    declined = await patron.asks(consent.case)
    await declined.done(DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=patron.sealed()), CLERK)
    await declined.until("telling")
    await declined.done(ConfirmTold(how=How.TELEPHONE), CLERK)
    assert (await declined.ended())["stage"] == "declined"
    assert (await consent.known()).stage == "active"
    for case in (rejected, declined):
        await case.replayed()


async def test_of_a_use_and_an_acceptance_at_the_same_instant_one_sees_the_other(running: Running) -> None:
    """Either the use is refused, or the acceptance asks for its removal; never neither."""
    patron = OnePatron(running)
    consent = await patron.has_consent()
    picture = await patron.is_pictured(consent.case)
    revocation = await patron.asks(consent.case)
    use = RecordUse(used=picture.case, target=PRINT)
    submit = running.office.submit
    accepting = asyncio.create_task(revocation.done(AcceptRevocation(), CLERK))
    answers = await asyncio.gather(*(asyncio.to_thread(submit, use, "uses", MANAGER) for _ in range(6)))
    await accepting
    recorded = {each.facts[0].fact.model_dump()["use"] for each in answers if each.facts}
    assert {each.use for each in (await revocation.known()).removals} == recorded
    assert len(recorded) + len([each for each in answers if each.refusal]) == len(answers)
