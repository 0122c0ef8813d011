"""Whatever is sent, by whomever and whenever: what must never be in a history is in none.

Random commands by random people while time passes, staff come, go and move, delegations are given and branches close.
What is asserted is reckoned here from the plain history, without the domain's own rules. At the end the run shows that
it came to every stage and to every refusal: a property of histories that never happened would hold too.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from domain import account_creation, account_creation_rules, library, requests
from domain import steps as what_follows
from domain.account_creation import AccountCase, Stage
from domain.account_creation_messages import (
    AccountApproved,
    AccountOpened,
    AccountRefused,
    AmendRequest,
    ApproveAccount,
    AskForChanges,
    ChangesAsked,
    CompleteTask,
    ConditionMet,
    ConfirmAdministration,
    Ending,
    MeetCondition,
    OpenAccount,
    RefuseAccount,
    RequestFields,
    TaskCompleted,
    TaskWaived,
    WaiveTask,
    WithdrawRequest,
)
from domain.delegation import Delegate, Delegated, DelegationEnded, EndDelegation
from domain.directory import DeclareFriendsRole, FriendsRoleDeclared, OfPerson, Person
from domain.facts import Command, Envelope, Recorded, Refused
from domain.opening_hours import CloseBranch
from domain.pages import PAGES
from domain.requests import Condition, OnContent
from domain.waiting import Asked, BecameOverdue, Escalated, LetTimePass, Reconsider, Reminded, WaitingFact
from tests.domain.cases import EVERY_TASK
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CLERK,
    DIRECTOR,
    FEED,
    LEFT,
    LOGO,
    MANAGER,
    MARKETING,
    POLICY,
    TIMER,
    YOUTH,
    House,
    a_request,
    done,
    founded,
    sealed,
)

ACTORS = (MANAGER, ASSISTANT, CLERK, YOUTH, MARKETING, AUDITOR, "p-bm-winona", LEFT, DIRECTOR, BOARD)
POSITIONS = ("Executive Director", "Board of Trustees Delegate", "Auditor", "Library Clerk", "Branch Manager")
COORDINATORS = ("Marketing and Access Coordinator", "Youth Services Coordinator")
WAIVABLE = ("maintained_by", "contact_details", "website_link", "policy_link")
ENDS = (Stage.OPEN, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED)
WAY = (Stage.NOT_REQUESTED, Stage.EXECUTIVE_REVIEW, Stage.SET_UP, Stage.VERIFICATION, Stage.OPEN)
DECISIONS = (AccountApproved, ChangesAsked, AccountRefused)
MOST_CASES = 3
NO_CONTENT = "0" * 64

people = st.sampled_from(ACTORS)
# nobody in particular: whoever should
senders = st.none() | people
cases = st.integers(min_value=0, max_value=MOST_CASES - 1)
TOO_MANY = (MARKETING, *(f"p-bm-{place}" for place in POLICY.places if place not in ("hq", "durant")))
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"handle": "westreads"},
    {"handle": "@Westreads"},
    {"handle": "x"},
    {"platform": "myspace"},
    {"place": "hq"},
    {"place": "jackson"},
    {"administrators": ()},
    {"administrators": (MARKETING, MARKETING, MANAGER)},
    {"administrators": (MARKETING, MANAGER, ASSISTANT)},
    {"administrators": (MANAGER, ASSISTANT)},
    {"administrators": (YOUTH, LEFT)},
    {"administrators": TOO_MANY},
    {"posters": (LEFT,)},
    {"posters": (MANAGER, MANAGER)},
)


# What somebody may send, and who should: both follow from how the case stands.
Message = Callable[[AccountCase], tuple[Command, str]]


def asking(wish: dict[str, Any]) -> Message:
    return lambda _: (a_request(**wish), MANAGER)


def changing(wish: dict[str, Any]) -> Message:
    amended = AmendRequest.model_validate(a_request(**wish).model_dump())
    return lambda case: (amended, case.requester or MANAGER)


def approving(*conditions: str) -> Message:
    named = tuple(Condition(id=each, what=sealed()) for each in conditions)
    return lambda case: (ApproveAccount(content=content_of(case), conditions=named), whoever_is_asked(case))


def deciding(what: type[OnContent], content: str = "") -> Message:
    def message(case: AccountCase) -> tuple[Command, str]:
        said = {"content": content or content_of(case), "reason": sealed()}
        return what.model_validate(said), whoever_is_asked(case)

    return message


def doing(command: Command) -> Message:
    return lambda _: (command, MARKETING)


def content_of(case: AccountCase) -> str:
    return case.content or NO_CONTENT


def whoever_is_asked(case: AccountCase) -> str:
    return case.waiting.persons[-1] if case.waiting and case.waiting.persons else DIRECTOR


changes = st.one_of(
    st.sampled_from([{"active": False}, {"active": True}, {"end": 0}, {"end": 20}, {"branch": "winona"}]),
    st.sampled_from(POSITIONS).map(lambda position: {"position": position}),
)
tasks = st.sampled_from(EVERY_TASK)
messages: tuple[st.SearchStrategy[Message], ...] = (
    *(st.just(wish).map(asking) for wish in WISHES),
    *(st.just(wish).map(changing) for wish in WISHES),
    st.just(approving()),
    st.just(approving("two-pictures", "alt-text")),
    st.just(approving("alt-text", "alt-text")),
    st.just(lambda case: (ApproveAccount(content=content_of(case)), case.requester or MANAGER)),
    st.just(deciding(AskForChanges)),
    st.just(deciding(RefuseAccount)),
    st.just(deciding(RefuseAccount, NO_CONTENT)),
    st.just(lambda case: (ApproveAccount(content=NO_CONTENT), whoever_is_asked(case))),
    st.just(lambda case: (WithdrawRequest(), case.requester or MANAGER)),
    tasks.map(lambda task: doing(done(task))),
    st.just(doing(CompleteTask(task="logo"))),
    st.just(doing(CompleteTask(task="parade"))),
    tasks.map(lambda task: doing(WaiveTask(task=task, reason=sealed()))),
    st.just(doing(WaiveTask(task="two_factor", reason=sealed()))),
    st.just(doing(MeetCondition(condition="alt-text"))),
    st.just(doing(ConfirmAdministration())),
    st.just(doing(OpenAccount())),
)


class Reached:
    """What the whole run came to."""

    def __init__(self) -> None:
        self.stages: Counter[Stage] = Counter()
        self.refusals: Counter[str] = Counter()
        self.facts: Counter[str] = Counter()


REACHED = Reached()


class History:
    """One library for a while: what is sent to it, what happens around it, and what must hold all along."""

    def __init__(self) -> None:
        self.house: House = founded()
        self.begun = self.read_up_to = len(self.house.log)
        self.said = {person.id: person for person in FEED.people}
        self.cases: list[str] = []
        # those that people are still busy with
        self.at_hand: list[str] = []

    # ---- people act

    def attempt(self, command: Command, by: Any, case: str) -> bool:
        before = len(self.house.log)
        try:
            self.house.decides(command, by, case)
        except Refused:
            return False
        for recorded in self.house.log[before:]:
            REACHED.facts[recorded.envelope.kind] += 1
            self.look_at(recorded)
        if case in self.cases:
            REACHED.stages[self.house.case(case).stage] += 1
        return True

    def case(self, nth: int) -> str:
        return self.at_hand[nth % len(self.at_hand)]

    def cases_have_begun(self, untils: list[Stage]) -> None:
        for nth, until in enumerate(untils):
            self.at_hand.append("")
            self.another_case_begins(nth)
            self.the_case_goes_its_way(nth, until)

    def someone_sends(self, nth: int, by: str | None, message: Message) -> None:
        command, whoever_should = message(self.house.case(self.case(nth)))
        self.attempt(command, by or whoever_should, self.case(nth))

    def everyone_tries_to_approve(self, nth: int, first: int) -> None:
        case = self.case(nth)
        for person in (*ACTORS[first:], *ACTORS[:first]):
            self.attempt(ApproveAccount(content=content_of(self.house.case(case))), person, case)

    def someone_plays_the_clock(self, nth: int, by: str, what: Command) -> None:
        assert not self.attempt(what, by, self.case(nth))

    def the_case_goes_its_way(self, nth: int, until: Stage, by: str = MANAGER, more: int = 0) -> None:
        """Step by step what would be sent if all were as it should be, by people who are impatient to open."""
        if self.house.case(self.case(nth)).stage in ENDS:
            self.another_case_begins(nth)
        case = self.case(nth)
        while self.house.case(case).stage is not until and self.goes_on(case, until, by):
            pass
        for _ in range(more):
            self.goes_on(case, until, by)

    def goes_on(self, case: str, until: Stage, by: str) -> bool:
        state = self.house.case(case)
        if state.stage is Stage.VERIFICATION and until is Stage.OPEN and self.attempt(OpenAccount(), YOUTH, case):
            return False
        step = next_step(state, by)
        return step is not None and self.attempt(step[0], step[1], case)

    def another_case_begins(self, nth: int) -> None:
        self.cases.append(f"account_creation-{len(self.cases)}")
        self.at_hand[nth % len(self.at_hand)] = self.cases[-1]
        REACHED.stages[Stage.NOT_REQUESTED] += 1

    # ---- the world goes on

    def time_passes(self, hours: int) -> None:
        self.house.passes(hours=hours)
        for case in self.cases:
            self.attempt(LetTimePass(), TIMER, case)

    def hr_says_so(self, person: str, change: dict[str, Any]) -> None:
        known = self.house.register.people[person]
        if (days := change.get("end")) is not None:
            change = {"end": self.today() + timedelta(days=days)}
        self.house.imports(known.model_copy(update={"end": None} | change))

    def everyone_is_back(self) -> None:
        self.house.imports(*(founded().register.people[person] for person in ACTORS))

    def someone_says_whether_they_administer_a_friends_site(self, person: str, administers: bool) -> None:
        self.attempt(DeclareFriendsRole(person=person, administers=administers), person, "directory")

    def someone_lets_another_stand_in(self, giver: str, to: str, since: int, days: int) -> None:
        first = self.house.now + timedelta(days=since)
        wanted = Delegate(
            to=to, processes=("account_creation",), since=first, until=first + timedelta(days=days), reason=sealed()
        )
        self.attempt(wanted, giver, "delegation")

    def someone_ends_a_delegation(self, nth: int, by: str) -> None:
        given = [each.fact.delegation for each in self.house.log if isinstance(each.fact, Delegated)]
        if given:
            self.attempt(EndDelegation(delegation=given[nth % len(given)]), by, "delegation")

    def a_storm_closes_every_place(self, days: int) -> None:
        day = self.today() + timedelta(days=days)
        self.attempt(CloseBranch(place="*", day=day, because="Storm"), DIRECTOR, "opening_hours")

    def the_cases_are_asked_to_reckon_anew(self) -> None:
        for case in self.cases:
            self.attempt(Reconsider(), TIMER, case)

    def today(self) -> date:
        return self.house.library().calendar.local(self.house.now).date()

    # ---- what must hold, reckoned from the history alone

    def look_at(self, recorded: Recorded) -> None:
        match recorded.fact:
            case AccountApproved() | ChangesAsked() | AccountRefused():
                self.decided_by_who_may(recorded)
            case AccountOpened() as opened:
                self.opened_in_order(opened, self.history(recorded.envelope.case))

    def told(self) -> str:
        said = [(each.envelope, each.fact) for each in self.house.log[self.begun :]]
        return "\n".join(f"{envelope.at} {envelope.actor.id} {envelope.case} {fact!r}" for envelope, fact in said)

    def history(self, case: str) -> list[Recorded]:
        return [each for each in self.house.log[self.begun :] if each.envelope.case == case]

    def decided_by_who_may(self, decision: Recorded) -> None:
        """No decision by the requester or an editor, nor on behalf of one, nor by grace of one; but by a holder of the
        deciding role, or by somebody to whom a chain of delegations leads from a holder."""
        said, history = decision.envelope, self.history(decision.envelope.case)
        parties = {each.envelope.actor.id for each in history if isinstance(each.fact, RequestFields)}
        assert said.actor.id not in parties
        assert self.acts(said.actor.id)
        holder = said.on_behalf_of or said.actor.id
        assert holder not in parties
        assert holder in self.those_who_decide(parties)
        assert said.actor.id in self.reached_by_delegation(holder, parties)

    def those_who_decide(self, parties: set[str]) -> set[str]:
        return self.holding("Executive Director") - parties or self.holding("Board of Trustees Delegate") - parties

    def reached_by_delegation(self, holder: str, parties: set[str]) -> set[str]:
        ended = {each.fact.delegation for each in self.house.log if isinstance(each.fact, DelegationEnded)}
        given = [
            each.fact
            for each in self.house.log
            if isinstance(each.fact, Delegated) and each.fact.delegation not in ended
        ]
        reached = {holder}
        for _ in range(3):
            reached |= {
                each.to
                for each in given
                if each.giver in reached - parties
                and self.acts(each.giver)
                and each.since <= self.house.now < each.until
            }
        return reached

    def opened_in_order(self, opened: AccountOpened, history: list[Recorded]) -> None:
        facts = [each.fact for each in history]
        last_request = max(n for n, fact in enumerate(facts) if isinstance(fact, RequestFields))
        since = history[last_request:]
        decisions = [each.fact for each in since if isinstance(each.fact, DECISIONS)]
        assert [type(each) for each in decisions] == [AccountApproved]
        confirmed = {
            each.envelope.actor.id for each in since if each.envelope.kind == "account_creation.AdministrationConfirmed"
        }
        assert set(opened.administrators) == confirmed
        assert len(opened.administrators) == len(confirmed) >= 2
        assert confirmed <= set(as_request(facts[last_request]).administrators)
        assert all(self.is_employed(each) and not self.administers_friends(each) for each in confirmed)
        assert confirmed & (self.holding(COORDINATORS[0]) | self.holding(COORDINATORS[1]))
        met = [each.fact.condition for each in since if isinstance(each.fact, ConditionMet)]
        assert sorted(met) == sorted(each.id for each in as_approval(decisions[0]).conditions)
        self.every_task_closed(facts)

    def every_task_closed(self, facts: list[Any]) -> None:
        moved = [n for n, fact in enumerate(facts) if getattr(fact, "left_handle", "")]
        since = facts[moved[-1] if moved else 0 :]
        completed = [fact for fact in since if isinstance(fact, TaskCompleted)]
        waived = [fact.task for fact in since if isinstance(fact, TaskWaived)]
        assert sorted([*(fact.task for fact in completed), *waived]) == sorted(EVERY_TASK)
        assert set(waived) <= set(WAIVABLE)
        assert [fact.logo_sha256 for fact in completed if fact.task == "logo"] == [LOGO.sha256]

    # the directory, as HR said it

    def said_of(self, person: str) -> Person:
        for each in self.house.log[self.read_up_to :]:
            if isinstance(each.fact, OfPerson):
                self.said[each.fact.person.id] = each.fact.person
        self.read_up_to = len(self.house.log)
        return self.said[person]

    def works(self, person: str) -> bool:
        said = self.said_of(person)
        return bool(said.active and (said.end is None or self.today() <= said.end))

    def acts(self, person: str) -> bool:
        return self.works(person) and self.said_of(person).position != "Auditor"

    def is_employed(self, person: str) -> bool:
        return self.acts(person) and self.said_of(person).position != "Board of Trustees Delegate"

    def holding(self, position: str) -> set[str]:
        return {each for each in list(self.said) if self.works(each) and self.said_of(each).position == position}

    def administers_friends(self, person: str) -> bool:
        said = [
            each.fact.administers
            for each in self.house.log
            if isinstance(each.fact, FriendsRoleDeclared) and each.fact.person == person
        ]
        return bool(said and said[-1])

    # ---- what must hold at every moment

    def holds(self) -> None:
        self.no_two_living_cases_hold_one_account()
        self.a_case_waits_for_someone_until_it_ends()

    def no_two_living_cases_hold_one_account(self) -> None:
        living = [
            self.house.case(case).account
            for case in self.cases
            if self.house.case(case).stage not in (Stage.NOT_REQUESTED, *ENDS[1:])
        ]
        assert sorted(living) == sorted(self.house.register.claims)

    def a_case_waits_for_someone_until_it_ends(self) -> None:
        for case in self.cases:
            state = self.house.case(case)
            waits = state.stage not in (Stage.NOT_REQUESTED, *ENDS)
            assert (state.waiting is not None) is waits

    def held_all_along(self) -> None:
        self.read_again_from_its_bytes()
        for case in self.cases:
            self.nothing_follows_the_end(case)
            self.each_moment_once(case)

    def read_again_from_its_bytes(self) -> None:
        """What is folded from the stored bytes is what was known all along."""
        again = founded()
        for nth, each in enumerate(self.house.log[self.begun :], start=self.begun + 1):
            envelope = Envelope.model_validate_json(each.envelope.model_dump_json())
            read = Recorded(envelope, envelope.opened(), nth, each.recorded_at)
            page = PAGES[envelope.case.partition("-")[0]]
            again.states[envelope.case] = page.fold(again.state(envelope.case), [read])
            again.register.evolve(envelope, read.fact, nth)
        assert again.states == self.house.states
        assert again.register.claims == self.house.register.claims
        assert again.register.people == self.house.register.people
        assert again.register.delegations == self.house.register.delegations

    def nothing_follows_the_end(self, case: str) -> None:
        history = self.history(case)
        ends = [n for n, each in enumerate(history) if isinstance(each.fact, Ending | AccountOpened)]
        assert ends in ([], [len(history) - 1])

    def each_moment_once(self, case: str) -> None:
        happened: Counter[Any] = Counter()
        for each in self.history(case):
            if isinstance(each.fact, Asked):
                happened.clear()
            elif isinstance(each.fact, Reminded | Escalated | BecameOverdue):
                happened[type(each.fact), getattr(each.fact, "nth", 1)] += 1
                assert max(happened.values()) == 1
            assert not isinstance(each.fact, WaitingFact) or each.fact.cites()


Step = Callable[[History], None]


def steps_of(does: Callable[..., None], **said: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(said).map(lambda drawn: lambda history: does(history, **drawn))


someone_sends = [steps_of(History.someone_sends, nth=cases, by=senders, message=each) for each in messages]
the_case_goes_its_way = [
    steps_of(
        History.the_case_goes_its_way,
        nth=cases,
        until=st.just(until),
        by=st.sampled_from([MANAGER, DIRECTOR, ASSISTANT]),
        more=st.integers(0, 4 if until is Stage.VERIFICATION else 0),
    )
    for until in (*WAY, Stage.EXECUTIVE_REVIEW)
]
the_world_goes_on = st.one_of(
    steps_of(
        History.someone_plays_the_clock, nth=cases, by=people, what=st.sampled_from([LetTimePass(), Reconsider()])
    ),
    steps_of(History.time_passes, hours=st.sampled_from([1, 8, 24, 60, 120, 800])),
    steps_of(History.hr_says_so, person=people, change=changes),
    steps_of(History.everyone_is_back),
    steps_of(
        History.someone_says_whether_they_administer_a_friends_site,
        person=people,
        administers=st.sampled_from([True, False, False]),
    ),
    *(
        steps_of(
            History.someone_lets_another_stand_in,
            giver=st.just(giver),
            to=st.sampled_from([MANAGER, YOUTH, CLERK, ASSISTANT]),
            since=st.sampled_from([0, 0, 1, 5]),
            days=st.integers(1, 40),
        )
        for giver in (DIRECTOR, BOARD, MANAGER, YOUTH)
    ),
    steps_of(History.someone_ends_a_delegation, nth=st.integers(0, 5), by=people),
    steps_of(History.a_storm_closes_every_place, days=st.integers(0, 9)),
    steps_of(History.the_cases_are_asked_to_reckon_anew),
)
everyone_tries = [
    steps_of(History.everyone_tries_to_approve, nth=cases, first=st.just(first)) for first in range(0, len(ACTORS), 2)
]
steps = st.one_of(*someone_sends, *everyone_tries, *the_case_goes_its_way, the_world_goes_on)


def as_request(fact: Any) -> RequestFields:
    assert isinstance(fact, RequestFields)
    return fact


def as_approval(fact: Any) -> AccountApproved:
    assert isinstance(fact, AccountApproved)
    return fact


ALT_TEXT = (Condition(id="alt-text", what=sealed()),)


def next_step(case: AccountCase, requester: str) -> tuple[Command, str] | None:
    wait = case.waiting
    match case.stage:
        case Stage.NOT_REQUESTED:
            return a_request(f"h{case.case[17:]}reads", administrators=(MARKETING, MANAGER, ASSISTANT)), requester
        case Stage.EXECUTIVE_REVIEW if wait and wait.persons:
            return ApproveAccount(content=case.content, conditions=ALT_TEXT), wait.persons[-1]
        case Stage.CHANGES_ASKED:
            asked = {name: getattr(case.asked_for, name) for name in AmendRequest.model_fields}
            return AmendRequest(**asked), case.requester
        case Stage.SET_UP:
            closed = (*case.tasks_done, *case.tasks_waived)
            return done(next(each for each in EVERY_TASK if each not in closed)), MARKETING
        case Stage.VERIFICATION:
            return last_step(case)
        case _:
            return None


def last_step(case: AccountCase) -> tuple[Command, str]:
    for condition in case.conditions:
        if condition.id not in case.conditions_met:
            return MeetCondition(condition=condition.id), MARKETING
    for administrator in reversed(case.asked_for.administrators):
        if administrator not in case.confirmed:
            return ConfirmAdministration(), administrator
    return OpenAccount(), YOUTH


# ---- what a run has come to


RULES_OF_AUTHORITY = ("authority_to_decide", "only")
RULES_OF_THE_PROCESS = (account_creation, account_creation_rules, requests, what_follows)


def raised_in(module: ModuleType) -> Iterator[tuple[str, int, int]]:
    """Each place where a rule refuses: the rule's name, and its first and last line."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Raise | ast.Return) and refuses(node):
                    yield function.name, node.lineno, node.end_lineno or node.lineno


