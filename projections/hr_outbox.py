"""What may HR's systems be told? One row for each event that is theirs to know: ids and no more.

Rights that begin, pause and end, and the report on what followed from a change of theirs. Whether a row was delivered
is kept elsewhere: this may be made again, and that must send nothing again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from pydantic_core import to_json

from domain.facts import Fact
from domain.in_force import RightsBegun, RightsEnded, RightsPaused, RightsResumed
from domain.posting_rights import HOW_IT_ENDED
from domain.staff_change_messages import StaffChangeReported
from projections.projection import Logged, Projection

COLUMNS = ("event_id", "log_position", "case_id", "person", "kind", "data", "at")
CASES = ("posting_rights-", "staff_change-")


class HrOutbox(Projection):
    name = "hr_outbox"
    tables: ClassVar[dict[str, LiteralString]] = {
        "hr_outbox": """
            event_id text primary key, log_position bigint not null, case_id text not null, person text not null,
            kind text not null, data json not null, at timestamptz not null"""
    }
    indexes = (("hr_outbox", "(log_position)"), ("hr_outbox", "(person, log_position)"))

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        told = [event for event in page if event.stream.startswith(CASES)]
        rows = [row(event, *found) for event in told if (found := what_hr_may_know(event.fact))]
        if rows:
            self.add(cursor, COLUMNS, rows)


def row(event: Logged, kind: str, person: str, data: dict[str, Any]) -> tuple[Any, ...]:
    envelope = event.envelope
    known = to_json({"person": person, "case": event.case, **data}).decode()
    return envelope.event_id, event.log_position, event.case, person, kind, known, envelope.at


def what_hr_may_know(fact: Fact) -> tuple[str, str, dict[str, Any]] | None:
    match fact:
        case RightsBegun(holder=holder, accounts=accounts, until=until):
            return "rights.granted", holder, {"accounts": accounts, "until": until}
        case RightsPaused(holder=holder):
            return "rights.suspended", holder, {}
        case RightsResumed(holder=holder):
            return "rights.reinstated", holder, {}
        case RightsEnded(holder=holder):
            return "rights.ended", holder, {"how": HOW_IT_ENDED[type(fact)]}
        case StaffChangeReported():
            return "staff_change.reported", fact.person, counted(fact)
        case _:
            return None


def counted(fact: StaffChangeReported) -> dict[str, Any]:
    return {
        "change": fact.change.value,
        "consequences": [each.event for each in fact.consequences],
        "seats_vacated": fact.seats_vacated,
        "credentials_to_rotate": fact.credentials,
        "remedies": fact.remedies,
        "last_day": fact.last_day,
    }
