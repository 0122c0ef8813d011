"""The registers as they were: what was on record by a moment, and what was in force at one.

The two are kept apart. `at` is recorded time: nothing that was recorded later is known. `in_force_at` is effective
time: terms, last days and effective dates are looked at for that moment, with what was known at `at`. Only what stood
then is read, so that a long history costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.account_creation_messages import OfAccount
from domain.directory import OfPerson, Person
from domain.facts import Malformed, Recorded, State, stem_of
from domain.in_force import OfRights, SeatChanged
from domain.library import Library
from domain.pages import PAGES, is_of_a_case
from domain.policy_adoption import PolicyAdopted
from domain.posting_rights import PROCESS as RIGHTS
from domain.register import Register
from projections.account_register import Account, follow, health_at, reseat
from projections.cases import COLUMNS as CASE_COLUMNS
from projections.cases import row as case_row
from projections.folding import CaseState, Folded
from projections.inbox import COLUMNS as TASK_COLUMNS
from projections.inbox import tasks
from projections.projection import Logged
from projections.rights import IN_FORCE, SUSPENDED, Right, after
from projections.standing import FACT, STOOD_AT, STREAM, keys_of
from services.audit.reading import EFFECTIVE_AT, newest, position_at
from services.explaining import TOUCHING
from services.ledger import recorded_from
from services.recorder import Row

EVENTS = "select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events "
OF_STREAMS = SQL(EVENTS + "where originator_id = any (%s) and notification_id <= %s order by notification_id")
AT_POSITIONS = SQL(EVENTS + "where notification_id = any (%s) order by notification_id")
REGISTERS = ("cases", "tasks", "accounts", "rights", "delegations", "people", "policies")
PLUMBING = ("position", "log_position", "updated_at")
OF_THE_ROW = ("case", "position", "policy")

Rows = dict[str, dict[str, Any]]


class Stood(NamedTuple):
    """What stood at a log position: the events that say all of it, in log order."""

    position: int
    events: tuple[Recorded, ...]


@dataclass
class Registers:
    """Each register's rows by key, and for each field of a row the event that set it."""

    rows: dict[str, Rows] = field(default_factory=lambda: {name: {} for name in REGISTERS})
    set_by: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)

    def put(self, register: str, key: str, row: dict[str, Any] | None, event: Recorded) -> None:
        """A row as it stands after an event; None where it is over."""
        before = self.rows[register].get(key, {})
        if row is None:
            self.rows[register].pop(key, None)
            self.set_by.pop((register, key), None)
            return
        known = self.set_by.setdefault((register, key), {})
        for name, value in row.items():
            if name not in before or before[name] != value:
                known[name] = reference(event)
        self.rows[register][key] = row

    def shown(self) -> dict[str, Any]:
        return {
            register: {
                key: {"row": plain(row), "set_by": self.set_by.get((register, key), {})}
                for key, row in sorted(rows.items())
            }
            for register, rows in self.rows.items()
        }


def as_of(conn: Connection[DictRow], at: datetime, in_force_at: datetime | None = None) -> dict[str, Any]:
    """Everything as it was on record at `at`, and what was in force at `in_force_at` (else at `at`) by that record."""
    position = position_at(conn, at)
    stood = stood_at(conn, position)
    effective = in_force_at or at
    done_by_then = position if in_force_at is None else min(position, position_at(conn, effective, EFFECTIVE_AT))
    then = stood if done_by_then == position else stood_at(conn, done_by_then)
    return {
        "at": at.isoformat(),
        "log_position": position,
        "in_force_at": effective.isoformat(),
        "registers": registers_of(stood).shown(),
        "in_force": in_force(then, stood, effective),
    }


def stood_at(conn: Connection[DictRow], position: int) -> Stood:
    """Raises LookupError where the projection has not come so far."""
    found = conn.execute(SQL(STOOD_AT), {"position": position}).fetchall()
    events = rows_of(conn, OF_STREAMS, ([*keys_of(found, STREAM)], position))
    events += rows_of(conn, AT_POSITIONS, ([row["since"] for row in found if row["what"] == FACT],))
    holders = {each.fact.holder for each in events if isinstance(each.fact, OfRights)}
    if holders:
        # whether a right lapsed hangs on everything HR has said of its holder meanwhile
        scopes = {"scopes": sorted(f"person:{each}" for each in holders)}
        events += [each for each in rows_of(conn, SQL(TOUCHING), scopes) if each.log_position <= position]
    by_position = {each.log_position: each for each in events}
    return Stood(position, tuple(by_position[each] for each in sorted(by_position)))


def rows_of(conn: Connection[DictRow], query: SQL, parameters: Any) -> list[Recorded]:
    return [recorded_from(Row(*row.values())) for row in conn.execute(query, parameters).fetchall()]


def known_up_to(conn: Connection[DictRow]) -> int:
    """How far the projection that knows what stood has read."""
    select = SQL("select notification_id from views.notification_tracking where application_name = 'standing'")
    row = conn.execute(select).fetchone()
    return int(row["notification_id"]) if row else 0


