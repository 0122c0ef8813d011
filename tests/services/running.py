"""The whole system, as `imprimatur up` starts it, for tests of the doors."""

from __future__ import annotations

import json
import os
import subprocess
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
from tests.system import POLICY, ROOT, STAFF

UP_WITHIN_SECONDS = 90.0
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
        up = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            wait_for(up, data)
            yield RunningSystem(data)
        finally:
            up.terminate()
            try:
                up.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                # what does not end when it is asked must not outlive the tests; its parts end with it
                up.kill()
                raise


def wait_for(up: subprocess.Popen[str], data: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while not is_ready(data):
        if up.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"the system did not start: {up.communicate()[0] if up.poll() is not None else 'too slow'}"
            )
        time.sleep(0.2)
