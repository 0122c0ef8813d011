"""A log with its proofs, published and signed; copies of it to tamper with, as whoever owns the database could."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from services.audit.keys import SigningKey
from services.audit.notary import Notary
from services.audit.published import Published
from services.audit.signed import Noted
from services.audit.verify import verify
from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.fresh import PASSWORDS
from tests.projections.history import Life
from tests.system import Database, Office

ALL_TABLES = ("ledger.events", "proofs.leaves", "proofs.nodes", "proofs.checkpoints")


@dataclass
class SignedLog:
    """`kept`: the checkpoints that an auditor got by mail, one after the other."""

    database: Database
    folder: Path
    key: SigningKey
    kept: list[bytes]

    @property
    def published(self) -> Published:
        return Published(self.folder / "published")

    @property
    def memory(self) -> Path:
        return self.folder / "proofs" / "last-signed"

    def notary(self, key: SigningKey | None = None, published: Published | None = None) -> Notary:
        return Notary(self.database.url("notary"), key or self.key, published or self.published, self.memory)

    def sign(self) -> None:
        checkpoint = self.notary().once()
        assert checkpoint is not None
        note = self.published.note()
        assert note is not None
        self.kept.append(note)

    def found(self, published: bool = True, kept: bool = False) -> list[dict[str, str]]:
        notes = [Noted(f"mail {nth}", note) for nth, note in enumerate(self.kept)] if kept else []
        where = self.published if published else None
        findings: list[dict[str, str]] = verify(self.database.url("reader"), where, self.key.public, notes)["findings"]
        return findings

    def as_superuser(self, *statements: str) -> None:
        """As the database's owner: guards off, then whatever is wanted."""
        with psycopg.connect(self.database.superuser) as conn:
            for table in ALL_TABLES:
                conn.execute(f"alter table {table} disable trigger all".encode())
            for each in statements:
                conn.execute(each.encode())
            for table in ALL_TABLES:
                conn.execute(f"alter table {table} enable always trigger append_only_rows".encode())
                conn.execute(f"alter table {table} enable always trigger append_only_table".encode())

    def event(self, log_position: int) -> dict[str, Any]:
        query = "select * from ledger.events where notification_id = %s"
        with psycopg.connect(self.database.superuser, row_factory=psycopg.rows.dict_row) as conn:
            row = conn.execute(query, (log_position,)).fetchone()
        assert row is not None
        return row

    def place(self, log_position: int) -> str:
        row = self.event(log_position)
        return f"log {log_position}, {row['originator_id']} {row['originator_version']}, {row['topic']}"

    def length(self) -> int:
        with psycopg.connect(self.database.superuser) as conn:
            row = conn.execute("select count(*) from ledger.events").fetchone()
        assert row is not None
        return int(row[0])


def a_signed_log(database: Database, folder: Path, accounts: int = 12) -> SignedLog:
    """Some hundred events, more than one tile holds, under several checkpoints."""
    log = SignedLog(database, folder, SigningKey.fresh(), [])
    office = Office(database).founded()
    try:
        life = Life(office)
        log.sign()
        for nth in range(accounts):
            life.has_an_open_account(f"branch{nth}")
            if nth % 3 == 0:
                log.sign()
        log.sign()
    finally:
        office.close()
    return log


def a_copy(server: EmbeddedPostgreSQL, log: SignedLog, folder: Path) -> SignedLog:
    """The same database and the same published folder, for one test alone."""
    name = f"t_{uuid4().hex}"
    with psycopg.connect(server.superuser_dsn, autocommit=True) as conn:
        copied = sql.SQL("create database {} template {}")
        conn.execute(copied.format(sql.Identifier(name), sql.Identifier(log.database.name)))
    shutil.copytree(log.folder, folder, dirs_exist_ok=True)
    return SignedLog(Database(server.superuser_dsn, name, PASSWORDS), folder, log.key, list(log.kept))
