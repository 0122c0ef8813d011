"""A staff change as a durable workflow: begun by the ledger, carried out, reported, mended; each replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain.posting_rights import GrantRights
from domain.staff_change import SeatAdministrator
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.staff import StaffFollower, orphans
from tests.fresh import fresh_database
from tests.projections.history import Life
from tests.services.rights import HOLDER, MANAGER, asked, state
from tests.system import Database
from tests.workflows.conftest import Requested, Running, skip

ACCOUNT = "account:facebook:durantlibrary"


@pytest.fixture
def database(server: EmbeddedPostgreSQL) -> Iterator[Database]:
    with fresh_database(server) as database:
        yield database


async def hr_says(running: Running, person: str, **changed: Any) -> Requested:
    """The feed's change, and the workflow that the follower starts for it."""
    await asyncio.to_thread(lambda: Life(running.office).hr_says(person, **changed))
    follower = StaffFollower(running.env.client, running.office.ledger, running.queue)
    await follower.one_pass()
    _, recorded = await asyncio.to_thread(running.office.ledger.read_on, "directory")
    changes = [each.envelope for each in recorded if not each.envelope.kind.endswith("StaffImported")]
    case = f"staff_change-{changes[-1].event_id}"
    return Requested(running, running.env.client.get_workflow_handle(case), case)


async def stage(case: Requested) -> str:
    return str((await asyncio.to_thread(state, Life(case.running.office), case.case)).stage)


async def until(case: Requested, wanted: str) -> None:
    for _ in range(200):
        if await stage(case) == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{case.case} is {await stage(case)}, not {wanted}")


async def test_a_leavers_right_ends_and_the_workflow_with_it(running: Running) -> None:
    life = Life(running.office)
    right = await asyncio.to_thread(asked, life, "durantlibrary")
    content = (await asyncio.to_thread(state, life, right)).content
    await asyncio.to_thread(life.says, MANAGER, GrantRights(content=content), right)
    case = await hr_says(running, HOLDER, active=False)
    assert (await case.handle.result())["stage"] == "done"
    assert (await asyncio.to_thread(state, life, right)).ended == "lapsed"
    assert await asyncio.to_thread(orphans, running.office.ledger) == []
    await case.replayed()


async def test_a_breach_is_reminded_of_and_mended_by_headquarters(running: Running) -> None:
    life = Life(running.office)
    await asyncio.to_thread(life.has_an_open_account, "durantlibrary")
    case = await hr_says(running, MANAGER, active=False)
    await until(case, "remedy")
    await skip(running, days=20)
    assert [each for each in await case.kinds() if each in ("Reminded", "Escalated", "BecameOverdue")] == [
        "Reminded", "Reminded", "Escalated", "BecameOverdue"
    ]  # fmt: skip
    answer = await case.submit(SeatAdministrator(account=ACCOUNT, person=HOLDER), "p-mac")
    assert "recorded" in answer, answer
    assert (await case.handle.result())["stage"] == "done"
    await case.replayed()


async def test_a_planned_departure_waits_for_its_day(running: Running) -> None:
    life = Life(running.office)
    await asyncio.to_thread(life.has_an_open_account, "durantlibrary")
    today = (await asyncio.to_thread(running.office.clock.now)).date()
    case = await hr_says(running, MANAGER, end=today + timedelta(days=5))
    await until(case, "ahead")
    await skip(running, days=7)
    await until(case, "remedy")
    kinds = await case.kinds()
    assert kinds.index("DepartureCame") < kinds.index("AdministratorLeft")
    assert kinds.count("StaffChangeReported") == 2


async def test_the_same_change_is_followed_by_one_case_whatever_is_asked_again(running: Running) -> None:
    case = await hr_says(running, "p-bs-durant-2", branch="west")
    follower = StaffFollower(running.env.client, running.office.ledger, running.queue)
    await follower.one_pass()
    await case.handle.result()
    assert (await case.kinds()).count("StaffChangeFollowed") == 1
    await case.replayed()
