"""Four witnesses over a running system's log: clean where nothing was touched; each names what was planted for it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.account_creation_messages import ApproveAccount, OpenAccount, RefuseAccount, WithdrawRequest
from domain.run_history import RunHistoryKept, stream_of
from services.audit import procedures
from services.audit.history_keeper import HistoryKeeper
from services.audit.replay import disagreements, in_words, replayed
from services.audit.run_histories import packed, said, unpacked
from services.clock import SystemClock
from services.embedded import fresh_folder
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.embedded_temporal import EmbeddedTemporal
from services.evidence import EvidenceStore
from services.ledger import recorded_from
from services.projector import PROJECTIONS
from tests.fresh import fresh_database
from tests.projections.history import with_a_restart_after_each
from tests.services.auditing import changed, position_of, stored
from tests.system import Database, Office, sealed
from tests.workflows.running import NEUTRAL, Requested, Running, at_work

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Audited:
    """A library with an opened, a refused, a withdrawn and an open case, one of them brought back after its workflow
    was terminated; the histories of the ended runs kept."""

    def __init__(self, running: Running, database: Database, evidence: EvidenceStore) -> None:
        self.running, self.database, self.evidence = running, database, evidence
        self.keeper = HistoryKeeper(running.client, running.office.ledger, evidence)
        self.cases: dict[str, Requested] = {}

    async def live(self) -> None:
        opened = self.cases["opened"] = await self.running.requested()
        await opened.submit(ApproveAccount(content=(await opened.state()).content), "p-bm-durant")
        await opened.approved()
        await opened.set_up()
        await opened.confirmed()
        await opened.done(OpenAccount(), "p-mac")
        await opened.ended()
        refused = self.cases["refused"] = await self.running.requested()
        await refused.done(RefuseAccount(content=(await refused.state()).content, reason=sealed()), "p-ed")
        await refused.ended()
        brought_back = self.cases["brought back"] = await self.running.requested()
        await brought_back.approved()
        await brought_back.handle.terminate("a test")
        await self.running.reconciler.bring_back(brought_back.case)
        brought_back = self.running.follows(brought_back.case)
        await brought_back.done(WithdrawRequest(), "p-bm-durant")
        self.cases["open"] = await self.running.requested()
        await self.cases["open"].approved()

    async def keep(self) -> None:
        for _ in range(60):
            await self.keeper.one_pass()
            if len(await self.kept()) == 4:
                return
            await asyncio.sleep(0.25)
        raise AssertionError(f"the histories of {len(await self.kept())} runs are kept, not of 4")

    async def kept(self) -> list[RunHistoryKept]:
        found = []
        for case in self.cases.values():
            rows = await asyncio.to_thread(self.running.office.ledger.recorder.stream_after, stream_of(case.case), 0)
            found += [fact for row in rows if isinstance(fact := recorded_from(row).fact, RunHistoryKept)]
        return found

    async def replayed(self) -> dict[str, Any]:
        await self.project()
        return await self.asked()

    async def project(self) -> None:
        for kind in PROJECTIONS:
            await asyncio.to_thread(
                with_a_restart_after_each, self.database.url("projector"), kind, "", iter(lambda: 1_000, 0)
            )

    async def asked(self) -> dict[str, Any]:
        urls = self.database.url("reader"), self.database.url("projector")
        return await replayed(*urls, self.running.client, self.evidence)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audited(server: EmbeddedPostgreSQL) -> AsyncIterator[Audited]:
    with fresh_folder() as data, fresh_database(server) as database, EmbeddedTemporal(data) as temporal:
        client = await Client.connect(temporal.address, data_converter=pydantic_data_converter, identity=NEUTRAL)
        office = Office(database, SystemClock())
        async with at_work(client, office) as running:
            found = Audited(running, database, EvidenceStore(data / "evidence", office.ledger.recorder, office.seal))
            await found.live()
            await found.keep()
            await found.project()
            yield found


async def test_all_four_agree_where_nothing_was_touched(audited: Audited) -> None:
    found = await audited.replayed()
    assert [*disagreements(found)] == []
    assert found["histories"]["kept"] == 4
    assert found["histories"]["runs"] == 5
    assert found["decisions"]["agree"] == found["decisions"]["judged"] > 20
    assert found["steps"]["compared"] > 20
    assert "DISAGREES" not in in_words(found)


async def test_a_history_is_kept_sealed_once_and_opens_as_it_was(audited: Audited) -> None:
    case = audited.cases["refused"]
    (kept,) = [each for each in await audited.kept() if each.of_case == case.case]
    raw = await asyncio.to_thread(audited.evidence.get, kept.history)
    history = await case.handle.fetch_history()
    assert json.loads(unpacked(raw).to_json()) == json.loads(history.to_json())
    assert packed(unpacked(raw)) == raw
    assert (kept.ended, kept.steps, kept.history.under) == ("completed", len(history.events), (f"case:{case.case}",))
    before = len(await audited.kept())
    assert await HistoryKeeper(audited.running.client, audited.running.office.ledger, audited.evidence).one_pass() == 0
    assert len(await audited.kept()) == before


async def test_each_run_is_kept_with_how_it_ended(audited: Audited) -> None:
    case = audited.cases["brought back"].case
    assert {each.ended for each in await audited.kept() if each.of_case == case} == {"terminated", "completed"}


async def test_a_decision_that_was_changed_is_named_by_the_judgement_and_by_the_steps(audited: Audited) -> None:
    position = position_of(audited.database, "account_creation.AccountRefused")
    reason = sealed().model_copy(update={"ciphertext": "BBBB"}).model_dump(mode="json")
    with changed(audited.database, position, lambda said: said["fact"].update(reason=reason)):
        told = [*disagreements(await audited.asked())]
    assert any(each.startswith(f"decision at log position {position} ") for each in told)
    assert any("says something else" in each and each.startswith("steps of ") for each in told)


@pytest.fixture
def asked_again_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often, where it is known beforehand that the case and the log will never agree."""
    monkeypatch.setattr(procedures, "MEANWHILE_SECONDS", 0.02)


