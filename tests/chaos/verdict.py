"""What the log says, read from its rows alone, against what staff were told, and against Temporal and the views."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from services.audit.installation import verify_installation
from services.audit.replay import disagreements
from services.desk import Desk
from services.projector import PROJECTIONS
from services.settings import Settings
from services.views import Views
from tests.chaos.diary import Diary, Entry, Fate
from tests.chaos.running import RECORDED

CASES = "account_creation-"
ENDS = {
    "AccountOpened": "open",
    "AccountRefused": "refused",
    "RequestWithdrawn": "withdrawn",
    "RequestExpired": "expired",
}
# a step that stands once for as long as nothing of this kind has come after it
ONCE_UNTIL: dict[str, tuple[str, ...]] = {
    "AccountRequested": (),
    "AccountApproved": ("RequestAmended",),
    "ChangesAsked": ("RequestAmended",),
    "SetUpCompleted": ("AccountApproved",),
    "TaskCompleted": ("RequestAmended",),
    "TaskWaived": ("RequestAmended",),
    "ConditionMet": ("RequestAmended",),
    "AdministrationConfirmed": ("RequestAmended",),
    "Reminded": ("Asked",),
    "Escalated": ("Asked",),
    "BecameOverdue": ("Asked",),
}
# what tells one task, condition, administrator or reminder from another
WHICH = ("task", "condition", "administrator", "nth", "content")
SEEN_WITHIN_SECONDS = 60.0
CLOSED_WITHIN_SECONDS = 90.0


class Event(NamedTuple):
    log_position: int
    transaction: int
    stream: str
    version: int
    envelope: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.envelope["kind"]).partition(".")[2]

    @property
    def command(self) -> tuple[str, str]:
        return self.envelope["actor"]["id"], self.envelope["command_id"]


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    events: int = 0
    steps: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order or self.disagreeing)


async def judged(settings: Settings, client: Client, diary: Diary, lost_answers: Iterable[bytes]) -> Verdict:
    verdict = Verdict()
    newest = await asyncio.to_thread(caught_up, settings, verdict)
    log = await asyncio.to_thread(read_log, settings.reader_url)
    known = await asyncio.to_thread(read_commands, settings.reader_url)
    verdict.events = len(log)
    verdict.steps = len({each.command for each in log if each.stream.startswith(CASES) and "!" not in each.stream})
    verdict.lost += what_was_lost(log, known, diary)
    verdict.lost += [f"a COMMIT whose answer was lost: {each}" for each in commits_not_found(log, lost_answers)]
    verdict.doubled += what_was_doubled(log)
    verdict.out_of_order += what_is_out_of_order(log, diary)
    if newest > len(log):
        # the system may go on recording by itself, so the log read later may be longer, never shorter
        verdict.lost.append(f"log position {newest} was read before, and the log now ends at {len(log)}")
    await compare_with_temporal(verdict, client, ends_of(log), heads_of(log), diary)
    await asyncio.to_thread(compare_with_checks, settings, verdict)
    await compare_with_replay(settings, verdict)
    return verdict


def read_log(url: str) -> list[Event]:
    query = (
        "select notification_id, xmin::text::bigint as transaction, originator_id, originator_version, state "
        "from ledger.events order by notification_id"
    )
    with psycopg.connect(url) as conn:
        rows = conn.execute(query).fetchall()
    return [
        Event(position, xid, stream, version, json.loads(bytes(state)))
        for position, xid, stream, version, state in rows
    ]


def read_commands(url: str) -> set[tuple[str, str]]:
    """Every (person, command id) that has an answer."""
    with psycopg.connect(url, row_factory=dict_row) as conn:
        rows = conn.execute("select sender, command_id from ledger.commands").fetchall()
    return {(row["sender"].partition(":")[2], row["command_id"]) for row in rows}


# -- lost


def what_was_lost(log: list[Event], known: set[tuple[str, str]], diary: Diary) -> Iterator[str]:
    by_id = defaultdict(list)
    for event in log:
        by_id[event.envelope["event_id"]].append(event)
    at = {event.log_position: event for event in log}
    for entry in diary.entries:
        yield from not_as_told(entry, by_id, at)
        if entry.fate is Fate.HANDED_OVER and (entry.person, entry.id) not in known:
            yield f"{described(entry)}: Temporal took the signal and the log does not know it"


def not_as_told(entry: Entry, by_id: dict[str, list[Event]], at: dict[int, Event]) -> Iterator[str]:
    for told in entry.recorded:
        found = by_id.get(told["event_id"], [])
        as_told = [
            event for event in found
            if (event.stream, event.version, event.envelope["kind"]) == (entry.case, told["position"], told["kind"])
            and event.command == (entry.person, entry.id)
        ]  # fmt: skip
        if len(as_told) != 1:
            yield f"{described(entry)}: was told of {told}, in the log {len(as_told)} times"
    position = entry.told.get("log_position", 0)
    if entry.told.get("refused") and position:
        event = at.get(position)
        if event is None or event.command != (entry.person, entry.id) or event.name != "AttemptRefused":
            yield f"{described(entry)}: was told of a refusal at log position {position}, which is not there"


def commits_not_found(log: list[Event], lost_answers: Iterable[bytes]) -> Iterator[str]:
    """The kept-back answers name the log positions they recorded; those must be there."""
    positions = {event.log_position for event in log}
    for answer in lost_answers:
        first, last = positions_in(answer)
        yield from (f"log position {each}" for each in range(first, last + 1) if each not in positions)


def positions_in(answer: bytes) -> tuple[int, int]:
    """`first` and `last` of the row that the recording function answered: the columns after the outcome."""
    rest = answer[answer.index(RECORDED) + len(RECORDED) :]
    found = []
    for _ in range(2):
        length = int.from_bytes(rest[:4])
        found.append(number(rest[4 : 4 + length]))
        rest = rest[4 + length :]
    return found[0], found[1]


def number(column: bytes) -> int:
    return int(column) if column.isdigit() else int.from_bytes(column)


# -- doubled


def what_was_doubled(log: list[Event]) -> Iterator[str]:
    ids = Counter(event.envelope["event_id"] for event in log)
    yield from (f"event id {id_} {times} times" for id_, times in ids.items() if times > 1)
    # the command as received stands with the first fact of its decision alone
    decisions = Counter(each.command for each in log if each.envelope["command"] is not None)
    yield from (f"command {command} recorded {times} times" for command, times in decisions.items() if times > 1)
    for stream, events in by_stream(log).items():
        yield from (f"{stream}: {what}" for what in steps_doubled(events))
    yield from handles_held_twice(log)


def steps_doubled(events: list[Event]) -> Iterator[str]:
    standing: dict[tuple[str, ...], int] = {}
    ends = [event.name for event in events if event.name in ENDS]
    if len(ends) > 1:
        yield f"ended {len(ends)} times: {', '.join(ends)}"
    for event in events:
        standing = {step: at for step, at in standing.items() if event.name not in ONCE_UNTIL[step[0]]}
        if event.name not in ONCE_UNTIL:
            continue
        fact = event.envelope["fact"]
        name = "TaskCompleted" if event.name == "TaskWaived" else event.name
        step = (name, *(str(fact[each]) for each in WHICH if each in fact))
        if step in standing:
            yield f"{' '.join(step)} at {standing[step]} and at {event.version}"
        standing[step] = event.version


def handles_held_twice(log: list[Event]) -> Iterator[str]:
    holder: dict[str, str] = {}
    for event in log:
        for key in event.envelope["releases"]:
            holder.pop(key, None)
        for key in event.envelope["claims"]:
            if holder.setdefault(key, event.stream) != event.stream:
                yield f"{key} is held by {holder[key]} and by {event.stream}"


# -- out of order


def what_is_out_of_order(log: list[Event], diary: Diary) -> Iterator[str]:
    heads: Counter[str] = Counter()
    transaction = 0
    for nth, event in enumerate(log, start=1):
        if event.log_position != nth:
            yield f"log position {event.log_position} stands where {nth} should"
        heads[event.stream] += 1
        if event.version != heads[event.stream] or event.envelope["position"] != event.version:
            yield f"{event.stream}: position {event.version} stands where {heads[event.stream]} should"
        # transactions that write get their numbers under the log's lock, so numbers rise in the order of commits
        if event.transaction < transaction:
            yield f"log position {event.log_position} was committed by an earlier transaction than the one before it"
        transaction = event.transaction
    yield from told_before_it_was_asked(log, diary)


def told_before_it_was_asked(log: list[Event], diary: Diary) -> Iterator[str]:
    """Whatever anyone had been told before a command was first sent stands before it in the log."""
    first_of = {}
    for event in reversed(log):
        first_of[event.command] = event.log_position
    told = [entry for entry in diary.entries if entry.fate is Fate.TOLD and entry.recorded]
    by_answer = sorted(told, key=lambda each: each.told_at)
    newest, answered = 0, 0
    for entry in sorted(told, key=lambda each: each.sent):
        while answered < len(by_answer) and by_answer[answered].told_at < entry.sent:
            newest = max(newest, by_answer[answered].told["log_position"])
            answered += 1
        if first_of.get((entry.person, entry.id), newest + 1) <= newest:
            yield f"{described(entry)}: stands before log position {newest}, of which someone had been told already"


# -- Temporal, views and the log's own checks


async def compare_with_temporal(
    verdict: Verdict, client: Client, ends: dict[str, str], heads: dict[str, int], diary: Diary
) -> None:
    verdict.ends = Counter(ends.values())
    for case, stage in diary.ends.items():
        if ends.get(case) != stage:
            verdict.disagreeing.append(f"{case}: staff saw it end as {stage}, in the log it is {ends.get(case)}")
    for case in heads.keys() - ends.keys():
        verdict.disagreeing.append(f"{case} has no end in the log")
    places = asyncio.Semaphore(10)

    async def compare(case: str) -> None:
        async with places:
            if problem := await unlike_in_temporal(client, case, ends[case], heads[case]):
                verdict.disagreeing.append(f"{case}: {problem}")

    await asyncio.gather(*(compare(case) for case in ends))


async def unlike_in_temporal(client: Client, case: str, stage: str, position: int) -> str:
    handle = client.get_workflow_handle(case)
    try:
        async with asyncio.timeout(CLOSED_WITHIN_SECONDS):
            while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(0.5)
            ended = await handle.result()
    except TimeoutError:
        return f"its workflow is still running {CLOSED_WITHIN_SECONDS:.0f} s after all was done"
    except RPCError as error:
        return f"Temporal says {error}"
    except Exception as error:
        return f"its workflow did not end well: {error!r}"
    said = (ended["stage"], ended["position"])
    return "" if said == (stage, position) else f"its workflow ended as {said}, the log says {(stage, position)}"


def compare_with_checks(settings: Settings, verdict: Verdict) -> None:
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while (found := verify_installation(settings))["signed"] < found["events"] and time.monotonic() < deadline:
        time.sleep(1.0)
    if found["signed"] < found["events"]:
        verdict.disagreeing.append(f"of {found['events']} events {found['signed']} are under a checkpoint")
    verdict.disagreeing += [f"verify: {each['where']}: {each['what']}" for each in found["findings"]]


async def compare_with_replay(settings: Settings, verdict: Verdict) -> None:
    """`audit replay`, as an auditor runs it."""
    desk = Desk(settings)
    try:
        verdict.disagreeing += [f"replay: {each}" for each in disagreements(await desk.replay())]
    finally:
        desk.close()


def caught_up(settings: Settings, verdict: Verdict) -> int:
    with psycopg.connect(settings.reader_url) as conn:
        row = conn.execute("select coalesce(max(notification_id), 0) from ledger.events").fetchone()
    newest = int(row[0]) if row else 0
    views = Views(settings.reader_url)
    try:
        if not views.wait_for(newest, SEEN_WITHIN_SECONDS):
            behind = {name: at for name, at in views.positions().items() if at < newest}
            missing = {each.name for each in PROJECTIONS} - views.positions().keys()
            verdict.disagreeing.append(f"projections behind {newest}: {behind or missing}, stopped: {views.stopped()}")
    finally:
        views.close()
    return newest


# -- reading


def by_stream(log: list[Event]) -> dict[str, list[Event]]:
    streams = defaultdict(list)
    for event in log:
        if event.stream.startswith(CASES) and "!" not in event.stream:
            streams[event.stream].append(event)
    return streams


def ends_of(log: list[Event]) -> dict[str, str]:
    last = {stream: events[-1].name for stream, events in by_stream(log).items()}
    return {stream: ENDS[name] for stream, name in last.items() if name in ENDS}


def heads_of(log: list[Event]) -> dict[str, int]:
    return {stream: events[-1].version for stream, events in by_stream(log).items()}


def described(entry: Entry) -> str:
    return f"{entry.person} {entry.command} {entry.id} in {entry.case}"
