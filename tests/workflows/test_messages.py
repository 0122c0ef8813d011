"""What anyone who reaches Temporal can send: nothing without its proof has an effect, nothing at all stops a case, and
what was sent early is not lost."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import OperationalError
from pydantic_core import to_json
from temporalio.api.enums.v1 import EventType
from temporalio.client import WithStartWorkflowOperation, WorkflowHistory
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy

from domain.account_creation_messages import ApproveAccount, RefuseAccount, WithdrawRequest
from domain.attempts import stream_beside
from domain.facts import Command
from services.awaited import AwaitedLedger
from services.embedded_temporal import SEARCH_ATTRIBUTES as REGISTERED
from tests.system import a_case, a_request, sealed
from tests.workflows.running import Requested, Running, bytes_of, histories_of
from workflows.case import LARGEST_MESSAGE_BYTES, SEARCH_ATTRIBUTES
from workflows.messages import NO_CASE, OPENED

REQUESTED = ["AccountRequested", "Asked"]
APPROVED = [*REQUESTED, "AccountApproved", "Asked"]


# -- starting


async def test_a_workflow_started_without_a_credential_ends_refused_and_on_record(running: Running) -> None:
    case = a_case()
    payload = (await running.payload(a_request("a.forgery"), case, "p-ed")) | {"credential": ""}
    started = await running.start(payload, case)
    ended = await started.ended()
    assert (ended["refused"]["because"], ended["position"]) == ("there is no credential", 0)
    assert await started.kinds() == []
    assert (await beside_made_up_cases(running))[-1] == ("account_creation.RequestAccount", "there is no credential")
    await started.replayed()
    await withdrawn(await running.requested(handle="a.forgery"))


async def test_a_workflow_started_with_anothers_credential_ends_refused(running: Running) -> None:
    case, other = a_case(), a_case()
    payload = await running.payload(a_request("a.forgery"), case, "p-ed")
    of_another = await running.payload(a_request("a.forgery"), other, "p-ed", payload["id"])
    started = await running.start(payload | {"credential": of_another["credential"]}, case)
    assert (await started.ended())["refused"]["because"] == "the credential is for another case"
    assert await started.kinds() == []
    assert (await beside_made_up_cases(running))[-1][1] == "the credential is for another case"


@pytest.mark.parametrize(
    "start",
    [
        {"resume": True},
        {"state": {"case": "x", "position": 99, "stage": "set_up"}},
        {"resume": True, "state": {"position": 5}},
        {},
        [],
        "text",
        None,
        bytes_of(b"\xff\x00not json"),
        bytes_of(b"{}", encoding="binary/encrypted"),
    ],
    ids=["resume", "a state", "both", "empty", "a list", "a text", "null", "no json", "another encoding"],
)
async def test_a_workflow_started_for_a_case_that_does_not_exist_ends_without_effect(
    running: Running, start: Any
) -> None:
    started = await running.start(start, a_case())
    ended = await started.ended()
    assert (ended["stage"], ended["position"]) == ("not_requested", 0)
    assert await started.kinds() == []


async def test_a_workflow_started_with_nothing_ends_malformed(running: Running) -> None:
    case = a_case()
    handle = await running.client.start_workflow("AccountCreation", id=case, task_queue=running.queue)
    ended = await handle.result()
    assert ended["malformed"]["field"] == "message"


@pytest.mark.parametrize(
    "id_", ["founding", "directory", "posting_rights-{case}", "{case}!attempts", "account_creation"]
)
async def test_a_workflow_under_an_id_that_is_no_case_reads_and_writes_no_stream(running: Running, id_: str) -> None:
    withdrawn_case = await running.requested()
    await withdrawn_case.submit(ApproveAccount(content="0" * 64), "p-ed")
    await withdrawn(withdrawn_case)
    started = await running.start({"resume": True}, id_.format(case=withdrawn_case.case))
    ended = await started.ended()
    assert (ended["stage"], ended["position"]) == ("not_requested", 0)


async def test_a_forged_state_is_not_taken_up_by_the_next_run_of_a_schedule(running: Running) -> None:
    forged = {"state": {"case": "x", "position": 99, "stage": "set_up"}}
    case = (await running.start(forged, a_case(), cron_schedule="* * * * *")).case
    await running.sleep_until(await running.now() + timedelta(minutes=3))
    *_, before, latest = await histories_of(running.client, case)
    assert before.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    came_to = latest.events[0].workflow_execution_started_event_attributes.last_completion_result.payloads[0]
    assert (json.loads(came_to.data)["stage"], json.loads(came_to.data)["position"]) == ("not_requested", 0)
    await running.client.get_workflow_handle(case, run_id=latest.run_id).terminate()


async def test_an_update_with_start_is_answered_with_the_opening(running: Running) -> None:
    case = a_case()
    payload = await running.payload(a_request(f"h{case[-12:]}"), case, "p-bm-durant")
    start, answer = await started_with(running, case, payload, "submit", payload)
    assert [each["kind"] for each in answer["recorded"]] == ["account_creation.AccountRequested", "waiting.Asked"]
    requested = Requested(running, await start.workflow_handle(), case, payload)
    assert await requested.opened() == answer
    await withdrawn(requested)


async def test_who_starts_a_case_may_ask_what_became_of_it_without_sending_it_again(running: Running) -> None:
    case = await running.requested()
    as_started = await opening_of(case)
    answer = await case.handle.execute_update(OPENED, digest_of(as_started))
    assert [each["kind"] for each in answer["recorded"]] == ["account_creation.AccountRequested", "waiting.Asked"]
    assert await case.handle.execute_update(OPENED, digest_of(as_started + b" ")) == {}
    for bad in ({}, {"sha256": None}, "", 7):
        assert await case.handle.execute_update(OPENED, bad) == {}
    await withdrawn(case)
    await case.replayed()


async def test_what_became_of_a_refused_opening_is_told_too(running: Running) -> None:
    case = a_case()
    opening = await running.payload(a_request(administrators=()), case, "p-bm-durant")
    message = to_json(opening)
    start, answer = await started_with(running, case, bytes_of(message), OPENED, digest_of(message))
    assert "PR-7" in answer["refused"]["clauses"]
    refused = Requested(running, await start.workflow_handle(), case, opening)
    assert (await refused.ended())["stage"] == "not_requested"
    await refused.replayed()


async def started_with(
    running: Running, case: str, opening: Any, update: str, asked: Any
) -> tuple[WithStartWorkflowOperation[Any, Any], dict[str, Any]]:
    """The start of a case and the answer to the update that came with it."""
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "AccountCreation",
        opening,
        id=case,
        task_queue=running.queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return start, await running.client.execute_update_with_start_workflow(update, asked, start_workflow_operation=start)


async def opening_of(case: Requested) -> bytes:
    history = await case.handle.fetch_history()
    return history.events[0].workflow_execution_started_event_attributes.input.payloads[0].data


def digest_of(message: bytes) -> dict[str, str]:
    return {"sha256": sha256(message).hexdigest()}


async def test_what_is_sent_before_the_opening_is_recorded_is_taken_up_after_it(running: Running) -> None:
    case = a_case()
    opening = await running.payload(a_request(f"h{case[-12:]}"), case, "p-bm-durant")
    early = await running.payload(WithdrawRequest(), case, "p-bm-durant")
    started = await running.start(opening, case, start_signal="submit", start_signal_args=[early])
    assert (await started.ended())["stage"] == "withdrawn"
    assert await started.kinds() == [*REQUESTED, "RequestWithdrawn"]
    await started.replayed()


async def test_what_is_sent_with_a_refused_opening_is_answered_too(running: Running) -> None:
    case = a_case()
    opening = await running.payload(a_request(administrators=()), case, "p-bm-durant")
    early = await running.payload(WithdrawRequest(), case, "p-bm-durant")
    started = await running.start(opening, case, start_signal="submit", start_signal_args=[early])
    assert (await started.ended())["stage"] == "not_requested"
    refused = [each["asked"].partition(".")[2] for each in await started.refused_attempts()]
    assert refused == ["RequestAccount", "WithdrawRequest"]
    await started.replayed()


# -- proof


@pytest.mark.parametrize(
    ("forged", "because"),
    [
        ("none", "there is no credential"),
        ("made up", "the credential is not signed by a door of this system"),
        ("another case", "the credential is for another case"),
        ("another id", "the credential is for another command id"),
        ("another command", "the credential is for another command or other content"),
        ("expired", "the credential has expired: it was good for 72 hours"),
    ],
)
async def test_an_approval_without_its_own_proof_changes_nothing_and_is_on_record(
    running: Running, forged: str, because: str
) -> None:
    case = await running.requested()
    approve = ApproveAccount(content=(await case.state()).content)
    message = await running.payload(approve, case.case, "p-ed")
    refuse = RefuseAccount(content=approve.content, reason=sealed())
    if forged == "expired":
        await running.sleep_until(await running.now() + timedelta(hours=73))
    message["credential"] = {
        "none": "",
        "made up": "eyJhbGciOiJFZDI1NTE5In0.e30.AAAA",
        "another case": (await running.payload(approve, a_case(), "p-ed", message["id"]))["credential"],
        "another id": (await running.payload(approve, case.case, "p-ed"))["credential"],
        "another command": (await running.payload(refuse, case.case, "p-ed", message["id"]))["credential"],
        "expired": message["credential"],
    }[forged]
    await case.handle.signal("submit", message)
    answer = await case.handle.execute_update("submit", message)
    assert (answer["unproven"], answer["refused"]["because"]) == (True, because)
    assert (await case.state()).stage == "executive_review"
    attempts = await case.refused_attempts()
    assert [(each["by"]["kind"], each["because"]) for each in attempts] == [("unproven", because)] * 2
    proven = await case.submit(approve, "p-ed", message["id"])  # no command id was burnt
    assert "recorded" in proven
    await withdrawn(case)


async def test_a_proven_message_for_another_case_is_refused_here(running: Running) -> None:
    case, other = await running.requested(), await running.requested()
    message = await running.payload(WithdrawRequest(), other.case, "p-bm-durant")
    answer = await case.handle.execute_update("submit", message)
    assert answer["refused"]["because"] == "the message is for another case"
    assert [await each.kinds() for each in (case, other)] == [REQUESTED, REQUESTED]
    await withdrawn(case)
    await withdrawn(other)


# -- junk

NESTED = b'{"a":' * 190 + b"{}" + b"}" * 190
JUNK: dict[str, list[RawValue]] = {
    "nothing": [],
    "two parts": [bytes_of(b"{}"), bytes_of(b"\xff")],
    "no json": [bytes_of(b"{")],
    "no utf-8": [bytes_of(b'{"kind": "\xff"}')],
    "half a surrogate": [bytes_of(b'{"kind": "\\ud800", "id": "", "case": "", "fields": {}}')],
    "a list": [bytes_of(b"[]")],
    "a number": [bytes_of(b"1")],
    "null": [bytes_of(b"null", encoding="binary/null")],
    "not a number": [bytes_of(b'{"kind": NaN}')],
    "bytes": [bytes_of(b"\x00" * 1_000, encoding="binary/plain")],
    "protobuf": [bytes_of(b"{}", encoding="json/protobuf")],
    "an unknown encoding": [bytes_of(b"{}", encoding="x")],
    "deep": [bytes_of(NESTED)],
    "too deep": [bytes_of(b'{"a":' * 5_000 + b"1" + b"}" * 5_000)],
    "a megabyte": [bytes_of(json.dumps({"kind": "x" * 1_000_000}).encode())],
    "as much as is read": [bytes_of(json.dumps({"kind": '"' * (LARGEST_MESSAGE_BYTES // 2 - 20)}).encode())],
}


def of_kind(kind: object, **fields: object) -> RawValue:
    message = {"kind": kind, "id": str(uuid4()), "case": a_case(), "fields": fields, "credential": "x"}
    return bytes_of(json.dumps(message).encode())


WELL_FORMED_JUNK: dict[str, list[RawValue]] = {
    "no such command": [of_kind("account_creation.Abolish")],
    "a fact": [of_kind("account_creation.AccountApproved", content="0" * 64)],
    "a field too many": [of_kind("account_creation.WithdrawRequest", stage="open")],
    "a command of the system": [of_kind("waiting.LetTimePass")],
    "a large number": [of_kind("account_creation.CompleteTask", task="logo", evidence=[{"size": 10**400}])],
    "a nul": [of_kind("account_creation.CompleteTask", task="logo\x00")],
    "a nul in what is sealed": [
        of_kind("account_creation.WithdrawRequest", reason=sealed().model_dump() | {"ciphertext": "\x00"})
    ],
}


@pytest.mark.parametrize("junk", [*JUNK.values(), *WELL_FORMED_JUNK.values()], ids=[*JUNK, *WELL_FORMED_JUNK])
async def test_no_shape_of_message_stops_a_case(running: Running, junk: list[RawValue]) -> None:
    case = await running.requested()
    for name in ("submit", "nudge", "no such signal"):
        await case.handle.signal(name, args=junk)
    answer = await case.handle.execute_update("submit", args=junk)
    assert "malformed" in answer or answer["unproven"]
    assert "malformed" in await case.handle.execute_update("no such update", args=junk)
    await case.approved()
    assert await case.kinds() == APPROVED
    await withdrawn(case)


async def test_malformed_messages_are_counted_and_nothing_of_them_is_kept(running: Running) -> None:
    case = await running.requested()
    for _ in range(5):
        await case.handle.signal("submit", bytes_of(b"{malformed"))
    await withdrawn(case)
    await running.sleep_until(await running.now() + timedelta(hours=2))
    await asyncio.to_thread(running.office.ledger.close_tallies)
    beside = await running.envelopes(stream_beside(case.case))
    assert [(each.kind, each.fact["by"], each.fact["count"], each.command) for each in beside] == [
        ("attempts.AttemptsSuppressed", "malformed", 5, None)
    ]


# -- Temporal


async def test_cancelling_the_workflow_does_not_end_the_case(running: Running) -> None:
    case = await running.requested()
    await case.handle.cancel()
    await case.approved()
    await withdrawn(case)


async def test_what_the_ledger_cannot_take_at_once_is_an_ordinary_activity_and_is_done_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await running.requested()
    submit, failures = AwaitedLedger.submit, iter(range(2))

    async def with_an_outage(*args: Any) -> Any:
        answer = await submit(*args)
        if next(failures, None) is not None:
            raise OperationalError("recorded, and then the connection was lost")
        return answer

    monkeypatch.setattr(AwaitedLedger, "submit", with_an_outage)
    await case.approved()
    monkeypatch.undo()
    assert await case.kinds() == APPROVED
    (history,) = await histories_of(running.client, case.case)
    assert sum(each.HasField("activity_task_scheduled_event_attributes") for each in history.events) == 1
    await withdrawn(case)


async def test_a_case_can_be_searched_for_by_what_it_waits_for(running: Running) -> None:
    case = await running.requested()
    assert await shown(case) == {
        "ImprimaturProcess": "account_creation",
        "ImprimaturStage": "executive_review",
        "ImprimaturBranch": "durant",
        "ImprimaturAccount": (await case.state()).account,
        "ImprimaturWaitingFor": "executive_director",
    }
    await withdrawn(case)
    assert (await shown(case))["ImprimaturStage"] == "withdrawn"
    assert {key.name for key in SEARCH_ATTRIBUTES.values()} == set(REGISTERED)


async def test_no_sealed_text_stands_in_temporals_history(running: Running) -> None:
    """Sealed with real keys, the marker is in no event of the history; the same search finds what is not sealed."""
    marker = "the-director-alone-reads-this"
    case, id_ = a_case(), str(uuid4())

    def text(field: str, command_id: str) -> Any:
        return running.office.seal.text(marker, case, command_id, field)

    wanted = a_request(f"h{case[-12:]}", purpose=text("purpose", id_), audience=text("audience", id_))
    requested = await running.start(await running.payload(wanted, case, "p-bm-durant", id_), case)
    await requested.opened()
    await sealed_refusal(requested, marker)
    (history,) = await histories_of(running.client, case)
    written = everything_in(history)
    assert marker.encode() not in written
    assert running.office.seal.opened(wanted.purpose, id_, "purpose") == marker
    assert wanted.purpose.ciphertext.encode() in written
    assert wanted.handle.encode() in written


async def sealed_refusal(case: Requested, marker: str) -> None:
    id_ = str(uuid4())
    reason = case.running.office.seal.text(marker, case.case, id_, "reason")
    refuse: Command = RefuseAccount(content=(await case.state()).content, reason=reason)
    assert "recorded" in await case.submit(refuse, "p-ed", id_)
    await case.ended()


async def test_what_was_shown_rightly_at_the_start_is_not_shown_again(running: Running) -> None:
    case = a_case()
    opening = await running.payload(a_request(f"s{case[-10:]}"), case, "p-bm-durant")
    like = await running.requested()
    seen = {name.removeprefix("Imprimatur"): value for name, value in (await shown(like)).items()}
    seen["Account"] = seen["Account"].rpartition(":")[0] + f":s{case[-10:]}"
    started = await running.start(opening, case, search_attributes=shown_at_the_start(**seen))
    assert "recorded" in await started.opened()
    assert await shown(started) == {f"Imprimatur{name}": value for name, value in seen.items()}
    assert await upserts(like) == 1
    assert await upserts(started) == 0
    await withdrawn(started)
    assert (await shown(started))["ImprimaturStage"] == "withdrawn"
    await withdrawn(like)


async def test_what_was_shown_wrongly_at_the_start_is_put_right(running: Running) -> None:
    case = a_case()
    opening = await running.payload(a_request(f"w{case[-10:]}"), case, "p-bm-durant")
    wrong = shown_at_the_start(Stage="open", Branch="winona")
    started = await running.start(opening, case, search_attributes=wrong)
    assert "recorded" in await started.opened()
    found = await shown(started)
    assert (found["ImprimaturStage"], found["ImprimaturBranch"]) == ("executive_review", "durant")
    await withdrawn(started)


def shown_at_the_start(**seen: str) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(SEARCH_ATTRIBUTES[name], value) for name, value in seen.items()])


async def upserts(case: Requested) -> int:
    (history,) = await histories_of(case.running.client, case.case)
    kind = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
    return sum(event.event_type == kind for event in history.events)


def everything_in(history: WorkflowHistory) -> bytes:
    return b"".join(each.SerializeToString() for each in history.events)


async def beside_made_up_cases(running: Running) -> list[tuple[str, str]]:
    """What was refused to workflows of cases that do not exist: they share one stream."""
    return [(each.fact["asked"], each.fact["because"]) for each in await running.envelopes(stream_beside(NO_CASE))]


async def shown(case: Requested) -> dict[str, Any]:
    found = (await case.handle.describe()).typed_search_attributes
    return {pair.key.name: pair.value for pair in found if pair.key.name.startswith("Imprimatur")}


async def withdrawn(case: Requested) -> None:
    await case.done(WithdrawRequest(), "p-bm-durant")
    assert (await case.ended())["stage"] == "withdrawn"
    await case.replayed()
