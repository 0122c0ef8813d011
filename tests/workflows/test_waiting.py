"""Waiting in business time: reminded, escalated, overdue, expired, each once and each at its moment; and what moves
those moments. Headquarters, which is asked, opens Monday to Friday from 8 to 17 in Chicago's time."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from domain.account_creation_messages import AskForChanges, WithdrawRequest
from domain.directory import ImportStaff, Person
from domain.opening_hours import CloseBranch
from domain.waiting import Due, DueMoment
from services.ledger import operator
from tests.system import sealed
from tests.workflows.running import A_MINUTE, Requested, Running

CHICAGO = ZoneInfo("America/Chicago")
ONE_DAY = timedelta(days=1)
MONDAY, FRIDAY = 0, 4
WAITED = ("Reminded", "Reminded", "Escalated", "BecameOverdue", "RequestExpired")


async def test_a_silent_director_is_reminded_twice_escalated_and_listed_as_overdue_and_nothing_is_approved(
    running: Running,
) -> None:
    case = await asked_on(running, MONDAY, time(10))
    due = {(each.what, each.nth): each.at for each in await due_of(case)}
    await running.sleep_until(due[Due.EXPIRY, 1] - A_MINUTE)
    assert (await case.kinds())[2:] == list(WAITED[:-1])
    moments = [due[Due.REMINDER, 1], due[Due.REMINDER, 2], due[Due.ESCALATION, 1], due[Due.OVERDUE, 1]]
    happened = [each.at for each in (await case.envelopes())[2:]]
    assert all(due_at <= at < due_at + A_MINUTE for due_at, at in zip(moments, happened, strict=True))
    await running.sleep_until(due[Due.EXPIRY, 1] + A_MINUTE)
    assert (await case.ended())["stage"] == "expired"
    assert (await case.kinds())[2:] == list(WAITED)
    assert due[Due.EXPIRY, 1] - (await case.envelopes())[0].at == timedelta(days=30)
    await case.replayed()


async def test_nobody_is_reminded_after_the_decision(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10))
    reminder = (await due_of(case))[0].at
    await running.sleep_until(reminder - A_MINUTE)
    await case.done(WithdrawRequest(), "p-bm-durant")
    await running.sleep_until(reminder + timedelta(days=40))
    assert await case.kinds() == ["AccountRequested", "Asked", "RequestWithdrawn"]
    await case.replayed()


async def test_a_decision_at_the_very_moment_of_the_expiry_has_one_outcome(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10))
    expiry = (await due_of(case))[-1].at
    await running.sleep_until(expiry - timedelta(seconds=1))
    await asyncio.gather(case.submit(WithdrawRequest(), "p-bm-durant"), running.sleep_until(expiry + A_MINUTE))
    ended = await case.ended()
    assert (await case.kinds())[2:] in ([*WAITED[:-1], "RequestWithdrawn"], [*WAITED])
    assert ended["stage"] == (await case.state()).stage
    await case.replayed()


async def test_a_requester_who_does_not_mend_the_request_is_not_reminded_and_it_expires(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10))
    await case.done(AskForChanges(content=(await case.state()).content, reason=sealed()), "p-ed")
    asked = (await case.envelopes())[-1].at
    await running.sleep_until(asked + timedelta(days=30) - A_MINUTE)
    assert (await case.kinds())[2:] == ["ChangesAsked", "Asked"]
    await running.sleep_until(asked + timedelta(days=30) + A_MINUTE)
    assert (await case.ended())["stage"] == "expired"
    assert (await case.kinds())[2:] == ["ChangesAsked", "Asked", "RequestExpired"]
    await case.replayed()


async def test_asked_on_friday_evening_the_first_reminder_comes_when_wednesday_opens(running: Running) -> None:
    case = await asked_on(running, FRIDAY, time(18))
    await reminded_first(running, case, days_later=5, at=time(8))


async def test_a_holiday_is_no_business_day(running: Running) -> None:
    """Thanksgiving and the day after: asked on the Wednesday before, two business days are over on the next Tuesday."""
    today = (await running.now()).astimezone(CHICAGO).date()
    day = min(each for year in (today.year, today.year + 1) if (each := day_before_thanksgiving(year)) > today)
    case = await asked_at(running, day, time(10))
    await reminded_first(running, case, days_later=6, at=time(10))


async def test_daylight_saving_moves_no_wall_time(running: Running) -> None:
    today = (await running.now()).astimezone(CHICAGO).date()
    day = min(each for year in (today.year, today.year + 1) if (each := friday_before_clocks_change(year)) > today)
    case = await asked_at(running, day, time(10))
    assert (await first_reminder(case)) - (await case.envelopes())[0].at < timedelta(days=4)
    await reminded_first(running, case, days_later=4, at=time(10))


async def test_a_storm_in_the_middle_of_a_wait_moves_what_is_due_and_the_workflow_sleeps_until_then(
    running: Running,
) -> None:
    case = await asked_on(running, MONDAY, time(10))
    await running.reconciler.one_pass()
    day = (await case.envelopes())[0].at.astimezone(CHICAGO).date()
    before = await first_reminder(case)
    storm = CloseBranch(place="hq", day=day + ONE_DAY, because="ice on the roads")
    await running.directly(storm, "opening_hours", "p-ed")
    await running.reconciler.one_pass()
    assert (await case.kinds())[2:] == ["DueMomentsReissued"]
    await told(case)
    await running.sleep_until(before + timedelta(hours=1))
    assert (await case.kinds())[2:] == ["DueMomentsReissued"]
    await reminded_first(running, case, days_later=3, at=time(10))


async def test_a_task_goes_to_whoever_holds_the_role_when_the_approver_leaves(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10))
    await running.reconciler.one_pass()
    await staff_says(running, "p-ed", active=False)
    try:
        await running.reconciler.one_pass()
        rerouted = (await case.envelopes())[-1]
        assert rerouted.kind == "waiting.TaskRerouted"
        assert (rerouted.fact["before"], rerouted.fact["persons"]) == (["p-ed"], ["p-board"])
        await told(case)
        await case.approved("p-board")
        await case.done(WithdrawRequest(), "p-bm-durant")
        await case.replayed()
    finally:
        await staff_says(running, "p-ed", active=True)


async def test_the_case_of_a_requester_who_leaves_is_withdrawn_with_its_cause(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10), person="p-bs-durant-2")
    await running.reconciler.one_pass()
    await staff_says(running, "p-bs-durant-2", active=False)
    await running.reconciler.one_pass()
    assert (await case.ended())["stage"] == "withdrawn"
    withdrawn = (await case.envelopes())[-1]
    assert (withdrawn.kind, withdrawn.fact["cause"]) == (
        "account_creation.RequestWithdrawn",
        "the requester left the library's service",
    )
    await case.replayed()


async def test_a_planned_departure_takes_effect_on_its_day_without_a_further_message(running: Running) -> None:
    case = await asked_on(running, MONDAY, time(10), person="p-bs-kosciusko-2")
    day = (await running.now()).astimezone(CHICAGO).date()
    await staff_says(running, "p-bs-kosciusko-2", end=day)
    await running.reconciler.one_pass()
    assert (await case.state()).stage == "executive_review"
    await running.sleep_until(datetime.combine(day + ONE_DAY, time(1), CHICAGO))
    await running.reconciler.one_pass()
    assert (await case.ended())["stage"] == "withdrawn"
    await case.replayed()


async def asked_on(running: Running, weekday: int, wall: time, person: str = "p-bm-durant") -> Requested:
    """A request made on such a day; in the two weeks that follow headquarters is open from Monday to Friday."""
    library = await asyncio.to_thread(running.office.ledger.library)
    day = (await running.now()).astimezone(CHICAGO).date() + ONE_DAY
    while day.weekday() != weekday or not all(
        library.calendar.is_open_day("hq", each) for n in range(15) if (each := day + n * ONE_DAY).weekday() <= FRIDAY
    ):
        day += ONE_DAY
    return await asked_at(running, day, wall, person)


async def asked_at(running: Running, day: date, wall: time, person: str = "p-bm-durant") -> Requested:
    await running.sleep_until(datetime.combine(day, wall, CHICAGO))
    return await running.requested(person)


async def due_of(case: Requested) -> tuple[DueMoment, ...]:
    wait = (await case.state()).waiting
    assert wait is not None
    return wait.due


async def first_reminder(case: Requested) -> datetime:
    return (await due_of(case))[0].at


async def reminded_first(running: Running, case: Requested, days_later: int, at: time) -> None:
    """Not a minute before that wall time so many days after the request, and within the minute after it."""
    asked = (await case.envelopes())[0].at.astimezone(CHICAGO)
    moment = datetime.combine(asked.date() + days_later * ONE_DAY, at, CHICAGO)
    allowed = A_MINUTE  # the request itself was made some seconds after the full hour
    await running.sleep_until(moment - allowed)
    assert "Reminded" not in await case.kinds()
    await running.sleep_until(moment + 2 * allowed)
    assert (await case.kinds()).count("Reminded") == 1
    await case.done(WithdrawRequest(), "p-bm-durant")
    await case.replayed()


async def told(case: Requested) -> None:
    """The workflow has folded what the ledger has."""
    for _ in range(200):
        if await case.handle.query("position") == (await case.state()).position:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the workflow of {case.case} is behind")


async def staff_says(running: Running, person: str, **changed: object) -> None:
    """A feed of HR in which one person is different."""

    def feed() -> None:
        known = running.office.ledger.library().person(person)
        assert known is not None
        people = (Person.model_validate(known.model_dump() | changed),)
        command = ImportStaff(feed_sha256="0" * 64, people=people)
        answer = running.office.ledger.submit_own(command, "directory", operator("hr"), str(uuid4()))
        assert not answer.refusal, answer.refusal

    await asyncio.to_thread(feed)


def day_before_thanksgiving(year: int) -> date:
    first = date(year, 11, 1)
    return first + ((3 - first.weekday()) % 7 + 21) * ONE_DAY - ONE_DAY


def friday_before_clocks_change(year: int) -> date:
    first = date(year, 3, 1)
    return first + ((6 - first.weekday()) % 7 + 7) * ONE_DAY - 2 * ONE_DAY
