"""How long from `imprimatur up` on an empty folder to the first recorded command, against PostgreSQL and Temporal
alone, from the same packages, started one after the other until both answer?"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError

from domain.facts import Channel
from services.desk import Caller, Desk, Unreachable
from services.embedded import fresh_folder
from services.embedded_postgresql import SUPERUSER, programs_for, system_user
from services.embedded_process import LOOPBACK, Child, SystemUser, free_port
from services.embedded_temporal import temporal_program, without_temporal_settings
from services.settings import PREFIX, Runtime, Settings
from tests.bench.approval_cases import wanted
from tests.system import POLICY, STAFF

ROUNDS = 3
WITHIN_SECONDS = 120.0
A_MOMENT = 0.02
READY_FOR_A_COMMAND = "worker"


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    ours: list[float] = []
    baseline: list[float] = []
    for nth in range(rounds):
        for side in (ours, baseline) if nth % 2 else (baseline, ours):
            side.append(first_recorded_command() if side is ours else bare_servers())
    ratio = statistics.median(ours) / statistics.median(baseline)
    return [
        {
            "name": "from `imprimatur up` on an empty folder to the first recorded command",
            "ours": round(statistics.median(ours), 2),
            "baseline_name": "initdb, PostgreSQL and Temporal alone until they answer",
            "baseline": round(statistics.median(baseline), 2),
            "unit": "s",
            "ratio": round(ratio, 2),
            "goal": None,
            "holds": True,
            "rounds": [round(a / b, 2) for a, b in zip(ours, baseline, strict=True)],
        }
    ]


def first_recorded_command() -> float:
    with fresh_folder() as data:
        argv = [sys.executable, "-m", "services.cli", "up", "--data", str(data), "--port", "0"]
        argv += ["--policy", str(POLICY), "--staff", str(STAFF)]
        env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        before = time.perf_counter()
        system = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            asyncio.run(until_recorded(data))
            return time.perf_counter() - before
        finally:
            system.send_signal(signal.SIGTERM)
            system.wait()


async def until_recorded(data: Path) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    # the worker starts after the founding; before that there is no policy to decide by
    while READY_FOR_A_COMMAND not in (part["name"] for part in Runtime(data).read().get("parts", [])):
        expect_before(deadline)
        await asyncio.sleep(A_MOMENT)
    desk = Desk(Settings.of_data(data))
    caller = Caller("p-bm-durant", "a simulated sign-in", Channel.CLI)
    try:
        while True:
            expect_before(deadline)
            try:
                answer = await desk.request("account_creation", wanted("durant", caller.person), caller)
            except Unreachable:
                await asyncio.sleep(A_MOMENT)
                continue
            if not answer.get("recorded"):
                raise AssertionError(f"the first command was not recorded: {answer}")
            return
    finally:
        desk.close()


def expect_before(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(f"no command was recorded in {WITHIN_SECONDS:.0f} s")


def bare_servers() -> float:
    with fresh_folder() as data:
        user = system_user() if os.geteuid() == 0 else None
        programs = programs_for(user)
        place = data / "bare"
        place.mkdir(mode=0o700)
        if user is not None:
            os.chown(place, user.uid, user.gid)
        before = time.perf_counter()
        postgres = bare_postgresql(programs, place, data, user)
        temporal = None
        try:
            temporal = bare_temporal(data)
            return time.perf_counter() - before
        finally:
            if temporal is not None:
                temporal.stop()
            postgres.stop(((signal.SIGINT, 20.0),))


def bare_postgresql(programs: Path, place: Path, data: Path, user: SystemUser | None) -> Child:
    env, port = {"PATH": os.defpath, "LC_ALL": "C"}, free_port()
    argv = [str(programs / "initdb"), "-D", str(place / "cluster"), "-U", SUPERUSER, "--auth=trust", "--locale=C"]
    initdb = Child("initdb", argv, log=data / "logs" / "initdb.log", env=env, user=user)
    initdb.start()
    initdb.wait(WITHIN_SECONDS)
    argv = [str(programs / "postgres"), "-D", str(place / "cluster"), "-p", str(port), "-h", LOOPBACK, "-k", ""]
    postgres = Child("postgres", argv, log=data / "logs" / "postgres.log", env=env, user=user)
    postgres.start()
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        expect_before(deadline)
        try:
            psycopg.connect(host=LOOPBACK, port=port, user=SUPERUSER, dbname="postgres").close()
            return postgres
        except psycopg.OperationalError:
            time.sleep(A_MOMENT)


def bare_temporal(data: Path) -> Child:
    port, ui_port = free_port(), free_port()
    argv = [str(temporal_program()), "server", "start-dev", "--ip", LOOPBACK, "--port", str(port)]
    argv += ["--ui-port", str(ui_port), "--db-filename", str(data / "bare.db"), "--log-level", "warn"]
    temporal = Child("temporal", argv, log=data / "logs" / "temporal.log", env=without_temporal_settings())
    temporal.start()
    asyncio.run(until_it_answers(f"{LOOPBACK}:{port}"))
    return temporal


async def until_it_answers(address: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        expect_before(deadline)
        try:
            client = await Client.connect(address)
            await client.count_workflows()
            return
        except (RPCError, RuntimeError):
            await asyncio.sleep(A_MOMENT)
