"""Business time: when each place of the library is open, and what "n business days later" means there.

n business days after a moment is the same wall time n open days later in the place's own calendar, moved to
the next opening when the place is shut at that wall time. A moment on a day without openings counts as the
very beginning of the next open day: asked on a Saturday where weekends are closed, one business day ends when
Tuesday opens, exactly as for a question that came on Friday night. So a later start never ends earlier.
"""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from typing import Annotated, Any, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo

from holidays import country_holidays
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, field_validator, model_validator
from pydantic_core import PydanticCustomError

EVERYWHERE = "*"
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
LONGEST_CLOSURE_DAYS = 3 * 366
A_LEAP_YEAR = 2024
MOST_TO_REMEMBER = 20_000
K = TypeVar("K")
V = TypeVar("V")
# four years and one: every holiday that comes round at all is named in them
YEARS_TO_KNOW_A_HOLIDAY_BY = range(2024, 2029)


class CalendarError(ValueError):
    """Asked for a moment that this calendar cannot give."""


class Fault(NamedTuple):
    """What does not fit in a file that people write, where in it, and what would."""

    at: tuple[str | int, ...]
    because: str
    would_pass: str


def unfit(*faults: Fault) -> PydanticCustomError:
    because = "; ".join(fault.because for fault in faults)
    return PydanticCustomError("unfit", "{because}", {"because": because, "faults": faults})


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# ---- opening hours


