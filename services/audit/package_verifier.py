"""Checks a package of events, offline: this one file, Python 3.11 or newer and `cryptography` are all it takes.

    python verify.py PACKAGE --key FILE [--witness FILE]

PACKAGE is the folder or the .tar file; FILE holds the log's public key, had from elsewhere than the package. What is
checked: the signature over the list of files and every byte of every file; the signed checkpoint (C2SP
tlog-checkpoint), from which alone tree size and root are taken; for each event that the stored bytes hash to its header
and the header is in the tree (RFC 6962, C2SP tlog-proof); that each earlier checkpoint is consistent with the next; and
what the package says of its completeness. Exit code 0: in order, 1: something is wrong, 2: this is no package.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, COSIGNATURE = 1, 4
HASH_BYTES, KEY_ID_BYTES, SIGNATURE_BYTES, TIME_BYTES, BLOCK = 32, 4, 64, 8, 512
PROOF_HEADER = "c2sp.org/tlog-proof@v1\n"
HEADER_FIELDS = {"case", "index", "kind", "log_position", "position", "recorded_at", "sha256", "v"}
MANIFEST, CHECKPOINT, KEY, COMPLETENESS = "MANIFEST", "checkpoint", "key.pub", "completeness"
EVENT_FILE = re.compile(r"events/\d+/(\d+)\.(json|header|tlog-proof)")
CHAIN_FILE = re.compile(r"chain/(\d+)\.checkpoint")
NAME_BYTES = 100
FINDINGS_MOST = 1_000
INDEXES_AT_ONCE = 1_000
LARGEST_INTEGER = 2**53 - 1
IN_ORDER, WRONG, NO_PACKAGE = 0, 1, 2


class Broken(Exception):
    """What was read is not what it should be: one sentence for people."""


# -- the tree (RFC 6962, section 2.1; RFC 9162)


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes]) -> bytes:
    """The root that this proof leads to (RFC 9162, 2.1.3.2), or Broken where it has not the one possible length."""
    if not 0 <= index < size:
        raise Broken(f"there is no entry {index} in a tree of {size}")
    node, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise Broken("the proof is too long")
        if node & 1 or node == last:
            found = node_hash(step, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, step)
        node, last = node >> 1, last >> 1
    if last:
        raise Broken("the proof is too short")
    return found


def roots_by_consistency(first: int, second: int, old_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """The two roots that this proof leads to (RFC 9162, 2.1.4.2), or Broken."""
    if not 0 < first < second:
        raise Broken(f"no proof leads from {first} to {second}")
    path = list(proof) if first & (first - 1) else [old_root, *proof]
    if not path:
        raise Broken("the proof is empty")
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            raise Broken("the proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, step)
        node, last = node >> 1, last >> 1
    if last:
        raise Broken("the proof is too short")
    return old, new


def must_be_consistent(old: Checkpoint, new: Checkpoint, proof: list[bytes]) -> None:
    """Broken unless the newer tree begins with the older one."""
    if old.size > new.size:
        raise Broken(f"a tree of {new.size} cannot follow one of {old.size}")
    if old.size in (0, new.size):
        if proof or (old.size and old.root != new.root):
            raise Broken(f"two different trees of {old.size} events are signed")
        return
    if roots_by_consistency(old.size, new.size, old.root, proof) != (old.root, new.root):
        raise Broken(f"the tree of {new.size} does not begin with the tree of {old.size}")


# -- signed notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature)


def coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decoded(text: str) -> bytes:
    """Base64 that could not be written in any other way."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Broken("not base64") from None
    if coded(raw) != text:
        raise Broken("not the one way to write this in base64")
    return raw


opened_once = lru_cache(Ed25519PublicKey.from_public_bytes)


