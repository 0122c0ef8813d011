"""Which events an auditor asks for, and those events as plain values, in log order and not all at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed

from services.audit.as_of import plain
from services.forms import still_sealed
from services.views import FILTERS

AT_ONCE = 1_000


class Selection(NamedTuple):
    """What is asked for; nothing is everything. `branch` is where something is about or was done."""

    case: str | None = None
    person: str | None = None
    account: str | None = None
    branch: str | None = None
    clause: str | None = None
    channel: str | None = None
    refused: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def wanted(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if value is not None}

    def where(self) -> Composed | SQL:
        clauses = [FILTERS[name] for name in self.wanted()]
        return SQL(" where ") + SQL(" and ").join(clauses) if clauses else SQL("")


def selected(conn: Connection[DictRow], selection: Selection) -> Iterator[dict[str, Any]]:
    """Every field of the envelope and of the fact; what is sealed stays sealed."""
    query = SQL("select * from views.audit_trail") + selection.where() + SQL(" order by log_position")
    with conn.cursor(name="selected") as cursor:
        cursor.itersize = AT_ONCE
        for row in cursor.execute(query, selection.wanted()):
            yield told(row)


def how_many(conn: Connection[DictRow], selection: Selection) -> tuple[int, int]:
    """Events, and the log position of the last of them."""
    query = SQL("select count(*) as events, coalesce(max(log_position), 0) as last from views.audit_trail_rows")
    row = conn.execute(query + selection.where(), selection.wanted()).fetchall()[0]
    return int(row["events"]), int(row["last"])


def told(row: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = plain(row)
    shown["fact"], shown["command"] = still_sealed(row["fact"]), without_credential(still_sealed(row["command"]))
    return shown


def without_credential(command: Any) -> Any:
    """A credential is good for its one command and for nothing else, and nobody's to take away all the same."""
    return {name: value for name, value in command.items() if name != "credential"} if command else command
