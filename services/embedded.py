"""`imprimatur up`: PostgreSQL, Temporal, worker, projector and API on this machine, as one supervised tree.

    DATA/runtime.json        addresses, pids and start times of what runs; how every command finds it
    DATA/lock                held while `up` runs
    DATA/secrets/            database passwords and keys; the owner's alone
    DATA/postgres/cluster    the database (or elsewhere: DATA/postgres.location says where, and why is told)
    DATA/temporal/           Temporal's database file
    DATA/logs/NAME.log       of each part; the start before is in NAME.log.1

A part that dies is started again; all of them end with this process, in order when it can, by the kernel
(on Linux) or by the next `up` when it is killed.
"""

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from services.embedded_postgresql import EmbeddedPostgreSQL, prepared, remove_cluster
from services.embedded_process import (
    A_MOMENT,
    Child,
    EmbeddedError,
    accepts,
    end_leftover,
    holder_of,
    never,
    same_process_lives,
    started_at,
    until,
)
from services.embedded_temporal import EmbeddedTemporal
from services.ports import own_port, taken_for_us
from services.settings import Runtime, Settings

__all__ = [
    "EmbeddedError",
    "EmbeddedPostgreSQL",
    "EmbeddedTemporal",
    "Part",
    "Plan",
    "down",
    "fresh_folder",
    "run_up",
    "status",
]

Announce = Callable[[str], None]
CHILDREN = ("worker", "projector", "api")
FIRST_BACK_OFF = 0.2
LONGEST_BACK_OFF = 5.0
HEALTHY_AFTER = 30.0
PORTS_TRIED = 100
TO_GO_DOWN = 90.0
MALFORMED_CALL = 2


