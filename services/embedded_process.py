"""One process of the embedded tree: its own session, its own log, gone when the tree is gone."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import psutil

LOOPBACK = "127.0.0.1"
# below the ports that systems hand to outgoing connections, so that a part finds its port again
OUR_PORTS = range(20_000, 32_000)
A_MOMENT = 0.05
SAME_START = 2.0


class EmbeddedError(Exception):
    """The embedded system cannot be started or stopped: one line for people, and the exit code."""

    def __init__(self, message: str, exit_code: int = 4) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def never() -> bool:
    return False


# Linux tells a child of its parent's death when the *thread* that started it ends, so one thread that
# lasts as long as the process starts them all.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

# A launcher rather than preexec_fn, which may deadlock in a process with threads.
LAUNCH = """
import ctypes, os, sys
parent, at_death, uid, gid, *argv = sys.argv[1:]
if int(uid) >= 0:
    os.chdir("/"); os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid)); os.umask(0o077)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(at_death), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the process that started this one is gone")
os.execv(argv[0], argv)
"""


@dataclass(frozen=True)
class SystemUser:
    uid: int
    gid: int


@dataclass
class Child:
    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    user: SystemUser | None = None
    at_parents_death: signal.Signals = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = _spawner.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = self.user or SystemUser(-1, -1)
        before = [str(os.getpid()), str(int(self.at_parents_death)), str(user.uid), str(user.gid)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCH, *before, *self.argv],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # a Ctrl-C in the terminal reaches the supervisor alone, which stops its parts in order
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.alive() else None

    @property
    def last_pid(self) -> int | None:
        """Also when it has ended."""
        return self.process.pid if self.process is not None else None

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ended_how(self) -> str:
        code = self.process.poll() if self.process is not None else None
        if code is None:
            return "did not start"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def wait(self, seconds: float, hurry: Callable[[], bool] = never) -> bool:
        """Whether it has ended within the time."""
        return until(lambda: not self.alive(), seconds, hurry)

    def stop(
        self,
        steps: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),),
        hurry: Callable[[], bool] = never,
    ) -> None:
        """Ask by each signal in turn, waiting as long as given, then end the whole group."""
        for asked, seconds in steps:
            if not self.alive():
                break
            self._signal(asked)
            if self.wait(seconds, hurry):
                break
        self.kill()

    def kill(self) -> None:
        if self.process is not None:
            # what the process itself started in its group goes with it, even when it ended first
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _signal(self, asked: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(asked)

    def last_lines(self, count: int = 15) -> list[str]:
        try:
            return self.log.read_text(errors="replace").splitlines()[-count:]
        except OSError:
            return []


class EmbeddedServer(ABC):
    """A server as a child of this process: `start` makes the child, and the rest is alike for all of them. `farewell`:
    by which signals it is asked to end, and how long each is waited for."""

    farewell: ClassVar[Sequence[tuple[signal.Signals, float]]] = ((signal.SIGTERM, 10.0),)
    child: Child | None = None

    @abstractmethod
    def start(self, give_up: Callable[[], bool] = never) -> None: ...

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None else None

    def alive(self) -> bool:
        return self.child is not None and self.child.alive()

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        if self.child is not None:
            self.child.stop(self.farewell, hurry)

    def kill(self) -> None:
        """As a fault would: no goodbye."""
        if self.child is not None:
            self.child.kill()

    def ended_how(self) -> str:
        return self.child.ended_how() if self.child is not None else "did not start"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(
        self, child: Child, called: str, ready: Callable[[], bool], seconds: float, give_up: Callable[[], bool]
    ) -> None:
        self.child = child
        child.start()
        if not until(ready, seconds, give_up) and not give_up():
            raise EmbeddedError(f"{called} was not ready in {seconds:.0f} s; see {child.log}")


def until(come: Callable[[], bool], seconds: float, give_up: Callable[[], bool] = never) -> bool:
    end = time.monotonic() + seconds
    while not come():
        if give_up() or time.monotonic() > end:
            return come()
        time.sleep(A_MOMENT)
    return True


def started_at(pid: int) -> float | None:
    """With the pid, what tells a process from a later one of the same number."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def same_process_lives(pid: int, started: float) -> bool:
    now = started_at(pid)
    return now is not None and abs(now - started) < SAME_START


def end_leftover(pid: int, started: float, first: signal.Signals, seconds: float = 10.0) -> bool:
    """End a process that an earlier start left behind, if it is still that one; whether there was one."""
    if not same_process_lives(pid, started):
        return False
    for asked in (first, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, asked)
        if until(lambda: not same_process_lives(pid, started), seconds):
            break
    return True


def is_free(port: int, host: str = LOOPBACK) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        # as servers do: a port whose last connections are still closing counts as free
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
        return True


def free_port(wanted: int | None = None) -> int:
    """The wanted one (where it was last time) if it is still free, else another."""
    if wanted is not None and is_free(wanted):
        return wanted
    for port in random.sample(OUR_PORTS, 100):
        if is_free(port):
            return port
    raise EmbeddedError("no free port was found on this machine")


def accepts(port: int, host: str = LOOPBACK) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def holder_of(port: int) -> str | None:
    """Which program listens there, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, pid {connection.pid}"
    except psutil.Error:
        return None
    return None
