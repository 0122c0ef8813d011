"""Who is to be told what by mail? One row for each event that asks, reminds or escalates, and each person it tells.

The words are ours and hold nothing that is sealed. The address is the one the directory had at that moment. Whether a
message was handed over stands elsewhere, so that making this table again sends nothing again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, LiteralString, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from psycopg import Cursor
from psycopg.rows import DictRow

from domain.facts import Fact, Sealed
from domain.register import Register
from domain.telling import LetterToPatron, Telling
from domain.waiting import Asked, BecameOverdue, Due, Escalated, Reminded, TaskRerouted, Wait, WaitingFact
from projections.folding import Cases, Folded, learn, library_as_of, waits_of
from projections.projection import Logged, Projection
from projections.sentences import account_in_words

MESSAGE_IDS = UUID("0f1d6f3e-3c67-5f0e-8d0a-5a2a0a2f7b64")
COLUMNS = (
    "message_id", "event_id", "log_position", "case_id", "person", "to_address", "kind", "subject", "body", "at",
    "sealed_address", "sealed_in",
)  # fmt: skip

# a letter to an office is to nobody of the directory
OFFICE = "-"


class Words(NamedTuple):
    subject: str
    body: str


ASKED = Words("Please {to}: {account}", "You are asked to {to}.")
REMINDED = Words("Reminder: please {to}: {account}", "You were asked to {to}, and it is still open.")
ESCALATED = Words(
    "Waiting too long: {to}: {account}",
    "Someone was asked to {to}, and it has been open so long that you are told.",
)
OVERDUE = Words(
    "Overdue: {to}: {account}", "You were asked to {to}. It is overdue now and on the list of overdue tasks."
)
RELIEVED = Words(
    "No longer yours: {to}: {account}", "You were asked to {to}. Others are asked now; nothing waits for you."
)
DETAILS = """

Case: {case}
Account: {account}
Asked on: {since}
Due: {due}

This message was sent by Imprimatur.
"""


class Notices(Projection):
    name = "notices"
    tables: ClassVar[dict[str, LiteralString]] = {
        "outbox": """
            message_id text primary key, event_id text not null, log_position bigint not null, case_id text not null,
            person text not null, to_address text not null, kind text not null, subject text not null,
            body text not null, at timestamptz not null, sealed_address json, sealed_in text not null"""
    }
    indexes = (("outbox", "(log_position)"), ("outbox", "(case_id)"))

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases, self._register = Cases(), Register()

    def begin(self, cursor: Cursor[DictRow], position: int) -> None:
        self._register = library_as_of(cursor, position)

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        rows: list[tuple[Any, ...]] = []
        for event, folded in self._cases.step_by_step(page, cursor):
            learn(self._register, event)
            if folded and isinstance(event.fact, WaitingFact):
                rows.extend(self._messages(event, folded))
            if folded and isinstance(event.fact, Telling):
                rows.extend(self._letters(event, event.fact))
            if folded and isinstance(event.fact, LetterToPatron) and event.fact.email is not None:
                rows.append(letter_to_patron(event, event.fact, event.fact.email))
        if rows:
            self.add(cursor, COLUMNS, rows)

    def _letters(self, event: Logged, fact: Telling) -> Iterator[tuple[Any, ...]]:
        body = "\n".join([*fact.lines(), "", f"Case: {event.case}", "", "This message was sent by Imprimatur.", ""])
        people = {each: self._register.people.get(each) for each in fact.told}
        told = [(id_, id_, known.work_email if known else "") for id_, known in people.items()]
        for name, person, address in (*told, *((address, OFFICE, address) for address in fact.also_to)):
            yield (
                message_id(event.envelope.event_id, name), event.envelope.event_id, event.log_position, event.case,
                person, address, event.kind, fact.subject(), body, event.envelope.at,
                None, "",
            )  # fmt: skip

    def _messages(self, event: Logged, folded: Folded) -> Iterator[tuple[Any, ...]]:
        for person, words in who_is_told(event.fact):
            details = details_of(folded, self._register, event.fact)
            known = self._register.people.get(person)
            yield (
                message_id(event.envelope.event_id, person), event.envelope.event_id, event.log_position, event.case,
                person, known.work_email if known else "", event.kind, words.subject.format_map(details),
                (words.body + DETAILS).format_map(details), event.envelope.at, None, "",
            )  # fmt: skip


def who_is_told(fact: Fact) -> Iterator[tuple[str, Words]]:
    match fact:
        case Asked(persons=persons):
            yield from each_of(persons, ASKED)
        case Reminded(persons=persons):
            yield from each_of(persons, REMINDED)
        case Escalated(persons=persons):
            yield from each_of(persons, ESCALATED)
        case BecameOverdue(persons=persons):
            yield from each_of(persons, OVERDUE)
        case TaskRerouted(before=before, persons=persons):
            yield from each_of([each for each in persons if each not in before], ASKED)
            yield from each_of([each for each in before if each not in persons], RELIEVED)
        case _:
            pass


def each_of(persons: Sequence[str], words: Words) -> list[tuple[str, Words]]:
    return [(person, words) for person in dict.fromkeys(persons)]


def message_id(event_id: str, person: str) -> str:
    return f"<{uuid5(MESSAGE_IDS, f'{event_id}/{person}')}@imprimatur.invalid>"


def letter_to_patron(event: Logged, fact: LetterToPatron, email: Sealed) -> tuple[Any, ...]:
    """To someone who is not of the staff: the address stays sealed until the letter is handed over."""
    body = "\n".join([*fact.lines(), "", f"Number of your request: {event.case}", ""])
    return (
        message_id(event.envelope.event_id, fact.patron), event.envelope.event_id, event.log_position, event.case,
        f"patron:{fact.patron}", "", event.kind, fact.subject(), body, event.envelope.at, email.model_dump_json(),
        fact.sealed_in,
    )  # fmt: skip


def details_of(folded: Folded, register: Register, fact: Fact) -> dict[str, str]:
    """Of the task that this fact is about, where a case has several at once."""
    wait, zone = waits_of(folded.state).get(getattr(fact, "use", "")) or folded.state.waiting, zone_of(register)
    return {
        "case": folded.last.case,
        "account": account_in_words(folded.state.search().get("Account", "")) or "none yet",
        "to": wait.to if wait else "nothing more",
        "since": written(wait.since, zone) if wait else "",
        "due": written(due_of(wait), zone) if wait else "",
    }


def due_of(wait: Wait) -> datetime | None:
    """When it will be listed as overdue; where that is not foreseen, when it comes to its end."""
    moments = {moment.what: moment.at for moment in wait.due}
    return moments.get(Due.OVERDUE) or moments.get(Due.EXPIRY)


def zone_of(register: Register) -> tzinfo:
    calendars = [register.calendar, *(policy.calendar for _, policy in reversed(register.policies))]
    return next((ZoneInfo(each.timezone) for each in calendars if each), UTC)


def written(moment: datetime | None, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%A %d %B %Y, %H:%M %Z}" if moment else "no date"
