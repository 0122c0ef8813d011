"""What HR says now against what is known: who moved, left or returned; and whether a line of managers leads back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from domain.directory import OfPerson, Person, PersonChanged, PersonLeft, PersonMoved, PersonReturned

if TYPE_CHECKING:
    from domain.library import Library


def leads_back(person: str, supervisor: str, library: Library, changed: Mapping[str, Person]) -> bool:
    above: str | None = supervisor
    seen: set[str] = set()
    while above and above not in seen:
        if above == person:
            return True
        seen.add(above)
        found = changed.get(above) or library.person(above)
        above = found.supervisor if found else None
    return False


def difference(known: Person, said: Person, day: date) -> OfPerson:
    """Left and returned by the day it is: a departure that was told late is one at once, a planned one is a change."""
    if has_gone(said, day) and not has_gone(known, day):
        return PersonLeft(person=said)
    if has_gone(known, day) and not has_gone(said, day):
        return PersonReturned(person=said)
    if (known.branch, known.position) != (said.branch, said.position):
        return PersonMoved(person=said, from_branch=known.branch, from_position=known.position)
    changed = tuple(name for name in Person.model_fields if getattr(known, name) != getattr(said, name))
    return PersonChanged(person=said, changed=changed)


def has_gone(person: Person, day: date) -> bool:
    return not person.active or (person.end is not None and person.end < day)
