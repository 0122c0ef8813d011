"""What an auditor takes away verifies with a public key alone, and any byte of it that is another is found."""

from __future__ import annotations

import ast
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from domain.account_creation_messages import CompleteTask
from domain.facts import Malformed
from services.audit import package_verifier
from services.audit.keys import SigningKey
from services.audit.package import Asked, NotAsSigned, write_package
from services.audit.package_verifier import (
    COSIGNATURE,
    Broken,
    Checkpoint,
    PublicKey,
    Report,
    check,
    event_file,
)
from services.audit.published import put
from services.audit.witness import Inconsistent, Unreadable, Witness, reader_at
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import Projector
from services.settings import Settings, secrets_folder
from services.views import Views
from tests.fresh import fresh_database
from tests.projections.history import LOGO_SOURCE, Life
from tests.services.proving import SignedLog
from tests.system import LOGO, TASKS, Office, SetClock

FLIPS_IN_A_FILE = 4
FLIPS_IN_A_TAR = 300
ONLY = {"cryptography"}


class Installed:
    """A data folder around a signed log, as `audit export` finds it."""

    def __init__(self, log: SignedLog, case: str, another: str, evidence: tuple[str, str]) -> None:
        """`evidence`: the name of a file that is kept, and of one that is lost."""
        self.log, self.case, self.another, self.evidence = log, case, another, evidence
        data = log.folder
        put(secrets_folder(data) / "log.key", f"{log.key.text}\n".encode())
        given = {f"IMPRIMATUR_{role.upper()}_URL": log.database.url(role) for role in ("reader", "notary")}
        self.settings = Settings.load(data=data, **given)

    @property
    def key(self) -> PublicKey:
        return self.log.key.public

    def package(self, out: Path, **asked: Any) -> Path:
        write_package(self.settings, Asked(**asked), out)
        return out

    def checked(self, package: Path, *witnesses: PublicKey) -> Report:
        return check(package, self.key, list(witnesses))


