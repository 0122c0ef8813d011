"""Commands decided and recorded in a second, with one writer and with eight, against the eventsourcing library's own
get and save of an aggregate.

Both sides load one stream that another process began, decide once, and have it on disk when they go on: same server,
same settings, same processes, turn and turn about. On our side a door seals a reason and signs the command, the
ledger checks the signature, reads the case, judges and records: all of it is timed. What is not timed: the door has
opened the request's texts for whoever decides, so it holds the case's key, and the ledger knows the library up to the
last request.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from joserfc.jwk import OKPKey

from domain.account_creation import AccountCase, AskForChanges
from domain.facts import Actor, ActorKind, Channel
from services.clock import SystemClock
from services.credentials import DoorKey
from services.database import ROLES, migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.ledger import Ledger, postgres_env
from services.seal import KeyEncryptionKey, KeyStore, Seal, case_key
from services.submissions import Submission
from tests.system import Database, Office, a_case, a_request

WRITERS = 8
ROUNDS = 7
EACH = 80
REASON = "The branch has an account on this platform already, and one is what its staff can keep up with. " * 3
NEVER_LONGER_THAN = 60.0
PASSWORDS = dict.fromkeys(ROLES, "only-for-a-benchmark")


class Post(Aggregate):
    """What the library's own tutorial would make of the same case."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.changes_asked = ""

    @event("ChangesAsked")
    def ask_for_changes(self, reason: str) -> None:
        self.changes_asked = reason


class Posts(Application[UUID]):
    pass


@dataclass(frozen=True)
class Installation:
    """How a process of the benchmark reaches both sides."""

    recorder: str
    keeper: str
    baseline: str
    door: dict[str, Any]


def baseline_env(url: str) -> dict[str, str]:
    env = postgres_env(url, 1)
    kept = {name: value for name, value in env.items() if name.startswith("POSTGRES_") and name[9:] in CONNECTS_BY}
    return kept | {"PERSISTENCE_MODULE": "eventsourcing.postgres"}


CONNECTS_BY = ("DBNAME", "HOST", "PORT", "USER", "PASSWORD")


class Sides:
    """Both sides in one process, so that neither has a process more than the other."""

    def __init__(self, at: Installation) -> None:
        self.door = DoorKey(OKPKey.import_key(at.door))
        self.clock = SystemClock()
        self.ledger = Ledger(at.recorder, self.clock, self.door.verifier(), pool_size=1)
        self.keys = KeyStore(at.keeper, KeyEncryptionKey(b"k" * 32))
        self.seal = Seal(self.keys)
        # made once, by the process that sends the jobs: the library makes tables one at a time
        self.posts = Posts(baseline_env(at.baseline) | {"CREATE_TABLE": "n"})
        self.ledger.library()

    def ours(self, job: tuple[str, str]) -> None:
        case, content = job
        id_ = str(uuid4())
        reason = self.seal.text(REASON, case, id_, "reason")
        command = AskForChanges(content=content, reason=reason)
        plain = Submission(kind=command.kind, id=id_, case=case, fields=command.model_dump(mode="json"))
        actor = Actor(kind=ActorKind.PERSON, id="p-ed")
        answer = self.ledger.submit(self.door.prove(plain, actor, "a benchmark", Channel.API, self.clock.now()))
        assert answer.facts, answer.refusal

    def baseline(self, job: tuple[str, str]) -> None:
        post: Post = self.posts.repository.get(UUID(job[0]))
        post.ask_for_changes(REASON)
        self.posts.save(post)

    def gets_ready(self, side: str, jobs: list[tuple[str, str]]) -> None:
        self.posts.recorder.max_notification_id()
        self.ledger.library()
        for case, _ in jobs if side == "ours" else ():
            self.keys.existing(case_key(case))

    def close(self) -> None:
        self.ledger.close()
        self.keys.close()
        self.posts.close()


def writer(at: Installation, barrier: Barrier, pipe: Connection) -> None:
    """Does what it is sent: a side, how many begin together, and the jobs; says when it began and ended."""
    sides = Sides(at)
    while (told := pipe.recv()) is not None:
        side, together, jobs = told
        work: Callable[[tuple[str, str]], None] = getattr(sides, side)
        sides.gets_ready(side, jobs)
        if together:
            barrier.wait(NEVER_LONGER_THAN)
        began = time.monotonic()
        for job in jobs:
            work(job)
        pipe.send((began, time.monotonic()))
    sides.close()


