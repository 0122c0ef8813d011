"""Everyone of a simulated HR system that writes by SCIM: joiners, movers, leavers, some who come back; and what they do
at work meanwhile, which has to end."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx

from domain.facts import Channel
from services.desk import Caller
from services.hr.scim import EMPLOYMENT
from tests.chaos.hr_diary import BRANCHES, TITLES, Said, minute, someone
from tests.chaos.hr_wire import NEVER_SAID, Wire
from tests.chaos.staff import Walk

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
LONG_GONE = "2026-01-02"
BY_NUMBER = 4
OK, TAKEN, OTHER_VERSION = 300, 409, 412


class Employee:
    """Someone of the SCIM system, from the day they join; a few of them may come back."""

    def __init__(self, hr: Wire, nth: int, cases: int) -> None:
        self.hr, self.nth = hr, nth
        self.group = self.account = ""
        self.id, self.user = f"c-{nth:03}", ""
        self.dice = random.Random(f"{hr.dice.random()}/{nth}")
        # of one in four no effective time is sent: then the order of receipt is the order
        self.dated = nth % BY_NUMBER != 1
        self.says = someone(self.id, nth, self.dice)
        self.walk = Walk(hr.staff, cases + 1 + nth, random.Random(f"{nth}/rights"))

    async def life(self) -> None:
        if not self.user:
            await self.joins()
        await self.changes(self.but(position=self.dice.choice(TITLES)), self.but(name=f"{self.says.name}, renamed"))
        await self.may_post()
        if self.nth % 3 == 0:
            await self.stands_in()
        if self.nth % 3 == 1:
            await self.changes(self.but(branch=self.other_branch()), self.but(branch=self.other_branch()))
            await self.may_post()
        if self.nth % 5 == 0:
            await self.asks_and_is_not_answered()
        await self.leaves()
        if self.nth % 3 == 2:
            await asyncio.sleep(self.dice.uniform(0, 1))
            await self.returns()

    def but(self, **changed: Any) -> Said:
        """The next thing that HR says of them."""
        self.says = self.says.but(at=self.says.at + 1, **changed)
        return self.says

    def other_branch(self) -> str:
        return self.dice.choice([each for each in BRANCHES if each != self.says.branch])

    # -- what HR sends

    async def joins(self) -> None:
        said = self.but()
        answer = await self.hr.sends("POST", "/Users", self.resource(said), once=not self.dated)
        if answer.status_code == TAKEN:
            # an earlier try was taken, and only its answer was lost
            found = await self.hr.sends("GET", f'/Users?filter=userName eq "{self.id}@example.org"')
            self.user = found.json()["Resources"][0]["id"]
        else:
            self.is_ok(answer, "joins")
            self.user = answer.json()["id"]
        self.hr.diary.applied(said, dated=self.dated)
        await self.in_the_group("add")

    async def in_the_group(self, op: str) -> None:
        """Everyone at once, and none of them may be lost."""
        operation = {"op": op, "path": "members", "value": [{"value": self.user}]}
        body = {"schemas": [f"{MESSAGES}:PatchOp"], "Operations": [operation]}
        self.is_ok(await self.hr.sends("PATCH", f"/Groups/{self.group}", body), f"{op} to the group")
        (self.hr.diary.members.add if op == "add" else self.hr.diary.members.discard)(self.user)

    async def changes(self, *said: Said) -> None:
        """With effective times in any order; without them in theirs."""
        order = self.dice.sample(said, len(said)) if self.dated else list(said)
        self.hr.faults["hr_messages_out_of_order"] += order != list(said)
        for each in order:
            await self.replaced(each)
        if not self.dated:
            await self.with_an_old_version()

    async def replaced(self, said: Said) -> None:
        answer = await self.hr.sends("PUT", f"/Users/{self.user}", self.resource(said), once=not self.dated)
        self.is_ok(answer, "changes")
        self.hr.diary.applied(said, dated=self.dated)

    async def with_an_old_version(self) -> None:
        self.hr.faults["hr_messages_with_an_old_version"] += 1
        said, headers = self.says.but(position=NEVER_SAID), {"If-Match": 'W/"1"'}
        answer = await self.hr.until_answered("PUT", f"/Users/{self.user}", self.resource(said), headers)
        if answer.status_code != OTHER_VERSION:
            self.hr.failed.append(f"{self.id} with an old version was answered {answer.status_code}")

    async def leaves(self) -> None:
        match self.nth % BY_NUMBER:
            case 0:
                await self.changes(self.but(name=f"{self.says.name} again"), self.but(active=False))
            case 1:
                await self.patched(self.but(active=False), {"op": "Replace", "path": "active", "value": "False"})
            case 2:
                await self.in_the_group("remove")
                await self.hr.sends("DELETE", f"/Users/{self.user}")
                self.hr.diary.applied(self.but(active=False), dated=False)
                self.user = ""
            case _:
                await self.changes(self.but(), self.but(end=LONG_GONE))

    async def patched(self, said: Said, *operations: dict[str, Any]) -> None:
        body = {"schemas": [f"{MESSAGES}:PatchOp"], "Operations": list(operations)}
        self.is_ok(await self.hr.sends("PATCH", f"/Users/{self.user}", body), "changes")
        self.hr.diary.applied(said, dated=self.dated)

    async def returns(self) -> None:
        """Under the same number; a message about the time before may come after."""
        if not self.user:
            self.but(active=True)
            await self.joins()
            return
        before, back = self.but(active=False), self.but(active=True, end="")
        if self.dated:
            await self.changes(before, back)
        else:
            await self.changes(back)

    def is_ok(self, answer: httpx.Response, what: str) -> None:
        if answer.status_code >= OK:
            self.hr.failed.append(f"{self.id} {what}: {answer.status_code} {answer.text[:200]}")

    def resource(self, said: Said) -> dict[str, Any]:
        dates = {"endDate": said.end} if said.end else {}
        dates |= {"effectiveAt": minute(said.at).isoformat()} if self.dated else {}
        return {
            "schemas": [f"{CORE}:User", ENTERPRISE, *([EMPLOYMENT] if dates else [])],
            "userName": f"{self.id}@example.org",
            "displayName": said.name,
            "title": said.position,
            "active": said.active,
            "emails": [{"type": "work", "value": f"{self.id}@example.org", "primary": True}],
            ENTERPRISE: {"employeeNumber": self.id, "department": said.branch},
        } | ({EMPLOYMENT: dates} if dates else {})

    # -- what they do meanwhile: what they have then has to end

    async def may_post(self) -> None:
        if await self.asks_to_post():
            await self.walk.sends(f"p-bm-{self.branch_known()}", "GrantRights", {})

    def branch_known(self) -> str:
        return self.hr.diary.known[self.id].branch

    async def asks_to_post(self) -> bool:
        walk, wanted = self.walk, {"accounts": [self.account], "purpose": "Story times."}
        entry = walk.diary.begins(self.id, "", "RequestRights", walk.new_id())
        caller = Caller(self.id, "a simulated sign-in", Channel.WEB)
        answer = await walk.until_told(entry, lambda: walk.desk.request("posting_rights", wanted, caller, entry.id))
        walk.case = entry.case
        return bool(answer.get("recorded"))

    async def asks_and_is_not_answered(self) -> None:
        """A right to replies beside the one they have would be refused: so theirs is given back first."""
        walk = self.walk
        reason = {"reason": "To be asked for anew."}
        await walk.sends(f"p-bm-{self.branch_known()}", "RevokeRights", reason)
        await self.asks_to_post()

    async def stands_in(self) -> None:
        right, self.walk.case = self.walk.case, "delegation"
        colleague = f"p-bs-{self.branch_known()}-1"
        fields = {
            "to": colleague,
            "processes": ["posting_rights_branch"],
            "since": "2026-01-01T00:00:00Z",
            "until": "2099-01-01T00:00:00Z",
            "reason": "While they are away.",
        }
        await self.walk.sends(self.id, "Delegate", fields)
        self.walk.case = right
