"""A witness: on another machine, with a key and a memory of its own, it cosigns only checkpoints that are consistent
with every one it cosigned before (C2SP tlog-cosignature). It reads what is published and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx

from services.audit.keys import SigningKey
from services.audit.package_verifier import Broken, Checkpoint, Note, PublicKey, as_text, must_be_consistent
from services.audit.published import Published, put
from services.audit.tree import HEIGHT, WIDTH, TileAt, Tree
from services.clock import Clock

PATIENCE_SECONDS = 20.0
NOT_FOUND = 404


class Inconsistent(Exception):
    """What is published contradicts what was cosigned: the log has two histories."""


class Unreadable(Exception):
    """What is published cannot be read now."""


class Reader(Protocol):
    def note(self) -> bytes | None: ...
    def tile(self, level: int, nth: int) -> bytes: ...


class ByAddress:
    """A published folder behind a web server."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/") + "/", timeout=PATIENCE_SECONDS)
        self._size = 0

    def note(self) -> bytes | None:
        raw = self._get("checkpoint")
        if raw is not None:
            self._size = Checkpoint.of_text(Note.of_text(as_text(raw)).text).size
        return raw

    def tile(self, level: int, nth: int) -> bytes:
        """As wide as it is under the checkpoint that was read."""
        wide = min(WIDTH, (self._size >> (HEIGHT * level)) - nth * WIDTH)
        return self._get(TileAt(level, nth, wide).path) or self._get(TileAt(level, nth).path) or b""

    def _get(self, path: str) -> bytes | None:
        try:
            answer = self._http.get(path)
            if answer.status_code == NOT_FOUND:
                return None
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unreadable(f"{path}: {type(error).__name__}") from None
        return answer.content


def reader_at(place: str) -> Reader:
    return ByAddress(place) if place.startswith(("http://", "https://")) else Published(Path(place))


class Seen(NamedTuple):
    """What came of one look."""

    size: int
    cosigned: bool


class Witness:
    """`memory` is the folder of its last checkpoint; nothing is cosigned before it stands there."""

    def __init__(self, log: PublicKey, key: SigningKey, memory: Path, reader: Reader, clock: Clock) -> None:
        self._log, self._key, self._file = log, key, memory / "checkpoint"
        self._reader, self._clock = reader, clock

    def look(self, out: Callable[[str, bytes], None] | None = None) -> Seen:
        """Cosign the published checkpoint where it is new and consistent. Inconsistent, Unreadable, Broken."""
        raw = self._reader.note()
        if raw is None:
            raise Unreadable("no checkpoint is published there")
        found, before = Checkpoint.opened(raw, self._log), self._before()
        if before and found == before:
            if out:
                out(self._key.public.name, self._file.read_bytes())
            return Seen(found.size, cosigned=False)
        self._must_follow(before, found)
        at = int(self._clock.now().timestamp())
        note = Note.of_text(as_text(raw))
        cosigned = f"{note.text}\n{own_line(raw, self._log)}{self._key.cosign(note.text, at)}".encode()
        put(self._file, cosigned)
        if out:
            out(self._key.public.name, cosigned)
        return Seen(found.size, cosigned=True)

    def _before(self) -> Checkpoint | None:
        return Checkpoint.opened(self._file.read_bytes(), self._log) if self._file.exists() else None

    def _must_follow(self, before: Checkpoint | None, found: Checkpoint) -> None:
        tree = Tree(self._reader.tile)
        if before and before.size > found.size:
            raise Inconsistent(
                f"a checkpoint of {found.size} events is published, and one of {before.size} was cosigned"
            )
        try:
            if tree.root(found.size) != found.root:
                raise Inconsistent(f"the published leaf hashes do not lead to the checkpoint of {found.size} events")
            if before:
                must_be_consistent(before, found, tree.consistency(before.size, found.size))
        except Broken as broken:
            raise Inconsistent(str(broken)) from None


def own_line(raw: bytes, key: PublicKey) -> str:
    """The log's own line of the note; what others wrote on it is theirs to vouch for."""
    lines = as_text(raw).rpartition("\n\n")[2]
    return next(f"{line}\n" for line in lines.splitlines() if line.startswith(f"— {key.name} "))
