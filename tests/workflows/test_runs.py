"""A case is longer than a run of its workflow: however much arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from temporalio.common import RawValue

from domain.account_creation_messages import ApproveAccount, OpenAccount, WithdrawRequest
from tests.system import a_case
from tests.workflows.running import Requested, Running, bytes_of, histories_of
from workflows.case import ARRIVALS_OF_ONE_RUN

WAVES, OF_ONE_WAVE = 50, 400
MALFORMED = (b"", b"\xff\xfe\x00", b"{", b"[1, 2]", b'{"kind": 7}', b"\x00" * 200)


async def test_a_new_run_takes_the_case_up_where_the_last_one_left_it(running: Running) -> None:
    case = await running.requested()
    await case.approved()
    before = await case.state()
    await asyncio.gather(*(case.handle.signal("nudge") for _ in range(ARRIVALS_OF_ONE_RUN)))
    await in_run(case, 2)
    latest = running.client.get_workflow_handle(case.case)
    assert await latest.query("position") == before.position
    case.handle = latest
    assert "recorded" in await case.opened()  # the first answer, given again across the boundary
    await case.set_up()
    await case.confirmed()
    await case.done(OpenAccount(), "p-mac")
    assert (await case.ended())["stage"] == "open"
    shown = {pair.key.name: pair.value for pair in (await latest.describe()).typed_search_attributes}
    assert (shown["ImprimaturStage"], shown["ImprimaturBranch"]) == ("open", "durant")
    await case.replayed()


async def test_a_command_sent_again_and_again_across_runs_is_done_once(running: Running) -> None:
    case = await running.requested()
    approve = await running.payload(ApproveAccount(content=(await case.state()).content), case.case, "p-ed")
    latest = running.client.get_workflow_handle(case.case)
    await asyncio.gather(*(latest.signal("submit", approve) for _ in range(200)))
    await asyncio.gather(*(latest.signal("nudge") for _ in range(ARRIVALS_OF_ONE_RUN)))
    await in_run(case, 2)
    await latest.signal("submit", approve)
    assert await case.kinds() == ["AccountRequested", "Asked", "AccountApproved", "Asked"]
    assert await case.refused_attempts() == []
    case.handle = latest
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


@pytest.mark.ordeal
async def test_twenty_thousand_junk_signals_do_not_keep_a_case_from_being_approved_and_opened(
    in_service: Running,
) -> None:
    running = in_service
    case = await running.requested()
    case.handle = running.client.get_workflow_handle(case.case)
    junk = [each async for each in junk_for(case)]
    for wave in range(1, WAVES + 1):
        await asyncio.gather(*(case.handle.signal("submit", junk[nth % len(junk)]) for nth in range(OF_ONE_WAVE)))
        if wave == WAVES // 2:
            await case.approved()
        # a flood without a pause is cut off by Temporal itself: at the latest at 10,000 signals to one run
        await until_counted(case, wave * OF_ONE_WAVE)
    await case.set_up()
    await case.confirmed()
    await case.done(OpenAccount(), "p-mac")
    assert (await case.ended())["stage"] == "open"
    library = await asyncio.to_thread(running.office.ledger.library)
    most = library.policy.settings.attempts_recorded_per_case_per_hour.value
    attempts = await case.refused_attempts()
    assert most <= len(attempts) <= 2 * most  # twice, where an hour ends meanwhile
    assert {each["by"]["kind"] for each in attempts} == {"unproven"}
    runs = await histories_of(running.client, case.case)
    assert len(runs) > WAVES * OF_ONE_WAVE / (ARRIVALS_OF_ONE_RUN + OF_ONE_WAVE)


async def junk_for(case: Requested) -> AsyncIterator[RawValue]:
    """Bytes that are no message; messages without, with made-up, with another's and with an outworn proof."""
    running = case.running
    for bad in MALFORMED:
        yield bytes_of(bad)
    approve = ApproveAccount(content=(await case.state()).content)
    mine = await running.payload(approve, case.case, "p-ed")
    elsewhere = await running.payload(approve, a_case(), "p-ed", mine["id"])
    for wrong in (
        mine | {"credential": ""},
        mine | {"credential": "eyJhbGciOiJFZDI1NTE5In0.e30.AAAA"},
        mine | {"id": str(uuid4())},
        mine | {"credential": elsewhere["credential"]},
        mine | {"fields": {"content": "0" * 64}},
        elsewhere,
    ):
        yield bytes_of(json.dumps(wrong).encode())


async def until_counted(case: Requested, least: int) -> None:
    """At least: a workflow task that the server takes away counts once more what it had counted."""
    for _ in range(600):
        if await counted_for(case) + len(await case.refused_attempts()) >= least:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{await counted_for(case)} of {least} were counted")


async def counted_for(case: Requested) -> int:
    """Refused or malformed, and not written down."""

    def tally() -> int:
        with case.running.office.ledger.recorder.datastore.get_connection() as conn:
            query = "select coalesce(sum(count), 0) as n from ledger.suppressed where case_id = %s"
            row = conn.execute(query, (case.case,)).fetchone()
        return int(row["n"]) if row else 0

    return await asyncio.to_thread(tally)


async def in_run(case: Requested, nth: int) -> None:
    for _ in range(200):
        if len(await histories_of(case.running.client, case.case)) >= nth:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{case.case} has no run {nth}")
