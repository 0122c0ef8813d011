"""Hands over what the outbox holds: recorded once, handed over at least once, always under one Message-ID.

That an attempt begins is marked before the message leaves, and what came of it after. Whoever finds a begun attempt
that nobody is at sends again and says so in the message. The marks stand in a table of their own: the outbox is a
projection and may be made again, and that must send nothing again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, class_row, dict_row
from psycopg.sql import SQL

from services.clock import Clock, SystemClock
from services.door import key_encryption_key
from services.ledger import Ledger
from services.mail.patrons import NOWHERE, Addresses, SealedAddresses
from services.mail.smtp import DEFAULT_SENDER, Later, MailServer, Never, written
from services.seal import KeyStore, Seal
from services.settings import Settings, write_whole

POLL = 1.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
SET_UP_LOCK = "imprimatur deliveries"

DELIVERIES = SQL("""
    create table if not exists views.deliveries (
        message_id text primary key, state text not null, attempts integer not null, first_at timestamptz not null,
        last_at timestamptz not null, not_before timestamptz not null, possible_duplicate boolean not null,
        code text not null)""")
# the row's lock says that someone is at it, for as long as their connection lives
TAKE_ONE = SQL("""
    select o.message_id, o.case_id, o.to_address, o.subject, o.body, o.at, o.sealed_address, o.sealed_in
    from views.outbox o left join views.deliveries d using (message_id)
    where d.state is null or (d.state in ('handing_over', 'later') and d.not_before <= %s)
    order by o.log_position, o.message_id limit 1 for update of o skip locked""")
# looked at again under the row's lock: someone may have finished since it was chosen
BEGIN_ATTEMPT = SQL("""
    insert into views.deliveries as d values (%(id)s, 'handing_over', 1, %(at)s, %(at)s, %(at)s, false, '')
    on conflict (message_id) do update set state = 'handing_over', attempts = d.attempts + 1, last_at = %(at)s,
        not_before = %(at)s, possible_duplicate = d.possible_duplicate or d.state = 'handing_over'
    where d.state in ('handing_over', 'later') and d.not_before <= %(at)s
    returning attempts, first_at, possible_duplicate""")
END_ATTEMPT = SQL("""
    update views.deliveries set state = %(state)s, code = %(code)s, not_before = %(not_before)s,
        possible_duplicate = possible_duplicate or %(unsure)s where message_id = %(id)s""")

log = logging.getLogger("imprimatur.mail")


class Waiting(NamedTuple):
    """A message in the outbox that is due."""

    message_id: str
    case_id: str
    to_address: str
    subject: str
    body: str
    at: datetime
    sealed_address: dict[str, Any] | None = None
    sealed_in: str = ""


class Patience(NamedTuple):
    """How long to wait after an attempt that came to nothing, and when to give a message up."""

    first: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)
    altogether: timedelta = timedelta(days=5)

    def after(self, attempts: int) -> timedelta:
        doubled: int = 2 ** min(attempts - 1, 20)
        return min(self.first * doubled, self.longest)


class ServerAway(Exception):
    """No message would be taken now."""


class Mailer:
    """Without a mail server each message is kept once, as a file in `folder`."""

    def __init__(
        self,
        url: str,
        folder: Path,
        server: MailServer | None,
        clock: Clock,
        patience: Patience | None = None,
        addresses: Addresses | None = None,
    ) -> None:
        self._url, self._folder, self._server, self._clock = url, folder, server, clock
        self._patience, self._addresses = patience or Patience(), addresses

    def run(self, stop: Event, poll: float = POLL) -> None:
        back_off = FIRST_BACK_OFF
        while not stop.is_set():
            try:
                with connected(self._url) as holding, connected(self._url) as marking:
                    set_up(marking)
                    while not stop.is_set():
                        if not self.send_one(holding, marking):
                            stop.wait(poll)
                        back_off = FIRST_BACK_OFF
            except ServerAway as away:
                log.warning("the mail server takes nothing now (%s)", away)
            except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.UndefinedTable) as error:
                log.info("no outbox to be read now (%s)", type(error).__name__)
            except Exception as error:  # the projections go on, and this is tried again
                log.error("the mailer failed: %s", type(error).__name__)
            stop.wait(back_off)
            back_off = min(2 * back_off, LONGEST_BACK_OFF)

    def send_one(self, holding: Connection[DictRow], marking: Connection[DictRow]) -> bool:
        """Whether one was due. `holding` keeps the row's lock from before the mark until after it."""
        with holding.transaction(), holding.cursor(row_factory=class_row(Waiting)) as cursor:
            message = cursor.execute(TAKE_ONE, (self._clock.now(),)).fetchone()
            if message is not None:
                self._attempt(message, marking)
        return message is not None

    def _attempt(self, message: Waiting, marking: Connection[DictRow]) -> None:
        begun = marking.execute(BEGIN_ATTEMPT, {"id": message.message_id, "at": self._clock.now()}).fetchone()
        if begun is None:
            return
        try:
            state = self._hand_over(message, begun["possible_duplicate"])
        except Never as never:
            log.warning("%s of %s is undeliverable: %s", message.message_id, message.case_id, never.code)
            self._end(marking, message, "undeliverable", never.code)
        except Later as later:
            log.info("%s of %s is not taken yet: %s", message.message_id, message.case_id, later.code)
            self._later(marking, message, later, begun["attempts"], begun["first_at"])
        else:
            self._end(marking, message, state, "")

    def _hand_over(self, message: Waiting, possible_duplicate: bool) -> str:
        sender, to = self._server.sender if self._server else DEFAULT_SENDER, self._address_of(message)
        with what_cannot_be_written_is_undeliverable():
            letter = written(
                message.message_id, sender, to, message.subject, message.body, message.at,
                message.case_id, possible_duplicate,
            )  # fmt: skip
            text = letter.as_string()
        if self._server:
            asyncio.run(self._server.hand_over(letter, to))
            return "sent"
        self._keep(message.message_id, text)
        return "kept"

    def _address_of(self, message: Waiting) -> str:
        """A patron's is opened only to hand the letter to a mail server: what is merely kept names nobody."""
        if message.sealed_address is None:
            return message.to_address
        if self._server is None:
            return NOWHERE
        if self._addresses is None:
            raise Later("no keys here", whole_server=True)
        return self._addresses.of(message.case_id, message.sealed_address, message.sealed_in)

    def _keep(self, message_id: str, text: str) -> None:
        file = self._folder / f"{message_id.strip('<>').partition('@')[0]}.eml"
        if not file.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, text, mode=0o600)

    def _later(
        self, marking: Connection[DictRow], message: Waiting, later: Later, attempts: int, first_at: datetime
    ) -> None:
        now = self._clock.now()
        if now - first_at > self._patience.altogether:
            self._end(marking, message, "undeliverable", later.code, unsure=later.unsure)
            return
        pause = timedelta() if later.whole_server else self._patience.after(attempts)
        self._end(marking, message, "later", later.code, now + pause, later.unsure)
        if later.whole_server:
            raise ServerAway(later.code)

    def _end(
        self,
        marking: Connection[DictRow],
        message: Waiting,
        state: str,
        code: str,
        not_before: datetime | None = None,
        unsure: bool = False,
    ) -> None:
        when = not_before or self._clock.now()
        told = {"id": message.message_id, "state": state, "code": code, "not_before": when, "unsure": unsure}
        marking.execute(END_ATTEMPT, told)


@contextmanager
def what_cannot_be_written_is_undeliverable() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        raise Never(type(error).__name__) from None


def connected(url: str) -> Connection[DictRow]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=2)


def set_up(conn: Connection[DictRow]) -> None:
    with conn.transaction():
        conn.execute(SQL("select pg_advisory_xact_lock(hashtextextended(%s, 0))"), (SET_UP_LOCK,))
        conn.execute(DELIVERIES)


def run_mailer(settings: Settings, stop: Event) -> None:
    """Until told to stop. An address of a mail server that cannot be read is said at once, before anything is sent."""
    server = MailServer.at(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
    clock, folder = SystemClock(), settings.data / "mail"
    if server is None:
        Mailer(settings.projector_url, folder, None, clock).run(stop)
        return
    ledger = Ledger(settings.recorder_url, clock, pool_size=1)
    keys = KeyStore(settings.keeper_url, key_encryption_key(settings))
    try:
        addresses = SealedAddresses(ledger, Seal(keys))
        Mailer(settings.projector_url, folder, server, clock, addresses=addresses).run(stop)
    finally:
        ledger.close()
        keys.close()