@pytest.fixture(scope="module")
def installed(server: EmbeddedPostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with fresh_database(server) as database:
        log = SignedLog(database, tmp_path_factory.mktemp("installed"), SigningKey.fresh(), [])
        office = Office(database).founded()
        log.sign()
        life = Life(office)
        case = life.asks_for("takenaway")
        life.approves(case)
        (one, content), (other, _) = (office.seal.file(each, "image/png", case) for each in (b"one", b"other"))
        put(log.folder / "evidence" / one.sha256[:2] / one.sha256, content)
        for task in TASKS:
            logo: dict[str, Any] = {"logo_source": LOGO_SOURCE, "logo_sha256": LOGO} if task == "logo" else {}
            done = CompleteTask(task=task, evidence=(one, other) if task == "branding" else (), **logo)
            assert life.says("p-mac", done, case).facts
        log.sign()
        another = life.asks_for("another")
        life.withdraws(another)
        log.sign()
        with Projector(database.url("projector"), poll=0.05):
            views = Views(database.url("reader"))
            assert views.wait_for(log.length(), 30)
            views.close()
        office.close()
        yield Installed(log, case, another, (one.sha256, other.sha256))


@pytest.fixture(scope="module")
def folder(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed.package(tmp_path_factory.mktemp("out") / "package", case=installed.another)


def test_a_case_is_in_order_and_all_of_it_is_there(installed: Installed, tmp_path: Path) -> None:
    report = installed.checked(installed.package(tmp_path / "package", case=installed.case))
    assert report.findings == []
    assert report.attested == []
    assert any(each.startswith("every event of the case is here") for each in report.proven)
    assert report.events > 10


def test_what_everybody_may_see_is_in_it_and_nothing_else(folder: Path) -> None:
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "MANIFEST", "README.txt", "chain", "checkpoint", "completeness", "events", "key.pub", "policies", "verify.py",
    }  # fmt: skip
    (policy,) = (folder / "policies").iterdir()
    assert hashlib.sha256(policy.read_bytes()).hexdigest() == policy.stem


def test_everything_is_proven_to_be_everything(installed: Installed, tmp_path: Path) -> None:
    report = installed.checked(installed.package(tmp_path / "package"))
    assert report.findings == []
    assert report.events == report.size == installed.log.length()
    assert f"every event up to the checkpoint is here: {report.size}" in report.proven


def test_a_period_is_proven_by_its_neighbours(installed: Installed, tmp_path: Path) -> None:
    times = [installed.log.event(each)["recorded_at"] for each in (48, 56)]
    package = installed.package(tmp_path / "package", since=times[0], until=times[1])
    report = installed.checked(package)
    assert report.findings == []
    first, end = 47, 55
    # what one decision recorded, it recorded at one moment
    while installed.log.event(first)["recorded_at"] >= times[0]:
        first -= 1
    while installed.log.event(end)["recorded_at"] >= times[1]:
        end -= 1
    assert any(each.endswith(f"entries {first} to {end - 1}") for each in report.proven), report.proven
    assert (package / event_file(first - 1, "header")).exists()
    assert not (package / event_file(first - 1, "json")).exists()


@pytest.mark.parametrize(("scope", "of"), [("person", "p-mac"), ("account", "account:facebook:takenaway")])
def test_of_a_person_or_an_account_it_is_said_what_is_only_attested(
    installed: Installed, tmp_path: Path, scope: str, of: str
) -> None:
    report = installed.checked(installed.package(tmp_path / "package", **{scope: of}))
    assert report.findings == []
    assert report.proven[-1] == "each event that is here is in the log"
    (attested,) = report.attested
    assert of in attested


def test_a_tar_file_says_the_same_as_a_folder(installed: Installed, folder: Path, tmp_path: Path) -> None:
    tar = installed.package(tmp_path / "package.tar", case=installed.another)
    mine, theirs = installed.checked(tar), installed.checked(folder)
    assert (mine.findings, mine.proven, mine.events) == ([], theirs.proven, theirs.events)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", str(tar), "-C", str(unpacked)], check=True)
    assert installed.checked(unpacked).findings == []


# any byte


def test_every_file_of_it_holds_the_check_to_its_bytes(installed: Installed, folder: Path, tmp_path: Path) -> None:
    copy, dice = tmp_path / "copy", random.Random(5)
    shutil.copytree(folder, copy)
    for file in [path for path in copy.rglob("*") if path.is_file()]:
        raw = file.read_bytes()
        places = {0, len(raw) - 1, *(dice.randrange(len(raw)) for _ in range(FLIPS_IN_A_FILE))}
        for place in places:
            changed = bytearray(raw)
            changed[place] ^= 1 << dice.randrange(8)
            file.write_bytes(changed)
            assert found_in(installed, copy), f"{file.relative_to(copy)} at {place}"
        file.write_bytes(raw)
    assert installed.checked(copy).findings == []


def test_every_byte_of_a_tar_file_counts(installed: Installed, tmp_path: Path) -> None:
    tar, dice = installed.package(tmp_path / "package.tar", case=installed.another), random.Random(6)
    raw = tar.read_bytes()
    for place in [
        *(dice.randrange(len(raw)) for _ in range(FLIPS_IN_A_TAR)),
        *range(512),
        len(raw) - 1,
        len(raw) - 600,
    ]:
        changed = bytearray(raw)
        changed[place] ^= 1 << dice.randrange(8)
        tar.write_bytes(changed)
        assert found_in(installed, tar), place
    for other in (raw[:-512], raw + bytes(512), raw + b"x", raw[512:]):
        tar.write_bytes(other)
        assert found_in(installed, tar)


def found_in(installed: Installed, package: Path) -> bool:
    try:
        return bool(installed.checked(package).findings)
    except Broken:
        return True


def test_the_same_signature_written_otherwise_is_another_byte(
    installed: Installed, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    raw = (copy / "MANIFEST").read_bytes()
    assert raw.endswith(b"=\n")
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # the last letter before the sign that fills up has two bits that mean nothing
    other = letters[letters.index(raw[-3]) ^ 1]
    (copy / "MANIFEST").write_bytes(raw[:-3] + bytes([other]) + raw[-2:])
    assert found_in(installed, copy)
    (copy / "MANIFEST").write_bytes(raw + SigningKey.fresh("another").sign("x\n").split(b"\n\n")[1])
    assert found_in(installed, copy)


def test_a_changed_event_is_named(installed: Installed, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    index = events_of(copy, installed.another)[0]
    file = copy / event_file(index, "json")
    file.write_bytes(file.read_bytes().replace(b'"channel":"api"', b'"channel":"web"'))
    findings = installed.checked(copy).findings
    place = f"log {index + 1}, {installed.another} 1, account_creation.AccountRequested"
    assert [place in each["where"] for each in findings] == [True, True, False]
    assert findings[2]["what"] == f"{installed.another} has 3 events, and these are not here: [1]"


def events_of(package: Path, case: str) -> list[int]:
    headers = [json.loads(path.read_bytes()) for path in package.rglob("*.header")]
    return sorted(each["index"] for each in headers if each["case"] == case)


# whoever holds the log's key is held to the tree all the same


class Forger:
    """Has the key, and makes a new list of files over whatever they changed."""

    def __init__(self, installed: Installed, folder: Path, copy: Path) -> None:
        shutil.copytree(folder, copy)
        self.installed, self.copy = installed, copy

    def signs_again(self) -> list[dict[str, str]]:
        names = [path for path in self.copy.rglob("*") if path.is_file() and path.name != "MANIFEST"]
        lines = sorted(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(self.copy).as_posix()}\n"
            for path in names
        )
        text = f"{self.installed.key.name}/package\n{''.join(lines)}"
        (self.copy / "MANIFEST").write_bytes(self.installed.log.key.sign(text))
        return self.installed.checked(self.copy).findings


@pytest.fixture
def forger(installed: Installed, folder: Path, tmp_path: Path) -> Forger:
    return Forger(installed, folder, tmp_path / "forged")


def test_a_package_as_it_was_made_can_be_listed_again(forger: Forger) -> None:
    assert forger.signs_again() == []


def test_an_edited_event_is_not_what_was_signed_for(forger: Forger, installed: Installed) -> None:
    index = events_of(forger.copy, installed.another)[0]
    file = forger.copy / event_file(index, "json")
    file.write_bytes(file.read_bytes().replace(b'"channel":"api"', b'"channel":"web"'))
    assert [each["what"] for each in forger.signs_again()] == [
        "the stored bytes are not those that were signed for",
        f"{installed.another} has 3 events, and these are not here: [1]",
    ]


def test_an_edited_event_with_a_new_header_is_not_in_the_tree(forger: Forger, installed: Installed) -> None:
    index = events_of(forger.copy, installed.another)[0]
    file = forger.copy / event_file(index, "json")
    file.write_bytes(file.read_bytes().replace(b'"channel":"api"', b'"channel":"web"'))
    header = forger.copy / event_file(index, "header")
    said = json.loads(header.read_bytes()) | {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    header.write_bytes(package_verifier.canonical(said))
    assert "the signed tree does not hold it" in [each["what"] for each in forger.signs_again()]


def test_an_event_that_is_left_out_is_missed(forger: Forger, installed: Installed) -> None:
    index = events_of(forger.copy, installed.another)[1]
    for kind in ("json", "header", "tlog-proof"):
        (forger.copy / event_file(index, kind)).unlink()
    assert [each["what"] for each in forger.signs_again()] == [
        f"{installed.another} has 3 events, and these are not here: [2]"
    ]


def test_an_event_under_the_proof_of_another_is_found(forger: Forger, installed: Installed) -> None:
    one, other = events_of(forger.copy, installed.another)[:2]
    for kind in ("json", "header"):
        shutil.copy(forger.copy / event_file(one, kind), forger.copy / event_file(other, kind))
    assert any("its header is that of entry" in each["what"] for each in forger.signs_again())


def test_a_proof_that_names_another_place_is_found(forger: Forger, installed: Installed) -> None:
    index = events_of(forger.copy, installed.another)[0]
    proof = forger.copy / event_file(index, "tlog-proof")
    proof.write_bytes(proof.read_bytes().replace(f"index {index}\n".encode(), f"index {index + 1}\n".encode()))
    assert "its proof is for another place or another checkpoint" in [each["what"] for each in forger.signs_again()]


def test_an_older_checkpoint_in_its_place_is_found(forger: Forger, installed: Installed) -> None:
    (forger.copy / "checkpoint").write_bytes(installed.log.kept[0])
    assert {each["where"] for each in forger.signs_again()} >= {"chain", "completeness"}


def test_a_second_history_is_found_in_the_chain(forger: Forger, installed: Installed) -> None:
    first = min((forger.copy / "chain").glob("*.checkpoint"))
    old = Checkpoint.opened(first.read_bytes(), installed.key)
    first.write_bytes(installed.log.key.sign(old._replace(root=bytes(32)).text))
    assert any("does not begin with" in each["what"] for each in forger.signs_again())


# keys


def test_another_key_than_the_logs_opens_nothing(installed: Installed, folder: Path) -> None:
    found = check(folder, SigningKey.fresh(installed.key.name).public).findings
    assert {"key.pub", "MANIFEST", "checkpoint"} <= {each["where"] for each in found}


def test_a_witness_is_asked_for_by_its_own_key(installed: Installed, tmp_path: Path) -> None:
    key = SigningKey.fresh("audit.example/witness", COSIGNATURE)
    before = installed.checked(installed.package(tmp_path / "before", case=installed.another), key.public)
    assert [each["what"] for each in before.findings] == ["it has signed no checkpoint in here"]
    witness = Witness(installed.key, key, tmp_path / "witness", installed.log.published, SetClock())
    witness.look(lambda name, note: put(installed.log.published.folder / "witnesses" / "one", note))
    after = installed.checked(installed.package(tmp_path / "after", case=installed.another), key.public)
    assert after.findings == []
    assert f"the witness {key.public.name} cosigned the checkpoint of {after.size} events" in after.proven
    stranger = SigningKey.fresh("audit.example/witness", COSIGNATURE).public
    assert installed.checked(tmp_path / "after", stranger).findings


def test_a_witness_cosigns_once_and_only_what_follows(installed: Installed, tmp_path: Path) -> None:
    clock, memory = SetClock(datetime(2026, 3, 2, tzinfo=UTC)), tmp_path / "witness"
    published = tmp_path / "published"
    shutil.copytree(installed.log.published.folder, published)
    reader = type(installed.log.published)(published)
    witness = Witness(installed.key, SigningKey.fresh("w", COSIGNATURE), memory, reader, clock)
    assert witness.look().cosigned
    clock.at += timedelta(hours=1)
    assert not witness.look().cosigned
    cosigned = (memory / "checkpoint").read_bytes()
    (published / "checkpoint").write_bytes(installed.log.kept[0])
    with pytest.raises(Inconsistent, match="of 45 events is published, and one of 63"):
        witness.look()
    newest = Checkpoint.opened(installed.log.kept[-1], installed.key)
    (published / "checkpoint").write_bytes(installed.log.key.sign(newest._replace(root=bytes(32)).text))
    with pytest.raises(Inconsistent):
        witness.look()
    assert (memory / "checkpoint").read_bytes() == cosigned


def test_a_witness_does_not_begin_with_a_checkpoint_that_the_leaves_do_not_lead_to(
    installed: Installed, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    shutil.copytree(installed.log.published.folder, published)
    newest = Checkpoint.opened(installed.log.kept[-1], installed.key)
    (published / "checkpoint").write_bytes(installed.log.key.sign(newest._replace(root=bytes(32)).text))
    reader = type(installed.log.published)(published)
    witness = Witness(installed.key, SigningKey.fresh("w", COSIGNATURE), tmp_path / "memory", reader, SetClock())
    with pytest.raises(Inconsistent, match="do not lead to"):
        witness.look()
    assert not (tmp_path / "memory" / "checkpoint").exists()


def test_a_witness_follows_a_growing_log(installed: Installed, tmp_path: Path) -> None:
    published = tmp_path / "published"
    shutil.copytree(installed.log.published.folder, published)
    reader = type(installed.log.published)(published)
    witness = Witness(installed.key, SigningKey.fresh("w", COSIGNATURE), tmp_path / "memory", reader, SetClock())
    for note in installed.log.kept:
        (published / "checkpoint").write_bytes(note)
        assert witness.look().size == Checkpoint.opened(note, installed.key).size


def test_a_witness_reads_what_a_web_server_serves(installed: Installed, tmp_path: Path) -> None:
    serving = partial(Quiet, directory=str(installed.log.published.folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        reader = reader_at(f"http://127.0.0.1:{server.server_address[1]}/")
        witness = Witness(installed.key, SigningKey.fresh("w", COSIGNATURE), tmp_path, reader, SetClock())
        assert witness.look() == (installed.log.length(), True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(Unreadable):
        witness.look()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


# the one file


def test_the_verifier_needs_nothing_but_python_and_cryptography() -> None:
    tree = ast.parse(Path(package_verifier.__file__).read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == ONLY


def test_it_runs_alone_and_its_exit_code_is_the_answer(installed: Installed, folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "log.pub"
    key.write_text(installed.key.text)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)

    def run(package: Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-I", str(copy / "verify.py"), str(package), "--key", str(key)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)

    well = run(copy)
    assert (well.returncode, "in order" in well.stdout) == (0, True), well.stderr
    (copy / "added").write_text("x")
    changed = run(copy)
    assert changed.returncode == 1
    assert "WRONG  added: it is not in the signed list of files: it was added" in changed.stdout
    assert run(tmp_path / "nowhere").returncode == 2


# asking


@pytest.mark.parametrize(
    "asked",
    [{"case": "account_creation-none"}, {"person": "p-none"}, {"case": "a", "person": "b"},
     {"since": datetime(2001, 1, 1, tzinfo=UTC), "until": datetime(2001, 1, 2, tzinfo=UTC)}],
)  # fmt: skip
def test_what_is_not_there_is_not_packed(installed: Installed, tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        installed.package(tmp_path / "package", **asked)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine").write_text("x")
    with pytest.raises(Malformed, match="is there already"):
        installed.package(tmp_path / "package", case=installed.another)


def test_a_log_that_was_changed_is_not_packed(installed: Installed, tmp_path: Path) -> None:
    edit = "update ledger.events set recorded_at = recorded_at {} interval '1 s' where notification_id = 50"
    installed.log.as_superuser(edit.format("+"))
    try:
        with pytest.raises(NotAsSigned, match="log 50"):
            installed.package(tmp_path / "package")
    finally:
        installed.log.as_superuser(edit.format("-"))
    assert list(tmp_path.iterdir()) == []


def test_evidence_is_taken_along_or_said_to_be_absent(installed: Installed, tmp_path: Path) -> None:
    package = installed.package(tmp_path / "package", case=installed.case)
    kept, lost = installed.evidence
    assert hashlib.sha256((package / "evidence" / kept).read_bytes()).hexdigest() == kept
    assert (package / "evidence" / f"{lost}.absent").exists()
    assert len(list((package / "evidence").iterdir())) == 2
