"""Commands decided and recorded in a second, with one writer and with eight, against the eventsourcing library's own
get and save of an aggregate.

Both sides take one stream that this process began, decide once, and have it on disk when they go on: same server,
same settings, same processes, by turns. Eight writers are arranged in three ways: in one process, in two with four
each, which is how a door and a worker write, and in eight processes. Several of one process are threads, or, on our
side, also tasks of one event loop, as in the worker; the library can not be awaited. The goal is held by each side as
it is fastest. The baseline is the library as it comes: it reads the aggregate and saves one event. On
our side the command is the commonest of a case, a set-up task done with a note: the note is sealed, the ledger checks
the credential, judges on what it holds in memory and records on condition that nothing of it has moved: all of it is
timed. The credential is the sender's and comes with the command, so it is signed before: sealing the same note for the
same command gives the same bytes, so that it fits.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum, auto
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
from services.awaited import AwaitedLedger
from services.clock import SystemClock
from services.credentials import DoorKey
from services.database import ROLES, migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.ledger import Answer, Ledger, postgres_env
from services.seal import KeyEncryptionKey, KeyStore, Seal
from services.submissions import Submission
from tests.system import Database, Office, a_case, a_request

WRITERS = 8
# how many processes, and how many writers in each
ARRANGED = {"one process": (1, WRITERS), "two processes": (2, WRITERS // 2), "a process each": (WRITERS, 1)}
ROUNDS = 8
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


class Side(StrEnum):
    """What is measured: in a process, its writers are threads, or tasks of one event loop."""

    OURS = auto()
    AWAITED = auto()
    BASELINE = auto()


BY_THREADS = (Side.OURS, Side.BASELINE)


class Signed(NamedTuple):
    """A credential for one command, as it comes with it."""

    case: str
    id: str
    credential: str


class Sides:
    """Both sides in one process, so that neither has a process more than the other."""

    def __init__(self, at: Installation, writers: int) -> None:
        self.door = DoorKey(OKPKey.import_key(at.door))
        self.clock = SystemClock()
        self.ledger = Ledger(at.recorder, self.clock, self.door.verifier(), pool_size=writers)
        self.awaited = AwaitedLedger(self.ledger)
        self.keys = KeyStore(at.keeper, KeyEncryptionKey(b"k" * 32))
        self.seal = Seal(self.keys)
        # made once, by the process that sends the jobs: the library makes tables one at a time
        self.posts = Posts(baseline_env(at.baseline, writers) | {"CREATE_TABLE": "n"})
        self.ledger.library()

    def in_threads(self, side: Side, jobs: Sequence[Any], crowd: ThreadPoolExecutor, writers: int) -> None:
        work = self._ours if side is Side.OURS else self._baseline

        def one_after_the_other(share: Sequence[Any]) -> None:
            for job in share:
                work(job)

        list(crowd.map(one_after_the_other, (jobs[nth::writers] for nth in range(writers))))

    async def as_tasks(self, jobs: Sequence[Signed], writers: int) -> None:
        async def one_after_the_other(share: Sequence[Signed]) -> None:
            for signed in share:
                recorded(await self.awaited.submit(self._noted(signed)))

        await asyncio.gather(*(one_after_the_other(jobs[nth::writers]) for nth in range(writers)))

    def _ours(self, signed: Signed) -> None:
        recorded(self.ledger.submit(self._noted(signed)))

    def _noted(self, signed: Signed) -> Submission:
        return self._task_done(signed, self.seal.text(NOTE, signed.case, signed.id, "note"))

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

    def _baseline(self, post_id: str) -> None:
        post: Post = self.posts.repository.get(UUID(post_id))
        post.complete_task("account_made", NOTE)
        self.posts.save(post)

    async def begun(self, side: Side, count: int) -> Sequence[Any]:
        """So many streams, begun here: on our side a request that was approved, on the other one event."""
        if side is Side.BASELINE:
            posts = [Post(title="durantlibrary") for _ in range(count)]
            self.posts.save(*posts)
            return [str(post.id) for post in posts]
        return [self._signed(case) for case in await asyncio.gather(*(self._approved(a_case()) for _ in range(count)))]

    async def _approved(self, case: str) -> str:
        purpose = self.seal.text("For the branch's news", case, "purpose", "purpose")
        request = a_request(f"b{case[-12:]}", purpose=purpose, audience=purpose)
        recorded(await self._sent(request, case, "p-bm-durant"))
        state = self.ledger.state(case)
        assert isinstance(state, AccountCase)
        recorded(await self._sent(ApproveAccount(content=state.content), case, "p-ed"))
        return case

    async def _sent(self, command: Command, case: str, person: str) -> Answer:
        plain = Submission(kind=command.kind, id=str(uuid4()), case=case, fields=command.model_dump(mode="json"))
        actor = Actor(kind=ActorKind.PERSON, id=person)
        return await self.awaited.submit(self.door.prove(plain, actor, "a benchmark", Channel.API, self.clock.now()))

    def close(self) -> None:
        self.ledger.close()
        self.keys.close()
        self.posts.close()


def recorded(answer: Answer) -> None:
    assert answer.facts, answer.refusal


def writer(at: Installation, writers: int, barrier: Barrier, pipe: Connection) -> None:
    """Does what it is sent, a side and how often each writer is to write; says when it began and ended. All processes
    of an arrangement begin together."""
    with asyncio.Runner() as loop, ThreadPoolExecutor(writers) as crowd:
        sides = Sides(at, writers)
        loop.run(sides.awaited.__aenter__())
        pipe.send(READY)
        while (told := pipe.recv()) is not None:
            side, each = told
            jobs = loop.run(sides.begun(side, writers * each))
            barrier.wait(NEVER_LONGER_THAN)
            # known up to the last stream that anyone began, and what beginning them left over is no part of this
            sides.ledger.library()
            gc.collect()
            barrier.wait(NEVER_LONGER_THAN)
            began = time.monotonic()
            if side is Side.AWAITED:
                loop.run(sides.as_tasks(jobs, writers))
            else:
                sides.in_threads(side, jobs, crowd, writers)
            pipe.send((began, time.monotonic()))
        loop.run(sides.awaited.__aexit__())
        sides.close()


class Writers:
    """So many processes with so many writers each. They are ready once this is made: a start is more work than what
    is measured."""

    def __init__(self, at: Installation, processes: int, of_each: int) -> None:
        self.count = processes * of_each
        context = get_context("spawn")
        # kept: the processes look it up by name while they start
        self.barrier = context.Barrier(processes)
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []
        for _ in range(processes):
            here, there = context.Pipe()
            process = context.Process(target=writer, args=(at, of_each, self.barrier, there), daemon=True)
            process.start()
            self.processes.append(process)
            self.pipes.append(here)
        for pipe in self.pipes:
            assert answer_of(pipe) == READY

    def per_second(self, side: Side, each: int) -> float:
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
                (one,) = found_by([Writers(at, 1, 1)], BY_THREADS, rounds, each * WRITERS // 2)
                eight = found_by([Writers(at, *arranged) for arranged in ARRANGED.values()], list(Side), rounds, each)
        finally:
            server.stop()
            server.remove()
    named = dict(zip(ARRANGED, eight, strict=True))
    ours = max((found[side] for found in eight for side in (Side.OURS, Side.AWAITED)), key=statistics.median)
    baseline = max((found[Side.BASELINE] for found in eight), key=statistics.median)
    return [
        line("1 writer", one[Side.OURS], one[Side.BASELINE], 1.0),
        *(line(f"{WRITERS} writers, {name}", it[Side.OURS], it[Side.BASELINE], None) for name, it in named.items()),
        *(
            line(f"{WRITERS} writers, {name}, ours as tasks", it[Side.AWAITED], it[Side.BASELINE], None)
            for name, it in named.items()
        ),
        line(f"{WRITERS} writers, each side as it is fastest", ours, baseline, 1.5),
    ]


# commands in a second, round by round
Found = dict[Side, list[float]]


def found_by(arranged: Sequence[Writers], sides: Sequence[Side], rounds: int, each: int) -> list[Found]:
    """All of them by turns, so that a machine that slows down takes no side."""
    found: list[Found] = [{side: [] for side in sides} for _ in arranged]
    for nth in range(rounds + 1):
        for writers, told in zip(arranged, found, strict=True):
            for side in sides if nth % 2 else reversed(sides):
                found_now = writers.per_second(side, each)
                if nth:
                    # the first round warms all of them up
                    told[side].append(found_now)
    for writers in arranged:
        writers.close()
    return found


def line(writers: str, ours: list[float], baseline: list[float], goal: float | None) -> dict[str, Any]:
    ratio = statistics.median(ours) / statistics.median(baseline)
    return {
        "name": f"commands decided and recorded, {writers}",
        "ours": round(statistics.median(ours), 1),
        "baseline_name": "eventsourcing: get and save an aggregate with one event",
        "baseline": round(statistics.median(baseline), 1),
        "unit": "per second",
        "ratio": round(ratio, 2),
        "goal": f">= {goal}" if goal else None,
        "holds": goal is None or ratio >= goal,
        "rounds": [round(a / b, 2) for a, b in zip(ours, baseline, strict=True)],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
