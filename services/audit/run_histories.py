"""A run's recorded history: as it is kept, and what it says was recorded."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from domain.facts import content_hash
from workflows.erasure import DESTROY, LOOK
from workflows.messages import LET_TIME_PASS, RECORD, Told
from workflows.staff_change import CARRY_OUT

MEDIA_TYPE = "application/gzip"
LOCAL = "core_local_activity"
ASK_THE_LEDGER = (RECORD, LET_TIME_PASS, CARRY_OUT, LOOK, DESTROY)
# how a run ends that did not end itself
ENDED_FROM_OUTSIDE = ("terminated", "timed_out", "failed", "canceled")


class NoHistory(Exception):
    """What is kept is no history of a run."""


class Step(NamedTuple):
    """A fact of the case that the ledger told a run of."""

    position: int
    kind: str
    digest: str


class Said(NamedTuple):
    """What the ledger told a run, by what the run's history has of it."""

    steps: tuple[Step, ...]
    recorded: tuple[str, ...]
    refused_at: tuple[int, ...]


def packed(history: WorkflowHistory) -> bytes:
    """The same history is the same bytes."""
    content = {"workflow": history.workflow_id, "history": json.loads(history.to_json())}
    return gzip.compress(json.dumps(content, separators=(",", ":"), sort_keys=True).encode(), mtime=0)


def unpacked(raw: bytes) -> WorkflowHistory:
    try:
        content = json.loads(gzip.decompress(raw))
        return WorkflowHistory.from_json(content["workflow"], content["history"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise NoHistory(f"cannot be read ({type(error).__name__})") from None


def said(history: WorkflowHistory) -> Said:
    """Everything that this run was told by the ledger. NoHistory where it is not what the ledger's activities say."""
    steps: dict[int, Step] = {}
    recorded: list[str] = []
    refused_at: list[int] = []
    for told in answers(history):
        for fact in told.facts:
            steps[fact.position] = Step(fact.position, fact.kind, content_hash(fact.fact))
        for answer in told.answers:
            recorded.extend(each["event_id"] for each in answer.get("recorded", ()))
            if answer.get("refused"):
                refused_at.append(answer.get("log_position", 0))
    return Said(tuple(steps.values()), tuple(recorded), tuple(refused_at))


def answers(history: WorkflowHistory) -> Iterator[Told]:
    scheduled: dict[int, str] = {}
    for event in history.events:
        match event.event_type:
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                details = marker.details
                if marker.marker_name == LOCAL and "result" in details and asks_the_ledger(details["data"]):
                    yield told_of(details["result"])
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                asked = event.activity_task_scheduled_event_attributes
                scheduled[event.event_id] = asked.activity_type.name
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                if scheduled.get(done.scheduled_event_id) in ASK_THE_LEDGER:
                    yield told_of(done.result)
            case _:
                pass


def asks_the_ledger(data: Payloads) -> bool:
    return value_of(data).get("activity_type") in ASK_THE_LEDGER


def told_of(payloads: Payloads) -> Told:
    try:
        return Told.model_validate(value_of(payloads))
    except ValidationError as error:
        raise NoHistory("an answer of the ledger in it cannot be read") from error


def value_of(payloads: Payloads) -> Any:
    try:
        return json.loads(payloads.payloads[0].data)
    except (ValueError, IndexError):
        raise NoHistory("an answer of the ledger in it cannot be read") from None
