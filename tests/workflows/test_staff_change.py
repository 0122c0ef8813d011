"""A staff change as a durable workflow: begun by the ledger, carried out, reported, mended; each replayed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4, uuid5

from domain.posting_rights_messages import GrantRights
from domain.staff_change_messages import Change, FollowStaffChange, SeatAdministrator
from services.ledger import EVENT_IDS, SYSTEM
from services.staff import orphans
from services.staff_follower import StaffFollower
from tests.projections.history import Life
from tests.services.rights import HOLDER, MANAGER, asked, state
from tests.workflows.running import Requested, Running

ACCOUNT = "account:facebook:durantlibrary"


async def hr_says(running: Running, person: str, **changed: Any) -> Requested:
    """The feed's change, and the workflow that the follower starts for it."""
    await asyncio.to_thread(lambda: Life(running.office).hr_says(person, **changed))
    follower = StaffFollower(running.client, running.office.ledger, running.queue)
    await follower.one_pass()
    _, recorded = await asyncio.to_thread(running.office.ledger.read_on, "directory")
    changes = [each.envelope for each in recorded if not each.envelope.kind.endswith("StaffImported")]
    case = f"staff_change-{changes[-1].event_id}"
    return running.follows(case)


async def changes_of(running: Running, *people: str) -> list[str]:
    """The cases of what HR says of these people, by the order of its events; nothing is followed yet."""
    life = Life(running.office)
    answers = [await asyncio.to_thread(partial(life.hr_says, each, branch="west")) for each in people]
    return [f"staff_change-{answer.facts[0].envelope.event_id}" for answer in answers]


async def test_a_change_that_cannot_be_followed_keeps_no_other_waiting_and_is_tried_again(alone: Running) -> None:
    first, other = await changes_of(alone, "p-bs-durant-2", "p-bs-goodman-1")
    ledger = alone.office.ledger
    # somebody else's command has its id, and so it is refused each time
    taken = FollowStaffChange(person="p-bs-durant-2", change=Change.LEFT, event="x", log_position=1)
    id_ = str(uuid5(EVENT_IDS, f"{first}/follow"))
    await asyncio.to_thread(ledger.submit_own, taken, f"staff_change-{uuid4()}", SYSTEM, id_)
    follower = StaffFollower(alone.client, ledger, alone.queue)
    for _ in range(2):
        await follower.one_pass()
        assert list(follower.left_over) == [first.partition("-")[2]]
    await alone.follows(other).handle.result()
    assert (await asyncio.to_thread(ledger.state, first)).position == 0
    later = (await changes_of(alone, "p-bs-lexington-1"))[0]
    await follower.one_pass()
    await alone.follows(later).handle.result()


async def test_a_leavers_right_ends_and_the_workflow_with_it(alone: Running) -> None:
    life = Life(alone.office)
    right = await asyncio.to_thread(asked, life, "durantlibrary")
    content = (await asyncio.to_thread(state, life, right)).content
    await asyncio.to_thread(life.says, MANAGER, GrantRights(content=content), right)
    case = await hr_says(alone, HOLDER, active=False)
    assert (await case.ended())["stage"] == "done"
    assert (await asyncio.to_thread(state, life, right)).ended == "lapsed"
    assert await asyncio.to_thread(orphans, alone.office.ledger) == []
    await case.replayed()


async def test_a_breach_is_reminded_of_and_mended_by_headquarters(alone: Running) -> None:
    life = Life(alone.office)
    await asyncio.to_thread(life.has_an_open_account, "durantlibrary")
    case = await hr_says(alone, MANAGER, active=False)
    await case.until("remedy")
    await alone.sleep(timedelta(days=20))
    assert [each for each in await case.kinds() if each in ("Reminded", "Escalated", "BecameOverdue")] == [
        "Reminded", "Reminded", "Escalated", "BecameOverdue"
    ]  # fmt: skip
    await case.done(SeatAdministrator(account=ACCOUNT, person=HOLDER), "p-mac")
    assert (await case.ended())["stage"] == "done"
    await case.replayed()


async def test_a_planned_departure_waits_for_its_day(alone: Running) -> None:
    life = Life(alone.office)
    await asyncio.to_thread(life.has_an_open_account, "durantlibrary")
    today = (await asyncio.to_thread(alone.office.clock.now)).date()
    case = await hr_says(alone, MANAGER, end=today + timedelta(days=5))
    await case.until("ahead")
    await alone.sleep(timedelta(days=7))
    await case.until("remedy")
    kinds = await case.kinds()
    assert kinds.index("DepartureCame") < kinds.index("AdministratorLeft")
    assert kinds.count("StaffChangeReported") == 2


async def test_the_same_change_is_followed_by_one_case_whatever_is_asked_again(alone: Running) -> None:
    case = await hr_says(alone, "p-bs-durant-2", branch="west")
    follower = StaffFollower(alone.client, alone.office.ledger, alone.queue)
    await follower.one_pass()
    await case.handle.result()
    assert (await case.kinds()).count("StaffChangeFollowed") == 1
    await case.replayed()
