"""Commands decided and recorded in a second, with one writer and with eight, against the eventsourcing library's own
get and save of an aggregate.

Both sides take one stream that this process began, decide once, and have it on disk when they go on: same server,
same settings, same processes, by turns. Eight writers are arranged in three ways: as eight threads of one process, as
two processes with four threads each, which is how a door and a worker write, and as eight processes. The goal is held
by each side as it is fastest. The baseline is the library as it comes: it reads the aggregate and saves one event. On
our side the command is the commonest of a case, a set-up task done with a note: the note is sealed, the ledger checks
the credential, judges on what it holds in memory and records on condition that nothing of it has moved: all of it is
timed. The credential is the sender's and comes with the command, so it is signed before: sealing the same note for the
same command gives the same bytes, so that it fits.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from joserfc.jwk import OKPKey

from domain.account_creation import AccountCase
from domain.account_creation_messages import ApproveAccount, CompleteTask
from domain.facts import Actor, ActorKind, Channel, Command, Sealed
from services.clock import SystemClock
from services.credentials import DoorKey
from services.database import ROLES, migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.ledger import Answer, Ledger, postgres_env
from services.seal import KeyEncryptionKey, KeyStore, Seal
from services.submissions import Submission
from tests.system import Database, Office, a_case, a_request

WRITERS = 8
# how many processes, and how many threads of each
ARRANGED = {"threads of one process": (1, WRITERS), "two processes": (2, WRITERS // 2), "a process each": (WRITERS, 1)}
ROUNDS = 11
EACH = 40
NOTE = "The page is made under the name that was asked for, with the pictures of the branch. " * 3
NEVER_LONGER_THAN = 60.0
READY = "ready"
PASSWORDS = dict.fromkeys(ROLES, "only-for-a-benchmark")


class Post(Aggregate):
    """What the library's own tutorial would make of the same case."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.done: dict[str, str] = {}

    @event("TaskCompleted")
    def complete_task(self, task: str, note: str) -> None:
        self.done = {task: note}


class Posts(Application[UUID]):
    pass


@dataclass(frozen=True)
class Installation:
    """How a process of the benchmark reaches both sides."""

    recorder: str
    keeper: str
    baseline: str
    door: dict[str, Any]


def baseline_env(url: str, threads: int = 1) -> dict[str, str]:
    env = postgres_env(url, threads)
    kept = {name: value for name, value in env.items() if name.startswith("POSTGRES_") and name[9:] in CONNECTS_BY}
    return kept | {"PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_POOL_SIZE": str(max(threads, 5))}


CONNECTS_BY = ("DBNAME", "HOST", "PORT", "USER", "PASSWORD")


class Signed(NamedTuple):
    """A credential for one command, as it comes with it."""

    case: str
    id: str
    credential: str


class Sides:
    """Both sides in one process, so that neither has a process more than the other."""

    def __init__(self, at: Installation, threads: int) -> None:
        self.door = DoorKey(OKPKey.import_key(at.door))
        self.clock = SystemClock()
        self.ledger = Ledger(at.recorder, self.clock, self.door.verifier(), pool_size=threads)
        self.keys = KeyStore(at.keeper, KeyEncryptionKey(b"k" * 32))
        self.seal = Seal(self.keys)
        # made once, by the process that sends the jobs: the library makes tables one at a time
        self.posts = Posts(baseline_env(at.baseline, threads) | {"CREATE_TABLE": "n"})
        self.ledger.library()

    def ours(self, signed: Signed) -> None:
        note = self.seal.text(NOTE, signed.case, signed.id, "note")
        answer = self.ledger.submit(self._task_done(signed, note))
        assert answer.facts, answer.refusal

    def _task_done(self, signed: Signed, note: Sealed) -> Submission:
        command = CompleteTask(task="account_made", note=note)
        fields = command.model_dump(mode="json")
        return Submission(
            kind=command.kind, id=signed.id, case=signed.case, fields=fields, credential=signed.credential
        )

    def _signed(self, case: str) -> Signed:
        """What someone who knows the note would send, but for the command itself."""
        unsigned = Signed(case, str(uuid4()), "")
        submission = self._task_done(unsigned, self.seal.text(NOTE, case, unsigned.id, "note"))
        actor = Actor(kind=ActorKind.PERSON, id="p-mac")
        proven = self.door.prove(submission, actor, "a benchmark", Channel.API, self.clock.now())
        return unsigned._replace(credential=proven.credential)

    def baseline(self, post_id: str) -> None:
        post: Post = self.posts.repository.get(UUID(post_id))
        post.complete_task("account_made", NOTE)
        self.posts.save(post)

    def begun(self, side: str, count: int) -> Sequence[Any]:
        """So many streams, begun here: on our side a request that was approved, on the other one event."""
        if side == "baseline":
            posts = [Post(title="durantlibrary") for _ in range(count)]
            self.posts.save(*posts)
            return [str(post.id) for post in posts]
        return [self._signed(self._approved(a_case())) for _ in range(count)]

    def _approved(self, case: str) -> str:
        purpose = self.seal.text("For the branch's news", case, "purpose", "purpose")
        request = a_request(f"b{case[-12:]}", purpose=purpose, audience=purpose)
        assert self._submit(request, case, "p-bm-durant", str(uuid4())).facts
        state = self.ledger.state(case)
        assert isinstance(state, AccountCase)
        assert self._submit(ApproveAccount(content=state.content), case, "p-ed", str(uuid4())).facts
        return case

    def _submit(self, command: Command, case: str, person: str, id_: str) -> Answer:
        plain = Submission(kind=command.kind, id=id_, case=case, fields=command.model_dump(mode="json"))
        actor = Actor(kind=ActorKind.PERSON, id=person)
        return self.ledger.submit(self.door.prove(plain, actor, "a benchmark", Channel.API, self.clock.now()))

    def close(self) -> None:
        self.ledger.close()
        self.keys.close()
        self.posts.close()