class Span(Frozen):
    """Wall time from opening to closing; a policy file writes it as "09:00-17:00"."""

    opens: time
    closes: time

    @model_validator(mode="before")
    @classmethod
    def read_from_dash_to(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        opens, _, closes = value.partition("-")
        return {"opens": opens.strip(), "closes": closes.strip()}

    @model_validator(mode="after")
    def opens_before_it_closes(self) -> Self:
        if self.opens.tzinfo or self.closes.tzinfo:
            raise unfit(Fault((), "opening hours are wall time, without a zone", '"09:00-17:00"'))
        if self.opens >= self.closes:
            raise unfit(Fault((), f"{self} closes before it has opened", '"09:00-17:00"'))
        return self

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"

    def outside(self, starts: time, ends: time) -> list["Span"]:
        pieces = [(self.opens, min(self.closes, starts)), (max(self.opens, ends), self.closes)]
        return [Span(opens=opens, closes=closes) for opens, closes in pieces if opens < closes]


class WeeklyHours(Frozen):
    mon: tuple[Span, ...] = ()
    tue: tuple[Span, ...] = ()
    wed: tuple[Span, ...] = ()
    thu: tuple[Span, ...] = ()
    fri: tuple[Span, ...] = ()
    sat: tuple[Span, ...] = ()
    sun: tuple[Span, ...] = ()

    @field_validator("*")
    @classmethod
    def one_opening_ends_before_the_next(cls, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        for earlier, later in pairwise(spans):
            if later.opens < earlier.closes:
                because = f"{earlier} and {later} overlap or are out of order"
                raise unfit(Fault((), because, '["09:00-12:00", "13:00-17:00"]'))
        return spans

    def on(self, day: date) -> tuple[Span, ...]:
        week = (self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun)
        return week[day.weekday()]

    @property
    def never_open(self) -> bool:
        return not any((self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun))


class LaterHours(Frozen):
    """Hours already decided that hold from a day on: summer hours, a branch that will close on Mondays."""

    place: str
    since: date
    hours: WeeklyHours


# ---- closures


class ClosureKind(StrEnum):
    PLANNED = "planned"
    WEATHER = "weather"
    EMERGENCY = "emergency"


class Closure(Frozen):
    """One day, or a part of it, on which a place (or "*", every place) is shut against its hours."""

    id: str
    place: str
    day: date
    from_time: time | None = None
    to_time: time | None = None
    reason: str
    kind: ClosureKind = ClosureKind.PLANNED

    @model_validator(mode="after")
    def starts_before_it_ends(self) -> Self:
        starts, ends = self.wall_times
        if starts.tzinfo or ends.tzinfo or starts >= ends:
            raise unfit(Fault((), "a part-day closure runs forward in wall time", "from_time before to_time"))
        return self

    @property
    def wall_times(self) -> tuple[time, time]:
        return self.from_time or time.min, self.to_time or time.max

    def shuts(self, place: str) -> bool:
        return self.place in (EVERYWHERE, place)


# ---- holidays


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        return list(Weekday).index(self)


class RuledDay(Frozen):
    """A day of every year: month and day, the nth weekday of a month, or days after a named holiday."""

    name: Annotated[str, Field(min_length=1)]
    month: Annotated[StrictInt, Field(ge=1, le=12)] | None = None
    day: Annotated[StrictInt, Field(ge=1, le=31)] | None = None
    weekday: Weekday | None = None
    nth: Annotated[StrictInt, Field(ge=1, le=4)] | None = None
    after: str | None = None
    days: StrictInt | None = None

    @model_validator(mode="after")
    def is_said_in_one_way(self) -> Self:
        parts = ("month", "day", "weekday", "nth", "after", "days")
        said = {part for part in parts if getattr(self, part) is not None}
        if said not in ({"month", "day"}, {"month", "weekday", "nth"}, {"after", "days"}):
            because = f"{self.name} does not say which day"
            raise unfit(Fault((), because, "month and day; month, weekday and nth; or after and days"))
        if self.month and self.day and not exists(A_LEAP_YEAR, self.month, self.day):
            raise unfit(
                Fault(("day",), f"month {self.month} has no day {self.day}", "a day that the month has")
            )
        return self

    def in_year(self, year: int, named: Mapping[date, str]) -> list[date]:
        if self.after is not None:
            apart = timedelta(days=self.days or 0)
            return [day + apart for day, names in named.items() if self.after in names.split("; ")]
        if self.weekday is not None:
            return [self._nth_weekday(date(year, self.month or 1, 1))]
        return (
            [date(year, self.month or 1, self.day or 1)]
            if exists(year, self.month or 1, self.day or 1)
            else []
        )

    def _nth_weekday(self, first: date) -> date:
        to_the_first_one = (self.weekday.number - first.weekday()) % 7 if self.weekday else 0
        return first + timedelta(days=to_the_first_one, weeks=(self.nth or 1) - 1)


class HalfDay(RuledDay):
    """A day of every year on which the library shuts early."""

    closes: time


class HolidayRule(Frozen):
    """Public holidays by law of a country and subdivision, less those the library works on, plus its own."""

    country: str
    subdivision: str | None = None
    observed: StrictBool = True
    removed: tuple[str, ...] = ()
    added: tuple[RuledDay, ...] = ()
    half_days: tuple[HalfDay, ...] = ()

    def by_law(self, year: int) -> Mapping[date, str]:
        return holidays_by_law(self.country, self.subdivision, self.observed, year)

    def faults(self) -> list[Fault]:
        """Asked when a policy file is adopted. Not a validator: a calendar on record must load, even when the
        holidays library has since renamed a day."""
        try:
            years = [self.by_law(year) for year in YEARS_TO_KNOW_A_HOLIDAY_BY]
        except NotImplementedError as unknown:
            field = "subdivision" if "subdivision" in str(unknown) else "country"
            return [Fault((field,), str(unknown), 'ISO 3166 codes such as "US" and "MS"')]
        known = {name for year in years for names in year.values() for name in names.split("; ")}
        would_pass = "one of: " + ", ".join(sorted(known))
        return [
            Fault(at, f"no holiday is named {name}", would_pass)
            for at, name in self._named()
            if name not in known
        ]

    def _named(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield from ((("removed", i), name) for i, name in enumerate(self.removed))
        yield from ((("added", i, "after"), own.after) for i, own in enumerate(self.added) if own.after)
        yield from (
            (("half_days", i, "after"), half.after) for i, half in enumerate(self.half_days) if half.after
        )


@lru_cache(maxsize=512)
def holidays_by_law(country: str, subdivision: str | None, observed: bool, year: int) -> Mapping[date, str]:
    # the language is pinned: names are what a policy file refers to, and must not follow the machine's locale
    return dict(
        country_holidays(country, subdiv=subdivision, years=year, observed=observed, language="en_US").items()
    )


@lru_cache(maxsize=512)
def holidays_of(rule: HolidayRule, year: int) -> Mapping[date, str]:
    by_law = rule.by_law(year).items()
    kept = {day: name for day, names in by_law if (name := _without_removed(names, rule.removed))}
    return kept | {day: own.name for own in rule.added for day in _days_of(own, rule, year)}


@lru_cache(maxsize=512)
def half_days_of(rule: HolidayRule, year: int) -> Mapping[date, time]:
    return {day: half.closes for half in rule.half_days for day in _days_of(half, rule, year)}


def _without_removed(names: str, removed: tuple[str, ...]) -> str:
    return "; ".join(name for name in names.split("; ") if name.removesuffix(" (observed)") not in removed)


def _days_of(ruled: RuledDay, rule: HolidayRule, year: int) -> Iterator[date]:
    # the neighbouring years too: the day before New Year's Day is in the year before
    for around in (year - 1, year, year + 1):
        yield from ruled.in_year(around, rule.by_law(around))


def exists(year: int, month: int, day: int) -> bool:
    try:
        return bool(date(year, month, day))
    except ValueError:
        return False


# ---- the calendar


class Calendar(Frozen):
    timezone: str
    holidays: HolidayRule
    hours: dict[str, WeeklyHours]
    later_hours: tuple[LaterHours, ...] = ()
    closures: tuple[Closure, ...] = ()

    @field_validator("timezone")
    @classmethod
    def names_a_zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (ValueError, OSError, KeyError) as unknown:
            raise unfit(Fault((), f"no time zone is named {name}", '"America/Chicago"')) from unknown

    @field_validator("closures")
    @classmethod
    def in_order_of_day(cls, closures: tuple[Closure, ...]) -> tuple[Closure, ...]:
        return tuple(sorted(closures, key=_by_day))

    # -- what the library's facts add

    def with_closure(self, closure: Closure) -> "Calendar":
        others = self.without_closure(closure.id).closures
        return self.model_copy(update={"closures": tuple(sorted((*others, closure), key=_by_day))})

    def without_closure(self, closure_id: str) -> "Calendar":
        return self.model_copy(update={"closures": tuple(c for c in self.closures if c.id != closure_id)})

    def with_hours(self, place: str, hours: WeeklyHours, since: date | None = None) -> "Calendar":
        """From a day on, or, without one, at all times, in place of everything said of that place before."""
        if since is None:
            others = tuple(later for later in self.later_hours if later.place != place)
            return self.model_copy(update={"hours": self.hours | {place: hours}, "later_hours": others})
        others = tuple(later for later in self.later_hours if (later.place, later.since) != (place, since))
        return self.model_copy(
            update={"later_hours": (*others, LaterHours(place=place, since=since, hours=hours))}
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "Calendar":
        changed = super().model_copy(update=update, deep=deep)
        # a copy takes along what was found out, and that is no longer so
        for found in ("openings_found", "open_days_found"):
            changed.__dict__.pop(found, None)
        return changed

    # -- what it answers

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def hours_of(self, place: str, day: date) -> WeeklyHours:
        later = [later for later in self.later_hours if later.place == place and later.since <= day]
        if later:
            return max(later, key=lambda one: one.since).hours
        if place not in self.hours:
            raise CalendarError(f"the calendar has no hours for {place}")
        return self.hours[place]

    def holiday_on(self, day: date) -> str | None:
        return holidays_of(self.holidays, day.year).get(day)

    def closures_on(self, place: str, day: date) -> list[Closure]:
        first, last = bisect_left(self.closures, day, key=_day), bisect_right(self.closures, day, key=_day)
        return [closure for closure in self.closures[first:last] if closure.shuts(place)]

    def openings(self, place: str, day: date) -> list[tuple[datetime, datetime]]:
        zone = self.zone
        return [
            (starts.astimezone(zone), ends.astimezone(zone)) for starts, ends in self._openings(place, day)
        ]

    def is_open_day(self, place: str, day: date) -> bool:
        return bool(self._openings(place, day))

    def is_open(self, place: str, moment: datetime) -> bool:
        day, now = self.local(moment).date(), moment.astimezone(UTC)
        return any(starts <= now < ends for starts, ends in self._openings(place, day))

    def next_opening(self, place: str, moment: datetime) -> datetime:
        """The moment itself while the place is open."""
        now, today = moment.astimezone(UTC), self.local(moment).date()
        for day in self._open_days_from(place, today):
            for starts, ends in self._openings(place, day):
                if now < ends:
                    return max(now, starts).astimezone(self.zone)
        raise AssertionError("days of opening do not run out without an error")

    def business_days_after(self, place: str, start: datetime, n: int) -> datetime:
        if n < 0:
            raise CalendarError(f"{n} business days cannot be waited for; 0 or more can")
        asked = self.local(start)
        first, last = self._open_days(place, asked.date(), n)
        wall = asked.time() if first == asked.date() else time.min
        return self.next_opening(place, instant(last, wall, self.zone))

    def local(self, moment: datetime) -> datetime:
        if moment.utcoffset() is None:
            raise CalendarError(f"{moment.isoformat()} has no time zone; give it one, such as UTC")
        return moment.astimezone(self.zone)

    def months_after(self, moment: datetime, months: int) -> datetime:
        """The same wall time so many months later, or on the month's last day where it has no such day."""
        wall = self.local(moment)
        years, month = divmod(wall.month - 1 + months, 12)
        year, month = wall.year + years, month + 1
        day = min(wall.day, monthrange(year, month)[1])
        return instant(wall.date().replace(year=year, month=month, day=day), wall.time(), self.zone)

    # -- how it finds out

    def _open_days_from(self, place: str, day: date) -> Iterator[date]:
        last_open = day
        while (day - last_open).days < LONGEST_CLOSURE_DAYS:
            if self.is_open_day(place, day):
                last_open = day
                yield day
            day += ONE_DAY
        raise CalendarError(
            f"{place} has no opening in the {LONGEST_CLOSURE_DAYS} days before {day}; give it hours"
        )

    @cached_property
    def open_days_found(self) -> dict[tuple[str, date, int], tuple[date, date]]:
        """By place, day and how many: what is asked on one day waits for the same few."""
        return {}

    def _open_days(self, place: str, day: date, n: int) -> tuple[date, date]:
        """The first open day from this one on, and the nth after it."""
        found = self.open_days_found.get((place, day, n))
        if found is None:
            open_days = self._open_days_from(place, day)
            first = next(open_days)
            found = first, next(islice(open_days, n - 1, None)) if n else first
            remember(self.open_days_found, (place, day, n), found)
        return found

    @cached_property
    def openings_found(self) -> dict[tuple[str, date], list[tuple[datetime, datetime]]]:
        """By place and day: the same weeks are asked for again and again."""
        return {}

    def _openings(self, place: str, day: date) -> list[tuple[datetime, datetime]]:
        found = self.openings_found.get((place, day))
        if found is None:
            found = self._find_openings(place, day)
            remember(self.openings_found, (place, day), found)
        return found

    def _find_openings(self, place: str, day: date) -> list[tuple[datetime, datetime]]:
        # in UTC: two moments of one zone compare by wall time, which repeats itself in autumn
        zone, spans = self.zone, self._spans(place, day)
        instants = [(instant(day, span.opens, zone), instant(day, span.closes, zone)) for span in spans]
        return [(starts, ends) for starts, ends in instants if starts < ends]

    def _spans(self, place: str, day: date) -> list[Span]:
        spans = list(self.hours_of(place, day).on(day))
        if not spans or self.holiday_on(day):
            return []
        for starts, ends in self._shut(place, day):
            spans = [piece for span in spans for piece in span.outside(starts, ends)]
        return spans

    def _shut(self, place: str, day: date) -> Iterator[tuple[time, time]]:
        half_days = half_days_of(self.holidays, day.year)
        if day in half_days:
            yield half_days[day], time.max
        yield from (closure.wall_times for closure in self.closures_on(place, day))


def remember(found: dict[K, V], key: K, value: V) -> None:
    if len(found) >= MOST_TO_REMEMBER:
        found.clear()
    found[key] = value


def _day(closure: Closure) -> date:
    return closure.day


def _by_day(closure: Closure) -> tuple[date, str]:
    return closure.day, closure.id


# ---- wall time and instants


def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """In UTC. The first of a wall time that comes twice; for one that is skipped, the first after the gap."""
    moment = datetime.combine(day, wall, tzinfo=zone)
    found = moment.astimezone(UTC)
    read_back = found.astimezone(zone)
    return (
        found if read_back.replace(tzinfo=None) == moment.replace(tzinfo=None) else _end_of_gap(moment, zone)
    )


def _end_of_gap(skipped: datetime, zone: ZoneInfo) -> datetime:
    before, after = (skipped.replace(fold=fold).astimezone(UTC) for fold in (1, 0))
    summer = after.astimezone(zone).utcoffset()
    while after - before > ONE_SECOND:
        middle = before + (after - before) / 2
        before, after = (before, middle) if middle.astimezone(zone).utcoffset() == summer else (middle, after)
    return after.replace(microsecond=0)