def refuses(node: ast.Raise | ast.Return) -> bool:
    """Itself, or by handing the refusal over to whoever raises it."""
    said = node.exc if isinstance(node, ast.Raise) else node.value
    return isinstance(said, ast.Call) and named_refused(said.func)


def named_refused(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "Refused"


def every_refusal() -> dict[tuple[str, int], str]:
    """By file and line: the rule that refuses there."""
    found: dict[tuple[str, int], str] = {}
    for module in (*RULES_OF_THE_PROCESS, library):
        for name, first, last in raised_in(module):
            if module is not library or name in RULES_OF_AUTHORITY:
                found |= {(str(module.__file__), line): f"{name}, line {first}" for line in range(first, last + 1)}
    return found


def noting_where(init: Callable[..., None]) -> Callable[..., None]:
    where = every_refusal()

    def noted(self: Refused, *said: Any, **named: Any) -> None:
        frame = sys._getframe(1)
        if rule_there := where.get((frame.f_code.co_filename, frame.f_lineno)):
            REACHED.refusals[rule_there] += 1
        init(self, *said, **named)

    return noted


@settings(max_examples=200, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    begun=st.lists(st.sampled_from(WAY), min_size=1, max_size=MOST_CASES),
    then=st.lists(steps, min_size=30, max_size=60),
)
def histories(begun: list[Stage], then: list[Step]) -> None:
    history = History()
    try:
        history.cases_have_begun(begun)
        for step in then:
            step(history)
            history.holds()
        history.held_all_along()
    except Exception:
        note(history.told())
        raise


def test_no_history_holds_what_must_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refused, "__init__", noting_where(Refused.__init__))
    histories()
    assert set(every_refusal().values()) - set(REACHED.refusals) == set()
    assert set(Stage) - set(REACHED.stages) == set()
    assert min(REACHED.stages.values()) >= 10