@pytest.mark.usefixtures("asked_again_sooner")
async def test_a_step_that_was_taken_out_of_the_log_is_named(audited: Audited) -> None:
    """The tail is cut: the history still tells of it."""
    case = audited.cases["open"].case
    with psycopg.connect(audited.database.superuser) as conn:
        conn.execute("alter table ledger.events disable trigger all")
        cut = "originator_id = %s and topic = 'account_creation.AccountApproved'"
        conn.execute(f"create table kept_aside as select * from ledger.events where {cut}".encode(), (case,))
        conn.execute(f"delete from ledger.events where {cut}".encode(), (case,))
    try:
        told = [*disagreements(await audited.asked())]
    finally:
        with psycopg.connect(audited.database.superuser) as conn:
            conn.execute("insert into ledger.events select * from kept_aside")
            conn.execute("drop table kept_aside")
            conn.execute("alter table ledger.events enable always trigger append_only_rows")
            conn.execute("alter table ledger.events enable always trigger append_only_table")
    lost = "its history tells of step 3 (account_creation.AccountApproved), which is not in the log"
    assert f"steps of {case}: {lost}" in told


@pytest.mark.usefixtures("asked_again_sooner")
async def test_a_step_that_stands_in_the_log_twice_is_named(audited: Audited) -> None:
    """The same event again, as a later one of the same case."""
    case = audited.cases["open"].case
    last = (await audited.cases["open"].envelopes())[-1]
    columns = """topic, recorded_at, at, occurred_at, actor, on_behalf_of, role, place, channel, cause, policy, shared,
        event_id, command_id, correlation, clauses, read_up_to"""
    again = f"""insert into ledger.events ({columns}, originator_id, originator_version, notification_id, state)
        select {columns}, originator_id, originator_version + 1, (select max(notification_id) + 1 from ledger.events),
        convert_to(replace(convert_from(state, 'UTF8'), '"position":' || originator_version || ',',
        '"position":' || originator_version + 1 || ','), 'UTF8')
        from ledger.events where originator_id = %s and originator_version = %s"""
    gone = "delete from ledger.events where originator_id = %s and originator_version > %s"
    changed_by_hand(audited.database, again, (case, last.position))
    try:
        told = [*disagreements(await audited.asked())]
    finally:
        changed_by_hand(audited.database, gone, (case, last.position))
    assert f"steps of {case}: its history tells of the event {last.event_id}, which is in the log 2 times" in told


