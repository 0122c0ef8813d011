"""Posting rights as a durable workflow: asked, granted, suspended, renewed, ended; each test ends by replaying."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from domain.directory import ImportStaff
from domain.posting_rights import GrantRights, ReinstateRights, RequestRights, RevokeRights, SuspendRights
from domain.waiting import Reconsider
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.ledger import SYSTEM
from tests.fresh import fresh_database
from tests.projections.history import HR, Life
from tests.system import Database, sealed
from tests.workflows.conftest import Requested, Running, skip

HOLDER, MANAGER = "p-bs-durant-1", "p-bm-durant"


@pytest.fixture
def database(server: EmbeddedPostgreSQL) -> Iterator[Database]:
    with fresh_database(server) as database:
        yield database


async def asked(running: Running) -> Requested:
    await asyncio.to_thread(open_account, running, "durantlibrary")
    case = f"posting_rights-{uuid4()}"
    command = RequestRights(accounts=("facebook:durantlibrary",), months=2, purpose=sealed())
    payload = await running.payload(command, case, HOLDER)
    handle = await running.env.client.start_workflow("PostingRights", payload, id=case, task_queue=running.queue)
    requested = Requested(running, handle, case)
    requested.opening = payload
    assert "recorded" in await requested.opened()
    return requested


def open_account(running: Running, handle: str) -> None:
    Life(running.office).has_an_open_account(handle)


async def granted(running: Running) -> Requested:
    case = await asked(running)
    answer = await case.submit(GrantRights(content=(await state(case)).content), MANAGER)
    assert "recorded" in answer, answer
    return case


async def state(case: Requested) -> Any:
    found, _ = await asyncio.to_thread(case.running.office.ledger.read_on, case.case)
    return found


def hr_says(running: Running, person: str, **changed: Any) -> None:
    ledger = running.office.ledger
    known = ledger.library().person(person)
    assert known is not None
    feed = ImportStaff(feed_sha256="0" * 64, people=(known.model_copy(update=changed),))
    assert ledger.submit_own(feed, "directory", HR, str(uuid4())).facts


async def until(case: Requested, stage: str) -> None:
    for _ in range(200):
        if (await state(case)).stage == stage:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{case.case} is {(await state(case)).stage}, not {stage}")


async def ended(case: Requested, how: str) -> None:
    assert (await case.handle.result())["stage"] == "ended"
    assert (await state(case)).ended == how
    await case.replayed()


async def test_a_right_runs_its_term_renewal_is_asked_ahead_and_it_expires(running: Running) -> None:
    case = await granted(running)
    await skip(running, days=32)
    assert (await case.kinds())[-2:] == ["RenewalAsked", "Asked"]
    await skip(running, days=30)
    assert (await case.kinds())[-1] == "RightsExpired"
    await ended(case, "expired")


async def test_a_right_is_suspended_reinstated_and_revoked_by_update_and_by_signal(running: Running) -> None:
    case = await granted(running)
    await case.signal(SuspendRights(reason=sealed()), MANAGER)
    await until(case, "suspended")
    assert "refused" in await case.submit(ReinstateRights(reason=sealed()), HOLDER)
    assert "recorded" in await case.submit(ReinstateRights(reason=sealed()), MANAGER)
    assert "recorded" in await case.submit(RevokeRights(reason=sealed()), MANAGER)
    await ended(case, "revoked")


async def test_a_right_lapses_at_once_when_its_holder_moves(running: Running) -> None:
    case = await granted(running)
    await asyncio.to_thread(hr_says, running, HOLDER, branch="west")
    answer = await asyncio.to_thread(
        running.office.ledger.submit_own, Reconsider(), case.case, SYSTEM, str(uuid4())
    )
    assert [each.envelope.kind for each in answer.facts] == ["posting_rights.RightsLapsed"]
    await case.handle.signal("nudge")
    await ended(case, "lapsed")


async def test_a_request_nobody_decides_on_expires_in_silence(running: Running) -> None:
    case = await asked(running)
    await skip(running, days=31)
    assert (await case.handle.result())["stage"] == "undecided"
    assert [each for each in await case.kinds() if "Grant" in each] == []
    await case.replayed()
