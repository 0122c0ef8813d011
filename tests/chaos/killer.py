"""Ends parts of the running system with SIGKILL and loses the answers of COMMITs, at moments of its choosing: mostly
while commands are in flight, now and then while the last fault is not yet mended."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.chaos.diary import Diary
from tests.chaos.running import NotRunningError, Running

TARGETS = ("worker", "postgres", "temporal", "projector", "api")
ANSWERS_BETWEEN_KILLS = 6
CALM_WITHIN_SECONDS = 60.0
IN_FLIGHT_WITHIN_SECONDS = 5.0
COMMIT_WITHIN_SECONDS = 5.0
A_MOMENT = 0.02


@dataclass
class Kill:
    target: str
    at: float
    in_flight: int
    backends_orphaned: int = 0
    orphans_gone_after: float = 0.0


@dataclass
class Killer:
    running: Running
    diary: Diary
    dice: random.Random
    kills: int
    commits_to_lose: int
    started: float = field(default_factory=time.monotonic)
    done: list[Kill] = field(default_factory=list)

    async def run(self, may_go_on: Callable[[int], bool]) -> None:
        """`may_go_on(n)`: whether enough of the work is done for the nth kill, so that kills cover all of it."""
        losing = self._spread_of_lost_commits()
        for nth in range(self.kills):
            while not may_go_on(nth):
                await asyncio.sleep(A_MOMENT)
            at_once = nth and self.dice.random() < 0.15
            if not at_once:
                await self._calm()
                for _ in range(losing[nth]):
                    await self._lose_a_commit_answer()
                await asyncio.sleep(self.dice.uniform(0, 0.8))
            await self._until(lambda: self.diary.in_flight() > 0, IN_FLIGHT_WITHIN_SECONDS)
            await self._kill(self._target(nth))
        while len(self.running.lost_commit_answers()) < self.commits_to_lose and may_go_on(self.kills):
            await self._calm()
            await self._lose_a_commit_answer()

    def in_flight(self) -> int:
        return sum(each.in_flight > 0 for each in self.done)

    def faults(self) -> dict[str, int]:
        return {**dict.fromkeys(TARGETS, 0), **Counter(each.target for each in self.done)}

    def _spread_of_lost_commits(self) -> Counter[int]:
        most = max(self.kills, 1)
        return Counter(self.dice.randrange(most) for _ in range(self.commits_to_lose))

    def _target(self, nth: int) -> str:
        if nth % len(TARGETS) == 0:
            self._round = self.dice.sample(TARGETS, len(TARGETS))
        return self._round[nth % len(TARGETS)]

    async def _calm(self) -> None:
        """Everything runs again, and people have been answered since."""
        answered = self.diary.answers

        def is_calm() -> bool:
            return self.diary.answers - answered >= ANSWERS_BETWEEN_KILLS and self.running.all_alive()

        if not await self._until(is_calm, CALM_WITHIN_SECONDS) and not self.running.tree.alive():
            raise NotRunningError("the supervisor of the system under test has ended")

    async def _lose_a_commit_answer(self) -> None:
        before = self.running.proxy.dropped
        self.running.proxy.drop_next_answer()
        await self._until(lambda: self.running.proxy.dropped > before, COMMIT_WITHIN_SECONDS)

    async def _kill(self, target: str) -> None:
        if not await self._until(lambda: self.running.pid_of(target) is not None, CALM_WITHIN_SECONDS):
            raise NotRunningError(f"{target} was not started again in {CALM_WITHIN_SECONDS:.0f} s")
        pid = self.running.pid_of(target)
        if pid is None:
            return
        backends = psutil.Process(pid).children() if target == "postgres" else []
        kill = Kill(target, time.monotonic() - self.started, self.diary.in_flight())
        os.kill(pid, signal.SIGKILL)
        self.done.append(kill)
        if backends:
            await self._wait_for_orphans(kill, backends)

    async def _wait_for_orphans(self, kill: Kill, backends: list[psutil.Process]) -> None:
        """PostgreSQL's own children outlive it until they notice; until then no new one can start."""
        killed = time.monotonic()
        kill.backends_orphaned = sum(each.is_running() for each in backends)
        await self._until(lambda: not any(is_alive(each) for each in backends), CALM_WITHIN_SECONDS)
        kill.orphans_gone_after = time.monotonic() - killed

    async def _until(self, come: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not come():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(A_MOMENT)
        return True


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
