"""How long does checking a package take for each event, against reading its files and taking SHA-256 of each?"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from services.audit.package import Asked, write_package
from services.audit.package_verifier import check
from services.audit.published import put
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.settings import Settings, secrets_folder
from tests.conftest import PASSWORDS
from tests.services.proving import a_signed_log
from tests.system import Database

GOAL = 0.25
ACCOUNTS = 100
ROUNDS = 5


def measure(accounts: int = ACCOUNTS, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgreSQL(Path(folder) / "server")
        server.start()
        try:
            database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
            migrate(database.superuser, PASSWORDS)
            data = Path(folder) / "data"
            log = a_signed_log(database, data, accounts)
            put(secrets_folder(data) / "log.key", f"{log.key.text}\n".encode())
            settings = Settings.load(data=data, IMPRIMATUR_READER_URL=database.url("reader"))
            write_package(settings, Asked(), Path(folder) / "package.tar")
        finally:
            server.stop()
            server.remove()
        runs = [(checking(Path(folder), log.key.public), hashing(Path(folder))) for _ in range(rounds)]
    events = runs[0][0][1]
    mine, theirs = (median(seconds * 1e6 / events for seconds in each) for each in zip(
        *((one[0], other) for one, other in runs), strict=True))  # fmt: skip
    return {
        "name": f"package check, {events:,} events, each",
        "ours": round(mine, 1),
        "baseline_name": "reading the package and SHA-256 of each event's files",
        "baseline": round(theirs, 1),
        "unit": "µs",
        "ratio": round(theirs / mine, 3),
        "goal": f">= {GOAL}",
        "holds": theirs / mine >= GOAL,
        "rounds": rounds,
    }


def checking(folder: Path, key: Any) -> tuple[float, int]:
    began = time.perf_counter()
    report = check(folder / "package.tar", key)
    took = time.perf_counter() - began
    assert report.findings == []
    assert report.events == report.size
    return took, report.events


def hashing(folder: Path) -> float:
    """By the standard library's own reader of tar files."""
    began = time.perf_counter()
    with tarfile.open(folder / "package.tar") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            hashlib.sha256(content.read()).digest()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
