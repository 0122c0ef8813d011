"""Wrapping keys, in a database schema of their own, wrapped by a key-encryption key that is kept outside the database.

What a process remembers of the wrapping keys holds for one key-encryption key alone, and the file is looked at with
each sealing and each opening: another one takes its place whenever a key is destroyed, so what was destroyed a moment
ago is gone everywhere at that moment.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from psycopg import Connection
from psycopg_pool import ConnectionPool

from services.settings import write_whole

KEY_BYTES = 32
CURRENT = "select kek from keys.current for share"
FIRST_OF_ALL = "insert into keys.current (kek) values (%s) on conflict do nothing"
STORED = "select key_id, wrapped, kek from keys.wrapping where key_id = any (%s)"
MAKE = "insert into keys.wrapping values (%s, %s, %s) on conflict (key_id) do nothing"
# in one statement what Held.keys does in seven. Where all are stored nothing is written; where another key-encryption
# key counts, or one of them was destroyed, nothing is made.
STORED_OR_MADE = (
    "with stored as (select key_id, wrapped, kek from keys.wrapping where key_id = any (%(ids)s)), "
    "now as (select kek from keys.current where kek = %(kek)s "
    "and (select count(*) from stored) < cardinality(%(ids)s::text[]) for share), "
    "made as (insert into keys.wrapping select id, wrapped, now.kek "
    "from unnest(%(ids)s::text[], %(wrapped)s::bytea[]) as fresh (id, wrapped), now "
    "where not exists (select from keys.destroyed where key_id = any (%(ids)s)) "
    "on conflict (key_id) do nothing returning key_id, wrapped, kek) "
    "select * from stored union all select * from made"
)
DESTROYED = "select key_id from keys.destroyed where key_id = any (%s)"
# a rotation may come between the look at the table and the look at the file; hardly twice
LOOKS = 3
REMEMBERED_AT_MOST = 10_000


class CannotOpen(Exception):
    """A key it was sealed under is gone, or it was sealed for another place."""


class KeyDestroyed(CannotOpen):
    """Someone was forgotten, and nothing more is sealed for them."""


class KeyEncryptionKey:
    """Wraps the wrapping keys. `id` tells which one wrapped a row."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = hashlib.sha256(b"imprimatur kek id" + secret).hexdigest()[:16]

    def named(self, id_: str) -> KeyEncryptionKey | None:
        return self if id_ == self.id else None

    def newest(self) -> KeyEncryptionKey:
        return self

    def epoch(self) -> str | None:
        return self.id

    def wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._secret, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return aes_key_unwrap(self._secret, wrapped)


class KeyEncryptionKeys(Protocol):
    """Where the key-encryption key is: asked each time, since another may have taken its place."""

    def named(self, id_: str) -> KeyEncryptionKey | None: ...

    def newest(self) -> KeyEncryptionKey: ...

    def epoch(self) -> str | None:
        """What is remembered holds for as long as this is the same; None: nothing may be remembered now."""


