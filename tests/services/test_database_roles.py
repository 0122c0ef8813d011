"""The database guards the log too: whatever runs here may add and read, and nobody may change or remove."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from services.database import ROLES, migrate
from tests.conftest import PASSWORDS
from tests.system import Database, Office, a_case, a_request

EVERYONE = ("recorder", "projector", "keeper", "reader", "migrator", "superuser")
GUARDED = ("events", "commands", "scopes", "claims", "evidence")
STATEMENTS = {
    "update": "update ledger.{table} set {column} = {column}",
    "delete": "delete from ledger.{table}",
    "truncate": "truncate ledger.{table}",
}
A_COLUMN = {"events": "topic", "commands": "stream", "scopes": "scope", "claims": "key", "evidence": "sha256"}


@pytest.fixture(scope="module")
def office(database: Database) -> Iterator[Office]:
    office = Office(database).founded()
    office.submit(a_request("roles.library"), a_case(), "p-bm-durant")
    office.ledger.recorder.note_evidence("0" * 64, 1)
    yield office
    office.close()


def connect(database: Database, role: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(database.superuser if role == "superuser" else database.url(role), autocommit=True)


def statement(what: str, table: str) -> sql.Composed:
    names = {"table": sql.Identifier(table), "column": sql.Identifier(A_COLUMN[table])}
    return sql.SQL(STATEMENTS[what]).format(**names)


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize("what", list(STATEMENTS))
@pytest.mark.parametrize("role", EVERYONE)
@pytest.mark.usefixtures("office")
def test_nobody_changes_or_removes_what_is_recorded(database: Database, role: str, what: str, table: str) -> None:
    with connect(database, role) as conn, pytest.raises(InsufficientPrivilege) as stopped:
        conn.execute(statement(what, table))
    by_trigger = role in ("migrator", "superuser")
    assert ("append-only" in str(stopped.value)) is by_trigger


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize("what", list(STATEMENTS))
@pytest.mark.usefixtures("office")
def test_nor_does_the_superuser_who_says_to_be_a_replica(database: Database, what: str, table: str) -> None:
    with connect(database, "superuser") as conn:
        conn.execute("set session_replication_role = replica")
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            conn.execute(statement(what, table))


@pytest.mark.parametrize("table", ["events", "commands", "scopes", "claims"])
@pytest.mark.parametrize("role", ["recorder", "projector", "keeper", "reader"])
@pytest.mark.usefixtures("office")
def test_nothing_gets_into_the_log_past_the_recording_function(database: Database, role: str, table: str) -> None:
    copied = sql.SQL("insert into ledger.{table} select * from ledger.{table} limit 1").format(
        table=sql.Identifier(table)
    )
    with connect(database, role) as conn, pytest.raises(InsufficientPrivilege):
        conn.execute(copied)


@pytest.mark.parametrize("role", ["projector", "keeper", "reader"])
@pytest.mark.parametrize(
    "call",
    [
        "select ledger.hold_still()",
        "select ledger.record_decision_in_events('{}', array[]::bytea[])",
        "select ledger.record_decisions_in_events('[{}]'::json, array[0], array[]::bytea[])",
        "begin; lock table ledger.events in exclusive mode",
    ],
)
@pytest.mark.usefixtures("office")
def test_only_the_recorder_records_or_holds_the_log_still(database: Database, role: str, call: str) -> None:
    with connect(database, role) as conn, pytest.raises(InsufficientPrivilege):
        conn.execute(call.encode())


@pytest.mark.parametrize("role", ["recorder", "projector", "reader"])
@pytest.mark.usefixtures("office")
def test_only_the_keeper_reads_keys(database: Database, role: str) -> None:
    with connect(database, role) as conn, pytest.raises(InsufficientPrivilege):
        conn.execute("select * from keys.wrapping")


@pytest.mark.usefixtures("office")
def test_the_keeper_reads_nothing_but_keys(database: Database) -> None:
    with connect(database, "keeper") as conn:
        conn.execute("select * from keys.wrapping")
        for table in (*GUARDED, "suppressed"):
            with pytest.raises(InsufficientPrivilege):
                conn.execute(sql.SQL("select * from ledger.{}").format(sql.Identifier(table)))


@pytest.mark.parametrize("role", [role for role in ROLES if role != "projector"])
@pytest.mark.usefixtures("office")
def test_only_the_projector_makes_views(database: Database, role: str) -> None:
    if role == "migrator":
        pytest.skip("owns the schema")
    with connect(database, role) as conn, pytest.raises(InsufficientPrivilege):
        conn.execute("create table views.of_my_own ()")


@pytest.mark.usefixtures("office")
def test_each_role_can_do_its_own_work(database: Database) -> None:
    with connect(database, "reader") as conn:
        found = conn.execute("select count(*) from ledger.events").fetchone()
    assert found is not None
    assert found[0]
    with connect(database, "projector") as conn:
        conn.execute("create table views.a_view ()")
        conn.execute("drop table views.a_view")
        conn.execute("select * from ledger.events limit 1")
    with connect(database, "keeper") as conn:
        conn.execute("delete from keys.wrapping")


@pytest.mark.usefixtures("office")
def test_every_function_belongs_to_the_migrator_with_a_fixed_search_path_and_to_nobody_of_the_public(
    database: Database,
) -> None:
    with connect(database, "superuser") as conn:
        found = conn.execute(
            "select proname, proowner::regrole::text, array_to_string(proconfig, ' '), "
            "has_function_privilege('public', oid, 'execute') from pg_proc where pronamespace = 'ledger'::regnamespace"
        ).fetchall()
    names = {"append_only", "hold_still", "record_decision_in_events", "record_decisions_in_events"}
    assert {str(name) for name, *_ in found} == names
    for name, owner, settings, public in found:
        assert (owner, public) == ("imprimatur_migrator", False), name
        assert "search_path=pg_catalog" in str(settings), name


@pytest.mark.usefixtures("office")
def test_no_role_of_the_system_may_make_roles_or_databases_or_pass_by_row_security(database: Database) -> None:
    with connect(database, "superuser") as conn:
        found = conn.execute(
            "select count(*) from pg_roles where rolname like 'imprimatur_%%' "
            "and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)".replace("%%", "%")
        ).fetchone()
    assert found == (0,)


@pytest.mark.usefixtures("office")
def test_migrating_again_leaves_every_event_and_every_guard(database: Database) -> None:
    def events() -> object:
        with connect(database, "reader") as conn:
            return conn.execute("select count(*), max(notification_id) from ledger.events").fetchone()

    before = events()
    migrate(database.superuser, PASSWORDS)
    assert events() == before
    with connect(database, "superuser") as conn, pytest.raises(InsufficientPrivilege, match="append-only"):
        conn.execute("delete from ledger.events")
