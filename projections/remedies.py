"""Which accounts have too few administrators, since when, and by when has that to be mended?

One row for each remedy that was opened, also after it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.staff_change import PROCESS
from domain.staff_change_messages import RemedyClosed, RemedyOpened
from domain.waiting import Asked, Due, DueMoment, DueMomentsReissued
from projections.projection import Logged, Projection

OPEN = SQL("""
    insert into {} values (%(case)s, %(account)s, %(because)s, %(at)s, null, null, %(position)s)
    on conflict (case_id, account) do update set because = excluded.because, opened_at = excluded.opened_at,
        closed_at = null, log_position = excluded.log_position""")
CLOSE = SQL(
    "update {} set closed_at = %(at)s, log_position = %(position)s where case_id = %(case)s and account = %(account)s"
)
GIVE_TIME = SQL("update {} set due = %(due)s where case_id = %(case)s and closed_at is null")


class Remedies(Projection):
    name = "remedies"
    tables: ClassVar[dict[str, LiteralString]] = {
        "remedies": """
            case_id text not null, account text not null, because text not null, opened_at timestamptz not null,
            due timestamptz, closed_at timestamptz, log_position bigint not null, primary key (case_id, account)"""
    }
    indexes = (("remedies", "(account)"),)

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        for event in page:
            if event.stream.startswith(f"{PROCESS}-"):
                self._follow(event, cursor)

    def _follow(self, event: Logged, cursor: Cursor[DictRow]) -> None:
        where = {"case": event.case, "at": event.envelope.at, "position": event.log_position}
        match event.fact:
            case RemedyOpened(account=account, because=because):
                cursor.execute(OPEN.format(self.table()), where | {"account": account, "because": because})
            case RemedyClosed(account=account):
                cursor.execute(CLOSE.format(self.table()), where | {"account": account})
            case Asked(due=due) | DueMomentsReissued(due=due):
                cursor.execute(GIVE_TIME.format(self.table()), where | {"due": overdue_at(due)})
            case _:
                pass


def overdue_at(due: Sequence[DueMoment]) -> object:
    return next((each.at for each in due if each.what is Due.OVERDUE), None)
