"""The log as the checks read it: every event in log order, in one moment's view, without keeping it in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL

from domain.facts import Recorded
from services.ledger import recorded_from
from services.recorder import Row

AT_ONCE = 2_000
EVENTS = SQL("select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events ")
IN_LOG_ORDER = EVENTS + SQL("where notification_id > %s and notification_id <= %s order by notification_id")
EARLIER_IN_STREAM = EVENTS + SQL("where originator_id = %s and originator_version <= %s order by originator_version")
SHARED_UP_TO = EVENTS + SQL("where shared and notification_id <= %s order by notification_id")
NEWEST = SQL("select coalesce(max(notification_id), 0) as newest from ledger.events")
RECORDED_AT = SQL("select recorded_at as moment from ledger.events where notification_id = %s")
EFFECTIVE_AT = SQL("select at as moment from ledger.events where notification_id = %s")


@contextmanager
def reading(url: str) -> Iterator[Connection[DictRow]]:
    """One moment's view, in which nothing can be written."""
    with psycopg.connect(url, row_factory=dict_row, connect_timeout=5) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        yield conn


def newest(conn: Connection[DictRow]) -> int:
    return int(conn.execute(NEWEST).fetchall()[0]["newest"])


def position_at(conn: Connection[DictRow], at: datetime, moment: SQL = RECORDED_AT) -> int:
    """The last log position that was recorded (or took effect) by then. Positions have no gaps, so twenty look-ups do
    for a million."""
    low, high = 0, newest(conn)
    while low < high:
        middle = (low + high + 1) // 2
        if conn.execute(moment, (middle,)).fetchall()[0]["moment"] <= at:
            low = middle
        else:
            high = middle - 1
    return low


def every_event(conn: Connection[DictRow], up_to: int, after: int = 0) -> Iterator[Recorded]:
    with conn.cursor(name=f"events_after_{after}", row_factory=tuple_row) as cursor:
        cursor.itersize = AT_ONCE
        for row in cursor.execute(IN_LOG_ORDER, (after, up_to)):
            yield recorded_from(Row(*row))


def rows(conn: Connection[DictRow], query: Any, parameters: Sequence[Any]) -> list[Recorded]:
    return [recorded_from(Row(*row.values())) for row in conn.execute(query, parameters).fetchall()]


def stream_up_to(conn: Connection[DictRow], stream: str, position: int) -> list[Recorded]:
    return rows(conn, EARLIER_IN_STREAM, (stream, position))


def shared_up_to(conn: Connection[DictRow], log_position: int) -> list[Recorded]:
    return rows(conn, SHARED_UP_TO, (log_position,))
