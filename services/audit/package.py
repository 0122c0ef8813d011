"""What an auditor takes away: events as stored, what proves them, and all that is needed to check it, offline.

    events/…/NTH.json         the stored bytes of the event at that place in the tree
    events/…/NTH.header       its leaf in canonical JSON · NTH.tlog-proof: that the signed tree holds it
    checkpoint · chain/       the signed checkpoint · earlier ones, each proven consistent with the next
    completeness              what is said to be all, signed and bound to the checkpoint
    evidence/SHA256           ciphertexts, histories of ended workflow runs among them
    policies/SHA256.toml      every version of the policy that was adopted
    key.pub · verify.py · README.txt · MANIFEST (the signed list of all files with their hashes)

A leaf alone (header and proof, without the stored bytes) is in it where a period needs its neighbours.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed

from domain.attempts import stream_beside
from domain.facts import Malformed
from services.audit.headers import Stored, header, moment
from services.audit.keys import SigningKey, log_key, log_key_file
from services.audit.package_verifier import (
    CHECKPOINT,
    COMPLETENESS,
    KEY,
    MANIFEST,
    Broken,
    Checkpoint,
    InclusionProof,
    as_text,
    canonical,
    coded,
    event_file,
    evidence_in,
    leaf_hash,
    opened,
    padding,
    tar_header,
)
from services.audit.proof_tables import ProofTables
from services.audit.published import Published
from services.audit.tree import Tree
from services.clock import SystemClock
from services.settings import Settings, SettingsError
from services.views import FILTERS

COVERED_WITHIN_SECONDS = 15.0
A_MOMENT = 0.2
ROWS_AT_ONCE = 500
# what stands beside a case, and what every decision rests on
BESIDE = ("run_history-{}", "disclosure-{}")
ALWAYS = ("founding", "policy_adoption")
EVENTS = SQL("""
    select l.index, e.originator_id, e.originator_version, e.topic, e.state, e.notification_id, e.recorded_at
    from proofs.leaves l join ledger.events e on e.notification_id = l.log_position
    where l.index < %(size)s and """)
INDEXES = SQL("""
    select l.index from proofs.leaves l join {} e on e.{} = l.log_position where l.index < %(size)s and {}""")
# the last of each day, the first of all, what witnesses cosigned, and the newest
CHAIN = SQL("""
    select note from proofs.checkpoints where size <= %(size)s and size in (
        select max(size) from proofs.checkpoints group by (signed_at at time zone 'UTC')::date
        union select min(size) from proofs.checkpoints union select unnest(%(cosigned)s::bigint[])
        union select %(size)s) order by size""")
HEADS = SQL("""
    select e.originator_id, max(e.originator_version) from proofs.leaves l
    join ledger.events e on e.notification_id = l.log_position
    where l.index < %(size)s and e.originator_id = any (%(streams)s) group by 1""")


class Asked(NamedTuple):
    """What is taken: everything, or what one of these names."""

    case: str = ""
    person: str = ""
    account: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def scope(self) -> str:
        given = [name for name in ("case", "person", "account") if getattr(self, name)]
        if self.since or self.until:
            given.append("period")
        if len(given) > 1:
            raise Malformed("--" + given[1], f"a package is of one {given[0]} or one {given[1]}", "one of the two")
        return given[0] if given else "all"


class NotAsSigned(Exception):
    """The log is not the one that was signed for: nothing is packed."""


# -- where it is written to


class Sink(Protocol):
    def put(self, name: str, content: bytes) -> None: ...


class IntoFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def put(self, name: str, content: bytes) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def close(self) -> None:
        pass


class IntoTar:
    def __init__(self, file: Path) -> None:
        self._out = file.open("wb")

    def put(self, name: str, content: bytes) -> None:
        self._out.write(tar_header(name, len(content)) + content + padding(len(content)))

    def close(self) -> None:
        self._out.write(bytes(1024))
        self._out.close()


@contextmanager
def written_whole(out: Path) -> Iterator[Sink]:
    """Under its name once it is finished, and not before."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise Malformed("OUT", f"{out} is there already", "a path that is not there yet, a folder or FILE.tar")
    if not out.parent.is_dir():
        raise Malformed("OUT", f"{out.parent} is no folder", "a path in a folder that is there")
    fresh = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.unlink(missing_ok=True)
    sink: IntoTar | IntoFolder = IntoTar(fresh) if out.suffix == ".tar" else IntoFolder(fresh)
    try:
        yield sink
        sink.close()
        if out.is_dir():
            out.rmdir()
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.unlink(missing_ok=True)


