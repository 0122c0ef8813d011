"""Checkpoints beyond the folder: mailed to the auditor, and stamped by a time stamp authority (RFC 3161).

What went out is on record, so that a restart sends nothing again; what did not go is tried again, and neither keeps the
next checkpoint from being signed for longer than one attempt.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
from psycopg import Connection
from psycopg.sql import SQL
from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder, decode_timestamp_response

from services.audit.package_verifier import Checkpoint
from services.audit.published import Published
from services.audit.time_stamps import Authority, NotTheirs, authority_of
from services.clock import Clock, SystemClock
from services.mail.smtp import DEFAULT_SENDER, Later, MailServer, Never, written
from services.settings import Settings, write_whole

PATIENCE_SECONDS = 20.0
AGAIN_SECONDS = 60.0
LAST = SQL("select size, extract(epoch from clock_timestamp() - at)::float8 from proofs.sent where way = %s"
           " order by size desc limit 1")  # fmt: skip
SENT = SQL("insert into proofs.sent (way, size, receipt) values (%s, %s, %s) on conflict (way, size) do nothing")

log = logging.getLogger("imprimatur.notary")


class Sender(Protocol):
    def send(self, conn: Connection[Any], checkpoint: Checkpoint | None, note: bytes) -> None: ...


class NotSent(Exception):
    """Nothing went out; it will be tried again."""


class Sending(ABC):
    """One way out: not more often than it is wanted, and not again what went already."""

    way = ""

    def __init__(self, every: timedelta) -> None:
        self._every, self._not_before = every, 0.0

    def send(self, conn: Connection[Any], checkpoint: Checkpoint | None, note: bytes) -> None:
        if checkpoint is None or time.monotonic() < self._not_before:
            return
        last = conn.execute(LAST, (self.way,)).fetchone()
        if last and (last[0] >= checkpoint.size or last[1] < self._every.total_seconds()):
            return
        try:
            receipt = self._go(checkpoint, note)
        except NotSent as failed:
            log.warning("the checkpoint of %d events went by no %s: %s", checkpoint.size, self.way, failed)
            self._not_before = time.monotonic() + AGAIN_SECONDS
            return
        conn.execute(SENT, (self.way, checkpoint.size, receipt))

    @abstractmethod
    def _go(self, checkpoint: Checkpoint, note: bytes) -> bytes | None:
        """On its way when this returns: what was received for it, if anything. NotSent where it did not go."""


class ByMail(Sending):
    way = "mail"

    def __init__(self, to: str, server: MailServer | None, folder: Path, every: timedelta, clock: Clock) -> None:
        super().__init__(every)
        self._to, self._server, self._folder, self._clock = to, server, folder, clock

    def _go(self, checkpoint: Checkpoint, note: bytes) -> None:
        letter = written(
            message_id=f"<checkpoint-{checkpoint.size}-{checkpoint.root.hex()[:16]}@imprimatur>",
            sender=self._server.sender if self._server else DEFAULT_SENDER,
            to=self._to,
            subject=f"Checkpoint of {checkpoint.size} events",
            body=in_words(checkpoint),
            at=self._clock.now(),
            case="",
            possible_duplicate=False,
        )
        letter.add_attachment(
            note, maintype="application", subtype="octet-stream", filename=f"checkpoint-{checkpoint.size}"
        )
        if self._server is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._folder / f"checkpoint-{checkpoint.size}.eml", letter.as_string(), mode=0o600)
            return
        try:
            asyncio.run(self._server.hand_over(letter, self._to))
        except (Later, Never) as failed:
            raise NotSent(failed.code) from None


def in_words(checkpoint: Checkpoint) -> str:
    return (
        f"The log {checkpoint.origin} holds {checkpoint.size} events; the root over them is\n"
        f"{checkpoint.root.hex()}\n\n"
        "The signed checkpoint is attached. Keep it: whatever is later said of these events can be held to it,\n"
        "with `imprimatur audit verify --checkpoint FILE`, and with any program that reads signed notes.\n"
    )


class Stamped(Sending):
    """The answer binds the checkpoint's exact bytes to the authority's time; it is kept whole, beside the tiles. What
    is not signed by the authority is not kept."""

    way = "timestamp"

    def __init__(self, url: str, authority: Authority, published: Published, every: timedelta) -> None:
        super().__init__(every)
        self._url, self._authority, self._published = url, authority, published

    def _go(self, checkpoint: Checkpoint, note: bytes) -> bytes:
        request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA512).build()
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            answer = httpx.post(self._url, content=request.as_bytes(), headers=headers, timeout=PATIENCE_SECONDS)
            answer.raise_for_status()
            response = decode_timestamp_response(answer.content)
            status = PKIStatus(response.status)
        except (httpx.HTTPError, ValueError) as error:
            raise NotSent(type(error).__name__) from None
        if status not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            raise NotSent(f"the authority answered: {status.name.lower()}")
        if response.tst_info.message_imprint.message != request.message_imprint.message:
            raise NotSent("the authority stamped something else")
        if response.tst_info.nonce != request.nonce:
            raise NotSent("the authority's answer is to another question")
        try:
            self._authority.must_have_stamped(response, note)
        except NotTheirs as why:
            raise NotSent(f"the answer is not by the authority of IMPRIMATUR_TSA_CERTIFICATE: {why}") from None
        self._published.put_stamp(checkpoint.size, answer.content)
        return answer.content


def senders_of(settings: Settings) -> tuple[Sender, ...]:
    found: list[Sender] = []
    if settings.auditor_address:
        server = MailServer.at(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
        every = timedelta(hours=settings.auditor_mail_hours)
        found.append(ByMail(settings.auditor_address, server, settings.data / "mail", every, SystemClock()))
    if settings.tsa_url and (authority := authority_of(settings)):
        published, every = Published(settings.published_folder), timedelta(hours=settings.tsa_hours)
        found.append(Stamped(settings.tsa_url, authority, published, every))
    return tuple(found)
