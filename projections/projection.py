"""What every projection is: tables that can be dropped and made again from event one, filled one page of the log at a
time, by nothing but what the page says and what was filled before.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier
from pydantic_core import from_json

from domain.attempts import SUFFIX
from domain.facts import Envelope, Fact, Recorded, load_fact
from domain.openings import BESIDE

SCHEMA = "views"
SUFFIXES = re.compile(r"[a-z0-9_]{0,20}")


class Logged:
    """One event as the log has it; decoded when it is looked at, and once."""

    def __init__(
        self, stream: str, position: int, kind: str, stored: bytes, log_position: int, recorded_at: datetime
    ) -> None:
        self.stream, self.position, self.kind, self.stored = stream, position, kind, stored
        self.log_position, self.recorded_at = log_position, recorded_at

    @property
    def case(self) -> str:
        """The case it belongs to; refused attempts and openings stand beside their case."""
        return self.stream.removesuffix(SUFFIX).removeprefix(BESIDE)

    @cached_property
    def decoded(self) -> dict[str, Any]:
        """The envelope as plain values, unchecked: quick, and readable whatever has been renamed since."""
        return self.decode()

    def decode(self) -> dict[str, Any]:
        envelope: dict[str, Any] = from_json(self.stored)
        return envelope

    @cached_property
    def envelope(self) -> Envelope:
        return Envelope.model_validate(self.decoded)

    @cached_property
    def fact(self) -> Fact:
        return load_fact(self.kind, self.decoded["fact"])

    @property
    def of_the_library(self) -> bool:
        """It changes what decisions may know of the library."""
        return bool(self.decoded["touches"])

    @property
    def recorded(self) -> Recorded:
        return Recorded(self.envelope, self.fact, self.log_position, self.recorded_at)


class Projection(ABC):
    """`version` is raised when the same events come to fill the tables otherwise: they are then made anew.

    What it keeps in memory holds for one position: after a failure a fresh one `begin`s where the tables stand.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tables: ClassVar[dict[str, LiteralString]]
    # what people read, where a table leaves something to be looked up: view → select over `{table}`
    views: ClassVar[dict[str, LiteralString]] = {}
    # made after the filling where the tables are filled from event one
    indexes: ClassVar[tuple[tuple[str, LiteralString], ...]] = ()

    def __init__(self, suffix: str = "") -> None:
        if not SUFFIXES.fullmatch(suffix):
            raise ValueError(f"{suffix!r} cannot end the name of a table; would pass: {SUFFIXES.pattern}")
        self.suffix = suffix

    @abstractmethod
    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        """Write what these events change, in the transaction of this cursor."""

    def begin(self, cursor: Cursor[DictRow], position: int) -> None:  # noqa: B027  # few have something to bring back
        """Bring back what is kept in memory as of this log position."""

    @classmethod
    def edition(cls) -> str:
        """Tells tables made by this code from tables made by another."""
        made_of = repr((cls.version, sorted(cls.tables.items()), sorted(cls.views.items()), cls.indexes))
        return hashlib.sha256(made_of.encode()).hexdigest()[:16]

    def table(self, name: str = "") -> Identifier:
        return Identifier(SCHEMA, (name or next(iter(self.tables))) + self.suffix)

    def create(self, cursor: Cursor[DictRow]) -> None:
        for name, columns in self.tables.items():
            cursor.execute(SQL("create table {} ({})").format(self.table(name), SQL(columns)))
        for name, select in self.views.items():
            made_of = SQL(select).format(table=self.table())
            cursor.execute(SQL("create view {} as {}").format(self.table(name), made_of))

    def index(self, cursor: Cursor[DictRow]) -> None:
        for name, what in self.indexes:
            cursor.execute(SQL("create index on {} {}").format(self.table(name), SQL(what)))

    def drop(self, cursor: Cursor[DictRow]) -> None:
        for name in self.views:
            cursor.execute(SQL("drop view if exists {}").format(self.table(name)))
        for name in self.tables:
            cursor.execute(SQL("drop table if exists {}").format(self.table(name)))

    def exists(self, cursor: Cursor[DictRow]) -> bool:
        names = [f"{SCHEMA}.{name}{self.suffix}" for name in (*self.tables, *self.views)]
        found = cursor.execute("select bool_and(to_regclass(n) is not null) as yes from unnest(%s::text[]) n", (names,))
        return bool(found.fetchall()[0]["yes"])

    def replace_cases(
        self,
        cursor: Cursor[DictRow],
        cases: Iterable[str],
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        table: str = "",
    ) -> None:
        """These cases' rows as they are now, in place of what stood there."""
        cursor.execute(SQL("delete from {} where case_id = any (%s)").format(self.table(table)), (list(cases),))
        self.add(cursor, columns, rows, table)

    def add(
        self, cursor: Cursor[DictRow], columns: Sequence[str], rows: Iterable[Sequence[Any]], table: str = ""
    ) -> None:
        with cursor.copy(copy_into(self.table(table), columns)) as copy:
            for row in rows:
                copy.write_row(row)


def copy_into(table: Identifier, columns: Sequence[str]) -> Composed:
    return SQL("copy {} ({}) from stdin").format(table, SQL(", ").join(map(Identifier, columns)))
