"""What HR's systems wrote down for themselves: what they said of whom, in which order it was taken. It knows nothing of
the log, and reckons by itself what a directory must have made of it."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

BRANCHES = ("durant", "goodman", "lexington", "winona")
TITLES = ("Library Clerk", "Library Assistant", "Children's Library Assistant")


def minute(nth: int) -> datetime:
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=nth)


@dataclass(frozen=True)
class Said:
    """What a message says of someone, and from which minute on."""

    id: str
    name: str
    position: str
    branch: str
    active: bool = True
    end: str = ""
    at: int = 0

    def but(self, **changed: Any) -> Said:
        return replace(self, **changed)

    @property
    def gone(self) -> bool:
        return not self.active or bool(self.end)

    def as_person(self) -> dict[str, Any]:
        """As the directory has to know them."""
        return {
            "id": self.id,
            "name": self.name,
            "work_email": f"{self.id}@example.org",
            "position": self.position,
            "branch": self.branch,
            "supervisor": None,
            "active": self.active,
            "start": None,
            "end": self.end or None,
            "hours": "",
        }


def someone(id_: str, nth: int, dice: random.Random) -> Said:
    return Said(id_, f"Employee {id_}", dice.choice(TITLES), branch_of(nth))


def branch_of(nth: int) -> str:
    return BRANCHES[nth % len(BRANCHES)]


@dataclass
class HrDiary:
    """`known`: what holds of each person by now; `changes`: what had to be recorded of each, in that order."""

    known: dict[str, Said] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    members: set[str] = field(default_factory=set)
    messages: int = 0
    set_aside: int = 0
    unlike: list[str] = field(default_factory=list)

    def applied(self, said: Said, dated: bool) -> None:
        """A message that was answered. One that holds from an earlier minute than what is known says nothing new."""
        self.messages += 1
        known = self.known.get(said.id)
        if dated and known and said.at < known.at:
            self.set_aside += 1
            return
        if kind := kind_of(known, said):
            self.changes[said.id].append(kind)
        self.known[said.id] = said

    def file_applied(self, rows: dict[str, Said]) -> None:
        """A file says everything: whoever is its own and is missing has left."""
        for said in rows.values():
            self.applied(said, dated=False)
        ours = [each for id_, each in self.known.items() if id_.startswith("f-") and id_ not in rows]
        for each in ours:
            if not each.gone:
                self.applied(each.but(active=False), dated=False)

    def sent_twice(self, method: str, path: str, first: int, second: int) -> None:
        """The second time the same is said nothing is wrong: at most it is there already, or gone already."""
        taken, gone = ("POST", 201, 409), ("DELETE", 204, 404)
        if first != second and (method, first, second) not in (taken, gone):
            self.unlike.append(f"{method} {path} was answered {first}, and {second} when it was sent again")


def kind_of(known: Said | None, said: Said) -> str:
    """What kind of change of a person it is; none where it says what is known."""
    if known is None:
        return "PersonJoined"
    if known.as_person() == said.as_person():
        return ""
    if said.gone != known.gone:
        return "PersonLeft" if said.gone else "PersonReturned"
    moved = (known.branch, known.position) != (said.branch, said.position)
    return "PersonMoved" if moved else "PersonChanged"
