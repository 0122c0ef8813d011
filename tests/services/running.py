"""The whole system, as `imprimatur up` starts it, for tests of the doors."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from services import cli
from services.demo import is_ready
from services.embedded import fresh_folder
from services.embedded_process import Child
from tests.system import POLICY, STAFF

UP_WITHIN_SECONDS = 90.0
STOPPED_WITHIN_SECONDS = 60.0
REQUEST = {
    "platform": "facebook",
    "handle": "",
    "place": "durant",
    "purpose": "Story times for families",
    "audience": "Families in Durant",
    "administrators": ["p-mac", "p-bm-durant"],
    "posters": [],
}


class RunningSystem:
    def __init__(self, data: Path) -> None:
        self.data = data
        self._handles = 0
        self._tokens: dict[str, str] = {}

    def cli(self, *argv: str, given: str | None = None) -> Result:
        """A call of the command line, in this process; its exit code is the result's."""
        return CliRunner().invoke(cli.app, [*argv, "--data", str(self.data)], input=given)

    def json(self, *argv: str, given: Any = None) -> Any:
        told = self.cli(*argv, "--json", given=None if given is None else json.dumps(given))
        return json.loads(told.stdout)

    def far(self, person: str, *argv: str, given: str | None = None) -> Result:
        """The same call by the web address alone, as whoever holds this person's token."""
        token = self._tokens[person] = self._tokens.get(person) or self.token(person)
        away = ["--url", self.url, "--token", token, "--data", str(self.data / "nothing-is-here")]
        return CliRunner().invoke(cli.app, [*argv, *away], input=given)

    def far_json(self, person: str, *argv: str, given: Any = None) -> Any:
        told = self.far(person, *argv, "--json", given=None if given is None else json.dumps(given))
        return json.loads(told.stdout)

    def a_request(self, **changed: Any) -> dict[str, Any]:
        self._handles += 1
        return REQUEST | {"handle": f"handle{self._handles}x{os.getpid()}"} | changed

    def requested(self, **changed: Any) -> str:
        answer = self.json("request", "account_creation", "-", "--as", "p-bm-durant", given=self.a_request(**changed))
        return str(answer["case"])

    @property
    def url(self) -> str:
        settings = json.loads((self.data / "runtime.json").read_text())["settings"]
        return f"http://{settings['host']}:{settings['port']}"

    def pid_of(self, part: str) -> int:
        parts = json.loads((self.data / "runtime.json").read_text())["parts"]
        return int(next(each["pid"] for each in parts if each["name"] == part))

    def token(self, person: str) -> str:
        return str(self.json("token", "--as", person)["token"])


@contextmanager
def running_system() -> Iterator[RunningSystem]:
    with fresh_folder() as data:
        argv = [sys.executable, "-m", "services.cli", "up", "--data", str(data)]
        argv += ["--policy", str(POLICY), "--staff", str(STAFF)]
        # beside the parts' logs, under a name that is not rotated
        up = Child("up", argv, log=data / "logs" / "up.out", at_parents_death=signal.SIGTERM)
        up.start()
        try:
            wait_for(up, data)
            yield RunningSystem(data)
        finally:
            up.stop(((signal.SIGTERM, STOPPED_WITHIN_SECONDS),))
        # and not by being killed for not having stopped in time
        assert up.ended_how() == "ended with exit code 0"


def wait_for(up: Child, data: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while not is_ready(data):
        if not up.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"the system did not start: {' / '.join(up.last_lines())}")
        time.sleep(0.2)
