from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calendar import (
    Calendar,
    CalendarError,
    Closure,
    ClosureKind,
    HalfDay,
    HolidayRule,
    RuledDay,
    Span,
    Weekday,
    WeeklyHours,
)

CHICAGO = ZoneInfo("America/Chicago")
NINE_TO_FIVE = (Span(opens=time(9), closes=time(17)),)
MONDAY_TO_FRIDAY = WeeklyHours(
    mon=NINE_TO_FIVE, tue=NINE_TO_FIVE, wed=NINE_TO_FIVE, thu=NINE_TO_FIVE, fri=NINE_TO_FIVE
)
# closed on Mondays, shut over lunch, open on Saturday morning
DURANT = WeeklyHours.model_validate(
    {day: ["09:00-12:00", "13:00-17:00"] for day in ("tue", "wed", "thu", "fri")} | {"sat": ["09:00-12:00"]}
)
NIGHTS = WeeklyHours.model_validate({"sat": ["22:00-23:00"], "sun": ["02:00-03:00", "03:30-05:00"]})
RULE = HolidayRule(
    country="US",
    subdivision="MS",
    removed=("Washington's Birthday",),
    added=(
        RuledDay(name="Day after Thanksgiving", after="Thanksgiving Day", days=1),
        RuledDay(name="New Year's Eve", after="New Year's Day", days=-1),
        RuledDay(name="Founders' Day", month=10, weekday=Weekday.TUE, nth=2),
    ),
    half_days=(HalfDay(name="Christmas Eve", month=12, day=24, closes=time(12)),),
)
LIBRARY = Calendar(
    timezone="America/Chicago",
    holidays=RULE,
    hours={"hq": MONDAY_TO_FRIDAY, "durant": DURANT, "nights": NIGHTS},
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO)


def storm(place: str, day: str, **part: time) -> Closure:
    return Closure(
        id=f"storm-{day}",
        place=place,
        day=date.fromisoformat(day),
        reason="storm",
        kind=ClosureKind.WEATHER,
        from_time=part.get("from_time"),
        to_time=part.get("to_time"),
    )


def later(start: str, n: int, place: str = "hq", calendar: Calendar = LIBRARY) -> datetime:
    return calendar.business_days_after(place, at(start), n)


# 2026-03-16 is a Monday


@pytest.mark.parametrize(
    ("start", "n", "expected"),
    [
        ("2026-03-16T10:30", 0, "2026-03-16T10:30"),
        ("2026-03-16T10:30", 1, "2026-03-17T10:30"),
        ("2026-03-16T10:30", 4, "2026-03-20T10:30"),
        ("2026-03-16T10:30", 5, "2026-03-23T10:30"),
        ("2026-03-16T10:30", 10, "2026-03-30T10:30"),
    ],
)
def test_business_days_later_it_is_the_same_wall_time_so_many_open_days_on(
    start: str, n: int, expected: str
) -> None:
    assert later(start, n) == at(expected)


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        ("08:59", "2026-03-23T09:00"),
        ("09:00", "2026-03-23T09:00"),
        ("09:01", "2026-03-23T09:01"),
        ("16:59", "2026-03-23T16:59"),
        ("17:00", "2026-03-24T09:00"),
        ("23:59", "2026-03-24T09:00"),
    ],
)
def test_one_business_day_after_a_friday_ends_on_monday_within_hours_else_at_the_next_opening(
    wall: str, expected: str
) -> None:
    assert later(f"2026-03-20T{wall}", 1) == at(expected)


@pytest.mark.parametrize(
    ("start", "n", "expected"),
    [
        ("2026-03-21T00:00", 0, "2026-03-23T09:00"),
        ("2026-03-21T10:00", 0, "2026-03-23T09:00"),
        ("2026-03-21T10:00", 1, "2026-03-24T09:00"),
        ("2026-03-22T23:59", 1, "2026-03-24T09:00"),
        ("2026-03-23T00:00", 1, "2026-03-24T09:00"),
    ],
)
def test_a_start_on_a_closed_day_counts_as_the_beginning_of_the_next_open_day(
    start: str, n: int, expected: str
) -> None:
    assert later(start, n) == at(expected)


