"""What still stood at a past moment? For each case, and for each thing the log says of the library, from which log
position to which: so that the past is read from the events that stood then, however long the log is.

A case stands until it is over, and that of an account until the account is out of service. What is said of a person, a
delegation or a closure stands until something else is said of the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, LiteralString, NamedTuple

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.delegation import Delegated, DelegationEnded
from domain.directory import FriendsRoleDeclared, OfPerson
from domain.facts import Fact, stem_of
from domain.hr_feed_messages import (
    GroupDeleted,
    GroupStored,
    HrSystemRegistered,
    HrTokenRevoked,
    QuarantineCleared,
    Quarantined,
    SnapshotTaken,
    SourceSet,
    UserDeleted,
    UserStored,
)
from domain.in_force import AccountPutInService, AccountTakenOutOfService, SeatChanged
from domain.opening_hours import BranchClosed, CalendarAdopted, ClosureLifted
from domain.pages import is_of_a_case
from domain.policy_adoption import PolicyAdopted
from projections.folding import Cases, Folded
from projections.projection import Logged, Projection

STREAM, FACT = "stream", "fact"
COLUMNS = ("what", "key", "stream", "process", "account", "since", "until")
END = SQL("update {} set until = %s where what = %s and key = any (%s) and until is null")
END_OF_ACCOUNT = SQL("update {} set until = %s where account = %s and until is null")

# `since` is the position of the event itself where one event says it all
STOOD_AT: LiteralString = """
    select what, key, stream, process, since, until from views.standing
    where int8range(since, until) @> %(position)s::bigint"""
ENDED_BETWEEN: LiteralString = """
    select what, key, stream, until from views.standing
    where int8range(since, until) @> %(position)s::bigint and until <= %(later)s::bigint"""


class Said(NamedTuple):
    """What a fact sets and what it ends, by key; nothing where it only adds to its case. `account`: with whose end it
    ends too."""

    sets: str = ""
    ends: str = ""
    account: str = ""


class Standing(Projection):
    name = "standing"
    tables: ClassVar[dict[str, LiteralString]] = {
        "standing": """
            key text not null, since bigint not null, until bigint, what text not null, stream text not null,
            process text not null, account text not null, primary key (since, what, key)"""
    }
    indexes = (
        ("standing", "using gist (int8range(since, until))"),
        ("standing", "(key, what) where until is null"),
        ("standing", "(account) where until is null and account <> ''"),
    )

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._cases = Cases()

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        begun: dict[tuple[str, str], list[Any]] = {}
        for event, folded in self._cases.step_by_step(page, cursor):
            self._follow(event, folded, begun, cursor)
        self.add(cursor, COLUMNS, begun.values())

    def _follow(
        self,
        event: Logged,
        folded: Folded | None,
        begun: dict[tuple[str, str], list[Any]],
        cursor: Cursor[DictRow],
    ) -> None:
        """What begins within a page and ends within it is written once."""
        position = event.log_position
        if is_of_a_case(event.stream):
            self._follow_case(event, folded, begun, cursor)
        if not event.of_the_library:
            return
        said = said_by(event.fact)
        if said.ends:
            self._end(FACT, said.ends, position, begun, cursor)
        if said.sets:
            # what stood in this page under the same key has an end by now
            self._write_ended(FACT, said.sets, begun, cursor)
            begun[FACT, said.sets] = [FACT, said.sets, event.stream, "", said.account, position, None]
        if isinstance(event.fact, AccountTakenOutOfService):
            self._end_of_account(event.fact.account, position, begun, cursor)

    def _follow_case(
        self,
        event: Logged,
        folded: Folded | None,
        begun: dict[tuple[str, str], list[Any]],
        cursor: Cursor[DictRow],
    ) -> None:
        stream = event.stream
        if event.position == 1:
            begun[STREAM, stream] = [STREAM, stream, stream, stem_of(stream), "", event.log_position, None]
        if isinstance(event.fact, AccountPutInService):
            self._stands_for(event.fact.account, stream, begun, cursor)
        elif folded and folded.state.closed():
            self._end(STREAM, stream, event.log_position, begun, cursor)

    def _stands_for(
        self, account: str, stream: str, begun: dict[tuple[str, str], list[Any]], cursor: Cursor[DictRow]
    ) -> None:
        if (STREAM, stream) in begun:
            begun[STREAM, stream][COLUMNS.index("account")] = account
            return
        select = SQL("update {} set account = %s where what = %s and key = %s and until is null")
        cursor.execute(select.format(self.table()), (account, STREAM, stream))

    def _end(
        self, what: str, key: str, position: int, begun: dict[tuple[str, str], list[Any]], cursor: Cursor[DictRow]
    ) -> None:
        row = begun.get((what, key))
        if row is None:
            cursor.execute(END.format(self.table()), (position, what, [key]))
        elif row[-1] is None:
            row[-1] = position

    def _end_of_account(
        self, account: str, position: int, begun: dict[tuple[str, str], list[Any]], cursor: Cursor[DictRow]
    ) -> None:
        cursor.execute(END_OF_ACCOUNT.format(self.table()), (position, account))
        for row in begun.values():
            if row[COLUMNS.index("account")] == account and row[-1] is None:
                row[-1] = position

    def _write_ended(
        self, what: str, key: str, begun: dict[tuple[str, str], list[Any]], cursor: Cursor[DictRow]
    ) -> None:
        if row := begun.pop((what, key), None):
            self.add(cursor, COLUMNS, [row])


def said_by(fact: Fact) -> Said:
    match fact:
        case OfPerson(person=person):
            return replacing(f"person:{person.id}")
        case FriendsRoleDeclared(person=person_id):
            return replacing(f"friends:{person_id}")
        case PolicyAdopted(version=version):
            return Said(sets=f"policy:{version}")
        case CalendarAdopted():
            return replacing("calendar")
        case BranchClosed(closure=closure):
            return Said(sets=f"closure:{closure.id}")
        case ClosureLifted(closure=closure_id):
            return Said(ends=f"closure:{closure_id}")
        case Delegated(delegation=delegation):
            return Said(sets=f"delegation:{delegation}")
        case DelegationEnded(delegation=delegation):
            return Said(ends=f"delegation:{delegation}")
        case SeatChanged(account=account, administrator=administrator):
            return Said(sets=f"seat:{account}:{administrator}", account=account)
        case _:
            return said_by_hr(fact)


def said_by_hr(fact: Fact) -> Said:
    match fact:
        case HrSystemRegistered(system=system) | HrTokenRevoked(system=system):
            return replacing(f"hr:{system}")
        case SnapshotTaken(system=system):
            return replacing(f"snapshot:{system}")
        case SourceSet(person=person):
            return replacing(f"source:{person}")
        case UserStored(system=system, id=id_) | GroupStored(system=system, id=id_):
            return replacing(f"resource:{system}.{id_}")
        case UserDeleted(system=system, id=id_) | GroupDeleted(system=system, id=id_):
            return Said(ends=f"resource:{system}.{id_}")
        case Quarantined(system=system, item=item):
            return replacing(f"quarantine:{system}.{item}")
        case QuarantineCleared(system=system, item=item):
            return Said(ends=f"quarantine:{system}.{item}")
        case _:
            return Said()


def replacing(key: str) -> Said:
    return Said(sets=key, ends=key)


def keys_of(rows: Sequence[dict[str, Any]], what: str) -> Iterator[str]:
    yield from (row["key"] for row in rows if row["what"] == what)
