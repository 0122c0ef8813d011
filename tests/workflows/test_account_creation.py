"""Account creation as a durable workflow: asked, decided, set up, opened; each test ends by replaying its history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.account_creation_messages import (
    AmendRequest,
    ApproveAccount,
    AskForChanges,
    MeetCondition,
    OpenAccount,
    RefuseAccount,
    WithdrawRequest,
)
from domain.delegation import Delegate
from domain.requests import Condition
from tests.system import TASKS, a_request, sealed
from tests.workflows.running import Requested, Running

REQUESTED = ["AccountRequested", "Asked"]
APPROVED = [*REQUESTED, "AccountApproved", "Asked"]
SET_UP = [*APPROVED, *["TaskCompleted"] * len(TASKS), "SetUpCompleted", "Asked"]


async def test_an_account_is_opened_after_approval_set_up_and_confirmation(running: Running) -> None:
    case = await running.requested()
    await case.approved()
    await case.set_up()
    await case.confirmed()
    await case.done(OpenAccount(), "p-mac")
    ended = await case.ended()
    assert (ended["stage"], ended["refused"], ended["malformed"]) == ("open", None, None)
    assert await case.kinds() == [*SET_UP, "AdministrationConfirmed", "AdministrationConfirmed", "AccountOpened"]
    await case.replayed()


async def test_an_account_approved_with_conditions_opens_when_they_are_met(running: Running) -> None:
    case = await running.requested()
    await case.approved(conditions=(Condition(id="training", what=sealed()),))
    await case.set_up()
    await case.confirmed()
    refused = await case.submit(OpenAccount(), "p-mac")
    assert refused["refused"]["clauses"] == ["PR-1"]
    await case.done(MeetCondition(condition="training"), "p-bm-durant")
    await case.done(OpenAccount(), "p-mac")
    assert (await case.ended())["stage"] == "open"
    assert (await case.kinds())[-2:] == ["ConditionMet", "AccountOpened"]
    await case.replayed()


async def test_a_request_sent_back_is_amended_and_approved(running: Running) -> None:
    case = await running.requested()
    await case.done(AskForChanges(content=(await case.state()).content, reason=sealed()), "p-ed")
    await case.done(amended(case, posters=("p-bm-durant", "p-bs-durant-1")), "p-bm-durant")
    await case.approved()
    mended = ["ChangesAsked", "Asked", "RequestAmended", "Asked"]
    assert await case.kinds() == [*REQUESTED, *mended, "AccountApproved", "Asked"]
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_a_refused_request_ends_its_case_and_frees_the_handle(running: Running) -> None:
    case = await running.requested()
    await case.done(RefuseAccount(content=(await case.state()).content, reason=sealed()), "p-ed")
    ended = await case.ended()
    assert (ended["stage"], ended["position"], ended["refused"]) == ("refused", 3, None)
    assert await case.kinds() == [*REQUESTED, "AccountRefused"]
    await case.replayed()
    again = await running.requested(handle=handle_of(case))
    await again.done(WithdrawRequest(), "p-bm-durant")


async def in_review(case: Requested) -> None:
    """It is there already."""


async def with_changes_asked(case: Requested) -> None:
    await case.done(AskForChanges(content=(await case.state()).content, reason=sealed()), "p-ed")


async def in_set_up(case: Requested) -> None:
    await case.approved()


async def in_verification(case: Requested) -> None:
    await case.approved()
    await case.set_up()


@pytest.mark.parametrize("brought_there", [in_review, with_changes_asked, in_set_up, in_verification])
async def test_a_request_can_be_withdrawn_at_each_stage(
    running: Running, brought_there: Callable[[Requested], Awaitable[None]]
) -> None:
    case = await running.requested()
    await brought_there(case)
    await case.done(WithdrawRequest(), "p-bm-durant")
    assert (await case.ended())["stage"] == "withdrawn"
    assert (await case.kinds())[-1] == "RequestWithdrawn"
    await case.replayed()


async def test_nobody_approves_their_own_request(running: Running) -> None:
    case = await running.requested(person="p-ed")
    own = await case.submit(ApproveAccount(content=(await case.state()).content), "p-ed")
    assert own["refused"]["clauses"] == ["PR-1"]
    assert await case.kinds() == REQUESTED
    assert [each["by"]["id"] for each in await case.refused_attempts()] == ["p-ed"]
    await case.approved("p-board")
    assert (await case.state()).stage == "set_up"
    await case.done(WithdrawRequest(), "p-ed")
    await case.replayed()


async def test_a_delegates_approval_names_both_persons(running: Running) -> None:
    since = await running.now()
    lent = Delegate(
        to="p-ysc", processes=("account_creation",), since=since, until=since + timedelta(days=2), reason=sealed()
    )
    await running.directly(lent, "delegation", "p-ed")
    case = await running.requested()
    await case.approved("p-ysc")
    approval = (await case.envelopes())[2]
    assert (approval.actor.id, approval.on_behalf_of, approval.role) == ("p-ysc", "p-ed", "executive_director")
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_a_plain_signal_with_its_credential_approves(running: Running) -> None:
    case = await running.requested()
    await case.signal(ApproveAccount(content=(await case.state()).content), "p-ed")
    await case.until("set_up")
    assert (await case.envelopes())[2].actor.id == "p-ed"
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_a_command_sent_twice_is_done_once_and_answered_alike(running: Running) -> None:
    case, id_ = await running.requested(), str(uuid4())
    approve = ApproveAccount(content=(await case.state()).content)
    first, second = [await case.submit(approve, "p-ed", id_) for _ in range(2)]
    assert "recorded" in first
    assert first == second
    assert await case.kinds() == APPROVED
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_a_second_approval_is_refused(running: Running) -> None:
    case = await running.requested()
    approve = ApproveAccount(content=(await case.state()).content)
    assert "recorded" in await case.submit(approve, "p-ed")
    second = await case.submit(approve, "p-ed")
    assert second["refused"]["because"] == "ApproveAccount does not follow set up"
    assert await case.kinds() == APPROVED
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_an_approval_by_update_and_one_by_signal_make_one(running: Running) -> None:
    case = await running.requested()
    approve = ApproveAccount(content=(await case.state()).content)
    await asyncio.gather(case.signal(approve, "p-ed"), case.submit(approve, "p-ed"), case.signal(approve, "p-ed"))
    await case.done(WithdrawRequest(), "p-bm-durant")
    assert (await case.ended())["stage"] == "withdrawn"
    assert await case.kinds() == [*APPROVED, "RequestWithdrawn"]
    assert len(await case.refused_attempts()) == 2
    await case.replayed()


async def test_an_approval_of_what_the_request_said_before_is_refused(running: Running) -> None:
    case = await running.requested()
    before = (await case.state()).content
    await case.done(amended(case, posters=()), "p-bm-durant")
    late = await case.submit(ApproveAccount(content=before), "p-ed")
    assert late["refused"]["clauses"] == ["PR-1"]
    assert await case.kinds() == [*REQUESTED, "RequestAmended", "Asked"]
    await case.approved()
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def test_a_request_that_is_refused_at_the_door_ends_the_case_and_not_in_failure(running: Running) -> None:
    case = await running.request(administrators=("p-bm-durant", "p-bs-durant-1"))
    ended = await case.ended()
    assert ended["refused"]["clauses"] == ["PR-7"]
    assert (ended["stage"], ended["position"]) == ("not_requested", 0)
    assert [each["asked"] for each in await case.refused_attempts()] == ["account_creation.RequestAccount"]
    await case.replayed()


def amended(case: Requested, **changed: object) -> AmendRequest:
    return AmendRequest(**a_request(handle_of(case), **changed).model_dump())


def handle_of(case: Requested) -> str:
    return f"h{case.case[-12:]}"
