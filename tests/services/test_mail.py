"""Mail on a real SMTP server: handed over at least once, always under one Message-ID, never again after a rebuild."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes, message_from_string
from email.message import EmailMessage
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from domain.account_creation_messages import RequestAccount
from projections.notices import Notices, message_id
from services.embedded_process import free_port
from services.mail.outbox import Mailer, Patience, Waiting, connected, set_up
from services.mail.smtp import Later, MailServer, Never, written
from services.projector import Positions, Projector, reset
from tests.projections.history import Life, a_life, newest_position, rows
from tests.system import MONDAY, Database, SetClock, sealed

ED = "executive.director@example.org"
HOUR = timedelta(hours=1)


class PostOffice:
    """Takes mail, or answers what the test tells it to, once for each answer."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.answers: list[str] = []
        self.refuses_recipient = ""

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses_recipient:
            return self.refuses_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers and (answer := self.answers.pop(0)) != "lost":
            return answer
        message = message_from_bytes(content_of(envelope), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        self.to.append(envelope.rcpt_tos)
        return "250 OK"


def content_of(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


@contextmanager
def open_to_the_public(office: PostOffice, **more: Any) -> Iterator[int]:
    """A real SMTP server; its port."""
    controller = Controller(office, hostname="127.0.0.1", port=free_port(None), **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.fixture
def post(office: PostOffice) -> Iterator[MailServer]:
    with open_to_the_public(office) as port:
        yield MailServer.at(f"smtp://127.0.0.1:{port}?from=imprimatur@library.example")


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def url(database: Database) -> str:
    return database.url("projector")


@pytest.fixture
def case(url: str, life: Life) -> str:
    """A case that has just asked the Executive Director; nothing of earlier tests waits in the outbox."""
    with connected(url) as conn:
        set_up(conn)
        conn.execute("truncate views.deliveries")
    case = life.asks_for(f"mail.{len(rows_or_none(url)) + 1}.xx")
    with Projector(url, [Notices], poll=0.1):
        positions = Positions(url)
        assert positions.wait_for(newest_position(url), ["notices"], timeout=10)
        positions.close()
    with connected(url) as conn:
        conn.execute(
            "insert into views.deliveries select message_id, 'sent', 1, at, at, at, false, '' from views.outbox "
            "where case_id <> %s",
            (case,),
        )
    return case


def rows_or_none(url: str) -> list[dict[str, Any]]:
    with connected(url) as conn:
        return conn.execute("select 1 from ledger.events where topic like '%Requested'").fetchall()


def mailer(url: str, folder: Path, server: MailServer | None, clock: SetClock | None = None) -> Mailer:
    return Mailer(url, folder, server, clock or SetClock(), Patience(first=timedelta(minutes=1)))


def go_round(mailer: Mailer, url: str) -> None:
    """Everything that is due, once."""
    with connected(url) as holding, connected(url) as marking:
        while mailer.send_one(holding, marking):
            pass


def delivery(url: str, case: str) -> dict[str, Any]:
    with connected(url) as conn:
        found = conn.execute(
            "select d.* from views.deliveries d join views.outbox using (message_id) where case_id = %s", (case,)
        ).fetchall()
    assert len(found) == 1
    return found[0]


def test_who_is_asked_is_told_once(url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path) -> None:
    for _ in range(3):
        go_round(mailer(url, tmp_path, post), url)

    (message,) = office.taken
    assert office.to == [[ED]]
    assert message["To"] == ED
    assert message["From"] == "imprimatur@library.example"
    assert message["Subject"].startswith("Please decide on the account request: mail.")
    assert message["X-Imprimatur-Possible-Duplicate"] is None
    body = message.get_content()
    assert f"Case: {case}" in body
    assert "Due: Monday 16 March 2026" in body
    assert delivery(url, case)["state"] == "sent"


def test_nothing_sealed_and_no_private_word_is_in_a_message(url: str, case: str) -> None:
    (row,) = (row for row in rows(url, "outbox") if row["case_id"] == case)
    text = " ".join(map(str, row.values()))
    assert sealed().ciphertext not in text
    assert not any(name in text for name in RequestAccount.secret_texts)


def test_a_451_is_tried_again_later_under_the_same_message_id(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    office.answers = ["451 come back later"]
    clock = SetClock()
    once = mailer(url, tmp_path, post, clock)
    go_round(once, url)
    assert (delivery(url, case)["state"], delivery(url, case)["code"]) == ("later", "451")
    go_round(once, url)
    assert office.taken == [], "it was offered again without waiting"

    clock.passes(minutes=1)
    go_round(once, url)
    (message,) = office.taken
    assert message["Message-ID"] == delivery(url, case)["message_id"]
    assert message["X-Imprimatur-Possible-Duplicate"] is None, "a 451 is a certain no"
    assert (delivery(url, case)["state"], delivery(url, case)["attempts"]) == ("sent", 2)


def test_the_pauses_grow_and_have_an_end(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    office.answers = ["451 no"] * 1000
    clock = SetClock()
    begun, pauses = clock.now(), []
    sender = mailer(url, tmp_path, post, clock)
    while True:
        go_round(sender, url)
        marked = delivery(url, case)
        if marked["state"] == "undeliverable":
            break
        pauses.append((marked["not_before"] - clock.now()) / timedelta(minutes=1))
        clock.at = marked["not_before"]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(days=5) < clock.now() - begun <= timedelta(days=5) + HOUR


def test_a_crash_between_hand_over_and_mark_sends_again_and_says_so(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Mailer, "_end", killed)
        with pytest.raises(Killed):
            go_round(mailer(url, tmp_path, post), url)
    assert delivery(url, case)["state"] == "handing_over"

    go_round(mailer(url, tmp_path, post), url)
    first, second = office.taken
    assert first["Message-ID"] == second["Message-ID"]
    assert first["X-Imprimatur-Possible-Duplicate"] is None
    assert second["X-Imprimatur-Possible-Duplicate"] == "yes"
    assert delivery(url, case)["state"] == "sent"


def test_an_answer_that_is_lost_makes_the_next_one_a_possible_duplicate(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = MailServer.hand_over

    async def taken_but_not_heard(self: MailServer, message: EmailMessage, to: str) -> None:
        await hand_over(self, message, to)
        raise Later("SMTPServerDisconnected", whole_server=False, unsure=True)

    clock = SetClock()
    with monkeypatch.context() as patched:
        patched.setattr(MailServer, "hand_over", taken_but_not_heard)
        go_round(mailer(url, tmp_path, post, clock), url)
    clock.passes(minutes=1)
    office.answers = ["451 not now"]
    go_round(mailer(url, tmp_path, post, clock), url)
    clock.passes(minutes=2)
    go_round(mailer(url, tmp_path, post, clock), url)
    assert [each["X-Imprimatur-Possible-Duplicate"] for each in office.taken] == [None, "yes"]


def test_a_connection_that_breaks_while_the_message_is_told_leaves_it_unsure(tmp_path: Path) -> None:
    class Breaks(PostOffice):
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            assert server.transport is not None
            server.transport.close()
            return "250 nobody hears this"

    with open_to_the_public(Breaks()) as port, pytest.raises(Later) as later:
        asyncio.run(MailServer.at(f"smtp://127.0.0.1:{port}").hand_over(a_letter(), ED))
    assert later.value.unsure


def a_letter(to: str = ED, subject: str = "Please") -> EmailMessage:
    return written("<1@imprimatur.invalid>", "i@library.example", to, subject, "Text", MONDAY, "case", False)


@pytest.mark.parametrize("where", ["recipient", "content"])
def test_what_is_refused_for_good_is_given_up_at_once(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path, where: str
) -> None:
    if where == "recipient":
        office.refuses_recipient = "550 nobody of that name"
    else:
        office.answers = ["554 not that"]
    clock = SetClock()
    go_round(mailer(url, tmp_path, post, clock), url)
    marked = delivery(url, case)
    assert (marked["state"], marked["code"]) == ("undeliverable", "550" if where == "recipient" else "554")
    office.refuses_recipient = ""
    clock.passes(days=1)
    go_round(mailer(url, tmp_path, post, clock), url)
    assert office.taken == []


def test_without_a_mail_server_a_message_is_kept_once(url: str, case: str, tmp_path: Path) -> None:
    for _ in range(2):
        go_round(mailer(url, tmp_path / "mail", None), url)
    (file,) = (tmp_path / "mail").iterdir()
    message = message_from_string(file.read_text(), policy=email.policy.default)
    assert file.stat().st_mode & 0o777 == 0o600
    assert message["Message-ID"] == delivery(url, case)["message_id"] == f"<{file.stem}@imprimatur.invalid>"
    assert message["To"] == ED
    assert delivery(url, case)["state"] == "kept"


def test_a_rebuilt_outbox_sends_nothing_again(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    go_round(mailer(url, tmp_path, post), url)
    before = rows(url, "outbox")
    reset(url, Notices)
    with Projector(url, [Notices], poll=0.1):
        positions = Positions(url)
        assert positions.wait_for(newest_position(url), ["notices"], timeout=10)
        positions.close()
    assert rows(url, "outbox") == before
    go_round(mailer(url, tmp_path, post), url)
    assert len(office.taken) == 1


def test_two_mailers_send_each_message_once(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    with connected(url) as conn:
        conn.execute("delete from views.deliveries where message_id in (select message_id from views.outbox limit 10)")
    rounds = [Thread(target=go_round, args=(mailer(url, tmp_path, post), url)) for _ in range(3)]
    for each in rounds:
        each.start()
    for each in rounds:
        each.join()
    ids = [message["Message-ID"] for message in office.taken]
    assert len(ids) == len(set(ids))
    assert {row["message_id"] for row in rows(url, "deliveries")} == {row["message_id"] for row in rows(url, "outbox")}
    assert not any(message["X-Imprimatur-Possible-Duplicate"] for message in office.taken)


def test_a_message_that_was_finished_since_it_was_chosen_is_left_alone(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    (row,) = (row for row in rows(url, "outbox") if row["case_id"] == case)
    chosen = Waiting(**{name: row[name] for name in Waiting._fields})
    go_round(mailer(url, tmp_path, post), url)
    with connected(url) as marking:
        mailer(url, tmp_path, post)._attempt(chosen, marking)
    assert len(office.taken) == 1
    assert delivery(url, case)["attempts"] == 1


def test_the_mailer_goes_on_when_the_mail_server_comes_back(
    url: str, case: str, post: MailServer, office: PostOffice, tmp_path: Path
) -> None:
    nobody_there = MailServer(post.host, 1, False, None, None)
    stop = Event()
    running = Mailer(url, tmp_path, nobody_there, SetClock())
    thread = Thread(target=running.run, args=(stop, 0.05))
    thread.start()
    try:
        while not any(row["state"] == "later" for row in rows(url, "deliveries")):
            assert thread.is_alive()
        running._server = post
        while not office.taken:
            assert thread.is_alive()
    finally:
        stop.set()
        thread.join(5)
    assert office.taken[0]["X-Imprimatur-Possible-Duplicate"] is None, "nobody had answered: a certain no"


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@b, c@d", "A <a@b>", "a@b\r\nBcc: c@d", "a b@c"]
)  # fmt: skip
def test_what_is_no_address_is_undeliverable(to: str) -> None:
    with pytest.raises(Never):
        a_letter(to)


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\u2028", "\x85", "\x0b"])
def test_a_subject_never_becomes_another_header(separator: str) -> None:
    try:
        text = a_letter(subject=f"Please{separator}Bcc: someone@example.org").as_string()
    except ValueError:
        return
    assert message_from_string(text, policy=email.policy.default)["Bcc"] is None


def test_each_addressee_of_each_event_has_one_message_id() -> None:
    ids = {message_id(event, person) for event in ("a", "b") for person in ("p", "q")}
    assert len(ids) == 4
    assert message_id("a", "p") == message_id("a", "p")


@pytest.mark.parametrize(
    ("address", "port", "at_once", "user"),
    [
        ("smtp://mail.example", 25, False, None),
        ("smtp://u%40x:p%2Fw@mail.example:587", 587, False, "u@x"),
        ("smtps://u:p@mail.example", 465, True, "u"),
    ],
)
def test_the_address_of_the_mail_server(address: str, port: int, at_once: bool, user: str | None) -> None:
    server = MailServer.at(address)
    assert (server.host, server.port, server.tls_at_once, server.user) == ("mail.example", port, at_once, user)


@pytest.mark.parametrize("address", ["mail.example", "http://mail.example", "smtp://"])
def test_an_address_of_no_mail_server_is_said_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="smtp://host"):
        MailServer.at(address)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it has TLS from the first byte
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_is_told_under_tls(scheme: str, office: PostOffice, certificate: Path) -> None:
    told: list[bytes] = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        assert session.ssl is not None or scheme == "smtps"
        told.append(data.password)
        return AuthResult(success=True)

    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate)
    given: dict[str, Any] = {"ssl_context": theirs} if scheme == "smtps" else {"tls_context": theirs}
    told_under_tls = {"auth_require_tls": scheme == "smtp", "auth_required": True, "authenticator": check}
    with open_to_the_public(office, **told_under_tls, **given) as port:
        address = f"{scheme}://user:pass%20word@127.0.0.1:{port}"
        server = MailServer.at(address, tls=ssl.create_default_context(cafile=certificate))
        asyncio.run(server.hand_over(a_letter(), ED))
    assert told == [b"pass word"]
    assert len(office.taken) == 1


def test_a_password_is_not_told_to_a_server_without_tls(post: MailServer, office: PostOffice) -> None:
    with pytest.raises(Later) as later:
        asyncio.run(MailServer(post.host, post.port, False, "user", "word").hand_over(a_letter(), ED))
    assert later.value.whole_server
    assert office.taken == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, signed by itself."""
    from datetime import UTC, datetime
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file
