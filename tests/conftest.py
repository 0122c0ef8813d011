"""Real servers for the tests: one PostgreSQL for each test process, a database of its own for each test module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from services.database import ROLES, migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.system import Database, Office

# two processes share the files of the suite: the short ones come last, so that neither waits long for the other
LONG_FIRST = ("workflows", "services", "projections", "domain")
PASSWORDS = dict.fromkeys(ROLES, "only-for-tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG_FIRST.index(name) if (name := item.path.parent.name) in LONG_FIRST else 0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgreSQL]:
    data = Path(tmp_path_factory.mktemp("postgresql"))
    server = EmbeddedPostgreSQL(data)
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture(scope="module")
def database(server: EmbeddedPostgreSQL, request: pytest.FixtureRequest) -> Database:
    """A migrated database of its own: what one module records, no other sees."""
    name = "t_" + request.module.__name__.replace(".", "_")[-50:]
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    database = Database(server.superuser_dsn, name, PASSWORDS)
    migrate(database.superuser, PASSWORDS)
    return database


@pytest.fixture(scope="module")
def office(database: Database) -> Iterator[Office]:
    """Founded, in this module's database."""
    office = Office(database).founded()
    yield office
    office.close()
