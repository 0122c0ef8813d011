"""Simulated HR systems: one writes by SCIM over HTTP, one exports files. Their messages come twice, late, in another
order, cut off in the middle, or once more because nobody answered. What they meant is written down beside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from domain.in_force import account_id
from tests.chaos.hr_files import BY_FILE, FileExports
from tests.chaos.hr_people import CORE, Employee
from tests.chaos.hr_wire import Wire
from tests.chaos.running import Running
from tests.chaos.staff import Staff, Walk

BY_SCIM = "chaos-hr"
CASES_FOR_EACH_PERSON, FEWEST = 8, 8
SEATED = 3
AT_ONCE = 4
SHARE_THAT_BEGINS = 0.85


class HrSystems(Wire):
    """`share_done`: how much of the other work of the run is over, so that HR's messages cover all of it."""

    def __init__(self, running: Running, staff: Staff, cases: int, seed: int) -> None:
        super().__init__(running, staff, random.Random(f"{seed}/hr"))
        self.cases, self.group = cases, ""
        self.people = [Employee(self, nth, cases) for nth in range(max(FEWEST, cases // CASES_FOR_EACH_PERSON))]

    async def run(self, share_done: Callable[[], float]) -> None:
        try:
            await self.begin()
            places = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.guarded(FileExports(self).run(share_done)))
                for each in self.people:
                    group.create_task(self.guarded(self.in_turn(each, places, share_done)))
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {error}")

    async def in_turn(self, person: Employee, places: asyncio.Semaphore, share_done: Callable[[], float]) -> None:
        async with places:
            while share_done() < SHARE_THAT_BEGINS * person.nth / len(self.people):
                await asyncio.sleep(0.1)
            await person.life()

    async def guarded(self, life: Awaitable[None]) -> None:
        try:
            await life
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {error}")

    async def register(self) -> None:
        """Before the first fault: who is never told its token has none."""
        told = await self.command("hr", "register", BY_SCIM)
        await self.command("hr", "register", BY_FILE)
        self.opened(told["token"])
        team = {"schemas": [f"{CORE}:Group"], "displayName": "Online team"}
        self.group = (await self.until_answered("POST", "/Groups", team)).json()["id"]

    async def begin(self) -> None:
        for each in self.people:
            each.group = self.group
        for each in self.people[:SEATED]:
            await each.joins()
        await self.opens_an_account()

    async def opens_an_account(self) -> None:
        """One account that some of HR's people administer and all of them ask to post to."""
        walk = Walk(self.staff, self.cases, random.Random(f"{self.cases}/hr"))
        walk.branch, walk.requester = "louisville", "p-bm-louisville"
        walk.administrators = ("p-mac", "p-bm-louisville", *(each.id for each in self.people[:SEATED]))
        await walk.opened()
        for each in self.people:
            each.account = account_id(f"facebook:{walk.handle}")