class Supervised(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def start(self, give_up: Callable[[], bool] = never) -> None: ...
    def stop(self, hurry: Callable[[], bool] = never) -> None: ...
    def alive(self) -> bool: ...
    def ended_how(self) -> str: ...


def serve(name: str) -> Sequence[str]:
    # not by the command line, which takes twice as long to load as the part itself
    return [sys.executable, "-m", "services.parts", name]


def migrate(postgresql: EmbeddedPostgreSQL) -> None:
    from services.database import migrate as migrate_database

    migrate_database(postgresql.superuser_dsn, postgresql.passwords)


def first_start(settings: Settings, policy_file: Path | None, staff_file: Path | None) -> None:
    from services.bootstrap import first_start as bootstrap

    bootstrap(settings, policy_file, staff_file)


@dataclass(frozen=True)
class Plan:
    """What the tree is made of; tests put stand-ins here."""

    children: Mapping[str, Sequence[str]] = field(default_factory=lambda: {n: serve(n) for n in CHILDREN})
    migrate: Callable[[EmbeddedPostgreSQL], None] = migrate
    first_start: Callable[[Settings, Path | None, Path | None], None] = first_start


@dataclass(frozen=True)
class Part:
    """One line of `imprimatur status`."""

    name: str
    address: str | None
    health: str
    pid: int | None
    log_position: int | None = None


def run_up(
    settings: Settings,
    *,
    port_explicit: bool,
    policy_file: Path | None,
    staff_file: Path | None,
    announce: Announce,
    plan: Plan | None = None,
) -> int:
    """Everything, in the foreground, until SIGINT or SIGTERM. Returns the exit code."""
    try:
        data = prepared(settings.data)
        with only_one(data), Signals() as signals:
            tree = Tree(settings, data, plan or Plan(), announce, signals)
            return tree.run(port_explicit, policy_file, staff_file)
    except EmbeddedError as failed:
        announce(str(failed))
        return failed.exit_code


class Ended(BaseException):
    """Asked to end, in the middle of what does not look for that. None of its errors, so that it takes it for one."""


class Signals:
    """SIGINT and SIGTERM, counted: the first asks for an orderly end, a second one for a quick end."""

    def __init__(self) -> None:
        self.count = 0
        self._break_off = False

    def __enter__(self) -> "Signals":
        self.before = {each: signal.signal(each, self._count) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._break_off:
            raise Ended

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """For what may be broken off anywhere, and would go on for as long as it waits: a signal does, as Ended."""
        self._break_off = True
        try:
            if self.ending():
                raise Ended
            yield
        finally:
            self._break_off = False

    def ending(self) -> bool:
        return self.count > 0

    def hurried(self) -> bool:
        return self.count > 1


class Tree:
    def __init__(self, settings: Settings, data: Path, plan: Plan, announce: Announce, signals: Signals) -> None:
        self.settings, self.data, self.plan = settings, data, plan
        self.announce, self.signals = announce, signals
        self.runtime = Runtime(data)
        self.before = self.runtime.read()
        self.parts: list[Kept] = []

    def run(self, port_explicit: bool, policy_file: Path | None, staff_file: Path | None) -> int:
        try:
            end_leftovers(self.data, self.announce)
            rotate_logs(self.data)
            self.port = self._api_port(port_explicit)
            self._start_servers()
            self._first_start(policy_file, staff_file)
            self._start_children()
            self._tend()
        except Ended:
            pass
        finally:
            self._stop()
        return 0

    def _start_servers(self) -> None:
        ports = self.before.get("ports", {})
        self.postgresql = EmbeddedPostgreSQL(self.data, ports.get("postgres"))
        self.temporal = EmbeddedTemporal(self.data, ports.get("temporal"), ports.get("temporal_ui"))
        self._say_where_the_cluster_is()
        self._start(self.postgresql, f"PostgreSQL on {self.postgresql.address}")
        with self.signals.breaking_off():
            self.plan.migrate(self.postgresql)
        self._start(self.temporal, f"Temporal on {self.temporal.address}, its pages on {self.temporal.ui_url}")

    def _first_start(self, policy_file: Path | None, staff_file: Path | None) -> None:
        with self.signals.breaking_off():
            self.plan.first_start(Settings.of_data(self.data), policy_file, staff_file)

    def _start_children(self) -> None:
        for name, argv in self.plan.children.items():
            self._start(Service(name, argv, self.data), name)

    def _start(self, part: Supervised, line: str) -> None:
        if self.signals.ending():
            return
        self.parts.append(Kept(part, self.data))
        part.start(self.signals.ending)
        self._write_runtime()
        self.announce(line)

    def _tend(self) -> None:
        welcome = (
            f"Imprimatur is up: {self.public_url}   (Ctrl-C stops it; data in {self.data})\n"
            f"To sign in, make a token for a person of the staff: imprimatur token --as p-ed --data {self.data}\n"
            f"or act from here: imprimatur inbox --as p-ed --data {self.data}"
        )
        while not self.signals.ending():
            for part in self.parts:
                if part.tended(self.announce, self.signals.ending):
                    self._write_runtime()
            if welcome and ("api" not in self.plan.children or accepts(self.port, self.settings.host)):
                self.announce(welcome)
                welcome = ""
            time.sleep(A_MOMENT)

    def _stop(self) -> None:
        if self.signals.ending():
            self.announce("Stopping (once more Ctrl-C: at once)")
        for kept in reversed(self.parts):
            kept.part.stop(self.signals.hurried)
        self.parts.clear()
        if hasattr(self, "temporal"):
            self._write_runtime()
        if self.signals.ending():
            self.announce("Stopped")

    def _api_port(self, explicit: bool) -> int:
        wanted, host = self.settings.port, self.settings.host
        if wanted == 0:
            return own_port(self.before.get("ports", {}).get("api"))
        if taken_for_us(wanted, host):
            return wanted
        holder = holder_of(wanted)
        taken = f"port {wanted} is taken" + (f" ({holder})" if holder else "")
        if explicit:
            raise EmbeddedError(f"{taken}: name another one with --port", MALFORMED_CALL)
        port = next((p for p in range(wanted + 1, wanted + PORTS_TRIED) if taken_for_us(p, host)), None)
        if port is None:
            raise EmbeddedError(f"{taken}, and so are the {PORTS_TRIED} after it", MALFORMED_CALL)
        self.announce(f"{taken}, so the web address is on {port}")
        return port

    def _say_where_the_cluster_is(self) -> None:
        if self.postgresql.place.parent != self.data:
            self.announce(
                f"A folder above {self.data} is closed to others, and PostgreSQL does not run as root: "
                f"the database is in {self.postgresql.place}"
            )

    @property
    def public_url(self) -> str:
        return self.settings.base_url or f"http://{self.settings.host}:{self.port}"

    def _write_runtime(self) -> None:
        """Before a child starts, since that is where it finds its addresses."""
        ports = {
            "postgres": self.postgresql.port,
            "temporal": self.temporal.port,
            "temporal_ui": self.temporal.ui_port,
            "api": self.port,
        }
        self.runtime.write(
            {
                "supervisor": described(os.getpid()),
                "settings": {
                    "database_url": self.postgresql.url,
                    "temporal_address": self.temporal.address,
                    "temporal_namespace": "default",
                    "host": self.settings.host,
                    "port": self.port,
                    "base_url": self.public_url,
                },
                "temporal_ui": self.temporal.ui_url,
                "ports": ports,
                "parts": [
                    {"name": kept.part.name, "port": ports.get(kept.part.name), **described(kept.part.pid)}
                    for kept in self.parts
                ],
            }
        )


class Service:
    """A part of ours, as a process of its own: worker, projector, API."""

    def __init__(self, name: str, argv: Sequence[str], data: Path) -> None:
        self.name = name
        env = dict(os.environ) | {"IMPRIMATUR_DATA": str(data), "PYTHONUNBUFFERED": "1"}
        self.child = Child(name, argv, log=data / "logs" / f"{name}.log", env=env)

    @property
    def pid(self) -> int | None:
        return self.child.pid

    def start(self, give_up: Callable[[], bool] = never) -> None:
        self.child.start()

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        self.child.stop(((signal.SIGTERM, 10.0),), hurry)

    def alive(self) -> bool:
        return self.child.alive()

    def ended_how(self) -> str:
        return self.child.ended_how()


class Kept:
    """A part that is started again when it dies: soon at first, then less often while it keeps dying."""

    def __init__(self, part: Supervised, data: Path) -> None:
        self.part = part
        self.log = data / "logs" / f"{part.name}.log"
        self.started = time.monotonic()
        self.back_off = FIRST_BACK_OFF
        self.due: float | None = None

    def tended(self, announce: Announce, give_up: Callable[[], bool]) -> bool:
        """Whether it has just been started again."""
        if self.due is None:
            self._notice(announce)
            return False
        if time.monotonic() < self.due:
            return False
        self._start_again(announce, give_up)
        return self.due is None

    def _notice(self, announce: Announce) -> None:
        if self.part.alive():
            return
        if time.monotonic() - self.started > HEALTHY_AFTER:
            self.back_off = FIRST_BACK_OFF
        self._later(announce, self.part.ended_how())

    def _start_again(self, announce: Announce, give_up: Callable[[], bool]) -> None:
        try:
            self.part.start(give_up)
        except EmbeddedError as failed:
            self._later(announce, str(failed))
        else:
            self.started, self.due = time.monotonic(), None

    def _later(self, announce: Announce, why: str) -> None:
        announce(f"{self.part.name} {why}; starting it again in {self.back_off:.1f} s (see {self.log})")
        self.due = time.monotonic() + self.back_off
        self.back_off = min(self.back_off * 2, LONGEST_BACK_OFF)


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """One `up` on one DATA; the lock goes with the process, however it ends."""
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = supervisor_of(data)
            who = f" (pid {pid})" if pid else ""
            raise EmbeddedError(f"Imprimatur is already running on {data}{who}", MALFORMED_CALL) from None
        yield


def status(data: Path) -> list[Part]:
    """Each part with its address and health: `up`, `starting` (alive, not answering yet) or `down`."""
    recorded = Runtime(data.absolute()).read().get("parts", [])
    return [part_of(each) for each in recorded]


def part_of(recorded: Mapping[str, Any]) -> Part:
    pid, port = recorded["pid"], recorded["port"]
    lives = pid is not None and same_process_lives(pid, recorded["started"])
    answers = lives and (port is None or accepts(port))
    return Part(
        name=recorded["name"],
        address=f"127.0.0.1:{port}" if port else None,
        health="up" if answers else "starting" if lives else "down",
        pid=pid if lives else None,
    )


def down(data: Path, announce: Announce) -> int:
    """Ask the running `up` to stop, and wait for it. Also ends what a killed `up` left behind."""
    data = data.absolute()
    pid = supervisor_of(data)
    if pid is None:
        announce("It was not running" if not end_leftovers(data, announce) else "Stopped")
        return 0
    os.kill(pid, signal.SIGTERM)
    if not until(lambda: supervisor_of(data) is None, TO_GO_DOWN):
        raise EmbeddedError(f"pid {pid} did not stop in {TO_GO_DOWN:.0f} s; a second SIGTERM is harder")
    announce("Stopped")
    return 0


def supervisor_of(data: Path) -> int | None:
    found = Runtime(data).read().get("supervisor")
    if not found or not same_process_lives(found["pid"], found["started"]):
        return None
    pid: int = found["pid"]
    return pid


def end_leftovers(data: Path, announce: Announce) -> int:
    """What an `up` that was killed could not stop itself; by pid and start time, last started first."""
    ended = 0
    for part in reversed(Runtime(data).read().get("parts", [])):
        # PostgreSQL's kind signal waits for its clients, so it gets the next one
        first = signal.SIGINT if part["name"] == EmbeddedPostgreSQL.name else signal.SIGTERM
        if part["pid"] is not None and end_leftover(part["pid"], part["started"], first):
            announce(f"{part['name']} was still running from an earlier start (pid {part['pid']}): stopped")
            ended += 1
    return ended


def described(pid: int | None) -> dict[str, Any]:
    return {"pid": pid, "started": started_at(pid) if pid is not None else None}


def rotate_logs(data: Path) -> None:
    for log in (data / "logs").glob("*.log"):
        log.replace(log.with_name(f"{log.name}.1"))


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A throw-away DATA for demo, tests and benchmarks; PostgreSQL's user can reach it, and it goes away."""
    above = Path(tempfile.mkdtemp(prefix="imprimatur-"))
    above.chmod(0o711)
    data = prepared(above / "data")
    try:
        yield data
    finally:
        remove_cluster(data)
        shutil.rmtree(above, ignore_errors=True)
