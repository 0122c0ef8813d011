"""Roles, schemas and grants. Run at every start by whoever may make roles; nothing of the running system connects so.

Roles: the migrator owns what there is; the recorder adds to the log; the projector keeps the views; the keeper holds
the wrapping keys; the notary keeps the proofs; the reader reads. None of them can change or remove an event.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg import sql

ROLES = ("migrator", "recorder", "projector", "keeper", "notary", "reader")
# one migration at a time, whoever starts first
MIGRATION_LOCK = 7_205_341_187


def migrate(superuser_dsn: str, passwords: dict[str, str]) -> None:
    """Make or bring up to date what the system needs in PostgreSQL 17 or newer. Leaves every stored event alone."""
    with psycopg.connect(superuser_dsn) as conn:
        conn.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        for role in ROLES:
            make_role(conn, role, passwords.get(role))
        database = conn.info.dbname
        conn.execute(
            sql.SQL("grant create on database {} to imprimatur_migrator").format(sql.Identifier(database))
        )
        conn.execute("set local role imprimatur_migrator")
        conn.execute(text_of("schema.sql"))
        conn.execute(text_of("audit/proofs.sql"))
        conn.execute(text_of("keys.sql"))
        conn.execute(text_of("grants.sql"))
        conn.execute("reset role")
        conn.execute(
            "alter default privileges for role imprimatur_projector in schema views "
            "grant select on tables to imprimatur_reader, imprimatur_recorder"
        )


def make_role(conn: psycopg.Connection[tuple[object, ...]], role: str, password: str | None) -> None:
    name = sql.Identifier(f"imprimatur_{role}")
    found = conn.execute("select 1 from pg_roles where rolname = %s", (f"imprimatur_{role}",)).fetchone()
    if not found:
        conn.execute(sql.SQL("create role {} login").format(name))
    if password:
        conn.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(password)))


def text_of(file: str) -> bytes:
    return files("services").joinpath(file).read_bytes()
