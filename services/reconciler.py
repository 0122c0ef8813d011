"""Keeps Temporal in step with the ledger: a case whose workflow is behind is nudged, one whose workflow is gone is
started again from the ledger, and a case that waits is asked to reckon anew when calendar, staff or delegations change.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid5

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.pages import CASE_PROCESSES
from domain.waiting import Reconsider
from services.ledger import EVENT_IDS, SYSTEM, Ledger
from workflows.catalogue import TYPE_NAMES

PASS_EVERY_SECONDS = 1.0
LOOK_AT_ALL_EVERY_PASSES = 30
# A workflow that has just been told needs a moment to fold it; a look before that would nudge it for nothing.
GRACE = timedelta(seconds=3)
QUERY_TIMEOUT = timedelta(seconds=5)
AT_ONCE = 10
PAGE = 1_000

log = logging.getLogger("imprimatur.reconciler")


class Reconciler:
    def __init__(self, client: Client, ledger: Ledger, task_queue: str) -> None:
        self._client, self._ledger, self._task_queue = client, ledger, task_queue
        self._read_up_to = 0
        self._reconsidered_up_to: int | None = None
        self._open: dict[str, int] = {}
        self._to_look_at: dict[str, float] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until told to stop. An outage of either server delays it and nothing else."""
        passes = 0
        while not stop.is_set():
            try:
                await self.one_pass(everything=passes % LOOK_AT_ALL_EVERY_PASSES == 0)
                passes += 1
            except Exception as error:
                # whatever it is, the next pass starts from the ledger again; dying would leave cases behind
                log.warning("a pass was cut short: %s", type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), PASS_EVERY_SECONDS)
            except TimeoutError:
                continue

    async def one_pass(self, everything: bool = False) -> None:
        await asyncio.to_thread(self._read_the_log)
        await asyncio.to_thread(self._reconsider)
        await asyncio.to_thread(self._ledger.close_tallies)
        now = time.monotonic()
        ripe = [case for case, since in self._to_look_at.items() if everything or now - since > GRACE.total_seconds()]
        for case in ripe:
            self._to_look_at.pop(case, None)
        await self._look_at(self._open if everything else ripe)

    def _read_the_log(self) -> None:
        """Which cases have new facts, and which are still open."""
        while rows := self._ledger.recorder.between(self._read_up_to + 1, self._read_up_to + PAGE):
            for row in rows:
                if row.stream.partition("-")[0] in CASE_PROCESSES and "!" not in row.stream:
                    self._open[row.stream] = row.version
                    self._to_look_at.setdefault(row.stream, time.monotonic())
            self._read_up_to = rows[-1].log_position

    def _reconsider(self) -> None:
        """What changed in the library is put before every open case once: its own decision says what follows."""
        position = self._ledger.library_position()
        if position == self._reconsidered_up_to:
            return
        for case in list(self._open):
            id_ = str(uuid5(EVENT_IDS, f"{case}/reconsider/{position}"))
            if self._is_open(case):
                self._ledger.submit_own(Reconsider(), case, SYSTEM, id_)
        self._reconsidered_up_to = position

    def _is_open(self, case: str) -> bool:
        state, _ = self._ledger.read_on(case)
        return state.position > 0 and not getattr(state, "closed", lambda: True)()

    async def _look_at(self, cases: Iterable[str]) -> None:
        await asyncio.gather(*(self._look_at_one(case) for case in list(cases)))

    async def _look_at_one(self, case: str) -> None:
        async with self._places:
            try:
                is_open = await asyncio.to_thread(self._is_open, case)
                await self.in_step(case, is_open)
                if not is_open:
                    self._open.pop(case, None)
            except (RPCError, WorkflowQueryFailedError):
                # it is looked at again: now, if it has news, and with all others later
                self._to_look_at.setdefault(case, time.monotonic())

    async def in_step(self, case: str, is_open: bool) -> None:
        handle = self._client.get_workflow_handle(case)
        try:
            running = (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            running = False
        if not running:
            if is_open:
                await self.bring_back(case)
            return
        told: int = await handle.query("position", result_type=int, rpc_timeout=QUERY_TIMEOUT)
        state, _ = await asyncio.to_thread(self._ledger.read_on, case)
        if told < state.position:
            await handle.signal("nudge")

    async def bring_back(self, case: str) -> None:
        """A new run for a case whose last one is gone: it takes everything from the ledger."""
        log.warning("%s has no running workflow: started again from the ledger", case)
        try:
            await self._client.start_workflow(
                TYPE_NAMES[case.partition("-")[0]],
                {"resume": True},
                id=case,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return