def test_each_place_counts_in_its_own_calendar() -> None:
    friday = "2026-03-20T10:00"
    assert later(friday, 1, "hq") == at("2026-03-23T10:00")
    assert later(friday, 1, "durant") == at("2026-03-21T10:00")
    assert later(friday, 2, "hq") == at("2026-03-24T10:00")
    assert later(friday, 2, "durant") == at("2026-03-24T10:00")


def test_a_wall_time_within_the_lunch_break_moves_to_the_opening_after_it() -> None:
    assert later("2026-03-17T12:30", 1, "durant") == at("2026-03-18T13:00")


def test_a_wall_time_after_the_short_saturday_moves_past_sunday_and_the_closed_monday() -> None:
    assert later("2026-03-20T15:00", 1, "durant") == at("2026-03-24T09:00")


# ---- daylight saving time


def test_the_wall_time_stays_when_the_clocks_go_forward() -> None:
    due = later("2026-03-06T10:00", 1)
    assert due == at("2026-03-09T10:00")
    assert due.astimezone(UTC) - at("2026-03-06T10:00").astimezone(UTC) == timedelta(hours=71)


def test_the_wall_time_stays_when_the_clocks_go_back() -> None:
    due = later("2026-10-30T10:00", 1)
    assert due == at("2026-11-02T10:00")
    assert due.astimezone(UTC) - at("2026-10-30T10:00").astimezone(UTC) == timedelta(hours=73)


def test_an_opening_that_the_clocks_skip_is_none_and_a_later_one_begins_when_it_would() -> None:
    spring = LIBRARY.openings("nights", date(2026, 3, 8))
    assert [(a.astimezone(UTC), b.astimezone(UTC)) for a, b in spring] == [
        (datetime(2026, 3, 8, 8, 30, tzinfo=UTC), datetime(2026, 3, 8, 10, 0, tzinfo=UTC))
    ]


def test_a_skipped_wall_time_is_the_first_that_exists_after_the_gap() -> None:
    early = LIBRARY.with_hours("early", WeeklyHours.model_validate({"sun": ["02:20-05:00"]}))
    opens = early.next_opening("early", at("2026-03-08T00:00"))
    assert opens.astimezone(UTC) == datetime(2026, 3, 8, 8, 0, tzinfo=UTC)
    assert opens.isoformat() == "2026-03-08T03:00:00-05:00"


def test_an_opening_over_the_repeated_hour_is_an_hour_longer() -> None:
    early = LIBRARY.with_hours("early", WeeklyHours.model_validate({"sun": ["01:00-02:00"]}))
    ((opens, closes),) = early.openings("early", date(2026, 11, 1))
    assert closes.astimezone(UTC) - opens.astimezone(UTC) == timedelta(hours=2)
    assert early.is_open("early", datetime(2026, 11, 1, 7, 59, tzinfo=UTC))
    assert not early.is_open("early", datetime(2026, 11, 1, 8, 0, tzinfo=UTC))


# ---- holidays


def test_confederate_memorial_day_is_a_holiday_by_the_law_of_mississippi_alone() -> None:
    day = date(2026, 4, 27)
    assert LIBRARY.holiday_on(day) == "Confederate Memorial Day"
    assert later("2026-04-24T10:00", 1) == at("2026-04-28T10:00")
    elsewhere = LIBRARY.model_copy(update={"holidays": RULE.model_copy(update={"subdivision": "NY"})})
    assert later("2026-04-24T10:00", 1, calendar=elsewhere) == at("2026-04-27T10:00")


def test_a_holiday_on_a_saturday_is_observed_on_the_friday_before() -> None:
    assert LIBRARY.holiday_on(date(2026, 7, 3)) == "Independence Day (observed)"
    assert later("2026-07-02T10:00", 1) == at("2026-07-06T10:00")


