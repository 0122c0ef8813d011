"""`make chaos`: account creations run to their end by simulated staff while parts of the system are killed."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import signal
import sys
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from tests.chaos import hr_verdict
from tests.chaos.diary import Diary
from tests.chaos.erasures import FORGOTTEN, ErasureWalk, what_erasures_find, with_erasures
from tests.chaos.hr import HrSystems
from tests.chaos.killer import Killer
from tests.chaos.patrons import REVOKED, PatronWalk, what_patrons_find, with_revocations
from tests.chaos.running import NotRunningError, Running, running_system
from tests.chaos.staff import Staff, StaffDesk
from tests.chaos.verdict import Verdict, judged

OUT = Path(__file__).parents[2] / "bench" / "out"
AT_ONCE = 16
THREADS = 32
NOTHING_ANSWERED_SECONDS = 150.0
SENT_HOME_WITHIN_SECONDS = 40.0
SHOWN = 10
FULL_RUN_KILLS, FULL_RUN_CASES, LOST_COMMITS = 30, 200, 5


class HungError(Exception):
    """Nobody was answered for too long."""


def main() -> int:
    asked = arguments()
    print(f"chaos: {asked.cases} cases, {asked.kills} kills, seed {asked.seed}", flush=True)
    only_what_is_told_here()
    # a shell that starts this in the background has it ignore SIGINT; being ended is an interruption too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with running_system() as running:
            return asyncio.run(Run(asked.cases, asked.kills, asked.seed, running).all())
    except NotRunningError as error:
        print(f"chaos: {error}")
        return 1
    except KeyboardInterrupt:
        print("chaos: interrupted; everything it started is stopped")
        return 130


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--cases", type=int, default=FULL_RUN_CASES)
    parser.add_argument("--kills", type=int, default=FULL_RUN_KILLS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    asked = parser.parse_args()
    if asked.cases < 1 or asked.kills < 0:
        parser.error("at least one case, and no fewer than 0 kills")
    return asked


def only_what_is_told_here() -> None:
    """Lost connections are the point of the run; what clients say of them would drown its own words."""
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=quiet)), error_if_already_set=False)
    logging.disable(logging.ERROR)


class Run:
    def __init__(self, cases: int, kills: int, seed: int, running: Running) -> None:
        self.cases, self.kills, self.seed, self.running = cases, kills, seed, running
        self.diary, self.dice = Diary(), random.Random(seed)
        self.least_in_flight = -(-kills * 2 // 3)
        self.least_commits = min(LOST_COMMITS, kills)
        self.finished = 0
        self.failed: list[str] = []

    async def all(self) -> int:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        await self.running.until_up()
        print("chaos: the system is up", flush=True)
        self.desk = StaffDesk(self.running, self.diary)
        self.staff = Staff(self.running, self.desk, self.diary, self.seed)
        # one more than is asked for: a kill may come between and take the answer itself
        self.hr = HrSystems(self.running, self.staff, self.cases, self.seed)
        self.killer = Killer(self.running, self.diary, self.dice, self.kills, self.least_commits + (self.kills > 0))
        await self.hr.register()
        self.started = time.monotonic()
        verdict, of_hr, hung = Verdict(), hr_verdict.HrVerdict(), ""
        try:
            await self.watched(self.work())
            of_hr = await hr_verdict.judged(self.hr)
            client, lost_answers = await self.desk.client(), self.running.lost_commit_answers()
            verdict = await judged(self.running.settings, client, self.diary, lost_answers)
            verdict.disagreeing += await asyncio.to_thread(what_patrons_find, self.running.settings)
            verdict.disagreeing += await asyncio.to_thread(what_erasures_find, self.running.settings)
        except (HungError, NotRunningError) as error:
            hung = str(error)
        finally:
            await self.hr.http.aclose()
            self.desk.close()
            OUT.mkdir(parents=True, exist_ok=True)
            self.diary.write(OUT / "chaos-diary.jsonl")
        return self.told(verdict, of_hr, hung)

    async def work(self) -> None:
        paths = with_erasures(with_revocations(self.staff.paths(self.cases, self.dice)))
        opened = [nth for nth, path in enumerate(paths) if path == "opened"]
        self.staff.terminates = opened[len(opened) // 3] if opened else -1
        places = asyncio.Semaphore(AT_ONCE)

        async def one(nth: int, path: str) -> None:
            async with places:
                while not self.may_begin(nth):
                    await asyncio.sleep(0.05)
                try:
                    await self.walk(nth, path)
                except Exception as error:
                    self.failed.append(f"case {nth} ({path}): {type(error).__name__}: {error}")
                self.finished += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(self.killer.run(self.may_kill))
            group.create_task(self.hr.run(lambda: self.finished / self.cases))
            for nth, path in enumerate(paths):
                group.create_task(one(nth, path))

    async def walk(self, nth: int, path: str) -> None:
        if path == REVOKED:
            await PatronWalk(self.staff, nth).revoked()
        elif path == FORGOTTEN:
            await ErasureWalk(self.staff, nth).forgotten()
        else:
            await self.staff.case(nth, path)

    def may_begin(self, nth: int) -> bool:
        """Cases are spread over the kills, and kills over the cases, so that neither is done long before the other."""
        share = (len(self.killer.done) + 1) / (self.kills + 1)
        return nth < share * self.cases + AT_ONCE

    def may_kill(self, nth: int) -> bool:
        if nth >= self.kills:
            return self.finished < self.cases
        return self.finished >= nth / self.kills * self.cases - AT_ONCE

    async def watched(self, work: Awaitable[None]) -> None:
        """Ends a run in which nobody is answered any more."""
        doing = asyncio.ensure_future(work)
        answers, since, told_at = (-1, -1), time.monotonic(), time.monotonic()
        try:
            while not doing.done():
                await asyncio.wait({doing}, timeout=1)
                now = time.monotonic()
                come = (self.diary.answers + self.hr.diary.messages, self.finished)
                if come != answers:
                    answers, since = come, now
                if now - told_at > 15:
                    told_at = now
                    self.progress()
                if now - since > NOTHING_ANSWERED_SECONDS:
                    waiting = "; ".join(self.diary.waiting()[:SHOWN])
                    raise HungError(f"nobody was answered for {NOTHING_ANSWERED_SECONDS:.0f} s; waiting: {waiting}")
            doing.result()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.staff.sent_home = True
            doing.cancel()
            await asyncio.wait({doing}, timeout=SENT_HOME_WITHIN_SECONDS)

    def progress(self) -> None:
        print(
            f"  {time.monotonic() - self.started:4.0f} s: {self.finished} cases ended, {self.diary.answers} answers, "
            f"{len(self.killer.done)} kills, {len(self.running.lost_commit_answers())} COMMIT answers lost, "
            f"{self.hr.diary.messages} messages of HR",
            flush=True,
        )

    # -- the end

    def told(self, verdict: Verdict, of_hr: hr_verdict.HrVerdict, hung: str) -> int:
        result = self.result(verdict, of_hr, hung)
        (OUT / "chaos.json").write_text(json.dumps(result, indent=2) + "\n")
        wrong = [*self.what_is_wrong(verdict, hung), *(f"HR: {each}" for each in of_hr.wrong[:SHOWN])]
        self.show(result, verdict)
        for line in wrong:
            print(f"WRONG: {line}")
        print("chaos: failed" if wrong else "chaos: passed", flush=True)
        return 1 if wrong else 0

    def result(self, verdict: Verdict, of_hr: hr_verdict.HrVerdict, hung: str) -> dict[str, Any]:
        kills = self.killer.done
        orphaned = [kill for kill in kills if kill.backends_orphaned]
        return {
            "cases": self.finished,
            "faults": {
                **self.killer.faults(),
                "lost_commit_answers": len(self.running.lost_commit_answers()),
                "clients_cancelled": self.staff.cancelled,
                "client_processes_killed": self.staff.processes_killed,
                "workflows_terminated": self.staff.terminated,
                **self.hr.faults,
            },
            "kills": len(kills),
            "kills_with_commands_in_flight": self.killer.in_flight(),
            "in_flight_at_each_kill": [[kill.target, kill.in_flight] for kill in kills],
            "orphaned_postgres_processes_waited_for": sum(kill.backends_orphaned for kill in orphaned),
            "orphans_gone_after_seconds": round(max((kill.orphans_gone_after for kill in orphaned), default=0.0), 2),
            "commands_sent": len(self.diary.entries),
            "commands_repeated": sum(entry.sent_times > 1 for entry in self.diary.entries),
            "commands_answered": self.diary.answers,
            "signals": self.staff.signals,
            "steps": verdict.steps,
            "events": verdict.events,
            "ends": dict(verdict.ends),
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "out_of_order": len(verdict.out_of_order),
            "disagreeing": len(verdict.disagreeing),
            "unlike_expected": len(self.diary.unlike_expected) + len(self.failed),
            "answers_that_were_none": dict(self.diary.surprises),
            "hr_messages": self.hr.diary.messages,
            "hr_messages_set_aside": self.hr.diary.set_aside,
            **of_hr.result(),
            "hr_wrong": len(of_hr.wrong),
            "hung": hung,
            "seed": self.seed,
            "seconds": round(time.monotonic() - self.started, 1),
        }

    def what_is_wrong(self, verdict: Verdict, hung: str) -> list[str]:
        kills, in_flight = len(self.killer.done), self.killer.in_flight()
        commits = len(self.running.lost_commit_answers())
        found = [hung] if hung else []
        for name in ("lost", "doubled", "out_of_order", "disagreeing"):
            found += [f"{name}: {each}" for each in getattr(verdict, name)[:SHOWN]]
        found += [f"unlike expected: {each}" for each in (self.failed + self.diary.unlike_expected)[:SHOWN]]
        if self.finished < self.cases:
            found.append(f"{self.finished} of {self.cases} cases came to their end")
        if kills < self.kills:
            found.append(f"{kills} kills of {self.kills}")
        if in_flight < self.least_in_flight:
            found.append(f"{in_flight} kills with commands in flight, at least {self.least_in_flight} were to be")
        if commits < self.least_commits:
            found.append(f"{commits} COMMIT answers lost, at least {self.least_commits} were to be")
        return found

    def show(self, result: dict[str, Any], verdict: Verdict) -> None:
        scaled_down = self.kills < FULL_RUN_KILLS or self.cases < FULL_RUN_CASES
        print(
            f"\nasked for: {self.cases} cases, {self.kills} kills, {self.least_in_flight} of them with commands in "
            f"flight, {self.least_commits} lost COMMIT answers" + (" (scaled down)" if scaled_down else "")
        )
        for name, value in result.items():
            print(f"  {name.replace('_', ' '):32} {value}")


if __name__ == "__main__":
    sys.exit(main())
