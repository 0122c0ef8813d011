"""What staff wrote down for themselves: who sent what under which command id, and what they were told. It is kept by
those who ask and knows nothing of the log."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import Any


class Fate(StrEnum):
    UNDER_WAY = auto()
    TOLD = auto()
    HANDED_OVER = auto()  # a signal that Temporal took: nobody is told, yet it counts as a promise
    DIED = auto()  # whoever sent it was gone before an answer came


@dataclass
class Entry:
    person: str
    case: str
    command: str
    id: str
    sent: float
    sent_times: int = 0
    fate: Fate = Fate.UNDER_WAY
    told: dict[str, Any] = field(default_factory=dict)
    told_at: float = 0.0

    @property
    def recorded(self) -> list[dict[str, Any]]:
        return list(self.told.get("recorded", []))


class Diary:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.under_way: Counter[str] = Counter()
        self.surprises: Counter[str] = Counter()
        self.unlike_expected: list[str] = []
        self.ends: dict[str, str] = {}
        self.answers = 0

    def begins(self, person: str, case: str, command: str, id_: str) -> Entry:
        entry = Entry(person, case, command, id_, time.monotonic())
        self.entries.append(entry)
        return entry

    def is_told(self, entry: Entry, answer: dict[str, Any]) -> None:
        entry.told, entry.told_at, entry.fate = answer, time.monotonic(), Fate.TOLD
        entry.case = entry.case or answer.get("case", "")
        self.answers += 1

    @contextmanager
    def sending(self, id_: str) -> Iterator[None]:
        """Between handing a command to Temporal and its answer it is in flight."""
        self.under_way[id_] += 1
        try:
            yield
        finally:
            self.under_way[id_] -= 1
            if not self.under_way[id_]:
                del self.under_way[id_]

    def in_flight(self) -> int:
        return len(self.under_way)

    def waiting(self) -> list[str]:
        return [f"{each.person} {each.command} in {each.case}" for each in self.entries if each.id in self.under_way]

    def is_surprised(self, error: BaseException) -> None:
        self.surprises[f"{type(error).__name__}: {str(error)[:200]}"] += 1

    def expected(self, what: str, told: object) -> None:
        self.unlike_expected.append(f"{what}: {told}")

    def write(self, file: Path) -> None:
        with file.open("w") as lines:
            for entry in self.entries:
                lines.write(json.dumps(asdict(entry), default=str) + "\n")
