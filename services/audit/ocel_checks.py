"""Does an OCEL 2.0 file hold together? Every relation leads to what is there, everything is of a type that is declared.

Of any file of either kind, whoever wrote it: readers drop relations to what they do not know without a word.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SQLITE = b"SQLite format 3\x00"


def dangling(file: Path) -> list[str]:
    """What does not hold together in an OCEL 2.0 file: empty where everything does."""
    with file.open("rb") as raw:
        is_a_database = raw.read(len(SQLITE)) == SQLITE
    if not is_a_database:
        return [*dangling_in_json(json.loads(file.read_text(encoding="utf-8")))]
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as read:
        found = [*dangling_in_sqlite(read)]
    read.close()
    return found


def dangling_in_json(content: dict[str, Any]) -> Iterator[str]:
    objects = [each["id"] for each in content["objects"]]
    events = [each["id"] for each in content["events"]]
    for what, ids in (("object", objects), ("event", events)):
        yield from (f"the {what} {id_} is there {times} times" for id_, times in Counter(ids).items() if times > 1)
    known = set(objects)
    types = {f"{what}s": declared(content[f"{what}Types"]) for what in ("object", "event")}
    for group, declared_types in types.items():
        for each in content[group]:
            if each["type"] not in declared_types:
                yield f"{each['id']} is of the type {each['type']}, which is not declared"
                continue
            for attribute in each.get("attributes", ()):
                if attribute["name"] not in declared_types[each["type"]]:
                    yield f"{each['id']} has an attribute {attribute['name']} that its type does not declare"
            for relation in each.get("relationships", ()):
                if relation["objectId"] not in known:
                    yield f"{each['id']} is related to {relation['objectId']}, which is not there"


def declared(types: list[dict[str, Any]]) -> dict[str, set[str]]:
    return {each["name"]: {attribute["name"] for attribute in each["attributes"]} for each in types}


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
