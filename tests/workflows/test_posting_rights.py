"""Posting rights as a durable workflow: asked, granted, suspended, renewed, ended; each test ends by replaying."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from domain.directory import ImportStaff
from domain.posting_rights_messages import GrantRights, ReinstateRights, RequestRights, RevokeRights, SuspendRights
from domain.waiting import Reconsider
from services.ledger import SYSTEM
from tests.projections.history import HR, Life
from tests.system import sealed
from tests.workflows.running import Requested, Running

HOLDER, MANAGER = "p-bs-durant-1", "p-bm-durant"


async def asked(running: Running) -> Requested:
    await asyncio.to_thread(open_account, running, "durantlibrary")
    case = f"posting_rights-{uuid4()}"
    command = RequestRights(accounts=("facebook:durantlibrary",), months=2, purpose=sealed())
    requested = await running.start(await running.payload(command, case, HOLDER), case)
    assert "recorded" in await requested.opened()
    return requested


def open_account(running: Running, handle: str) -> None:
    Life(running.office).has_an_open_account(handle)


async def granted(running: Running) -> Requested:
    case = await asked(running)
    await case.done(GrantRights(content=(await case.known()).content), MANAGER)
    return case


def hr_says(running: Running, person: str, **changed: Any) -> None:
    ledger = running.office.ledger
    known = ledger.library().person(person)
    assert known is not None
    feed = ImportStaff(feed_sha256="0" * 64, people=(known.model_copy(update=changed),))
    assert ledger.submit_own(feed, "directory", HR, str(uuid4())).facts


async def ended(case: Requested, how: str) -> None:
    assert (await case.ended())["stage"] == "ended"
    assert (await case.known()).ended == how
    await case.replayed()


async def test_a_right_runs_its_term_renewal_is_asked_ahead_and_it_expires(alone: Running) -> None:
    case = await granted(alone)
    await alone.sleep(timedelta(days=32))
    assert (await case.kinds())[-2:] == ["RenewalAsked", "Asked"]
    await alone.sleep(timedelta(days=30))
    assert (await case.kinds())[-1] == "RightsExpired"
    await ended(case, "expired")


async def test_a_right_is_suspended_reinstated_and_revoked_by_update_and_by_signal(alone: Running) -> None:
    case = await granted(alone)
    await case.signal(SuspendRights(reason=sealed()), MANAGER)
    await case.until("suspended")
    assert "refused" in await case.submit(ReinstateRights(reason=sealed()), HOLDER)
    await case.done(ReinstateRights(reason=sealed()), MANAGER)
    await case.done(RevokeRights(reason=sealed()), MANAGER)
    await ended(case, "revoked")


async def test_a_right_lapses_at_once_when_its_holder_moves(alone: Running) -> None:
    case = await granted(alone)
    await asyncio.to_thread(hr_says, alone, HOLDER, branch="west")
    answer = await asyncio.to_thread(alone.office.ledger.submit_own, Reconsider(), case.case, SYSTEM, str(uuid4()))
    assert [each.envelope.kind for each in answer.facts] == ["posting_rights.RightsLapsed"]
    await case.handle.signal("nudge")
    await ended(case, "lapsed")


async def test_a_request_nobody_decides_on_expires_in_silence(alone: Running) -> None:
    case = await asked(alone)
    await alone.sleep(timedelta(days=31))
    assert (await case.ended())["stage"] == "undecided"
    assert [each for each in await case.kinds() if "Grant" in each] == []
    await case.replayed()