def test_a_holiday_on_a_sunday_is_observed_on_the_monday_after() -> None:
    assert later("2027-07-02T10:00", 1) == at("2027-07-06T10:00")


def test_a_new_years_day_is_observed_in_the_year_before() -> None:
    plain = LIBRARY.model_copy(update={"holidays": RULE.model_copy(update={"added": ()})})
    assert plain.holiday_on(date(2027, 12, 31)) == "New Year's Day (observed)"
    assert later("2027-12-30T10:00", 1, calendar=plain) == at("2028-01-03T10:00")


def test_observed_days_are_worked_where_the_rule_says_so() -> None:
    strict = LIBRARY.model_copy(update={"holidays": RULE.model_copy(update={"observed": False})})
    assert later("2026-07-02T10:00", 1, calendar=strict) == at("2026-07-03T10:00")


def test_a_removed_holiday_is_a_working_day() -> None:
    assert LIBRARY.is_open_day("hq", date(2026, 2, 16))


def test_a_removed_holiday_takes_its_observed_day_with_it() -> None:
    rule = RULE.model_copy(update={"removed": ("Independence Day",)})
    worked = LIBRARY.model_copy(update={"holidays": rule})
    assert worked.is_open_day("hq", date(2026, 7, 3))
    assert worked.is_open_day("durant", date(2026, 7, 4))


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 11, 26), "Thanksgiving Day"),
        (date(2026, 11, 27), "Day after Thanksgiving"),
        (date(2025, 12, 31), "New Year's Eve"),
        (date(2026, 10, 6), None),
        (date(2026, 10, 13), "Founders' Day"),
        (date(2026, 10, 20), None),
    ],
)
def test_the_librarys_own_holidays_come_by_rule_every_year(day: date, name: str | None) -> None:
    assert LIBRARY.holiday_on(day) == name


def test_a_holiday_on_the_29th_of_february_comes_in_leap_years_only() -> None:
    leap = RULE.model_copy(update={"added": (RuledDay(name="Leap day", month=2, day=29),)})
    calendar = LIBRARY.model_copy(update={"holidays": leap})
    assert calendar.holiday_on(date(2028, 2, 29)) == "Leap day"
    assert [calendar.holiday_on(date(2027, 2, 28)), calendar.holiday_on(date(2027, 3, 1))] == [None, None]


def test_a_half_day_is_an_open_day_that_ends_early() -> None:
    assert LIBRARY.openings("hq", date(2026, 12, 24)) == [(at("2026-12-24T09:00"), at("2026-12-24T12:00"))]
    assert later("2026-12-23T11:59", 1) == at("2026-12-24T11:59")
    assert later("2026-12-23T12:00", 1) == at("2026-12-28T09:00")


# ---- closures and changed hours


def test_a_storm_in_the_middle_of_a_wait_moves_its_end_at_the_closed_branch_only() -> None:
    stormy = LIBRARY.with_closure(storm("durant", "2026-03-18"))
    assert later("2026-03-17T10:00", 2, "durant", LIBRARY) == at("2026-03-19T10:00")
    assert later("2026-03-17T10:00", 2, "durant", stormy) == at("2026-03-20T10:00")
    assert later("2026-03-17T10:00", 2, "hq", stormy) == at("2026-03-19T10:00")


def test_a_storm_over_the_whole_system_closes_every_place() -> None:
    stormy = LIBRARY.with_closure(storm("*", "2026-03-18"))
    assert [stormy.is_open_day(place, date(2026, 3, 18)) for place in ("hq", "durant")] == [False, False]