# -- what is written


def write_package(settings: Settings, asked: Asked, out: Path) -> dict[str, Any]:
    """How many events were packed, of a tree of how many. Malformed: OUT or what is asked for; NotAsSigned."""
    if not log_key_file(settings).exists():
        raise SettingsError(f"{log_key_file(settings)} is not there: a package is made where the log's key is")
    scope = asked.scope
    wait_for_a_checkpoint(settings.reader_url)
    with psycopg.connect(settings.reader_url, row_factory=tuple_row) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        conn.execute("set local timezone = 'UTC'")
        with written_whole(out) as sink:
            published = Published(settings.published_folder)
            packing = Packing(conn, log_key(settings), settings.data / "evidence", published, sink)
            return packing.pack(asked) | {"package": str(out), "scope": scope}


def packed(settings: Settings, asked: Asked, out: Path) -> dict[str, Any]:
    """As `write_package`, for whoever gets to read what is in the way: a SettingsError, in one line."""
    try:
        return write_package(settings, asked, out)
    except NotAsSigned as wrong:
        raise SettingsError(str(wrong)) from None


def wait_for_a_checkpoint(url: str) -> None:
    """Until everything that is recorded by now is signed for, or for as long as that could take."""
    with psycopg.connect(url, autocommit=True, row_factory=tuple_row) as conn:
        now = conn.execute("select coalesce(max(notification_id), 0) from ledger.events").fetchone()
        deadline = time.monotonic() + COVERED_WITHIN_SECONDS
        query = SQL("""select coalesce(max(l.log_position), 0) from proofs.leaves l
            where l.index < (select max(size) from proofs.checkpoints)""")
        while time.monotonic() < deadline:
            covered = conn.execute(query).fetchone()
            if now and covered and covered[0] >= now[0]:
                return
            time.sleep(A_MOMENT)


