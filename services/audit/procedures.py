"""Do the procedures still say the same? Two witnesses over every run's recorded history: today's workflow code goes the
same way through it; and what it says was recorded is in the log, once, while every event that names a workflow is in
that workflow's history.

Runs that have ended come from the histories kept beside the log, the others from Temporal. One case is looked at after
the other; which there are is noted on disk, so that memory does not grow with the log.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from domain.attempts import SUFFIX
from domain.facts import Recorded, content_hash
from domain.pages import is_of_a_case
from domain.run_history import RunHistoryKept
from services.audit.reading import every_event, newest, reading, stream_up_to
from services.audit.run_histories import ENDED_FROM_OUTSIDE, NoHistory, Said, said, unpacked
from services.evidence import EvidenceStore
from services.seal import CannotOpen
from services.worker import sandbox
from workflows.catalogue import WORKFLOWS

RUNNING = "running"
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
    """What the histories of a case's runs say. `named`: the runs by which events of it were recorded; `failed`: those
    that do not go the same way again."""

    name: str
    named: set[str]
    said: list[Said] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    failed: list[tuple[Run, BaseException]] = field(default_factory=list)
    running: str = ""
    unreadable: bool = False


async def procedures(url: str, client: Client, evidence: EvidenceStore) -> dict[str, Any]:
    """`histories`: runs through which today's code goes another way, or whose history is lost or changed. `steps`:
    where log and histories do not say the same."""
    with closing(Runs()) as runs:
        up_to = await asyncio.to_thread(runs.of_the_log, url)
        await runs.of_temporal(client)
        looking = Looking(url, client, evidence, runs, up_to)
        await looking.replayed()
    told = looking.told
    return {
        "histories": {
            "runs": told.runs, "kept": told.kept, "erased": told.erased, "replaced": told.replaced,
            "disagree": told.histories,
        },
        "steps": {"compared": told.steps, "accounted": told.accounted, "disagree": told.unlike},
    }  # fmt: skip


class Runs:
    """Which runs there are of which case: named by events, with a kept history, known to Temporal."""

    def __init__(self) -> None:
        # a file without a name, gone when this is closed; one thread after the other
        self._noted = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._noted.executescript("""
            begin;
            create table named (case_ text, run text, primary key (case_, run)) without rowid;
            create table kept (case_ text, run text, fact text, primary key (case_, run));
            create table listed (case_ text, run text, status text, primary key (case_, run));""")

    def close(self) -> None:
        self._noted.close()

    def of_the_log(self, url: str) -> int:
        """Up to which position it was read."""
        with reading(url) as conn:
            up_to = newest(conn)
            for each in every_event(conn, up_to):
                if each.envelope.workflow:
                    ran = each.envelope.workflow, each.envelope.run
                    self._noted.execute("insert or ignore into named values (?, ?)", ran)
                if isinstance(each.fact, RunHistoryKept):
                    kept = each.fact.of_case, each.fact.run, each.fact.model_dump_json()
                    self._noted.execute("insert or replace into kept values (?, ?, ?)", kept)
        return up_to

    async def of_temporal(self, client: Client) -> None:
        async for each in client.list_workflows(ALL_OF_OURS):
            if is_of_a_case(each.id):
                listed = each.id, each.run_id, each.status.name.lower() if each.status else ""
                self._noted.execute("insert or replace into listed values (?, ?, ?)", listed)

    def cases(self) -> Iterator[str]:
        union = "select case_ from named union select case_ from kept union select case_ from listed order by 1"
        yield from (case for (case,) in self._noted.execute(union))

    def named(self, case: str) -> set[str]:
        return {run for (run,) in self._noted.execute("select run from named where case_ = ?", (case,))}

    def kept(self, case: str) -> list[RunHistoryKept]:
        found = self._noted.execute("select fact from kept where case_ = ? order by rowid", (case,))
        return [RunHistoryKept.model_validate_json(fact) for (fact,) in found]

    def only_in_temporal(self, case: str) -> list[Run]:
        query = """select case_, run, status from listed where case_ = ?1
            and run not in (select run from kept where case_ = ?1) order by rowid"""
        return [Run(*found) for found in self._noted.execute(query, (case,)).fetchall()]


class Looking:
    """At one case after the other: its histories, and then its steps."""

    def __init__(self, url: str, client: Client, evidence: EvidenceStore, runs: Runs, up_to: int) -> None:
        self._url, self._client, self._evidence, self._runs, self._up_to = url, client, evidence, runs, up_to
        self._being_replayed: dict[int, tuple[Case, Run]] = {}
        self.told = Told()

    async def replayed(self) -> None:
        """Each history through today's workflow code, in the sandbox, which stops what is not replayable."""
        replayer = Replayer(
            workflows=list(WORKFLOWS.values()),
            data_converter=pydantic_data_converter,
            workflow_runner=sandbox(),
            # nobody waits for a replay: on a busy machine a slow turn of it is no deadlock
            debug_mode=True,
        )
        async with replayer.workflow_replay_iterator(self._all_histories()) as results:
            async for result in results:
                # the result holds the very history that was handed in; a run's id does not stand in it
                case, run = self._being_replayed.pop(id(result.history))
                if result.replay_failure:
                    case.failed.append((run, result.replay_failure))

    async def _all_histories(self) -> AsyncIterator[WorkflowHistory]:
        """The replayer asks for the next once it has answered for the one before: when a case's are through, all of
        them are judged."""
        for name in self._runs.cases():
            case = Case(name, self._runs.named(name))
            async for run, history in self._histories(case):
                self._being_replayed[id(history)] = case, run
                yield history
            assert not self._being_replayed  # noqa: S101  # or the replayer has changed its ways
            self._tell_of_failures(case)
            await self._compare(case)

    async def _histories(self, case: Case) -> AsyncIterator[tuple[Run, WorkflowHistory]]:
        for fact in self._runs.kept(case.name):
            self.told.kept += 1
            run = Run(case.name, fact.run, fact.ended)
            try:
                history = await asyncio.to_thread(opened, self._evidence, fact, case.name)
            except CannotOpen:
                self.told.erased.append(f"{case.name} {fact.run}")
                case.unreadable = True
                continue
            except NoHistory as error:
                self._unreadable(case, run, error)
                continue
            if self._noted(case, run, history):
                yield run, history
        for run in self._runs.only_in_temporal(case.name):
            history = await self._client.get_workflow_handle(case.name, run_id=run.run).fetch_history()
            if run.ended == RUNNING:
                run, case.running = run._replace(ended=""), run.run
            if self._noted(case, run, history):
                yield run, history

    def _noted(self, case: Case, run: Run, history: WorkflowHistory) -> bool:
        self.told.runs += 1
        case.runs[run.run] = run.ended
        try:
            case.said.append(said(history))
        except NoHistory as error:
            self._unreadable(case, run, error)
            return False
        return True

    def _unreadable(self, case: Case, run: Run, error: NoHistory) -> None:
        self.told.histories.append({"case": run.case, "run": run.run, "because": str(error)})
        case.unreadable = True

    def _tell_of_failures(self, case: Case) -> None:
        for run, failure in case.failed:
            if run.ended in ENDED_FROM_OUTSIDE and len(case.runs) > 1:
                self.told.replaced.append(f"{run.case} {run.run}")
                continue
            because = f"today's code goes another way ({type(failure).__name__}): {first_line(failure)}"
            self.told.histories.append({"case": run.case, "run": run.run, "because": because})

    async def _compare(self, case: Case) -> None:
        for again in range(ASKED_AGAIN):
            # read after the histories: what they tell of has been recorded by now
            recorded = await asyncio.to_thread(events_of, self._url, case.name)
            problems = [*unlike(case, recorded, Told(), self._up_to)]
            if not problems or not case.running or again == ASKED_AGAIN - 1:
                break
            await asyncio.sleep(MEANWHILE_SECONDS)
            running = self._client.get_workflow_handle(case.name, run_id=case.running)
            case.said.append(said(await running.fetch_history()))
        problems = [*unlike(case, recorded, self.told, self._up_to)]
        self.told.unlike.extend({"case": case.name, "because": each} for each in problems)


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


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]


# -- the steps


def events_of(url: str, case: str) -> list[Recorded]:
    with reading(url) as conn:
        streams = (stream_up_to(conn, each, END_OF_STREAM) for each in (case, case + SUFFIX))
        return [event for stream in streams for event in stream]


def unlike(case: Case, recorded: list[Recorded], told: Told, up_to: int) -> Iterator[str]:
    """In what histories and log do not say the same of a case."""
    if case.unreadable:
        # said of its history already: nothing can be compared with what cannot be read
        return
    missing = {run for run in case.named - case.runs.keys() if run}
    yield from (f"events name the run {run}, of which there is no history" for run in sorted(missing))
    yield from not_in_the_log(case.name, case.said, recorded)
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
