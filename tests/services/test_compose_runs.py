"""docker-compose.yml's services as plain processes, with the very commands and environment that it gives them, against
real servers: only the host names of its network are replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from domain.facts import Channel
from services.desk import Caller, Desk
from services.embedded import EmbeddedPostgreSQL, EmbeddedTemporal, fresh_folder
from services.embedded_process import free_port
from services.settings import PREFIX, Settings
from tests.services.test_compose import example_values, filled_in, plain_processes, read_compose
from tests.system import ROOT

ONE_SHOTS = ("migrate", "first-start")
READY_WITHIN_SECONDS = 60.0


class Composed:
    def __init__(self, data: Path, env: dict[str, str]) -> None:
        self.data, self.env = data, env

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['IMPRIMATUR_PORT']}"


@contextmanager
def process(argv: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", *argv[1:]], cwd=ROOT, env=ours | env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            started.terminate()


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    with fresh_folder() as servers, fresh_folder() as data, ExitStack() as stack:
        postgres, temporal = EmbeddedPostgreSQL(servers), EmbeddedTemporal(servers)
        stack.callback(postgres.remove)
        stack.enter_context(postgres)
        stack.enter_context(temporal)
        values = example_values() | {"POSTGRES_PASSWORD": postgres.passwords["superuser"]}
        places = {
            "postgres:5432": postgres.address, "temporal:7233": temporal.address, "/data": str(data),
            "/keys/": f"{data.parent}/keys/",
            "/app/": f"{ROOT}/", "0.0.0.0": "127.0.0.1", "8080": str(free_port()),
        }  # fmt: skip
        env: dict[str, str] = {}
        for name, argv, given in plain_processes(read_compose(), values):
            env = {key: in_this_place(filled_in(value, values), places) for key, value in given.items()}
            started = stack.enter_context(process(argv, env))
            if name in ONE_SHOTS:
                said, _ = started.communicate(timeout=READY_WITHIN_SECONDS)
                assert started.returncode == 0, said
        until_ready(f"http://127.0.0.1:{env['IMPRIMATUR_PORT']}")
        yield Composed(data, env)


def in_this_place(value: str, places: dict[str, str]) -> str:
    for there, here in places.items():
        value = value.replace(there, here)
    return value


def until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("the API was not ready")


async def test_a_request_and_its_refusal_go_through_the_services_as_composed(composed: Composed) -> None:
    given = {key.removeprefix(PREFIX).lower(): value for key, value in composed.env.items()}
    desk = Desk(Settings.load(**given))
    try:
        token = desk.token("p-bm-durant", "a test")
        fields = {
            "platform": "facebook", "handle": "composed", "place": "durant", "purpose": "to see it work",
            "audience": "everyone", "administrators": ["p-mac", "p-bm-durant"],
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        made = httpx.post(f"{composed.url}/api/v1/cases/account_creation", json=fields, headers=headers, timeout=60)
        assert made.status_code == 201, made.text
        case = made.json()["case"]
        answer = await desk.act(case, "RefuseAccount", {"reason": "not now"}, Caller("p-ed", "a test", Channel.CLI))
        assert answer["recorded"][0]["kind"] == "account_creation.AccountRefused"
        assert await desk.seen(answer["log_position"])
    finally:
        desk.close()
