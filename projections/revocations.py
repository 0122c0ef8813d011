"""How far is each revocation: known who asks, accepted, how many uses are gone, how many are left, since when?

One row for each, also after its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString, cast

from psycopg import Cursor
from psycopg.rows import DictRow

from domain.revocation import PROCESS, RevocationCase
from domain.waiting import Due
from projections.folding import Cases, Folded
from projections.projection import Logged, Projection

COLUMNS = (
    "case_id", "place", "stage", "received", "patron", "consents", "pictures", "asked_at", "accepted", "uses_found",
    "removed", "impossible", "to_remove", "escalated", "overdue", "next_due", "closed", "updated_at", "log_position",
)  # fmt: skip


class Revocations(Projection):
    name = "revocations"
    tables: ClassVar[dict[str, LiteralString]] = {
        "revocations": """
            case_id text primary key, place text not null, stage text not null, received text not null,
            patron text not null, consents text[] not null, pictures text[] not null, asked_at timestamptz,
            accepted boolean not null, uses_found bigint not null, removed bigint not null, impossible bigint not null,
            to_remove bigint not null, escalated bigint not null, overdue bigint not null, next_due timestamptz,
            closed boolean not null, updated_at timestamptz not null, log_position bigint not null"""
    }
    indexes = (("revocations", "(patron)"), ("revocations", "(stage)"))

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases = Cases()

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        of_revocations = [event for event in page if event.stream.startswith(f"{PROCESS}-")]
        moved = self._cases.after(of_revocations, cursor) if of_revocations else {}
        if moved:
            self.replace_cases(cursor, moved, COLUMNS, [row(case, folded) for case, folded in moved.items()])


def row(case: str, folded: Folded) -> tuple[Any, ...]:
    state = cast(RevocationCase, folded.state)
    said, left, all_ = state.said, state.open_removals(), state.removals
    impossible = sum(each.why is not None for each in all_)
    done = [{what for what, _ in each.wait.done} for each in left]
    return (
        case, said.place, state.stage.value, said.received.value, state.patron or said.patron, list(state.consents),
        list(state.pictures), state.asked_at, state.accepted, len(all_), len(all_) - len(left) - impossible,
        impossible, len(left), sum(Due.ESCALATION in each for each in done), sum(Due.OVERDUE in each for each in done),
        state.next_due(), state.closed(), folded.last.at, folded.log_position,
    )  # fmt: skip
