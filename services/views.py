"""What people look at, read from the projections as the reader, who can change nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed
from psycopg_pool import ConnectionPool

from projections.account_register import REGISTER_AT
from projections.rights import ROSTER_AT
from services.projector import PROJECTIONS, Positions

CONNECT_SECONDS = 5.0
FILTERS = {
    "case": SQL("case_id = %(case)s"),
    "person": SQL("persons @> array[%(person)s]::text[]"),
    "account": SQL("account = %(account)s"),
    "branch": SQL("(branch = %(branch)s or place = %(branch)s)"),
    "channel": SQL("channel = %(channel)s"),
    "clause": SQL("clauses @> array[%(clause)s]::text[]"),
    "since": SQL("at >= %(since)s"),
    "until": SQL("at < %(until)s"),
    "after": SQL("log_position > %(after)s"),
    "refused": SQL("refused = %(refused)s"),
}
MOST_ROWS = 100_000


class Views:
    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=4,
            open=True,
            timeout=CONNECT_SECONDS,
            kwargs={"autocommit": True, "row_factory": dict_row},
        )
        self._seen = Positions(url)

    def cases(self) -> list[dict[str, Any]]:
        return self._rows(SQL(
            "select case_id as case, process, stage, closed, requester, place, account, waiting_role, waiting_persons, "
            "waiting_to, waiting_until, opened_at, updated_at, policy from views.cases order by opened_at"
        ), {})  # fmt: skip

    def inbox(self, person: str) -> list[dict[str, Any]]:
        """Open tasks of one person, by due time."""
        return self._rows(
            SQL(
                "select *, case_id as case from views.inbox where person = %(person)s "
                "order by next_due nulls last, case_id"
            ),
            {"person": person},
        )

    def accounts(self, at: datetime) -> list[dict[str, Any]]:
        return self._rows(SQL(REGISTER_AT), {"at": at})

    def rights(self, at: datetime) -> list[dict[str, Any]]:
        """Who may post by a right, to what, until when; and what became of each right."""
        return self._rows(SQL(ROSTER_AT), {"at": at})

    def consents(self, standing: str | None = None) -> list[dict[str, Any]]:
        """The consent register; those that stand so, where that is asked."""
        wanted = SQL(" where standing = %(standing)s" if standing else "")
        select = SQL("select *, case_id as case from views.consents") + wanted + SQL(" order by opened_at, case_id")
        return self._rows(select, {"standing": standing})

    def uses(self, content: str | None = None) -> list[dict[str, Any]]:
        """Where something of a patron's stands or stood, the newest last."""
        wanted = SQL(" where content = %(content)s" if content else "")
        select = SQL("select * from views.uses") + wanted + SQL(" order by since, use_id")
        return self._rows(select, {"content": content})

    def revocations(self, only_open: bool = False) -> list[dict[str, Any]]:
        wanted = SQL(" where not closed" if only_open else "")
        select = SQL("select *, case_id as case from views.revocations") + wanted + SQL(" order by asked_at, case_id")
        return self._rows(select, {})

    def remedies(self) -> list[dict[str, Any]]:
        select = "select *, case_id as case from views.remedies where closed_at is null "
        return self._rows(SQL(select) + SQL("order by due nulls last, account"), {})

    def outbox(self) -> list[dict[str, Any]]:
        return self._rows(
            SQL(
                "select o.message_id, o.case_id as case, o.person, o.kind, o.subject, o.at, d.state "
                "from views.outbox o left join views.deliveries d using (message_id) order by o.log_position"
            ),
            {},
        )

    def trail(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Events in log order, with every field of the envelope; filters by name, None where not asked for."""
        wanted = {name: value for name, value in asked.items() if value is not None and name in FILTERS}
        clauses = [FILTERS[name] for name in wanted]
        where: SQL | Composed = SQL(" where ") + SQL(" and ").join(clauses) if clauses else SQL("")
        limit = min(int(asked.get("limit") or MOST_ROWS), MOST_ROWS)
        query = SQL("select * from views.audit_trail") + where + SQL(" order by log_position limit {}").format(limit)
        return self._rows(query, wanted)

    def wait_for(self, log_position: int, seconds: float) -> bool:
        return self._seen.wait_for(log_position, [each.name for each in PROJECTIONS], seconds)

    def positions(self) -> dict[str, int]:
        return self._seen.of([each.name for each in PROJECTIONS])

    def stopped(self) -> list[str]:
        return self._seen.stopped([each.name for each in PROJECTIONS])

    def _rows(self, query: SQL | Composed, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        with self._pool.connection() as conn:
            return conn.execute(query, parameters).fetchall()  # type: ignore[return-value]  # the pool's row factory

    def close(self) -> None:
        self._pool.close()
        self._seen.close()