def only_past(conn: Connection[DictRow], at: datetime, now: datetime, name: str) -> None:
    if at > now:
        raise Malformed(name, f"{at.isoformat()} is still to come", "a moment up to now")
    if newest(conn) == 0 or position_at(conn, at) == 0:
        raise Malformed(name, f"nothing was on record at {at.isoformat()}", "a moment after the founding")


# -- folding


def registers_of(stood: Stood) -> Registers:
    found, register = Registers(), Register()
    folded: dict[str, Folded] = {}
    accounts: dict[str, Account] = {}
    rights: dict[str, Right] = {}
    for event in stood.events:
        if event.envelope.touches:
            register.evolve(event.envelope, event.fact, event.log_position)
        if is_of_a_case(event.envelope.case):
            of_case(found, event, folded)
        of_account(found, event, accounts)
        of_right(found, event, rights)
        of_the_library(found, event, register)
    return found


def of_case(found: Registers, event: Recorded, folded: dict[str, Folded]) -> None:
    case, page = event.envelope.case, PAGES[stem_of(event.envelope.case)]
    known = folded.get(case)
    state = page.fold(cast(Any, known.state) if known else page.initial(case), [event])
    now = folded[case] = Folded(
        cast(CaseState, state), known.opened_at if known else event.envelope.at, event.envelope, event.log_position
    )
    row = dict(zip(CASE_COLUMNS, case_row(case, now), strict=True)) | flat(state)
    del row["state"]
    found.put("cases", case, None if now.state.closed() else row, event)
    before, waiting = tasks_by_key(case, known) if known else {}, tasks_by_key(case, now)
    for key in (*before, *(each for each in waiting if each not in before)):
        found.put("tasks", key, waiting.get(key), event)


def tasks_by_key(case: str, folded: Folded) -> dict[str, dict[str, Any]]:
    """Who is waited for in this case: by case, task (where it waits for several things at once) and person."""
    rows = [dict(zip(TASK_COLUMNS, each, strict=True)) for each in tasks(case, folded)]
    return {" ".join(filter(None, (row["case_id"], row["task"], row["person"]))): row for row in rows}


def flat(state: State) -> dict[str, Any]:
    """A case's own fields beside what every case has, so that each can be told apart."""
    return {f"state.{name}": value for name, value in state.model_dump(mode="json").items() if name not in OF_THE_ROW}


def of_account(found: Registers, event: Recorded, accounts: dict[str, Account]) -> None:
    logged = as_logged(event)
    if isinstance(event.fact, OfAccount):
        follow(accounts, logged, event.fact)
    elif isinstance(event.fact, SeatChanged):
        reseat(accounts, logged, event.fact)
    else:
        return
    moved = {event.envelope.case} & accounts.keys()
    if isinstance(event.fact, SeatChanged):
        moved = {each.case_id for each in accounts.values() if each.log_position == event.log_position}
    for case in {event.envelope.case, *moved} & (moved | found.rows["accounts"].keys()):
        account = accounts.get(case)
        found.put("accounts", case, account and account._asdict(), event)


def of_right(found: Registers, event: Recorded, rights: dict[str, Right]) -> None:
    case = event.envelope.case
    if stem_of(case) != RIGHTS or not isinstance(event.fact, OfRights):
        return
    if right := after(rights.get(case), as_logged(event), event.fact):
        rights[case] = right
        found.put("rights", case, right._asdict() if right.standing in (IN_FORCE, SUSPENDED) else None, event)


def of_the_library(found: Registers, event: Recorded, register: Register) -> None:
    fact = event.fact
    if isinstance(fact, OfPerson):
        found.put("people", fact.person.id, fact.person.model_dump(mode="json"), event)
    if isinstance(fact, PolicyAdopted):
        row = {"version": fact.version, "effective": fact.effective.isoformat(), "sha256": fact.sha256}
        found.put("policies", fact.version, row, event)
    if event.envelope.kind.startswith("delegation."):
        for key in found.rows["delegations"].keys() - register.delegations.keys():
            found.put("delegations", key, None, event)
        for key, given in register.delegations.items():
            found.put("delegations", key, given.model_dump(mode="json", exclude={"reason"}), event)


def as_logged(event: Recorded) -> Logged:
    """For the projections' own functions, which look at the envelope and the fact alone."""
    envelope = event.envelope
    logged = Logged(envelope.case, envelope.position, envelope.kind, b"", event.log_position, event.recorded_at)
    logged.__dict__.update(envelope=envelope, fact=event.fact)
    return logged


# -- in force


def in_force(then: Stood, known: Stood, at: datetime) -> dict[str, Any]:
    """What held at that moment: of what was on record then, with the dates that were known later."""
    register = corrected(then, known)
    library = Library(register, at)
    if not library.in_force():
        return {"policy": "", "people": [], "rights": [], "accounts": {}, "delegations": []}
    return {
        "policy": library.policy_version(),
        "people": {
            each.id: sorted(role.value for role in library.roles(each.id))
            for each in library.people()
            if library.is_active(each.id)
        },
        "rights": [
            right.model_dump(mode="json")
            for person in sorted(register.in_force.rights)
            for right in library.rights_of(person)
            if right.runs_at(at) and not (right.paused or right.conditions or right.lapsed)
        ],
        "accounts": {
            each.id: health_at(at, list(each.administrators), register)._asdict()
            for each in library.accounts()
            if each.in_service
        },
        "delegations": [each.delegation for each in library.delegations() if each.since <= at],
    }


