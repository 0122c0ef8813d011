"""What of patrons is shown where, since when, and whose consent stood behind it? The register of uses.

One row for each use, also after its end: who ended it, and in which case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.patron_basis import OfUse, UseBegun, UseOver
from projections.projection import Logged, Projection

BEGIN = SQL("""
    insert into {} values (%(use)s, %(content)s, %(target)s, %(since)s, %(consents)s, %(patrons)s, %(by)s, %(case)s,
        null, null, null, %(position)s) on conflict (use_id) do nothing""")
END = SQL("""
    update {} set ended_at = %(at)s, ended_by = %(by)s, ended_in = %(case)s, log_position = %(position)s
    where use_id = %(use)s and ended_at is null""")


class Uses(Projection):
    name = "uses"
    tables: ClassVar[dict[str, LiteralString]] = {
        "uses": """
            use_id text primary key, content text not null, target text not null, since timestamptz not null,
            consents text[] not null, patrons text[] not null, recorded_by text not null, recorded_in text not null,
            ended_at timestamptz, ended_by text, ended_in text, log_position bigint not null"""
    }
    indexes = (("uses", "(content)"), ("uses", "using gin (consents)"), ("uses", "using gin (patrons)"))

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        for event in page:
            if event.kind.startswith(("uses.", "revocation.")) and isinstance(event.fact, OfUse):
                self._follow(event, event.fact, cursor)

    def _follow(self, event: Logged, fact: OfUse, cursor: Cursor[DictRow]) -> None:
        envelope = event.envelope
        where = {
            "use": fact.use, "content": fact.used, "at": envelope.at, "by": envelope.actor.id, "case": event.case,
            "position": event.log_position,
        }  # fmt: skip
        match fact:
            case UseBegun(target=target, since=since, bases=bases):
                consents, patrons = [each.consent for each in bases], [each.patron for each in bases]
                begun = {"target": target, "since": since, "consents": consents, "patrons": patrons}
                cursor.execute(BEGIN.format(self.table()), where | begun)
            case UseOver():
                cursor.execute(END.format(self.table()), where)
            case _:
                pass
