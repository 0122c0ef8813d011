"""The two doors of the running system, command line and HTTP API: what people get to see, and with which exit code."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from services import remote, sending
from services.audit.keys import SigningKey
from services.demo import is_ready
from services.embedded_temporal import temporal_program, without_temporal_settings
from services.settings import Runtime
from tests.services.running import RunningSystem, running_system
from tests.services.test_pictures import with_place
from tests.system import LOGO, ROOT, STAFF, TASKS

DONE, WRONG, MALFORMED, REFUSED, AWAY = 0, 1, 2, 3, 4


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture
def api(system: RunningSystem) -> Iterator[Any]:
    with httpx.Client(base_url=system.url, timeout=60) as client:

        def call(method: str, path: str, person: str = "p-ed", key: str = "", **given: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {system.token(person)}"} | ({"Idempotency-Key": key} if key else {})
            return client.request(method, path, headers=headers, **given)

        yield call


# command line


def test_a_case_goes_from_request_to_open_by_the_command_line(system: RunningSystem) -> None:
    case = system.requested()
    assert system.cli("act", case, "ApproveAccount", "--as", "p-ed").exit_code == DONE
    for task in TASKS:
        logo = {"logo_sha256": LOGO, "logo_source": "marketing_and_access_coordinator"} if task == "logo" else {}
        done = system.cli("act", case, "CompleteTask", "-", "--as", "p-mac", given=json.dumps({"task": task} | logo))
        assert done.exit_code == DONE, done.output
    for administrator in ("p-mac", "p-bm-durant"):
        assert system.cli("act", case, "ConfirmAdministration", "--as", administrator).exit_code == DONE
    opened = system.json("act", case, "OpenAccount", "--as", "p-mac")
    assert [each["kind"] for each in opened["recorded"]] == ["account_creation.AccountOpened"]
    (account,) = [each for each in system.json("accounts") if each["case_id"] == case]
    assert (account["standing"], account["in_order"]) == ("open", True)


def test_a_refusal_is_exit_3_with_clauses_reason_and_remedy(system: RunningSystem) -> None:
    told = system.cli("request", "account_creation", "-", "--as", "p-bm-durant", "--json",
                      given=json.dumps(system.a_request(administrators=["p-bm-durant"])))  # fmt: skip
    assert told.exit_code == REFUSED
    refused = json.loads(told.stdout)["refused"]
    assert refused["clauses"] == ["PR-7"]
    assert "too few" in refused["because"]
    assert "at least 2" in refused["remedy"]


def test_nobody_approves_their_own_request_at_the_command_line(system: RunningSystem) -> None:
    told = system.cli("act", system.requested(), "ApproveAccount", "--as", "p-bm-durant")
    assert told.exit_code == REFUSED
    assert "nobody decides on their own request" in told.output


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": "x" * 1_000_000}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": 7}, "reason"),
        ({}, "reason"),
        ({"reason": "no", "surprise": 1}, "surprise"),
        ({"reason": "no", "content": "abc"}, "content"),
    ],
)
def test_malformed_input_is_exit_2_and_leaves_no_event(
    system: RunningSystem, fields: dict[str, Any], field: str
) -> None:
    case = system.requested()
    before = asked_for(system)
    told = system.cli("act", case, "RefuseAccount", "-", "--as", "p-ed", "--json", given=json.dumps(fields))
    assert told.exit_code == MALFORMED
    assert json.loads(told.stdout)["malformed"]["field"] == field
    assert asked_for(system) == before


@pytest.mark.parametrize(
    "argv",
    [
        ["act", "no-such-process", "ApproveAccount", "--as", "p-ed"],
        ["act", "account_creation-00000000-0000-4000-8000-000000000000", "NoSuchCommand", "--as", "p-ed"],
        ["case", "show", "account_creation-00000000-0000-4000-8000-000000000000"],
        ["case", "show", "nonsense"],
        ["request", "account_creation", "no-such-file.json", "--as", "p-ed"],
        ["request", "no_such_process", "-", "--as", "p-ed"],
        ["staff", "show", "nobody"],
        ["inbox", "--as", "nobody"],
        ["policy", "adopt", "no-such-file.toml", "--as", "p-ed"],
        ["up", "--policy", "no-such-file.toml"],
        ["token", "--as", "nobody"],
        ["audit", "trail", "--from", "2026-03-02T09:00:00"],
        ["audit", "trail", "--from", "yesterday"],
        ["case", "show", "x", "--at", "2026-03-02"],
    ],
)
def test_a_call_that_makes_no_sense_is_exit_2_in_a_line_or_two(system: RunningSystem, argv: list[str]) -> None:
    told = system.cli(*argv, given="{}")
    assert told.exit_code == MALFORMED, told.output
    assert "Traceback" not in told.output
    assert 1 <= len(told.output.strip().splitlines()) <= 3


def test_an_approval_of_an_unknown_case_is_refused(system: RunningSystem) -> None:
    told = system.cli("act", f"account_creation-{uuid4()}", "ApproveAccount", "-", "--as", "p-ed",
                      given=json.dumps({"content": "0" * 64}))  # fmt: skip
    assert told.exit_code == REFUSED
    assert "no account has been requested" in told.output


def test_the_same_command_id_gets_the_first_answer_and_another_id_is_refused(system: RunningSystem) -> None:
    case, id_ = system.requested(), str(uuid4())
    reason = {"reason": "not this year"}
    first = system.json("act", case, "RefuseAccount", "-", "--as", "p-ed", "--id", id_, given=reason)
    again = system.json("act", case, "RefuseAccount", "-", "--as", "p-ed", "--id", id_, given=reason)
    assert [each["event_id"] for each in again["recorded"]] == [each["event_id"] for each in first["recorded"]]
    other = system.json("act", case, "RefuseAccount", "-", "--as", "p-ed", given=reason)
    assert other["refused"]["clauses"] == ["PR-1"]


def test_the_same_command_id_with_other_content_is_a_conflict(system: RunningSystem) -> None:
    case, id_ = system.requested(), str(uuid4())
    system.json("act", case, "AskForChanges", "-", "--as", "p-ed", "--id", id_, given={"reason": "say more"})
    other = system.json("act", case, "AskForChanges", "-", "--as", "p-ed", "--id", id_, given={"reason": "say less"})
    assert "was used for other content" in other["refused"]["because"]


def test_with_the_worker_away_the_answer_is_exit_4_and_the_same_id_is_safe_to_repeat(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, id_, reason = system.requested(), str(uuid4()), json.dumps({"reason": "not now"})
    monkeypatch.setattr(sending, "ANSWER_WITHIN", timedelta(seconds=2))
    worker = system.pid_of("worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        told = system.cli("act", case, "RefuseAccount", "-", "--as", "p-ed", "--id", id_, given=reason)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert told.exit_code == AWAY, told.output
    assert f"safe to repeat with the id {id_}" in told.output
    monkeypatch.undo()
    again = system.json("act", case, "RefuseAccount", "-", "--as", "p-ed", "--id", id_, given=json.loads(reason))
    assert [each["kind"] for each in again["recorded"]] == ["account_creation.AccountRefused"]


def test_a_key_works_across_a_restart_of_worker_and_api(system: RunningSystem, api: Any) -> None:
    asked = system.a_request()
    first = api("POST", "/api/v1/cases/account_creation", "p-bm-durant", key="over a restart", json=asked).json()
    for part in ("worker", "api"):
        os.kill(system.pid_of(part), signal.SIGKILL)
    until(lambda: is_ready(system.data))
    again = api("POST", "/api/v1/cases/account_creation", "p-bm-durant", key="over a restart", json=asked).json()
    assert again["recorded"] == first["recorded"]


def test_evidence_that_nobody_keeps_cannot_be_named(system: RunningSystem, api: Any, tmp_path: Path) -> None:
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    picture = tmp_path / "page.png"
    picture.write_bytes(b"a picture")
    kept = json.loads(system.cli("evidence", "add", str(picture), "--case", case).stdout)
    invented = {"task": "branding", "evidence": [kept | {"sha256": "0" * 64}]}
    told = system.json("act", case, "CompleteTask", "-", "--as", "p-mac", given=invented)
    assert told["malformed"]["field"] == "evidence"
    assert system.cli("evidence", "add", str(picture), "--case", f"account_creation-{uuid4()}").exit_code == MALFORMED
    assert api("POST", f"/api/v1/cases/{case}/evidence", "p-bm-goodman", content=b"x").status_code == 403


def test_the_case_page_tells_what_is_left_of_the_set_up(system: RunningSystem) -> None:
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    system.cli("act", case, "CompleteTask", "-", "--as", "p-mac", given='{"task": "branding"}')
    set_up = system.json("case", "show", case)["set_up"]
    assert {task for task, how in set_up["tasks"].items() if how == "done"} == {"branding"}
    assert set_up["still_to_confirm"] == ["p-mac", "p-bm-durant"]


def test_an_approver_outside_acts_by_a_plain_temporal_signal(system: RunningSystem) -> None:
    case = system.requested()
    payload = system.cli("sign", case, "RefuseAccount", "-", "--as", "p-ed", given='{"reason": "not now"}').stdout
    send_signal(system, case, payload)
    until_stage(system, case, "refused")
    trail = system.json("audit", "trail", "--case", case)
    (refused,) = [each for each in trail if each["kind"] == "account_creation.AccountRefused"]
    assert (refused["channel"], refused["actor"], refused["role"]) == ("signal", "p-ed", "executive_director")


def test_a_forged_signal_changes_nothing_and_is_on_record(system: RunningSystem) -> None:
    case = system.requested()
    payload = json.loads(system.cli("sign", case, "ApproveAccount", "--as", "p-ed").stdout)
    send_signal(system, case, json.dumps(payload | {"credential": ""}))
    until(lambda: any(each["refused"] for each in system.json("audit", "trail", "--case", case)))
    assert system.json("case", "show", case)["stage"] == "executive_review"
    # the id was not burnt: with its proof the same command goes through
    send_signal(system, case, json.dumps(payload))
    until_stage(system, case, "set_up")


def test_a_case_as_it_stood_shows_no_later_fact(system: RunningSystem) -> None:
    case = system.requested()
    at = system.json("case", "show", case)["facts"][-1]["recorded_at"]
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    assert system.json("case", "show", case)["stage"] == "set_up"
    assert system.json("case", "show", case, "--at", at)["stage"] == "executive_review"


def test_the_inbox_names_what_waits_and_until_when(system: RunningSystem) -> None:
    case = system.requested()
    (task,) = [each for each in system.json("inbox", "--as", "p-ed") if each["case"] == case]
    assert (task["to_do"], task["next_is"]) == ("decide on the account request", "reminder")


def asked_for(system: RunningSystem) -> list[str]:
    """What is on record of anyone's asking. The histories of ended runs are kept at moments of the system's own."""
    trail = system.json("audit", "trail")
    return [each["event_id"] for each in trail if not each["kind"].startswith("run_history.")]


def of_the_staff(system: RunningSystem) -> list[str]:
    """What is on record of the staff. Other things the system notes by itself, at moments of its own."""
    return [each["event_id"] for each in system.json("audit", "trail") if each["kind"].startswith("directory.")]


def test_a_dry_run_of_the_staff_feed_shows_the_difference_and_records_nothing(
    system: RunningSystem, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(STAFF.read_text().replace("p-bs-goodman-1,Library", "p-bs-goodman-1,The Library"))
    before = of_the_staff(system)
    told = system.json("staff", "import", str(feed), "--dry-run")
    feed.write_text(STAFF.read_text().replace('"Library Assistant, Goodman"', '"Library Assistant in Goodman"'))
    told = system.json("staff", "import", str(feed), "--dry-run")
    assert [each["person"] for each in told["difference"]] == ["p-bs-goodman-1"]
    assert of_the_staff(system) == before


def test_a_feed_with_a_broken_row_names_it_and_applies_nothing_unless_asked(
    system: RunningSystem, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.csv"
    staff = STAFF.read_text()
    feed.write_text(f"{staff}p-new-1,One,one@example.org,Library Clerk,durant,,true,,,\n"
                    "p-new-2,Two,two@example.org,Library Clerk,durant,,perhaps,,,\n")  # fmt: skip
    line = len(staff.splitlines()) + 2
    told = system.cli("staff", "import", str(feed))
    assert told.exit_code == MALFORMED
    assert f"line {line}, active" in told.output
    assert system.cli("staff", "show", "p-new-1").exit_code == MALFORMED
    assert system.cli("staff", "import", str(feed), "--skip-broken").exit_code == DONE
    assert system.json("staff", "show", "p-new-1")["roles"] == ["branch_staff"]
    again = system.json("staff", "import", str(feed), "--skip-broken")
    assert again["difference"] == []
    assert [each["item"] for each in system.json("hr", "quarantine")["quarantine"]] == ["row p-new-2"]


def test_a_file_that_ends_too_many_is_exit_3(system: RunningSystem, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("".join(STAFF.read_text().splitlines(keepends=True)[:10]))
    told = system.cli("staff", "import", str(feed))
    assert told.exit_code == REFUSED
    assert "--accept-leavers" in told.output


def test_an_hr_system_gets_a_token_once(system: RunningSystem) -> None:
    told = system.json("hr", "register", "okta")
    users = httpx.get(f"{system.url}/scim/v2/Users", headers={"Authorization": f"Bearer {told['token']}"})
    assert (users.status_code, users.json()["totalResults"]) == (200, 0)
    assert system.cli("hr", "register", "okta").exit_code == REFUSED
    assert system.cli("hr", "register", "No Good").exit_code == MALFORMED
    assert [each["system"] for each in system.json("hr", "list")] == ["okta", "staff-file"]
    assert system.cli("hr", "revoke", "okta").exit_code == DONE
    again = httpx.get(f"{system.url}/scim/v2/Users", headers={"Authorization": f"Bearer {told['token']}"})
    assert again.status_code == 401


def test_a_branch_closed_by_storm_moves_the_due_moments_of_who_waits_there(system: RunningSystem) -> None:
    case = system.requested()
    due = system.json("case", "show", case)["waiting"]["due"][0]["at"]
    closing = {"place": "hq", "day": due[:10], "because": "storm"}
    assert (
        system.cli("act", "opening_hours", "CloseBranch", "-", "--as", "p-ed", given=json.dumps(closing)).exit_code
        == DONE
    )
    until(lambda: system.json("case", "show", case)["waiting"]["due"][0]["at"] > due)


def test_the_log_is_whole_and_the_projections_follow_from_it(system: RunningSystem) -> None:
    verified = system.cli("audit", "verify", "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["findings"]) == (DONE, [])
    replayed = system.cli("audit", "replay", "--json")
    assert replayed.exit_code == DONE, replayed.output


def test_an_auditor_takes_a_case_away_and_checks_it_with_the_key_alone(system: RunningSystem, tmp_path: Path) -> None:
    case, key, package = system.requested(), tmp_path / "log.pub", tmp_path / "package"
    key.write_text(system.cli("audit", "key").stdout)
    exported = system.cli("audit", "export", str(package), "--case", case)
    assert exported.exit_code == DONE, exported.output
    checked = system.cli("audit", "check", str(package), "--key", str(key), "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["findings"]) == (DONE, []), checked.output
    for file in package.glob("events/*/*.json"):
        file.write_bytes(file.read_bytes().replace(b"p-bm-durant", b"p-bs-durant"))
    assert system.cli("audit", "check", str(package), "--key", str(key)).exit_code == WRONG
    assert system.cli("audit", "check", str(tmp_path / "none"), "--key", str(key)).exit_code == MALFORMED
    assert system.cli("audit", "check", str(package), "--key", str(tmp_path / "none")).exit_code == MALFORMED


def test_an_auditor_verifies_against_the_copies_they_kept(system: RunningSystem, tmp_path: Path) -> None:
    published, kept = system.data / "published", tmp_path / "kept"
    key = tmp_path / "log.pub"
    key.write_text(system.cli("audit", "key").stdout)
    shutil.copytree(published, kept)
    system.requested()
    against = ["--published", str(kept), "--key", str(key), "--checkpoint", str(kept / "checkpoint")]
    verified = system.cli("audit", "verify", *against, "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["findings"]) == (DONE, [])
    stranger = tmp_path / "stranger"
    stranger.write_text(SigningKey.fresh().sign("stranger\n5\n" + "A" * 43 + "=\n").decode())
    assert system.cli("audit", "verify", "--checkpoint", str(stranger)).exit_code == WRONG
    own = ["--name", "w", "--state", str(tmp_path / "w")]
    witness = ["audit", "witness", "--from", str(kept), "--key", str(key), *own]
    assert system.json(*witness)["cosigned"] is True
    (kept / "tile" / "0" / "000.p").rename(kept / "gone")
    (tmp_path / "w" / "checkpoint").unlink()
    assert system.cli(*witness).exit_code == WRONG


def test_policy_check_names_line_and_field(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text((ROOT / "policies" / "mmrls.toml").read_text().replace("value = 2\n", 'value = "two"\n', 1))
    told = subprocess.run(
        [sys.executable, "-m", "services.cli", "policy", "check", str(broken)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert told.returncode == MALFORMED
    assert "broken.toml:" in told.stderr
    assert "settings.minimum_administrators.value" in told.stderr


def test_a_system_that_is_not_there_is_exit_4_in_one_line(tmp_path: Path) -> None:
    Runtime(tmp_path).write({"settings": {
        "database_url": "postgresql://127.0.0.1:9/none", "temporal_address": "127.0.0.1:9", "port": 9,
    }})  # fmt: skip
    argv = [sys.executable, "-m", "services.cli", "act", f"account_creation-{uuid4()}", "OpenAccount", "--as", "p-ed"]
    told = subprocess.run([*argv, "--data", str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert told.returncode == AWAY, told.stderr
    assert told.stderr.count("\n") == 1
    assert "Traceback" not in told.stderr


# HTTP


def test_without_a_token_the_api_says_401_and_how_to_get_one(system: RunningSystem) -> None:
    told = httpx.get(f"{system.url}/api/v1/inbox")
    assert told.status_code == 401
    assert told.headers["content-type"] == "application/problem+json"
    assert "imprimatur token" in told.json()["remedy"]


def test_a_forged_token_is_no_token(system: RunningSystem) -> None:
    header, payload, signature = system.token("p-ed").split(".")
    for forged in (f"{header}.{payload}.{signature[:-4]}AAAA", "x.y.z", f"{header}.{payload}."):
        assert httpx.get(f"{system.url}/api/v1/inbox", headers={"Authorization": f"Bearer {forged}"}).status_code == 401


def test_the_api_records_refuses_and_repeats_as_the_command_line_does(system: RunningSystem, api: Any) -> None:
    asked = system.a_request()
    first = api("POST", "/api/v1/cases/account_creation", "p-bm-durant", key="my-key", json=asked)
    again = api("POST", "/api/v1/cases/account_creation", "p-bm-durant", key="my-key", json=asked)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["case"] == again.json()["case"]
    case = first.json()["case"]
    own = api("POST", f"/api/v1/cases/{case}/commands/ApproveAccount", "p-bm-durant", json={})
    assert own.status_code == 403
    assert own.json()["clauses"] == ["PR-1"]
    early = api("POST", f"/api/v1/cases/{case}/commands/OpenAccount", "p-mac", json={})
    assert early.status_code == 409
    assert api("POST", f"/api/v1/cases/{case}/commands/ApproveAccount", json={}).status_code == 200
    assert api("GET", f"/api/v1/cases/{case}").json()["stage"] == "set_up"


def test_the_api_names_the_field_of_malformed_input(system: RunningSystem, api: Any) -> None:
    asked = system.a_request(surprise=1)
    told = api("POST", "/api/v1/cases/account_creation", json=asked)
    assert (told.status_code, told.json()["field"]) == (422, "surprise")
    assert api("POST", "/api/v1/cases/account_creation", content=b"{broken").status_code == 422
    assert api("POST", "/api/v1/cases/account_creation", json=[1]).status_code == 422
    assert api("GET", "/api/v1/cases/account_creation-none").status_code == 404
    assert api("GET", "/api/v1/audit/events?from=2026-03-02T09:00:00").status_code == 422


def test_free_texts_are_read_by_those_who_have_to_do_with_the_case(system: RunningSystem, api: Any) -> None:
    case = system.requested(purpose="something only the case's people read")
    shown = api("GET", f"/api/v1/cases/{case}", "p-ed").json()
    assert shown["facts"][0]["fact"]["purpose"] == "something only the case's people read"
    for stranger in ("p-bs-goodman-1", "p-auditor"):
        assert api("GET", f"/api/v1/cases/{case}", stranger).json()["facts"][0]["fact"]["purpose"] == "[sealed]"


def test_the_command_line_reaches_a_system_elsewhere_by_its_address(system: RunningSystem) -> None:
    remote = ["--url", system.url, "--token", system.token("p-bm-durant")]
    made = system.cli("request", "account_creation", "-", *remote, "--json", given=json.dumps(system.a_request()))
    assert made.exit_code == DONE, made.output
    case = json.loads(made.stdout)["case"]
    refused = system.cli("act", case, "ApproveAccount", *remote, "--json")
    assert refused.exit_code == REFUSED
    assert json.loads(refused.stdout)["refused"]["clauses"] == ["PR-1"]
    assert system.cli("case", "show", case, *remote).exit_code == DONE
    assert system.cli("inbox", "--url", "http://127.0.0.1:9", "--token", "x").exit_code == AWAY


def test_an_evidence_file_is_kept_beside_the_log_and_named_in_a_task(system: RunningSystem, tmp_path: Path) -> None:
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    picture = tmp_path / "page.png"
    picture.write_bytes(b"\x89PNG a screenshot of the page")
    kept = json.loads(system.cli("evidence", "add", str(picture), "--case", case, "--type", "image/png").stdout)
    done = system.json(
        "act", case, "CompleteTask", "-", "--as", "p-mac", given={"task": "account_made", "evidence": [kept]}
    )
    assert done["recorded"][0]["kind"] == "account_creation.TaskCompleted"
    files = [file.read_bytes() for file in (system.data / "evidence").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if b"a screenshot" in file]


# at a distance


@pytest.mark.parametrize(
    "argv",
    [
        ("policy", "show"), ("staff", "list"), ("staff", "orphans"), ("accounts",), ("rights",), ("remedies",),
        ("holds",), ("case", "list"), ("consent", "list"), ("consent", "uses"), ("revocations",), ("notices",),
        ("staff", "preview", "p-bm-durant", "--leaving", "2031-01-31"), ("audit", "as-of", "T"),
        ("explain", "posting", "p-mac", "facebook:nowhere", "--at", "T"),
        ("audit", "trail", "--person", "p-mac", "--to", "T"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_asked_at_a_distance_is_what_is_told_here(system: RunningSystem, argv: tuple[str, ...]) -> None:
    now = datetime.now(UTC).isoformat()
    asked = [now if each == "T" else each for each in argv]
    # mail goes out meanwhile, and what was recorded a moment ago may come to a register in between
    until(lambda: as_moments(system.json(*asked)) == as_moments(system.far_json("p-hq-clerk", *asked)))


def as_moments(value: Any) -> Any:
    """The two doors write one moment in two ways."""
    if isinstance(value, dict):
        return {name: as_moments(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_moments(each) for each in value]
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(value)
    return value


def test_the_status_of_a_system_elsewhere_is_how_far_it_has_read(system: RunningSystem) -> None:
    told = json.loads(system.far("p-ed", "status", "--json").stdout)
    assert told["parts"] == [{"name": "api", "health": "up", "pid": None, "address": system.url}]
    assert told["log_position"] > 0
    assert told["stopped"] == []
    assert "settings" not in told


def test_a_trail_of_a_period_asked_at_a_distance_is_of_that_period_and_has_all_of_it(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_now = datetime.now(UTC).isoformat()
    case = system.requested()
    assert system.far_json("p-ed", "audit", "trail", "--case", case, "--to", until_now) == []
    assert system.far_json("p-ed", "audit", "trail", "--case", case, "--from", until_now)
    monkeypatch.setattr(remote, "EVENTS_AT_ONCE", 7)
    far = system.far_json("p-ed", "audit", "trail", "--to", until_now)
    assert [each["event_id"] for each in far] == [
        each["event_id"] for each in system.json("audit", "trail", "--to", until_now)
    ]


def test_a_path_that_cannot_be_written_to_is_exit_2_and_no_traceback(system: RunningSystem, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    out = str(tmp_path / "a file" / "below")
    for told in (
        system.cli("audit", "export", out, "--format", "jsonl,csv"), system.far("p-ed", "audit", "export", out),
        system.cli("evidence", "show", "0" * 64, "--case", "x", "--out", out),
    ):  # fmt: skip
        assert (told.exit_code, "Traceback" in told.output) == (MALFORMED, False), told.output


def test_a_command_is_signed_at_a_distance_and_sent_as_a_plain_signal(system: RunningSystem) -> None:
    case = system.requested()
    payload = system.far("p-ed", "sign", case, "RefuseAccount", "-", given='{"reason": "not now"}').stdout
    assert "not now" not in payload
    send_signal(system, case, payload)
    until_stage(system, case, "refused")
    trail = system.json("audit", "trail", "--case", case)
    (refused,) = [each for each in trail if each["kind"] == "account_creation.AccountRefused"]
    assert (refused["channel"], refused["actor"]) == ("signal", "p-ed")
    assert refused["proven_by"].startswith("bearer token")


def test_the_policy_is_adopted_at_a_distance_by_the_director_alone(system: RunningSystem) -> None:
    file = str(ROOT / "policies" / "mmrls.toml")
    refused = system.far("p-bm-durant", "policy", "adopt", file, "--json")
    assert refused.exit_code == REFUSED, refused.output
    assert json.loads(refused.stdout)["refused"]["lacks_authority"]


@pytest.mark.parametrize(
    "argv", [["case", "show", "nonsense/../x?y"], ["staff", "preview", "p-nobody", "--leaving", "2031-01-31"]]
)
def test_a_call_that_makes_no_sense_is_exit_2_at_a_distance_too(system: RunningSystem, argv: list[str]) -> None:
    told = system.far("p-ed", *argv)
    assert (told.exit_code, "Traceback" in told.output) == (MALFORMED, False), told.output


# files that are kept


def test_a_file_is_opened_for_those_of_its_case_on_record_and_freed_of_its_place(
    system: RunningSystem, api: Any, tmp_path: Path
) -> None:
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    photo, page, broken = with_place(), b"The page, as text", b"\x89PNG\r\n\x1a\n and no picture"
    kinds = {photo: "application/octet-stream", page: "text/plain", broken: "image/png"}
    kept = [keep(system, tmp_path, case, content, kind) for content, kind in kinds.items()]
    done = {"task": "branding", "evidence": kept}
    assert "recorded" in system.json("act", case, "CompleteTask", "-", "--as", "p-mac", given=done)
    one, two, three = (f"/api/v1/cases/{case}/evidence/{each['sha256']}" for each in kept)

    opened = api("GET", f"{one}?purpose=records_request", "p-mac")
    assert (opened.status_code, opened.headers["content-type"]) == (200, "image/jpeg")
    assert opened.headers["content-disposition"] == "attachment"
    assert Image.open(io.BytesIO(opened.content)).size == Image.open(io.BytesIO(photo)).size
    assert not Image.open(io.BytesIO(opened.content)).getexif()
    assert api("GET", two, "p-mac").content == page
    cannot_be_freed = api("GET", three, "p-mac")
    assert (cannot_be_freed.status_code, cannot_be_freed.json()["clauses"]) == (409, ["PR-12"])
    for stranger in ("p-bm-goodman", "p-auditor"):
        assert api("GET", two, stranger).status_code == 403
    assert api("GET", one.replace(kept[0]["sha256"], "0" * 64), "p-mac").status_code == 404

    until(lambda: len(files_opened(system, case)) == 3)
    first, second, _ = files_opened(system, case)
    assert (first["actor"], first["fact"]["file"], first["fact"]["purpose"], first["clauses"]) == (
        "p-mac", kept[0]["sha256"], "records_request", ["PR-12"],
    )  # fmt: skip
    assert second["fact"]["file"] == kept[1]["sha256"]


def keep(system: RunningSystem, folder: Path, case: str, content: bytes, media_type: str) -> dict[str, Any]:
    file = folder / "kept"
    file.write_bytes(content)
    told = system.cli("evidence", "add", str(file), "--case", case, "--type", media_type)
    return dict(json.loads(told.stdout))


def files_opened(system: RunningSystem, case: str) -> list[dict[str, Any]]:
    return [each for each in system.json("audit", "trail", "--case", case) if each["kind"] == "openings.FileOpened"]


def test_a_file_is_taken_out_here_and_at_a_distance_once_to_each_place(system: RunningSystem, tmp_path: Path) -> None:
    case = system.requested()
    system.cli("act", case, "ApproveAccount", "--as", "p-ed")
    kept = keep(system, tmp_path, case, b"As text", "text/plain")
    system.json("act", case, "CompleteTask", "-", "--as", "p-mac", given={"task": "branding", "evidence": [kept]})
    shown = ["evidence", "show", kept["sha256"], "--case", case, "--out"]
    here, far, other = (str(tmp_path / each) for each in ("here.txt", "far.txt", "other.txt"))
    told = system.json(*shown, here)
    assert told == {
        "evidence": kept["sha256"], "media_type": "text/plain", "size": 7, "drawn_anew": False, "out": here,
    }  # fmt: skip
    assert system.far_json("p-mac", *shown, far) == told | {"out": far}
    assert Path(here).read_bytes() == Path(far).read_bytes() == b"As text"
    assert Path(far).stat().st_mode & 0o077 == 0
    until(lambda: len(files_opened(system, case)) == 2)
    assert system.cli(*shown, here).exit_code == MALFORMED  # it is there, so nothing is opened for it
    refused = system.far("p-bm-goodman", *shown, other, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["refused"]["clauses"]) == (REFUSED, ["PR-12"])
    assert system.cli(*shown, other, "--as", "p-bm-goodman").exit_code == REFUSED
    assert not Path(other).exists()
    assert [each["actor_kind"] for each in files_opened(system, case)] == ["operator", "person"]


def test_health_readiness_and_metrics_answer(system: RunningSystem) -> None:
    assert httpx.get(f"{system.url}/healthz").json() == {"status": "up"}
    assert httpx.get(f"{system.url}/readyz").json()["log_position"] > 0
    assert "imprimatur_log_position" in httpx.get(f"{system.url}/metrics").text
    assert "Sign in" in httpx.get(system.url).text
    assert "/api/v1/cases/{process}" in httpx.get(f"{system.url}/openapi.json").json()["paths"]


# helpers


def send_signal(system: RunningSystem, case: str, payload: str) -> None:
    address = Runtime(system.data).settings()["temporal_address"]
    argv = [str(temporal_program()), "workflow", "signal", "--address", address, "--workflow-id", case]
    sent = subprocess.run(
        [*argv, "--name", "submit", "--input", payload],
        env=without_temporal_settings(),
        capture_output=True,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr


def until(come: Any, seconds: float = 20.0) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


def until_stage(system: RunningSystem, case: str, stage: str) -> None:
    until(lambda: system.json("case", "show", case)["stage"] == stage)