class Bench:
    def __init__(self, server: EmbeddedPostgreSQL) -> None:
        with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
            conn.execute("create database ours")
            conn.execute("create database baseline")
            durable = [conn.execute(f"show {name}".encode()).fetchone() for name in ("fsync", "synchronous_commit")]
        assert durable == [("on",), ("on",)]
        database = Database(server.superuser_dsn, "ours", PASSWORDS)
        migrate(database.superuser, PASSWORDS)
        self.office = Office(database, SystemClock()).founded()
        baseline = Database(server.superuser_dsn, "baseline", PASSWORDS).superuser
        self.posts = Posts(baseline_env(baseline))
        at = Installation(
            recorder=database.url("recorder"),
            keeper=database.url("keeper"),
            baseline=baseline,
            door=dict(self.office.door._key.as_dict(private=True)),
        )
        context = get_context("spawn")
        # kept: the writers look it up by name while they start
        self.barrier = context.Barrier(WRITERS)
        pipes = [context.Pipe() for _ in range(WRITERS)]
        self.pipes = [here for here, _ in pipes]
        self.writers = [
            context.Process(target=writer, args=(at, self.barrier, there), daemon=True) for _, there in pipes
        ]
        for each in self.writers:
            each.start()

    def jobs(self, side: str) -> tuple[str, str]:
        """A stream begun by this process, which a writer then has to load."""
        if side == "baseline":
            post = Post(title="durantlibrary")
            self.posts.save(post)
            return str(post.id), ""
        case = a_case()
        purpose = self.office.seal.text("For the branch's news", case, "purpose", "purpose")
        answer = self.office.submit(a_request(f"b{case[-12:]}", purpose=purpose, audience=purpose), case, "p-bm-durant")
        assert answer.refusal is None, answer.refusal
        state = self.office.ledger.state(case)
        assert isinstance(state, AccountCase)
        return case, state.content

    def per_second(self, side: str, writers: int, each: int) -> float:
        jobs = [[self.jobs(side) for _ in range(each)] for _ in range(writers)]
        for pipe, share in zip(self.pipes, jobs, strict=False):
            pipe.send((side, writers == WRITERS, share))
        times = [answer_of(pipe) for pipe in self.pipes[:writers]]
        return writers * each / (max(ended for _, ended in times) - min(began for began, _ in times))

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for each in self.writers:
            each.join(20)
            each.kill()
        self.office.close()
        self.posts.close()


def answer_of(pipe: Connection) -> tuple[float, float]:
    if not pipe.poll(NEVER_LONGER_THAN):
        raise TimeoutError("a writer of the benchmark does not answer")
    times: tuple[float, float] = pipe.recv()
    return times


def measure(rounds: int = ROUNDS, each: int = EACH) -> list[dict[str, Any]]:
    with TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "data")
        server.start()
        try:
            bench = Bench(server)
            found = [compared(bench, 1, 1.0, rounds, 3 * each), compared(bench, WRITERS, 1.5, rounds, each)]
            bench.close()
            return found
        finally:
            server.stop()
            server.remove()


def compared(bench: Bench, writers: int, goal: float, rounds: int, each: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {"ours": [], "baseline": []}
    for nth in range(rounds + 1):
        for side in ("ours", "baseline") if nth % 2 else ("baseline", "ours"):
            per_second = bench.per_second(side, writers, each)
            if nth:
                # the first round warms both sides up
                found[side].append(per_second)
    ours, baseline = (statistics.median(found[side]) for side in ("ours", "baseline"))
    return {
        "name": f"commands decided and recorded, {writers} writer{'s' if writers > 1 else ''}",
        "ours": round(ours, 1),
        "baseline_name": "eventsourcing: get and save an aggregate with one event",
        "baseline": round(baseline, 1),
        "unit": "per second",
        "ratio": round(ours / baseline, 2),
        "goal": f">= {goal}",
        "holds": ours / baseline >= goal,
        "rounds": [round(a / b, 2) for a, b in zip(found["ours"], found["baseline"], strict=True)],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
