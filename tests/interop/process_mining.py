"""Does pm4py read what we export as OCEL 2.0, and does a DECLARE model of account creation find what breaks it?

pm4py is AGPL, so it has an environment of its own, made here from a lock of its own, and is never part of the product.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from projections.audit_trail import AuditTrail
from services.audit import ocel
from services.audit.ocel_checks import dangling
from services.audit.reading import reading
from services.audit.selection import Selection, selected
from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import rebuild
from tests.conftest import PASSWORDS
from tests.interop.outcome import Outcome
from tests.projections.history import a_life
from tests.services.auditing import live
from tests.system import Database

NAME = "OCEL 2.0 by pm4py"
HERE = Path(__file__).parent
ENVIRONMENT, LOCK = HERE / ".venv", HERE / "requirements.lock"
PYTHON, MADE_OF = ENVIRONMENT / "bin" / "python", ENVIRONMENT / ".made-of"
CHECKS = 24
PLANTED = "account_creation.AccountApproved"


# what pip says where it reaches no index, or one that lacks the package
NO_NETWORK = ("No matching distribution found", "Connection", "Temporary failure in name resolution", "timed out")


class NotHere(Exception):
    """The separate environment cannot be made on this machine now: there is no network."""


class NotAsLocked(Exception):
    """What was fetched is not what the lock says."""


def run() -> Outcome:
    try:
        environment()
    except NotHere as why:
        return Outcome(NAME, None, str(why))
    except NotAsLocked as wrong:
        return Outcome(NAME, False, str(wrong))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("whole.sqlite", "planted.sqlite", "whole.json")]
        events = a_life_as_events()
        case = exported(events, *files)
        said = subprocess.run(
            [PYTHON, HERE / "mining.py", *files], capture_output=True, text=True, check=False, timeout=600
        )
        if said.returncode:
            return Outcome(NAME, False, f"pm4py could not read it: {said.stderr.strip().splitlines()[-1:]}")
        return judged(json.loads(said.stdout), events, case)


def environment() -> None:
    """As the lock says, hashes checked; made again when the lock changes."""
    if MADE_OF.is_file() and MADE_OF.read_bytes() == LOCK.read_bytes():
        return
    made: list[list[str | Path]] = [[sys.executable, "-m", "venv", "--clear", ENVIRONMENT]]
    made.append([PYTHON, "-m", "pip", "install", "-qq", "--require-hashes", "-r", LOCK])
    for argv in made:
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1_200)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotHere(f"its environment could not be made ({type(error).__name__})") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            if any(each in done.stderr for each in NO_NETWORK):
                raise NotHere(f"pm4py cannot be fetched: there is no network, or no index that has it ({last})")
            raise NotAsLocked(f"its environment cannot be made from its lock: {last}")
    MADE_OF.write_bytes(LOCK.read_bytes())


def a_life_as_events() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o711)
        server = EmbeddedPostgreSQL(data / "interop")
        server.start()
        try:
            with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
                conn.execute("create database life")
            database = Database(server.superuser_dsn, "life", PASSWORDS)
            migrate(database.superuser, PASSWORDS)
            with a_life(database) as life:
                live(life, steps=250, seed=21)
            rebuild(database.url("projector"), AuditTrail, "")
            with reading(database.url("reader")) as conn:
                return [*selected(conn, Selection())]
        finally:
            server.remove()


def exported(events: list[dict[str, Any]], whole: Path, planted: Path, as_json: Path) -> str:
    """The whole log in both formats; and one in which an opened account was never approved, whose case is returned."""
    case = next(each["case_id"] for each in events if each["kind"] == "account_creation.AccountOpened")
    ocel.sqlite(events, whole)
    ocel.as_json(events, as_json)
    ocel.sqlite(without_approval(events, case), planted)
    for file in (whole, planted, as_json):
        assert dangling(file) == []
    return str(case)


def without_approval(events: Iterable[dict[str, Any]], case: str) -> Iterator[dict[str, Any]]:
    yield from (each for each in events if (each["case_id"], each["kind"]) != (case, PLANTED))


def judged(told: dict[str, Any], events: list[dict[str, Any]], case: str) -> Outcome:
    relations = [each for event in events for each in ocel.relations_of(event)]
    ours = {
        "events": len(events), "objects": len({each.object.id for each in relations}), "relations": len(relations),
        "links": len({each for event in events for each in ocel.links_of(event)}),
    }  # fmt: skip
    wrong = [
        f"{name}: we wrote {count}, pm4py read {told[name]}"
        for name, count in ours.items()
        if told[name] != [count, count]
    ]
    if (told["satisfied"], told["unsatisfied"]) != (CHECKS, []):
        wrong.append(f"{told['satisfied']} of {CHECKS} relational checks, not {told['unsatisfied']}")
    if told["unfit"]:
        wrong.append(f"cases that DECLARE finds at fault where nothing was planted: {told['unfit']}")
    if list(told["unfit_planted"]) != [case]:
        wrong.append(f"the planted violation is in {case}; DECLARE finds {told['unfit_planted']}")
    if wrong:
        return Outcome(NAME, False, "; ".join(wrong))
    return Outcome(
        NAME,
        True,
        f"pm4py {told['version']}: {CHECKS} of {CHECKS} relational checks; {ours['events']} events, {ours['objects']} "
        f"objects and {ours['relations']} relations read from SQLite and JSON alike, none dropped; of {told['cases']} "
        f"account creations DECLARE faults none, and of the planted log the one that was planted: "
        f"{', '.join(told['unfit_planted'][case])}",
    )