def test_a_closure_for_a_part_of_the_day_leaves_the_rest_open() -> None:
    early = LIBRARY.with_closure(storm("durant", "2026-03-18", from_time=time(11), to_time=time(14)))
    assert early.openings("durant", date(2026, 3, 18)) == [
        (at("2026-03-18T09:00"), at("2026-03-18T11:00")),
        (at("2026-03-18T14:00"), at("2026-03-18T17:00")),
    ]
    assert later("2026-03-17T11:30", 1, "durant", early) == at("2026-03-18T14:00")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"from_time": time(15)}, ("09:00", "15:00")),
        ({"to_time": time(10)}, ("10:00", "17:00")),
        ({"from_time": time(17)}, ("09:00", "17:00")),
        ({"to_time": time(9)}, ("09:00", "17:00")),
    ],
)
def test_a_closure_with_one_wall_time_runs_to_or_from_the_edge_of_the_day(
    part: dict[str, time], expected: tuple[str, str]
) -> None:
    calendar = LIBRARY.with_closure(storm("hq", "2026-03-18", **part))
    opens, closes = (at(f"2026-03-18T{wall}") for wall in expected)
    assert calendar.openings("hq", date(2026, 3, 18)) == [(opens, closes)]


def test_closures_of_many_days_are_all_found_in_whatever_order_they_came() -> None:
    days = ["2026-03-19", "2026-03-17", "2026-03-20", "2026-03-18"]
    closed = LIBRARY
    for day in days:
        closed = closed.with_closure(storm("hq", day))
    assert later("2026-03-16T10:00", 1, calendar=closed) == at("2026-03-23T10:00")


def test_a_lifted_closure_is_as_if_it_had_never_been() -> None:
    closure = storm("hq", "2026-03-18")
    assert LIBRARY.with_closure(closure).without_closure(closure.id) == LIBRARY
    assert LIBRARY.without_closure("never heard of") == LIBRARY


def test_a_closure_told_again_under_its_id_takes_the_place_of_the_first() -> None:
    shorter = storm("hq", "2026-03-18", to_time=time(10))
    assert LIBRARY.with_closure(storm("hq", "2026-03-18")).with_closure(shorter).closures == (shorter,)


def test_new_hours_hold_at_all_times_and_later_hours_from_their_day_on() -> None:
    tuesdays = WeeklyHours(tue=NINE_TO_FIVE)
    at_once, in_june = (
        LIBRARY.with_hours("hq", tuesdays),
        LIBRARY.with_hours("hq", tuesdays, since=date(2026, 6, 1)),
    )
    assert not at_once.is_open_day("hq", date(2026, 3, 16))
    assert [
        in_june.is_open_day("hq", day) for day in (date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 2))
    ] == [
        True,
        False,
        True,
    ]
    assert later("2026-05-29T10:00", 1, calendar=in_june) == at("2026-06-02T10:00")
    assert in_june.with_hours("hq", MONDAY_TO_FRIDAY) == LIBRARY


def test_the_latest_of_the_later_hours_holds() -> None:
    monday = WeeklyHours(mon=NINE_TO_FIVE)
    calendar = LIBRARY.with_hours("hq", monday, since=date(2026, 8, 1))
    calendar = calendar.with_hours("hq", WeeklyHours(tue=NINE_TO_FIVE), since=date(2026, 6, 1))
    assert calendar.is_open_day("hq", date(2026, 8, 3))
    assert not calendar.is_open_day("hq", date(2026, 7, 27))


# ---- openings


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-17T08:59:59", False),
        ("2026-03-17T09:00:00", True),
        ("2026-03-17T11:59:59", True),
        ("2026-03-17T12:00:00", False),
        ("2026-03-17T13:00:00", True),
        ("2026-03-17T17:00:00", False),
    ],
)
def test_a_place_is_open_from_the_first_second_to_before_the_last(moment: str, is_open: bool) -> None:
    assert LIBRARY.is_open("durant", at(moment)) is is_open


def test_the_next_opening_is_the_moment_itself_while_open() -> None:
    assert LIBRARY.next_opening("hq", at("2026-03-16T16:59:59")) == at("2026-03-16T16:59:59")
    assert LIBRARY.next_opening("hq", at("2026-03-16T17:00")) == at("2026-03-17T09:00")


