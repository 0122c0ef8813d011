"""What is in force across processes: accounts in service with their administrators, and rights to post.

Processes do not import each other; what one of them brings about and others ask for is said in these words. A process's
own fact inherits from one here, and the register learns it under this name.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from typing import ClassVar

from pydantic import AwareDatetime

from domain.clauses import PR_4, PR_5, PR_7, PR_12, PR_19
from domain.directory import OfPerson, Person, PersonLeft
from domain.facts import Envelope, Fact, PatronId, PersonId, Slug, Value

PREFIX = "account:"


class Scope(StrEnum):
    """What a right covers: new posts, replies to comments, or both."""

    POSTS = auto()
    REPLIES = auto()
    POSTS_AND_REPLIES = auto()

    def covers(self, other: Scope) -> bool:
        return self in (Scope.POSTS_AND_REPLIES, other)


# accounts


class OfAccountInService(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_7,)
    account: str

    def touches(self) -> tuple[str, ...]:
        return (account_scope(self.account), "accounts")


class AccountPutInService(OfAccountInService):
    place: Slug
    administrators: tuple[PersonId, ...]
    posters: tuple[PersonId, ...]


class AccountTakenOutOfService(OfAccountInService):
    clauses: ClassVar[tuple[str, ...]] = (PR_19,)


class SeatChanged(OfAccountInService):
    """Who administers an account has changed since it was opened."""

    administrator: PersonId


class SeatVacated(SeatChanged):
    pass


class SeatFilled(SeatChanged):
    pass


class Account(Value):
    """An account as it stands: nobody posts to one that is closed."""

    id: str
    place: str
    administrators: tuple[str, ...]
    posters: tuple[str, ...]
    in_service: bool = True


# rights to post


class OfRights(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4, PR_5)
    holder: PersonId

    def touches(self) -> tuple[str, ...]:
        return (rights_scope(self.holder),)


class RightsBegun(OfRights):
    """From now on, the conditions once met, for this long, for someone of this place."""

    accounts: tuple[str, ...]
    scope: Scope
    place: Slug
    since: AwareDatetime
    until: AwareDatetime

    def open_conditions(self) -> tuple[str, ...]:
        return ()


class ConditionOfRightsMet(OfRights):
    condition: Slug


class RightsPaused(OfRights):
    pass


class RightsResumed(OfRights):
    pass


class RightsEnded(OfRights):
    pass


class Right(Value):
    """A right as it stands; `case` is where it was granted."""

    case: str
    holder: str
    accounts: tuple[str, ...]
    scope: Scope
    place: str
    since: AwareDatetime
    until: AwareDatetime
    conditions: tuple[str, ...] = ()
    paused: bool = False
    # why it gives nothing any longer, though its end is not recorded yet; returning does not bring it back
    lapsed: str = ""

    def runs_at(self, at: datetime) -> bool:
        return self.since <= at < self.until

    def without_condition(self, condition: str) -> Right:
        return self.model_copy(update={"conditions": tuple(each for each in self.conditions if each != condition)})


# patrons


class PatronForgotten(Fact):
    """What was sealed under their key can be opened by nobody any more."""

    clauses: ClassVar[tuple[str, ...]] = (PR_12,)
    patron: PatronId

    def touches(self) -> tuple[str, ...]:
        return (forgotten_scope(self.patron),)


class InForce:
    """Folded from the log: every account that was ever opened, every right that has not been ended, and which patrons
    were forgotten."""

    def __init__(self) -> None:
        self.forgotten: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.rights: dict[str, dict[str, Right]] = {}

    def still(self) -> InForce:
        """As it is now: nothing that is learned later changes it."""
        kept = InForce()
        kept.forgotten, kept.accounts = dict(self.forgotten), dict(self.accounts)
        kept.rights = {person: dict(held) for person, held in self.rights.items()}
        return kept

    def learn(self, envelope: Envelope, fact: Fact) -> bool:
        """Whether cases elsewhere have to be asked anew: not for a right that merely begins or ends."""
        match fact:
            case OfAccountInService():
                self._learn_of_account(fact)
                return not isinstance(fact, AccountPutInService)
            case OfRights():
                self._learn_of_rights(envelope.case, fact)
            case PersonLeft(person=person):
                self.lapse(person.id, "its holder left the library's service")
            case PatronForgotten(patron=patron):
                self.forgotten[patron] = envelope.case
            case OfPerson(person=person):
                held = self.rights.get(person.id, {})
                held.update({case: after_hr_said(right, person) for case, right in held.items()})
        return False

    def lapse(self, person: str, because: str) -> None:
        """Whatever becomes of them later: what lapsed does not come back."""
        for case, right in self.rights.get(person, {}).items():
            self.rights[person][case] = right.model_copy(update={"lapsed": right.lapsed or because})

    def _learn_of_account(self, fact: OfAccountInService) -> None:
        if isinstance(fact, AccountPutInService):
            account = Account(
                id=fact.account, place=fact.place, administrators=fact.administrators, posters=fact.posters
            )
            self.accounts[fact.account] = account
        elif known := self.accounts.get(fact.account):
            self.accounts[fact.account] = account_after(known, fact)

    def _learn_of_rights(self, case: str, fact: OfRights) -> None:
        held = self.rights.setdefault(fact.holder, {})
        match fact:
            case RightsBegun():
                held[case] = right_begun(case, fact)
            case RightsEnded():
                held.pop(case, None)
            case _ if case not in held:
                pass
            case ConditionOfRightsMet(condition=condition):
                held[case] = held[case].without_condition(condition)
            case RightsPaused():
                held[case] = held[case].model_copy(update={"paused": True})
            case RightsResumed():
                held[case] = held[case].model_copy(update={"paused": False})
            case _:
                pass


def account_after(account: Account, fact: OfAccountInService) -> Account:
    match fact:
        case SeatVacated(administrator=administrator):
            stay = tuple(each for each in account.administrators if each != administrator)
            return account.model_copy(update={"administrators": stay})
        case SeatFilled(administrator=administrator):
            seated = tuple(dict.fromkeys([*account.administrators, administrator]))
            return account.model_copy(update={"administrators": seated})
        case AccountTakenOutOfService():
            return account.model_copy(update={"in_service": False})
        case _:
            return account


def after_hr_said(right: Right, person: Person) -> Right:
    """PR-5: a right was given for work at one place, by whoever answers for that place."""
    if right.lapsed or (person.active and person.branch == right.place):
        return right
    moved = f"its holder moved from {right.place} to {person.branch}"
    return right.model_copy(update={"lapsed": moved if person.active else "its holder left the library's service"})


def right_begun(case: str, fact: RightsBegun) -> Right:
    return Right(
        case=case,
        holder=fact.holder,
        accounts=fact.accounts,
        scope=fact.scope,
        place=fact.place,
        since=fact.since,
        until=fact.until,
        conditions=fact.open_conditions(),
    )


# names


def account_scope(account: str) -> str:
    return f"account:{account}"


def forgotten_scope(patron: str) -> str:
    return f"forgotten:{patron}"


def rights_scope(person: str) -> str:
    return f"rights:{person}"


def account_id(text: str) -> str:
    """`facebook:DurantLibrary`, with or without the prefix, as the log names it."""
    bare = text.strip().removeprefix(PREFIX)
    platform, _, handle = bare.partition(":")
    return f"{PREFIX}{platform.strip().casefold()}:{handle.strip().removeprefix('@').casefold()}"
