"""The library as the domain alone knows it: decided and folded by the pages themselves, with no database and no clock.

`founded()` reads the real policy file and staff feed once; every test gets a copy of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.account_creation import AccountCase
from domain.account_creation_messages import (
    ApproveAccount,
    CompleteTask,
    ConfirmAdministration,
    OpenAccount,
    RequestAccount,
)
from domain.directory import ImportStaff, Person
from domain.facts import (
    Act,
    Actor,
    ActorKind,
    Channel,
    Command,
    Decision,
    Envelope,
    Fact,
    Recorded,
    Refused,
    Sealed,
    State,
    stem_of,
)
from domain.founding import FoundSystem
from domain.library import Library
from domain.opening_hours import AdoptCalendar
from domain.pages import PAGES
from domain.policy import parse_policy, policy_hash
from domain.policy_adoption import AdoptPolicy
from domain.register import Register
from domain.waiting import LetTimePass, Reconsider
from services.hr.csv_feed import read_feed

POLICIES = Path(__file__).parents[2] / "policies"
POLICY_TEXT = (POLICIES / "mmrls.toml").read_text(encoding="utf-8")
POLICY = parse_policy(POLICY_TEXT, "mmrls.toml")
FEED = read_feed((POLICIES / "mmrls-staff-example.csv").read_bytes(), POLICY)
LOGO = POLICY.official_logos[0]

# A Monday, ten in the morning in Mississippi; summer time begins on the Sunday after.
MONDAY = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)

OPERATOR = Actor(kind=ActorKind.OPERATOR, id="operator")
HR = Actor(kind=ActorKind.HR_SYSTEM, id="hr")
TIMER = Actor(kind=ActorKind.TIMER, id="timer")

DIRECTOR, BOARD, AUDITOR = "p-ed", "p-board", "p-auditor"
MARKETING, YOUTH = "p-mac", "p-ysc"
HELPDESK, IT, CLERK = "p-hq-helpdesk", "p-hq-it", "p-hq-clerk"
HEADQUARTERS_STAFF = (CLERK, HELPDESK, IT, MARKETING, YOUTH)
MANAGER, ASSISTANT = "p-bm-durant", "p-bs-durant-1"
ELSEWHERE, CLERK_ELSEWHERE = "p-bm-winona", "p-bs-winona-1"
LEFT = "p-bs-west-left"

CASE = "account_creation-11111111-1111-4111-8111-111111111111"
OTHER_CASE = "account_creation-22222222-2222-4222-8222-222222222222"


def sealed(text: str = "") -> Sealed:
    """Stands for a sealed text: the domain never opens one."""
    return Sealed(under=(f"case:{CASE}",), wrapped="AA==", nonce="AA==", ciphertext=text or "AA==")


def a_request(handle: str = "durantlibrary", **changed: Any) -> RequestAccount:
    asked: dict[str, Any] = {
        "platform": "facebook",
        "handle": handle,
        "place": "durant",
        "purpose": sealed("purpose"),
        "audience": sealed("audience"),
        "administrators": (MARKETING, MANAGER),
        "posters": (MANAGER,),
    }
    return RequestAccount(**(asked | changed))


def person_of(who: str | Actor) -> Actor:
    return who if isinstance(who, Actor) else Actor(kind=ActorKind.PERSON, id=who)


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class House:
    def __init__(self) -> None:
        self.now = MONDAY
        self.register = Register()
        self.log: list[Recorded] = []
        self.states: dict[str, State] = {}
        self.commands = 0

    def copy(self) -> House:
        house = House()
        house.now, house.log, house.states, house.commands = self.now, [*self.log], {**self.states}, self.commands
        house.register = self.register.still()
        return house

    # time

    def passes(self, **by: float) -> House:
        self.now += timedelta(**by)
        return self

    def comes(self, moment: datetime) -> House:
        self.now = moment
        return self

    # what it knows

    def library(self, case: str = "") -> Library:
        return Library(self.register, self.now, self.state(case).policy if case else "")

    def state(self, case: str) -> State:
        return self.states.get(case) or PAGES[stem_of(case)].initial(case)

    def case(self, case: str = CASE) -> AccountCase:
        state = self.state(case)
        assert isinstance(state, AccountCase)
        return state

    def facts_of(self, case: str = CASE) -> list[Fact]:
        return [each.fact for each in self.log if each.envelope.case == case]

    # given, when, then

    def act(self, command: Command, by: str | Actor, case: str) -> Act:
        self.commands += 1
        id_ = str(UUID(int=self.commands))
        return Act(
            command=command, id=id_, case=case, by=person_of(by), at=self.now, channel=Channel.API, proven_by="a test",
            cause=id_, correlation=case,
        )  # fmt: skip

    def does(self, command: Command, by: str | Actor, case: str = CASE) -> list[Fact]:
        """Decided by the case's page on what the house knows, and recorded."""
        return list(self.decides(command, by, case).facts)

    def decides(self, command: Command, by: str | Actor, case: str = CASE) -> Decision:
        act, state = self.act(command, by, case), self.state(case)
        library = Library(self.register, self.now, state.policy)
        decision = PAGES[stem_of(case)].decide(act, state, library)
        received: dict[str, Any] | None = received_as(act)
        for fact in decision.facts:
            self.records(fact, act, decision, library, received)
            received = None
        return decision

    def records(
        self, fact: Fact, act: Act, decision: Decision, library: Library, received: dict[str, Any] | None
    ) -> None:
        state, authority = self.state(act.case), decision.authority
        envelope = Envelope(
            event_id=str(UUID(int=len(self.log) + 1)), case=act.case, position=state.position + 1, at=act.at,
            occurred_at=act.at, actor=act.by, on_behalf_of=authority.on_behalf_of if authority else "",
            role=authority.role if authority else "", place=authority.place if authority else "",
            proven_by=act.proven_by, channel=act.channel, command_id=act.id, cause=act.cause,
            correlation=act.correlation, policy=library.policy_version(), read_up_to=self.register.position,
            clauses=fact.cites(), claims=fact.claims(), releases=fact.releases(), touches=fact.touches(),
            kind=fact.kind, fact=fact.model_dump(mode="json"), command=received,
        )  # fmt: skip
        recorded = Recorded(envelope, fact, len(self.log) + 1, act.at)
        self.log.append(recorded)
        self.register.evolve(envelope, fact, recorded.log_position)
        self.states[act.case] = PAGES[stem_of(act.case)].fold(state, [recorded])

    def refuses(self, command: Command, by: str | Actor, case: str = CASE) -> Refused:
        with pytest.raises(Refused) as caught:
            self.decides(command, by, case)
        assert caught.value.because
        assert caught.value.remedy
        return caught.value

    def time_passes(self, case: str = CASE) -> list[Fact]:
        return self.does(LetTimePass(), TIMER, case)

    def reconsiders(self, case: str = CASE) -> list[Fact]:
        return self.does(Reconsider(), TIMER, case)

    # the staff

    def hr_says(self, person: str, **changed: Any) -> list[Fact]:
        known = self.register.people[person]
        return self.imports(known.model_copy(update=changed))

    def imports(self, *people: Person) -> list[Fact]:
        return self.does(ImportStaff(feed_sha256="0" * 64, people=people), HR, "directory")

    def leaves(self, *people: str) -> House:
        for person in people:
            self.hr_says(person, active=False)
        return self

    # a case on its way

    def requested(self, by: str = MANAGER, case: str = CASE, **changed: Any) -> House:
        self.does(a_request(**changed), by, case)
        return self

    def approved(self, by: str = DIRECTOR, case: str = CASE, **more: Any) -> House:
        self.does(ApproveAccount(content=self.case(case).content, **more), by, case)
        return self

    def set_up(self, case: str = CASE, without: tuple[str, ...] = ()) -> House:
        for task in POLICY.setup_tasks:
            if task.id not in without:
                self.does(done(task.id), MARKETING, case)
        return self

    def confirmed(self, *people: str, case: str = CASE) -> House:
        for person in people or (MARKETING, MANAGER):
            self.does(ConfirmAdministration(), person, case)
        return self

    def opened(self, case: str = CASE) -> House:
        self.does(OpenAccount(), MARKETING, case)
        return self


def received_as(act: Act) -> dict[str, Any]:
    fields = act.command.model_dump(mode="json")
    return {"kind": act.command.kind, "id": act.id, "case": act.case, "fields": fields, "credential": ""}


def done(task: str) -> CompleteTask:
    if task == "logo":
        return CompleteTask(task=task, logo_source=LOGO.source, logo_sha256=LOGO.sha256)
    return CompleteTask(task=task)


def unfounded() -> House:
    return House()


def _founded() -> House:
    house = unfounded()
    house.does(AdoptPolicy(text=POLICY_TEXT), OPERATOR, "policy_adoption")
    house.does(AdoptCalendar(calendar=POLICY.calendar), OPERATOR, "opening_hours")
    house.does(ImportStaff(feed_sha256=FEED.sha256, people=FEED.people), OPERATOR, "directory")
    founding = FoundSystem(
        installation=POLICY.title, policy_sha256=policy_hash(POLICY_TEXT), staff_sha256=FEED.sha256, door_key="AA"
    )
    house.does(founding, OPERATOR, "founding")
    return house


FOUNDED = _founded()


def founded() -> House:
    return FOUNDED.copy()
