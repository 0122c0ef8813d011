"""Keeps the views up to date with the log: each projection at its own pace, view and position in one transaction.

A lost NOTIFY only delays. A second projector waits. After an outage of the database it goes on. An event that a
projection cannot take names itself and stops that projection alone, until it is tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import IntegrityError, PersistenceError, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from psycopg import Connection, Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL
from psycopg_pool import ConnectionPool

from projections.account_register import AccountRegister
from projections.audit_trail import AuditTrail
from projections.cases import CasePages
from projections.consents import ConsentRegister
from projections.hr_outbox import HrOutbox
from projections.inbox import Inbox
from projections.notices import Notices
from projections.projection import SCHEMA, Logged, Projection
from projections.remedies import Remedies
from projections.revocations import Revocations
from projections.rights import RightsRoster
from projections.staff_directory import StaffDirectory
from projections.standing import Standing
from projections.uses import Uses
from services.audit.notary import run_notary
from services.hr.webhooks import run_webhooks
from services.mail.outbox import DELIVERIES, run_mailer
from services.settings import Settings

PROJECTIONS: tuple[type[Projection], ...] = (
    AuditTrail,
    Inbox,
    CasePages,
    AccountRegister,
    Notices,
    HrOutbox,
    RightsRoster,
    Remedies,
    StaffDirectory,
    Standing,
    ConsentRegister,
    Uses,
    Revocations,
)
CHANNEL = "ledger_events"
PAGE = 500
PAGE_OF_A_REBUILD = 5_000
POLL = 1.0
TRY_A_POISON_AGAIN = 30.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.2, 5.0
SET_UP_LOCK = "imprimatur views"

HEALTH = SQL("""
    create table if not exists views.projection_health (
        projection text primary key, edition text not null, state text not null, since timestamptz not null,
        log_position bigint, case_id text, kind text, error text)""")
IS_OF_THIS_EDITION = SQL("""
    insert into views.projection_health as h values (%s, %s, 'running', clock_timestamp())
    on conflict (projection) do update set edition = excluded.edition where h.edition <> excluded.edition""")
IS_RUNNING = SQL("""
    update views.projection_health set state = 'running', since = clock_timestamp(), log_position = null,
        case_id = null, kind = null, error = null
    where projection = %s and state <> 'running'""")
HAS_STOPPED = SQL("""
    update views.projection_health set state = 'stopped', since = clock_timestamp(), log_position = %(log_position)s,
    case_id = %(case_id)s, kind = %(kind)s, error = %(error)s where projection = %(projection)s""")
NEXT_EVENTS = SQL("""
    select originator_id, originator_version, topic, state, notification_id, recorded_at from ledger.events
    where notification_id > %s and notification_id <= %s order by notification_id limit %s""")
END_OF_TIME = 2**63 - 1
NEWEST = SQL("select coalesce(max(notification_id), 0) as newest from ledger.events")
POSITION = SQL("select notification_id from views.notification_tracking where application_name = %s")
POSITION_HELD = POSITION + SQL(" for update")
TRACKS = SQL("select to_regclass('views.notification_tracking') as it")
FORGET = SQL("delete from views.notification_tracking where application_name = %s")
TRY_LOCK = SQL("select pg_try_advisory_lock(hashtextextended(%s, 0)) as mine")
LOCK_FOR_NOW = SQL("select pg_advisory_xact_lock(hashtextextended(%s, 0))")

log = logging.getLogger("imprimatur.projector")


class Poison(Exception):
    """This projection cannot take this event."""

    def __init__(self, event: Logged, error: Exception) -> None:
        self.event, self.error = event, type(error).__name__
        super().__init__(f"{self.error} at log position {event.log_position}, case {event.case}, kind {event.kind}")


class Moved(Exception):
    """The tables were made anew or filled further by someone else: begin where they stand now."""


class Difference(NamedTuple):
    """A row that only the live table has, or only the one rebuilt from the log."""

    table: str
    only_in: str
    row: str


class Views(PostgresTrackingRecorder):
    """The library's tracking, written in the transaction that writes the view."""

    def __init__(self, url: str) -> None:
        parts = conninfo_to_dict(url)
        dbname, host, port, user, password = (
            str(parts.pop(name, "") or "") for name in ("dbname", "host", "port", "user", "password")
        )
        datastore = PostgresDatastore(
            dbname, host, port, user, password, schema=SCHEMA, originator_id_type="text", connect_timeout=2
        )
        # what else the address says (sslmode and the like), which the library would leave out
        datastore.pool.kwargs |= {**parts, "connect_timeout": 2}  # type: ignore[operator]  # a dict, given above
        super().__init__(datastore)

    def set_up(self) -> None:
        """The tables that stand beside the projections; whoever comes first makes them."""
        with self.datastore.get_connection() as conn, conn.transaction():
            conn.execute(LOCK_FOR_NOW, (SET_UP_LOCK,))
            if not conn.execute(TRACKS).fetchall()[0]["it"]:
                self._create_table(conn.cursor())
            conn.execute(HEALTH)
            conn.execute(DELIVERIES)

    def fill(self, cursor: Cursor[DictRow], projection: Projection, page: Sequence[Logged], since: int) -> int:
        """One page into the view, and the position with it. The position's row is held from the start, so that
        whoever fills or empties the same tables meanwhile waits for this page to stand."""
        if (position_of(cursor, tracked_as(projection), hold=True) or 0) != since:
            raise Moved
        position = page[-1].log_position
        self._insert_tracking(cursor, Tracking(tracked_as(projection), position))
        projection.project(page, cursor)
        return position


