"""The running projector: what it promises about losses, rivals, outages and events it cannot take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar, LiteralString

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError
from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL
from psycopg_pool import PoolTimeout

from projections.account_register import AccountRegister
from projections.audit_trail import AuditTrail
from projections.inbox import Inbox
from projections.projection import Logged, Projection
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import PROJECTIONS, Positions, Projector, compare, connected, reset, run_projector
from services.settings import Settings
from tests.conftest import PASSWORDS
from tests.projections.history import Life, a_life, newest_position, rows
from tests.system import Database

UNTOLD = SQL("""
    insert into ledger.events
    select originator_id, originator_version + 1, topic, state, (select max(notification_id) + 1 from ledger.events),
        recorded_at, event_id, at, occurred_at, actor, on_behalf_of, role, place, channel, command_id, cause,
        correlation, policy, read_up_to, clauses, shared
    from ledger.events where originator_id = 'founding' order by originator_version desc limit 1
    returning notification_id""")
NAMES = [kind.name for kind in PROJECTIONS]


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def url(database: Database) -> str:
    return database.url("projector")


@pytest.fixture
def positions(database: Database, life: Life) -> Iterator[Positions]:
    """As a screen asks: in the reader's role."""
    positions = Positions(database.url("reader"))
    yield positions
    positions.close()


