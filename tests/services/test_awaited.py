"""Decisions of the tasks of one event loop: judged on it, recorded together, answered as the ledger itself would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from threading import get_ident
from typing import Any

import pytest
import pytest_asyncio
from psycopg import OperationalError
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow

from domain.account_creation import AccountCase
from domain.account_creation_messages import ApproveAccount
from services.awaited import AwaitedLedger
from services.credentials import Unproven
from services.group_commit import MOST_AT_ONCE, NOT_WORTH_SHARING, ON_THE_WAY, GroupCommitOfTasks
from services.recorder import ToRecord
from services.submissions import Submission
from tests.system import Database, Office, a_case, a_request

MANY = 16
LONG_ENOUGH = 20.0


class Log:
    """Takes what it is given once it is let go, and remembers what came together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let_go = asyncio.Event()
        self.on_their_way = self.most_on_their_way = 0

    async def write(self, asked: Sequence[int]) -> list[int]:
        self.groups.append(list(asked))
        self.on_their_way += 1
        self.most_on_their_way = max(self.most_on_their_way, self.on_their_way)
        await asyncio.sleep(0)
        await self.let_go.wait()
        self.on_their_way -= 1
        if 0 in asked:
            raise ValueError("nothing may be asked of nought")
        return [100 // each for each in asked]

    def sizes(self) -> list[int]:
        return [len(each) for each in self.groups]


async def asked_at_once(log: Log, numbers: Sequence[int]) -> list[int | BaseException]:
    together = GroupCommitOfTasks(log.write)
    log.let_go.set()
    answers = await asyncio.gather(*(together.ask(each) for each in numbers), return_exceptions=True)
    await together.ended()
    return answers


@pytest.mark.asyncio
async def test_a_task_alone_waits_for_nobody_and_the_next_one_neither() -> None:
    log = Log()
    log.let_go.set()
    together = GroupCommitOfTasks(log.write)
    assert [await together.ask(each) for each in (1, 2, 4, 5)] == [100, 50, 25, 20]
    assert log.sizes() == [1, 1, 1, 1]


@pytest.mark.asyncio
async def test_those_who_come_at_once_share_the_ways_to_the_log_in_the_order_in_which_they_came() -> None:
    log, numbers = Log(), list(range(1, 2 * NOT_WORTH_SHARING + 1))
    assert await asked_at_once(log, numbers) == [100 // each for each in numbers]
    assert log.groups == [numbers[:NOT_WORTH_SHARING], numbers[NOT_WORTH_SHARING:]]


@pytest.mark.asyncio
async def test_few_go_together_since_a_transaction_for_each_share_would_cost_more() -> None:
    log = Log()
    assert await asked_at_once(log, [1, 2, 4]) == [100, 50, 25]
    assert log.sizes() == [3]


@pytest.mark.asyncio
async def test_no_group_is_longer_than_others_should_wait_for_and_everyone_has_a_turn() -> None:
    log, numbers = Log(), list(range(1, 5 * MOST_AT_ONCE + 1))
    assert await asked_at_once(log, numbers) == [100 // each for each in numbers]
    assert max(log.sizes()) == MOST_AT_ONCE
    assert sum(log.sizes()) == len(numbers)
    assert log.most_on_their_way == ON_THE_WAY


@pytest.mark.asyncio
async def test_an_error_is_told_to_everyone_of_the_group_and_the_next_are_answered() -> None:
    log = Log()
    answers = await asked_at_once(log, [1, 0, 2, 4, *[5] * NOT_WORTH_SHARING])
    assert [type(each) for each in answers] == [ValueError] * 4 + [int] * NOT_WORTH_SHARING
    together = GroupCommitOfTasks(log.write)
    assert await together.ask(5) == 20


@pytest.mark.asyncio
async def test_who_no_longer_waits_hinders_nobody_and_what_it_asked_is_done() -> None:
    log = Log()
    together = GroupCommitOfTasks(log.write)
    first, second = asyncio.create_task(together.ask(1)), asyncio.create_task(together.ask(2))
    while not log.groups:
        await asyncio.sleep(0)
    first.cancel()
    log.let_go.set()
    assert await second == 50
    assert first.cancelled()
    assert log.groups == [[1, 2]]


@pytest.mark.asyncio
async def test_who_asks_again_as_soon_as_it_is_answered_is_not_forgotten() -> None:
    log = Log()
    together = GroupCommitOfTasks(log.write)

    async def twice() -> tuple[int, int]:
        return await together.ask(1), await together.ask(2)

    # the first of both groups to be answered, and the others ask nothing more
    again = asyncio.create_task(twice())
    others = [asyncio.create_task(together.ask(5)) for _ in range(2 * NOT_WORTH_SHARING - 1)]
    while len(log.groups) < ON_THE_WAY:
        await asyncio.sleep(0)
    log.let_go.set()
    async with asyncio.timeout(LONG_ENOUGH):
        assert await again == (100, 50)
        assert await asyncio.gather(*others) == [20] * len(others)


# -- on PostgreSQL


@pytest_asyncio.fixture
async def awaited(office: Office) -> AsyncIterator[AwaitedLedger]:
    async with AwaitedLedger(office.ledger) as awaited:
        yield awaited


def request(office: Office, handle: str) -> Submission:
    return office.submission(a_request(handle), a_case(), "p-bm-durant")


def approval(office: Office, case: str) -> Submission:
    state = office.ledger.state(case)
    assert isinstance(state, AccountCase)
    return office.submission(ApproveAccount(content=state.content), case, "p-ed")


@pytest.mark.asyncio
async def test_decisions_of_many_tasks_share_transactions_and_stand_in_the_log_without_a_gap(
    office: Office, awaited: AwaitedLedger, database: Database
) -> None:
    asked = [request(office, f"task{nth}") for nth in range(MANY)]
    answers = await asyncio.gather(*(awaited.submit(each) for each in asked))
    assert [answer.refusal for answer in answers] == [None] * MANY
    positions = sorted(fact.log_position for answer in answers for fact in answer.facts)
    assert positions == list(range(positions[0], positions[0] + len(positions)))
    for submission, answer in zip(asked, answers, strict=True):
        assert office.ledger.facts_in_memory(submission.case, 0) == list(answer.facts)
    transactions, commands = database.transactions_and_commands(positions[0], positions[-1])
    assert commands == MANY
    assert transactions <= MANY // NOT_WORTH_SHARING


@pytest.mark.asyncio
async def test_of_two_claims_on_one_handle_the_first_is_recorded_and_the_second_refused(
    office: Office, awaited: AwaitedLedger
) -> None:
    asked = [request(office, each) for each in ("task.apart", "task.same", "@Task.Same")]
    answers = await asyncio.gather(*(awaited.submit(each) for each in asked))
    (refusal,) = [answer.refusal for answer in answers if answer.refusal]
    assert "is open or requested already" in refusal.because
    assert sum(bool(answer.facts) for answer in answers) == 2


@pytest.mark.asyncio
async def test_the_same_command_from_two_tasks_is_recorded_once_and_answered_twice(
    office: Office, awaited: AwaitedLedger
) -> None:
    one = request(office, "task.twice")
    left, right = await asyncio.gather(awaited.submit(one), awaited.submit(one))
    assert [each.envelope.event_id for each in left.facts] == [each.envelope.event_id for each in right.facts]
    assert left.position == right.position > 0


@pytest.mark.asyncio
async def test_a_commit_whose_answer_was_lost_is_found_again(
    office: Office, awaited: AwaitedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = awaited._together._write

    async def and_lost(group: Sequence[ToRecord]) -> Sequence[TupleRow]:
        await write(group)
        raise OperationalError("recorded, and then the connection was lost")

    monkeypatch.setattr(awaited._together, "_write", and_lost)
    asked = request(office, "task.lost")
    answer = await awaited.submit(asked)
    approved = await awaited.submit(approval(office, asked.case))
    recorded = [*answer.facts, *approved.facts]
    assert [each.envelope.position for each in recorded] == [1, 2, 3, 4]
    # and memory, by which the workflow is told what is new, knows them as if nothing had been lost
    assert office.ledger.facts_in_memory(asked.case, 0) == recorded
    assert office.ledger.submit(asked).facts == answer.facts


@pytest.mark.asyncio
async def test_what_is_recorded_for_someone_who_no_longer_waits_is_known_when_it_is_sent_again(
    office: Office, awaited: AwaitedLedger
) -> None:
    asked = request(office, "task.cancelled")
    assert (await awaited.submit(asked)).facts
    again = approval(office, asked.case)
    waits = asyncio.create_task(awaited.submit(again))
    await asyncio.sleep(0)
    waits.cancel()
    await awaited._together.ended()
    assert waits.cancelled()
    answer = await awaited.submit(again)
    assert office.ledger.facts_in_memory(asked.case, 2) == list(answer.facts)


@pytest.mark.asyncio
async def test_who_waits_too_long_for_the_log_is_told_so_and_nothing_is_recorded(
    office: Office, awaited: AwaitedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(group: Sequence[ToRecord]) -> Sequence[TupleRow]:
        raise LockNotAvailable("canceling statement due to lock timeout")

    monkeypatch.setattr(awaited._together, "_write", locked)
    asked = request(office, "task.locked")
    with pytest.raises(LockNotAvailable):
        await awaited.submit(asked)
    assert office.ledger.state(asked.case).position == 0


@pytest.mark.asyncio
async def test_what_another_process_recorded_meanwhile_is_read_on_before_anything_is_said(
    office: Office, awaited: AwaitedLedger
) -> None:
    asked = request(office, "task.elsewhere")
    assert (await awaited.submit(asked)).facts
    first, too_late = approval(office, asked.case), approval(office, asked.case)
    elsewhere = office.elsewhere()
    assert elsewhere.submit(first).facts
    elsewhere.close()
    answer = await awaited.submit(too_late)
    assert answer.refusal is not None
    assert (await awaited.submit(first)).facts


@pytest.mark.asyncio
async def test_a_process_that_has_read_nothing_yet_reads_first_and_never_on_the_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = office.elsewhere()
    asked_by = list[int]()
    read_on = fresh.recorder.read_on

    def noted(*args: Any) -> Any:
        asked_by.append(get_ident())
        return read_on(*args)

    monkeypatch.setattr(fresh.recorder, "read_on", noted)
    async with AwaitedLedger(fresh) as awaited:
        assert (await awaited.submit(request(office, "task.fresh"))).facts
        assert (await awaited.submit(request(office, "task.fresh"))).refusal
    assert asked_by
    assert get_ident() not in asked_by
    fresh.close()


@pytest.mark.asyncio
async def test_a_refusal_is_recorded_and_told_with_its_clauses(office: Office, awaited: AwaitedLedger) -> None:
    case = a_case()
    asked = office.submission(a_request("task.refused", administrators=("p-mac",)), case, "p-bm-durant")
    answer = await awaited.submit(asked)
    assert answer.refusal is not None
    assert answer.refusal.clauses == ("PR-7",)
    assert await awaited.submit(asked) == answer
    assert office.ledger.state(case).position == 0


@pytest.mark.asyncio
async def test_without_a_credential_nothing_is_recorded(office: Office, awaited: AwaitedLedger) -> None:
    asked = request(office, "task.unproven").model_copy(update={"credential": ""})
    with pytest.raises(Unproven, match="no credential"):
        await awaited.submit(asked)
    assert office.ledger.state(asked.case).position == 0
