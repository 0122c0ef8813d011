"""Checkpoints leave the house: by mail to the auditor, and to a time stamp authority, each once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from rfc3161_client import decode_timestamp_response

from services.audit.keys import SigningKey
from services.audit.package_verifier import Checkpoint
from services.audit.published import Published
from services.audit.sending import ByMail, Sending, Stamped
from services.audit.time_stamps import Authority, there_are_stamps, wrong_stamps
from services.database import migrate
from services.mail.smtp import MailServer
from services.settings import SettingsError
from tests.conftest import PASSWORDS
from tests.services.test_mail import PostOffice, open_to_the_public
from tests.system import Database, SetClock

KEY = SigningKey.fresh()
AUDITOR = "auditor@library.example"
CONFIGURATION = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""
EXTENSIONS = "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"


def a_checkpoint(size: int) -> tuple[Checkpoint, bytes]:
    found = Checkpoint(KEY.public.name, size, bytes([size]) * 32)
    return found, KEY.sign(found.text)


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    migrate(database.superuser, PASSWORDS)
    with psycopg.connect(database.superuser, autocommit=True) as owner:
        owner.execute("alter table proofs.sent disable trigger all")
        owner.execute("delete from proofs.sent")
        owner.execute("alter table proofs.sent enable always trigger append_only_rows")
    with psycopg.connect(database.url("notary"), autocommit=True) as found:
        yield found


def sent(conn: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return conn.execute("select way, size from proofs.sent order by size").fetchall()


# mail


@pytest.fixture
def letters() -> Iterator[tuple[PostOffice, MailServer]]:
    office = PostOffice()
    with open_to_the_public(office) as port:
        yield office, MailServer.at(f"smtp://127.0.0.1:{port}")


def by_mail(server: MailServer | None, folder: Path, hours: float = 0) -> ByMail:
    return ByMail(AUDITOR, server, folder, timedelta(hours=hours), SetClock())


def test_the_auditor_gets_each_checkpoint_once_byte_for_byte(
    conn: psycopg.Connection[tuple[object, ...]], letters: tuple[PostOffice, MailServer], tmp_path: Path
) -> None:
    box, server = letters
    checkpoint, note = a_checkpoint(7)
    by_mail(server, tmp_path).send(conn, checkpoint, note)
    # a notary that was started again
    by_mail(server, tmp_path).send(conn, checkpoint, note)
    (letter,) = box.taken
    assert letter["To"] == AUDITOR
    attached = [part.get_payload(decode=True) for part in letter.walk() if part.get_filename()]
    assert attached == [note]
    text = letter.get_body(("plain",))
    assert text is not None
    assert checkpoint.root.hex() in text.get_content()
    assert sent(conn) == [("mail", 7)]


def test_not_more_often_than_is_wanted(
    conn: psycopg.Connection[tuple[object, ...]], letters: tuple[PostOffice, MailServer], tmp_path: Path
) -> None:
    box, server = letters
    for size in (1, 2, 3):
        by_mail(server, tmp_path, hours=24).send(conn, *a_checkpoint(size))
    assert len(box.taken) == 1


def test_without_a_mail_server_it_is_kept_as_a_file(
    conn: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    by_mail(None, tmp_path).send(conn, *a_checkpoint(9))
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint-9.eml"]


def test_a_mail_server_that_is_away_is_tried_again_later_and_nothing_stops(
    conn: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    away = MailServer.at("smtp://127.0.0.1:1")
    sending = by_mail(away, tmp_path)
    sending.send(conn, *a_checkpoint(5))
    assert sent(conn) == []
    assert sending._not_before > 0


# time stamps


@contextmanager
def an_authority(folder: Path, digests: str = "sha256, sha512") -> Iterator[tuple[str, Path]]:
    """`openssl ts` behind HTTP; its root certificate."""
    folder.mkdir(exist_ok=True)
    (folder / "extensions").write_text(EXTENSIONS)
    (folder / "serial").write_text("01\n")
    (folder / "configuration").write_text(CONFIGURATION.format(folder=folder).replace("sha256, sha512", digests))
    for argv in (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=root",
        "openssl req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=authority",
        "openssl x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 30"
        " -extfile extensions",
    ):
        subprocess.run(argv.split(), cwd=folder, check=True, capture_output=True)

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query").write_bytes(query)
            argv = [
                "openssl",
                "ts",
                "-reply",
                "-config",
                str(folder / "configuration"),
                "-queryfile",
                str(folder / "query"),
            ]
            answer = subprocess.run(argv, check=True, capture_output=True).stdout
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Authority)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", folder / "ca.pem"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to be the authority")


@needs_openssl
def test_an_authority_stamps_the_checkpoint_and_its_answer_is_published(
    conn: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    published = Published(tmp_path / "published")
    checkpoint, note = a_checkpoint(11)
    with an_authority(tmp_path) as (url, root):
        authority = Authority.of_file(root)
        Stamped(url, authority, published, timedelta()).send(conn, checkpoint, note)
        Stamped(url, authority, published, timedelta()).send(conn, checkpoint, note)
    assert sent(conn) == [("timestamp", 11)]
    answer = (published.folder / "timestamps" / f"{11:012}.tsr").read_bytes()
    stamp = decode_timestamp_response(answer)
    assert abs(stamp.tst_info.gen_time - datetime.now(UTC)) < timedelta(minutes=5)
    published.put_checkpoint(11, note)
    assert there_are_stamps(published)
    assert list(wrong_stamps(published, authority)) == list(wrong_stamps(published, None)) == []
    published.put_checkpoint(11, a_checkpoint(12)[1])
    (finding,) = wrong_stamps(published, authority)
    assert "is not on the checkpoint" in finding.what
    # as an auditor would, with openssl alone
    (tmp_path / "note").write_bytes(note)
    (tmp_path / "answer").write_bytes(answer)
    argv = ["openssl", "ts", "-verify", "-data", "note", "-in", "answer", "-CAfile", "ca.pem", "-untrusted", "tsa.pem"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_openssl
def test_a_stamp_that_somebody_else_made_is_not_kept_and_one_that_is_put_there_is_named(
    conn: psycopg.Connection[tuple[object, ...]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published(tmp_path / "published")
    checkpoint, note = a_checkpoint(13)
    with an_authority(tmp_path / "ours") as (_, root), an_authority(tmp_path / "theirs") as (url, other):
        authority = Authority.of_file(root)
        Stamped(url, authority, published, timedelta()).send(conn, checkpoint, note)
        assert sent(conn) == []
        assert not there_are_stamps(published)
        assert "not by the authority of IMPRIMATUR_TSA_CERTIFICATE" in caplog.text
        Stamped(url, Authority.of_file(other), published, timedelta()).send(conn, checkpoint, note)
    published.put_checkpoint(13, note)
    (finding,) = wrong_stamps(published, authority)
    assert finding.where.endswith(f"timestamps/{13:012}.tsr")
    assert finding.what.startswith("the time stamp is not by the authority of IMPRIMATUR_TSA_CERTIFICATE: ")
    # nobody said whose stamps count: nothing is claimed
    assert list(wrong_stamps(published, None)) == []


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for file in (tmp_path / "empty.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match=f"tsa_certificate: {file}.*would pass"):
            Authority.of_file(file)


@needs_openssl
def test_an_authority_that_refuses_leaves_nothing_and_is_asked_again_later(
    conn: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    published = Published(tmp_path / "published")
    with an_authority(tmp_path, digests="sha256") as (url, root):
        sending: Sending = Stamped(url, Authority.of_file(root), published, timedelta())
        sending.send(conn, *a_checkpoint(12))
    assert sent(conn) == []
    assert not published.folder.exists()
    assert sending._not_before > 0
