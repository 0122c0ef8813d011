"""What follows from HR's changes, on the running system: each is followed once, carried out, looked at ahead; and the
check that nothing belongs to someone who is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import date
from threading import Lock
from typing import Any, NamedTuple, cast
from uuid import uuid5

from psycopg.sql import SQL
from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from domain import account_creation, posting_rights
from domain import account_creation_messages as of_accounts
from domain import posting_rights_messages as of_rights
from domain.administrators import what_breaks_pr_7
from domain.delegation import STREAM as DELEGATION
from domain.delegation import DelegationLapsed
from domain.facts import Act, Command, Fact, Malformed, Recorded, Refused, State, stem_of
from domain.in_force import RightsEnded
from domain.library import Library
from domain.pages import PAGES
from domain.requests import TakenBack
from domain.staff_change import StaffChangeCase, Stage, credentials_known_to, day_after, seats_of
from domain.staff_change_messages import Consequence, ReportStaffChange, StaffChangeReported
from domain.waiting import LetTimePass, Reconsider, TaskRerouted
from services.activities import as_facts_of_case
from services.ledger import EVENT_IDS, SYSTEM, Ledger, recorded_from
from services.recorder import LedgerRecorder, Row
from workflows.messages import Ask, Told
from workflows.staff_change import CARRY_OUT
from workflows.staff_orphans import LOOK_FOR_ORPHANS

NIGHTLY = "imprimatur-staff-orphans"
AT_NIGHT, THERE = "30 3 * * *", "America/Chicago"
ASKED_ANEW = (account_creation.PROCESS, posting_rights.PROCESS)
END_A_CASE: tuple[type[Fact], ...] = (
    of_accounts.AccountOpened,
    of_accounts.AccountRefused,
    of_accounts.RequestWithdrawn,
    of_accounts.RequestExpired,
    of_rights.RightsRefused,
    of_rights.RequestWithdrawn,
    of_rights.RequestExpired,
    *posting_rights.HOW_IT_ENDED,
)
FOLLOW_FROM_A_CHANGE: tuple[type[Fact], ...] = (
    TaskRerouted,
    DelegationLapsed,
    of_accounts.RequestWithdrawn,
    of_rights.RequestWithdrawn,
    of_rights.RightsLapsed,
    of_rights.RightsSuperseded,
)
ENDINGS = frozenset(each.kind for each in END_A_CASE)
CONSEQUENCES = sorted(each.kind for each in FOLLOW_FROM_A_CHANGE)
COLUMNS = SQL(
    "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
)
OF_THESE_KINDS = COLUMNS + SQL("where notification_id > %s and topic = any (%s) order by notification_id")
STREAMS = SQL(
    "select originator_id, originator_version, topic, notification_id from ledger.events "
    "where notification_id > %s order by notification_id"
)

log = logging.getLogger("imprimatur.staff")


class OpenCases:
    """Which cases of people are open, read on from where it was."""

    def __init__(self, recorder: LedgerRecorder) -> None:
        self._recorder, self._mutex = recorder, Lock()
        self._read_up_to, self._open = 0, dict[str, None]()

    def now(self) -> list[str]:
        with self._mutex:
            with self._recorder.datastore.get_connection() as conn:
                rows = conn.execute(STREAMS, (self._read_up_to,)).fetchall()
            for row in rows:
                self._note(row["originator_id"], row["originator_version"], row["topic"])
            self._read_up_to = rows[-1]["notification_id"] if rows else self._read_up_to
            return list(self._open)

    def _note(self, stream: str, version: int, topic: str) -> None:
        if topic in ENDINGS:
            self._open.pop(stream, None)
        elif version == 1 and "!" not in stream and stem_of(stream) in ASKED_ANEW:
            self._open[stream] = None


# carrying out


class StaffActivities:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._open = ledger, OpenCases(ledger.recorder)

    @activity.defn(name=CARRY_OUT)
    def carry_out(self, ask: Ask) -> Told:
        """Put the change before every open case of that person; then report what followed. Safe to repeat."""
        state, recorded = self._ledger.read_on(ask.case)
        if isinstance(state, StaffChangeCase) and state.stage is Stage.FOLLOWED:
            self._ask_anew(state)
            followed = consequences_of(self._ledger, state, since(state, recorded))
            id_ = str(uuid5(EVENT_IDS, f"{ask.case}/report/{state.position}"))
            self._ledger.submit_own(ReportStaffChange(consequences=followed), ask.case, SYSTEM, id_)
        self._ledger.read_on(ask.case)
        return Told(facts=as_facts_of_case(self._ledger.facts_after(ask.case, ask.after)))

    @activity.defn(name=LOOK_FOR_ORPHANS)
    def look_for_orphans(self) -> list[dict[str, str]]:
        found = orphans(self._ledger, self._open)
        for each in found:
            log.error("%s of %s belongs to nobody at work: %s", each["what"], each["person"], each["where"])
        return found

    def all(self) -> list[Any]:
        return [self.carry_out, self.look_for_orphans]

    def _ask_anew(self, state: StaffChangeCase) -> None:
        of_the_person = [each for each in self._open.now() if is_about(state.person, self._ledger.read_on(each)[0])]
        for case in (*of_the_person, DELEGATION):
            id_ = str(uuid5(EVENT_IDS, f"{case}/reconsider/{state.case}/{state.position}"))
            self._ledger.submit_own(Reconsider(), case, SYSTEM, id_)


def is_about(person: str, state: State) -> bool:
    waiting = getattr(state, "waiting", None)
    return person == getattr(state, "requester", "") or bool(waiting and person in waiting.persons)


def since(state: StaffChangeCase, recorded: list[Recorded]) -> int:
    """What was reported once is not reported again."""
    reports = [each.log_position for each in recorded if isinstance(each.fact, StaffChangeReported)]
    return max([state.log_position, *reports])


def consequences_of(ledger: Ledger, state: StaffChangeCase, position: int) -> tuple[Consequence, ...]:
    """Whoever asked those cases anew: this hand, or the reconciler before it."""
    return tuple(
        Consequence(kind=each.envelope.kind, case=each.envelope.case, event=each.envelope.event_id)
        for each in rows_of(ledger.recorder, OF_THESE_KINDS, (position, CONSEQUENCES))
        if concerns(state.person, each, ledger)
    )


def concerns(person: str, recorded: Recorded, ledger: Ledger) -> bool:
    match recorded.fact:
        case TaskRerouted(before=before, persons=persons):
            return person in before and person not in persons
        case RightsEnded(holder=holder):
            return holder == person
        case DelegationLapsed(left=left):
            return left == person
        case TakenBack(cause=cause):
            state, _ = ledger.read_on(recorded.envelope.case)
            return bool(cause) and getattr(state, "requester", "") == person
        case _:
            return False


def rows_of(recorder: LedgerRecorder, query: Any, parameters: tuple[Any, ...]) -> list[Recorded]:
    with recorder.datastore.get_connection() as conn:
        rows = conn.execute(query, parameters).fetchall()
    return [recorded_from(Row(*row.values())) for row in rows]


# looking ahead


class Ahead(NamedTuple):
    """What would follow in one open case."""

    case: str
    facts: list[str]


def preview(ledger: Ledger, person: str, last_day: date) -> dict[str, Any]:
    """What would follow if this were their last day. Nothing is recorded."""
    library = ledger.library()
    known = library.person(person)
    if known is None:
        raise Malformed("person", f"nobody has the id {person}", "an id that `staff list` shows")
    at_work = known.model_copy(update={"active": True, "end": None})
    then = library.supposing(at_work.model_copy(update={"end": last_day}), day_after(last_day, library))
    if_they_stay = library.supposing(at_work, then.at)
    seats = seats_of(person, then)
    left = {each.id: [other for other in each.administrators if other != person] for each in seats}
    return {
        "person": person,
        "last_day": last_day.isoformat(),
        "rights_end": [each.model_dump(mode="json") for each in then.rights_of(person) if each.runs_at(then.at)],
        "delegations_end": [
            {"delegation": each.delegation, "giver": each.giver, "to": each.to, "until": each.until.isoformat()}
            for each in then.delegations()
            if person in (each.giver, each.to)
        ],
        "seats_vacated": [each.id for each in seats],
        "credentials_to_rotate": list(credentials_known_to(person, then)),
        "in_breach": {account: why for account, who in left.items() if (why := what_breaks_pr_7(who, then))},
        "cases": [each._asdict() for each in rehearsed(ledger, person, then, if_they_stay)],
    }


def rehearsed(ledger: Ledger, person: str, then: Library, if_they_stay: Library) -> Iterator[Ahead]:
    for case in OpenCases(ledger.recorder).now():
        state, _ = ledger.read_on(case)
        if is_about(person, state) and (facts := what_would_follow(case, state, then, if_they_stay)):
            yield Ahead(case, [type(each).__name__ for each in facts])


def what_would_follow(case: str, state: State, then: Library, if_they_stay: Library) -> tuple[Fact, ...]:
    """By their departure, in a case that is still open then; what time brings anyway is another thing."""
    page = PAGES[stem_of(case)]
    for fact in decided(LetTimePass(), case, state, if_they_stay):
        state = page.evolve(state, fact)
    return () if state.closed() else decided(Reconsider(), case, state, then)


def decided(command: Command, case: str, state: State, then: Library) -> tuple[Fact, ...]:
    act = Act(command, "rehearsal", case, SYSTEM.actor, then.at, SYSTEM.channel, SYSTEM.method)
    try:
        return PAGES[stem_of(case)].decide(act, state, then).facts
    except Refused:
        return ()


# nobody's


def orphans(ledger: Ledger, open_cases: OpenCases | None = None) -> list[dict[str, str]]:
    """Everything open, delegated, granted or seated that belongs to someone who is not at work here."""
    cases = (open_cases or OpenCases(ledger.recorder)).now()
    states = [ledger.read_on(case)[0] for case in cases]
    library = ledger.library()
    return [
        {"what": what, "where": where, "person": person}
        for what, where, person in belongings(library, states)
        if not library.is_active(person)
    ]


def belongings(library: Library, states: Iterable[State]) -> Iterator[tuple[str, str, str]]:
    for person in library.people():
        yield from (("right", right.case, person.id) for right in library.rights_of(person.id))
    for account in library.accounts():
        if account.in_service:
            yield from (("seat", account.id, each) for each in account.administrators)
    for given in library.delegations():
        yield from (("delegation", given.delegation, each) for each in (given.giver, given.to))
    for state in states:
        if not state.closed():
            yield "request", state.case, cast(Any, state).requester
            waiting = getattr(state, "waiting", None)
            yield from (("task", state.case, each) for each in (waiting.persons if waiting else ()))


async def look_for_orphans_nightly(client: Client, task_queue: str) -> None:
    """Made once; a server that keeps no schedules (a test's) goes without."""
    action = ScheduleActionStartWorkflow("StaffOrphans", id=NIGHTLY, task_queue=task_queue)
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(cron_expressions=[AT_NIGHT], time_zone_name=THERE),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(NIGHTLY, schedule)
    except ScheduleAlreadyRunningError:
        return
