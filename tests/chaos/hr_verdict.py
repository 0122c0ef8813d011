"""What the log and the running system say of HR's messages, against what HR wrote down; and how long after each
leaver's event the last thing that was theirs had ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

import psycopg

from tests.chaos.hr import HrSystems
from tests.chaos.hr_diary import HrDiary
from tests.chaos.hr_wire import NEVER_SAID

FIVE_MINUTES = 300.0
FEWEST_LEAVERS_SHARE = 0.6
RIGHT_ENDS = {"RightsExpired", "RightsRevoked", "RightsLapsed", "RightsSuperseded"}
REQUEST_ENDS = {"RequestWithdrawn", "RequestExpired", "RightsRefused", "RightsGranted"}
DELEGATION_ENDS = {"DelegationEnded", "DelegationLapsed"}
Thing = tuple[str, str, str]


class Event(NamedTuple):
    position: int
    stream: str
    kind: str
    fact: dict[str, Any]
    event_id: str
    recorded_at: datetime

    @property
    def name(self) -> str:
        return self.kind.partition(".")[2]


@dataclass
class Departure:
    """A leaver's event, and what was theirs at that moment: ended when, or not yet."""

    person: str
    at: datetime
    ended: dict[Thing, datetime | None] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return max((end - self.at).total_seconds() for end in self.ended.values() if end)


@dataclass
class HrVerdict:
    wrong: list[str] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    of_the_feeds: int = 0
    followed: int = 0

    def result(self) -> dict[str, Any]:
        measured = [each.seconds for each in self.departures if any(each.ended.values())]
        kinds = Counter(what for each in self.departures for what, _, _ in each.ended)
        return {
            "hr_changes_recorded": self.of_the_feeds,
            "hr_changes_followed": self.followed,
            "leavers_who_had_something": len(measured),
            "what_they_had": dict(kinds),
            "leaver_to_last_end_seconds_median": round(median(measured), 2) if measured else None,
            "leaver_to_last_end_seconds_max": round(max(measured), 2) if measured else None,
        }


async def judged(hr: HrSystems) -> HrVerdict:
    verdict = HrVerdict()
    log = await asyncio.to_thread(until_all_has_ended, hr.running.settings.reader_url)
    verdict.departures = [each for each in departures_of(log) if each.ended]
    verdict.of_the_feeds = sum(map(len, hr.diary.changes.values()))
    verdict.followed = sum(each.kind == "staff_change.StaffChangeFollowed" for each in log)
    verdict.wrong += [*hr.failed, *hr.diary.unlike]
    verdict.wrong += [*unlike_the_diary(log, hr.diary), *not_followed_once(log), *what_has_not_ended(verdict)]
    verdict.wrong += [f"too few leavers had something: {len(verdict.departures)}"] * too_few(verdict, hr)
    verdict.wrong += [line async for line in as_the_system_says(hr)]
    return verdict


def too_few(verdict: HrVerdict, hr: HrSystems) -> bool:
    return len(verdict.departures) < FEWEST_LEAVERS_SHARE * len(hr.people)


def until_all_has_ended(url: str) -> list[Event]:
    """What follows may still be on its way when the last message has been answered; more than it may take it is not."""
    deadline = time.monotonic() + FIVE_MINUTES
    while True:
        log = read_log(url)
        unended = any(not all(each.ended.values()) for each in departures_of(log))
        if not (unended or any(not_followed_once(log))) or time.monotonic() > deadline:
            return log
        time.sleep(1)


def read_log(url: str) -> list[Event]:
    query = (
        "select notification_id, originator_id, topic, state, recorded_at from ledger.events order by notification_id"
    )
    with psycopg.connect(url) as conn:
        rows = conn.execute(query).fetchall()
    return [event_of(*row) for row in rows]


def event_of(position: int, stream: str, kind: str, state: Any, recorded_at: datetime) -> Event:
    envelope = json.loads(bytes(state))
    return Event(position, stream, kind, envelope["fact"], envelope["event_id"], recorded_at)


# -- the directory


