"""Two processes that do something at the same moment, each with a ledger of its own on the same database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

from domain.directory import STREAM as DIRECTORY
from domain.directory import ImportStaff
from services.credentials import Verifier
from services.ledger import Answer, Ledger, operator
from services.submissions import Submission
from tests.system import Database, Office, SetClock

AT_MOST_SECONDS = 120.0


@dataclass(frozen=True)
class Sends:
    """People's commands, one after the other."""

    submissions: tuple[dict[str, Any], ...]

    def carried_out(self, ledger: Ledger) -> list[Answer]:
        return [ledger.submit(Submission.model_validate(each)) for each in self.submissions]


@dataclass(frozen=True)
class Imports:
    """Staff feeds, one after the other."""

    feeds: tuple[tuple[dict[str, Any], str], ...]

    def carried_out(self, ledger: Ledger) -> list[Answer]:
        who = operator("a rival")
        return [
            ledger.submit_own(ImportStaff.model_validate(feed), DIRECTORY, who, id_) for feed, id_ in self.feeds
        ]


@dataclass(frozen=True)
class Told:
    """An answer as it crosses between processes."""

    kinds: tuple[str, ...]
    event_ids: tuple[str, ...]
    log_positions: tuple[int, ...]
    read_up_to: int
    policy: str
    because: str


def at_once(
    office: Office, database: Database, *rounds: tuple[Sends | Imports, Sends | Imports]
) -> list[tuple[list[Told], list[Told]]]:
    """In each round both do their part at one moment. What each was told, round by round."""
    context = get_context("spawn")
    barrier = context.Barrier(2)
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    rivals = [
        context.Process(
            target=rival,
            args=(
                database.url("recorder"),
                office.door.public,
                office.clock.now(),
                barrier,
                [each[side] for each in rounds],
                pipes[side][1],
            ),
        )
        for side in range(2)
    ]
    for each in rivals:
        each.start()
    try:
        told: list[list[list[Told]]] = []
        for reader, _ in pipes:
            if not reader.poll(AT_MOST_SECONDS):
                raise TimeoutError("a rival gave no answer: one of the two starves or both wait for each other")
            told.append(reader.recv())
        left, right = told
        return list(zip(left, right, strict=True))
    finally:
        for each in rivals:
            each.join(10)
            each.kill()


def rival(url: str, door: str, now: datetime, barrier: Barrier, parts: list[Sends | Imports], answers: Any) -> None:
    ledger = Ledger(url, SetClock(now), Verifier(door), pool_size=2)
    told = []
    for part in parts:
        ledger.library()
        barrier.wait(AT_MOST_SECONDS)
        told.append([as_told(answer) for answer in part.carried_out(ledger)])
    ledger.close()
    answers.send(told)


def as_told(answer: Answer) -> Told:
    envelopes = [each.envelope for each in answer.facts]
    return Told(
        kinds=tuple(each.kind for each in envelopes),
        event_ids=tuple(each.event_id for each in envelopes),
        log_positions=tuple(each.log_position for each in answer.facts),
        read_up_to=envelopes[0].read_up_to if envelopes else 0,
        policy=envelopes[0].policy if envelopes else "",
        because=answer.refusal.because if answer.refusal else "",
    )
