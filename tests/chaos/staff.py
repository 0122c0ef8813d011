"""Simulated staff: they ask, decide, set up and open accounts through the desk, repeat what was not answered under the
same command id, and write down what they were told. Some die before they are answered, and others carry on for them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.facts import Channel
from services.desk import Caller, Desk, Unreachable
from services.embedded_process import Child
from services.sending import Sending
from tests.chaos.diary import Diary, Entry, Fate
from tests.chaos.running import Running, plain_environment
from tests.system import LOGO, TASKS

T = TypeVar("T")
BRANCHES = ("kosciusko", "durant", "goodman", "lexington", "carthage", "kilmichael", "winona", "louisville")
COORDINATORS = ("p-mac", "p-ysc")
HEADQUARTERS = ("p-mac", "p-ysc", "p-hq-it", "p-hq-helpdesk")
DIRECTOR = "p-ed"
WAIVABLE = "policy_link"
PATHS = {  # each path with its share
    "opened": 50,
    "opened_after_changes": 12,
    "refused": 14,
    "withdrawn": 12,
    "contested": 7,
    "amended_in_set_up": 5,
}
FOLLOWS_WITHIN_SECONDS = 150.0
A_LOOK_EVERY_SECONDS = 0.4


class StaffDesk(Desk):
    """The desk, telling the diary while a command is with Temporal and unanswered."""

    def __init__(self, running: Running, diary: Diary) -> None:
        super().__init__(running.settings)
        self._diary = diary

    @cached_property
    def _sending(self) -> Sending:
        return ToldToTheDiary(self, self._diary)


class ToldToTheDiary(Sending):
    def __init__(self, desk: Desk, diary: Diary) -> None:
        super().__init__(desk.settings, desk.client, desk.ledger)
        self._diary = diary

    async def _reached(self, sending: Awaitable[dict[str, Any]], id_: str) -> dict[str, Any]:
        with self._diary.sending(id_):
            return await super()._reached(sending, id_)


class Staff:
    def __init__(self, running: Running, desk: Desk, diary: Diary, seed: int) -> None:
        self.running, self.desk, self.diary, self.seed = running, desk, diary, seed
        self.cancelled = self.processes_killed = self.terminated = self.signals = 0
        self.terminates, self.processes_to_kill = -1, 3
        # cancelling is not enough: Temporal's client turns a cancelled wait into an error like any other
        self.sent_home = False

    def paths(self, cases: int, dice: random.Random) -> list[str]:
        return dice.choices(list(PATHS), list(PATHS.values()), k=cases)

    async def case(self, nth: int, path: str) -> None:
        walk: Callable[[Walk], Awaitable[None]] = getattr(Walk, path)
        await walk(Walk(self, nth, random.Random(f"{self.seed}/{nth}")))


class Walk:
    """One case from its request to its end."""

    def __init__(self, staff: Staff, nth: int, dice: random.Random) -> None:
        self.staff, self.desk, self.diary, self.nth, self.dice = staff, staff.desk, staff.diary, nth, dice
        self.branch = dice.choice(BRANCHES)
        self.requester = f"p-bm-{self.branch}"
        self.administrators: tuple[str, ...] = (dice.choice(COORDINATORS), self.requester)
        self.case = ""

    # -- the paths

    async def opened(self) -> None:
        await self.request()
        await self.approve()
        await self.set_up_and_open()

    async def opened_after_changes(self) -> None:
        await self.request()
        await self.does(DIRECTOR, "AskForChanges", {"reason": "Say when the page will be looked at."})
        await self.does(self.requester, "AmendRequest", self.wanted(purpose="Story times; looked at every morning."))
        await self.approve()
        await self.set_up_and_open()

    async def amended_in_set_up(self) -> None:
        await self.request()
        await self.approve()
        await self.tasks(self.dice.sample(TASKS, 3))
        await self.does(self.requester, "AmendRequest", self.wanted(handle=f"{self.handle}.again"))
        await self.approve()
        await self.set_up_and_open()

    async def refused(self) -> None:
        await self.request()
        if self.dice.random() < 0.3:
            await self.is_refused(self.requester, "ApproveAccount", {})
        reason = {"reason": "The branch has a page on this platform."}
        if self.dice.random() < 0.3:
            await self.dies_sending(DIRECTOR, "RefuseAccount", reason)
        else:
            await self.does(DIRECTOR, "RefuseAccount", reason)
        self.ends_as("refused")

    async def withdrawn(self) -> None:
        await self.request()
        if self.dice.random() < 0.5:
            await self.approve()
        await self.does(self.requester, "WithdrawRequest", {"reason": "Not this year."})
        self.ends_as("withdrawn")

    async def contested(self) -> None:
        """Two ask for one handle in the same moment: one of them has it, and gives it back."""
        other = Walk(self.staff, self.nth, random.Random(f"{self.staff.seed}/{self.nth}/other"))
        other.requester = next(f"p-bm-{each}" for each in BRANCHES if each != self.branch)
        other.administrators = (other.administrators[0], other.requester)
        answers = await asyncio.gather(self.asks(), other.asks())
        winners = [walk for walk, answer in zip((self, other), answers, strict=True) if answer.get("recorded")]
        if len(winners) != 1:
            self.diary.expected(f"one of two has the handle {self.handle}", answers)
        for walk in winners:
            await walk.does(walk.requester, "WithdrawRequest", {})
            walk.ends_as("withdrawn")

    # -- their parts

    @property
    def handle(self) -> str:
        return f"Library.{self.staff.seed}.{self.nth}"

    def wanted(self, **changed: Any) -> dict[str, Any]:
        return {
            "platform": "facebook",
            "handle": self.handle,
            "place": self.branch,
            "purpose": "Tell families about story times and opening hours.",
            "audience": "Families, schools and readers.",
            "administrators": list(self.administrators),
            "posters": [self.requester],
        } | changed

    async def request(self) -> None:
        answer = await self.asks()
        if not answer.get("recorded"):
            self.diary.expected(f"case {self.nth} begins", answer)
            raise CaseError(f"case {self.nth} did not begin")

    async def asks(self) -> dict[str, Any]:
        entry = self.diary.begins(self.requester, "", "RequestAccount", self.new_id())
        caller = Caller(self.requester, "a simulated sign-in", Channel.WEB)
        answer = await self.until_told(
            entry, lambda: self.desk.request("account_creation", self.wanted(), caller, entry.id)
        )
        self.case = entry.case
        return answer

    async def approve(self) -> None:
        with_condition = self.dice.random() < 0.25
        self.condition = "opening_hours_shown" if with_condition else ""
        fields = {"conditions": [{"id": self.condition, "what": "Show the opening hours."}]} if with_condition else {}
        how = self.dice.random()
        if how < 0.15:
            await self.by_signal(DIRECTOR, "ApproveAccount", fields)
        elif how < 0.3:
            await self.dies_sending(DIRECTOR, "ApproveAccount", fields)
        else:
            await self.does(DIRECTOR, "ApproveAccount", fields)

    async def set_up_and_open(self) -> None:
        if self.nth == self.staff.terminates:
            await self.workflow_is_terminated()
        done = (await self.look())["state"]
        left = [task for task in TASKS if task not in (*done["tasks_done"], *done["tasks_waived"])]
        await self.tasks(self.dice.sample(left, len(left)))
        if self.condition:
            await self.does(self.requester, "MeetCondition", {"condition": self.condition})
        await asyncio.gather(*(self.does(each, "ConfirmAdministration", {}) for each in self.administrators))
        if self.dice.random() < 0.1:
            await self.dies_sending("p-mac", "OpenAccount", {})
        else:
            await self.does("p-mac", "OpenAccount", {})
        self.ends_as("open")

    async def tasks(self, tasks: list[str]) -> None:
        """Two at a time, by different people; now and then both do the same one, and one of them is too late."""
        while tasks:
            pair, tasks = tasks[:2], tasks[2:]
            if self.dice.random() < 0.08:
                await self.one_of_two(pair[0])
                pair = pair[1:]
            await asyncio.gather(*(self.task(each) for each in pair))

    async def task(self, task: str) -> None:
        if task == WAIVABLE and self.dice.random() < 0.4:
            await self.does("p-mac", "WaiveTask", {"task": task, "reason": "The page has room for one link."})
        elif self.dice.random() < 0.04:
            await self.dies_sending(self.someone(), "CompleteTask", fields_of(task))
        else:
            await self.does(self.someone(), "CompleteTask", fields_of(task))

    async def one_of_two(self, task: str) -> None:
        both = self.dice.sample([*HEADQUARTERS, self.requester], 2)
        answers = await asyncio.gather(*(self.sends(each, "CompleteTask", fields_of(task)) for each in both))
        if [bool(each.get("recorded")) for each in answers].count(True) != 1:
            self.diary.expected(f"one of two completes {task} in {self.case}", answers)

    def someone(self) -> str:
        return self.dice.choice([*HEADQUARTERS, self.requester])

    def ends_as(self, stage: str) -> None:
        self.diary.ends[self.case] = stage

    # -- how they send

    def new_id(self) -> str:
        return str(UUID(int=self.dice.getrandbits(128), version=4))

    async def sends(self, person: str, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        entry = self.diary.begins(person, self.case, command, self.new_id())
        caller = Caller(person, "a simulated sign-in", Channel.WEB)
        return await self.until_told(entry, lambda: self.desk.act(self.case, command, fields, caller, entry.id))

    async def does(self, person: str, command: str, fields: dict[str, Any]) -> None:
        answer = await self.sends(person, command, fields)
        if not answer.get("recorded"):
            self.diary.expected(f"{person} {command} in {self.case}", answer)
        await asyncio.sleep(self.dice.uniform(0, 0.1))

    async def is_refused(self, person: str, command: str, fields: dict[str, Any]) -> None:
        answer = await self.sends(person, command, fields)
        if not answer.get("refused"):
            self.diary.expected(f"{person} may not {command} in {self.case}", answer)

    async def until_told(self, entry: Entry, send: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """The same command with the same id, again and again, until there is an answer."""
        while not self.staff.sent_home:
            entry.sent_times += 1
            try:
                answer = await send()
            except Unreachable:
                await asyncio.sleep(self.dice.uniform(0.2, 0.8))
            except Exception as error:
                # whatever it is, it is no answer: a person would try again, and the run tells of it
                self.diary.is_surprised(error)
                await asyncio.sleep(self.dice.uniform(0.2, 0.8))
            else:
                self.diary.is_told(entry, answer)
                return answer
        raise SentHome

    async def by_signal(self, person: str, command: str, fields: dict[str, Any]) -> None:
        """Signed here, carried by Temporal: what it took is as good as recorded, though nobody is told."""
        entry = self.diary.begins(person, self.case, command, self.new_id())
        caller = Caller(person, "a simulated sign-in", Channel.SIGNAL)
        payload = await self.steadily(lambda: self.desk.sign(self.case, command, fields, caller, entry.id))
        await self.steadily(lambda: self.signalled(payload))
        entry.fate = Fate.HANDED_OVER
        self.staff.signals += 1
        if not await self.is_recorded(entry, FOLLOWS_WITHIN_SECONDS):
            self.diary.expected(f"the signal {command} is recorded in {self.case}", "it is not")

    async def signalled(self, payload: dict[str, Any]) -> None:
        client = await self.desk.client()
        await client.get_workflow_handle(self.case).signal("submit", payload)

    async def dies_sending(self, person: str, command: str, fields: dict[str, Any]) -> None:
        """Sends once and is gone. Whoever comes next looks, and does it where it is not done."""
        entry = self.diary.begins(person, self.case, command, self.new_id())
        entry.sent_times, entry.fate = 1, Fate.DIED
        in_a_process = self.staff.processes_killed < self.staff.processes_to_kill
        await (self.in_a_process_that_dies if in_a_process else self.in_a_task_that_dies)(entry, fields)
        if entry.fate is Fate.TOLD or await self.is_recorded(entry, self.dice.uniform(0.5, 3)):
            return
        # it may still be on its way: then this one is refused, and nothing is done twice
        await self.sends(person, command, fields)

    async def in_a_task_that_dies(self, entry: Entry, fields: dict[str, Any]) -> None:
        caller = Caller(entry.person, "a simulated sign-in", Channel.WEB)
        sending = asyncio.create_task(self.desk.act(self.case, entry.command, fields, caller, entry.id))
        done, _ = await asyncio.wait({sending}, timeout=self.dice.uniform(0.005, 0.08))
        if done and not sending.exception():
            self.diary.is_told(entry, sending.result())
            return
        self.staff.cancelled += not done
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    async def in_a_process_that_dies(self, entry: Entry, fields: dict[str, Any]) -> None:
        """A client process of its own, ended by SIGKILL as soon as it says that it is sending."""
        self.staff.processes_killed += 1
        data = self.staff.running.data
        asked = {"case": self.case, "command": entry.command, "fields": fields, "person": entry.person, "id": entry.id}
        argv = [sys.executable, "-m", "tests.chaos.dying", str(data), json.dumps(asked)]
        log = data / "logs" / f"dying-{entry.id}.out"
        client = Child("dying", argv, log=log, env=plain_environment())
        await asyncio.to_thread(client.start)
        deadline = time.monotonic() + 30
        while client.alive() and time.monotonic() < deadline and b"sending" not in log.read_bytes():
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.dice.uniform(0, 0.05))
        pid = client.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(client.kill)
        said = log.read_text().splitlines()
        if len(said) > 1 and said[1].startswith("{"):
            self.diary.is_told(entry, json.loads(said[1]))

    async def workflow_is_terminated(self) -> None:
        """By hand, in the middle; nobody touches the case until the reconciler has brought it back."""
        handle = (await self.desk.client()).get_workflow_handle(self.case)
        await self.steadily(lambda: handle.terminate("by hand"))
        self.staff.terminated += 1
        deadline = time.monotonic() + FOLLOWS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            found = await self.steadily(handle.describe)
            if found.status is WorkflowExecutionStatus.RUNNING:
                return
            await asyncio.sleep(A_LOOK_EVERY_SECONDS)
        self.diary.expected(f"{self.case} is brought back", "it is not")

    # -- how they look

    async def look(self) -> dict[str, Any]:
        return await self.steadily(lambda: self.desk.case(self.case, None))

    async def is_recorded(self, entry: Entry, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            shown = await self.look()
            if any(each["command_id"] == entry.id for each in shown["facts"]):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(A_LOOK_EVERY_SECONDS)

    async def steadily(self, do: Callable[[], Awaitable[T]]) -> T:
        while not self.staff.sent_home:
            try:
                return await do()
            except (Unreachable, RPCError):
                await asyncio.sleep(self.dice.uniform(0.2, 0.8))
        raise SentHome


class CaseError(Exception):
    """The case did not come to its end as it should have."""


class SentHome(Exception):  # it is nobody's error
    """The run is over; whoever still waits for an answer stops waiting."""


def fields_of(task: str) -> dict[str, Any]:
    if task != "logo":
        return {"task": task}
    return {"task": task, "logo_source": "marketing_and_access_coordinator", "logo_sha256": LOGO}
