"""Who works where, in which position, until when, and since which event do we know? One row for each person.

Roles are not in it: they follow from the position by the policy in force at the moment of asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.directory import FriendsRoleDeclared, OfPerson
from projections.projection import Logged, Projection

KEEP = SQL("""
    insert into {} values (%(person)s, %(name)s, %(work_email)s, %(position)s, %(branch)s, %(supervisor)s, %(active)s,
        %(start)s, %(end)s, false, %(what)s, %(by)s, %(at)s, %(event)s, %(log_position)s)
    on conflict (person) do update set name = excluded.name, work_email = excluded.work_email,
        position = excluded.position, branch = excluded.branch, supervisor = excluded.supervisor,
        active = excluded.active, first_day = excluded.first_day, last_day = excluded.last_day, what = excluded.what,
        said_by = excluded.said_by, said_at = excluded.said_at, event_id = excluded.event_id,
        log_position = excluded.log_position""")
FRIENDS = SQL("update {} set friends_administrator = %s, log_position = %s where person = %s")


class StaffDirectory(Projection):
    name = "staff_directory"
    tables: ClassVar[dict[str, LiteralString]] = {
        "staff_directory": """
            person text primary key, name text not null, work_email text not null, position text not null,
            branch text not null, supervisor text, active boolean not null, first_day date, last_day date,
            friends_administrator boolean not null, what text not null, said_by text not null,
            said_at timestamptz not null, event_id text not null, log_position bigint not null"""
    }
    indexes = (("staff_directory", "(branch)"),)

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        for event in page:
            if event.of_the_library:
                self._follow(event, cursor)

    def _follow(self, event: Logged, cursor: Cursor[DictRow]) -> None:
        match event.fact:
            case OfPerson():
                cursor.execute(KEEP.format(self.table()), row(event, event.fact))
            case FriendsRoleDeclared(person=person, administers=administers):
                cursor.execute(FRIENDS.format(self.table()), (administers, event.log_position, person))
            case _:
                pass


def row(event: Logged, fact: OfPerson) -> dict[str, Any]:
    envelope, said = event.envelope, fact.person.model_dump()
    return said | {
        "person": fact.person.id,
        "what": event.kind.partition(".")[2],
        "by": envelope.actor.id,
        "at": envelope.at,
        "event": envelope.event_id,
        "log_position": event.log_position,
    }
