"""How many whole approval cases a second, and how long an approver waits for the recorded answer to a decision?

One case here is: a request (workflow started with an update, recorded, answered), one wait for the Executive Director,
and one decision with a reason (an update, recorded, answered) that ends the case. Two recordings, one wait. On our side
that is the whole way through the desk: looked at, sealed, signed, proven, decided by the policy, recorded in PostgreSQL
with fsync, folded, search attributes set, and the reconciler running beside. On the other it is a bare workflow on the
same server, in the same worker process, with two local activities that do nothing, and a client that sends messages of
the same size. It runs as the SDK runs a workflow, in its sandbox; ours run outside it (docs/decisions/0015), so the
throughput of a bare one outside it is shown too.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from domain.facts import Channel
from services.bootstrap import first_start
from services.database import migrate
from services.desk import Caller, Desk
from services.embedded import fresh_folder
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.embedded_process import Child
from services.embedded_temporal import EmbeddedTemporal
from services.settings import PREFIX, Runtime, Settings
from services.worker import THREADS, connected, run_worker
from tests.bench.bare_approval import BareApproval, nothing
from tests.system import POLICY, STAFF

QUEUE, OUTSIDE = "bare-approval", "bare-approval-outside-the-sandbox"
BARE = "bare workflow, the same waits, two no-op local activities"
THROUGHPUT_GOAL, LATENCY_GOAL = 0.8, 1.4
# many short ones: the speed of a shared machine changes within seconds, and both sides are to meet the same
ROUNDS = 7
AT_ONCE, CASES_AT_ONCE = 16, 64
FEW_AT_ONCE, CASES_OF_FEW = 8, 32
CASES_ONE_BY_ONE = 12
WARM_UP = 40
BRANCHES = ("kosciusko", "durant", "goodman", "lexington", "carthage", "kilmichael", "winona", "louisville")
REASON = "The branch has a page on this platform already; put it in order first."


@dataclass
class Took:
    seconds: float
    decisions: list[float]


class Ours:
    """Through the desk, as every door goes."""

    def __init__(self, settings: Settings) -> None:
        self._desk = Desk(settings)

    async def one_case(self) -> float:
        branch = random.choice(BRANCHES)
        manager = f"p-bm-{branch}"
        requested = await self._desk.request("account_creation", wanted(branch, manager), at_the_desk(manager))
        before = time.perf_counter()
        answer = await self._desk.act(requested["case"], "RefuseAccount", {"reason": REASON}, at_the_desk("p-ed"))
        took = time.perf_counter() - before
        if not answer.get("recorded"):
            raise AssertionError(f"the decision was not recorded: {answer}")
        return took

    async def example(self) -> dict[str, Any]:
        """A signed message, for the other side to send one of the same size."""
        case = f"account_creation-{uuid4()}"
        return await self._desk.sign(
            case, "RequestAccount", wanted("durant", "p-bm-durant"), at_the_desk("p-bm-durant")
        )

    def close(self) -> None:
        self._desk.close()


class Bare:
    def __init__(self, client: Client, message: dict[str, Any], queue: str) -> None:
        self._client, self._message, self._queue = client, message, queue

    async def one_case(self) -> float:
        request = self._message | {"kind": "request", "id": str(uuid4())}
        case = f"bare-{uuid4()}"
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            BareApproval.run, request, id=case, task_queue=self._queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )  # fmt: skip
        await self._client.execute_update_with_start_workflow(
            "submit", request, start_workflow_operation=start, id=request["id"]
        )
        decision = self._message | {"kind": "decision", "id": str(uuid4())}
        before = time.perf_counter()
        await self._client.get_workflow_handle(case).execute_update("submit", decision, id=decision["id"])
        return time.perf_counter() - before


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    with fresh_folder() as data:
        return asyncio.run(measured(data, rounds))


async def measured(data: Path, rounds: int) -> list[dict[str, Any]]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with servers(data) as settings:
        client, ours = await connected(settings), Ours(settings)
        try:
            message = await ours.example()
            sides = {
                "ours": ours.one_case,
                "baseline": Bare(client, message, QUEUE).one_case,
                "outside": Bare(client, message, OUTSIDE).one_case,
            }
            for one_case in sides.values():
                await run(one_case, WARM_UP, AT_ONCE)
            found: dict[str, dict[str, list[Took]]] = {"many": {}, "few": {}, "one": {}}
            for nth in range(rounds):
                for how, cases, at_once in (
                    ("one", CASES_ONE_BY_ONE, 1), ("few", CASES_OF_FEW, FEW_AT_ONCE), ("many", CASES_AT_ONCE, AT_ONCE)
                ):  # fmt: skip
                    compared = ("ours", "baseline", "outside") if how == "many" else ("ours", "baseline")
                    for side in compared if nth % 2 else compared[::-1]:
                        found[how].setdefault(side, []).append(await run(sides[side], cases, at_once))
        finally:
            ours.close()
    return [
        throughput(found["many"], "baseline", BARE, THROUGHPUT_GOAL),
        throughput(found["many"], "outside", "the same bare workflow outside the sandbox", None),
        latency("an approver's update to its recorded answer", found["one"]),
        latency(f"the same, {FEW_AT_ONCE} at once", found["few"]),
    ]


async def run(one_case: Callable[[], Awaitable[float]], cases: int, at_once: int) -> Took:
    decisions: list[float] = []
    left = iter(range(cases))

    async def clerk() -> None:
        for _ in left:
            decisions.append(await one_case())

    before = time.perf_counter()
    await asyncio.gather(*(clerk() for _ in range(at_once)))
    return Took(time.perf_counter() - before, decisions)


def throughput(found: dict[str, list[Took]], other: str, name: str, goal: float | None) -> dict[str, Any]:
    rates = {
        side: [len(each.decisions) / each.seconds for each in found[key]]
        for side, key in (("ours", "ours"), ("baseline", other))
    }
    ours, baseline = statistics.median(rates["ours"]), statistics.median(rates["baseline"])
    return {
        "name": f"approval cases, {AT_ONCE} at once",
        "ours": round(ours, 1),
        "baseline_name": name,
        "baseline": round(baseline, 1),
        "unit": "cases/s",
        "ratio": round(ours / baseline, 2),
        "goal": f">= {goal}" if goal else None,
        "holds": goal is None or ours / baseline >= goal,
        "rounds": ratios(rates),
    }


def latency(name: str, found: dict[str, list[Took]]) -> dict[str, Any]:
    times = {side: [statistics.median(each.decisions) * 1000 for each in taken] for side, taken in found.items()}
    ours, baseline = statistics.median(times["ours"]), statistics.median(times["baseline"])
    return {
        "name": name,
        "ours": round(ours, 1),
        "baseline_name": "the same update on the bare workflow",
        "baseline": round(baseline, 1),
        "unit": "ms",
        "ratio": round(ours / baseline, 2),
        "goal": f"<= {LATENCY_GOAL}",
        "holds": ours / baseline <= LATENCY_GOAL,
        "rounds": ratios(times),
    }


def ratios(found: dict[str, list[float]]) -> list[float]:
    return [round(ours / baseline, 2) for ours, baseline in zip(found["ours"], found["baseline"], strict=True)]


def wanted(branch: str, manager: str) -> dict[str, Any]:
    return {
        "platform": "facebook",
        "handle": f"Library.{uuid4().hex[:20]}",
        "place": branch,
        "purpose": "Tell families about story times and opening hours.",
        "audience": "Families, schools and readers.",
        "administrators": ["p-mac", manager],
        "posters": [manager],
    }


def at_the_desk(person: str) -> Caller:
    return Caller(person, "a simulated sign-in", Channel.API)


@asynccontextmanager
async def servers(data: Path) -> AsyncIterator[Settings]:
    """PostgreSQL, Temporal and one worker process that serves both sides; no projector, which the other side lacks."""
    with EmbeddedPostgreSQL(data) as postgresql, EmbeddedTemporal(data) as temporal:
        migrate(postgresql.superuser_dsn, postgresql.passwords)
        addresses = {"database_url": postgresql.url, "temporal_address": temporal.address}
        Runtime(data).write({"settings": addresses})
        settings = Settings.of_data(data)
        await asyncio.to_thread(first_start, settings, POLICY, STAFF)
        worker = Child(
            "worker",
            [sys.executable, "-m", "tests.bench.approval_cases", str(data)],
            log=data / "logs" / "worker.log",
            env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        )
        worker.start()
        try:
            yield settings
        finally:
            worker.stop()


async def worker_process(data: str) -> None:
    settings, stop = Settings.of_data(Path(data)), asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    client = await connected(settings)
    in_the_sandbox = SandboxedWorkflowRunner(
        # its page is read once by the process too, as ours are
        restrictions=SandboxRestrictions.default.with_passthrough_modules(BareApproval.__module__)
    )
    async with bare(client, QUEUE, in_the_sandbox), bare(client, OUTSIDE, UnsandboxedWorkflowRunner()):
        await run_worker(settings, stop)


def bare(client: Client, queue: str, runner: WorkflowRunner) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[BareApproval],
        activities=[nothing],
        activity_executor=ThreadPoolExecutor(THREADS),
        workflow_runner=runner,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_concurrent_local_activities=THREADS,
    )


if __name__ == "__main__":
    asyncio.run(worker_process(sys.argv[1]))