def eventually(holds: Callable[[], Any], within: float = 10.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
    return found


def health(url: str, name: str) -> dict[str, Any]:
    with connected(url) as conn:
        found = conn.execute("select * from views.projection_health where projection = %s", (name,)).fetchone()
    return found or {}


def test_an_act_is_seen_by_every_projection_that_is_waited_for(url: str, life: Life, positions: Positions) -> None:
    with Projector(url):
        case = life.asks_for("seen.at.once")
        answer = life.approves(case)
        began = time.monotonic()
        assert positions.wait_for(answer.position, NAMES, timeout=10)
        assert rows(url, "cases")[-1]["stage"] == "set_up"
        answer = life.withdraws(case)
        began = time.monotonic()
        assert positions.wait_for(answer.position, NAMES, timeout=10)
        assert time.monotonic() - began < 0.9, "it was seen by the poll and not by the notification"


def test_waiting_for_a_projection_that_does_not_come_ends_in_time(positions: Positions) -> None:
    began = time.monotonic()
    assert not positions.wait_for(10**9, ["audit_trail"], timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 1.0


def test_a_lost_notification_delays_and_does_not_stop(
    url: str, database: Database, life: Life, positions: Positions
) -> None:
    with Projector(url, poll=0.3):
        assert positions.wait_for(newest_position(url), NAMES)
        untold = without_a_notification(database)
        assert positions.wait_for(untold, NAMES, timeout=3)


def without_a_notification(database: Database) -> int:
    """An event that nobody is told of: the founding once more at the log's end, by plain SQL."""
    with connected(database.superuser) as conn:
        return int(conn.execute(UNTOLD).fetchall()[0]["notification_id"])


def test_a_second_projector_waits_and_takes_over(url: str, life: Life, positions: Positions) -> None:
    first, second = Projector(url, poll=0.1), Projector(url, poll=0.1)
    first.start()
    second.start()
    try:
        assert positions.wait_for(life.withdraws(life.asks_for("rivals.one")).position, NAMES)
        first.stop()
        assert positions.wait_for(life.withdraws(life.asks_for("rivals.two")).position, NAMES)
    finally:
        first.stop()
        second.stop()
    assert [row["log_position"] for row in rows(url, "audit_trail", "log_position")] == list(
        range(1, newest_position(url) + 1)
    )


def test_a_projector_starts_again_where_it_stood(url: str, life: Life, positions: Positions) -> None:
    for nth in range(3):
        with Projector(url, poll=0.1, page=2):
            case = life.asks_for(f"again.{'abc'[nth]}xx")
            assert positions.wait_for(life.withdraws(case).position, NAMES)
    assert [difference for kind in PROJECTIONS for difference in compare(url, kind)] == []


class Squeamish(Projection):
    """Counts events, and cannot take one of them."""

    name = "squeamish"
    tables: ClassVar[dict[str, LiteralString]] = {"squeamish": "log_position bigint primary key"}
    cannot_take: ClassVar[int] = 0

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        self.add(cursor, ["log_position"], [(event.log_position,) for event in page])
        if any(event.log_position == self.cannot_take for event in page):
            raise ValueError("what the event says, which no log line may repeat")


def test_an_event_that_cannot_be_taken_names_itself_and_stops_only_its_projection(
    url: str, life: Life, positions: Positions, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = life.asks_for("poisonous")
    poison = life.approves(case).position
    monkeypatch.setattr(Squeamish, "cannot_take", poison)
    after = life.withdraws(case).position
    caplog.set_level(logging.INFO)

    with Projector(url, [Squeamish, Inbox], poll=0.1, again=0.3):
        assert positions.wait_for(after, ["inbox"])
        stopped = eventually(lambda: health(url, "squeamish").get("state") == "stopped" and health(url, "squeamish"))
        assert (stopped["log_position"], stopped["case_id"], stopped["kind"], stopped["error"]) == (
            poison, case, event_at(url, poison)["topic"], "ValueError",
        )  # fmt: skip
        assert [row["log_position"] for row in rows(url, "squeamish")] == list(range(1, poison))
        assert not positions.wait_for(after, ["squeamish"], timeout=30), "it waits although that one has stopped"

        line = next(record.getMessage() for record in caplog.records if "squeamish stops" in record.getMessage())
        assert str(poison) in line
        assert case in line
        assert "no log line may repeat" not in caplog.text

        monkeypatch.setattr(Squeamish, "cannot_take", 0)
        eventually(lambda: health(url, "squeamish")["state"] == "running")
        assert positions.wait_for(newest_position(url), ["squeamish"])
    assert [row["log_position"] for row in rows(url, "squeamish")] == list(range(1, newest_position(url) + 1))


def event_at(url: str, position: int) -> dict[str, Any]:
    with connected(url) as conn:
        return conn.execute("select * from ledger.events where notification_id = %s", (position,)).fetchall()[0]


def test_tables_emptied_under_a_running_projector_are_filled_again(url: str, life: Life, positions: Positions) -> None:
    life.has_an_open_account("emptied.one")
    with Projector(url, poll=0.1):
        assert positions.wait_for(newest_position(url), NAMES)
        for kind in PROJECTIONS:
            reset(url, kind)
        assert positions.wait_for(newest_position(url), NAMES), "it waits for an event to notice"
        newest = life.withdraws(life.asks_for("emptied.two")).position
        assert positions.wait_for(newest, NAMES)
    assert [difference for kind in PROJECTIONS for difference in compare(url, kind)] == []


def test_tables_of_another_edition_are_made_anew(
    url: str, life: Life, positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Projector(url, [AuditTrail]):
        assert positions.wait_for(newest_position(url), ["audit_trail"])
    with connected(url) as conn:
        conn.execute("update views.audit_trail_rows set what = 'as an older edition said it'")
    monkeypatch.setattr(AuditTrail, "version", AuditTrail.version + 1)
    with Projector(url, [AuditTrail], poll=0.1):
        eventually(lambda: compare(url, AuditTrail) == [] and rows(url, "audit_trail"))


def test_each_projection_goes_on_by_itself(url: str, life: Life, positions: Positions) -> None:
    with Projector(url, [AccountRegister]):
        newest = life.withdraws(life.asks_for("by.itself")).position
        assert positions.wait_for(newest, ["account_register"])
        assert not positions.wait_for(newest, ["account_register", "inbox"], timeout=0.1)


@pytest.mark.ordeal
def test_it_goes_on_after_the_database_was_away(tmp_path: Path, life: Life) -> None:
    server = EmbeddedPostgreSQL(tmp_path / "away")
    server.start()
    database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
    try:
        migrate(database.superuser, PASSWORDS)
        url = database.url("projector")
        with a_life(database) as other, Projector(url, poll=0.1):
            positions = Positions(url)
            assert positions.wait_for(newest_position(url), NAMES)
            server.kill()
            time.sleep(0.5)
            server.start()
            answer = eventually(lambda: tried(lambda: other.asks_for("after.the.outage")), within=30)
            position = eventually(lambda: tried(lambda: newest_position(url)))
            assert answer
            eventually(lambda: tried(lambda: positions.wait_for(position, NAMES, timeout=1)), within=30)
            positions.close()
        assert [difference for kind in PROJECTIONS for difference in compare(url, kind)] == []
    finally:
        server.remove()


def tried(what: Callable[[], Any]) -> Any:
    """None while the database is still away."""
    try:
        return what()
    except (psycopg.Error, PersistenceError, PoolTimeout):
        return None


def test_the_projector_process_stops_when_it_is_told(database: Database, life: Life, tmp_path: Path) -> None:
    settings = Settings.load(
        data=tmp_path,
        database_url=database.superuser,
        **{f"{role}_password": password for role, password in PASSWORDS.items()},
    )
    stop = Event()
    thread = Thread(target=run_projector, args=(settings, stop))
    thread.start()
    positions = Positions(database.url("reader"))
    assert positions.wait_for(newest_position(database.url("projector")), NAMES, timeout=20)
    positions.close()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
