"""What waits for me? One row for each open task and person who is asked.

Driven by what every process says of a case: whether someone is waited for, and for what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow

from domain.waiting import Due, DueMoment, Wait
from projections.folding import Cases, Folded, waits_of
from projections.projection import Logged, Projection

COLUMNS = (
    "case_id", "task", "person", "process", "account", "role", "place", "to_do", "since", "next_due", "next_is",
    "escalated", "overdue", "log_position",
)  # fmt: skip


class Inbox(Projection):
    name = "inbox"
    tables: ClassVar[dict[str, LiteralString]] = {
        "inbox": """
            case_id text not null, task text not null, person text not null, process text not null,
            account text not null, role text not null, place text not null, to_do text not null,
            since timestamptz not null,
            next_due timestamptz, next_is text, escalated boolean not null, overdue boolean not null,
            log_position bigint not null, primary key (case_id, task, person)"""
    }
    indexes = (("inbox", "(person, next_due)"),)

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases = Cases()

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        moved = self._cases.after(page, cursor)
        if moved:
            rows = [row for case, folded in moved.items() for row in tasks(case, folded)]
            self.replace_cases(cursor, moved, COLUMNS, rows)


def tasks(case: str, folded: Folded) -> Iterator[tuple[Any, ...]]:
    for task, wait in waits_of(folded.state).items() if not folded.state.closed() else ():
        yield from tasks_of(case, folded, task, wait)


def tasks_of(case: str, folded: Folded, task: str, wait: Wait) -> Iterator[tuple[Any, ...]]:
    due = min(wait.open_moments(), key=when, default=None)
    done = {what for what, _ in wait.done}
    for person in dict.fromkeys(wait.persons):
        yield (
            case, task, person, folded.process, folded.state.search().get("Account", ""), wait.role.value, wait.place,
            wait.to, wait.since, due and due.at, due and due.what.value, Due.ESCALATION in done, Due.OVERDUE in done,
            folded.log_position,
        )  # fmt: skip


def when(moment: DueMoment) -> Any:
    return moment.at
