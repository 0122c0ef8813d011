"""A database for one test alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

from services.database import ROLES, migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.system import Database

PASSWORDS = dict.fromkeys(ROLES, "only-for-tests")


@contextmanager
def fresh_database(server: EmbeddedPostgreSQL) -> Iterator[Database]:
    name = f"t_{uuid4().hex}"
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    database = Database(server.superuser_dsn, name, PASSWORDS)
    migrate(database.superuser, PASSWORDS)
    yield database
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
