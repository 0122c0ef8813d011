"""OCEL 2.0 (object-centric event log), as SQLite and as JSON: events, the cases, accounts, persons, branches and policy
versions they are about, and how they belong together. Times are when things took effect.

Every relation leads to an event and an object that are there; `ocel_checks` proves it of any file of either kind.
Events are written as they come, and none is kept in memory: which objects were seen, the file itself knows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TextIO

Event = dict[str, Any]

ATTRIBUTES = {
    "log_position": "INTEGER", "what": "TEXT", "refused": "TEXT", "actor": "TEXT", "actor_kind": "TEXT",
    "on_behalf_of": "TEXT", "role": "TEXT", "channel": "TEXT", "clauses": "TEXT", "policy": "TEXT",
}  # fmt: skip
JSON_TYPES = {"INTEGER": "integer", "TEXT": "string"}
OBJECT_ATTRIBUTES = {
    "account": ("platform", "handle"),
    "person": ("id",),
    "branch": ("id",),
    "policy_version": ("version",),
}
FIRST_MOMENT = "1970-01-01T00:00:00+00:00"


class Object(NamedTuple):
    """`values`: of the attributes that objects of its type have, in their order."""

    type: str
    id: str
    values: tuple[str, ...] = ()


class Relation(NamedTuple):
    event: str
    object: Object
    qualifier: str


class Link(NamedTuple):
    source: Object
    target: Object
    qualifier: str


def case_of(event: Event) -> Object:
    """Of the case's own process: what stands beside a case is an event of it."""
    return Object(str(event["case_id"]).partition("-")[0] or "log", event["case_id"])


def account_of(event: Event) -> Object:
    _, platform, handle = event["account"].split(":", 2)
    return Object("account", event["account"], (platform, handle))


def named(type_: str, id_: str) -> Object:
    return Object(type_, id_ if id_.startswith(f"{type_}:") else f"{type_}:{id_}", (id_,))


def relations_of(event: Event) -> Iterator[Relation]:
    """Each once; an object may be there in two ways."""
    found: dict[tuple[str, str], Object] = {}
    for object_, qualifier in related(event):
        found.setdefault((object_.id, qualifier), object_)
    yield from (Relation(event["event_id"], object_, qualifier) for (_, qualifier), object_ in found.items())


def related(event: Event) -> Iterator[tuple[Object, str]]:
    yield case_of(event), "of"
    if event["account"]:
        yield account_of(event), "concerns"
    if event["branch"]:
        yield named("branch", event["branch"]), "concerns"
    if event["policy"]:
        yield named("policy_version", event["policy"]), "under"
    if event["actor_kind"] == "person":
        yield named("person", event["actor"]), "done by"
    if event["on_behalf_of"]:
        yield named("person", event["on_behalf_of"]), "on behalf of"
    for person in event["persons"]:
        if person not in (event["actor"], event["on_behalf_of"]):
            yield named("person", person), "names"


def links_of(event: Event) -> Iterator[Link]:
    if event["account"]:
        yield Link(case_of(event), account_of(event), "about")
    if event["branch"]:
        yield Link(case_of(event), named("branch", event["branch"]), "at")


# -- SQLite

TABLES = """
    create table event_map_type (ocel_type text primary key, ocel_type_map text unique);
    create table object_map_type (ocel_type text primary key, ocel_type_map text unique);
    create table event (ocel_id text primary key, ocel_type text references event_map_type (ocel_type));
    create table object (ocel_id text primary key, ocel_type text references object_map_type (ocel_type));
    create table event_object (
        ocel_event_id text references event (ocel_id), ocel_object_id text references object (ocel_id),
        ocel_qualifier text, primary key (ocel_event_id, ocel_object_id, ocel_qualifier));
    create table object_object (
        ocel_source_id text references object (ocel_id), ocel_target_id text references object (ocel_id),
        ocel_qualifier text, primary key (ocel_source_id, ocel_target_id, ocel_qualifier));
"""


def sqlite(events: Iterable[Event], file: Path) -> None:
    with closing(sqlite3.connect(file)) as out:
        fill(out, events)


def fill(out: sqlite3.Connection, events: Iterable[Event]) -> None:
    out.execute("pragma foreign_keys = on")
    out.executescript(TABLES)
    types: set[tuple[str, str]] = set()
    with out:
        for event in events:
            write_event(out, event, types)
            for relation in relations_of(event):
                write_object(out, relation.object, types)
                key = (relation.event, relation.object.id, relation.qualifier)
                out.execute("insert into event_object values (?, ?, ?)", key)
            for link in links_of(event):
                key = (link.source.id, link.target.id, link.qualifier)
                out.execute("insert or ignore into object_object values (?, ?, ?)", key)


