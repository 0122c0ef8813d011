"""Which consents are there, of what form, how do they stand and until when? The consent register.

One row for each, also after its end. Patrons are numbers; what is sealed stays sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString, cast

from psycopg import Cursor
from psycopg.rows import DictRow

from domain.consent import PROCESS, ConsentCase, Stage
from projections.folding import Cases, Folded
from projections.projection import Logged, Projection

COLUMNS = (
    "case_id", "form", "place", "patron", "guardian", "obtained", "shown", "standing", "given_at", "since", "until",
    "of_age_at", "contents", "targets", "program", "opted_out", "revocation", "opened_at", "updated_at",
    "log_position",
)  # fmt: skip


class ConsentRegister(Projection):
    name = "consents"
    tables: ClassVar[dict[str, LiteralString]] = {
        "consents": """
            case_id text primary key, form text not null, place text not null, patron text, guardian text,
            obtained text not null, shown text, standing text not null, given_at timestamptz not null,
            since timestamptz, until timestamptz, of_age_at timestamptz, contents text[] not null,
            targets text[] not null, program text, opted_out text[] not null, revocation text not null,
            opened_at timestamptz not null, updated_at timestamptz not null, log_position bigint not null"""
    }
    indexes = (("consents", "(patron)"), ("consents", "(guardian)"), ("consents", "(standing)"))

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases = Cases()

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        of_consents = [event for event in page if event.stream.startswith(f"{PROCESS}-")]
        moved = self._cases.after(of_consents, cursor) if of_consents else {}
        if moved:
            self.replace_cases(cursor, moved, COLUMNS, [row(case, folded) for case, folded in moved.items()])


def row(case: str, folded: Folded) -> tuple[Any, ...]:
    state = cast(ConsentCase, folded.state)
    said = state.consent
    return (
        case, (state.form or said.form).value, said.place, said.patron, said.guardian, said.obtained.value,
        state.shown and state.shown.value, standing_of(state), said.given_at, state.since, state.until,
        state.of_age_at, list(said.contents), list(said.targets), said.program and said.program.name,
        list(state.opted_out), state.revocation, folded.opened_at, folded.last.at, folded.log_position,
    )  # fmt: skip


def standing_of(state: ConsentCase) -> str:
    """One that is rejected is so at once, though whoever gave it is still to be told."""
    return (Stage.REJECTED if state.stage is Stage.TELLING else state.stage).value
