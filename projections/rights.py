"""Who may post by a right, to which accounts, since when and until when, granted by whom? The rights roster.

One row for each case that came to a grant, also after its end: what became of it, when, and by which event.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, LiteralString, NamedTuple

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.facts import Fact
from domain.in_force import ConditionOfRightsMet, OfRights, RightsBegun, RightsEnded, RightsPaused, RightsResumed
from domain.posting_rights import HOW_IT_ENDED, PROCESS
from projections.projection import Logged, Projection

COLUMNS = (
    "case_id", "holder", "accounts", "scope", "place", "since", "until", "granted_by", "on_behalf_of", "conditions",
    "standing", "standing_since", "log_position",
)  # fmt: skip
IN_FORCE, SUSPENDED = "in force", "suspended"

# a right whose term is over counts as ended though its expiry is not recorded yet
ROSTER_AT: LiteralString = """
    select *, case_id as case, standing = 'in force' and since <= %(at)s and until > %(at)s
        and conditions = '{}' as runs
    from views.rights order by holder, since, case_id"""


class Right(NamedTuple):
    case_id: str
    holder: str
    accounts: list[str]
    scope: str
    place: str
    since: datetime
    until: datetime
    granted_by: str
    on_behalf_of: str
    conditions: list[str]
    standing: str
    standing_since: datetime
    log_position: int


class RightsRoster(Projection):
    name = "rights"
    tables: ClassVar[dict[str, LiteralString]] = {
        "rights": """
            case_id text primary key, holder text not null, accounts text[] not null, scope text not null,
            place text not null, since timestamptz not null, until timestamptz not null, granted_by text not null,
            on_behalf_of text not null, conditions text[] not null, standing text not null,
            standing_since timestamptz not null, log_position bigint not null"""
    }
    indexes = (("rights", "(holder)"), ("rights", "using gin (accounts)"))

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        told = [event for event in page if event.kind.startswith(f"{PROCESS}.") and isinstance(event.fact, OfRights)]
        if not told:
            return
        cases = {event.case for event in told}
        select = SQL("select * from {} where case_id = any (%s)").format(self.table())
        rights = {row["case_id"]: Right(**row) for row in cursor.execute(select, (list(cases),)).fetchall()}
        for event in told:
            if right := after(rights.get(event.case), event, event.fact):
                rights[event.case] = right
        self.replace_cases(cursor, cases, COLUMNS, rights.values())


def after(right: Right | None, event: Logged, fact: Fact) -> Right | None:
    at, position = event.envelope.at, event.log_position
    match fact:
        case RightsBegun():
            return begun(event, fact)
        case _ if right is None:
            return None
        case ConditionOfRightsMet(condition=condition):
            left = [each for each in right.conditions if each != condition]
            return right._replace(conditions=left, log_position=position)
        case RightsPaused():
            return right._replace(standing=SUSPENDED, standing_since=at, log_position=position)
        case RightsResumed():
            return right._replace(standing=IN_FORCE, standing_since=at, log_position=position)
        case RightsEnded():
            return right._replace(standing=HOW_IT_ENDED[type(fact)], standing_since=at, log_position=position)
        case _:
            return right


def begun(event: Logged, fact: RightsBegun) -> Right:
    envelope = event.envelope
    return Right(
        case_id=event.case,
        holder=fact.holder,
        accounts=list(fact.accounts),
        scope=fact.scope.value,
        place=fact.place,
        since=fact.since,
        until=fact.until,
        granted_by=envelope.actor.id,
        on_behalf_of=envelope.on_behalf_of,
        conditions=list(fact.open_conditions()),
        standing=IN_FORCE,
        standing_since=envelope.at,
        log_position=event.log_position,
    )