def changed_by_hand(database: Database, statement: str, given: tuple[Any, ...]) -> None:
    with psycopg.connect(database.superuser) as conn:
        conn.execute("alter table ledger.events disable trigger all")
        conn.execute(statement.encode(), given)
        conn.execute("alter table ledger.events enable always trigger append_only_rows")
        conn.execute("alter table ledger.events enable always trigger append_only_table")


async def test_an_event_in_the_name_of_a_run_that_there_never_was_is_named(audited: Audited) -> None:
    case, made_up = audited.cases["refused"].case, "00000000-0000-0000-0000-000000000000"
    position = position_of(audited.database, "founding.SystemFounded")
    with changed(audited.database, position, lambda said: said.update(workflow=case, run=made_up)):
        told = [*disagreements(await audited.asked())]
    steps = [each for each in told if each.startswith("steps of ")]
    assert steps == [f"steps of {case}: events name the run {made_up}, of which there is no history"]


async def test_an_attempt_of_which_its_workflow_was_not_told_is_named(audited: Audited) -> None:
    """An attempt that came to a workflow is put into the place of one that came by another door."""
    case, opened = audited.cases["opened"], "account_creation.AccountOpened"
    state = await case.state()
    answer = await asyncio.to_thread(
        audited.running.office.submit, ApproveAccount(content=state.content), case.case, "p-ed"
    )
    run = json.loads(stored(audited.database, position_of(audited.database, opened)))["run"]
    with changed(audited.database, answer.position, lambda said: said.update(workflow=case.case, run=run)):
        told = [*disagreements(await audited.asked())]
    where = f"attempts.AttemptRefused at log position {answer.position}"
    assert told == [f"steps of {case.case}: {where} names its workflow, whose history has no such step"]


async def test_a_kept_history_that_was_edited_lost_or_exchanged_is_named(audited: Audited) -> None:
    kept = {each.of_case: each for each in await audited.kept()}
    one, other = kept[audited.cases["refused"].case], kept[audited.cases["opened"].case]
    file, another = (audited.evidence._file(each.history.sha256) for each in (one, other))
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        edited = [*disagreements(await audited.asked())]
        file.write_bytes(another.read_bytes())
        exchanged = [*disagreements(await audited.asked())]
        file.unlink()
        lost = [*disagreements(await audited.asked())]
    finally:
        file.write_bytes(whole)
    where = f"history of {one.of_case}, run {one.run}: "
    assert edited == exchanged == [f"{where}its kept history was changed: it is not what its name in the log says"]
    assert lost == [f"{where}its kept history is lost: the file is not there"]


async def test_a_history_edited_before_it_was_kept_is_named_by_the_procedure(audited: Audited) -> None:
    """Sealed and named anew, so that its hash is right: what it says is not what today's code does."""
    kept = next(each for each in await audited.kept() if each.of_case == audited.cases["refused"].case)
    found = await asked_with_another_history(audited, kept)
    told = [*disagreements(found)]
    assert len(told) == 1
    assert told[0].startswith(f"history of {kept.of_case}, run {kept.run}: today's code goes another way")


async def test_a_run_that_no_worker_could_go_on_with_and_that_was_begun_anew_is_told_and_disagrees_with_nothing(
    audited: Audited,
) -> None:
    kept = next(each for each in await audited.kept() if each.ended == "terminated")
    found = await asked_with_another_history(audited, kept)
    assert found["histories"]["replaced"] == [f"{kept.of_case} {kept.run}"]
    assert [*disagreements(found)] == []