def write_event(out: sqlite3.Connection, event: Event, types: set[tuple[str, str]]) -> None:
    id_, kind = event["event_id"], event["kind"]
    if ("event", kind) not in types:
        types.add(("event", kind))
        columns = "".join(f', "{name}" {type_.lower()}' for name, type_ in ATTRIBUTES.items())
        own = "ocel_id text primary key references event (ocel_id), ocel_time TIMESTAMP"
        write_type(out, "event", kind, own + columns)
    out.execute("insert into event values (?, ?)", (id_, kind))
    marks = ", ".join("?" * (2 + len(ATTRIBUTES)))
    values = [id_, event["at"], *attributes_of(event).values()]
    out.execute(f'insert into "event_{table_name(kind)}" values ({marks})', values)


def write_object(out: sqlite3.Connection, object_: Object, types: set[tuple[str, str]]) -> None:
    names = OBJECT_ATTRIBUTES.get(object_.type, ())
    if ("object", object_.type) not in types:
        types.add(("object", object_.type))
        columns = "".join(f', "{name}" text' for name in names)
        own = "ocel_id text references object (ocel_id), ocel_time TIMESTAMP, ocel_changed_field text"
        write_type(out, "object", object_.type, own + columns)
    added = out.execute("insert or ignore into object values (?, ?)", (object_.id, object_.type))
    if added.rowcount:
        marks = ", ".join("?" * (3 + len(names)))
        # attributes that never change stand at the first of all moments
        values = [object_.id, FIRST_MOMENT, None, *object_.values]
        out.execute(f'insert into "object_{table_name(object_.type)}" values ({marks})', values)


def write_type(out: sqlite3.Connection, what: str, type_: str, columns: str) -> None:
    out.execute(f"insert into {what}_map_type values (?, ?)", (type_, table_name(type_)))
    out.execute(f'create table "{what}_{table_name(type_)}" ({columns})')


def attributes_of(event: Event) -> dict[str, Any]:
    return {
        name: value if isinstance(value := event[name], int) and not isinstance(value, bool) else as_text(value)
        for name in ATTRIBUTES
    }


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)


def table_name(type_: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in type_)


# -- JSON: the same, told from a file without a name that is gone when it is told


def as_json(events: Iterable[Event], file: Path) -> None:
    with closing(sqlite3.connect("")) as log, file.open("w", encoding="utf-8") as out:
        fill(log, events)
        parts = {
            "objectTypes": json_types(log, "object"), "eventTypes": json_types(log, "event"),
            "objects": json_objects(log), "events": json_events(log),
        }  # fmt: skip
        for nth, (name, values) in enumerate(parts.items()):
            out.write(f'{"," if nth else "{"}\n"{name}": ')
            write_array(out, values)
        out.write("\n}\n")


def write_array(out: TextIO, values: Iterable[dict[str, Any]]) -> None:
    """One value a line."""
    before = "[\n"
    for each in values:
        out.write(before + json.dumps(each, ensure_ascii=False))
        before = ",\n"
    out.write("[]" if before == "[\n" else "\n]")


def json_types(log: sqlite3.Connection, what: str) -> Iterator[dict[str, Any]]:
    for (type_,) in log.execute(f"select ocel_type from {what}_map_type order by ocel_type"):
        own = ATTRIBUTES if what == "event" else dict.fromkeys(OBJECT_ATTRIBUTES.get(type_, ()), "TEXT")
        yield {"name": type_, "attributes": [{"name": each, "type": JSON_TYPES[kind]} for each, kind in own.items()]}


def json_objects(log: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    linked = "select ocel_target_id, ocel_qualifier from object_object where ocel_source_id = ? order by rowid"
    for (type_,) in log.execute("select ocel_type from object_map_type order by ocel_type"):
        names = OBJECT_ATTRIBUTES.get(type_, ())
        for id_, at, _, *values in log.execute(f'select * from "object_{table_name(type_)}" order by rowid'):
            attributes = zip(names, values, strict=True)
            yield {
                "id": id_,
                "type": type_,
                "attributes": [{"name": name, "time": at, "value": value} for name, value in attributes],
                "relationships": json_relations(log.execute(linked, (id_,))),
            }


def json_events(log: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    about = "select ocel_object_id, ocel_qualifier from event_object where ocel_event_id = ? order by rowid"
    for id_, type_ in log.execute("select ocel_id, ocel_type from event order by rowid"):
        own = f'select * from "event_{table_name(type_)}" where ocel_id = ?'
        _, at, *values = log.execute(own, (id_,)).fetchone()
        yield {
            "id": id_,
            "type": type_,
            "time": at,
            "attributes": [{"name": name, "value": value} for name, value in zip(ATTRIBUTES, values, strict=True)],
            "relationships": json_relations(log.execute(about, (id_,))),
        }


def json_relations(found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"objectId": object_, "qualifier": qualifier} for object_, qualifier in found]
