"""The mail server: one message handed over, and what came of it said in three ways: taken, later, never."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as FOR_SMTP
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

DEFAULT_SENDER = "imprimatur@localhost"
PORTS = {"smtp": 25, "smtps": 465}
FOR_GOOD = 500
SERVICE_NOT_AVAILABLE = 421
PATIENCE = 30.0
ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+")
POLICY = FOR_SMTP.clone(cte_type="7bit")


class Later(Exception):
    """Not taken now. `whole_server`: no other message would be. `unsure`: it may have been taken all the same."""

    def __init__(self, code: str, whole_server: bool = False, unsure: bool = False) -> None:
        self.code, self.whole_server, self.unsure = code, whole_server, unsure
        super().__init__(code)


class Never(Exception):
    """This message will not be taken, however often it is offered."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True)
class MailServer:
    """From an address such as smtp://user:password@host:587?from=imprimatur@library.example or smtps://host.

    `smtp` asks for STARTTLS where the server offers it, and insists on it before it tells a password; `smtps` speaks
    TLS from the first byte.
    """

    host: str
    port: int
    tls_at_once: bool
    user: str | None
    password: str | None
    sender: str = DEFAULT_SENDER
    tls: ssl.SSLContext | None = None

    @classmethod
    def at(cls, url: str, tls: ssl.SSLContext | None = None) -> MailServer:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("the mail server's address is not of the form smtp://host or smtps://host")
        return cls(
            host=parts.hostname,
            port=parts.port or PORTS[parts.scheme],
            tls_at_once=parts.scheme == "smtps",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            sender=parse_qs(parts.query).get("from", [DEFAULT_SENDER])[0],
            tls=tls,
        )

    async def hand_over(self, message: EmailMessage, to: str) -> None:
        """Returns once the server has taken the message; raises Later or Never."""
        insist_on_tls = True if self.user and not self.tls_at_once else None
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls_at_once,
            start_tls=False if self.tls_at_once else insist_on_tls,
            username=self.user,
            password=self.password,
            tls_context=self.tls,
            timeout=PATIENCE,
        )
        try:
            await client.connect()
        except (SMTPException, OSError, ValueError) as error:
            raise Later(code_of(error), whole_server=True) from error
        try:
            with said_in_three_ways():
                await client.send_message(message, sender=self.sender, recipients=[to])
            # it is taken; a goodbye that fails changes nothing
            with suppress(SMTPException, OSError):
                await client.quit()
        finally:
            client.close()


@contextmanager
def said_in_three_ways() -> Iterator[None]:
    try:
        yield
    except SMTPSenderRefused as error:  # our own address is not welcome: a matter of settings, not of this message
        raise Later(str(error.code), whole_server=True) from error
    except SMTPRecipientsRefused as error:
        raise later_or_never(error.recipients[0].code) from error
    except SMTPResponseException as error:
        raise later_or_never(error.code) from error
    except SMTPNotSupported as error:
        raise Never(code_of(error)) from error
    except (SMTPException, OSError) as error:
        raise Later(code_of(error), whole_server=True, unsure=True) from error


def later_or_never(code: int) -> Later | Never:
    return Never(str(code)) if code >= FOR_GOOD else Later(str(code), whole_server=code == SERVICE_NOT_AVAILABLE)


def code_of(error: Exception) -> str:
    """The server's number, or the kind of failure. Never its words: they may quote an address."""
    return str(error.code) if isinstance(error, SMTPResponseException) else type(error).__name__


def written(
    message_id: str,
    sender: str,
    to: str,
    subject: str,
    body: str,
    at: datetime,
    case: str,
    possible_duplicate: bool,
) -> EmailMessage:
    """The message as it goes out; Never where what the directory holds is no address."""
    if not ADDRESS.fullmatch(to):
        raise Never("no address")
    message = EmailMessage(POLICY)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = at, message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Imprimatur-Case"] = case
    if possible_duplicate:
        message["X-Imprimatur-Possible-Duplicate"] = "yes"
    message.set_content(body, cte="quoted-printable")
    return message
