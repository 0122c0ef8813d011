"""Everything that is Temporal, once: record, ask, remind, escalate, expire, drain, continue as new.

The ledger decides and records; the workflow sends it what arrives, one thing at a time, folds the facts that come back
and sleeps until the next moment that the ledger has recorded as due. What it forgets, the ledger knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.facts import Page
    from domain.waiting import Wait
    from workflows.messages import CATCH_UP, LET_TIME_PASS, RECORD, Ask, Carried, Ended, Told

PREFIX = "Imprimatur"
PROCESS = SearchAttributeKey.for_keyword("ImprimaturProcess")
SEARCH_ATTRIBUTES = {
    name: SearchAttributeKey.for_keyword(PREFIX + name)
    for name in ("Process", "Stage", "Branch", "Account", "WaitingFor")
}

# The recorder itself asks ten times with a second for a connection each; an attempt must outlive that, or a second
# one would start beside it.
ONE_ATTEMPT = timedelta(seconds=20)
# Retried here it would hold the workflow task; in a long outage the waiting is the server's.
ONCE = RetryPolicy(maximum_attempts=1)
FOR_AS_LONG_AS_IT_TAKES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))

MESSAGES_AT_ONCE = 100
# well below the size that Temporal refuses for an activity's input, with one largest message on top
BATCH_BYTES = 500_000
# Temporal refuses a run's 10,001st signal; a new run starts the count anew long before.
SIGNALS_OF_ONE_RUN = 2_000
LARGEST_MESSAGE_BYTES = 256_000
# The ledger's clock may be a little behind the server's: a moment that was too early is asked for again after this.
ASK_TIME_AGAIN = timedelta(seconds=1)


class Case:
    """A case of one process. A process's workflow gives its page and its `run`, which reads as the procedure."""

    page: ClassVar[Page]

    def __init__(self, start: RawValue) -> None:
        self.case = workflow.info().workflow_id
        self.state: Any = self.page.initial(self.case)
        self._start = as_dict(start)
        self._begun = False
        self._opening: dict[str, Any] | None = None
        self._answer_to_opening: dict[str, Any] | None = None
        self._messages: deque[tuple[dict[str, Any], int]] = deque()
        self._malformed = 0
        self._signals = 0
        self._nudged = False
        self._shown: dict[str, str] = {}
        # dangerous without the lock: recording awaits, and the next command would be judged on a stale state
        self._one_at_a_time = asyncio.Lock()

    # -- the vocabulary of a procedure

    async def begin(self) -> bool:
        """The opening command recorded, or the case taken up where another run or the ledger left it."""
        if workflow.info().continued_run_id and "state" in self._start:
            self.state = self.page.state.model_validate(Carried.model_validate(self._start).state)
        elif self._start.get("resume") is True:
            await self._told(CATCH_UP, Ask(case=self.case, after=0))
        else:
            self._opening = self._start
            async with self._one_at_a_time:
                (self._answer_to_opening,) = await self._record([self._opening])
        self._begun = True
        return self.state.position > 0

    async def ask(self, to: str) -> None:
        """Wait for people, in business time, until the stage is another: reminding, escalating, expiring on the way."""
        stage = self.state.stage
        workflow.set_current_details(f"{stage}: waiting for {self._whom()} to {to}")
        while self.state.stage == stage:
            await self._next_thing()

    async def close(self) -> Ended:
        """Nothing that was sent is left unanswered."""
        await self._answer_everyone()
        answer = self._answer_to_opening or {}
        return Ended(
            case=self.case,
            stage=str(self.state.stage),
            position=self.state.position,
            refused=answer.get("refused"),
            malformed=answer.get("malformed"),
        )

    def _whom(self) -> str:
        wait: Wait | None = self.state.waiting
        return f"{wait.role.value} ({', '.join(wait.persons) or 'vacant'})" if wait else "nobody"

    # -- what arrives

    @workflow.update(name="submit")
    async def submit(self, payload: RawValue) -> dict[str, Any]:
        """A command with its credential; the answer when it is recorded or refused."""
        submission = as_dict(payload)
        await workflow.wait_condition(lambda: self._begun)
        if submission and submission == self._opening and self._answer_to_opening is not None:
            return self._answer_to_opening
        async with self._one_at_a_time:
            (answer,) = await self._record([submission])
        return answer

    @workflow.signal(name="submit")
    def submit_by_signal(self, payload: RawValue) -> None:
        """The same message from a system that waits for no answer."""
        self._signals += 1
        if submission := as_dict(payload):
            self._messages.append((submission, len(payload.payload.data)))
        else:
            self._malformed += 1

    @workflow.signal(name="nudge")
    def nudge(self) -> None:
        """The ledger is ahead: read on. Says nothing itself, so anyone may send it."""
        self._signals += 1
        self._nudged = True

    @workflow.query(name="stage")
    def stage(self) -> str:
        return str(self.state.stage)

    @workflow.query(name="position")
    def position(self) -> int:
        """The last stream position folded: how far behind the ledger this run is."""
        return int(self.state.position)

    # -- what happens next

    async def _next_thing(self) -> None:
        if self._this_run_is_long():
            await self._go_on_in_a_new_run()
        position, due = self.state.position, self._next_due()
        try:
            await workflow.wait_condition(
                lambda: bool(self._messages) or self._nudged or self.state.position != position or self._this_run_is_long(),
                timeout=max(due - workflow.now(), timedelta(0)) if due else None,
            )
        except asyncio.TimeoutError:
            await self._let_time_pass(due)
            return
        await self._record_messages()
        if self._nudged:
            self._nudged = False
            async with self._one_at_a_time:
                await self._told(CATCH_UP, Ask(case=self.case, after=self.state.position))

    def _next_due(self) -> datetime | None:
        wait: Wait | None = self.state.waiting
        return wait.next_due() if wait else None

    async def _let_time_pass(self, due: datetime | None) -> None:
        async with self._one_at_a_time:
            if due != self._next_due():
                return  # a decision was first: the moment is no longer waited for
            before = self.state.position
            await self._told(LET_TIME_PASS, Ask(case=self.case, after=before))
            too_early = before == self.state.position
        if too_early:
            await workflow.sleep(ASK_TIME_AGAIN)

    async def _answer_everyone(self) -> None:
        while self._messages or self._malformed or not workflow.all_handlers_finished():
            await self._record_messages()
            await workflow.wait_condition(lambda: bool(self._messages) or workflow.all_handlers_finished())

    async def _record_messages(self) -> None:
        while self._messages or self._malformed:
            async with self._one_at_a_time:
                malformed, self._malformed = self._malformed, 0
                await self._record(self._next_batch(), malformed)

    def _next_batch(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        size = 0
        while self._messages and len(batch) < MESSAGES_AT_ONCE and size < BATCH_BYTES:
            submission, its_size = self._messages.popleft()
            batch.append(submission)
            size += its_size
        return batch

    async def _record(self, submissions: list[dict[str, Any]], malformed: int = 0) -> list[dict[str, Any]]:
        ask = Ask(case=self.case, after=self.state.position, submissions=submissions, malformed=malformed)
        return (await self._told(RECORD, ask)).answers

    async def _told(self, activity: str, ask: Ask) -> Told:
        told = await self._of_the_ledger(activity, ask)
        for each in told.facts:
            if each.position == self.state.position + 1:
                self.state = self.page.fold_one(self.state, each.opened(), each.position, each.policy)
        self._show()
        return told

    async def _of_the_ledger(self, activity: str, ask: Ask) -> Told:
        try:
            return await workflow.execute_local_activity(
                activity, ask, result_type=Told, start_to_close_timeout=ONE_ATTEMPT, retry_policy=ONCE
            )
        except ActivityError:
            return await workflow.execute_activity(
                activity, ask, result_type=Told, start_to_close_timeout=ONE_ATTEMPT, retry_policy=FOR_AS_LONG_AS_IT_TAKES
            )

    # -- runs and what is seen of them

    def _this_run_is_long(self) -> bool:
        return self._signals >= SIGNALS_OF_ONE_RUN or workflow.info().is_continue_as_new_suggested()

    async def _go_on_in_a_new_run(self) -> None:
        """Nothing waits and nobody is being answered at the moment of leaving: a message that comes in between makes
        Temporal ask this run again."""
        await self._answer_everyone()
        workflow.continue_as_new(Carried(state=self.state.model_dump(mode="json")))

    def _show(self) -> None:
        """Search attributes, where they changed. Nothing personal stands in them."""
        seen = {"Process": self.page.name, "Stage": str(self.state.stage), **self.state.search()}
        if changed := {name: value for name, value in seen.items() if self._shown.get(name) != value}:
            workflow.upsert_search_attributes(
                [SEARCH_ATTRIBUTES[name].value_set(value) for name, value in changed.items()]
            )
            self._shown = seen


def as_dict(payload: RawValue) -> dict[str, Any]:
    """The message's JSON object, or an empty one where there is none: whoever sent it, it is looked at by the ledger."""
    if len(payload.payload.data) > LARGEST_MESSAGE_BYTES:
        return {}
    try:
        value = workflow.payload_converter().from_payload(payload.payload, dict)
    except Exception:
        # anything at all may have been sent, in any encoding: it is counted as malformed and nothing else
        return {}
    return value if isinstance(value, dict) else {}
