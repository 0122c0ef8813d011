"""That the search for traces finds what is there: a search that finds nothing proves nothing by itself."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from pathlib import Path

import psycopg
import pytest

from services.embedded_postgresql import EmbeddedPostgreSQL
from services.key_store import KeyEncryptionKey, KeyStore
from tests.fresh import fresh_database
from tests.services.traces import LETTERS, a_tag, found_in, unwrapped_by, where, wrapped_keys_in

KEK = KeyEncryptionKey(b"k" * 32)
AROUND = random.Random(1).randbytes(5_000)


def wrapped_up(tag: str) -> dict[str, bytes]:
    text = f'{{"reason": "{tag}"}}'.encode()
    return {
        "clear": text,
        **{f"base64 {shift}": base64.b64encode(b"x" * shift + text) for shift in range(3)},
        "hex": text.hex().encode(),
        "zlib": zlib.compress(text * 3),
        "zlib fast": zlib.compress(text, 1),
        "gzip": gzip.compress(text),
        "base64 in zlib": zlib.compress(base64.b64encode(text)),
    }


@pytest.mark.parametrize("how", wrapped_up("x"))
def test_a_marker_is_found_however_it_is_written(how: str) -> None:
    tag = a_tag()
    assert found_in(AROUND + wrapped_up(tag)[how] + AROUND, tag)
    assert not found_in(AROUND + wrapped_up(a_tag())[how] + AROUND, tag)


def test_a_marker_is_found_in_rows_that_postgresql_compressed_also_when_they_are_deleted(
    server: EmbeddedPostgreSQL,
) -> None:
    """In the row itself, beside it (TOAST), and beside it without compression."""
    tags = {storage: a_tag() for storage in ("main", "extended", "external")}
    filler = "".join(random.Random(2).choice(LETTERS) for _ in range(600)) * 20
    with fresh_database(server) as database, psycopg.connect(database.superuser, autocommit=True) as conn:
        for storage, tag in tags.items():
            conn.execute(f"create table {storage} (text text)")
            conn.execute(f"alter table {storage} alter column text set storage {storage}")
            conn.execute(f"insert into {storage} values (%s)", (filler[:3_000] + tag + filler,))
            conn.execute(f"delete from {storage}")
        conn.execute("checkpoint")
        tables, log = folder_of(conn, server), server.cluster / "pg_wal"
        for tag in tags.values():
            assert where(tag, tables)
        assert where(tags["extended"], log)
        assert not where(a_tag(), tables)


def test_a_wrapped_key_is_found_after_its_row_was_deleted(server: EmbeddedPostgreSQL, tmp_path: Path) -> None:
    with fresh_database(server) as database, psycopg.connect(database.superuser, autocommit=True) as conn:
        keys = KeyStore(database.url("keeper"), KEK)
        key = keys.keys(["patron:x"])["patron:x"]
        keys.close()
        conn.execute("delete from keys.wrapping")
        conn.execute("checkpoint")
        for place in (folder_of(conn, server), server.cluster / "pg_wal"):
            candidates = wrapped_keys_in(place)
            assert key in unwrapped_by(KEK, candidates)
            assert key not in unwrapped_by(KeyEncryptionKey(b"x" * 32), candidates)
    assert not wrapped_keys_in(tmp_path)


def folder_of(conn: psycopg.Connection[tuple[object, ...]], server: EmbeddedPostgreSQL) -> Path:
    (oid,) = conn.execute("select oid::text from pg_database where datname = current_database()").fetchone() or ("",)
    return server.cluster / "base" / str(oid)
