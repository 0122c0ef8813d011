"""A submission on its way: through Temporal to its case's workflow, or to the ledger itself; answered when it is
recorded or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.facts import Malformed
from domain.pages import CASE_PROCESSES, PAGES
from services.activities import as_answer, as_malformed
from services.credentials import Unproven
from services.ledger import Answer, Ledger, Sender, unproven_refusal
from services.reconciler import Reconciler
from services.recorder import DATABASE_AWAY
from services.settings import Settings
from services.submissions import Submission
from workflows.case import SEARCH_ATTRIBUTES, what_is_seen
from workflows.catalogue import TYPE_NAMES
from workflows.messages import OPENED, SUBMIT

ANSWER_WITHIN = timedelta(seconds=30)
ASK_AGAIN_SECONDS = 0.1


class Unreachable(Exception):
    """A needed service does not answer. The command is safe to repeat with the same id."""

    def __init__(self, service: str, command_id: str = "") -> None:
        repeat = f"; safe to repeat with the id {command_id}" if command_id else ""
        super().__init__(f"{service} cannot be reached: does it run (`imprimatur status`)?{repeat}")


class Sending:
    """What one desk sends, over its client and to its ledger."""

    def __init__(self, settings: Settings, client: Callable[[], Awaitable[Client]], ledger: Ledger) -> None:
        self._settings, self._client, self._ledger = settings, client, ledger

    async def opening(self, submission: Submission, sender: Sender) -> dict[str, Any]:
        """Starts the case. Unreachable with the command's id where a service is away, as for `step`."""
        return await self._reached(self._start(submission, self._foreseen(submission, sender)), submission.id)

    async def step(self, submission: Submission) -> dict[str, Any]:
        sending = self._update if submission.process in CASE_PROCESSES else self._directly
        return await self._reached(sending(submission), submission.id)

    async def _reached(self, sending: Awaitable[dict[str, Any]], id_: str) -> dict[str, Any]:
        try:
            # the client itself would go on asking for as long as no worker answers
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await sending
        except TimeoutError as error:
            raise Unreachable(f"a worker (none answered in {ANSWER_WITHIN.seconds} s)", id_) from error
        except DATABASE_AWAY as error:
            raise Unreachable("PostgreSQL", id_) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise_if_cancelled()
            raise Unreachable(f"a worker (none answered in {ANSWER_WITHIN.seconds} s)", id_) from error
        except RPCError as error:
            raise_if_cancelled()
            raise Unreachable(what_did_not_answer(error, self._settings.temporal_address), id_) from error

    def _foreseen(self, submission: Submission, sender: Sender) -> TypedSearchAttributes:
        """What the case will show once this is recorded: given along at its start it costs nothing, said afterwards it
        is one more step. The workflow puts right what comes otherwise."""
        state = self._ledger.foreseen(submission.command, submission.case, sender)
        seen = what_is_seen(PAGES[submission.process], state) if state else {}
        pairs = [SearchAttributePair(SEARCH_ATTRIBUTES[name], value) for name, value in seen.items()]
        return TypedSearchAttributes(pairs)

    async def _start(self, submission: Submission, seen: TypedSearchAttributes) -> dict[str, Any]:
        client, message = await self._client(), submission.model_dump_json().encode()
        asked = {"sha256": sha256(message).hexdigest()}

        async def ask() -> dict[str, Any]:
            start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
                TYPE_NAMES[submission.process],
                # on record with the start, should no worker be there to answer; once, so the question only names it
                as_sent(message),
                id=submission.case,
                task_queue=self._settings.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=seen,
            )
            answer: dict[str, Any] = await client.execute_update_with_start_workflow(
                OPENED, asked, start_workflow_operation=start, id=update_id(submission), rpc_timeout=ANSWER_WITHIN
            )
            return answer

        try:
            # none where it was begun by another message: with the same command, with another one under its id
            return await once_it_is_ready(ask) or await self._directly(submission)
        except (WorkflowAlreadyStartedError, WorkflowUpdateFailedError):
            # its workflow ran and is over, or ended on this very command: the ledger has the answer
            return await self._directly(submission)

    async def _update(self, submission: Submission) -> dict[str, Any]:
        client = await self._client()
        handle, message = client.get_workflow_handle(submission.case), submission.model_dump_json().encode()

        async def ask() -> dict[str, Any]:
            answer: dict[str, Any] = await handle.execute_update(
                SUBMIT, as_sent(message), id=update_id(submission), rpc_timeout=ANSWER_WITHIN
            )
            return answer

        for brought_back in (False, True):
            try:
                return await once_it_is_ready(ask)
            except WorkflowUpdateFailedError:
                return await self._directly(submission)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            if brought_back or not (await asyncio.to_thread(self._ledger.state, submission.case)).is_open():
                break
            await Reconciler(client, self._ledger, self._settings.task_queue).bring_back(submission.case)
        return await self._directly(submission)

    async def _directly(self, submission: Submission) -> dict[str, Any]:
        """To the ledger itself: what is no case of its own, or a case that is closed or was never opened."""
        return await asyncio.to_thread(self._submit, submission)

    def _submit(self, submission: Submission) -> dict[str, Any]:
        try:
            return as_answer(self._ledger.submit(submission))
        except Malformed as error:
            return as_malformed(error)
        except Unproven as error:
            self._ledger.refuse_unproven(submission.case, submission.kind, str(error))
            return as_answer(Answer(refusal=unproven_refusal(str(error)), unproven=True))


def as_sent(message: bytes) -> RawValue:
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=message))


async def once_it_is_ready(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Asked again, under the same id, while a task of the workflow is being repeated: something that arrived at the
    moment of its end takes the end back, and the server turns away whoever was waiting for the answer."""
    while True:
        try:
            return await ask()
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def raise_if_cancelled() -> None:
    """The client tells a cancellation as a time-out; whoever asked has gone, and it is not the worker's fault."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def update_id(submission: Submission) -> str:
    """Temporal answers an update id it knows with its first answer; so another content must be another update, for the
    ledger to see and refuse."""
    return f"{submission.id}/{submission.content[:16]}"


def what_did_not_answer(error: RPCError, address: str) -> str:
    match error.status:
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return "a worker (none answered)"
        case RPCStatusCode.INVALID_ARGUMENT:
            # such as a namespace that lacks the search attributes: nothing that waiting mends
            return f"Temporal at {address} (it says: {error.message})"
        case _:
            return f"Temporal at {address}"