@pytest.mark.parametrize(
    ("start", "months", "then"),
    [
        ("2026-01-30 09:00", 1, "2026-02-28 09:00"),
        ("2027-12-31 09:00", 2, "2028-02-29 09:00"),
        ("2026-03-30 09:00", 1, "2026-04-30 09:00"),
        ("2026-01-15 09:00", 12, "2027-01-15 09:00"),
        ("2026-12-01 09:00", 1, "2027-01-01 09:00"),
        ("2026-02-10 09:00", 2, "2026-04-10 09:00"),  # the clocks have gone forward
    ],
)
def test_months_later_it_is_the_same_wall_time_or_the_months_last_day(start: str, months: int, then: str) -> None:
    assert LIBRARY.months_after(at(start), months) == at(then)


def test_answers_are_in_the_librarys_zone_whatever_zone_the_question_is_in() -> None:
    tokyo = at("2026-03-16T10:30").astimezone(ZoneInfo("Asia/Tokyo"))
    due = LIBRARY.business_days_after("hq", tokyo, 1)
    assert due.isoformat() == "2026-03-17T10:30:00-05:00"


# ---- what cannot be answered


def test_a_moment_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 3, 16, 10, 30)  # noqa: DTZ001 - this is what is refused
    for ask in (
        LIBRARY.is_open,
        LIBRARY.next_opening,
        lambda place, at: LIBRARY.business_days_after(place, at, 1),
    ):
        with pytest.raises(CalendarError, match="2026-03-16T10:30:00 has no time zone"):
            ask("hq", naive)


def test_a_place_without_hours_is_named() -> None:
    with pytest.raises(CalendarError, match="no hours for atlantis"):
        later("2026-03-16T10:30", 1, "atlantis")


def test_days_cannot_be_counted_backwards() -> None:
    with pytest.raises(CalendarError, match="-1 business days"):
        later("2026-03-16T10:30", -1)


def test_a_place_that_stays_shut_for_more_than_three_years_is_named_instead_of_searched_for_ever() -> None:
    shut = LIBRARY.with_hours("hq", WeeklyHours())
    with pytest.raises(CalendarError, match="hq has no opening"):
        later("2026-03-16T10:30", 1, calendar=shut)


def test_a_long_wait_at_a_place_that_opens_now_and_then_is_no_long_closure() -> None:
    weekly = LIBRARY.with_hours("hq", WeeklyHours(wed=NINE_TO_FIVE))
    assert later("2026-03-18T10:30", 200, calendar=weekly) > at("2029-12-31T00:00")


@pytest.mark.parametrize(("days_shut", "found"), [(1097, True), (1098, True), (1099, False)])
def test_the_search_goes_over_three_years_and_no_further(days_shut: int, found: bool) -> None:
    daily = WeeklyHours.model_validate({day: ["09:00-17:00"] for day in Weekday})
    none = RULE.model_copy(update={"country": "MX", "subdivision": None, "added": (), "half_days": ()})
    first = date(2026, 3, 17)
    calendar = Calendar(timezone="America/Chicago", holidays=none, hours={"hq": WeeklyHours()})
    calendar = calendar.with_hours("hq", daily, since=first + timedelta(days=days_shut - 1))
    if found:
        assert calendar.next_opening("hq", at("2026-03-17T00:00")).date() == first + timedelta(
            days=days_shut - 1
        )
    else:
        with pytest.raises(CalendarError):
            calendar.next_opening("hq", at("2026-03-17T00:00"))


@pytest.mark.parametrize(
    "hours",
    [
        ["17:00-09:00"],
        ["09:00-09:00"],
        ["9-17"],
        ["09:00"],
        ["09:00Z-17:00Z"],
        ["13:00-17:00", "09:00-12:00"],
    ],
)
def test_hours_that_do_not_run_forward_in_wall_time_are_refused(hours: list[str]) -> None:
    with pytest.raises(ValidationError):
        WeeklyHours.model_validate({"mon": hours})