def unlike_the_diary(log: list[Event], diary: HrDiary) -> Iterator[str]:
    changes: dict[str, list[str]] = defaultdict(list)
    newest: dict[str, dict[str, Any]] = {}
    for event in log:
        if event.kind.startswith("directory.Person"):
            person = event.fact["person"]
            changes[person["id"]].append(event.name)
            newest[person["id"]] = person
        if NEVER_SAID in json.dumps(event.fact):
            yield f"log position {event.position} says what was never sent to its end"
    for id_, said in diary.known.items():
        if newest.get(id_) != said.as_person():
            yield f"{id_}: HR says {said.as_person()}, the directory {newest.get(id_)}"
        if changes[id_] != diary.changes[id_]:
            yield f"{id_}: HR's messages make {diary.changes[id_]}, the log has {changes[id_]}"
    for id_ in changes.keys() - diary.known.keys():
        if id_.startswith(("c-", "f-")):
            yield f"{id_} is in the directory, and no HR system ever named them"


async def as_the_system_says(hr: HrSystems) -> AsyncIterator[str]:
    """What the command line and HR's own view of the running system show."""
    told = await hr.command("staff", "list")
    listed = {each["id"]: each for each in told["list"]}
    for id_, said in hr.diary.known.items():
        shown = listed.get(id_, {})
        wanted = said.as_person() | {"at_work": not said.gone}
        if {name: shown.get(name) for name in wanted} != wanted:
            yield f"{id_}: `staff list` shows {shown}, HR says {wanted}"
    found = await hr.command("staff", "orphans")
    if found["exit"] or found["list"]:
        yield f"`staff orphans` finds {found}"
    group = await hr.until_answered("GET", f"/Groups/{hr.group}")
    members = {each["value"] for each in group.json().get("members", [])}
    if members != hr.diary.members:
        yield f"the group has {sorted(members)}, HR put {sorted(hr.diary.members)} into it"


# -- what follows


def not_followed_once(log: list[Event]) -> Iterator[str]:
    """A leaver or mover, whoever sent it, has one case of its own, and one report on it."""
    followed = Counter(event.fact["event"] for event in log if event.kind == "staff_change.StaffChangeFollowed")
    reports = Counter(event.stream for event in log if event.kind == "staff_change.StaffChangeReported")
    for event in log:
        if event.name in ("PersonLeft", "PersonMoved", "PersonReturned"):
            case = f"staff_change-{event.event_id}"
            if (followed[event.event_id], reports[case]) != (1, 1):
                yield (
                    f"{event.name} of {event.fact['person']['id']} was followed {followed[event.event_id]} times and "
                    f"reported {reports[case]} times"
                )


def departures_of(log: list[Event]) -> list[Departure]:
    """Each leaver's event, with the first end after it of each thing that was theirs."""
    theirs: dict[Thing, None] = {}
    found: list[Departure] = []
    for event in log:
        for thing in ended_by(event, theirs):
            theirs.pop(thing, None)
            for departure in found:
                if thing in departure.ended and departure.ended[thing] is None:
                    departure.ended[thing] = event.recorded_at
        theirs |= dict.fromkeys(begun_by(event))
        if event.name == "PersonLeft":
            person = event.fact["person"]["id"]
            had: dict[Thing, datetime | None] = {each: None for each in theirs if each[2] == person}
            found.append(Departure(person, event.recorded_at, had))
    return found


def begun_by(event: Event) -> Iterator[Thing]:
    match event.kind:
        case "posting_rights.RightsGranted":
            yield "right", event.stream, event.fact["holder"]
        case "posting_rights.RightsRequested":
            yield "request", event.stream, event.fact["by"]
        case "delegation.Delegated":
            yield "delegation", event.fact["delegation"], event.fact["giver"]
            yield "delegation", event.fact["delegation"], event.fact["to"]
        case "account_creation.AccountOpened":
            yield from (("seat", event.fact["account"], each) for each in event.fact["administrators"])
        case _:
            return


def ended_by(event: Event, theirs: dict[Thing, None]) -> list[Thing]:
    if event.stream.startswith("posting_rights-"):
        ends = ("right" if event.name in RIGHT_ENDS else "", "request" if event.name in REQUEST_ENDS else "")
        return [each for each in theirs if each[1] == event.stream and each[0] in ends]
    if event.name in DELEGATION_ENDS:
        return [each for each in theirs if each[:2] == ("delegation", event.fact["delegation"])]
    if event.name == "AdministratorLeft":
        return [("seat", event.fact["account"], event.fact["administrator"])]
    return []


def what_has_not_ended(verdict: HrVerdict) -> Iterator[str]:
    for departure in verdict.departures:
        for (what, where, person), end in departure.ended.items():
            if end is None:
                yield f"{person} left, and their {what} {where} has not ended"
            elif (end - departure.at).total_seconds() > FIVE_MINUTES:
                yield f"{person} left, and their {what} {where} ended {end - departure.at} later"