def corrected(then: Stood, known: Stood) -> Register:
    register = Register()
    for event in then.events:
        if event.envelope.touches:
            register.evolve(event.envelope, event.fact, event.log_position)
    if known.position > then.position:
        for event in known.events:
            if isinstance(event.fact, PolicyAdopted) and event.log_position > then.position:
                register.evolve(event.envelope, event.fact, event.log_position)
        register.people = {id_: dated(person, known) for id_, person in register.people.items()}
        register.forget_roles()
    return register


def dated(person: Person, known: Stood) -> Person:
    """As they were, with the first and the last day as HR has said them since."""
    later = [each.fact.person for each in known.events if isinstance(each.fact, OfPerson)]
    newest_word = next((each for each in reversed(later) if each.id == person.id), None)
    return person.model_copy(update={"start": newest_word.start, "end": newest_word.end}) if newest_word else person


# -- what changed


def differing(conn: Connection[DictRow], first: datetime, second: datetime) -> dict[str, Any]:
    """What is not as it was, register by register, each with the event that made it so."""
    earlier, later = (stood_at(conn, position_at(conn, each)) for each in (first, second))
    before, after_ = registers_of(earlier), registers_of(later)
    ended = EndedBy(conn, earlier.position, later.position)
    return {
        "from": {"at": first.isoformat(), "log_position": earlier.position},
        "to": {"at": second.isoformat(), "log_position": later.position},
        "changes": [
            change
            for register in REGISTERS
            for key in sorted(before.rows[register].keys() | after_.rows[register].keys())
            for change in changes_of(register, key, before, after_, ended)
        ],
    }


def changes_of(
    register: str, key: str, before: Registers, after_: Registers, ended: Callable[[str, str], dict[str, Any] | None]
) -> Iterable[dict[str, Any]]:
    was, is_ = before.rows[register].get(key), after_.rows[register].get(key)
    if was is None and is_ is not None:
        first = min(after_.set_by[register, key].values(), key=lambda each: each["log_position"])
        yield {"register": register, "key": key, "what": "came", "by": first, "to": plain(is_)}
    elif was is not None and is_ is None:
        yield {"register": register, "key": key, "what": "went", "by": ended(register, key), "from": plain(was)}
    elif was is not None and is_ is not None:
        for name in is_:
            if name not in PLUMBING and was.get(name) != is_[name]:
                yield {
                    "register": register, "key": key, "what": "changed", "field": name,
                    "from": plain(was.get(name)), "to": plain(is_[name]),
                    "by": after_.set_by[register, key].get(name),
                }  # fmt: skip


class EndedBy:
    """The event that ended what stood at the first position."""

    def __init__(self, conn: Connection[DictRow], position: int, later: int) -> None:
        self._conn, self._position, self._later = conn, position, later

    def __call__(self, register: str, key: str) -> dict[str, Any] | None:
        if register in ("cases", "rights", "accounts", "tasks"):
            return self._last_of(key.partition(" ")[0])
        stood = {"delegations": f"delegation:{key}", "people": f"person:{key}"}.get(register, key)
        select = SQL(
            "select until from views.standing where what = 'fact' and key = %s and since <= %s and until <= %s "
            "order by until desc limit 1"
        )
        row = self._conn.execute(select, (stood, self._position, self._later)).fetchone()
        found = rows_of(self._conn, AT_POSITIONS, ([row["until"]],)) if row else []
        return reference(found[0]) if found else None

    def _last_of(self, stream: str) -> dict[str, Any] | None:
        events = rows_of(self._conn, OF_STREAMS, ([stream], self._later))
        return reference(events[-1]) if events else None


# -- one case


def fields_of(case: str, recorded: list[Recorded]) -> dict[str, dict[str, Any]]:
    """Each field of a case's state with its value and the event that set it."""
    page = PAGES[stem_of(case)]
    state, found = page.initial(case), dict[str, dict[str, Any]]()
    before = state.model_dump(mode="json")
    for event in recorded:
        state = page.fold(state, [event])
        now = state.model_dump(mode="json")
        for name, value in now.items():
            if name not in ("case", "position") and before.get(name) != value:
                found[name] = {"value": value, "set_by": reference(event)}
        before = now
    return found


def effective_by(recorded: list[Recorded], at: datetime) -> list[Recorded]:
    """Of what is on record, what had been done by then."""
    return [each for each in recorded if each.envelope.at <= at]


def reference(event: Recorded) -> dict[str, Any]:
    envelope = event.envelope
    return {
        "log_position": event.log_position,
        "event_id": envelope.event_id,
        "kind": envelope.kind,
        "at": envelope.at.isoformat(),
        "by": envelope.actor.id,
        "clauses": list(envelope.clauses),
    }


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