class PublicKey(NamedTuple):
    """A verifier key of a signed note: `name+id+base64`."""

    name: str
    kind: int
    raw: bytes

    @classmethod
    def of_text(cls, text: str) -> PublicKey:
        name, _, rest = text.strip().partition("+")
        id_, _, coded_key = rest.partition("+")
        key = decoded(coded_key)
        if not name or len(key) != 1 + HASH_BYTES or key[0] not in (ED25519, COSIGNATURE):
            raise Broken("this is no public key of a signed note (name+id+base64)")
        found = cls(name, key[0], key[1:])
        if found.id.hex() != id_:
            raise Broken("the public key has not the id that it names")
        return found

    @property
    def id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.raw
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        return f"{self.name}+{self.id.hex()}+{coded(bytes([self.kind]) + self.raw)}"

    def signed(self, text: str, signature: bytes) -> bool:
        message = text.encode()
        if self.kind == COSIGNATURE:
            if len(signature) != TIME_BYTES + SIGNATURE_BYTES:
                return False
            at, signature = int.from_bytes(signature[:TIME_BYTES], "big"), signature[TIME_BYTES:]
            message = f"cosignature/v1\ntime {at}\n".encode() + message
        try:
            opened_once(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signature(NamedTuple):
    name: str
    key_id: bytes
    raw: bytes


class Note(NamedTuple):
    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def of_text(cls, note: str) -> Note:
        text, gap, lines = note.rpartition("\n\n")
        if not gap or not lines.endswith("\n"):
            raise Broken("this is no signed note")
        return cls(text + "\n", tuple(cls._signature(line) for line in lines[:-1].split("\n")))

    @staticmethod
    def _signature(line: str) -> Signature:
        dash, _, rest = line.partition(" ")
        name, _, code = rest.partition(" ")
        raw = decoded(code)
        if dash != "—" or not name or len(raw) <= KEY_ID_BYTES:
            raise Broken("a line of signatures is none")
        return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])

    def is_signed_by(self, key: PublicKey) -> bool:
        own = [each for each in self.signatures if (each.name, each.key_id) == (key.name, key.id)]
        return len(own) == 1 and key.signed(self.text, own[0].raw)


def opened(note: bytes, key: PublicKey) -> str:
    """The text of a note, or Broken where this key has not signed it."""
    found = Note.of_text(as_text(note))
    if not found.is_signed_by(key):
        raise Broken(f"it is not signed by {key.name}")
    return found.text


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes

    @classmethod
    def of_text(cls, text: str) -> Checkpoint:
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        if not re.fullmatch(r"0|[1-9]\d*", size):
            raise Broken("this is no checkpoint")
        found = cls(origin, int(size), decoded(root))
        if not origin or len(found.root) != HASH_BYTES or (not found.size and found.root != EMPTY_ROOT):
            raise Broken("this is no checkpoint")
        return found

    @classmethod
    def opened(cls, note: bytes, key: PublicKey) -> Checkpoint:
        found = cls.of_text(opened(note, key))
        if found.origin != key.name:
            raise Broken(f"it is a checkpoint of {found.origin}")
        return found

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{coded(self.root)}\n"


def as_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Broken("it is not UTF-8") from None


# -- headers (RFC 8785: strings, whole numbers and sorted ASCII names are all that a header has)


def canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def header_of(raw: bytes) -> dict[str, Any]:
    """The header of an event, or Broken where it is not written in the one canonical way."""
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise Broken("the header is no JSON") from None
    if not isinstance(header, dict) or set(header) != HEADER_FIELDS:
        raise Broken("the header has not the fields of one")
    whole = all(type(header[name]) is int for name in ("index", "log_position", "position", "v"))
    texts = all(type(header[name]) is str for name in ("case", "kind", "recorded_at", "sha256"))
    if not whole or not texts or canonical(header) != raw:
        raise Broken("the header is not in canonical form")
    return header


def place_of(header: Mapping[str, Any]) -> str:
    return f"log {header['log_position']}, {header['case']} {header['position']}, {header['kind']}"


