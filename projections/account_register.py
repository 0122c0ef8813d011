"""Which accounts does the library have or have asked for, who administers them, and is each in order under PR-7?

Whether an account is in order follows the directory: a leaver can put an open account in breach, and so can a day that
HR has named in advance. So its health is a row for each moment from which it is so, reckoned by the domain's own rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import ClassVar, LiteralString, NamedTuple
from zoneinfo import ZoneInfo

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL

from domain.account_creation_messages import (
    AccountApproved,
    AccountOpened,
    AdministrationConfirmed,
    Ending,
    OfAccount,
    RequestAmended,
    RequestFields,
    claim,
)
from domain.account_creation_rules import coordinators_among, enough_administrators_one_a_coordinator
from domain.directory import FriendsRoleDeclared, OfPerson
from domain.facts import Fact, Refused
from domain.in_force import SeatChanged, SeatFilled
from domain.library import Library
from domain.policy_adoption import PolicyAdopted
from domain.register import Register
from projections.folding import learn, library_as_of
from projections.projection import Logged, Projection

REQUESTED, APPROVED, OPEN = "requested", "approved", "open"
COLUMNS = (
    "case_id", "account", "platform", "handle", "place", "standing", "administrators", "confirmed", "posters",
    "requested_by", "requested_at", "opened_at", "log_position",
)  # fmt: skip
HEALTH_COLUMNS = ("case_id", "since", "in_order", "because", "active", "coordinators")

# the register as of a moment, with the health that holds then
REGISTER_AT: LiteralString = """
    select a.*, h.in_order, h.because, h.active, h.coordinators, h.since as health_since
    from views.accounts a
    left join lateral (
        select * from views.account_health h where h.case_id = a.case_id and h.since <= %(at)s
        order by h.since desc limit 1) h on true
    order by a.account"""


class Account(NamedTuple):
    case_id: str
    account: str
    platform: str
    handle: str
    place: str
    standing: str
    administrators: list[str]
    confirmed: list[str]
    posters: list[str]
    requested_by: str
    requested_at: datetime
    opened_at: datetime | None
    log_position: int


class Health(NamedTuple):
    """`active` are the administrators who count: employees of that day who administer no Friends site."""

    in_order: bool
    because: str
    active: list[str]
    coordinators: list[str]


class AccountRegister(Projection):
    name = "account_register"
    tables: ClassVar[dict[str, LiteralString]] = {
        "accounts": """
            case_id text primary key, account text not null, platform text not null, handle text not null,
            place text not null, standing text not null, administrators text[] not null, confirmed text[] not null,
            posters text[] not null, requested_by text not null, requested_at timestamptz not null,
            opened_at timestamptz, log_position bigint not null""",
        "account_health": """
            case_id text not null, since timestamptz not null, in_order boolean not null, because text not null,
            active text[] not null, coordinators text[] not null, primary key (case_id, since)""",
    }
    indexes = (("accounts", "(account)"), ("accounts", "using gin (administrators)"))

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._register = Register()

    def begin(self, cursor: Cursor[DictRow], position: int) -> None:
        self._register = library_as_of(cursor, position)

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        told = [event for event in page if event.kind.startswith("account_creation.") or event.of_the_library]
        if not told:
            return
        accounts = self._accounts_concerned(told, cursor)
        known, reckon_at = set(accounts), dict[str, datetime]()
        for event in told:
            learn(self._register, event)
            if isinstance(event.fact, OfAccount):
                follow(accounts, event, event.fact)
            if isinstance(event.fact, SeatChanged):
                reseat(accounts, event, event.fact)
            for case in concerned(event.case, event.fact, accounts):
                reckon_at[case] = event.envelope.at
        self._write(cursor, known, accounts, reckon_at)

    def _accounts_concerned(self, told: list[Logged], cursor: Cursor[DictRow]) -> dict[str, Account]:
        """Those that these events are about, and every open one where the staff or the policy changed."""
        changed = any(
            isinstance(event.fact, OfPerson | FriendsRoleDeclared | PolicyAdopted | SeatChanged) for event in told
        )
        select = SQL("select * from {} where case_id = any (%s) or (%s and standing = %s)").format(
            self.table("accounts")
        )
        cursor.execute(select, ([event.case for event in told], changed, OPEN))
        return {row["case_id"]: Account(**row) for row in cursor.fetchall()}

    def _write(
        self,
        cursor: Cursor[DictRow],
        known: set[str],
        accounts: dict[str, Account],
        reckon_at: dict[str, datetime],
    ) -> None:
        self.replace_cases(cursor, known | accounts.keys(), COLUMNS, accounts.values(), "accounts")
        health = [
            (case, since, *each)
            for case, at in reckon_at.items()
            if case in accounts
            for since, each in health_from(at, accounts[case].administrators, self._register)
        ]
        self.replace_cases(
            cursor, (known - accounts.keys()) | reckon_at.keys(), HEALTH_COLUMNS, health, "account_health"
        )


def follow(accounts: dict[str, Account], event: Logged, fact: OfAccount) -> None:
    case, known = event.case, accounts.get(event.case)
    match fact:
        case RequestFields():
            accounts[case] = as_requested(event, fact, known)
        case AccountOpened() if known:
            accounts[case] = known._replace(
                standing=OPEN,
                administrators=list(fact.administrators),
                opened_at=event.envelope.at,
                log_position=event.log_position,
            )
        case AccountApproved() if known:
            accounts[case] = known._replace(standing=APPROVED, log_position=event.log_position)
        case AdministrationConfirmed(administrator=administrator) if known:
            confirmed = [*known.confirmed, administrator]
            accounts[case] = known._replace(confirmed=confirmed, log_position=event.log_position)
        case Ending():
            accounts.pop(case, None)
        case _:
            pass


def reseat(accounts: dict[str, Account], event: Logged, fact: SeatChanged) -> None:
    """Who administers an open account, as it has changed since."""
    for case in seats_of(fact.account, accounts):
        stay = [each for each in accounts[case].administrators if each != fact.administrator]
        seated = [*stay, fact.administrator] if isinstance(fact, SeatFilled) else stay
        accounts[case] = accounts[case]._replace(administrators=seated, log_position=event.log_position)


def seats_of(account: str, accounts: dict[str, Account]) -> list[str]:
    return [each.case_id for each in accounts.values() if each.standing == OPEN and each.account == account]


def as_requested(event: Logged, fact: RequestFields, known: Account | None) -> Account:
    return Account(
        case_id=event.case,
        account=claim(fact.platform, fact.handle),
        platform=fact.platform,
        handle=fact.handle,
        place=fact.place,
        standing=REQUESTED,
        administrators=list(fact.administrators),
        confirmed=[],
        posters=list(fact.posters),
        requested_by=known.requested_by if known and isinstance(fact, RequestAmended) else fact.by,
        requested_at=known.requested_at if known else event.envelope.at,
        opened_at=None,
        log_position=event.log_position,
    )


def concerned(case: str, fact: Fact, accounts: dict[str, Account]) -> list[str]:
    """The open accounts whose health this fact may change."""
    match fact:
        case AccountOpened():
            return [case]
        case PolicyAdopted():
            return [each.case_id for each in accounts.values() if each.standing == OPEN]
        case SeatChanged(account=account):
            return seats_of(account, accounts)
        case OfPerson(person=person):
            return administered_by(person.id, accounts)
        case FriendsRoleDeclared(person=person_id):
            return administered_by(person_id, accounts)
        case _:
            return []


def administered_by(person: str, accounts: dict[str, Account]) -> list[str]:
    return [each.case_id for each in accounts.values() if each.standing == OPEN and person in each.administrators]


def health_from(at: datetime, administrators: list[str], register: Register) -> Iterator[tuple[datetime, Health]]:
    """How it stands from this moment on, and from each later day that changes it by what is known today."""
    before = None
    for moment in (at, *days_that_may_change_it(at, administrators, register)):
        health = health_at(moment, administrators, register)
        if health != before:
            yield moment, health
        before = health


def days_that_may_change_it(at: datetime, administrators: list[str], register: Register) -> list[datetime]:
    people = [register.people[each] for each in administrators if each in register.people]
    days = {person.start for person in people} | {person.end and person.end + timedelta(days=1) for person in people}
    days |= {adopted.effective for adopted, _ in register.policies}
    return sorted(moment for day in days if day and (moment := beginning_of(day, at, register)) > at)


def beginning_of(day: date, at: datetime, register: Register) -> datetime:
    zone = ZoneInfo(Library(register, at).policy.calendar.timezone)
    return datetime.combine(day, time(), zone)


def health_at(at: datetime, administrators: list[str], register: Register) -> Health:
    library = Library(register, at)
    active = [each for each in administrators if library.is_employee(each) and not library.friends_administrator(each)]
    coordinators = sorted(coordinators_among(set(active), library))
    try:
        enough_administrators_one_a_coordinator(tuple(active), library)
    except Refused as refused:
        return Health(False, refused.because, active, coordinators)
    return Health(True, "", active, coordinators)
