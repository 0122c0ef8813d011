"""Do the procedures still say the same? Two witnesses over every run's recorded history: today's workflow code goes the
same way through it; and what it says was recorded is in the log, once, while every event that names a workflow is in
that workflow's history.

Runs that have ended come from the histories kept beside the log, the others from Temporal.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from domain.attempts import SUFFIX
from domain.facts import Recorded, content_hash
from domain.run_history import RunHistoryKept
from services.audit.reading import every_event, newest, reading, stream_up_to
from services.audit.run_histories import ENDED_FROM_OUTSIDE, NoHistory, Said, said, unpacked
from services.evidence import EvidenceStore
from services.reconciler import is_a_case
from services.seal import CannotOpen
from services.worker import sandbox
from workflows.catalogue import WORKFLOWS

# a run that is at work may not have been told yet of what it has just recorded
ASKED_AGAIN, MEANWHILE_SECONDS = 20, 0.5
END_OF_STREAM = 2**62
ALL_OF_OURS = " or ".join(f"WorkflowType = '{each.__name__}'" for each in WORKFLOWS.values())


class Run(NamedTuple):
    case: str
    run: str
    ended: str


@dataclass
class Told:
    """What the two witnesses say. `erased`: runs whose case's key is destroyed, so that nothing can be said.
    `replaced`: runs that no worker could go on with, ended from outside and begun anew; their steps are compared."""

    runs: int = 0
    kept: int = 0
    steps: int = 0
    accounted: int = 0
    erased: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unlike: list[dict[str, str]] = field(default_factory=list)
    histories: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Case:
    """What the histories of a case's runs say."""

    said: list[Said] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    running: str = ""
    unreadable: bool = False


async def procedures(url: str, client: Client, evidence: EvidenceStore) -> dict[str, Any]:
    """`histories`: runs through which today's code goes another way, or whose history is lost or changed. `steps`:
    where log and histories do not say the same."""
    told = Told()
    up_to, named, kept = await asyncio.to_thread(named_in_the_log, url)
    cases: dict[str, Case] = defaultdict(Case)
    being_replayed: dict[int, Run] = {}
    to_replay = all_histories(client, evidence, kept, told, cases, being_replayed)
    await replayed(to_replay, being_replayed, cases, told)
    for case in sorted(cases.keys() | named.keys()):
        await compared(url, client, case, cases[case], named.get(case, set()), told, up_to)
    return {
        "histories": {
            "runs": told.runs, "kept": told.kept, "erased": told.erased, "replaced": told.replaced,
            "disagree": told.histories,
        },
        "steps": {"compared": told.steps, "accounted": told.accounted, "disagree": told.unlike},
    }  # fmt: skip


def named_in_the_log(url: str) -> tuple[int, dict[str, set[str]], dict[tuple[str, str], RunHistoryKept]]:
    """Up to the newest event: the runs by which events of a case were recorded, and those whose history is kept."""
    named: dict[str, set[str]] = defaultdict(set)
    kept: dict[tuple[str, str], RunHistoryKept] = {}
    with reading(url) as conn:
        up_to = newest(conn)
        for each in every_event(conn, up_to):
            if each.envelope.workflow:
                named[each.envelope.workflow].add(each.envelope.run)
            if isinstance(each.fact, RunHistoryKept):
                kept[each.fact.of_case, each.fact.run] = each.fact
    return up_to, named, kept


# -- the histories


async def all_histories(
    client: Client,
    evidence: EvidenceStore,
    kept: dict[tuple[str, str], RunHistoryKept],
    told: Told,
    cases: dict[str, Case],
    being_replayed: dict[int, Run],
) -> AsyncIterator[WorkflowHistory]:
    for (case, run), fact in kept.items():
        told.kept += 1
        try:
            history = await asyncio.to_thread(opened, evidence, fact, case)
        except CannotOpen:
            told.erased.append(f"{case} {run}")
            cases[case].unreadable = True
            continue
        except NoHistory as error:
            told.histories.append({"case": case, "run": run, "because": str(error)})
            cases[case].unreadable = True
            continue
        kept_run = Run(case, run, fact.ended)
        if note(cases[case], kept_run, history, told):
            being_replayed[id(history)] = kept_run
            yield history
    async for each in client.list_workflows(ALL_OF_OURS):
        if is_a_case(each.id) and (each.id, each.run_id) not in kept:
            history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
            ended = each.status.name.lower() if each.status else ""
            if each.status is WorkflowExecutionStatus.RUNNING:
                ended, cases[each.id].running = "", each.run_id
            found = Run(each.id, each.run_id, ended)
            if note(cases[each.id], found, history, told):
                being_replayed[id(history)] = found
                yield history


