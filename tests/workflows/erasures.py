"""Erasures as durable workflows: what their tests and their recorded histories do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from domain.account_creation_messages import WithdrawRequest
from domain.erasure_messages import AgreeToErase, AskedBy, AskErasure, LookAgain, RefuseErasure, WithdrawErasure
from domain.facts import Sealed, patron_key
from domain.legal_hold import HoldPlaced, Over, PlaceHold, ReleaseHold
from services.erasing import ErasureActivities
from services.seal import KeyFile
from tests.system import Database, Office, a_request, sealed
from tests.workflows.running import Requested, Running

BRANCH, COORDINATOR, DIRECTOR, CLERK = "p-bm-durant", "p-mac", "p-ed", "p-hq-clerk"


def erasing(office: Office, database: Database, folder: Path) -> ErasureActivities:
    return ErasureActivities(office.ledger, database.url("keeper"), KeyFile(folder / "kek").made())


def sealed_for(patron: str) -> Sealed:
    return sealed().model_copy(update={"under": ("case:x", patron_key(patron))})


async def asked(running: Running, patron: str) -> Requested:
    case = f"erasure-{uuid4()}"
    ask = AskErasure(patron=patron, asked_by=AskedBy.PATRON, reason=sealed_for(patron))
    erasure = await running.start(await running.payload(ask, case, BRANCH), case)
    assert "recorded" in await erasure.opened()
    return erasure


async def agreed(erasure: Requested, *people: str) -> None:
    for person in people or (COORDINATOR, DIRECTOR):
        await erasure.done(AgreeToErase(content=(await erasure.known()).content), person)


async def refused(erasure: Requested, patron: str) -> None:
    await erasure.until("first_decision")
    await agreed(erasure, COORDINATOR)
    refuse = RefuseErasure(content=(await erasure.known()).content, reason=sealed_for(patron))
    await erasure.done(refuse, DIRECTOR)


async def held_by_an_open_case_and_erased(running: Running) -> Requested:
    patron, case = str(uuid4()), f"account_creation-{uuid4()}"
    told = sealed_for(patron)
    await running.directly(a_request(f"h{case[-12:]}", purpose=told, audience=told), case, BRANCH)
    erasure = await asked(running, patron)
    await erasure.until("held")
    await running.directly(WithdrawRequest(), case, BRANCH)
    await erasure.done(LookAgain(), BRANCH)
    await erasure.until("first_decision")
    await agreed(erasure)
    return erasure


async def held_by_a_hold_and_withdrawn(running: Running) -> Requested:
    patron = str(uuid4())
    await running.directly(PlaceHold(over=Over.PERSON, of=patron, reason=sealed()), "legal_hold", CLERK)
    erasure = await asked(running, patron)
    await erasure.until("held")
    for each in await asyncio.to_thread(lambda: running.office.ledger.library().legal_holds()):
        assert isinstance(each, HoldPlaced)
        await running.directly(ReleaseHold(hold=each.hold, reason=sealed()), "legal_hold", DIRECTOR)
    await erasure.done(LookAgain(), CLERK)
    await erasure.until("first_decision")
    await erasure.done(WithdrawErasure(), BRANCH)
    return erasure


async def erasures(running: Running) -> dict[str, Requested]:
    """Cases that came to their end as time passes, each under a name that begins with its last stage."""
    refusing = await asked(running, patron := str(uuid4()))
    await refused(refusing, patron)
    return {
        "erased_though_held_at_first": await held_by_an_open_case_and_erased(running),
        "refused_erasure": refusing,
        "withdrawn_erasure": await held_by_a_hold_and_withdrawn(running),
    }


NAMES = ("erased_though_held_at_first", "refused_erasure", "withdrawn_erasure")
