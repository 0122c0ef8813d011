"""The worker: runs the workflows and, for them, the ledger's activities; beside it the reconciler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from services.activities import LedgerActivities
from services.awaited import AwaitedLedger
from services.clock import SystemClock
from services.door import door_key, key_encryption_key
from services.erasing import ErasureActivities, IndexSweeper
from services.key_store import KeyStore
from services.ledger import Ledger
from services.patrons import PatronIndex
from services.reconciler import Reconciler
from services.settings import Settings
from services.staff import StaffActivities, look_for_orphans_nightly
from services.staff_follower import StaffFollower
from workflows.catalogue import WORKFLOWS
from workflows.staff_orphans import StaffOrphans

THREADS = 16
TRY_AGAIN_SECONDS = 1.0
# What a command came to is told even while the worker is asked to end; half of what it has until it is killed.
WHAT_WAS_BEGUN_ENDS_WITHIN = timedelta(seconds=5)
# read once by the process instead of once for each workflow: none of them keeps anything between runs
SHARED_MODULES = ("domain", "pydantic", "pydantic_core", "holidays", "workflows.messages")


def sandbox() -> SandboxedWorkflowRunner:
    """Where the tests and `audit replay` run the procedures: reads their pages anew for each case, and stops a clock or
    dice on one of them."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*SHARED_MODULES))


@asynccontextmanager
async def worker_of(
    client: Client,
    ledger: Ledger,
    task_queue: str,
    threads: int = THREADS,
    runner: WorkflowRunner | None = None,
    erasing: ErasureActivities | None = None,
) -> AsyncIterator[Worker]:
    """Without `erasing` it reaches no keys: an erasure then waits for a worker that does. Without `runner` the
    procedures run outside the sandbox, see docs/decisions/0015."""
    executor = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
    async with AwaitedLedger(ledger, executor) as awaited:
        worker = Worker(
            client,
            task_queue=task_queue,
            workflows=[*WORKFLOWS.values(), StaffOrphans],
            activities=[
                *LedgerActivities(awaited).all(),
                *StaffActivities(ledger).all(),
                *(erasing.all() if erasing else []),
            ],
            activity_executor=executor,
            workflow_runner=runner or UnsandboxedWorkflowRunner(),
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            max_concurrent_local_activities=threads,
            graceful_shutdown_timeout=WHAT_WAS_BEGUN_ENDS_WITHIN,
        )
        async with worker:
            yield worker


async def connected(settings: Settings) -> Client:
    return await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=pydantic_data_converter
    )


async def until_it_answers(connect: Callable[[], Awaitable[Client]]) -> Client:
    while True:
        try:
            return await connect()
        except (RPCError, RuntimeError, OSError):
            await asyncio.sleep(TRY_AGAIN_SECONDS)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    client = await until_it_answers(lambda: connected(settings))
    ledger = Ledger(settings.recorder_url, SystemClock(), door_key(settings).verifier(), pool_size=THREADS)
    reconciler = Reconciler(client, ledger, settings.task_queue)
    erasing = ErasureActivities(ledger, settings.keeper_url, key_encryption_key(settings))
    keys = KeyStore(settings.keeper_url, key_encryption_key(settings))
    try:
        await asyncio.to_thread(erasing.finish_what_was_begun)
        async with worker_of(client, ledger, settings.task_queue, erasing=erasing):
            await look_for_orphans_nightly(client, settings.task_queue)
            follower = StaffFollower(client, ledger, settings.task_queue)
            sweeper = IndexSweeper(ledger, PatronIndex(keys))
            await asyncio.gather(reconciler.run(stop), follower.run(stop), sweeper.run(stop))
    finally:
        keys.close()
        ledger.close()
