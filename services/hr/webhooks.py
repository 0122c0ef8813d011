"""HR's systems are told what they may know: signed, in order for each person, at least once, always under one id.

Standard Webhooks signatures around CloudEvents 1.0. That an event is to be told stands in a projection; what became of
telling it stands in a table of its own, so that making the projection again sends nothing again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, NamedTuple

import httpx
import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, class_row
from psycopg.sql import SQL
from standardwebhooks import Webhook

from domain.facts import Malformed
from services.clock import Clock, SystemClock
from services.hr.addresses import Inside, Target, looked_at
from services.hr.subscribing import Secrets, Subscriber, subscribers
from services.mail.outbox import Patience, connected
from services.settings import Settings

POLL = 1.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
ANSWER_WITHIN_SECONDS = 10.0
GONE, MOST_OF_AN_ANSWER = 410, 2_000
TYPE_PREFIX, SPEC = "imprimatur.", "1.0"
LOCK = "imprimatur webhooks"

DELIVERIES = SQL("""
    create table if not exists views.webhook_deliveries (
        subscriber text not null, event_id text not null, state text not null, attempts integer not null,
        first_at timestamptz not null, last_at timestamptz not null, not_before timestamptz not null,
        code text not null, primary key (subscriber, event_id))""")
# of each person only the oldest that is neither delivered nor given up
NEXT = SQL("""
    select o.event_id, o.log_position, o.case_id, o.person, o.kind, o.data, o.at
    from views.hr_outbox o
    left join views.webhook_deliveries d on d.subscriber = %(subscriber)s and d.event_id = o.event_id
    where o.log_position > %(since)s and coalesce(d.state, 'later') = 'later'
        and coalesce(d.not_before, '-infinity') <= %(now)s
        and not exists (
            select from views.hr_outbox e
            left join views.webhook_deliveries p on p.subscriber = %(subscriber)s and p.event_id = e.event_id
            where e.person = o.person and e.log_position < o.log_position and e.log_position > %(since)s
                and coalesce(p.state, 'later') = 'later')
    order by o.log_position limit 1""")
TELL = SQL("""
    insert into views.webhook_deliveries as d
    values (%(subscriber)s, %(event)s, %(state)s, 1, %(at)s, %(at)s, %(not_before)s, %(code)s)
    on conflict (subscriber, event_id) do update set state = excluded.state, attempts = d.attempts + 1,
        last_at = excluded.last_at, not_before = excluded.not_before, code = excluded.code""")
STATE = SQL("select attempts, first_at from views.webhook_deliveries where subscriber = %s and event_id = %s")
DEAD = SQL("""
    select d.subscriber, d.event_id, o.person, o.kind, o.case_id as case, d.attempts, d.first_at, d.last_at, d.code
    from views.webhook_deliveries d join views.hr_outbox o using (event_id) where d.state = 'dead'
    order by o.log_position""")
AGAIN = SQL("""
    update views.webhook_deliveries set state = 'later', attempts = 0, first_at = %(now)s, not_before = %(now)s
    where subscriber = %(subscriber)s and state in ('dead', 'delivered')
        and (%(event)s::text is null or event_id = %(event)s) and (%(event)s::text is not null or state = 'dead')
    returning event_id""")
TRY_LOCK = SQL("select pg_try_advisory_lock(hashtextextended(%s, 0)) as mine")
HAS_OUTBOX = SQL("select to_regclass('views.hr_outbox') is not null as yes")
NEWEST = SQL("select coalesce(max(log_position), 0) as newest from views.hr_outbox")

log = logging.getLogger("imprimatur.webhooks")


# one delivery


class Waiting(NamedTuple):
    """An event of the outbox that is due."""

    event_id: str
    log_position: int
    case_id: str
    person: str
    kind: str
    data: dict[str, Any]
    at: datetime


def as_cloud_event(event: Waiting, base_url: str) -> str:
    return json.dumps(
        {
            "specversion": SPEC,
            "id": event.event_id,
            "source": base_url,
            "type": TYPE_PREFIX + event.kind,
            "subject": event.person,
            "time": event.at.astimezone(UTC).isoformat(),
            "datacontenttype": "application/json",
            "logposition": str(event.log_position),
            "data": event.data | {"link": f"{base_url}/api/v1/cases/{event.case_id}"},
        },
        ensure_ascii=False,
    )


def signed(subscriber: Subscriber, id_: str, body: str, at: datetime) -> dict[str, str]:
    signatures = [Webhook(secret).sign(id_, at.astimezone(UTC), body) for secret in subscriber.secrets]
    return {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


Send = Callable[[Target, dict[str, str], str], int]


def send(target: Target, headers: dict[str, str], body: str) -> int:
    """To the very address that was looked at; no redirect is followed, and no answer is read."""
    with (
        httpx.Client(timeout=ANSWER_WITHIN_SECONDS, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "POST",
            target.url,
            content=body.encode(),
            headers={**headers, "host": target.header},
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        return response.status_code


class Deliverer:
    """One at a time over all processes: the lock goes with the connection, and so the order is kept."""

    def __init__(
        self,
        url: str,
        secrets: Secrets,
        base_url: str,
        clock: Clock,
        inside_too: bool = False,
        patience: Patience | None = None,
        send_one: Send = send,
    ) -> None:
        self._url, self._secrets, self._base_url = url, secrets, base_url.rstrip("/")
        self._clock, self._inside_too, self._send = clock, inside_too, send_one
        self._patience = patience or Patience(altogether=timedelta(days=3))

    def run(self, stop: Event, poll: float = POLL) -> None:
        back_off = FIRST_BACK_OFF
        while not stop.is_set():
            try:
                with connected(self._url) as conn:
                    if self._is_mine(conn):
                        back_off = FIRST_BACK_OFF
                        self._until_stopped(conn, stop, poll)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.info("the database is away (%s)", type(error).__name__)
            except Exception as error:  # the projections go on, and this is tried again
                log.error("the webhooks failed: %s", type(error).__name__)
            stop.wait(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF)

    def _is_mine(self, conn: Connection[DictRow]) -> bool:
        return bool(conn.execute(TRY_LOCK, (LOCK,)).fetchall()[0]["mine"])

    def _until_stopped(self, conn: Connection[DictRow], stop: Event, poll: float) -> None:
        while not stop.is_set():
            if not self.deliver_one_each(conn):
                stop.wait(poll)

    def deliver_one_each(self, conn: Connection[DictRow]) -> int:
        """To each subscriber the next event that is due; how many there were."""
        if not conn.execute(HAS_OUTBOX).fetchall()[0]["yes"]:
            return 0
        conn.execute(DELIVERIES)
        return sum(self._deliver_next(conn, each) for each in subscribers(conn, self._secrets))

    def _deliver_next(self, conn: Connection[DictRow], subscriber: Subscriber) -> bool:
        asked = {"subscriber": subscriber.id, "since": subscriber.since, "now": self._clock.now()}
        with conn.cursor(row_factory=class_row(Waiting)) as cursor:
            event = cursor.execute(NEXT, asked).fetchone()
        if event is None:
            return False
        self._mark(conn, subscriber, event, self._tried(subscriber, event))
        return True

    def _tried(self, subscriber: Subscriber, event: Waiting) -> str:
        """Nothing where it was taken; else what came in the way."""
        if not subscriber.secrets:
            return "its secret is not kept here: rotate it"
        try:
            target = looked_at(subscriber.url, self._inside_too)
            body = as_cloud_event(event, self._base_url)
            code = self._send(target, signed(subscriber, event.event_id, body, self._clock.now()), body)
        except (Inside, Malformed) as refused:
            return str(refused)[:MOST_OF_AN_ANSWER]
        except (httpx.HTTPError, OSError, ValueError) as error:
            return type(error).__name__
        return "" if httpx.codes.is_success(code) else str(code)

    def _mark(self, conn: Connection[DictRow], subscriber: Subscriber, event: Waiting, code: str) -> None:
        now = self._clock.now()
        known = conn.execute(STATE, (subscriber.id, event.event_id)).fetchone() or {"attempts": 0, "first_at": now}
        state = "delivered" if not code else "later"
        if code == str(GONE) or (code and now - known["first_at"] > self._patience.altogether):
            state = "dead"
            log.warning("%s was given up for %s: %s", event.event_id, subscriber.id, code)
        pause = self._patience.after(known["attempts"] + 1) if state == "later" else timedelta()
        told = {"subscriber": subscriber.id, "event": event.event_id, "state": state, "at": now, "code": code}
        conn.execute(TELL, told | {"not_before": now + pause})


# for the operator


def dead_letters(url: str) -> list[dict[str, Any]]:
    with connected(url) as conn:
        try:
            return list(conn.execute(DEAD).fetchall())
        except psycopg.errors.UndefinedTable:
            return []


def replay(url: str, subscriber: str, event: str | None, now: datetime) -> list[str]:
    """Tell it again: every dead letter of a subscriber, or one event whatever became of it. Under the same id."""
    with connected(url) as conn:
        conn.execute(DELIVERIES)
        rows = conn.execute(AGAIN, {"subscriber": subscriber, "event": event, "now": now}).fetchall()
    return [row["event_id"] for row in rows]


def newest_position(url: str) -> int:
    """From here on a new subscriber is told."""
    with connected(url) as conn:
        try:
            return int(conn.execute(NEWEST).fetchall()[0]["newest"])
        except psycopg.errors.UndefinedTable:
            return 0


def run_webhooks(settings: Settings, stop: Event) -> None:
    secrets = Secrets.of_data(settings.data)
    inside_too = settings.webhooks_inside
    Deliverer(settings.projector_url, secrets, settings.public_url, SystemClock(), inside_too).run(stop)
