"""Temporal kept in step with the ledger, on Temporal itself: whatever happens to a workflow, its case goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from eventsourcing.persistence import OperationalError
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.account_creation_messages import ApproveAccount, WithdrawRequest
from domain.directory import DeclareFriendsRole
from domain.run_history import RunHistoryKept, stream_of
from services.audit import procedures
from services.audit.history_keeper import HistoryKeeper
from services.clock import SystemClock
from services.embedded import fresh_folder
from services.embedded_temporal import EmbeddedTemporal
from services.evidence import EvidenceStore
from services.healing import Healer
from services.ledger import recorded_from
from services.reconciler import Reconciler
from services.recorder import Row
from services.worker import worker_of
from tests.system import Database, Office, SetClock, a_case, a_request
from tests.workflows.patrons import OnePatron
from tests.workflows.running import NEUTRAL, Requested, Running, at_work, histories_of
from workflows.case import Case
from workflows.messages import Ask, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def temporal() -> Iterator[EmbeddedTemporal]:
    with fresh_folder() as data, EmbeddedTemporal(data) as temporal:
        yield temporal


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(database: Database, temporal: EmbeddedTemporal) -> AsyncIterator[Running]:
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter, identity=NEUTRAL)
    async with at_work(client, Office(database, SystemClock())) as running:
        yield running


async def test_a_workflow_terminated_by_hand_is_brought_back_with_all_it_knew(running: Running) -> None:
    case = await running.requested()
    await case.approved()
    await running.reconciler.one_pass(everything=True)
    await case.handle.terminate()
    await until_listed_as_running(running, case, False)
    await running.reconciler.one_pass(everything=True)
    again = of_today(case)
    assert await position(again) == 4
    await case.set_up()
    await withdrawn(case)


async def test_a_case_whose_workflow_goes_on_is_left_alone(running: Running) -> None:
    case = await running.requested()
    for _ in range(3):
        await running.reconciler.one_pass(everything=True)
    (history,) = await histories_of(running.client, case.case)
    assert not [each for each in history.events if each.HasField("workflow_execution_signaled_event_attributes")]
    await withdrawn(case)


async def test_a_workflow_that_was_reset_comes_to_where_the_ledger_is(running: Running) -> None:
    case = await running.requested()
    (before,) = await histories_of(running.client, case.case)
    asked = max(each.event_id for each in before.events if each.HasField("workflow_task_completed_event_attributes"))
    await case.approved()
    await running.reconciler.one_pass(everything=True)
    await running.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=running.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=case.case),
            workflow_task_finish_event_id=asked,
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
            request_id=str(uuid4()),
        )
    )
    again = of_today(case)
    await until_listed_as_running(running, case)
    await running.reconciler.one_pass(everything=True)
    await until_at(again, 4)
    assert await again.query("stage") == "set_up"
    await withdrawn(case)


@pytest.mark.ordeal
async def test_a_run_that_no_worker_can_replay_is_begun_anew_nobody_s_command_is_lost_and_the_auditors_agree(
    running: Running, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = f"{running.queue}-frozen"
    client = running.client
    with monkeypatch.context() as another_version:
        # a version of the workflow that sleeps before it asks the ledger: its histories are none of today's
        asks = Case._of_the_ledger

        async def sleeps_first(self: Case, activity: str, ask: Ask) -> Told:
            await workflow.sleep(timedelta(milliseconds=10))
            return await asks(self, activity, ask)

        another_version.setattr(Case, "_of_the_ledger", sleeps_first)
        async with worker_of(client, running.office.ledger, queue):
            case = await Running(client, running.office, queue, None).requested()
    async with worker_of(client, running.office.ledger, queue):
        await case.signal(ApproveAccount(content=(await case.state()).content), "p-ed")
        frozen = (await of_today(case).describe()).run_id
        healed = list[str]()
        async with asyncio.timeout(60):
            while not healed:
                await asyncio.sleep(0.5)
                healed = await Healer(client).heal()
        assert healed == [case.case]
        await until_at(of_today(case), 4)
        assert await case.kinds() == ["AccountRequested", "Asked", "AccountApproved", "Asked"]
        await withdrawn(case)
    monkeypatch.setattr(procedures, "ALL_OF_OURS", f"WorkflowId = '{case.case}'")
    evidence = EvidenceStore(tmp_path / "evidence", running.office.ledger.recorder, running.office.seal)
    # from Temporal itself, and once both runs' histories are kept
    await two_witnesses_agree_but_for(frozen, case, database, evidence)
    async with asyncio.timeout(60):
        while {each.run for each in await kept_of(case)} != {frozen, (await of_today(case).describe()).run_id}:
            await HistoryKeeper(running.client, running.office.ledger, evidence).one_pass()
    await two_witnesses_agree_but_for(frozen, case, database, evidence)


async def two_witnesses_agree_but_for(
    frozen: str, case: Requested, database: Database, evidence: EvidenceStore
) -> None:
    """Histories and steps of this case; the run that nobody could go on with is told as replaced."""
    found = await procedures.procedures(database.url("reader"), case.running.client, evidence)
    histories = found["histories"]
    assert [each for each in histories["replaced"] if each.startswith(case.case)] == [f"{case.case} {frozen}"]
    assert histories["runs"] >= 2
    told = [*histories["disagree"], *found["steps"]["disagree"]]
    assert [each for each in told if each["case"] == case.case] == []


async def kept_of(case: Requested) -> list[RunHistoryKept]:
    rows = await asyncio.to_thread(case.running.office.ledger.recorder.stream_after, stream_of(case.case), 0)
    return [fact for row in rows if isinstance(fact := recorded_from(row).fact, RunHistoryKept)]


async def test_a_fact_recorded_by_another_door_is_told_to_the_workflow(running: Running) -> None:
    case = await running.requested()
    await running.reconciler.one_pass()
    await running.directly(ApproveAccount(content=(await case.state()).content), case.case, "p-ed")
    await running.reconciler.one_pass()
    await until_at(case.handle, 4)
    await running.directly(WithdrawRequest(), case.case, "p-bm-durant")
    await running.reconciler.one_pass()
    assert (await case.ended())["stage"] == "withdrawn"
    await case.replayed()


async def test_a_case_opened_without_a_workflow_gets_one(running: Running) -> None:
    id_ = a_case()
    await running.directly(a_request(f"h{id_[-12:]}"), id_, "p-bm-durant")
    await running.reconciler.one_pass()
    case = Requested(running, running.client.get_workflow_handle(id_), id_, None)
    assert await position(case.handle) == 2
    await withdrawn(case)


async def test_a_workflow_that_missed_the_end_of_its_case_ends_too(running: Running) -> None:
    case = await running.requested()
    await running.directly(WithdrawRequest(), case.case, "p-bm-durant")
    await until_listed_as_running(running, case)
    await Reconciler(running.client, running.office.ledger, running.queue).one_pass(everything=True)
    assert (await case.ended())["stage"] == "withdrawn"


async def test_a_restarted_reconciler_reads_no_more_than_the_newest_event_of_each_case(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await running.requested()
    recorder, ranges = running.office.ledger.recorder, list[tuple[int, int]]()
    between, last = recorder.between, recorder.max_notification_id() or 0

    def noted(first: int, last: int) -> list[Row]:
        ranges.append((first, last))
        return between(first, last)

    monkeypatch.setattr(recorder, "between", noted)
    await case.handle.terminate()
    await Reconciler(running.client, running.office.ledger, running.queue).one_pass()
    assert min(first for first, _ in ranges) == last + 1
    assert await position(of_today(case)) == 2
    await withdrawn(case)


async def test_a_decision_that_fails_for_one_case_keeps_no_other_waiting(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = sorted([await running.requested(person="p-bs-durant-1") for _ in range(3)], key=lambda each: each.case)
    await running.reconciler.one_pass()
    submit_own, seen = running.office.ledger.submit_own, []

    def with_one_that_fails(command: Any, case: str, *rest: Any) -> Any:
        seen.append(case)
        if case == cases[0].case:
            raise ValueError("a poisoned case")
        return submit_own(command, case, *rest)

    monkeypatch.setattr(running.office.ledger, "submit_own", with_one_that_fails)
    await running.directly(DeclareFriendsRole(person="p-bs-goodman-1", administers=True), "directory", "p-bs-goodman-1")
    await running.reconciler.one_pass()
    assert {each.case for each in cases} <= set(seen)
    for each in cases:
        await withdrawn(each, "p-bs-durant-1")


async def test_nothing_ends_the_reconciler_but_being_told_to_stop(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.reconciler.PASS_EVERY_SECONDS", 0.01)
    reconciler = Reconciler(running.client, running.office.ledger, running.queue)
    stop, at_once, passes = asyncio.Event(), 0, 0

    async def a_pass_that_fails(everything: bool = False) -> None:
        nonlocal at_once, passes
        at_once, passes = at_once + 1, passes + 1
        assert at_once == 1, "two passes at once"
        await asyncio.sleep(0.01)
        at_once -= 1
        if passes == 5:
            stop.set()
        raise [OperationalError("away"), ValueError("wrong"), KeyError("gone")][passes % 3]

    monkeypatch.setattr(reconciler, "one_pass", a_pass_that_fails)
    await asyncio.wait_for(reconciler.run(stop), 5)
    assert passes == 5


async def test_what_was_only_counted_becomes_an_event_when_its_hour_is_over(
    running: Running, database: Database
) -> None:
    clock = SetClock()
    office = Office(database, clock)
    case = (await running.requested()).case
    reconciler = Reconciler(running.client, office.ledger, running.queue)
    await asyncio.to_thread(office.ledger.count_malformed, case, 7)
    await reconciler.one_pass()
    assert await running.envelopes(f"{case}!attempts") == []
    clock.passes(hours=1)
    await reconciler.one_pass()
    assert [each.fact["count"] for each in await running.envelopes(f"{case}!attempts")] == [7]
    await asyncio.to_thread(office.close)


async def test_a_consent_that_stands_is_asked_anew_when_something_is_recorded_and_not_by_the_clock(
    running: Running, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seen = SetClock(), list[str]()
    office = Office(database, clock)
    stands, waits = (await OnePatron(running).has_consent()).case, await running.requested()
    reconciler = Reconciler(running.client, office.ledger, running.queue)
    await reconciler.one_pass()
    submit_own = office.ledger.submit_own

    def noted(command: Any, case: str, *rest: Any) -> Any:
        seen.append(case)
        return submit_own(command, case, *rest)

    monkeypatch.setattr(office.ledger, "submit_own", noted)
    clock.passes(minutes=5)
    await reconciler.one_pass()
    assert (stands in seen, waits.case in seen) == (False, True)
    await running.directly(DeclareFriendsRole(person="p-bs-winona-1", administers=True), "directory", "p-bs-winona-1")
    await reconciler.one_pass()
    assert stands in seen
    await withdrawn(waits)
    await asyncio.to_thread(office.close)


async def test_all_open_cases_are_brought_back_when_temporals_database_is_lost(
    running: Running, temporal: EmbeddedTemporal
) -> None:
    open_cases = [await running.requested() for _ in range(3)]
    await open_cases[0].approved()
    ended = await running.requested()
    await ended.done(WithdrawRequest(), "p-bm-durant")
    await running.reconciler.one_pass(everything=True)
    await asyncio.to_thread(temporal.kill)
    for file in (temporal.data / "temporal").iterdir():
        file.unlink()
    await asyncio.to_thread(temporal.start)
    await running.reconciler.one_pass(everything=True)
    for case, at in zip(open_cases, (4, 2, 2), strict=True):
        assert await position(of_today(case)) == at
        await withdrawn(case)
    with pytest.raises(Exception, match="not found"):
        await of_today(ended).describe()


def of_today(case: Requested) -> WorkflowHandle[Any, Any]:
    case.handle = case.running.client.get_workflow_handle(case.case)
    return case.handle


async def position(handle: WorkflowHandle[Any, Any]) -> int:
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    for _ in range(100):
        if at := await handle.query("position"):
            return int(at)
        await asyncio.sleep(0.05)
    return 0


async def until_at(handle: WorkflowHandle[Any, Any], position: int) -> None:
    for _ in range(100):
        if await handle.query("position") == position:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not at {position} but {await handle.query('position')}")


async def until_listed_as_running(running: Running, case: Requested, listed: bool = True) -> None:
    """Temporal's list of workflows lags up to a second behind, for one that began as for one that was terminated."""
    run = (await of_today(case).describe()).run_id
    for _ in range(100):
        found = running.client.list_workflows(f"WorkflowId = '{case.case}' and ExecutionStatus = 'Running'")
        if listed is (run in {each.run_id async for each in found}):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{case.case} is {'not ' * listed}listed as running")


async def withdrawn(case: Requested, person: str = "p-bm-durant") -> None:
    of_today(case)
    await case.done(WithdrawRequest(), person)
    assert (await case.ended())["stage"] == "withdrawn"
    await case.replayed()
