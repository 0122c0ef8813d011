"""PR-7, asked of an account in service: two administrators at least, one of them one of the two coordinators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.library import Library


def what_breaks_pr_7(administrators: Iterable[str], library: Library) -> str:
    """Why these are not enough now; nothing where they are. Only active staff who run no Friends site count."""
    counted = [each for each in dict.fromkeys(administrators) if counts(each, library)]
    settings, coordinators = library.policy.settings, set(library.policy.coordinators)
    least = settings.minimum_administrators.value
    if len(counted) < least:
        return f"{len(counted)} of at least {least} administrators"
    if sum(bool(library.roles(each) & coordinators) for each in counted) < settings.minimum_coordinators.value:
        return "no administrator is one of the two coordinators"
    return ""


def counts(person: str, library: Library) -> bool:
    return library.is_employee(person) and not library.friends_administrator(person)


def who_coordinates(library: Library) -> tuple[str, ...]:
    return tuple(person for role in library.policy.coordinators for person in library.holders(role))
