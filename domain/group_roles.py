"""Whose roles change when a group of an HR system does, or when another system's word comes to count.

PR-4: a role gained or lost through a group has the consequences of one gained or lost by position, so it is a change of
that person, recorded with the group's own fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from domain.directory import PersonRolesChanged
from domain.policy import folded

if TYPE_CHECKING:
    from domain.library import Library
    from domain.policy import Policy, Role

Names = Mapping[str, set[str]]


def whose_roles_change(before: Names, after: Names, library: Library) -> Iterator[PersonRolesChanged]:
    """`before` and `after`: the names of the groups that each person is in."""
    for id_ in sorted(before.keys() | after.keys()):
        known = library.person(id_) if before.get(id_) != after.get(id_) else None
        if known is None or known.branch not in library.policy.places:
            continue
        had, has = (roles_by(library.policy, known.position, names.get(id_, set())) for names in (before, after))
        if had != has:
            yield PersonRolesChanged(person=known, gained=tuple(sorted(has - had)), lost=tuple(sorted(had - has)))


def roles_by(policy: Policy, position: str, groups: set[str]) -> frozenset[Role]:
    by_position = policy.roles_of(position)
    return by_position | policy.roles_by_groups(position, groups) if by_position else by_position


def is_mapped(name: str, policy: Policy) -> bool:
    return any(folded(name) == folded(each) for each in policy.groups)
