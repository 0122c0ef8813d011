"""What is said alike wherever someone asks and someone else decides, whatever it is they ask for.

A decision is bound to the exact content decided; what refuses, sends back or ends something has a reason; what it
depends on is met by name; whoever asked may take it back. The processes give these messages their names and clauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from domain.facts import Command, Fact, Line, Refused, Sealed, Sha256, Slug, Value
from domain.policy import Role
from domain.waiting import Asked, DueMoment, due_moments, only_expiry

if TYPE_CHECKING:
    from domain.library import Library


class Condition(Value):
    """Something the decision depends on: named, described, and met before what was asked for begins."""

    id: Slug
    what: Sealed


# what people ask for


class OnContent(Command):
    """A decision is bound to exactly what was decided: `content` is the hash of the request as the person saw it."""

    content: Sha256


class OnContentForAReason(OnContent):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class ForAReason(Command):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class TakeBack(Command):
    """Whoever asked no longer wants it, and need not say why."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed | None = None


class MeetACondition(Command):
    secret_texts: ClassVar[tuple[str, ...]] = ("note",)
    condition: Slug
    note: Sealed | None = None


# what happened


class DecidedForAReason(Fact):
    content: Sha256
    reason: Sealed


class TakenBack(Fact):
    """`cause` says why where the requester did not do it themselves, as when they left the library's service."""

    reason: Sealed | None = None
    cause: str = ""


# what must hold


def decided_on_what_stands(decision: OnContent, stands: str, clause: str) -> None:
    if decision.content != stands:
        because = f"the decision is on content {decision.content}, but the request now reads {stands}"
        raise Refused(clause, because, "read the request as it stands now and decide on that")


def each_condition_has_a_name_of_its_own(conditions: tuple[Condition, ...], clause: str) -> None:
    names = [condition.id for condition in conditions]
    if len(set(names)) < len(names):
        raise Refused(clause, "two conditions have the same id", "give each condition an id of its own")


# who is asked


def ask_to_decide(
    process: str, place: str, parties: tuple[str, ...], to: Line, clause: str, library: Library
) -> Asked:
    """Whoever decides now, and none of the parties. Above a stand-in there is nobody to escalate to."""
    role, where, persons = library.who_decides(process, place, parties)
    rule, calendar_of = library.decides(process), where or library.headquarters
    return Asked(
        rests_on=(clause,), role=role, place=calendar_of, persons=persons, to=to, since=library.at,
        due=due_moments(calendar_of, library.at, library),
        escalates_to=rule.stands_in if role is rule.by else None,
    )  # fmt: skip


def ask_for_the_changes(requester: str, clause: str, library: Library) -> Asked:
    days = library.policy.settings.changes_asked_expire_after_days.value
    due = only_expiry(library.at, days, library)
    return ask_the_requester(requester, "change the request as asked", due, clause, library)


def ask_the_requester(
    requester: str, to: Line, due: tuple[DueMoment, ...], clause: str, library: Library
) -> Asked:
    """Waiting for the requester stops the clock of reminders; only its own end is due."""
    return Asked(
        rests_on=(clause,),
        role=Role(library.standing(requester).role or Role.BRANCH_STAFF),
        place=library.place_of(requester),
        persons=(requester,),
        to=to,
        since=library.at,
        due=due,
    )
