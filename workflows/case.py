"""Everything that is Temporal, once: record, ask, remind, escalate, expire, drain, continue as new.

The ledger decides and records; the workflow sends it what arrives, one thing at a time, folds the facts that come back
and sleeps until the next moment that the ledger has recorded as due. What it forgets, the ledger knows.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic_core import from_json

    from domain.facts import Page
    from domain.waiting import Wait
    from workflows.messages import (
        LET_TIME_PASS,
        NO_CASE,
        NUDGE,
        OPENED,
        POSITION,
        RECORD,
        SUBMIT,
        Ask,
        Carried,
        Ended,
        Told,
    )

SEARCH_ATTRIBUTES = {
    name: SearchAttributeKey.for_keyword("Imprimatur" + name)
    for name in ("Process", "Stage", "Branch", "Account", "WaitingFor")
}

# The recorder asks ten times, each with two seconds for a connection and a rest; an attempt outlives that, or a second
# one would start beside it.
ONE_ATTEMPT = timedelta(seconds=30)
# Retried here it would hold the workflow task; in a long outage the waiting is the server's.
ONCE = RetryPolicy(maximum_attempts=1)
UNTIL_IT_IS_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))

# While very much arrives the server takes workflow tasks away, and what a local activity did in one is done again.
SO_FEW_THAT_A_LOCAL_ONE_WILL_DO = 10
MESSAGES_AT_ONCE = 100
# with one largest message on top and every character escaped, still what Temporal takes as an activity's input
BATCH_CHARACTERS = 250_000
LARGEST_MESSAGE_BYTES = 256_000
# Temporal refuses a run's 2,001st update and its 10,001st signal; a new run starts the counts anew long before.
ARRIVALS_OF_ONE_RUN = 1_500
# The ledger's clock may be a little behind the server's: a moment that was too early is asked for again after this.
ASK_TIME_AGAIN = timedelta(seconds=1)

NOTHING = RawValue(Payload())


class Case:
    """A case of one process. A process's workflow gives its page and its `run`, which reads as the procedure."""

    page: ClassVar[Page]

    def __init__(self, start: RawValue = NOTHING) -> None:
        self.case = case_of(self.page)
        self.state: Any = self.page.initial(self.case)
        self._opening = text_of([start])
        self._answer_to_opening: dict[str, Any] | None = None
        self._begun = False
        self._messages: deque[str] = deque()
        self._malformed = 0
        self._nudged = False
        self._arrivals = 0
        self._shown = shown_at_start()
        # dangerous without the lock: recording awaits, and the next command would be sent with a stale position
        self._one_at_a_time = asyncio.Lock()

    # -- the vocabulary of a procedure

    async def begin(self) -> bool:
        """The opening command recorded, or the case taken up where another run or the ledger left it."""
        start = from_json(self._opening or "{}")
        if "state" in start and follows_a_run_of_ours():
            self.state = self.page.state.model_validate(Carried.model_validate(start).state)
        elif start.get("resume") is True:
            await self._record([])
        else:
            (self._answer_to_opening,) = await self._record([self._opening])
        self._begun = True
        return bool(self.state.position)

    async def ask(self, to: str) -> None:
        """Wait for people, in business time, until the stage is another: reminding, escalating, expiring on the way."""
        stage = self.state.stage
        workflow.set_current_details(f"{stage}: waiting for {self._whom()} to {to}")
        while self.state.stage == stage:
            try:
                await self._next_thing()
            except asyncio.CancelledError:
                # a case is withdrawn, not cancelled: its people decide when it ends, not who can reach Temporal
                continue

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

    # -- what arrives: taken under any name and in any number of parts, since one that could not be would stop the case

    @workflow.update(dynamic=True)
    async def submit(self, name: str, payloads: Sequence[RawValue]) -> dict[str, Any]:
        """`submit`: a command with its credential; the answer when it is recorded or refused. `opened`: no command, but
        the question what became of the one that this run was started with, named by its digest."""
        self._arrivals += 1
        if name == OPENED:
            return await self._how_it_opened(text_of(payloads))
        message = text_of(payloads) if name == SUBMIT else ""
        await workflow.wait_condition(lambda: self._begun)
        if message and message == self._opening and self._answer_to_opening is not None:
            return self._answer_to_opening
        async with self._one_at_a_time:
            (answer,) = await self._record([message])
        return answer

    async def _how_it_opened(self, asked: str) -> dict[str, Any]:
        """Empty where it was another command, or another run's: the ledger knows."""
        await workflow.wait_condition(lambda: self._begun)
        is_ours = from_json(asked or "{}").get("sha256") == sha256(self._opening.encode()).hexdigest()
        return self._answer_to_opening or {} if is_ours else {}

    @workflow.signal(dynamic=True)
    def note(self, name: str, payloads: Sequence[RawValue]) -> None:
        """`submit`: the same message from a system that waits for no answer. `nudge`: the ledger is ahead, read on;
        it says nothing itself, so anyone may send it."""
        self._arrivals += 1
        message = text_of(payloads) if name == SUBMIT else ""
        if name == NUDGE:
            self._nudged = True
        elif message:
            self._messages.append(message)
        else:
            self._malformed += 1

    @workflow.query(name="stage")
    def stage(self) -> str:
        return str(self.state.stage)

    @workflow.query(name=POSITION)
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
                lambda: self._has_news() or self.state.position != position or self._this_run_is_long(),
                timeout=max(due - workflow.now(), ASK_TIME_AGAIN) if due else None,
            )
        except TimeoutError:
            await self._let_time_pass(due)
        await self._take_in()

    def _has_news(self) -> bool:
        return bool(self._messages or self._malformed or self._nudged)

    def _next_due(self) -> datetime | None:
        wait: Wait | None = self.state.waiting
        return wait.next_due() if wait else None

    async def _let_time_pass(self, due: datetime | None) -> None:
        async with self._one_at_a_time:
            if due == self._next_due():  # else a decision was first, and the moment is no longer waited for
                await self._told(LET_TIME_PASS, Ask(case=self.case, after=self.state.position))

    async def _take_in(self) -> None:
        while self._has_news():
            async with self._one_at_a_time:
                malformed, self._malformed, self._nudged = self._malformed, 0, False
                await self._record(self._next_batch(), malformed)

    def _next_batch(self) -> list[str]:
        batch: list[str] = []
        while self._messages and len(batch) < MESSAGES_AT_ONCE and sum(map(len, batch)) < BATCH_CHARACTERS:
            batch.append(self._messages.popleft())
        return batch

    async def _answer_everyone(self) -> None:
        while self._has_news() or not workflow.all_handlers_finished():
            await self._take_in()
            await workflow.wait_condition(lambda: self._has_news() or workflow.all_handlers_finished())

    async def _record(self, submissions: list[str], malformed: int = 0) -> list[dict[str, Any]]:
        """Answers to these submissions; with or without any, the state is then as new as the ledger's."""
        ask = Ask(case=self.case, after=self.state.position, submissions=submissions, malformed=malformed)
        return (await self._told(RECORD, ask)).answers

    async def _told(self, activity: str, ask: Ask) -> Told:
        told = await self._of_the_ledger(activity, ask)
        for each in told.facts:
            self.state = self.page.fold_one(self.state, each.opened(), each.position, each.policy)
        self._show()
        return told

    async def _of_the_ledger(self, activity: str, ask: Ask) -> Told:
        told: Told
        if len(ask.submissions) + ask.malformed <= SO_FEW_THAT_A_LOCAL_ONE_WILL_DO:
            # a local one's failure comes unwrapped, not always as an ActivityError
            with suppress(FailureError):
                told = await workflow.execute_local_activity(
                    activity, ask, result_type=Told, start_to_close_timeout=ONE_ATTEMPT, retry_policy=ONCE
                )
                return told
        told = await workflow.execute_activity(
            activity, ask, result_type=Told, start_to_close_timeout=ONE_ATTEMPT, retry_policy=UNTIL_IT_IS_DONE
        )
        return told

    # -- runs and what is seen of them

    def _this_run_is_long(self) -> bool:
        return self._arrivals >= ARRIVALS_OF_ONE_RUN or workflow.info().is_continue_as_new_suggested()

    async def _go_on_in_a_new_run(self) -> None:
        """Nothing waits and nobody is being answered at the moment of leaving: a message that comes in between makes
        Temporal ask this run again."""
        await self._answer_everyone()
        workflow.continue_as_new(Carried(state=self.state.model_dump(mode="json")))

    def _show(self) -> None:
        """Search attributes, where they changed. Nothing personal stands in them."""
        seen = what_is_seen(self.page, self.state)
        if changed := {name: value for name, value in seen.items() if self._shown.get(name) != value}:
            workflow.upsert_search_attributes(
                [SEARCH_ATTRIBUTES[name].value_set(value) for name, value in changed.items()]
            )
            self._shown = seen


