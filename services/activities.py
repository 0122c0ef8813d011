"""The ledger as a case's workflow reaches it: record what arrived, let time pass; and be told what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import uuid5

from pydantic_core import from_json
from temporalio import activity

from domain.facts import Malformed, Recorded
from domain.waiting import LetTimePass
from services.awaited import AwaitedLedger
from services.credentials import Unproven
from services.ledger import EVENT_IDS, TIMER, Answer, unproven_refusal
from services.submissions import Submission, parse_submission
from workflows.messages import LET_TIME_PASS, RECORD, Ask, FactOfCase, Told

OTHER_CASE = "the message is for another case"


class LedgerActivities:
    def __init__(self, awaited: AwaitedLedger) -> None:
        self._awaited, self._ledger = awaited, awaited.ledger

    @activity.defn(name=RECORD)
    async def record(self, ask: Ask) -> Told:
        """An answer for each submission. Malformed and unproven ones are values too: nothing is retried for them."""
        if not ask.submissions:
            await self._awaited.in_a_thread(self._ledger.state, ask.case)
        unproven: Counter[tuple[str, str]] = Counter()
        malformed = ask.malformed
        answers = []
        for text in ask.submissions:
            try:
                answers.append(await self._submit(parsed(text), ask.case, unproven))
            except Malformed as error:
                malformed += 1
                answers.append(as_malformed(error))
        if unproven or malformed:
            await self._awaited.in_a_thread(self._note_what_came_in_vain, ask.case, unproven, malformed)
        facts = self._ledger.facts_in_memory(ask.case, ask.after)
        if facts is None:
            facts = await self._awaited.in_a_thread(self._ledger.facts_after, ask.case, ask.after)
        return Told(answers=answers, facts=as_facts_of_case(facts))

    def _note_what_came_in_vain(self, case: str, unproven: Counter[tuple[str, str]], malformed: int) -> None:
        for (asked, because), times in unproven.items():
            self._ledger.refuse_unproven(case, asked, because, times)
        if malformed:
            self._ledger.count_malformed(case, malformed)

    @activity.defn(name=LET_TIME_PASS, no_thread_cancel_exception=True)
    def let_time_pass(self, ask: Ask) -> Told:
        """Whatever is due by the ledger's own clock becomes a fact; whoever calls this can hasten nothing."""
        state = self._ledger.state(ask.case)
        id_ = str(uuid5(EVENT_IDS, f"{ask.case}/time/{state.position}"))
        self._ledger.submit_own(LetTimePass(), ask.case, TIMER, id_, ask.case, this_run())
        return Told(facts=as_facts_of_case(self._ledger.facts_after(ask.case, ask.after)))

    async def _submit(self, submission: Submission, case: str, unproven: Counter[tuple[str, str]]) -> dict[str, Any]:
        try:
            if submission.case != case:
                raise Unproven(OTHER_CASE)
            return as_answer(await self._awaited.submit(submission, case, this_run()))
        except Unproven as error:
            unproven[submission.kind, str(error)] += 1
            return as_answer(Answer(refusal=unproven_refusal(str(error)), unproven=True))

    def all(self) -> list[Any]:
        return [self.record, self.let_time_pass]


def this_run() -> str:
    return activity.info().workflow_run_id or ""


def parsed(text: str) -> Submission:
    """The message, with a command in it that can be read."""
    try:
        submission = parse_submission(from_json(text))
        _ = submission.command, submission.content
    except Malformed:
        raise
    except Exception:
        # nothing but the message has been looked at yet, so whatever breaks is the message's doing; let through, it
        # would be retried for ever and the case would stand still
        raise Malformed("message", "cannot be read", "a JSON object as `imprimatur sign` makes it") from None
    return submission


def as_facts_of_case(recorded: Iterable[Recorded]) -> list[FactOfCase]:
    envelopes = (each.envelope for each in recorded)
    return [FactOfCase(kind=it.kind, fact=it.fact, position=it.position, policy=it.policy) for it in envelopes]


def as_answer(answer: Answer) -> dict[str, Any]:
    """What the sender is told: which facts were recorded, or which clauses stand against it."""
    if answer.refusal:
        return {"refused": answer.refusal.as_json(), "unproven": answer.unproven, "log_position": answer.position}
    recorded = [
        {"kind": each.envelope.kind, "event_id": each.envelope.event_id, "position": each.envelope.position}
        for each in answer.facts
    ]
    return {"recorded": recorded, "log_position": answer.position}


def as_malformed(error: Malformed) -> dict[str, Any]:
    return {"malformed": {"field": error.field, "message": error.message, "would_pass": error.would_pass}}
