"""The whole system as a process tree of its own in a folder of its own, with a proxy before its database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.embedded import Part, fresh_folder, status
from services.embedded_process import LOOPBACK, Child, free_port, same_process_lives
from services.settings import PREFIX, Runtime, Settings
from tests.proxy import DroppingProxy

PARTS = ("postgres", "temporal", "worker", "projector", "api")
UP_WITHIN_SECONDS = 120.0
STOPPED_WITHIN_SECONDS = 60.0
# the length, then the value, of the first column of a decision that was recorded
RECORDED = b"\x00\x00\x00\x08recorded"


class NotRunningError(Exception):
    """The system under test did not start, or is not there any more."""


@dataclass
class Running:
    data: Path
    tree: Child
    proxy: DroppingProxy

    @property
    def settings(self) -> Settings:
        return Settings.of_data(self.data)

    def parts(self) -> dict[str, Part]:
        return {part.name: part for part in status(self.data)}

    def pid_of(self, name: str) -> int | None:
        """Of the part as it runs now; a part that is being started again has none."""
        for part in Runtime(self.data).read().get("parts", []):
            if part["name"] == name and part["pid"] is not None and same_process_lives(part["pid"], part["started"]):
                pid: int = part["pid"]
                return pid
        return None

    def all_alive(self) -> bool:
        return all(self.pid_of(name) is not None for name in PARTS)

    def lost_commit_answers(self) -> list[bytes]:
        """Of what was recorded: an answer that says that nothing was has lost no COMMIT."""
        return [answer for answer in self.proxy.lost if RECORDED in answer]

    async def until_up(self) -> None:
        deadline = time.monotonic() + UP_WITHIN_SECONDS
        while not await asyncio.to_thread(self._is_up):
            if not self.tree.alive() or time.monotonic() > deadline:
                raise NotRunningError(f"the system did not start: {' / '.join(self.tree.last_lines(5))}")
            await asyncio.sleep(0.2)

    def _is_up(self) -> bool:
        parts = self.parts()
        return set(PARTS) <= set(parts) and all(part.health == "up" for part in parts.values())


@contextmanager
def running_system() -> Iterator[Running]:
    """Started here, stopped here by its pid, whatever happens; its folder goes with it."""
    with fresh_folder() as data:
        ports = {name: free_port() for name in ("postgres", "temporal", "temporal_ui")}
        # where the tree looks for the ports of the last start: the proxy must know its target before there is one
        Runtime(data).write({"ports": ports})
        proxy = DroppingProxy(LOOPBACK, ports["postgres"])
        proxy.start()
        argv = [sys.executable, "-m", "tests.chaos.tree", str(data), str(proxy.port)]
        log = data / "logs" / "tree.out"  # beside the parts' logs, under a name that is not rotated
        tree = Child("tree", argv, log=log, env=plain_environment(), at_parents_death=signal.SIGTERM)
        tree.start()
        try:
            yield Running(data, tree, proxy)
        finally:
            tree.stop(((signal.SIGTERM, STOPPED_WITHIN_SECONDS), (signal.SIGTERM, 20.0)))
            proxy.stop()


def plain_environment() -> dict[str, str]:
    """Settings of another system that stand in the environment are not meant for this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
