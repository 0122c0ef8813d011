"""Each change that HR recorded is followed by one case of its own, begun in the ledger first."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid5

from eventsourcing.persistence import PersistenceError
from psycopg.sql import SQL
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.directory import OfPerson, PersonMoved
from domain.facts import Recorded
from domain.founding import STREAM as FOUNDING
from domain.founding import BeginFollowingStaff, follows_staff_since
from domain.staff_change import PROCESS, change_of
from domain.staff_change_messages import FollowStaffChange
from services.ledger import EVENT_IDS, SYSTEM, Ledger
from services.staff import COLUMNS, rows_of

PASS_EVERY_SECONDS = 1.0
CHANGES = COLUMNS + SQL(
    "e where shared and notification_id > %s and topic like 'directory.Person%%' and not exists "
    "(select from ledger.events f where f.originator_id = %s || '-' || e.event_id and f.originator_version = 1) "
    "order by notification_id limit 1000"
)

log = logging.getLogger("imprimatur.staff")


class StaffFollower:
    """Any number of these may run: the ledger begins each case once."""

    def __init__(self, client: Client, ledger: Ledger, task_queue: str) -> None:
        self._client, self._ledger, self._task_queue = client, ledger, task_queue
        self._read_up_to: int | None = None
        # a change that could not be followed is tried again at each pass, and keeps no other waiting
        self.left_over: dict[str, Recorded] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.one_pass()
            except Exception as error:
                # whatever it is, the next pass begins from the ledger again
                log.warning("a pass was cut short: %s", type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), PASS_EVERY_SECONDS)
            except TimeoutError:
                continue

    async def one_pass(self) -> None:
        if self._read_up_to is None:
            self._read_up_to = await asyncio.to_thread(since_when, self._ledger)
        for each in list(self.left_over.values()):
            await self._follow(each)
        while changes := await asyncio.to_thread(self._changes):
            for each in changes:
                await self._follow(each)
                self._read_up_to = each.log_position

    def _changes(self) -> list[Recorded]:
        return rows_of(self._ledger.recorder, CHANGES, (self._read_up_to, PROCESS))

    async def _follow(self, change: Recorded) -> None:
        event = change.envelope.event_id
        try:
            if case := await asyncio.to_thread(follow, self._ledger, change):
                await self._start(case)
        except (PersistenceError, RPCError):
            raise  # a server is away, and with it everything: the next pass begins here
        except Exception as error:
            if event not in self.left_over:
                log.error("the change %s cannot be followed now: %s", event, type(error).__name__)
            self.left_over[event] = change
        else:
            self.left_over.pop(event, None)

    async def _start(self, case: str) -> None:
        """The workflow takes everything from the ledger; were it lost, the reconciler would bring it back."""
        try:
            await self._client.start_workflow(
                "StaffChange",
                {"resume": True},
                id=case,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return


def since_when(ledger: Ledger) -> int:
    """The log position after which changes are followed: from the first event on, but for a log that is older than the
    following itself. There it begins now; whatever earlier leavers still had, the check for orphans names."""
    _, founding = ledger.read_on(FOUNDING)
    since = follows_staff_since(founding)
    if since is not None:
        return since
    answer = ledger.submit_own(BeginFollowingStaff(), FOUNDING, SYSTEM, str(uuid5(EVENT_IDS, "begin following staff")))
    if answer.refusal:
        raise LookupError(answer.refusal.because)
    return answer.facts[0].log_position


def follow(ledger: Ledger, changed: Recorded) -> str:
    """The case of this change, begun in the ledger; nothing where nothing can follow."""
    fact = changed.fact
    change = change_of(fact) if isinstance(fact, OfPerson) else None
    if change is None or not isinstance(fact, OfPerson):
        return ""
    command = FollowStaffChange(
        person=fact.person.id,
        change=change,
        event=changed.envelope.event_id,
        log_position=changed.log_position,
        from_place=fact.from_branch if isinstance(fact, PersonMoved) else "",
    )
    case = f"{PROCESS}-{changed.envelope.event_id}"
    answer = ledger.submit_own(command, case, SYSTEM, str(uuid5(EVENT_IDS, f"{case}/follow")))
    if answer.refusal:
        # nothing was recorded: it must not be passed over, but tried again
        raise LookupError(f"{case} could not be begun: {answer.refusal.because}")
    return case
