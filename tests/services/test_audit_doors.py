"""What an auditor does at the doors of a running system: looks, asks for the past, replays and takes away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.audit.ocel_checks import dangling
from tests.services.running import RunningSystem, running_system


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture(scope="module")
def case(system: RunningSystem) -> str:
    """Asked for, tried by the requester, refused by the director with a reason."""
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-bm-durant")
    refused = system.cli("act", case, "RefuseAccount", "-", "--as", "p-ed", given='{"reason": "Not this year"}')
    assert refused.exit_code == 0, refused.output
    return case


def now() -> str:
    return datetime.now(UTC).isoformat()


def trail(system: RunningSystem, *asked: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.json("audit", "trail", *asked)
    return found


def test_the_trail_is_asked_by_branch_channel_and_whether_it_was_refused(system: RunningSystem, case: str) -> None:
    (refused,) = trail(system, "--case", case, "--refused", "--channel", "cli", "--branch", "durant")
    assert (refused["actor"], refused["kind"]) == ("p-bm-durant", "attempts.AttemptRefused")
    assert all(not each["refused"] for each in trail(system, "--case", case, "--not-refused"))
    assert system.cli("audit", "trail", "--channel", "carrier-pigeon").exit_code == 2
    client = httpx.Client(headers={"Authorization": f"Bearer {system.token('p-auditor')}"}, base_url=system.url)
    asked = {"case": case, "refused": "true", "channel": "cli", "branch": "durant"}
    answer = client.get("/api/v1/audit/events", params=asked)
    assert [each["event_id"] for each in answer.json()] == [refused["event_id"]]
    assert client.get("/api/v1/audit/events", params={"channel": "carrier-pigeon"}).status_code == 422


def test_the_case_as_it_stood_is_told_apart_from_how_it_stands_and_each_field_names_its_event(
    system: RunningSystem, case: str
) -> None:
    events = trail(system, "--case", case)
    asked = next(each for each in events if each["kind"] == "account_creation.AccountRequested")
    then = system.json("case", "show", case, "--at", asked["recorded_at"])
    done_by_then = system.json("case", "show", case, "--in-force-at", asked["at"])
    now_ = system.json("case", "show", case)
    assert then["stage"] == done_by_then["stage"] == "executive_review"
    assert now_["stage"] == "refused"
    assert now_["fields"]["stage"]["set_by"]["kind"] == "account_creation.AccountRefused"
    assert now_["fields"]["requester"]["set_by"]["log_position"] == asked["log_position"]


def test_who_reads_sealed_texts_is_on_record_once_an_hour_and_an_auditor_reads_none(
    system: RunningSystem, case: str
) -> None:
    for person in ("p-ed", "p-ed", "p-auditor"):
        headers = {"Authorization": f"Bearer {system.token(person)}"}
        shown = httpx.get(f"{system.url}/api/v1/cases/{case}", headers=headers)
        assert shown.status_code == 200
        assert ("Not this year" in shown.text) is (person == "p-ed")
    read = eventually(system, case, "disclosure.TextsRead", 1)
    assert [each["actor"] for each in read if each["actor_kind"] == "person"] == ["p-ed"]


def eventually(system: RunningSystem, case: str, kind: str, least: int) -> list[dict[str, Any]]:
    for _ in range(60):
        found = [each for each in trail(system, "--case", case) if each["kind"] == kind]
        if len(found) >= least:
            return found
        time.sleep(0.25)
    raise AssertionError(f"there are not {least} {kind}")


def test_the_registers_as_of_a_moment_and_what_changed_since(system: RunningSystem) -> None:
    before = now()
    case = system.requested()
    changed = system.json("audit", "diff", before, now())["changes"]
    came = [each for each in changed if each["key"] == case and each["what"] == "came"]
    assert {(each["register"], each["by"]["kind"]) for each in came} >= {
        ("cases", "account_creation.AccountRequested"), ("accounts", "account_creation.AccountRequested"),
    }  # fmt: skip
    assert system.json("audit", "diff", before, before)["changes"] == []
    assert case not in system.json("audit", "as-of", before)["registers"]["cases"]
    found = system.json("audit", "as-of", now())
    assert found["registers"]["cases"][case]["row"]["stage"] == "executive_review"
    assert found["in_force"]["people"]["p-ed"] == ["executive_director"]
    for words in (("as-of", now()), ("diff", before, now())):
        told = system.cli("audit", *words)
        assert told.exit_code == 0
        assert case in told.stdout


@pytest.mark.parametrize(
    "asked",
    [
        ("as-of", "yesterday"), ("as-of", "2026-03-02T09:00:00"), ("as-of", "2099-01-01T00:00:00Z"),
        ("as-of", "1999-01-01T00:00:00Z"), ("diff", "2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("as-of", "2026-11-02T00:00:00Z", "--in-force-at", "soon"),
    ],
)  # fmt: skip
def test_a_moment_that_is_none_is_exit_2_with_what_would_pass(system: RunningSystem, asked: tuple[str, ...]) -> None:
    told = system.cli("audit", *asked)
    assert told.exit_code == 2
    assert "Malformed: " in told.output
    assert "Traceback" not in told.output


def test_every_format_is_written_and_that_it_was_taken_is_on_record(
    system: RunningSystem, case: str, tmp_path: Path
) -> None:
    formats = "jsonl,csv,cloudevents,ocel,ocel-json,html,pdf"
    out = tmp_path / "taken"
    told = system.json("audit", "export", str(out), "--case", case, "--format", formats, "--as", "p-auditor")
    assert {each.name for each in out.iterdir()} == {
        "events.jsonl", "events.csv", "cloudevents.jsonl", "ocel.sqlite", "ocel.json", "story.html", "story.pdf",
    }  # fmt: skip
    lines = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert len(lines) >= told["events"] > 4
    assert {each["case_id"] for each in lines} == {case}
    assert dangling(out / "ocel.sqlite") == dangling(out / "ocel.json") == []
    assert "Not this year" not in "".join(file.read_text(errors="replace") for file in out.iterdir())
    (taken,) = eventually(system, case, "disclosure.RecordsTaken", 1)
    assert (taken["actor"], taken["role"], taken["fact"]["formats"]) == ("p-auditor", "auditor", formats.split(","))
    again = system.cli("audit", "export", str(out), "--case", case, "--format", "jsonl")
    assert again.exit_code == 2


def test_what_is_taken_away_at_a_distance_is_what_is_taken_away_here(
    system: RunningSystem, case: str, tmp_path: Path
) -> None:
    here, far = tmp_path / "here", tmp_path / "far"
    formats = ("--case", case, "--format", "jsonl,ocel-json,html", "--to", now())
    system.json("audit", "export", str(here), *formats)
    told = system.far_json("p-auditor", "audit", "export", str(far), *formats)
    assert told["out"] == str(far)
    assert told["jsonl"]["file"] == str(far / "events.jsonl")
    for name in ("events.jsonl", "ocel.json"):
        assert (far / name).read_bytes() == (here / name).read_bytes()
    assert case in (far / "story.html").read_text()
    assert [each.name for each in tmp_path.iterdir() if each.name not in ("here", "far")] == []
    package = tmp_path / "package"
    assert system.far("p-auditor", "audit", "export", str(package), "--case", case).exit_code == 0
    key = tmp_path / "log.pub"
    key.write_text(system.cli("audit", "key").stdout)
    assert system.cli("audit", "check", str(package), "--key", str(key)).exit_code == 0
    taken = eventually(system, case, "disclosure.RecordsTaken", 3)
    assert [(each["actor"], each["channel"]) for each in taken[-2:]] == [("p-auditor", "api")] * 2


def test_nobody_takes_records_away_at_a_distance_who_may_not_here(
    system: RunningSystem, case: str, tmp_path: Path
) -> None:
    out = tmp_path / "taken.jsonl"
    refused = system.far("p-bm-durant", "audit", "export", str(out), "--case", case, "--format", "jsonl", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["refused"]["clauses"]) == (3, ["PR-12"])
    assert system.far("p-auditor", "audit", "export", str(out), "--format", "carrier-pigeon").exit_code == 2
    assert system.far("p-auditor", "audit", "export", str(tmp_path / "no" / "x"), "--format", "csv").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_what_changed_is_told_at_a_distance_too(system: RunningSystem) -> None:
    before = now()
    case = system.requested()
    after = now()
    system.json("audit", "diff", before, after)
    here = system.json("audit", "diff", before, after)
    assert system.far_json("p-auditor", "audit", "diff", before, after) == here
    assert case in {each["key"] for each in here["changes"]}
    assert system.far("p-auditor", "audit", "as-of", "2099-01-01T00:00:00Z").exit_code == 2


def test_nobody_but_an_auditor_or_the_director_takes_records_away(
    system: RunningSystem, case: str, tmp_path: Path
) -> None:
    out = tmp_path / "not_taken.jsonl"
    told = system.cli("audit", "export", str(out), "--case", case, "--format", "jsonl", "--as", "p-bm-durant", "--json")
    assert told.exit_code == 3
    assert json.loads(told.stdout)["refused"]["clauses"] == ["PR-12"]
    assert not out.exists()


def test_an_auditor_changes_nothing(system: RunningSystem) -> None:
    open_case = system.requested()
    told = system.json("act", open_case, "ApproveAccount", "--as", "p-auditor")
    assert told["refused"]["lacks_authority"]
    assert system.json("case", "show", open_case)["stage"] == "executive_review"


def test_four_witnesses_agree_over_what_was_done_here(system: RunningSystem, case: str) -> None:
    """The history of the case's run was kept by the running system itself."""
    kept = eventually(system, case, "run_history.RunHistoryKept", 1)
    assert kept[0]["fact"]["ended"] == "completed"
    told = system.cli("audit", "replay", "--json")
    found = json.loads(told.stdout)
    assert told.exit_code == 0, told.output
    assert found["histories"]["kept"] >= 1
    assert found["decisions"]["agree"] == found["decisions"]["judged"] > 10
    assert found["steps"]["compared"] > 3
