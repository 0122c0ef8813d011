"""A stretch of the library's life on a real ledger: cases of every ending, refusals, reminders, staff changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from domain.account_creation import AccountCase, Stage
from domain.account_creation_messages import (
    AmendRequest,
    ApproveAccount,
    AskForChanges,
    CompleteTask,
    ConfirmAdministration,
    OpenAccount,
    RefuseAccount,
    WaiveTask,
    WithdrawRequest,
)
from domain.directory import DeclareFriendsRole, ImportStaff, Person
from domain.facts import Actor, ActorKind, Channel, Command
from domain.waiting import LetTimePass, Reconsider
from projections.projection import Projection
from services.ledger import TIMER, Answer, Sender, operator
from services.projector import Views, connected, events_after, make_anew, newest, position_of
from tests.system import LOGO, TASKS, Database, Office, SetClock, a_case, a_request, sealed

HR = Sender(Actor(kind=ActorKind.HR_SYSTEM, id="hr"), "the HR feed's key", Channel.HR_FEED, None)
LOGO_SOURCE = "marketing_and_access_coordinator"
REQUESTER = "p-bm-durant"


class Life:
    """What people do, by name; each asks the ledger and says what came of it."""

    def __init__(self, office: Office) -> None:
        self.office = office

    @property
    def clock(self) -> SetClock:
        assert isinstance(self.office.clock, SetClock)
        return self.office.clock

    def state(self, case: str) -> AccountCase:
        state, _ = self.office.ledger.read_on(case)
        assert isinstance(state, AccountCase)
        return state

    def says(self, person: str, command: Command, case: str) -> Answer:
        return self.office.submit(command, case, person)

    def content(self, case: str) -> str:
        return self.state(case).content or "0" * 64

    def asks_for(self, handle: str, **changed: Any) -> str:
        case = a_case()
        answer = self.says(REQUESTER, a_request(handle, **changed), case)
        assert answer.facts, answer.refusal
        return case

    def approves(self, case: str, by: str = "p-ed") -> Answer:
        return self.says(by, ApproveAccount(content=self.content(case)), case)

    def refuses(self, case: str) -> Answer:
        return self.says("p-ed", RefuseAccount(content=self.content(case), reason=sealed()), case)

    def asks_for_changes(self, case: str) -> Answer:
        return self.says("p-ed", AskForChanges(content=self.content(case), reason=sealed()), case)

    def amends(self, case: str, handle: str) -> Answer:
        return self.says(REQUESTER, AmendRequest(**dict(a_request(handle))), case)

    def withdraws(self, case: str) -> Answer:
        return self.says(REQUESTER, WithdrawRequest(), case)

    def does(self, case: str, task: str) -> Answer:
        logo: dict[str, Any] = {"logo_source": LOGO_SOURCE, "logo_sha256": LOGO} if task == "logo" else {}
        return self.says("p-mac", CompleteTask(task=task, **logo), case)

    def waives(self, case: str, task: str) -> Answer:
        return self.says("p-mac", WaiveTask(task=task, reason=sealed()), case)

    def confirms(self, case: str, person: str) -> Answer:
        return self.says(person, ConfirmAdministration(), case)

    def opens(self, case: str) -> Answer:
        return self.says("p-mac", OpenAccount(), case)

    def has_an_open_account(self, handle: str, **changed: Any) -> str:
        case = self.asks_for(handle, **changed)
        self.approves(case)
        for task in TASKS:
            self.does(case, task)
        for person in self.state(case).asked_for.administrators:
            self.confirms(case, person)
        answer = self.opens(case)
        assert answer.facts, answer.refusal
        return case

    def time_passes(self, case: str, **by: float) -> Answer:
        self.clock.passes(**by)
        return self.office.ledger.submit_own(LetTimePass(), case, TIMER, str(uuid4()))

    def looks_again(self, case: str) -> Answer:
        return self.office.ledger.submit_own(Reconsider(), case, TIMER, str(uuid4()))

    def hr_says(self, person: str, **changed: Any) -> Answer:
        people = (self.person(person).model_copy(update=changed),)
        feed = ImportStaff(feed_sha256=f"{random.getrandbits(256):064x}", people=people)
        return self.office.ledger.submit_own(feed, "directory", HR, str(uuid4()))

    def person(self, id_: str) -> Person:
        person = self.office.ledger.library().person(id_)
        assert person is not None
        return person

    def declares(self, person: str, administers: bool) -> Answer:
        command = DeclareFriendsRole(person=person, administers=administers)
        return self.office.ledger.submit_own(command, "directory", operator("someone"), str(uuid4()))


@contextmanager
def a_life(database: Database) -> Iterator[Life]:
    office = Office(database, SetClock()).founded()
    try:
        yield Life(office)
    finally:
        office.close()


def live_at_random(life: Life, steps: int, seed: int) -> None:
    """Whatever people may try, in any order; much of it is refused, and that is in the log too."""
    dice = random.Random(seed)
    cases: list[str] = []
    for _ in range(steps):
        if not cases or dice.random() < 0.08:
            case = a_case()
            life.says(REQUESTER, a_request(f"branch{dice.randrange(40)}"), case)
            cases.append(case)
            continue
        case = dice.choice(cases[-4:])
        state, after = life.state(case), dice.random()
        if state.stage is Stage.SET_UP and after < 0.6:
            life.does(case, dice.choice(TASKS))
        elif state.stage is Stage.VERIFICATION and after < 0.8:
            one_step_of_verification(life, case, dice)
        elif after < 0.75:
            one_step_of_review(life, case, dice)
        elif after < 0.9:
            life.time_passes(case, hours=dice.choice([1, 20, 60]))
        elif after < 0.95:
            life.hr_says(dice.choice(["p-ysc", "p-hq-clerk"]), active=dice.random() < 0.5)
            life.looks_again(case)
        else:
            life.declares("p-ysc", dice.random() < 0.5)


def one_step_of_verification(life: Life, case: str, dice: random.Random) -> None:
    match dice.randrange(3):
        case 0:
            life.opens(case)
        case 1:
            life.confirms(case, "p-mac")
        case _:
            life.confirms(case, REQUESTER)


def one_step_of_review(life: Life, case: str, dice: random.Random) -> None:
    match dice.randrange(8):
        case 0 | 1:
            life.approves(case)
        case 2:
            life.refuses(case)
        case 3:
            life.asks_for_changes(case)
        case 4:
            life.withdraws(case)
        case 5:
            life.amends(case, f"branch{dice.randrange(40)}")
        case 6:
            life.approves(case, by=REQUESTER)
        case _:
            life.waives(case, dice.choice(TASKS))


def newest_position(url: str) -> int:
    with connected(url) as conn, conn.cursor() as cursor:
        return newest(cursor)


def with_a_restart_after_each(url: str, kind: type[Projection], suffix: str, pages: Iterator[int]) -> None:
    """Fill fresh tables page by page, each page by a projection that has just begun, with nothing in memory."""
    views = Views(url)
    views.set_up()
    try:
        with connected(url) as conn:
            with conn.transaction(), conn.cursor() as cursor:
                make_anew(cursor, kind(suffix))
            position = 0
            while page := events_after(conn, position, next(pages)):
                projection = kind(suffix)
                with conn.transaction(), conn.cursor() as cursor:
                    projection.begin(cursor, position_of(cursor, projection.name + suffix) or 0)
                    position = views.fill(cursor, projection, page, position)
    finally:
        views.datastore.close()


def rows(url: str, table: str, *orders: str) -> list[dict[str, Any]]:
    order = ", ".join(orders) or "1"
    with connected(url) as conn:
        return conn.execute(f"select * from views.{table} order by {order}".encode()).fetchall()
