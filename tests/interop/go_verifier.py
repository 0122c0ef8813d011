"""Go's transparency log library against what is published and packed here, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from services.audit.keys import SigningKey
from services.audit.package import Asked, write_package
from services.audit.published import put
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.settings import Settings, secrets_folder
from tests.fresh import PASSWORDS
from tests.interop.outcome import Outcome
from tests.services.proving import a_signed_log
from tests.system import Database

NAME = "Go's sumdb/note and tlog on checkpoint, tiles, inclusion and consistency proofs"
PACKAGES = ("golang-go", "golang-golang-x-mod-dev")
GOPATH = Path("/usr/share/gocode")
TLOG = GOPATH / "src" / "golang.org" / "x" / "mod" / "sumdb" / "tlog"
INSTALL_SECONDS = 600


def run() -> Outcome:
    if reason := what_is_missing():
        return Outcome(NAME, None, reason)
    with tempfile.TemporaryDirectory() as folder:
        above = Path(folder)
        above.chmod(0o711)
        program = above / "verify"
        env = os.environ | {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(above / "cache"), "GOFLAGS": ""}
        source = Path(__file__).with_name("verify.go")
        built = subprocess.run(
            ["go", "build", "-o", str(program), str(source)], env=env, capture_output=True, text=True, check=False
        )
        if built.returncode:
            return Outcome(NAME, False, f"verify.go does not build: {built.stderr.strip()}")
        return compared(program, above)


def compared(program: Path, folder: Path) -> Outcome:
    data = folder / "data"
    server = EmbeddedPostgreSQL(folder / "server")
    server.start()
    try:
        database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
        migrate(database.superuser, PASSWORDS)
        log = a_signed_log(database, data)
        put(secrets_folder(data) / "log.key", f"{log.key.text}\n".encode())
        settings = Settings.load(data=data, IMPRIMATUR_READER_URL=database.url("reader"))
        packed = write_package(settings, Asked(), folder / "package")
        chain = len(list((folder / "package" / "chain").glob("*.checkpoint")))
    finally:
        server.stop()
        server.remove()
    key = folder / "key.pub"
    key.write_text(f"{log.key.public.text}\n")
    accepted = verified(program, log.published.folder, folder / "package", key)
    expected = f"{packed['size']} {packed['events']} {chain - 1}"
    if accepted.returncode or accepted.stdout.strip() != expected:
        return Outcome(NAME, False, f"expected {expected!r}, got {accepted.stdout.strip()!r} {accepted.stderr.strip()}")
    return Outcome(NAME, *what_it_must_refuse(program, log.published.folder, folder / "package", key, expected))


def what_it_must_refuse(program: Path, published: Path, package: Path, key: Path, accepted: str) -> tuple[bool, str]:
    """A check that accepts everything would prove nothing."""
    other = key.with_name("other.pub")
    other.write_text(f"{SigningKey.fresh().public.text}\n")
    if not verified(program, published, package, other).returncode:
        return False, "it accepts another key"
    header = min(package.rglob("*.header"))
    header.write_bytes(header.read_bytes().replace(b'"v":1', b'"v":2'))
    if not verified(program, published, package, key).returncode:
        return False, "it accepts a changed header"
    size, proofs, steps = accepted.split()
    return True, f"{proofs} inclusion proofs and {steps} consistency proof(s) in a tree of {size}: all accepted"


def verified(program: Path, published: Path, package: Path, key: Path) -> subprocess.CompletedProcess[str]:
    argv = [str(program), str(published), str(package), str(key)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def what_is_missing() -> str:
    """Installs Debian's packages where that can be done; else why not."""
    if shutil.which("go") and TLOG.is_dir():
        return ""
    if not shutil.which("apt-get"):
        return "there is no apt-get here; install Go and golang.org/x/mod by hand"
    if os.geteuid() != 0:
        return f"not root: install {' '.join(PACKAGES)} first"
    for argv in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{argv[1]} took longer than {INSTALL_SECONDS} s"
    installed = shutil.which("go") and TLOG.is_dir()
    return "" if installed else f"apt-get cannot install {' '.join(PACKAGES)}: {done.stderr.strip()[-200:]}"
