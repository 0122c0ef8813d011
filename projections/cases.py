"""How does this case stand? One row for each case: its stage, who is waited for until when, and its whole state.

What is sealed stays sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow

from projections.folding import Cases, Folded
from projections.projection import Logged, Projection

COLUMNS = (
    "case_id", "process", "stage", "closed", "requester", "place", "account", "content", "waiting_role",
    "waiting_persons", "waiting_to", "waiting_until", "state", "position", "log_position", "opened_at", "updated_at",
    "policy",
)  # fmt: skip


class CasePages(Projection):
    name = "cases"
    tables: ClassVar[dict[str, LiteralString]] = {
        "cases": """
            case_id text primary key, process text not null, stage text not null, closed boolean not null,
            requester text not null, place text not null, account text not null, content text not null,
            waiting_role text, waiting_persons text[], waiting_to text, waiting_until timestamptz,
            state json not null, position bigint not null, log_position bigint not null,
            opened_at timestamptz not null, updated_at timestamptz not null, policy text not null"""
    }
    indexes = (
        ("cases", "(process, stage)"),
        ("cases", "(requester)"),
        ("cases", "(account)"),
        ("cases", "(opened_at)"),
    )

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases = Cases()

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        moved = self._cases.after(page, cursor)
        if moved:
            self.replace_cases(cursor, moved, COLUMNS, [row(case, folded) for case, folded in moved.items()])


def row(case: str, folded: Folded) -> tuple[Any, ...]:
    state, wait = folded.state, folded.state.waiting
    found = state.search()
    return (
        case, folded.process, state.stage.value, state.closed(), state.requester, found.get("Branch", ""),
        found.get("Account", ""), state.content, wait and wait.role.value, wait and list(wait.persons),
        wait and wait.to, wait and wait.next_due(), state.model_dump_json(), state.position, folded.log_position,
        folded.opened_at, folded.last.at, folded.last.policy,
    )  # fmt: skip
