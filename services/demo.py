"""`make demo`: one account creation on real servers, in a folder of its own, told step by step.

It starts the whole system as `imprimatur up` does and speaks to it as people and outside systems do: through the desk,
and through Temporal itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from domain.facts import Channel
from services import show
from services.desk import Caller, Desk
from services.embedded import fresh_folder
from services.embedded_process import EmbeddedError
from services.embedded_temporal import temporal_program, without_temporal_settings
from services.settings import Settings

POLICIES = Path(__file__).parent.parent / "policies"
LOGO = POLICIES / "example-logo.png"
UP_WITHIN_SECONDS = 120.0
FOLLOWS_WITHIN_SECONDS = 30.0
WAIVED = "policy_link"
REQUEST = {
    "platform": "facebook",
    "handle": "@DurantLibrary",
    "place": "durant",
    "purpose": "Tell families in Durant about story times, the summer program and new opening hours.",
    "audience": "Families, schools and readers in and around Durant.",
    "administrators": ["p-mac", "p-bm-durant"],
    "posters": ["p-bm-durant"],
}


class DemoFailed(Exception):
    """A step did not come to what it should have."""


def say(text: str = "") -> None:
    click.echo(text)
    sys.stdout.flush()


def step(text: str) -> None:
    say(f"\n── {text}")


def run_demo() -> int:
    """0 when every step came out as told."""
    started = time.monotonic()
    try:
        with fresh_folder() as data, running_system(data):
            asyncio.run(told(Settings.of_data(data)))
    except (DemoFailed, EmbeddedError) as error:
        say(f"The demo did not come out: {error}")
        return 1
    say(f"\nDone in {time.monotonic() - started:.0f} s; everything it started is stopped and its folder is gone.")
    return 0


@contextmanager
def running_system(data: Path) -> Iterator[None]:
    step(f"Starting PostgreSQL, Temporal, worker, projector and API in {data}")
    argv = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--policy", str(POLICIES / "mmrls.toml")]
    argv += ["--staff", str(POLICIES / "mmrls-staff-example.csv")]
    system = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until_up(system, data)
        yield
    finally:
        system.send_signal(signal.SIGTERM)
        system.communicate()


def wait_until_up(system: subprocess.Popen[str], data: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if system.poll() is not None:
            raise DemoFailed(f"the system did not start: {(system.stdout and system.stdout.read()) or ''}")
        if is_ready(data):
            return
        time.sleep(0.2)
    raise DemoFailed(f"the system was not up in {UP_WITHIN_SECONDS:.0f} s")


def is_ready(data: Path) -> bool:
    import httpx

    from services.settings import Runtime

    settings = Runtime(data).settings()
    if not settings:
        return False
    try:
        return httpx.get(f"http://{settings['host']}:{settings['port']}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def at_the_desk(person: str) -> Caller:
    return Caller(person, "the demo's word for it", Channel.CLI)


async def told(settings: Settings) -> None:
    desk = Desk(settings)
    try:
        case = await the_request(desk)
        await attempts_that_come_to_nothing(desk, settings, case)
        await the_approval_from_outside(desk, settings, case)
        await the_set_up(desk, case)
        await the_opening(desk, case)
        await the_record(desk, case)
    finally:
        desk.close()


async def the_request(desk: Desk) -> str:
    step("The Branch Manager, Durant, asks for a page, with too few administrators (PR-7)")
    refused = await desk.request(
        "account_creation", REQUEST | {"administrators": ["p-bm-durant"]}, at_the_desk("p-bm-durant")
    )
    say(show.refusal(expect_refusal(refused)))
    step("… and again, with the Marketing and Access Coordinator beside them")
    answer = await desk.request("account_creation", REQUEST, at_the_desk("p-bm-durant"))
    expect_recorded(answer)
    say(show.requested(answer))
    return str(answer["case"])


async def attempts_that_come_to_nothing(desk: Desk, settings: Settings, case: str) -> None:
    step("The requester tries to approve their own request")
    refused = await desk.act(case, "ApproveAccount", {}, at_the_desk("p-bm-durant"))
    say(show.refusal(expect_refusal(refused)))

    step("Someone who can reach Temporal sends a plain signal without proof")
    signed = await desk.sign(case, "ApproveAccount", {}, at_the_desk("p-ed"))
    send_signal(settings, case, signed | {"credential": ""})
    step("… and another one, with a credential that was signed for another command id")
    send_signal(settings, case, signed | {"id": str(uuid4())})
    await until(
        desk, case, lambda events: sum(each["refused"] for each in events) >= len(("own", "unsigned", "other id"))
    )
    shown = await desk.case(case, None)
    if shown["stage"] != "executive_review":
        raise DemoFailed(f"the case moved to {shown['stage']}")
    say(f"The case is where it was: {shown['stage'].replace('_', ' ')}. Each attempt is on record.")


async def the_approval_from_outside(desk: Desk, settings: Settings, case: str) -> None:
    step("The Executive Director approves, from outside: `imprimatur sign`, then `temporal workflow signal`")
    signed = await desk.sign(case, "ApproveAccount", {}, Caller("p-ed", "the demo's word for it", Channel.SIGNAL))
    send_signal(settings, case, signed)
    await until(desk, case, lambda events: any(each["kind"].endswith(".AccountApproved") for each in events))
    say("Recorded: AccountApproved")


def send_signal(settings: Settings, case: str, payload: dict[str, Any]) -> None:
    import json

    argv = [str(temporal_program()), "workflow", "signal", "--address", settings.temporal_address]
    argv += ["--workflow-id", case, "--name", "submit", "--input", json.dumps(payload)]
    sent = subprocess.run(
        argv, env=without_temporal_settings(), capture_output=True, text=True, check=False, timeout=30
    )
    say(f"$ temporal workflow signal --workflow-id {case} --name submit --input '{{…}}'   → exit {sent.returncode}")
    if sent.returncode:
        raise DemoFailed(f"the signal was not accepted: {sent.stderr}")


async def the_set_up(desk: Desk, case: str) -> None:
    step("Headquarters and the branch set the page up (PR-2, PR-3); one task is waived, with a reason")
    policy = await desk.policy()
    for task in policy.setup_tasks:
        if task.id == WAIVED:
            reason = {"task": task.id, "reason": "The platform's page has one link only; it goes to the website."}
            answer = await desk.act(case, "WaiveTask", reason, at_the_desk("p-mac"))
        else:
            who = "p-bm-durant" if task.id == "contact_details" else "p-hq-it"
            answer = await desk.act(case, "CompleteTask", {"task": task.id, **logo_of(task.needs)}, at_the_desk(who))
        expect_recorded(answer)
        say(f"  [{task.clause}] {task.title}: {'waived' if task.id == WAIVED else 'done'}")


def logo_of(needs: str) -> dict[str, str]:
    if needs != "logo_evidence":
        return {}
    sha256 = hashlib.sha256(LOGO.read_bytes()).hexdigest()
    return {"logo_source": "marketing_and_access_coordinator", "logo_sha256": sha256}


async def the_opening(desk: Desk, case: str) -> None:
    step("It cannot be opened before two administrators have confirmed, one of them a coordinator (PR-7)")
    say(show.refusal(expect_refusal(await desk.act(case, "OpenAccount", {}, at_the_desk("p-mac")))))
    for administrator in ("p-mac", "p-bm-durant"):
        expect_recorded(await desk.act(case, "ConfirmAdministration", {}, at_the_desk(administrator)))
        say(f"  {administrator} confirms")
    answer = await desk.act(case, "OpenAccount", {}, at_the_desk("p-mac"))
    expect_recorded(answer)
    say(show.recorded(answer))
    await desk.seen(answer["log_position"])


async def the_record(desk: Desk, case: str) -> None:
    step("The audit trail of the case")
    events = await desk.trail(case=case)
    say(show.trail(events))
    step("The account register")
    say(show.accounts(await desk.accounts()))
    step("Is the log whole?")
    found = await desk.verify()
    say(show.verified(found))
    if found["findings"]:
        raise DemoFailed("the log is not whole")
    stage = (await desk.case(case, None))["stage"]
    if stage != "open":
        raise DemoFailed(f"the case ended as {stage}")


async def until(desk: Desk, case: str, seen: Any) -> None:
    deadline = time.monotonic() + FOLLOWS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if seen(await desk.trail(case=case)):
            return
        await asyncio.sleep(0.1)
    raise DemoFailed("what should have followed did not")


def expect_refusal(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.get("refused"):
        raise DemoFailed(f"this should have been refused: {answer}")
    return dict(answer["refused"])


def expect_recorded(answer: dict[str, Any]) -> None:
    if not answer.get("recorded"):
        raise DemoFailed(f"this should have been recorded: {answer}")