def tracked_as(projection: Projection) -> str:
    return projection.name + projection.suffix


def position_of(cursor: Cursor[DictRow] | Connection[DictRow], name: str, hold: bool = False) -> int | None:
    row = cursor.execute(POSITION_HELD if hold else POSITION, (name,)).fetchone()
    return int(row["notification_id"]) if row else None


def connected(url: str) -> Connection[DictRow]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=2)


def events_after(conn: Connection[Any], position: int, most: int, up_to: int = END_OF_TIME) -> list[Logged]:
    with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        return [Logged(*row) for row in cursor.execute(NEXT_EVENTS, (position, up_to, most)).fetchall()]


# -- one projection


class Runner:
    """One projection, for as long as the system runs: waits for its lock, for the database, for events."""

    def __init__(
        self,
        kind: type[Projection],
        url: str,
        stop: Event,
        page: int = PAGE,
        poll: float = POLL,
        again: float = TRY_A_POISON_AGAIN,
    ) -> None:
        self.kind, self._url, self._stop = kind, url, stop
        self._page, self._poll, self._again = page, poll, again

    def run(self) -> None:
        back_off = FIRST_BACK_OFF
        while not self._stop.is_set():
            try:
                with connected(self._url) as conn:
                    if self._has_the_lock(conn):
                        back_off = FIRST_BACK_OFF
                        self._follow(conn)
            except (Moved, IntegrityError):
                log.info("%s begins where its tables stand now", self.kind.name)
            except Poison as poison:
                log.error("%s stops: %s", self.kind.name, poison)  # a traceback could quote the event
                self._stop.wait(self._again)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.warning("%s lost the database (%s)", self.kind.name, type(error).__name__)
                self._stop.wait(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF)
            except Exception as error:  # whatever it is, the others go on and this one is tried again
                log.error("%s failed: %s", self.kind.name, type(error).__name__)
                self._stop.wait(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF)

    def _has_the_lock(self, conn: Connection[DictRow]) -> bool:
        """One projector at a time fills a projection; the lock goes with the connection."""
        while not self._stop.is_set():
            if conn.execute(TRY_LOCK, (f"projection {self.kind.name}",)).fetchall()[0]["mine"]:
                return True
            self._stop.wait(self._poll)
        return False

    def _follow(self, conn: Connection[DictRow]) -> None:
        views = Views(self._url)
        try:
            views.set_up()
            projection, position = self._begin(conn)
            conn.execute(SQL("listen ledger_events"))
            while not self._stop.is_set():
                if (position_of(conn, projection.name) or 0) != position:
                    raise Moved
                if page := events_after(conn, position, self._page):
                    position = self._fill(conn, views, projection, page, position)
                    continue
                conn.execute(IS_RUNNING, (projection.name,))
                self._sleep(conn)
        finally:
            views.datastore.close()

    def _begin(self, conn: Connection[DictRow]) -> tuple[Projection, int]:
        """A fresh projection where its tables stand; tables of another edition are made anew from event one."""
        projection = self.kind()
        with conn.transaction(), conn.cursor() as cursor:
            if not self._as_this_edition_makes_them(cursor, projection):
                make_anew(cursor, projection)
            position = position_of(cursor, projection.name) or 0
            projection.begin(cursor, position)
            cursor.execute(IS_OF_THIS_EDITION, (projection.name, projection.edition()))
        return projection, position

    def _as_this_edition_makes_them(self, cursor: Cursor[DictRow], projection: Projection) -> bool:
        select = SQL("select edition from views.projection_health where projection = %s")
        row = cursor.execute(select, (projection.name,)).fetchone()
        return row is not None and row["edition"] == projection.edition() and projection.exists(cursor)

    def _fill(
        self,
        conn: Connection[DictRow],
        views: Views,
        projection: Projection,
        page: list[Logged],
        position: int,
    ) -> int:
        try:
            with conn.transaction(), conn.cursor() as cursor:
                return views.fill(cursor, projection, page, position)
        except (psycopg.OperationalError, psycopg.InterfaceError, PersistenceError, Moved):
            raise
        except Exception as error:
            if len(page) > 1:
                return self._one_by_one(conn, views, page, position)
            poison = Poison(page[0], error)
        self._tell(conn, poison)
        raise poison

    def _one_by_one(self, conn: Connection[DictRow], views: Views, page: list[Logged], position: int) -> int:
        """Up to the event that it cannot take, so that this one can be named."""
        projection, since = self._begin(conn)
        if since != position:
            raise Moved
        for event in page:
            position = self._fill(conn, views, projection, [event], position)
        # what failed as a page passed one by one: begin afresh with what stands
        raise Moved

    def _tell(self, conn: Connection[DictRow], poison: Poison) -> None:
        event = poison.event
        named = {
            "log_position": event.log_position,
            "case_id": event.case,
            "kind": event.kind,
            "error": poison.error,
        }
        conn.execute(HAS_STOPPED, {"projection": self.kind.name, **named})

    def _sleep(self, conn: Connection[DictRow]) -> None:
        for _ in conn.notifies(timeout=self._poll, stop_after=1):
            pass