def test_openings_that_touch_are_one_after_the_other_and_those_that_overlap_are_refused() -> None:
    assert WeeklyHours.model_validate({"mon": ["09:00-12:00", "12:00-17:00"]}).mon[1].opens == time(12)
    with pytest.raises(ValidationError):
        WeeklyHours.model_validate({"mon": ["09:00-12:01", "12:00-17:00"]})


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "nothing"},
        {"name": "half", "month": 3},
        {"name": "both", "month": 3, "day": 1, "after": "Labor Day", "days": 1},
        {"name": "never", "month": 2, "day": 30},
        {"name": "fifth", "month": 2, "weekday": "mon", "nth": 5},
    ],
)
def test_a_day_by_rule_says_in_one_way_which_day_it_is(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RuledDay.model_validate(rule)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="no time zone is named America/Durant"):
        Calendar(timezone="America/Durant", holidays=RULE, hours={})


def test_a_calendar_survives_being_written_down_as_json() -> None:
    calendar = LIBRARY.with_closure(storm("durant", "2026-03-18", to_time=time(10)))
    calendar = calendar.with_hours("hq", DURANT, since=date(2026, 6, 1))
    assert Calendar.model_validate_json(calendar.model_dump_json()) == calendar


# ---- for every start


CLOSURES = st.lists(
    st.builds(
        Closure,
        id=st.uuids().map(str),
        place=st.sampled_from(["hq", "durant", "*"]),
        day=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        from_time=st.sampled_from([None, time(9), time(11, 15)]),
        to_time=st.sampled_from([None, time(12), time(16)]),
        reason=st.just("storm"),
    ),
    max_size=30,
)
CALENDARS = CLOSURES.map(
    lambda closures: LIBRARY.model_copy(update={"closures": tuple(sorted(closures, key=lambda c: c.day))})
)
PLACES = st.sampled_from(["hq", "durant"])
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
COUNTS = st.integers(0, 12)


@given(CALENDARS, PLACES, STARTS, COUNTS)
def test_whatever_the_start_the_answer_is_open_and_not_before_it(
    calendar: Calendar, place: str, start: datetime, n: int
) -> None:
    due = calendar.business_days_after(place, start, n)
    assert calendar.is_open(place, due)
    assert due.astimezone(UTC) >= start


@given(CALENDARS, PLACES, STARTS, STARTS, COUNTS)
def test_who_asks_later_is_never_answered_by_an_earlier_moment(
    calendar: Calendar, place: str, one: datetime, other: datetime, n: int
) -> None:
    first, second = (calendar.business_days_after(place, start, n) for start in sorted((one, other)))
    assert first.astimezone(UTC) <= second.astimezone(UTC)


@given(CALENDARS, PLACES, STARTS, COUNTS)
def test_more_business_days_never_end_earlier(
    calendar: Calendar, place: str, start: datetime, n: int
) -> None:
    fewer, more = (calendar.business_days_after(place, start, count) for count in (n, n + 1))
    assert fewer.astimezone(UTC) <= more.astimezone(UTC)


@given(CALENDARS, PLACES, STARTS, COUNTS)
def test_counting_the_open_days_back_gives_n_or_one_more_when_the_day_was_over(
    calendar: Calendar, place: str, start: datetime, n: int
) -> None:
    due, asked = calendar.business_days_after(place, start, n), start.astimezone(CHICAGO)
    first = next(day for day in days_from(asked.date()) if calendar.is_open_day(place, day))
    wall = asked.time() if first == asked.date() else time.min
    passed = [
        day for day in days_from(first) if first < day <= due.date() and calendar.is_open_day(place, day)
    ]
    target = ([first, *passed])[n]
    the_day_was_over = wall >= calendar.openings(place, target)[-1][1].time()
    assert len(passed) == (n + 1 if the_day_was_over else n)


def days_from(day: date) -> list[date]:
    return [day + timedelta(days=ahead) for ahead in range(120)]
