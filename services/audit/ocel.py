"""OCEL 2.0 (object-centric event log), as SQLite and as JSON: events, the cases, accounts, persons, branches and policy
versions they are about, and how they belong together. Times are when things took effect.

Every relation leads to an event and an object that are there; `ocel_checks` proves it of any file of either kind.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

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


class Relation(NamedTuple):
    event: str
    object: str
    qualifier: str


class Link(NamedTuple):
    source: str
    target: str
    qualifier: str


@dataclass
class Log:
    """Objects by id with their type, attributes and the time they are first spoken of."""

    events: list[Event] = field(default_factory=list)
    objects: dict[str, tuple[str, dict[str, str], str]] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    links: dict[Link, None] = field(default_factory=dict)

    def object(self, type_: str, id_: str, at: str, **attributes: str) -> str:
        name = id_ if type_ not in OBJECT_ATTRIBUTES or id_.startswith(f"{type_}:") else f"{type_}:{id_}"
        self.objects.setdefault(name, (type_, attributes, at))
        return name


def log_of(events: Iterable[Event]) -> Log:
    log = Log()
    for event in events:
        log.events.append(event)
        relate(event, log)
    return log


def relate(event: Event, log: Log) -> None:
    at, seen = event["at"], set[tuple[str, str]]()

    def related(object_: str, qualifier: str) -> None:
        if (object_, qualifier) not in seen:
            seen.add((object_, qualifier))
            log.relations.append(Relation(event["event_id"], object_, qualifier))

    case = log.object(process_type(event), event["case_id"], at)
    related(case, "of")
    if event["account"]:
        _, platform, handle = event["account"].split(":", 2)
        account = log.object("account", event["account"], at, platform=platform, handle=handle)
        related(account, "concerns")
        log.links[Link(case, account, "about")] = None
    if event["branch"]:
        branch = log.object("branch", event["branch"], at, id=event["branch"])
        related(branch, "concerns")
        log.links[Link(case, branch, "at")] = None
    if event["policy"]:
        related(log.object("policy_version", event["policy"], at, version=event["policy"]), "under")
    if event["actor_kind"] == "person":
        related(log.object("person", event["actor"], at, id=event["actor"]), "done by")
    if event["on_behalf_of"]:
        related(log.object("person", event["on_behalf_of"], at, id=event["on_behalf_of"]), "on behalf of")
    for person in event["persons"]:
        if person not in (event["actor"], event["on_behalf_of"]):
            related(log.object("person", person, at, id=person), "names")


def process_type(event: Event) -> str:
    """The case's own process: what stands beside a case is an event of it."""
    return str(event["case_id"]).partition("-")[0] or "log"


# -- SQLite


def sqlite(events: Iterable[Event], file: Path) -> None:
    log = log_of(events)
    with sqlite3.connect(file) as out:
        out.execute("pragma foreign_keys = on")
        write_types(out, log)
        write_events(out, log)
        write_objects(out, log)
        out.executemany("insert into event_object values (?, ?, ?)", log.relations)
        out.executemany("insert into object_object values (?, ?, ?)", log.links)
    out.close()


def write_types(out: sqlite3.Connection, log: Log) -> None:
    for what in ("event", "object"):
        out.execute(f"create table {what}_map_type (ocel_type text primary key, ocel_type_map text unique)")
        out.execute(
            f"create table {what} (ocel_id text primary key, ocel_type text references {what}_map_type (ocel_type))"
        )
    out.execute(
        "create table event_object (ocel_event_id text references event (ocel_id), "
        "ocel_object_id text references object (ocel_id), ocel_qualifier text, "
        "primary key (ocel_event_id, ocel_object_id, ocel_qualifier))"
    )
    out.execute(
        "create table object_object (ocel_source_id text references object (ocel_id), "
        "ocel_target_id text references object (ocel_id), ocel_qualifier text, "
        "primary key (ocel_source_id, ocel_target_id, ocel_qualifier))"
    )
    for type_ in event_types(log):
        out.execute("insert into event_map_type values (?, ?)", (type_, table_name(type_)))
        columns = ", ".join(f'"{name}" {kind.lower()}' for name, kind in ATTRIBUTES.items())
        out.execute(
            f'create table "event_{table_name(type_)}" (ocel_id text primary key references event (ocel_id), '
            f"ocel_time TIMESTAMP, {columns})"
        )
    for type_ in object_types(log):
        out.execute("insert into object_map_type values (?, ?)", (type_, table_name(type_)))
        columns = "".join(f', "{name}" text' for name in OBJECT_ATTRIBUTES.get(type_, ()))
        out.execute(
            f'create table "object_{table_name(type_)}" (ocel_id text references object (ocel_id), '
            f"ocel_time TIMESTAMP, ocel_changed_field text{columns})"
        )


