"""What can be taken away in other people's formats: JSON Lines, CSV, CloudEvents. What is sealed stays sealed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

Event = dict[str, Any]
Writer = Callable[[Iterable[Event], Path], None]

COLUMNS = (
    "log_position", "recorded_at", "at", "occurred_at", "event_id", "case_id", "process", "stream", "position", "kind",
    "what", "refused", "actor_kind", "actor", "on_behalf_of", "role", "place", "proven_by", "channel", "account",
    "branch", "person", "persons", "clauses", "policy", "command_id", "cause", "correlation", "read_up_to", "workflow",
    "run", "claims", "releases", "touches", "fact", "command",
)  # fmt: skip
# a spreadsheet takes a cell that begins so for a formula
BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
SOURCE = "/imprimatur/log"


def json_lines(events: Iterable[Event], file: Path) -> None:
    with file.open("w", encoding="utf-8") as out:
        for each in events:
            out.write(json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n")


def comma_separated(events: Iterable[Event], file: Path) -> None:
    """One row for each event; lists and objects are JSON in their cell."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for each in events:
            writer.writerow([cell(each.get(name)) for name in COLUMNS])


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(BEGINS_A_FORMULA) else text


def cloud_events(events: Iterable[Event], file: Path) -> None:
    """CloudEvents 1.0 in their JSON format, one a line. `id` and `source` together are an event's name for ever."""
    with file.open("w", encoding="utf-8") as out:
        for each in events:
            out.write(json.dumps(as_cloud_event(each), ensure_ascii=False, sort_keys=True) + "\n")


def as_cloud_event(event: Event) -> Event:
    inside = ("kind", "event_id", "at", "case_id")
    return {
        "specversion": "1.0",
        "id": event["event_id"],
        "source": SOURCE,
        "type": event["kind"],
        "time": event["at"],
        "subject": quote(event["case_id"], safe=""),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in event.items() if name not in inside},
    }
