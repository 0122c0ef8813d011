"""Account creation as a durable workflow: asked, decided, set up, opened; each test ends by replaying its history."""

from __future__ import annotations

from domain.account_creation import (
    ApproveAccount,
    AskForChanges,
    CompleteTask,
    ConfirmAdministration,
    OpenAccount,
    RefuseAccount,
    WithdrawRequest,
)
from tests.system import LOGO, TASKS, sealed
from tests.workflows.conftest import Requested, Running


async def approved(case: Requested) -> None:
    await case.opened()
    answer = await case.submit(ApproveAccount(content=(await case.state()).content), "p-ed")
    assert "recorded" in answer, answer


async def set_up(case: Requested) -> None:
    for task in TASKS:
        logo = {"logo_sha256": LOGO, "logo_source": "marketing_and_access_coordinator"} if task == "logo" else {}
        answer = await case.submit(CompleteTask(task=task, **logo), "p-mac")
        assert "recorded" in answer, answer


async def test_an_account_is_opened_after_approval_set_up_and_confirmation(running: Running) -> None:
    case = await running.request()
    await approved(case)
    await set_up(case)
    for administrator in ("p-mac", "p-bm-durant"):
        assert "recorded" in await case.submit(ConfirmAdministration(), administrator)
    assert "recorded" in await case.submit(OpenAccount(), "p-mac")
    ended = await case.handle.result()
    assert ended["stage"] == "open"
    await case.replayed()
