"""Another key-encryption key takes the place of today's, which is destroyed; and with it whatever it alone wrapped.

A row that is deleted lives on in dead rows, in the write-ahead log and in backups, wrapped as it was. So forgetting a
person is this: their key is left out while all others are wrapped anew, and the key-encryption key of before is written
over. Killed anywhere, it leaves a system that opens whatever it should, and is finished by the next call.

    beside the old one, a new key is written          the database names the old: the new one counts for nothing yet
    one transaction: all rows wrapped anew            from its commit on the database names the new, which stands beside
    the old file is written over, the new moved in    both are looked at until this is done
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from services.key_store import (
    FIRST_OF_ALL,
    KEY_BYTES,
    CannotOpen,
    KeyEncryptionKey,
    KeyFile,
    by_another,
    key_in,
    overwrite,
    write_secret,
)
from services.patrons import INDEX_KEY, hashed_anew

ONE_AT_A_TIME = "select pg_advisory_lock(hashtextextended('imprimatur key-encryption key', 0))"
NAMED = "select kek from keys.current"
HOLD = "select kek from keys.current for update"
NAME = "update keys.current set kek = %s"
EVERY_KEY = "select key_id, wrapped from keys.wrapping"
FORGET = "delete from keys.wrapping where key_id = any (%s)"
REWRAP = (
    "update keys.wrapping w set wrapped = n.wrapped, kek = %s "
    "from unnest(%s::text[], %s::bytea[]) n (id, wrapped) where w.key_id = n.id"
)
TOMBSTONE = "insert into keys.destroyed (key_id, kek_before, kek_after, survivors) values (%s, %s, %s, %s)"
WHAT_BECAME = "select key_id, kek_before, kek_after, survivors from keys.destroyed where key_id = any (%s)"
KEEPER_WAITS = "-c lock_timeout=60s"


class Rotated(NamedTuple):
    """`before` and `after` name the key-encryption keys; `survivors` is how many keys were wrapped anew."""

    before: str
    after: str
    survivors: int


def rotate(url: str, file: KeyFile) -> Rotated:
    """Another key-encryption key in the place of today's, which is destroyed. CannotOpen where this system lacks
    today's. Waits while another rotation runs, a minute at most."""
    with alone(url, file) as conn:
        settle(conn, file)
        rotated = wrap_anew(conn, file, ())
        settle(conn, file)
    return rotated


def destroy(url: str, file: KeyFile, key_ids: Sequence[str]) -> Rotated:
    """These keys destroyed for good, once: the same again finds it done and answers the same. All others survive."""
    with alone(url, file) as conn:
        settle(conn, file)
        became = conn.execute(WHAT_BECAME, (list(key_ids),)).fetchall()
        if left := sorted(set(key_ids) - {key_id for key_id, *_ in became}):
            rotated = wrap_anew(conn, file, left)
            settle(conn, file)
            return rotated
        _, before, after, survivors = became[-1]
    return Rotated(before, after, survivors)


def finish(url: str, file: KeyFile) -> None:
    """What a rotation that was killed left to do, if any did."""
    with alone(url, file) as conn:
        settle(conn, file)


@contextmanager
def alone(url: str, file: KeyFile) -> Iterator[Connection[Any]]:
    """One at a time, here and on any machine; the locks go with the process and the connection, however they end."""
    file.made()
    with file.file.with_name(f"{file.file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(url, autocommit=True, options=KEEPER_WAITS) as conn:
            conn.execute(ONE_AT_A_TIME)
            yield conn


def wrap_anew(conn: Connection[Any], file: KeyFile, forget: Sequence[str]) -> Rotated:
    secret = os.urandom(KEY_BYTES)
    write_secret(file.next, secret)
    on_the_disk(file)
    fresh = KeyEncryptionKey(secret)
    with conn.transaction():
        (before,) = conn.execute(HOLD).fetchone() or ("",)
        kek = file.named(before)
        if kek is None:
            raise CannotOpen(by_another(before))
        conn.execute(FORGET, ([*forget, *([INDEX_KEY] if forget else [])],))
        keys = {key_id: kek.unwrap(wrapped) for key_id, wrapped in conn.execute(EVERY_KEY).fetchall()}
        conn.execute(REWRAP, (fresh.id, list(keys), [fresh.wrap(key) for key in keys.values()]))
        if forget:
            hashed_anew(conn, index_key_made(conn, fresh), keys)
        for key_id in forget:
            conn.execute(TOMBSTONE, (key_id, before, fresh.id, len(keys)))
        conn.execute(NAME, (fresh.id,))
    return Rotated(before, fresh.id, len(keys))


def index_key_made(conn: Connection[Any], kek: KeyEncryptionKey) -> bytes:
    fresh = os.urandom(KEY_BYTES)
    conn.execute("insert into keys.wrapping values (%s, %s, %s)", (INDEX_KEY, kek.wrap(fresh), kek.id))
    return fresh


def settle(conn: Connection[Any], file: KeyFile) -> None:
    """The key-encryption key that the database names is in the file, and no other is anywhere."""
    conn.execute(FIRST_OF_ALL, (file.newest().id,))
    (named,) = conn.execute(NAMED).fetchone() or ("",)
    stands, beside = key_in(file.file), key_in(file.next)
    if beside is not None and beside.id == named:
        if file.file.exists():
            overwrite(file.file)
        file.next.replace(file.file)
    elif stands is None or stands.id != named:
        raise CannotOpen(by_another(named))
    elif file.next.exists():
        # nothing was ever wrapped by it
        overwrite(file.next)
        file.next.unlink()
    on_the_disk(file)


def on_the_disk(file: KeyFile) -> None:
    folder = os.open(file.file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