class KeyFile:
    """The key-encryption key in a file of its own (base64), its owner's alone. While another takes its place that one
    stands beside it, and which of the two counts is what the database says."""

    def __init__(self, file: Path) -> None:
        self.file, self.next = file, file.with_name(f"{file.name}.next")

    def is_begun(self) -> bool:
        return self.file.exists() or self.next.exists()

    def made(self) -> KeyFile:
        """The same, with a key in it: made on first use, by whoever is first."""
        if not self.is_begun():
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = self.file.with_name(f"{self.file.name}.{uuid4().hex}")
            write_secret(fresh, os.urandom(KEY_BYTES))
            try:
                os.link(fresh, self.file)
            except FileExistsError:
                overwrite(fresh)
            fresh.unlink()
        return self

    def named(self, id_: str) -> KeyEncryptionKey | None:
        # the first twice: what stands beside it may be moved in its place between the two looks
        found = (key_in(file) for file in (self.file, self.next, self.file))
        return next((each for each in found if each and each.id == id_), None)

    def newest(self) -> KeyEncryptionKey:
        found = key_in(self.file) or key_in(self.next) or key_in(self.file)
        if found is None:
            raise CannotOpen(f"there is no key-encryption key in {self.file}")
        return found

    def epoch(self) -> str | None:
        """While another key-encryption key is about to take its place, each time is asked for anew."""
        if self.next.exists():
            return None
        try:
            # its own words would do, but must not be kept about
            return hashlib.sha256(self.file.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None


def key_in(file: Path) -> KeyEncryptionKey | None:
    """None where there is none, or nothing but what was written over one."""
    try:
        secret = base64.b64decode(file.read_text(encoding="ascii").strip(), validate=True)
    except (FileNotFoundError, ValueError):
        return None
    return KeyEncryptionKey(secret) if len(secret) == KEY_BYTES else None


def write_secret(file: Path, secret: bytes) -> None:
    write_whole(file, base64.b64encode(secret).decode(), mode=0o600)


def overwrite(file: Path) -> None:
    """Zeros in place of what is in it, on the disk when this returns. What the disk itself copied is not reached."""
    with file.open("r+b") as out:
        out.write(bytes(file.stat().st_size))
        out.flush()
        os.fsync(out.fileno())


class Held(NamedTuple):
    """The wrapping keys while no other key-encryption key takes its place, in one transaction."""

    conn: Connection[Any]
    kek: KeyEncryptionKey

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Keys by id; what is missing is made, whoever asks first. KeyDestroyed for one that was destroyed."""
        wanted = list(dict.fromkeys(key_ids))
        found = self.existing(wanted)
        if missing := [each for each in wanted if each not in found]:
            for key_id, *_ in self.conn.execute(DESTROYED, (missing,)):
                raise KeyDestroyed(f"the key {key_id} was destroyed, and none of that name is made again")
            with self.conn.cursor() as cursor:
                fresh = [(each, self.kek.wrap(os.urandom(KEY_BYTES)), self.kek.id) for each in sorted(missing)]
                cursor.executemany(MAKE, fresh)
            # of two who make it at once one is stored, and both read that one
            found |= self.existing(missing)
        return {each: found[each] for each in wanted}

    def existing(self, key_ids: list[str]) -> dict[str, bytes]:
        return {id_: self.kek.unwrap(wrapped) for id_, wrapped, _ in self.conn.execute(STORED, (key_ids,))}


class KeyStore:
    """The wrapping keys by id (`case:<case id>`, `patron:<patron id>`)."""

    def __init__(self, url: str, keks: KeyEncryptionKeys) -> None:
        self.pool = ConnectionPool(url, min_size=1, max_size=4, open=True, kwargs={"autocommit": True})
        self.keks = keks
        self._lock, self._remembered, self._epoch = Lock(), dict[str, bytes](), ""

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Keys by id; what is missing is made. KeyDestroyed for one that was destroyed."""
        wanted = list(dict.fromkeys(key_ids))
        found = self._remembered_or_asked(wanted, self._stored_or_made)
        return {each: found[each] for each in wanted}

    def existing(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        """Those of these keys that exist."""
        return self._remembered_or_asked(list(dict.fromkeys(key_ids)), lambda _, unknown: self._stored(unknown))

    def _remembered_or_asked(
        self, wanted: list[str], ask: Callable[[str | None, list[str]], dict[str, bytes]]
    ) -> dict[str, bytes]:
        """The epoch is read before anything is asked: what is found out is remembered for that one or for none."""
        epoch = self.keks.epoch()
        found = self._known(epoch, wanted)
        if unknown := [each for each in wanted if each not in found]:
            found |= ask(epoch, unknown)
            self._remember(epoch, found)
        return found

    def _stored_or_made(self, epoch: str | None, wanted: list[str]) -> dict[str, bytes]:
        if epoch:
            kek, ids = self.keks.newest(), sorted(wanted)
            asked = {"kek": kek.id, "ids": ids, "wrapped": [kek.wrap(os.urandom(KEY_BYTES)) for _ in ids]}
            with self.pool.connection() as conn:
                rows = conn.execute(STORED_OR_MADE, asked, prepare=True).fetchall()
            if len(rows) == len(ids) and all(of == kek.id for *_, of in rows):
                return {key_id: kek.unwrap(wrapped) for key_id, wrapped, _ in rows}
        # somebody else makes one of them, or it was destroyed, or another key-encryption key takes its place
        with self.held() as held:
            return held.keys(wanted)

    def _known(self, epoch: str | None, wanted: list[str]) -> dict[str, bytes]:
        with self._lock:
            if epoch != self._epoch or len(self._remembered) > REMEMBERED_AT_MOST:
                self._remembered.clear()
                self._epoch = epoch or ""
            return {each: self._remembered[each] for each in wanted if each in self._remembered}

    def _remember(self, epoch: str | None, found: dict[str, bytes]) -> None:
        with self._lock:
            if epoch and epoch == self._epoch:
                self._remembered |= found

    def _stored(self, wanted: list[str]) -> dict[str, bytes]:
        kek = ""
        for _ in range(LOOKS):
            with self.pool.connection() as conn:
                rows = conn.execute(STORED, (wanted,), prepare=True).fetchall()
            keks = {kek: self.keks.named(kek) for kek in {kek for *_, kek in rows}}
            if None not in keks.values():
                return {key_id: unwrapped(keks[kek], wrapped) for key_id, wrapped, kek in rows}
            kek = next(id_ for id_, found in keks.items() if found is None)
        raise CannotOpen(by_another(kek))

    @contextmanager
    def held(self) -> Iterator[Held]:
        """For whoever makes a key or writes by one: no other key-encryption key takes its place meanwhile."""
        with self.pool.connection() as conn, conn.transaction():
            yield Held(conn, self._current(conn))

    def _current(self, conn: Connection[Any]) -> KeyEncryptionKey:
        row = conn.execute(CURRENT).fetchone()
        if row is None:
            conn.execute(FIRST_OF_ALL, (self.keks.newest().id,))
            row = conn.execute(CURRENT).fetchone()
        (id_,) = row or ("",)
        kek = self.keks.named(id_)
        if kek is None:
            raise CannotOpen(by_another(id_))
        return kek

    def close(self) -> None:
        self.pool.close()


def unwrapped(kek: KeyEncryptionKey | None, wrapped: bytes) -> bytes:
    if kek is None:
        raise CannotOpen("a key without the key that wrapped it")
    return kek.unwrap(wrapped)


def by_another(kek: str) -> str:
    return f"the keys are wrapped by another key-encryption key ({kek}) than this system has"