async def asked_with_another_history(audited: Audited, kept: RunHistoryKept) -> dict[str, Any]:
    history = json.loads(gzip.decompress(await asyncio.to_thread(audited.evidence.get, kept.history)))
    markers = [each for each in history["history"]["events"] if each["eventType"] == "EVENT_TYPE_MARKER_RECORDED"]
    payload = markers[-1]["markerRecordedEventAttributes"]["details"]["data"]["payloads"][0]
    another = base64.b64decode(payload["data"]).replace(b'"record"', b'"let_time_pass"')
    payload["data"] = base64.b64encode(another).decode()
    raw = packed(unpacked(gzip.compress(json.dumps(history).encode())))
    named = await asyncio.to_thread(audited.evidence.put, raw, "application/gzip", kept.of_case)
    position = await position_of_kept(audited, kept)
    put = named.model_dump(mode="json")

    def exchange(said: dict[str, Any]) -> None:
        said["fact"]["history"] = put
        said["command"]["fields"]["history"] = put

    with changed(audited.database, position, exchange):
        return await audited.asked()


async def position_of_kept(audited: Audited, kept: RunHistoryKept) -> int:
    rows = await asyncio.to_thread(audited.running.office.ledger.recorder.stream_after, stream_of(kept.of_case), 0)
    return next(row.log_position for row in rows if recorded_from(row).fact == kept)


async def test_a_run_whose_case_key_is_destroyed_is_told_as_erased_and_disagrees_with_nothing(
    audited: Audited,
) -> None:
    kept = next(each for each in await audited.kept() if each.of_case == audited.cases["refused"].case)
    with psycopg.connect(audited.database.superuser) as conn:
        conn.execute("create table kept_key as select * from keys.wrapping where key_id = %s", kept.history.under)
        conn.execute("delete from keys.wrapping where key_id = %s", kept.history.under)
    fresh = Office(audited.database)
    try:
        audited.evidence, before = (
            EvidenceStore(audited.evidence._folder, fresh.ledger.recorder, fresh.seal), audited.evidence,
        )  # fmt: skip
        found = await audited.asked()
    finally:
        audited.evidence = before
        fresh.close()
        with psycopg.connect(audited.database.superuser) as conn:
            conn.execute("insert into keys.wrapping select * from kept_key")
            conn.execute("drop table kept_key")
    assert found["histories"]["erased"] == [f"{kept.of_case} {kept.run}"]
    assert [*disagreements(found)] == []


async def test_a_row_that_someone_changed_in_a_view_is_named(audited: Audited) -> None:
    await audited.replayed()
    with psycopg.connect(audited.database.url("projector")) as conn:
        conn.execute("update views.cases set stage = 'open' where stage = 'refused'")
    told = [*disagreements(await audited.asked())]
    assert [each.partition(":")[0] for each in told] == ["projection cases", "projection cases"]


async def test_what_a_history_says_was_recorded_is_read_from_markers_and_activities(audited: Audited) -> None:
    case = audited.cases["opened"]
    found = said(await case.handle.fetch_history())
    envelopes = await case.envelopes()
    assert [each.position for each in found.steps] == [each.position for each in envelopes]
    assert set(found.recorded) <= {each.event_id for each in envelopes}
    assert len(found.refused_at) == 1


async def test_of_a_case_whose_key_is_destroyed_no_history_is_kept_and_the_others_are(audited: Audited) -> None:
    """With someone whom the case was about, before its history was taken out of Temporal."""
    forgotten, other = [await audited.running.requested() for _ in range(2)]
    for case in (forgotten, other):
        await case.done(WithdrawRequest(), "p-bm-durant")
        await case.ended()
    with psycopg.connect(audited.database.superuser) as conn:
        conn.execute("insert into keys.destroyed values (%s, now(), 'before', 'after', 0)", (f"case:{forgotten.case}",))
    keeper = HistoryKeeper(audited.running.client, audited.running.office.ledger, audited.evidence)
    assert await keeper.one_pass() == 1
    kept = {each: await audited.running.envelopes(stream_of(each.case)) for each in (forgotten, other)}
    assert (len(kept[forgotten]), len(kept[other])) == (0, 1)
    assert (await keeper.one_pass(), keeper._left) == (0, {})
