"""Rights, delegations and staff changes on the running system, as people and HR meet them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.settings import Settings
from services.staff import NIGHTLY
from services.worker import connected
from tests.services.running import RunningSystem, running_system
from tests.system import LOGO, STAFF, TASKS

HOLDER, MANAGER = "p-bs-durant-1", "p-bm-durant"


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        open_account(system)
        yield system


def open_account(system: RunningSystem) -> None:
    case = system.requested(handle="durantlibrary")
    assert system.cli("act", case, "ApproveAccount", "--as", "p-ed").exit_code == 0
    for task in TASKS:
        logo = {"logo_source": "marketing_and_access_coordinator", "logo_sha256": LOGO} if task == "logo" else {}
        system.json("act", case, "CompleteTask", "-", "--as", "p-mac", given={"task": task} | logo)
    for person in ("p-mac", MANAGER):
        assert system.cli("act", case, "ConfirmAdministration", "--as", person).exit_code == 0
    assert system.cli("act", case, "OpenAccount", "--as", "p-mac").exit_code == 0


def until(come: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := come()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.3)
    return found


def asks(system: RunningSystem, person: str, **more: Any) -> dict[str, Any]:
    wanted = {"accounts": ["facebook:durantlibrary"], "purpose": "Story times"} | more
    answer: dict[str, Any] = system.json("request", "posting_rights", "-", "--as", person, given=wanted)
    return answer


def hr_says(system: RunningSystem, tmp_path: Path, old: str, new: str) -> None:
    text = STAFF.read_text(encoding="utf-8")
    assert old in text
    feed = tmp_path / "feed.csv"
    feed.write_text(text.replace(old, new), encoding="utf-8")
    assert system.cli("staff", "import", str(feed)).exit_code == 0


def explained(system: RunningSystem, person: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = system.json("explain", "posting", person, "facebook:DurantLibrary", *more)
    return found


def test_a_right_is_asked_for_granted_explained_and_ends_when_its_holder_moves(
    system: RunningSystem, tmp_path: Path
) -> None:
    case = asks(system, HOLDER)["case"]
    assert [each["case"] for each in system.json("inbox", "--as", MANAGER)].count(case) == 1
    refused = system.cli("act", case, "GrantRights", "--as", HOLDER)
    assert (refused.exit_code, "PR-5" in refused.stderr) == (3, True)
    assert not explained(system, HOLDER)["may"]
    before = datetime.now(UTC)
    assert system.cli("act", case, "GrantRights", "--as", MANAGER).exit_code == 0
    now = explained(system, HOLDER)
    assert (now["may"], now["chain"][-1]["by"]) == (True, MANAGER)
    assert not explained(system, HOLDER, "--at", before.isoformat())["may"]
    assert system.json("rights")[0]["holder"] == HOLDER

    preview = system.json("staff", "preview", HOLDER, "--leaving", "2031-01-31")
    assert preview["cases"] == []  # its term is over by then
    day = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    preview = system.json("staff", "preview", HOLDER, "--leaving", day)
    assert [each["case"] for each in preview["rights_end"]] == [case]

    row = "Library Assistant,durant,p-bm-durant"
    hr_says(system, tmp_path, row, row.replace("durant,", "west,"))
    until(lambda: system.json("case", "show", case)["stage"] == "ended")
    assert "nor has a right" in explained(system, HOLDER)["because"]
    changes = until(lambda: [each for each in system.json("case", "list") if each["process"] == "staff_change"])
    report = until(lambda: reports(system, changes[0]["case"]))
    assert [each["case"] for each in report[0]["consequences"]] == [case]
    assert system.cli("staff", "orphans").exit_code == 0


def reports(system: RunningSystem, case: str) -> list[dict[str, Any]]:
    facts = system.json("case", "show", case)["facts"]
    return [each["fact"] for each in facts if each["kind"] == "staff_change.StaffChangeReported"]


def test_who_posts_by_role_and_a_term_of_nothing_are_refused_with_their_clauses(system: RunningSystem) -> None:
    assert asks(system, MANAGER)["refused"]["clauses"] == ["PR-4"]
    for months in (0, 1_200):
        assert asks(system, "p-bs-durant-2", months=months)["refused"]["clauses"] == ["PR-5"]
    refused = asks(system, "p-bs-durant-2", accounts=["facebook:nowhere"])["refused"]
    assert "no account" in refused["because"]


def test_a_delegation_is_given_used_and_ended_at_the_command_line(system: RunningSystem) -> None:
    now = datetime.now(UTC)
    window = {"since": now.isoformat(), "until": (now + timedelta(days=2)).isoformat()}
    given = {"to": "p-bs-durant-2", "processes": ["posting_rights_branch"], "reason": "away", **window}
    answer = system.json("act", "delegation", "Delegate", "-", "--as", "p-bm-kosciusko", given=given)
    assert [each["kind"] for each in answer["recorded"]] == ["delegation.Delegated"]
    case = asks(system, "p-bs-kosciusko-1")["case"]
    assert system.cli("act", case, "GrantRights", "--as", "p-bs-durant-2").exit_code == 0
    (granted,) = [each for each in system.json("audit", "trail", "--case", case) if each["kind"].endswith("Granted")]
    assert (granted["actor"], granted["on_behalf_of"]) == ("p-bs-durant-2", "p-bm-kosciusko")
    end = {"delegation": answer["command"]}
    answer = system.json("act", "delegation", "EndDelegation", "-", "--as", "p-bm-kosciusko", given=end)
    assert [each["kind"] for each in answer["recorded"]] == ["delegation.DelegationEnded"]


def test_a_leaver_leaves_a_remedy_that_headquarters_mends(system: RunningSystem, tmp_path: Path) -> None:
    row = "Branch Manager,durant,p-ed,true"
    hr_says(system, tmp_path, row, row.replace("true", "false"))
    (remedy,) = until(lambda: system.json("remedies"))
    assert remedy["account"] == "account:facebook:durantlibrary"
    until(lambda: reports(system, remedy["case"]))
    seat = {"account": remedy["account"], "person": "p-ysc"}
    answer = system.json("act", remedy["case"], "SeatAdministrator", "-", "--as", "p-mac", given=seat)
    assert "recorded" in answer, answer
    assert until(lambda: system.json("remedies") == [])
    assert until(lambda: system.cli("staff", "orphans").exit_code == 0)


def test_the_api_explains_and_lists_as_the_command_line_does(system: RunningSystem) -> None:
    headers = {"Authorization": f"Bearer {system.token('p-mac')}"}
    with httpx.Client(base_url=system.url, headers=headers) as api:
        asked = {"person": "p-mac", "account": "facebook:durantlibrary"}
        found = api.get("/api/v1/explain/posting", params=asked)
        assert (found.status_code, found.json()["may"], found.json()["clauses"]) == (200, True, ["PR-4"])
        assert api.get("/api/v1/explain/posting", params=asked | {"account": "nothing"}).status_code == 422
        assert api.get("/api/v1/explain/posting", params={"person": "p-mac"}).status_code == 422
        assert {each["holder"] for each in api.get("/api/v1/rights").json()} == {HOLDER, "p-bs-kosciusko-1"}
        assert api.get("/api/v1/remedies").json() == []


@pytest.mark.parametrize(
    "argv",
    [
        ("staff", "preview", HOLDER, "--leaving", "tomorrow"),
        ("staff", "preview", "p-nobody", "--leaving", "2030-01-01"),
        ("explain", "posting", HOLDER, "nothing"),
        ("explain", "posting", HOLDER, "facebook:x", "--at", "2999-01-01T00:00:00Z"),
        ("webhooks", "add", "http://hr.example.org/"),
        ("webhooks", "rotate", "nobody"),
    ],
)
def test_a_call_that_makes_no_sense_is_exit_2(system: RunningSystem, argv: tuple[str, ...]) -> None:
    assert system.cli(*argv).exit_code == 2


def test_a_subscriber_inside_is_never_reached_and_its_letters_say_why(system: RunningSystem) -> None:
    added = system.json("webhooks", "add", "https://localhost/hooks")
    assert added["secret"].startswith("whsec_")
    assert [each["id"] for each in system.json("webhooks", "list")] == [added["id"]]
    assert system.json("webhooks", "rotate", added["id"])["secret"] != added["secret"]
    assert system.cli("webhooks", "dead").exit_code == 0
    assert system.cli("webhooks", "remove", added["id"]).exit_code == 0


def test_the_log_is_whole_and_every_projection_follows_from_it(system: RunningSystem) -> None:
    assert system.json("audit", "verify")["findings"] == []
    found = system.json("audit", "replay")
    assert {each["name"]: each["differences"] for each in found["projections"]} == {
        each["name"]: [] for each in found["projections"]
    }
    assert json.dumps(found)


async def test_the_nightly_look_for_orphans_is_on_the_schedule_and_finds_nothing(system: RunningSystem) -> None:
    client = await connected(Settings.of_data(system.data))
    schedule = client.get_schedule_handle(NIGHTLY)
    described = await schedule.describe()
    assert described.schedule.spec.time_zone_name == "America/Chicago"
    await schedule.trigger()
    for _ in range(100):
        if found := [each async for each in client.list_workflows("WorkflowType = 'StaffOrphans'")]:
            handle = client.get_workflow_handle(found[0].id, run_id=found[0].run_id)
            assert await handle.result() == []
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the schedule started nothing")
