"""Rights to post and changes of staff as durable workflows: what their recorded histories do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from domain.posting_rights_messages import ReinstateRights, RevokeRights, SuspendRights
from domain.staff_change_messages import SeatAdministrator
from tests.projections.history import Life
from tests.services.rights import HOLDER
from tests.system import sealed
from tests.workflows.running import Requested, Running
from tests.workflows.test_posting_rights import MANAGER, asked, granted
from tests.workflows.test_staff_change import ACCOUNT, hr_says


async def rights_and_changes(running: Running) -> dict[str, Requested]:
    """Cases that came to their end as time passes, each under a name that begins with its last stage."""
    right = await granted(running)
    await right.signal(SuspendRights(reason=sealed()), MANAGER)
    await right.until("suspended")
    await right.done(ReinstateRights(reason=sealed()), MANAGER)
    await right.done(RevokeRights(reason=sealed()), MANAGER)
    moved = await hr_says(running, "p-bs-durant-2", branch="west")
    await asyncio.to_thread(Life(running.office).hr_says, MANAGER, active=True)
    left = await hr_says(running, MANAGER, active=False)
    await left.until("remedy")
    await left.done(SeatAdministrator(account=ACCOUNT, person=HOLDER), "p-mac")
    return {"ended_right": right, "done_following_a_move": moved, "done_once_mended": left}


async def rights_that_end_by_themselves(running: Running) -> dict[str, Requested]:
    """By skipping time: nobody decides, or the term is over."""
    undecided = await asked(running)
    await running.sleep(timedelta(days=31))
    return {"undecided_right": undecided}


NAMES = ("ended_right", "done_following_a_move", "done_once_mended", "undecided_right")