class Packing:
    def __init__(
        self, conn: Connection[Any], key: SigningKey, evidence: Path, published: Published, sink: Sink
    ) -> None:
        self._conn, self._key, self._evidence, self._sink = conn, key, evidence, sink
        self._cosigned = cosignatures(published, key)
        self._tables = ProofTables(conn)
        self._tree: Tree = self._tables.tree()
        self._listed: dict[str, str] = {}
        self._events: set[int] = set()
        self._nth = count()
        note = self._tables.newest_checkpoint()
        if note is None:
            raise NotAsSigned("no checkpoint is signed yet, so nothing can be proven")
        self._note, self._checkpoint = self._with_witnesses(note)
        if self._tree.root(self._checkpoint.size) != self._checkpoint.root:
            raise NotAsSigned("the proof tables do not lead to the newest checkpoint: see `audit verify`")

    def pack(self, asked: Asked) -> dict[str, Any]:
        said = self._said(asked)
        for index, event in self._concerned(asked, said):
            self._put_event(index, event)
        for index, event in self._in_streams(ALWAYS):
            self._put_event(index, event)
        self._put_neighbours(said)
        self._put(CHECKPOINT, self._note)
        self._put_chain()
        self._put(KEY, f"{self._key.public.text}\n".encode())
        self._put("verify.py", files("services.audit").joinpath("package_verifier.py").read_bytes())
        self._put("README.txt", readme(self._key.public.text, said))
        bound = {
            "size": self._checkpoint.size,
            "root": coded(self._checkpoint.root),
            "made_at": moment(SystemClock().now()),
        }
        statement = canonical(said | bound).decode()
        self._put(COMPLETENESS, self._key.sign(f"{self._key.public.name}/completeness\n{statement}\n"))
        self._put_manifest()
        return {"events": len(self._events), "size": self._checkpoint.size, "root": self._checkpoint.root.hex()}

    # -- which events, and what is said of their being all

    def _said(self, asked: Asked) -> dict[str, Any]:
        match asked.scope:
            case "case":
                return {"scope": "case", "of": asked.case, "streams": self._heads(asked.case)}
            case "period":
                first, end = self._period(asked)
                since, until = (moment(each) if each else "" for each in (asked.since, asked.until))
                # an open end is later than any moment, as text too
                return {"scope": "period", "from": since, "to": until or "9999", "first": first, "end": end}
            case "all":
                return {"scope": "all"}
            case scope:
                of = getattr(asked, scope)
                return {"scope": scope, "of": of, "indexes": self._found_by_search(scope, of)}

    def _heads(self, case: str) -> dict[str, int]:
        streams = [case, stream_beside(case), *(each.format(case) for each in BESIDE)]
        asked = {"size": self._checkpoint.size, "streams": streams}
        found = {str(stream): int(head) for stream, head in self._conn.execute(HEADS, asked)}
        if case not in found:
            raise Malformed(
                "--case", f"{case} has no event under the newest checkpoint", "an id that `case list` shows"
            )
        return found

    def _period(self, asked: Asked) -> tuple[int, int]:
        """The entries recorded in it: one stretch of the tree, the clock of the database having run forward."""
        within = SQL(" and ").join(
            [SQL("recorded_at >= %(since)s")] * bool(asked.since) + [SQL("recorded_at < %(until)s")] * bool(asked.until)
        )
        asked_for = {"size": self._checkpoint.size, "since": asked.since, "until": asked.until}
        query = SQL("select min(index), max(index) + 1 from ({}) as found").format(
            INDEXES.format(SQL("ledger.events"), SQL("notification_id"), within)
        )
        row = self._conn.execute(query, asked_for).fetchone()
        if row is None or row[0] is None:
            raise Malformed("--from", "nothing was recorded in this period", "another period")
        return int(row[0]), int(row[1])

    def _found_by_search(self, scope: str, of: str) -> list[int]:
        query = INDEXES.format(SQL("views.audit_trail_rows"), SQL("log_position"), FILTERS[scope]) + SQL(" order by 1")
        found = [int(row[0]) for row in self._conn.execute(query, {"size": self._checkpoint.size, scope: of})]
        if not found:
            raise Malformed(f"--{scope}", f"no event concerns {of}", "one that the audit trail names")
        return found

    def _concerned(self, asked: Asked, said: dict[str, Any]) -> Iterator[tuple[int, Stored]]:
        match said["scope"]:
            case "case":
                return self._in_streams(tuple(said["streams"]))
            case "period":
                return self._read(SQL("l.index >= %(first)s and l.index < %(end)s"), said)
            case "all":
                return self._read(SQL("true"), {})
            case _:
                return self._read(SQL("l.index = any (%(indexes)s)"), said)

    def _in_streams(self, streams: Iterable[str]) -> Iterator[tuple[int, Stored]]:
        return self._read(SQL("e.originator_id = any (%(streams)s)"), {"streams": list(streams)})

    def _read(self, where: SQL | Composed, asked: dict[str, Any]) -> Iterator[tuple[int, Stored]]:
        query = EVENTS + where + SQL(" order by l.index")
        wanted = {name: value for name, value in asked.items() if isinstance(value, int | list)}
        # on the server, so that proofs are read from the same connection while it goes on
        with self._conn.cursor(f"packed_{next(self._nth)}") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(query, wanted | {"size": self._checkpoint.size}, binary=True)
            for index, *row in cursor:
                yield int(index), Stored(*row)

    # -- one file after the other

    def _put(self, name: str, content: bytes) -> None:
        if name not in self._listed:
            self._listed[name] = hashlib.sha256(content).hexdigest()
            self._sink.put(name, content)

    def _put_event(self, index: int, event: Stored) -> None:
        if index in self._events:
            return
        self._events.add(index)
        self._put_leaf(index, event)
        self._put(event_file(index, "json"), event.state)
        said = json.loads(event.state)
        for sha256 in evidence_in(said):
            self._put_evidence(sha256)
        if event.kind == "policy_adoption.PolicyAdopted":
            self._put(f"policies/{said['fact']['sha256']}.toml", said["fact"]["text"].encode())

    def _put_leaf(self, index: int, event: Stored) -> None:
        raw = header(index, event)
        if leaf_hash(raw) != self._tree.leaf(index):
            raise NotAsSigned(f"log {event.log_position}, {event.case} {event.position} is not what was signed for")
        proof = InclusionProof(index, self._tree.inclusion(index, self._checkpoint.size), self._note)
        self._put(event_file(index, "header"), raw)
        self._put(event_file(index, "tlog-proof"), proof.as_bytes())

    def _put_evidence(self, sha256: str) -> None:
        file = self._evidence / sha256[:2] / sha256
        if file.is_file():
            self._put(f"evidence/{sha256}", file.read_bytes())
        else:
            self._put(f"evidence/{sha256}.absent", b"This file is no longer kept, or was never stored here.\n")

    def _put_neighbours(self, said: dict[str, Any]) -> None:
        if said["scope"] != "period":
            return
        beside = [said["first"] - 1, said["end"]]
        for index, event in self._read(SQL("l.index = any (%(beside)s)"), {"beside": beside}):
            if index not in self._events:
                self._put_leaf(index, event)

    def _put_chain(self) -> None:
        asked = {"size": self._checkpoint.size, "cosigned": list(self._cosigned)}
        chain = [self._with_witnesses(bytes(row[0])) for row in self._conn.execute(CHAIN, asked)]
        for (note, old), (_, new) in zip(chain, [*chain[1:], chain[-1]], strict=True):
            self._put(f"chain/{old.size:012}.checkpoint", note)
            if new.size > old.size:
                lines = "".join(f"{coded(each)}\n" for each in self._tree.consistency(old.size, new.size))
                self._put(f"chain/{old.size:012}.consistency", lines.encode())

    def _with_witnesses(self, note: bytes) -> tuple[bytes, Checkpoint]:
        found = Checkpoint.opened(note, self._key.public)
        lines = [line for text, line in self._cosigned.get(found.size, []) if text == found.text]
        return note + "".join(lines).encode(), found

    def _put_manifest(self) -> None:
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self._listed.items()))
        self._sink.put(MANIFEST, self._key.sign(f"{self._key.public.name}/package\n{lines}"))