class InclusionProof(NamedTuple):
    entry: int
    hashes: list[bytes]
    checkpoint: bytes

    @classmethod
    def of_bytes(cls, raw: bytes) -> InclusionProof:
        text, gap, checkpoint = as_text(raw).partition("\n\n")
        first, *hashes = text.removeprefix(PROOF_HEADER).split("\n")
        index = re.fullmatch(r"index (0|[1-9]\d*)", first)
        if not gap or not text.startswith(PROOF_HEADER) or index is None:
            raise Broken("this is no tlog-proof")
        return cls(int(index[1]), [decoded(each) for each in hashes], checkpoint.encode())

    def as_bytes(self) -> bytes:
        lines = "".join(f"{coded(each)}\n" for each in self.hashes)
        return f"{PROOF_HEADER}index {self.entry}\n{lines}\n".encode() + self.checkpoint


# -- the package: a folder, or a tar file of exactly one form


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        found = sorted(self._path.rglob("*"))
        if strange := [each for each in found if each.is_symlink() or not (each.is_file() or each.is_dir())]:
            raise Broken(f"{strange[0]} is neither a file nor a folder")
        return [each.relative_to(self._path).as_posix() for each in found if each.is_file()]

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


def tar_header(name: str, size: int) -> bytes:
    """The one header (POSIX ustar) that a member of this name and size has here."""
    raw = name.encode()
    if not raw or len(raw) > NAME_BYTES or size >= 8**11:
        raise Broken(f"{name} does not fit into a tar file")
    owner = b"0000644\x000000000\x000000000\x00"
    header = raw.ljust(100, b"\x00") + owner + b"%011o\x00" % size + b"%011o\x00" % 0
    rest = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\x00" + bytes(167)
    checksum = sum(header) + sum(b" " * 8) + sum(rest)
    return header + b"%06o\x00 " % checksum + rest


def padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