def writer(at: Installation, threads: int, barrier: Barrier, pipe: Connection) -> None:
    """Does what it is sent, a side and how often each thread is to write; says when it began and ended. All processes
    of an arrangement begin together."""
    sides = Sides(at, threads)
    pipe.send(READY)
    with ThreadPoolExecutor(threads) as crowd:
        while (told := pipe.recv()) is not None:
            side, each = told
            work: Callable[[Any], None] = getattr(sides, side)
            jobs = sides.begun(side, threads * each)
            barrier.wait(NEVER_LONGER_THAN)
            # known up to the last stream that anyone began, and what beginning them left over is no part of this
            sides.ledger.library()
            gc.collect()
            barrier.wait(NEVER_LONGER_THAN)
            began = time.monotonic()
            shares = [crowd.submit(one_after_the_other, work, jobs[nth::threads]) for nth in range(threads)]
            for share in shares:
                share.result()
            pipe.send((began, time.monotonic()))
    sides.close()


def one_after_the_other(work: Callable[[Any], None], jobs: Sequence[Any]) -> None:
    for job in jobs:
        work(job)


class Writers:
    """So many processes with so many threads each. They are ready once this is made: a start is more work than what
    is measured."""

    def __init__(self, at: Installation, processes: int, threads: int) -> None:
        self.count = processes * threads
        context = get_context("spawn")
        # kept: the processes look it up by name while they start
        self.barrier = context.Barrier(processes)
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []
        for _ in range(processes):
            here, there = context.Pipe()
            process = context.Process(target=writer, args=(at, threads, self.barrier, there), daemon=True)
            process.start()
            self.processes.append(process)
            self.pipes.append(here)
        for pipe in self.pipes:
            assert answer_of(pipe) == READY

    def per_second(self, side: str, each: int) -> float:
        for pipe in self.pipes:
            pipe.send((side, each))
        times: list[tuple[float, float]] = [answer_of(pipe) for pipe in self.pipes]
        return self.count * each / (max(ended for _, ended in times) - min(began for began, _ in times))

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(20)
            process.kill()


@contextmanager
def installation(server: EmbeddedPostgreSQL) -> Iterator[Installation]:
    """Both sides with their tables, ours with its policy and staff."""
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute("create database ours")
        conn.execute("create database baseline")
        durable = [conn.execute(f"show {name}".encode()).fetchone() for name in ("fsync", "synchronous_commit")]
    assert durable == [("on",), ("on",)]
    database = Database(server.superuser_dsn, "ours", PASSWORDS)
    migrate(database.superuser, PASSWORDS)
    office = Office(database, SystemClock()).founded()
    baseline = Database(server.superuser_dsn, "baseline", PASSWORDS).superuser
    posts = Posts(baseline_env(baseline))
    yield Installation(
        recorder=database.url("recorder"),
        keeper=database.url("keeper"),
        baseline=baseline,
        door=dict(office.door._key.as_dict(private=True)),
    )
    office.close()
    posts.close()


def answer_of(pipe: Connection) -> Any:
    if not pipe.poll(NEVER_LONGER_THAN):
        raise TimeoutError("a writer of the benchmark does not answer")
    return pipe.recv()


def measure(rounds: int = ROUNDS, each: int = EACH) -> list[dict[str, Any]]:
    with TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "data")
        server.start()
        try:
            with installation(server) as at:
                (one,) = found_by([Writers(at, 1, 1)], rounds, each * WRITERS // 2)
                eight = found_by([Writers(at, *arranged) for arranged in ARRANGED.values()], rounds, each)
        finally:
            server.stop()
            server.remove()
    fastest = Found(*(max(of_one_side, key=statistics.median) for of_one_side in zip(*eight, strict=True)))
    return [
        line("1 writer", one, 1.0),
        *(line(f"{WRITERS} writers, {name}", found, None) for name, found in zip(ARRANGED, eight, strict=True)),
        line(f"{WRITERS} writers, each side as it is fastest", fastest, 1.5),
    ]


class Found(NamedTuple):
    """Commands in a second, round by round."""

    ours: list[float]
    baseline: list[float]


def found_by(arranged: Sequence[Writers], rounds: int, each: int) -> list[Found]:
    """All of them by turns, so that a machine that slows down takes no side."""
    found = [Found([], []) for _ in arranged]
    for nth in range(rounds + 1):
        for writers, told in zip(arranged, found, strict=True):
            for side in ("ours", "baseline") if nth % 2 else ("baseline", "ours"):
                found_now = writers.per_second(side, each)
                if nth:
                    # the first round warms both sides up
                    getattr(told, side).append(found_now)
    for writers in arranged:
        writers.close()
    return found


def line(writers: str, found: Found, goal: float | None) -> dict[str, Any]:
    ours, baseline = (statistics.median(of_one_side) for of_one_side in found)
    return {
        "name": f"commands decided and recorded, {writers}",
        "ours": round(ours, 1),
        "baseline_name": "eventsourcing: get and save an aggregate with one event",
        "baseline": round(baseline, 1),
        "unit": "per second",
        "ratio": round(ours / baseline, 2),
        "goal": f">= {goal}" if goal else None,
        "holds": goal is None or ours / baseline >= goal,
        "rounds": [round(a / b, 2) for a, b in zip(*found, strict=True)],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