# -- all of them


class Projector:
    def __init__(
        self,
        url: str,
        kinds: Sequence[type[Projection]] = PROJECTIONS,
        page: int = PAGE,
        poll: float = POLL,
        again: float = TRY_A_POISON_AGAIN,
    ) -> None:
        self.stopping = Event()
        self._runners = [Runner(kind, url, self.stopping, page, poll, again) for kind in kinds]
        self._threads: list[Thread] = []

    def start(self) -> None:
        self._threads = [Thread(target=each.run, name=f"projection {each.kind.name}") for each in self._runners]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Projector:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def run_projector(settings: Settings, stop: Event) -> None:
    """The projector process: every projection, the mailer, the webhooks and the notary, until told to stop."""
    mailer = Thread(target=run_mailer, args=(settings, stop), name="mailer")
    webhooks = Thread(target=run_webhooks, args=(settings, stop), name="webhooks")
    notary = Thread(target=run_notary, args=(settings, stop), name="notary")
    mailer.start()
    webhooks.start()
    notary.start()
    with Projector(settings.projector_url):
        stop.wait()
    mailer.join()
    webhooks.join()
    notary.join()


# -- waiting for an act to be seen


class Positions:
    """How far each projection is; for screens that have just acted."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(url, min_size=1, max_size=4, open=True, kwargs={"autocommit": True})

    def of(self, projections: Sequence[str]) -> dict[str, int]:
        select = SQL("""
            select application_name, notification_id from views.notification_tracking
            where application_name = any (%s)""")
        return dict(self._rows(select, projections))

    def stopped(self, projections: Sequence[str]) -> list[str]:
        select = SQL("select projection from views.projection_health where state = 'stopped' and projection = any (%s)")
        return [name for (name,) in self._rows(select, projections)]

    def wait_for(self, position: int, projections: Sequence[str], timeout: float = 5.0) -> bool:
        """Whether each of these has seen this log position in time. At once no, where one of them has stopped."""
        deadline, pause = time.monotonic() + timeout, 0.005
        while True:
            seen = self.of(projections)
            behind = [name for name in projections if seen.get(name, 0) < position]
            if not behind:
                return True
            if time.monotonic() >= deadline or self.stopped(behind):
                return False
            time.sleep(pause)
            pause = min(1.5 * pause, 0.1)

    def _rows(self, select: SQL, projections: Sequence[str]) -> list[tuple[Any, ...]]:
        with self._pool.connection() as conn:
            try:
                return conn.execute(select, (list(projections),)).fetchall()
            except psycopg.errors.UndefinedTable:  # no projector has been here yet
                return []

    def close(self) -> None:
        self._pool.close()


# -- made again from event one


def make_anew(cursor: Cursor[DictRow], projection: Projection) -> None:
    projection.drop(cursor)
    cursor.execute(FORGET, (tracked_as(projection),))
    projection.create(cursor)
    projection.index(cursor)


def reset(url: str, kind: type[Projection]) -> None:
    """Empty its tables; whichever projector runs, or starts next, fills them from event one."""
    projection = kind()
    with set_up(url), connected(url) as conn, conn.transaction(), conn.cursor() as cursor:
        # a page that is being written is waited for, and the next one finds the position gone
        position_of(cursor, kind.name, hold=True)
        make_anew(cursor, projection)


def rebuild(
    url: str, kind: type[Projection], suffix: str, up_to: int | None = None, page: int = PAGE_OF_A_REBUILD
) -> int:
    """Fresh tables beside the live ones, from event one; the log position that they stand at."""
    projection = kind(suffix)
    with set_up(url) as views, connected(url) as conn:
        with conn.transaction(), conn.cursor() as cursor:
            projection.drop(cursor)
            cursor.execute(FORGET, (tracked_as(projection),))
            projection.create(cursor)
            position = fill_from_event_one(
                conn, cursor, views, projection, newest(cursor) if up_to is None else up_to, page
            )
            projection.index(cursor)
        return position


def fill_from_event_one(
    conn: Connection[DictRow],
    cursor: Cursor[DictRow],
    views: Views,
    projection: Projection,
    up_to: int,
    page: int,
) -> int:
    position = 0
    projection.begin(cursor, position)
    while events := events_after(conn, position, page, up_to):
        position = views.fill(cursor, projection, events, position)
    return position


def drop(url: str, kind: type[Projection], suffix: str) -> None:
    projection = kind(suffix)
    with connected(url) as conn, conn.transaction(), conn.cursor() as cursor:
        projection.drop(cursor)
        cursor.execute(FORGET, (tracked_as(projection),))


def compare(url: str, kind: type[Projection], page: int = PAGE_OF_A_REBUILD) -> list[Difference]:
    """Every row that differs between the live tables and fresh ones made from the log up to the same position.

    In one transaction that sees one moment and is rolled back: nothing of it is left, whatever happens.
    """
    live, fresh = kind(), kind("__compared")
    with (
        set_up(url) as views,
        connected(url) as conn,
        conn.transaction(force_rollback=True),
        conn.cursor() as cursor,
    ):
        cursor.execute(SQL("set transaction isolation level repeatable read"))
        if not live.exists(cursor):
            raise LookupError(f"{live.name} has no tables yet: no projector has run")
        position = position_of(cursor, live.name) or 0
        fresh.create(cursor)
        fill_from_event_one(conn, cursor, views, fresh, position, page)
        return [each for table in live.tables for each in differences(cursor, live, fresh, table)]


def differences(cursor: Cursor[DictRow], live: Projection, fresh: Projection, table: str) -> Iterator[Difference]:
    rows_only_in = SQL("select row_to_json(t)::text as row from {} t except all select row_to_json(t)::text from {} t")
    for name, here, there in (("live", live, fresh), ("rebuilt", fresh, live)):
        cursor.execute(rows_only_in.format(here.table(table), there.table(table)))
        yield from (Difference(table, name, found["row"]) for found in cursor.fetchall())


@contextmanager
def set_up(url: str) -> Iterator[Views]:
    views = Views(url)
    try:
        views.set_up()
        yield views
    finally:
        views.datastore.close()


def newest(cursor: Cursor[DictRow]) -> int:
    return int(cursor.execute(NEWEST).fetchall()[0]["newest"])


def projection_named(name: str) -> type[Projection]:
    found = {each.name: each for each in PROJECTIONS}.get(name)
    if found is None:
        raise LookupError(f"there is no projection {name}; one of {', '.join(each.name for each in PROJECTIONS)}")
    return found