def what_is_seen(page: Page, state: Any) -> dict[str, str]:
    return {"Process": page.name, "Stage": str(state.stage), **state.search()}


def shown_at_start() -> dict[str, str]:
    """What whoever started this gave along; it may be wrong, and is then put right. A run that goes on for another has
    that one's, and shows all of it again."""
    info = workflow.info()
    if info.continued_run_id is not None:
        return {}
    given = {name: info.typed_search_attributes.get(key) for name, key in SEARCH_ATTRIBUTES.items()}
    return {name: value for name, value in given.items() if value is not None}


def case_of(page: Page) -> str:
    """The workflow's id. Whoever starts a workflow chooses that: where it is none of this process's case ids, it must
    not name another stream of the ledger."""
    id_ = workflow.info().workflow_id
    return id_ if re.fullmatch(rf"{page.name}-[0-9a-f-]{{36}}", id_) else NO_CASE


def follows_a_run_of_ours() -> bool:
    """Continued by a run of this case itself. A retry or a schedule, which whoever starts a workflow may ask for, is
    handed the starter's own input again."""
    info = workflow.info()
    return info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule


def text_of(payloads: Sequence[RawValue]) -> str:
    """The one JSON object sent, as text; empty where it is anything else. Its meaning is the ledger's to look at."""
    if len(payloads) != 1:
        return ""
    payload = payloads[0].payload
    if len(payload.data) > LARGEST_MESSAGE_BYTES or payload.metadata.get("encoding") != b"json/plain":
        return ""
    try:
        return payload.data.decode() if isinstance(from_json(payload.data), dict) else ""
    except ValueError:
        return ""