class Tar:
    """Read as strictly as it is written, so that no byte of it can be another."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._places: dict[str, tuple[int, int]] = {}
        while (header := self._file.read(BLOCK)) != bytes(BLOCK):
            self._member(header)
        if self._file.read() != bytes(BLOCK):
            raise Broken("the tar file does not end as it should")

    def _member(self, header: bytes) -> None:
        at = self._file.tell()
        try:
            name, size = header[:100].rstrip(b"\x00").decode(), int(header[124:135], 8)
        except ValueError:
            raise Broken(f"the tar file is damaged at byte {at - BLOCK}") from None
        if header != tar_header(name, size) or name in self._places:
            raise Broken(f"the tar file is damaged at byte {at - BLOCK}, before {name!r}")
        self._places[name] = (at, size)
        self._file.seek(size, 1)
        if self._file.read(-size % BLOCK) != padding(size):
            raise Broken(f"the tar file is damaged after {name!r}")

    def names(self) -> list[str]:
        return sorted(self._places)

    def read(self, name: str) -> bytes:
        at, size = self._places[name]
        self._file.seek(at)
        return self._file.read(size)


# -- checking


class Report(NamedTuple):
    findings: list[dict[str, str]]
    proven: list[str]
    attested: list[str]
    events: int
    size: int
    root: str

    def as_json(self) -> dict[str, Any]:
        return self._asdict()


class Check:
    def __init__(self, package: Folder | Tar, key: PublicKey, witnesses: list[PublicKey]) -> None:
        self._package, self._key, self._witnesses = package, key, witnesses
        self.findings: list[dict[str, str]] = []
        self.proven: list[str] = []
        self.attested: list[str] = []
        self._names = package.names()
        self._known = frozenset(self._names)
        self._headers: dict[int, dict[str, Any]] = {}
        self._found: Checkpoint | None = None
        self._checkpoint_note = b""

    @property
    def checkpoint(self) -> Checkpoint:
        if self._found is None:
            raise Broken("there is no checkpoint to go by")
        return self._found

    def run(self) -> Report:
        if MANIFEST not in self._known:
            raise Broken("there is no MANIFEST in it, so it is no package of events")
        self._in_order(KEY, self._own_key)
        self._in_order(MANIFEST, self._every_file)
        self._in_order(CHECKPOINT, self._signed_checkpoint)
        if self._found:
            self._in_order("chain", self._chain)
            for index in self._indexes():
                self._in_order(self._named(event_file(index, "header")), partial(self._event, index))
            self._in_order(COMPLETENESS, self._completeness)
        size, root = (self._found.size, self._found.root.hex()) if self._found else (0, "")
        events = sum(event_file(index, "json") in self._known for index in self._indexes())
        return Report(self.findings[:FINDINGS_MOST], self.proven, self.attested, events, size, root)

    def _in_order(self, where: str, check: Callable[[], None]) -> None:
        try:
            check()
        except (Broken, OSError) as error:
            self._wrong(where, str(error))
        except (ValueError, TypeError, KeyError, AttributeError):
            self._wrong(where, "it is not of the form that it should be")

    def _wrong(self, where: str, what: str) -> None:
        self.findings.append({"where": where, "what": what})

    def _read(self, name: str) -> bytes:
        if name not in self._known:
            raise Broken(f"{name} is missing")
        return self._package.read(name)

    def _own_key(self) -> None:
        if self._read(KEY) != f"{self._key.text}\n".encode():
            raise Broken("the package carries another key than the one it is checked with")

    def _every_file(self) -> None:
        note = Note.of_text(as_text(self._read(MANIFEST)))
        if len(note.signatures) != 1 or not note.is_signed_by(self._key):
            raise Broken(f"the list of files is not signed by {self._key.name}")
        purpose, *lines = note.text[:-1].split("\n")
        if purpose != f"{self._key.name}/package":
            raise Broken("this is no list of a package's files")
        listed = {line[66:]: line[:64] for line in lines}
        for name in sorted(self._known - listed.keys() - {MANIFEST}):
            self._wrong(self._named(name), "it is not in the signed list of files: it was added")
        for name, sha256 in listed.items():
            if name not in self._known:
                self._wrong(self._named(name), "it is in the signed list of files and not here: it was removed")
            elif hashlib.sha256(self._package.read(name)).hexdigest() != sha256:
                self._wrong(self._named(name), "it is not as it was when the list of files was signed: it was changed")

    def _named(self, name: str) -> str:
        """The file, and which event it belongs to where its header still tells."""
        found = EVENT_FILE.fullmatch(name)
        if not found:
            return name
        try:
            return f"{name} ({place_of(header_of(self._read(event_file(int(found[1]), 'header'))))})"
        except Broken:
            return name

    def _signed_checkpoint(self) -> None:
        raw = self._read(CHECKPOINT)
        self._found = Checkpoint.opened(raw, self._key)
        self._checkpoint_note = raw

    def _chain(self) -> None:
        sizes = sorted(int(found[1]) for name in self._names if (found := CHAIN_FILE.fullmatch(name)))
        chain = [self._link(size) for size in sizes]
        if not chain or chain[-1] != self.checkpoint:
            raise Broken("the chain of checkpoints does not end with the checkpoint")
        for old, new in pairwise(chain):
            name = f"chain/{old.size:012}.consistency"
            proof = [decoded(line) for line in as_text(self._read(name)).splitlines()]
            self._in_order(name, partial(must_be_consistent, old, new, proof))
        self.proven.append(f"{len(chain)} checkpoint(s), each consistent with the next")
        for witness in self._witnesses:
            self._in_order(f"witness {witness.name}", partial(self._cosigned, witness, sizes))

    def _cosigned(self, witness: PublicKey, sizes: list[int]) -> None:
        notes = {size: Note.of_text(as_text(self._read(f"chain/{size:012}.checkpoint"))) for size in sizes}
        good = [size for size, note in notes.items() if note.is_signed_by(witness)]
        if not good:
            raise Broken("it has signed no checkpoint in here")
        self.proven.append(f"the witness {witness.name} cosigned the checkpoint of {max(good)} events")

    def _link(self, size: int) -> Checkpoint:
        found = Checkpoint.opened(self._read(f"chain/{size:012}.checkpoint"), self._key)
        if found.size != size:
            raise Broken(f"the checkpoint of {size} says {found.size}")
        return found

    def _indexes(self) -> list[int]:
        found = (EVENT_FILE.fullmatch(name) for name in self._names)
        return sorted({int(each[1]) for each in found if each})

    def _event(self, index: int) -> None:
        raw = self._read(event_file(index, "header"))
        header = header_of(raw)
        if header["index"] != index:
            raise Broken(f"its header is that of entry {header['index']}")
        self._is_in_the_tree(index, leaf_hash(raw))
        if event_file(index, "json") in self._known:
            self._is_as_stored(header, self._read(event_file(index, "json")))
        self._headers[index] = header

    def _is_in_the_tree(self, index: int, leaf: bytes) -> None:
        proof = InclusionProof.of_bytes(self._read(event_file(index, "tlog-proof")))
        if proof.entry != index or proof.checkpoint != self._checkpoint_note:
            raise Broken("its proof is for another place or another checkpoint")
        if root_by_inclusion(index, self.checkpoint.size, leaf, proof.hashes) != self.checkpoint.root:
            raise Broken("the signed tree does not hold it")

    def _is_as_stored(self, header: Mapping[str, Any], stored: bytes) -> None:
        if hashlib.sha256(stored).hexdigest() != header["sha256"]:
            raise Broken("the stored bytes are not those that were signed for")
        try:
            event = json.loads(stored)
        except (ValueError, RecursionError):
            raise Broken("the stored bytes are no JSON") from None
        if [event.get(name) for name in ("case", "position", "kind")] != [
            header[name] for name in ("case", "position", "kind")
        ]:
            raise Broken("the stored bytes belong to another place")
        for sha256 in evidence_in(event):
            self._evidence(sha256)
        self._policy(event)

    def _evidence(self, sha256: str) -> None:
        name = f"evidence/{sha256}"
        if name not in self._known and f"{name}.absent" not in self._known:
            raise Broken(f"its evidence {sha256} is not in the package, nor said to be absent")
        if name in self._known and hashlib.sha256(self._read(name)).hexdigest() != sha256:
            raise Broken(f"its evidence {sha256} is not what its name says")

    def _policy(self, event: Mapping[str, Any]) -> None:
        if event.get("kind") != "policy_adoption.PolicyAdopted":
            return
        fact = event["fact"]
        name = f"policies/{fact['sha256']}.toml"
        if name in self._known and self._read(name) != fact["text"].encode():
            raise Broken(f"{name} is not the text that was adopted")

    # -- completeness

    def _completeness(self) -> None:
        lines = opened(self._read(COMPLETENESS), self._key).split("\n")
        if lines[0] != f"{self._key.name}/completeness" or len(lines) != 3:  # noqa: PLR2004  # purpose, statement, end
            raise Broken("this is no statement of completeness")
        try:
            said = json.loads(lines[1])
        except ValueError:
            raise Broken("the statement is no JSON") from None
        if (said["size"], said["root"]) != (self.checkpoint.size, coded(self.checkpoint.root)):
            raise Broken("the statement is about another checkpoint")
        ways = {"case": self._a_case, "period": self._a_period, "all": self._all}
        ways.get(said["scope"], self._by_search)(said)

    def _a_case(self, said: Mapping[str, Any]) -> None:
        for stream, head in said["streams"].items():
            positions = sorted(each["position"] for each in self._headers.values() if each["case"] == stream)
            if positions != list(range(1, head + 1)):
                missing = sorted(set(range(1, head + 1)) - set(positions))
                raise Broken(f"{stream} has {head} events, and these are not here: {missing[:10]}")
        self.proven.append(
            "every event of the case is here: its stream positions are without a gap up to the head that the signed"
            " statement names: " + ", ".join(f"{stream} {head}" for stream, head in said["streams"].items())
        )

    def _a_period(self, said: Mapping[str, Any]) -> None:
        first, end = said["first"], said["end"]
        self._without_a_gap(first, end)
        inside = [self._headers[index]["recorded_at"] for index in range(first, end)]
        before, after = self._headers.get(first - 1), self._headers.get(end)
        edges = [
            first == 0 or (before is not None and before["recorded_at"] < said["from"]),
            end == self.checkpoint.size or (after is not None and after["recorded_at"] >= said["to"]),
            all(said["from"] <= at < said["to"] for at in inside),
        ]
        if not all(edges):
            raise Broken("the events do not fill the period that the statement names")
        self.proven.append(
            f"every event recorded from {said['from']} to {said['to']} is here: entries {first} to {end - 1}"
        )

    def _all(self, said: Mapping[str, Any]) -> None:
        self._without_a_gap(0, self.checkpoint.size)
        self.proven.append(f"every event up to the checkpoint is here: {self.checkpoint.size}")

    def _without_a_gap(self, first: int, end: int) -> None:
        missing = [
            index
            for index in range(first, end)
            if index not in self._headers or event_file(index, "json") not in self._known
        ]
        if missing:
            raise Broken(f"{len(missing)} event(s) are not here, the first is entry {missing[0]} of the tree")

    def _by_search(self, said: Mapping[str, Any]) -> None:
        if said["indexes"] != sorted(set(said["indexes"])) or not set(said["indexes"]) <= self._headers.keys():
            raise Broken("events that the statement names are not here")
        self.proven.append("each event that is here is in the log")
        self.attested.append(
            f"that these {len(said['indexes'])} events are all that concern {said['scope']} {said['of']} is signed by"
            " whoever keeps the log; no proof shows it"
        )


def event_file(index: int, kind: str) -> str:
    return f"events/{index // INDEXES_AT_ONCE:09}/{index:012}.{kind}"


def evidence_in(value: Any) -> Iterator[str]:
    """The names of the evidence files that an event speaks of."""
    if isinstance(value, dict):
        if {"sha256", "size", "media_type", "under", "wrapped", "nonce"} <= value.keys():
            yield str(value["sha256"])
        for each in value.values():
            yield from evidence_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from evidence_in(each)


def package_at(path: Path) -> Folder | Tar:
    if path.is_dir():
        inside = path / "package"
        return Folder(inside if not (path / MANIFEST).exists() and (inside / MANIFEST).exists() else path)
    if not path.is_file():
        raise Broken(f"{path} is not there")
    return Tar(path)


def check(path: Path, key: PublicKey, witnesses: list[PublicKey] | None = None) -> Report:
    """Everything that is wrong with a package, and what it proves. Broken: it is none."""
    return Check(package_at(path), key, witnesses or []).run()


def in_words(report: Report) -> str:
    lines = [f"WRONG  {each['where']}: {each['what']}" for each in report.findings]
    lines += [f"proven: {each}" for each in report.proven]
    lines += [f"attested only: {each}" for each in report.attested]
    ending = "in order" if not report.findings else "NOT in order"
    return "\n".join([*lines, f"{report.events} events, checkpoint of {report.size} events: {ending}"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a package of events, offline.")
    parser.add_argument("package", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="file with the log's public key, not from the package")
    parser.add_argument("--witness", type=Path, action="append", default=[], help="file with a witness's public key")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        key, *witnesses = [PublicKey.of_text(as_text(each.read_bytes())) for each in (asked.key, *asked.witness)]
        report = check(asked.package, key, witnesses)
    except (Broken, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG if asked.package.is_file() and isinstance(error, Broken) else NO_PACKAGE
    sys.stdout.write((json.dumps(report.as_json(), indent=2) if asked.json else in_words(report)) + "\n")
    return WRONG if report.findings else IN_ORDER


if __name__ == "__main__":
    sys.exit(main())