def write_events(out: sqlite3.Connection, log: Log) -> None:
    for event in log.events:
        out.execute("insert into event values (?, ?)", (event["event_id"], event["kind"]))
        marks = ", ".join("?" * (2 + len(ATTRIBUTES)))
        values = [event["event_id"], event["at"], *attributes_of(event).values()]
        out.execute(f'insert into "event_{table_name(event["kind"])}" values ({marks})', values)


def write_objects(out: sqlite3.Connection, log: Log) -> None:
    for id_, (type_, attributes, _) in log.objects.items():
        out.execute("insert into object values (?, ?)", (id_, type_))
        names = OBJECT_ATTRIBUTES.get(type_, ())
        marks = ", ".join("?" * (3 + len(names)))
        # attributes that never change stand at the first of all moments
        values = [id_, FIRST_MOMENT, None, *(attributes.get(name, "") for name in names)]
        out.execute(f'insert into "object_{table_name(type_)}" values ({marks})', values)


def attributes_of(event: Event) -> dict[str, Any]:
    return {
        name: value if isinstance(value := event[name], int) and not isinstance(value, bool) else as_text(value)
        for name in ATTRIBUTES
    }


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)


def event_types(log: Log) -> list[str]:
    return sorted({event["kind"] for event in log.events})


def object_types(log: Log) -> list[str]:
    return sorted({type_ for type_, _, _ in log.objects.values()})


def table_name(type_: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in type_)


# -- JSON


def as_json(events: Iterable[Event], file: Path) -> None:
    log = log_of(events)
    content = {
        "objectTypes": [
            {"name": type_, "attributes": typed(dict.fromkeys(OBJECT_ATTRIBUTES.get(type_, ()), "TEXT"))}
            for type_ in object_types(log)
        ],
        "eventTypes": [
            {"name": type_, "attributes": typed(ATTRIBUTES)} for type_ in event_types(log)
        ],
        "objects": json_objects(log),
        "events": json_events(log),
    }  # fmt: skip
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def typed(attributes: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": JSON_TYPES[kind]} for name, kind in attributes.items()]


def json_objects(log: Log) -> list[dict[str, Any]]:
    linked: dict[str, list[dict[str, str]]] = defaultdict(list)
    for link in log.links:
        linked[link.source].append({"objectId": link.target, "qualifier": link.qualifier})
    return [
        {
            "id": id_,
            "type": type_,
            "attributes": [
                {"name": name, "time": FIRST_MOMENT, "value": attributes.get(name, "")}
                for name in OBJECT_ATTRIBUTES.get(type_, ())
            ],
            "relationships": linked[id_],
        }
        for id_, (type_, attributes, _) in log.objects.items()
    ]


def json_events(log: Log) -> list[dict[str, Any]]:
    related: dict[str, list[dict[str, str]]] = {}
    for each in log.relations:
        related.setdefault(each.event, []).append({"objectId": each.object, "qualifier": each.qualifier})
    return [
        {
            "id": event["event_id"],
            "type": event["kind"],
            "time": event["at"],
            "attributes": [{"name": name, "value": value} for name, value in attributes_of(event).items()],
            "relationships": related.get(event["event_id"], []),
        }
        for event in log.events
    ]
