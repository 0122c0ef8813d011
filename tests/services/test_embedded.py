"""The embedded default, with real servers and stand-ins for our own parts."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from temporalio.client import Client

from services.embedded import (
    EmbeddedError,
    EmbeddedPostgreSQL,
    EmbeddedTemporal,
    Part,
    down,
    fresh_folder,
    status,
)
from services.embedded_postgresql import open_to_all, shipped_programs
from services.embedded_process import free_port, same_process_lives, started_at
from services.settings import Settings, secrets_folder

UP = """
import sys, time
from pathlib import Path
from services.embedded import Plan, run_up
from services.settings import Settings

data, port, explicit = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "explicit"
answering = "import http.server, os; from pathlib import Path; from services.settings import Settings;" \\
    "http.server.test(port=Settings.of_data(Path(os.environ['IMPRIMATUR_DATA'])).port, bind='127.0.0.1')"
sleeping = "import time; time.sleep(600)"

def does(what, *more):
    print(what, *more, flush=True)
    time.sleep(600 if sys.argv[3] == f"stuck: {what}" else 0)

plan = Plan(
    children={"worker": [sys.executable, "-c", sleeping], "api": [sys.executable, "-c", answering]},
    migrate=lambda postgresql: does("migrated"),
    first_start=lambda settings, policy, staff: does("first start", policy),
)
sys.exit(run_up(
    Settings(data=data, port=port), port_explicit=explicit, policy_file=Path("the.toml"), staff_file=None,
    announce=lambda line: print(line, flush=True), plan=plan,
))
"""


@pytest.fixture
def data() -> Iterator[Path]:
    with fresh_folder() as folder:
        yield folder


class Up:
    """A running stand-in for `imprimatur up`, and what it has said so far."""

    def __init__(self, data: Path, port: int, explicit: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP, str(data), str(port), explicit],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(line.rstrip() for line in self.process.stdout)

    def until_said(self, pattern: str) -> str:
        comes(lambda: any(re.search(pattern, line) for line in self.said), f"{pattern} in {self.said}")
        return next(line for line in self.said if re.search(pattern, line))

    def end(self, asked: signal.Signals) -> int:
        self.process.send_signal(asked)
        return self.ended()

    def ended(self) -> int:
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # what it started ends with it
            self.process.kill()
            raise
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def up(data: Path, port: int | None = None, explicit: str = "default") -> Iterator[Up]:
    running = Up(data, port or free_port(), explicit)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def comes(true: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(0.05)


def pids(data: Path) -> dict[str, int]:
    return {part.name: part.pid for part in status(data) if part.pid is not None}


def test_what_postgresql_has_committed_survives_kill_9(data: Path) -> None:
    with EmbeddedPostgreSQL(data) as postgresql:
        with psycopg.connect(postgresql.superuser_dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        address = postgresql.address
        postgresql.kill()
        assert not postgresql.alive()
        postgresql.start()
        assert postgresql.address == address
        with psycopg.connect(postgresql.superuser_dsn) as connection:
            assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]


def test_orphaned_backends_are_waited_for(data: Path) -> None:
    with EmbeddedPostgreSQL(data) as postgresql:
        busy = psycopg.connect(postgresql.superuser_dsn, autocommit=True)
        orphan = threading.Thread(target=spin_until_the_server_is_gone, args=[busy])
        orphan.start()
        time.sleep(0.3)
        postgresql.kill()
        postgresql.start()
        assert "pre-existing shared memory block" in (data / "logs" / "postgres.log").read_text()
        orphan.join()
        busy.close()


def spin_until_the_server_is_gone(busy: psycopg.Connection) -> None:
    # a backend in its own code does not notice at once that its postmaster is gone; it may even answer
    with suppress(psycopg.Error):
        busy.execute(
            "DO $$ DECLARE until timestamptz := clock_timestamp() + interval '2 s';"
            "BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$"
        )


def test_postgresql_knows_nobody_without_a_password(data: Path) -> None:
    with EmbeddedPostgreSQL(data) as postgresql:
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(f"postgresql://postgres@{postgresql.address}/imprimatur")
        with psycopg.connect(postgresql.superuser_dsn) as connection:
            shown = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
                [["fsync", "max_connections", "synchronous_commit", "unix_socket_directories"]],
            ).fetchall()
    assert shown == [
        ("fsync", "on"),
        ("max_connections", "200"),
        ("synchronous_commit", "on"),
        ("unix_socket_directories", ""),
    ]
    assert (secrets_folder(data) / "database.json").stat().st_mode & 0o777 == 0o600
    assert secrets_folder(data).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another user")
def test_as_root_a_closed_folder_is_not_opened_but_gone_around(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = data.parent / "outside"
    closed = data.parent / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr("services.embedded_postgresql.OUTSIDE", outside)
    # as when the virtual environment is in root's home: the programs are copied to an open place
    programs = shipped_programs()
    monkeypatch.setattr("services.embedded_postgresql.open_to_all", lambda path: path != programs and open_to_all(path))
    with EmbeddedPostgreSQL(closed / "data") as postgresql:
        assert postgresql.place.parent == outside
        assert (closed / "data" / "postgres.location").read_text().strip() == str(postgresql.place)
        with psycopg.connect(postgresql.superuser_dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        postgresql.remove()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name.partition("-")[0] for path in outside.iterdir()) == ["lock", "programs"]


async def test_what_temporal_has_acknowledged_survives_kill_9(data: Path) -> None:
    with EmbeddedTemporal(data) as temporal:
        client = await Client.connect(temporal.address)
        await client.start_workflow("Waiting", id="case-1", task_queue="nobody")
        temporal.kill()
        temporal.start()
        again = await Client.connect(temporal.address)
        assert (await again.get_workflow_handle("case-1").describe()).workflow_type == "Waiting"
    assert temporal.ended_how() == "ended with exit code 0"


def test_up_starts_in_order_and_sigterm_stops_all_of_it(data: Path) -> None:
    with up(data) as running:
        running.until_said("Imprimatur is up: http://127.0.0.1:")
        running.until_said("or act from here")
        parts = status(data)
        assert [(part.name, part.health) for part in parts] == [
            (name, "up") for name in ("postgres", "temporal", "worker", "api")
        ]
        order = [line.split()[0] for line in running.said]
        # and then how to sign in
        assert order == ["PostgreSQL", "migrated", "Temporal", "first", "worker", "api", "Imprimatur", "To", "or"]
        settings = Settings.of_data(data)
        assert [settings.temporal_address, f"127.0.0.1:{settings.port}"] == [
            parts[1].address,
            parts[3].address,
        ]
        assert running.end(signal.SIGTERM) == 0
        assert running.said[-1] == "Stopped"
        assert not any(same_process_lives(part.pid, 0) or started_at(part.pid) for part in parts if part.pid)
        assert status(data) == []


@pytest.mark.parametrize("stuck", ["migrated", "first start"])
def test_what_does_not_come_to_its_end_is_broken_off(data: Path, stuck: str) -> None:
    with up(data, explicit=f"stuck: {stuck}") as running:
        running.until_said(stuck)
        begun = list(pids(data).values())
        assert running.end(signal.SIGTERM) == 0
        assert running.said[-1] == "Stopped"
    assert begun
    assert not any(map(psutil.pid_exists, begun))


@pytest.mark.ordeal
def test_a_dead_part_is_started_again_and_the_others_go_on(data: Path) -> None:
    with up(data) as running:
        running.until_said("Imprimatur is up")
        for name in ("worker", "postgres", "temporal"):
            before = pids(data)
            os.kill(before[name], signal.SIGKILL)
            running.until_said(f"{name} was ended by SIGKILL; starting it again in 0.2 s")
            comes(lambda n=name, old=before: pids(data).get(n, old[n]) != old[n], f"another {name}")  # type: ignore[misc]
            comes(lambda: {part.health for part in status(data)} == {"up"}, "all parts up")
            after = pids(data)
            assert {n for n in after if after[n] != before[n]} == {name}


@pytest.mark.ordeal
def test_two_ups_on_one_folder_are_refused_and_one_after_the_other_goes_on(data: Path) -> None:
    with up(data) as first:
        first.until_said("Imprimatur is up")
        addresses = [part.address for part in status(data)]
        with up(data) as second:
            assert second.ended() == 2
        assert second.said == [f"Imprimatur is already running on {data} (pid {first.process.pid})"]
        said: list[str] = []
        assert down(data, said.append) == 0
        assert (first.ended(), said) == (0, ["Stopped"])
    with up(data, Settings.of_data(data).port) as third:
        third.until_said("Imprimatur is up")
        assert [part.address for part in status(data)] == addresses


@pytest.mark.ordeal
def test_nothing_outlives_a_killed_up_and_the_next_one_starts(data: Path) -> None:
    with up(data) as killed:
        killed.until_said("Imprimatur is up")
        before = status(data)
        killed.end(signal.SIGKILL)
        with up(data) as next_one:
            next_one.until_said("Imprimatur is up")
            assert not any(_lives(part) for part in before)


def _lives(part: Part) -> bool:
    return part.pid is not None and started_at(part.pid) is not None


def test_a_taken_port_is_said(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(data, port, "explicit") as refused:
            assert refused.ended() == 2
        assert refused.said[-1].startswith(f"port {port} is taken (")
        assert refused.said[-1].endswith(f"pid {os.getpid()}): name another one with --port")
        with up(data, port) as moved:
            assert "so the web address is on" in moved.until_said(f"port {port} is taken")
            moved.until_said(f"Imprimatur is up: http://127.0.0.1:{port + 1}|Imprimatur is up")


def test_a_lost_cluster_is_said_and_not_made_anew(data: Path) -> None:
    (data / "postgres.location").write_text("/nowhere/at/all\n")
    with pytest.raises(EmbeddedError, match="was in /nowhere/at/all, which is not there any more"):
        EmbeddedPostgreSQL(data)