def cosignatures(published: Published, key: SigningKey) -> dict[int, list[tuple[str, str]]]:
    """By size, the text that each witness cosigned and its line under it; whether they are good, the check will say."""
    found: dict[int, list[tuple[str, str]]] = {}
    for raw in published.cosigned():
        try:
            text = opened(raw, key.public)
            lines = as_text(raw).removeprefix(f"{text}\n").splitlines(keepends=True)
            theirs = [line for line in lines if not line.startswith(f"— {key.public.name} ")]
            found.setdefault(Checkpoint.of_text(text).size, []).extend((text, line) for line in theirs)
        except Broken:
            continue
    return found


def readme(key: str, said: dict[str, Any]) -> bytes:
    of = {"all": "everything that was recorded", "period": "a period"}.get(
        said["scope"], f"the {said['scope']} {said.get('of')}"
    )
    return f"""A package of events: {of}

To check it you need this package, Python 3.11 or newer with the package `cryptography`, and the log's public key, had
from somewhere else than here: from the library by letter or telephone, from its website, from an earlier package. Put
that key into a file of its own, FILE below. The key that this package was made with is

    {key}

    python verify.py PACKAGE --key FILE

says what is proven, what is only attested, and names whatever was changed. It asks no network and no database. Read
verify.py first, or write your own: the formats are public.

  events/…/N.json        an event, byte for byte as it is stored. Free texts in it are sealed (encrypted); the package
                         holds no key to them. Who did what, when, in which role, under which clause, is in clear.
  events/…/N.header      what the log's tree holds of it: RFC 8785 JSON with the SHA-256 of those bytes
  events/…/N.tlog-proof  that the tree of the checkpoint holds that header at place N (c2sp.org/tlog-proof)
  checkpoint             size and root of the tree, signed (c2sp.org/tlog-checkpoint)
  chain/                 earlier checkpoints, and that each tree begins with the one before (RFC 6962, 2.1.2)
  completeness           what is said to be all, signed, for this checkpoint
  evidence/              evidence files and histories of workflow runs, sealed, named by their SHA-256
  policies/              every version of the policy, as adopted by an event that is in here
  MANIFEST               the SHA-256 of every file, signed

By hand, for the event N: `(printf '\\0'; cat N.header) | sha256sum` is the leaf; `sha256sum N.json` stands in N.header.
""".encode()