def opened(evidence: EvidenceStore, fact: RunHistoryKept, case: str) -> WorkflowHistory:
    """CannotOpen where the case's key is destroyed; NoHistory where the file is not what the log says it is."""
    try:
        if not evidence.is_whole(fact.history):
            raise NoHistory("its kept history was changed: it is not what its name in the log says")
    except FileNotFoundError:
        raise NoHistory("its kept history is lost: the file is not there") from None
    history = unpacked(evidence.get(fact.history))
    if history.workflow_id != case or len(history.events) != fact.steps:
        raise NoHistory("its kept history is that of another run")
    return history


def note(case: Case, run: Run, history: WorkflowHistory, told: Told) -> bool:
    told.runs += 1
    case.runs[run.run] = run.ended
    try:
        case.said.append(said(history))
    except NoHistory as error:
        told.histories.append({"case": run.case, "run": run.run, "because": str(error)})
        case.unreadable = True
        return False
    return True


async def replayed(
    histories: AsyncIterator[WorkflowHistory], being_replayed: dict[int, Run], cases: dict[str, Case], told: Told
) -> None:
    """Each history through today's workflow code, in the worker's own sandbox."""
    replayer = Replayer(
        workflows=list(WORKFLOWS.values()),
        data_converter=pydantic_data_converter,
        workflow_runner=sandbox(),
        # nobody waits for a replay: on a busy machine a slow turn of it is no deadlock
        debug_mode=True,
    )
    failed: list[tuple[Run, BaseException]] = []
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            # the result holds the very history that was handed in; a run's id does not stand in it
            run = being_replayed.pop(id(result.history))
            if result.replay_failure:
                failed.append((run, result.replay_failure))
    for run, failure in failed:
        if run.ended in ENDED_FROM_OUTSIDE and len(cases[run.case].runs) > 1:
            told.replaced.append(f"{run.case} {run.run}")
            continue
        because = f"today's code goes another way ({type(failure).__name__}): {first_line(failure)}"
        told.histories.append({"case": run.case, "run": run.run, "because": because})


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]


# -- the steps


async def compared(
    url: str, client: Client, name: str, case: Case, named: set[str], told: Told, up_to: int
) -> None:
    for again in range(ASKED_AGAIN):
        # read after the histories: what they tell of has been recorded by now
        recorded = await asyncio.to_thread(events_of, url, name)
        problems = [*unlike(name, case, named, recorded, Told(), up_to)]
        if not problems or not case.running or again == ASKED_AGAIN - 1:
            break
        await asyncio.sleep(MEANWHILE_SECONDS)
        case.said.append(said(await client.get_workflow_handle(name, run_id=case.running).fetch_history()))
    told.unlike.extend({"case": name, "because": each} for each in unlike(name, case, named, recorded, told, up_to))


def events_of(url: str, case: str) -> list[Recorded]:
    with reading(url) as conn:
        streams = (stream_up_to(conn, each, END_OF_STREAM) for each in (case, case + SUFFIX))
        return [event for stream in streams for event in stream]


def unlike(
    name: str, case: Case, named: set[str], recorded: list[Recorded], told: Told, up_to: int
) -> Iterator[str]:
    """In what histories and log do not say the same of a case."""
    if case.unreadable:
        # said of its history already: nothing can be compared with what cannot be read
        return
    missing = {run for run in named - case.runs.keys() if run}
    yield from (f"events name the run {run}, of which there is no history" for run in sorted(missing))
    yield from not_in_the_log(name, case.said, recorded)
    by_now = [each for each in recorded if each.log_position <= up_to]
    yield from not_in_a_history(case, missing, by_now, told)


def not_in_the_log(name: str, said_: Iterable[Said], recorded: list[Recorded]) -> Iterator[str]:
    stream = {each.envelope.position: each.envelope for each in recorded if each.envelope.case == name}
    times = Counter(each.envelope.event_id for each in recorded)
    for step in dict.fromkeys(step for each in said_ for step in each.steps):
        event = stream.get(step.position)
        if event is None:
            yield f"its history tells of step {step.position} ({step.kind}), which is not in the log"
        elif (event.kind, content_hash(event.fact)) != (step.kind, step.digest):
            yield f"step {step.position} is {step.kind} in its history; in the log it says something else"
    for event_id in dict.fromkeys(event_id for each in said_ for event_id in each.recorded):
        if times[event_id] != 1:
            yield f"its history tells of the event {event_id}, which is in the log {times[event_id]} times"


def not_in_a_history(case: Case, missing: set[str], recorded: list[Recorded], told: Told) -> Iterator[str]:
    steps = {step.position for each in case.said for step in each.steps}
    refused = {position for each in case.said for position in each.refused_at}
    for event in recorded:
        envelope = event.envelope
        if not envelope.workflow or envelope.run in missing:
            continue
        told.steps += 1
        if event.log_position in refused if envelope.case.endswith(SUFFIX) else envelope.position in steps:
            continue
        if case.runs.get(envelope.run) in ENDED_FROM_OUTSIDE:
            # recorded by a run that was ended before it was told; the reconciler goes on from the ledger
            told.accounted += 1
            continue
        yield f"{envelope.kind} at log position {event.log_position} names its workflow, whose history has no such step"
