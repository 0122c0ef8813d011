"""Keeps Temporal in step with the ledger: a case whose workflow is behind is nudged, one whose workflow is gone is
started again from the ledger, and a case that waits is asked to reckon anew when calendar, staff, delegations or the
day have changed. One that is asleep is left to its own workflow's timer until something is recorded elsewhere.

Any number of these may run beside each other: each step is a command with an id of its own, or says nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import uuid5

from eventsourcing.persistence import PersistenceError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.facts import Recorded, State, stem_of
from domain.pages import PAGES, is_of_a_case
from domain.waiting import Reconsider
from services.healing import Healer
from services.ledger import EVENT_IDS, SYSTEM, Ledger
from services.recorder import Row
from workflows.catalogue import TYPE_NAMES
from workflows.messages import NUDGE

PASS_EVERY_SECONDS = 1.0
COMPARE_ALL_EVERY_PASSES = 30
# Planned departures, delegations and policy versions begin and end by the clock alone, without an event.
RECKON_ANEW_EVERY_MINUTES = 5
ANSWER_WITHIN = timedelta(seconds=5)
AT_ONCE = 10
PAGE = 1_000

log = logging.getLogger("imprimatur.reconciler")


class Reconciler:
    def __init__(self, client: Client, ledger: Ledger, task_queue: str) -> None:
        self._client, self._ledger, self._task_queue = client, ledger, task_queue
        self._read_up_to: int | None = None
        # each open case, and the run of its workflow that knows what the ledger knows ("" where none is known to)
        self._open: dict[str, str] = {}
        self._perhaps_behind: set[str] = set()
        # ended, and their workflow was still running when all were compared
        self._ending: set[str] = set()
        self._to_reconsider: set[str] = set()
        # open, and nothing that the clock brings from outside changes them
        self._asleep: set[str] = set()
        self._reckoned_as_of: tuple[int, datetime] | None = None
        self._places = asyncio.Semaphore(AT_ONCE)
        self._healer = Healer(client)

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until told to stop. An outage of either server delays it and nothing else."""
        passes = 0
        while not stop.is_set():
            try:
                await self.one_pass(everything=passes % COMPARE_ALL_EVERY_PASSES == 0)
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
        await asyncio.to_thread(self._reckon_anew)
        if everything:
            self._perhaps_behind |= set(await self._healer.heal())
            await self._compare_all()
        looked_at, self._perhaps_behind = self._perhaps_behind, set()
        await asyncio.gather(*(self._look_at(case) for case in looked_at))

    # -- what the ledger says

    def _read_the_log(self) -> None:
        if self._read_up_to is None:
            self._read_up_to = self._ledger.recorder.max_notification_id() or 0
            for row in self._ledger.recorder.heads():
                self._learn(row)
            self._perhaps_behind |= self._open.keys()
        while rows := self._ledger.recorder.between(self._read_up_to + 1, self._read_up_to + PAGE):
            for row in rows:
                self._learn(row)
            self._read_up_to = rows[-1].log_position

    def _learn(self, row: Row) -> None:
        """A run knows what it recorded itself. What came by another door, or from a run before, it may not know."""
        if not is_of_a_case(row.stream):
            return
        recorded = self._ledger.recorded(row)
        self._asleep.discard(row.stream)
        by = recorded.envelope.run
        knows = self._open.setdefault(row.stream, by)
        if not by or by != knows:
            self._perhaps_behind.add(row.stream)
        if self._is_the_end(recorded):
            self._open.pop(row.stream)

    def _is_the_end(self, last: Recorded) -> bool:
        if isinstance(last.fact, PAGES[stem_of(last.envelope.case)].perhaps_ends_with):
            return not self._ledger.state(last.envelope.case).is_open()
        return is_the_end(last)

    def _reckon_anew(self) -> None:
        """What changed in the library, or with the hour, is put before every open case: its own decision says what
        follows. Attempts that were only counted become events when their hour is over."""
        now = self._ledger.clock.now()
        minute = now.minute // RECKON_ANEW_EVERY_MINUTES * RECKON_ANEW_EVERY_MINUTES
        as_of = (self._ledger.library_position(), now.replace(minute=minute, second=0, microsecond=0))
        if as_of != self._reckoned_as_of:
            self._ledger.close_tallies()
            known = self._reckoned_as_of
            by_the_clock_alone = known is not None and known[0] == as_of[0]
            self._to_reconsider |= self._open.keys() - (self._asleep if by_the_clock_alone else set())
            self._reckoned_as_of = as_of
        for case in sorted(self._to_reconsider):
            try:
                self._reconsider(case)
            except PersistenceError:
                raise
            except Exception as error:
                # it must not keep the others waiting; the next time to reckon anew is its next chance
                log.warning("%s could not be reconsidered: %s", case, type(error).__name__)
            self._to_reconsider.discard(case)

    def _reconsider(self, case: str) -> None:
        state = self._ledger.state(case)
        if state.is_open():
            id_ = str(uuid5(EVENT_IDS, f"{case}/reconsider/{state.position}"))
            if self._ledger.submit_own(Reconsider(), case, SYSTEM, id_).facts:
                self._perhaps_behind.add(case)
            elif getattr(state, "asleep", lambda: False)():
                self._asleep.add(case)

    # -- what Temporal says

    async def _compare_all(self) -> None:
        """Cases whose workflow is gone or is another run than the one that knew; workflows whose case has ended."""
        running: dict[str, str] = {}
        types = ", ".join(f"'{name}'" for name in TYPE_NAMES.values())
        try:
            async for each in self._client.list_workflows(f"WorkflowType in ({types}) and ExecutionStatus = 'Running'"):
                running[each.id] = each.run_id
        except RPCError as error:
            # a server that cannot list is asked about each case
            log.info("no list of workflows: %s", error.status.name)
        unlike = {case for case, run in self._open.items() if running.get(case) != run}
        ended = {case for case in running if is_of_a_case(case) and case not in self._open}
        # one that is just about to end is left alone: a nudge at that moment would take its end back
        self._perhaps_behind |= unlike | (ended & self._ending)
        self._ending = ended

    async def _look_at(self, case: str) -> None:
        async with self._places:
            try:
                state = await asyncio.to_thread(self._ledger.state, case)
                run = await self.in_step(case, state)
            except RPCError:
                run = ""  # it is looked at again with all others
            if case in self._open:
                self._open[case] = run

    async def in_step(self, case: str, state: State) -> str:
        """The run that knows, or soon will, what the ledger knows of this case; empty where there is none."""
        handle = self._client.get_workflow_handle(case)
        try:
            found = await handle.describe(rpc_timeout=ANSWER_WITHIN)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return await self.bring_back(case) if state.is_open() else ""
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return await self.bring_back(case) if state.is_open() else ""
        # Told to read on without being asked first: a query that meets an update in one workflow task can make the
        # SDK write a history that no worker can replay.
        await handle.signal(NUDGE, rpc_timeout=ANSWER_WITHIN)
        return found.run_id or ""

    async def bring_back(self, case: str) -> str:
        """A new run for a case whose last one is gone: it takes everything from the ledger."""
        log.warning("%s has no running workflow: started again from the ledger", case)
        try:
            started = await self._client.start_workflow(
                TYPE_NAMES[stem_of(case)],
                {"resume": True},
                id=case,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return ""
        return started.first_execution_run_id or ""


def is_the_end(last: Recorded) -> bool:
    """Whether the case ended with this fact: the state of an ended case follows from its last fact alone."""
    case = last.envelope.case
    page = PAGES[stem_of(case)]
    return not page.fold(page.initial(case), [last]).is_open()
