"""A library in memory: commands through the same pages as in the ledger, facts on one log, in milliseconds."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from domain.directory import ImportStaff, Person
from domain.facts import (
    Act,
    Actor,
    ActorKind,
    Authority,
    Channel,
    Command,
    Decision,
    Envelope,
    Fact,
    Recorded,
    Sealed,
    State,
    stem_of,
)
from domain.in_force import AccountPutInService, AccountTakenOutOfService
from domain.library import Library
from domain.opening_hours import AdoptCalendar
from domain.pages import PAGES
from domain.policy import Policy, parse_policy, policy_hash
from domain.policy_adoption import PolicyAdopted
from domain.register import Register
from domain.waiting import LetTimePass, Reconsider
from tests.system import POLICY, STAFF

MONDAY = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
DURANT, WEST = "account:facebook:durantlibrary", "account:facebook:westlibrary"


class Opened(AccountPutInService, kind="tests.Opened"):
    pass


class Closed(AccountTakenOutOfService, kind="tests.Closed"):
    pass


@lru_cache
def the_policy() -> Policy:
    return parse_policy(POLICY.read_text(encoding="utf-8"), "mmrls.toml")


@lru_cache
def the_staff() -> tuple[Person, ...]:
    with STAFF.open(encoding="utf-8") as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return tuple(Person.model_validate(row) for row in rows)


def sealed(text: str = "AA==") -> Sealed:
    return Sealed(under=("case:x",), wrapped="AA==", nonce="AA==", ciphertext=text)


class World:
    """`says` is a person's command, `passes` the clock's, `hr_says` the feed's."""

    def __init__(self) -> None:
        self.at = MONDAY
        self.register = Register()
        self.log: list[Recorded] = []
        self.streams: dict[str, list[Recorded]] = {}
        self.states: dict[str, State] = {}
        text = POLICY.read_text(encoding="utf-8")
        policy = the_policy()
        adopted = PolicyAdopted(
            version=policy.version, effective=policy.effective, sha256=policy_hash(text), text=text
        )
        self.record("policy_adoption", [adopted])
        self.does("opening_hours", AdoptCalendar(calendar=policy.calendar), OPERATOR)
        self.does("directory", ImportStaff(feed_sha256="0" * 64, people=the_staff()), HR)

    # people, the clock, HR

    def says(self, person: str, command: Command, case: str) -> tuple[Fact, ...]:
        return self.does(case, command, Actor(kind=ActorKind.PERSON, id=person))

    def time_passes(self, case: str, **by: float) -> tuple[Fact, ...]:
        self.at += timedelta(**by)
        return self.does(case, LetTimePass(), TIMER)

    def looks_again(self, case: str) -> tuple[Fact, ...]:
        return self.does(case, Reconsider(), TIMER)

    def hr_says(self, person: str, **changed: Any) -> tuple[Fact, ...]:
        people = (self.register.people[person].model_copy(update=changed),)
        return self.does("directory", ImportStaff(feed_sha256="0" * 64, people=people), HR)

    def has_account(self, account: str = DURANT, place: str = "durant", *administrators: str) -> str:
        seated = administrators or ("p-mac", "p-bm-durant")
        self.record(f"opening:{account}", [Opened(account=account, place=place, administrators=seated, posters=())])
        return account

    def closes(self, account: str) -> None:
        self.record(f"closing:{account}", [Closed(account=account)])

    # the machinery

    def library(self, at: datetime | None = None) -> Library:
        return Library(self.register, at or self.at)

    def state(self, case: str) -> Any:
        """As it stands: what was folded before is not folded again."""
        page = PAGES[stem_of(case)]
        known, recorded = self.states.get(case) or page.initial(case), self.streams.get(case, [])
        self.states[case] = page.fold(known, recorded[known.position :])
        return self.states[case]

    def does(self, case: str, command: Command, by: Actor) -> tuple[Fact, ...]:
        id_ = self.next_command()
        decision = self.judged(case, command, by, id_)
        self.record(case, list(decision.facts), by, decision.authority, id_)
        return decision.facts

    def next_command(self) -> str:
        return f"command-{len(self.log)}"

    def judged(self, case: str, command: Command, by: Actor, id_: str = "") -> Decision:
        page, state = PAGES[stem_of(case)], self.state(case)
        act = Act(command, id_ or self.next_command(), case, by, self.at, Channel.API, "a test")
        return page.decide(act, state, Library(self.register, self.at, state.policy))

    def record(
        self,
        stream: str,
        facts: list[Fact],
        by: Actor | None = None,
        authority: Authority | None = None,
        command: str = "",
    ) -> list[Recorded]:
        return [self._record(stream, fact, by or OPERATOR, authority or Authority(), command) for fact in facts]

    def _record(self, stream: str, fact: Fact, by: Actor, authority: Authority, command: str) -> Recorded:
        log_position, earlier = len(self.log) + 1, self.streams.setdefault(stream, [])
        claims = tuple(f"claim:{key}" for key in (*fact.claims(), *fact.releases()))
        envelope = Envelope(
            event_id=str(uuid5(NAMESPACE_URL, f"event/{log_position}")),
            case=stream,
            position=len(earlier) + 1,
            at=self.at,
            occurred_at=self.at,
            actor=by,
            role=authority.role,
            place=authority.place,
            on_behalf_of=authority.on_behalf_of,
            proven_by="a test",
            channel=Channel.API,
            command_id=command or f"command-{log_position}",
            correlation=stream,
            policy="2026-1",
            read_up_to=log_position - 1,
            clauses=fact.cites(),
            claims=fact.claims(),
            releases=fact.releases(),
            touches=(*fact.touches(), *claims),
            kind=fact.kind,
            fact=fact.model_dump(mode="json"),
        )
        recorded = Recorded(envelope, fact, log_position, self.at)
        self.log.append(recorded)
        earlier.append(recorded)
        if envelope.touches:
            self.register.evolve(envelope, fact, log_position)
        return recorded


OPERATOR = Actor(kind=ActorKind.OPERATOR, id="operator")
HR = Actor(kind=ActorKind.HR_SYSTEM, id="hr")
TIMER = Actor(kind=ActorKind.TIMER, id="timer")


def names(facts: tuple[Fact, ...]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


def stage_of(state: State) -> str:
    return str(getattr(state, "stage", ""))
