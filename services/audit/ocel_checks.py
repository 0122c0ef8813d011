"""Does an OCEL 2.0 file hold together? Every relation leads to what is there, everything is of a type that is declared.

Of any file of either kind, whoever wrote it: readers drop relations to what they do not know without a word. However
long the log is, the file is not taken into memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

SQLITE = b"SQLite format 3\0"
FINDINGS_MOST = 1_000
SIGNS_AT_ONCE = 1 << 16


def dangling(file: Path) -> list[str]:
    """What does not hold together in an OCEL 2.0 file: empty where everything does."""
    with file.open("rb") as opened:
        of_sqlite = opened.read(len(SQLITE)) == SQLITE
    if not of_sqlite:
        return [*islice(dangling_in_json(file), FINDINGS_MOST)]
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as read:
        return [*islice(dangling_in_sqlite(read), FINDINGS_MOST)]


# -- JSON: first what there is, then whether everything fits it


def dangling_in_json(file: Path) -> Iterator[str]:
    with closing(sqlite3.connect("")) as known:
        known.execute("create table there (what text, id text, times integer, primary key (what, id)) without rowid")
        types: dict[str, dict[str, set[str]]] = {"objects": {}, "events": {}}
        seen = "insert into there values (?, ?, 1) on conflict (what, id) do update set times = times + 1"
        for group, each in elements(file):
            if group in types:
                known.execute(seen, (group.removesuffix("s"), each["id"]))
            else:
                names = {attribute["name"] for attribute in each["attributes"]}
                types[f"{group.removesuffix('Types')}s"][each["name"]] = names
        twice = "select what, id, times from there where times > 1 order by what = 'event', id"
        yield from (f"the {what} {id_} is there {times} times" for what, id_, times in known.execute(twice))
        for group, each in elements(file):
            if group in types:
                yield from unfit(each, types[group], known)


def unfit(each: dict[str, Any], types: dict[str, set[str]], known: sqlite3.Connection) -> Iterator[str]:
    if each["type"] not in types:
        yield f"{each['id']} is of the type {each['type']}, which is not declared"
        return
    for attribute in each.get("attributes", ()):
        if attribute["name"] not in types[each["type"]]:
            yield f"{each['id']} has an attribute {attribute['name']} that its type does not declare"
    for relation in each.get("relationships", ()):
        there = known.execute("select 1 from there where what = 'object' and id = ?", (relation["objectId"],))
        if not there.fetchone():
            yield f"{each['id']} is related to {relation['objectId']}, which is not there"


def elements(file: Path) -> Iterator[tuple[str, Any]]:
    """Of an object that holds arrays: the name of each, with one value after the other."""
    with file.open(encoding="utf-8") as opened:
        text = Text(opened)
        text.take("{")
        while text.sign() != "}":
            group = text.value()
            text.take(":")
            text.take("[")
            while text.sign() != "]":
                yield group, text.value()
                text.skip(",")
            text.take("]")
            text.skip(",")


class Text:
    """JSON read value by value, and no more of it in memory than one takes."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def _more(self) -> bool:
        fresh = self._file.read(SIGNS_AT_ONCE)
        self._text, self._at = self._text[self._at :] + fresh, 0
        return bool(fresh)

    def sign(self) -> str:
        """The next that is no space; it stays where it is."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, sign: str) -> None:
        if self.sign() != sign:
            raise ValueError(f"{sign} was expected, and {self.sign() or 'the end'} is there")
        self._at += 1

    def skip(self, sign: str) -> None:
        if self.sign() == sign:
            self._at += 1

    def value(self) -> Any:
        self.sign()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            if end < len(self._text) or not self._more():
                self._at = end
                return found


# -- SQLite


def dangling_in_sqlite(read: sqlite3.Connection) -> Iterator[str]:
    for what in ("event", "object"):
        yield from of_no_type(read, what)
        yield from not_in_its_table(read, what)
    for table, column, other in (
        ("event_object", "ocel_event_id", "event"),
        ("event_object", "ocel_object_id", "object"),
        ("object_object", "ocel_source_id", "object"),
        ("object_object", "ocel_target_id", "object"),
    ):
        query = f"select distinct {column} from {table} where {column} not in (select ocel_id from {other})"
        yield from (f"{table} names the {other} {id_}, which is not there" for (id_,) in read.execute(query))
    without = "select ocel_id from event where ocel_id not in (select ocel_event_id from event_object)"
    yield from (f"the event {id_} is related to nothing" for (id_,) in read.execute(without))


def of_no_type(read: sqlite3.Connection, what: str) -> Iterator[str]:
    query = f"select ocel_id, ocel_type from {what} where ocel_type not in (select ocel_type from {what}_map_type)"
    yield from (f"the {what} {id_} is of the type {type_}, which is not there" for id_, type_ in read.execute(query))


def not_in_its_table(read: sqlite3.Connection, what: str) -> Iterator[str]:
    for type_, name in read.execute(f"select ocel_type, ocel_type_map from {what}_map_type").fetchall():
        table = f'"{what}_{name}"'
        missing = f"select ocel_id from {what} where ocel_type = ? and ocel_id not in (select ocel_id from {table})"
        yield from (f"the {what} {id_} is not in {table}" for (id_,) in read.execute(missing, (type_,)))
        strange = f"select ocel_id from {table} where ocel_id not in (select ocel_id from {what} where ocel_type = ?)"
        yield from (f"{table} names {id_}, which is no {what} of it" for (id_,) in read.execute(strange, (type_,)))
