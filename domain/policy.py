"""One version of the policy as data: what each clause asks, who decides what, each number with its source.

A policy file is judged when it is adopted (`parse_policy`), and believed ever after (`policy_on_record`):
rules that are tightened here later must not make last year's version unreadable.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import Field, Strict, StrictBool, StrictInt, StringConstraints, ValidationError, field_validator

from domain.calendar import Calendar, Fault, Frozen, unfit
from domain.clauses import EVERY_CLAUSE, PR_1, PR_3, PR_5, PR_12
from domain.toml_lines import line_at, lines_of


class Role(StrEnum):
    EXECUTIVE_DIRECTOR = "executive_director"
    MARKETING_AND_ACCESS_COORDINATOR = "marketing_and_access_coordinator"
    YOUTH_SERVICES_COORDINATOR = "youth_services_coordinator"
    BRANCH_MANAGER = "branch_manager"
    BRANCH_STAFF = "branch_staff"
    HEADQUARTERS_STAFF = "headquarters_staff"
    BOARD_DELEGATE = "board_delegate"
    HELPDESK = "helpdesk"
    AUDITOR = "auditor"


T = TypeVar("T")
Origin = Literal["policy", "library"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Whole = Annotated[StrictInt, Field(ge=1)]


class Clause(Frozen):
    title: Text
    summary: Text


class Place(Frozen):
    name: Text
    town: Text
    county: Text
    kind: Literal["headquarters", "branch"]


class Setting(Frozen, Generic[T]):
    """A number with its source: the policy's own, or the library's choice within it."""

    value: T
    origin: Origin
    clause: str = ""
    unit: Text
    why: Text


class Settings(Frozen):
    minimum_administrators: Setting[Whole]
    minimum_coordinators: Setting[Whole]
    administrators_most: Setting[Whole]
    posts_per_week_least: Setting[Whole]
    posts_per_day_most: Setting[Whole]
    remind_after_bd: Setting[Annotated[tuple[Whole, ...], Field(min_length=1)]]
    escalate_after_bd: Setting[Whole]
    overdue_after_bd: Setting[Whole]
    expire_after_days: Setting[Whole]
    changes_asked_expire_after_days: Setting[Whole]
    grant_term_months: Setting[Whole]
    renewal_notice_days: Setting[Whole]
    remedy_due_bd: Setting[Whole]
    setup_due_bd: Setting[Whole]
    evaluation_months: Setting[Whole]
    first_answer_bd: Setting[Whole]
    termination_undo_days: Setting[Whole]
    removals_before_block: Setting[Whole]
    block_term_days: Setting[Whole]
    block_term_days_most: Setting[Whole]
    appeal_days: Setting[Whole]
    appeal_decided_bd: Setting[Whole]
    delegation_chain_most: Setting[Whole]
    credential_life_hours: Setting[Whole]
    reason_max_chars: Setting[Whole]
    attempts_recorded_per_person_per_hour: Setting[Whole]
    attempts_recorded_per_case_per_hour: Setting[Whole]
    # came later: versions that were adopted before it had none
    feed_leavers_most_percent: Setting[Whole] = Setting(
        value=10,
        origin="library",
        unit="percent of the feed's own people",
        why="A file that was cut off ends nobody's work.",
    )
    consent_term_months: Setting[Whole] = Setting(
        value=60, origin="library", unit="months", why="A written permission is asked for anew after some years."
    )
    age_of_majority_years: Setting[Whole] = Setting(
        value=18, origin="library", unit="years", why="From then on people speak for themselves."
    )
    renewal_open_days: Setting[Whole] = Setting(
        value=90, origin="library", unit="days", why="Time to reach someone who has come of age."
    )
    singled_out_minor_needs_guardian: Setting[StrictBool] = Setting(
        value=True, origin="library", unit="yes or no", why="A notice speaks to a crowd, and not to a child's parents."
    )
    picture_megapixels_most: Setting[Whole] = Setting(
        value=40, origin="library", unit="million pixels", why="More than any page shows, and heavy to open."
    )
    patron_requests_per_address_per_hour: Setting[Whole] = Setting(
        value=10, origin="library", unit="requests", why="A family may write in one evening; a flood may not."
    )
    patron_requests_per_hour: Setting[Whole] = Setting(
        value=200, origin="library", unit="requests", why="What staff can still look through."
    )
    patron_record_kept_days: Setting[Annotated[StrictInt, Field(ge=0)]] = Setting(
        value=0,
        origin="library",
        clause="PR-12",
        unit="days",
        why="No schedule is named that would make the library keep what a patron asks it to forget.",
    )


class Decides(Frozen):
    """Who decides, and who stands in while that post is vacant or its holder is the one who asks."""

    by: Role
    stands_in: Role | None = None
    clauses: Annotated[tuple[str, ...], Field(min_length=1)]
    why: Text


# versions that were adopted before these processes came have no rule for them
DECIDES_CAME_LATER = {
    "legal_hold": Decides(
        by=Role.EXECUTIVE_DIRECTOR,
        stands_in=Role.BOARD_DELEGATE,
        clauses=(PR_12,),
        why="Who placed a hold never releases it alone.",
    ),
    "erasure_first": Decides(
        by=Role.MARKETING_AND_ACCESS_COORDINATOR,
        stands_in=Role.YOUTH_SERVICES_COORDINATOR,
        clauses=(PR_12,),
        why="Whoever knows what the library has published looks first.",
    ),
    "erasure_second": Decides(
        by=Role.EXECUTIVE_DIRECTOR,
        stands_in=Role.BOARD_DELEGATE,
        clauses=(PR_12,),
        why="What cannot be undone is decided by two.",
    ),
}


class SetupTask(Frozen):
    """`mandatory`: the account opens only once it is closed. `waivable`: a reason may close it too."""

    id: Slug
    title: Text
    clause: str
    also_serves: tuple[str, ...] = ()
    origin: Origin
    mandatory: StrictBool
    waivable: StrictBool
    needs: Literal["none", "logo_evidence"] = "none"


class Logo(Frozen):
    sha256: Sha256
    source: Literal["marketing_and_access_coordinator", "online_helpdesk"]
    note: Text


class Platform(Frozen):
    name: Text
    handle_pattern: str
    handle_most: Whole
    handle_example: Text

    @field_validator("handle_pattern")
    @classmethod
    def can_be_matched(cls, pattern: str) -> str:
        try:
            return re.compile(pattern).pattern
        except re.error as error:
            raise unfit(Fault((), f"not a regular expression: {error}", "'[A-Za-z0-9_]+'")) from error

    def allows(self, handle: str) -> bool:
        return len(handle) <= self.handle_most and re.fullmatch(self.handle_pattern, handle) is not None


class GroupRule(Frozen):
    """What being in a group of the HR system gives, and to whom: only to people whose position allows it."""

    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    positions: Annotated[tuple[str, ...], Field(min_length=1)]


MailAddress = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")]


class Contact(Frozen):
    """`hr_email`: where HR is told what followed from a change of staff. Versions that were adopted before had none."""

    office: Text
    email: MailAddress
    telephone: Text
    hr_email: MailAddress | None = None


class Policy(Frozen):
    version: Text
    title: Text
    effective: Annotated[date, Strict()]
    website: Address
    policy_url: Address
    contact: Contact
    may_post: Annotated[tuple[Role, ...], Field(min_length=1)]
    coordinators: Annotated[tuple[Role, ...], Field(min_length=1)]
    settings: Settings
    decides: dict[Slug, Decides]
    setup_tasks: tuple[SetupTask, ...]
    official_logos: Annotated[tuple[Logo, ...], Field(min_length=1)]
    platforms: Annotated[dict[Slug, Platform], Field(min_length=1)]
    positions: dict[str, tuple[Role, ...]]
    groups: dict[str, GroupRule] = Field(default_factory=dict)
    places: dict[Slug, Place]
    calendar: Calendar
    clauses: dict[str, Clause]

    def roles_of(self, position: str) -> frozenset[Role]:
        return self._roles_by_title.get(folded(position), frozenset())

    @cached_property
    def _roles_by_title(self) -> dict[str, frozenset[Role]]:
        by_title: dict[str, frozenset[Role]] = {}
        for name, roles in self.positions.items():
            by_title[folded(name)] = by_title.get(folded(name), frozenset()) | frozenset(roles)
        return by_title

    def roles_by_groups(self, position: str, groups: Iterable[str]) -> frozenset[Role]:
        """A group gives a role only where this file says so, and only to the positions it names."""
        names, title = {folded(each) for each in groups}, folded(position)
        return frozenset(
            role
            for name, rule in self.groups.items()
            if folded(name) in names and title in map(folded, rule.positions)
            for role in rule.roles
        )

    def place_named(self, text: str) -> str:
        """The place that is meant, by id or name; else the text as it is."""
        wanted = folded(text)
        return next((id_ for id_, place in self.places.items() if wanted in (id_, folded(place.name))), text)

    def place(self, place_id: str) -> Place:
        return self.places[place_id]

    def clause(self, clause_id: str) -> Clause:
        return self.clauses[clause_id]


def folded(title: str) -> str:
    return " ".join(title.split()).casefold()


# ---- what must hold across a policy file


class NeededRule(NamedTuple):
    what: str
    clause: str
    by: Role
    stands_in: Role


NEEDED_RULES = {
    "account_creation": NeededRule("a new account", PR_1, Role.EXECUTIVE_DIRECTOR, Role.BOARD_DELEGATE),
    "posting_rights_branch": NeededRule(
        "posting rights of branch staff", PR_5, Role.BRANCH_MANAGER, Role.EXECUTIVE_DIRECTOR
    ),
    "posting_rights_headquarters": NeededRule(
        "posting rights of headquarters staff", PR_5, Role.EXECUTIVE_DIRECTOR, Role.BOARD_DELEGATE
    ),
}
TASKS_THE_POLICY_ASKS = (
    "account_made",
    "branding",
    "logo",
    "maintained_by",
    "contact_details",
    "website_link",
    "policy_link",
)


def every_clause_is_told(policy: Policy) -> Iterator[Fault]:
    for clause in EVERY_CLAUSE:
        if clause not in policy.clauses:
            yield Fault(
                ("clauses", clause), "this clause is missing", f"[clauses.{clause}] with title and summary"
            )


def every_clause_cited_is_told(policy: Policy) -> Iterator[Fault]:
    for at, clause in clauses_cited(policy):
        if clause not in policy.clauses:
            yield Fault(at, f"no clause has the id {clause}", one_of(policy.clauses, clause))


def clauses_cited(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name in Settings.model_fields:
        if clause := getattr(policy.settings, name).clause:
            yield ("settings", name, "clause"), clause
    for process, rule in policy.decides.items():
        yield from ((("decides", process, "clauses", i), clause) for i, clause in enumerate(rule.clauses))
    for nth, task in enumerate(policy.setup_tasks):
        yield ("setup_tasks", nth, "clause"), task.clause
        yield from (
            (("setup_tasks", nth, "also_serves", i), clause) for i, clause in enumerate(task.also_serves)
        )


def what_the_policy_sets_cites_its_clause(policy: Policy) -> Iterator[Fault]:
    for name in Settings.model_fields:
        setting = getattr(policy.settings, name)
        if setting.origin == "policy" and not setting.clause:
            because = "said to be the policy's, yet cites no clause"
            yield Fault(
                ("settings", name, "clause"), because, 'the clause that says it, or origin = "library"'
            )


def somebody_decides_each_process(policy: Policy) -> Iterator[Fault]:
    for process, needed in NEEDED_RULES.items():
        rule = policy.decides.get(process)
        would_pass = f'[decides.{process}] with by = "{needed.by}", stands_in = "{needed.stands_in}"'
        if rule is None:
            because = f"no rule says who decides on {needed.what} ({needed.clause})"
            yield Fault(("decides", process), because, f'{would_pass}, clauses = ["{needed.clause}"]')
        elif rule.stands_in is None:
            because = f"nobody decides on {needed.what} while the post is vacant"
            yield Fault(("decides", process, "stands_in"), because, f'stands_in = "{needed.stands_in}"')


def nobody_stands_in_for_themselves(policy: Policy) -> Iterator[Fault]:
    for process, rule in policy.decides.items():
        if rule.stands_in is rule.by:
            yield Fault(("decides", process, "stands_in"), f"{rule.by} stands in for itself", "another role")


def every_role_that_acts_is_held_by_a_position(policy: Policy) -> Iterator[Fault]:
    held = {role for roles in policy.positions.values() for role in roles}
    for at, role in roles_that_act(policy):
        if role not in held:
            yield Fault(at, f"no position holds the role {role}", f'[positions] "Some title" = ["{role}"]')


def roles_that_act(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], Role]]:
    yield from ((("may_post", nth), role) for nth, role in enumerate(policy.may_post))
    yield from ((("coordinators", nth), role) for nth, role in enumerate(policy.coordinators))
    for process, rule in policy.decides.items():
        yield ("decides", process, "by"), rule.by
        if rule.stands_in is not None:
            yield ("decides", process, "stands_in"), rule.stands_in


def no_position_is_named_twice(policy: Policy) -> Iterator[Fault]:
    for name in named_before(policy.positions, folded):
        yield Fault(
            ("positions", name), "another position has this title", "each title once, in any case or spacing"
        )


def groups_name_positions_of_the_policy(policy: Policy) -> Iterator[Fault]:
    known = {folded(name) for name in policy.positions}
    for group, rule in policy.groups.items():
        for nth, position in enumerate(rule.positions):
            if folded(position) not in known:
                because = f"no position has the title {position}"
                yield Fault(("groups", group, "positions", nth), because, one_of(policy.positions, position))


def an_auditor_approves_nothing(policy: Policy) -> Iterator[Fault]:
    """PR-1: who looks at the decisions takes none of them, by position or by any groups together."""
    approve = {role for rule in policy.decides.values() for role in (rule.by, rule.stands_in) if role is not None}
    for position, roles in policy.positions.items():
        own = frozenset(roles)
        whole = own | policy.roles_by_groups(position, policy.groups)
        if Role.AUDITOR in whole and (both := sorted(whole & approve)):
            because = f"{position} would audit and approve, as {', '.join(both)} (PR-1)"
            where: tuple[str | int, ...] = ("positions", position)
            if Role.AUDITOR not in own or not own & approve:
                where = ("groups", next(iter(groups_giving(position, policy))))
            yield Fault(where, because, "a position of its own for whoever audits")


def groups_giving(position: str, policy: Policy) -> Iterator[str]:
    """The groups that add to what this position gives."""
    own = policy.roles_of(position)
    yield from (name for name in policy.groups if policy.roles_by_groups(position, [name]) - own)


def no_place_is_named_twice(policy: Policy) -> Iterator[Fault]:
    for place in named_before(policy.places, lambda each: folded(policy.places[each].name)):
        yield Fault(
            ("places", place, "name"), "another place has this name", "a name of its own for each place"
        )


def there_is_one_headquarters(policy: Policy) -> Iterator[Fault]:
    found = [place for place, each in policy.places.items() if each.kind == "headquarters"]
    if len(found) != 1:
        yield Fault(
            ("places",), f"{len(found)} places are headquarters", 'kind = "headquarters" for exactly one'
        )


def every_place_has_hours(policy: Policy) -> Iterator[Fault]:
    for place, told in policy.places.items():
        hours = policy.calendar.hours.get(place)
        if hours is None or hours.never_open:
            would_pass = f'[calendar.hours.{place}] with a day such as tue = ["09:00-17:00"]'
            yield Fault(("places", place), f"{told.name} has no opening hours", would_pass)


def hours_are_those_of_a_place(policy: Policy) -> Iterator[Fault]:
    for place in policy.calendar.hours:
        if place not in policy.places:
            yield Fault(
                ("calendar", "hours", place), f"there is no place {place}", one_of(policy.places, place)
            )


def holidays_are_known_by_name(policy: Policy) -> Iterator[Fault]:
    for fault in policy.calendar.holidays.faults():
        yield fault._replace(at=("calendar", "holidays", *fault.at))


def the_tasks_the_policy_asks_are_there_once(policy: Policy) -> Iterator[Fault]:
    ids = [task.id for task in policy.setup_tasks]
    for task in TASKS_THE_POLICY_ASKS:
        if task not in ids:
            yield Fault(
                ("setup_tasks",), f"the set-up task {task} is missing", f'[[setup_tasks]] id = "{task}"'
            )
    for nth, task in enumerate(ids):
        if task in ids[:nth]:
            yield Fault(("setup_tasks", nth, "id"), f"the task {task} is there twice", "an id of its own")


def only_what_is_asked_where_possible_may_be_waived(policy: Policy) -> Iterator[Fault]:
    for nth, task in enumerate(policy.setup_tasks):
        if task.waivable and task.clause != PR_3:
            because = f'only {PR_3} says "where possible"; {task.id} rests on {task.clause}'
            yield Fault(("setup_tasks", nth, "waivable"), because, "waivable = false")


def an_example_handle_keeps_its_own_rule(policy: Policy) -> Iterator[Fault]:
    for slug, platform in policy.platforms.items():
        if not platform.allows(platform.handle_example):
            because = f"{platform.handle_example} breaks the rule for handles on {platform.name}"
            yield Fault(
                ("platforms", slug, "handle_example"), because, "a handle that the pattern and length allow"
            )


IN_ORDER = (
    ("minimum_coordinators", "minimum_administrators"),
    ("minimum_administrators", "administrators_most"),
    ("escalate_after_bd", "overdue_after_bd"),
    ("block_term_days", "block_term_days_most"),
)


def limits_are_in_order(policy: Policy) -> Iterator[Fault]:
    for less, more in IN_ORDER:
        low, high = getattr(policy.settings, less).value, getattr(policy.settings, more).value
        if low > high:
            yield Fault(("settings", less, "value"), f"{low} is more than {more} ({high})", f"{high} or less")


def reminders_come_in_order_before_escalation(policy: Policy) -> Iterator[Fault]:
    reminders, escalation = policy.settings.remind_after_bd.value, policy.settings.escalate_after_bd.value
    if any(later <= earlier for earlier, later in pairwise((*reminders, escalation))):
        because = f"{list(reminders)} and then escalation at {escalation} do not follow one another"
        yield Fault(("settings", "remind_after_bd", "value"), because, f"rising numbers below {escalation}")


RULES: tuple[Callable[[Policy], Iterator[Fault]], ...] = (
    every_clause_is_told,
    every_clause_cited_is_told,
    what_the_policy_sets_cites_its_clause,
    somebody_decides_each_process,
    nobody_stands_in_for_themselves,
    every_role_that_acts_is_held_by_a_position,
    no_position_is_named_twice,
    groups_name_positions_of_the_policy,
    an_auditor_approves_nothing,
    no_place_is_named_twice,
    there_is_one_headquarters,
    every_place_has_hours,
    hours_are_those_of_a_place,
    holidays_are_known_by_name,
    the_tasks_the_policy_asks_are_there_once,
    only_what_is_asked_where_possible_may_be_waived,
    an_example_handle_keeps_its_own_rule,
    limits_are_in_order,
    reminders_come_in_order_before_escalation,
)


def named_before(ids: Mapping[str, Any], name: Callable[[str], str]) -> Iterator[str]:
    seen: set[str] = set()
    for each in ids:
        if name(each) in seen:
            yield each
        seen.add(name(each))


def one_of(known: Mapping[str, Any] | Sequence[str], wrong: str) -> str:
    near = get_close_matches(wrong, list(known), n=1)
    return near[0] if near else "one of " + ", ".join(known)


# ---- reading a policy file


class Problem(NamedTuple):
    source: str
    line: int
    field: str
    message: str
    would_pass: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}: " + (f"{self.field}: " if self.field else "")
        return f"{where}{self.message}; would pass: {self.would_pass}"


class PolicyError(ValueError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def policy_hash(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@lru_cache(maxsize=32)
def policy_on_record(text: str) -> Policy:
    """A version that was adopted once: read, not judged again."""
    return Policy.model_validate(tomllib.loads(text))


def parse_policy(text: str, source: str) -> Policy:
    try:
        policy = policy_on_record(text)
    except ValidationError as error:
        raise PolicyError(located(shape_faults(error), text, source)) from error
    except ValueError as error:
        # not TOMLDecodeError alone: a number of thousands of digits is a plain ValueError
        raise PolicyError([syntax_problem(str(error), text, source)]) from error
    if faults := [fault for rule in RULES for fault in rule(policy)]:
        raise PolicyError(located(faults, text, source))
    return policy


def located(faults: Sequence[Fault], text: str, source: str) -> list[Problem]:
    lines = lines_of(text)
    return [
        Problem(source, line_at(at, lines), field_name(at), because, pass_) for at, because, pass_ in faults
    ]


def field_name(at: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")


def shape_faults(error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for each in error.errors(include_url=False):
        at = tuple(part for part in each["loc"] if part != "[key]")
        context = each.get("ctx", {})
        own: Sequence[Fault] = context.get("faults") or [
            Fault((), each["msg"], would_pass(each["type"], at, context))
        ]
        faults += [fault._replace(at=(*at, *fault.at)) for fault in own]
    return faults


WOULD_PASS = {
    "missing": "{name} = ... here",
    "enum": "one of {expected}",
    "literal_error": "one of {expected}",
    "int_type": "a whole number such as 5, without quotes",
    "bool_type": "true or false, without quotes",
    "string_type": "text in quotes",
    "string_too_short": "text that says something",
    "string_pattern_mismatch": "text that matches {pattern}",
    "tuple_type": "a list in square brackets",
    "too_short": "a list with an entry",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "date_type": "a date such as 2026-01-31, without quotes",
    "time_parsing": '"09:00-17:00"',
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}


def would_pass(kind: str, at: Sequence[str | int], context: Mapping[str, Any]) -> str:
    name = str(at[-1]) if at else ""
    if kind == "extra_forbidden":
        near = get_close_matches(name, sorted(every_field_name()), n=1)
        return f"{near[0]}, if that is meant, or nothing here" if near else "nothing here"
    return WOULD_PASS.get(kind, "a value as said").format_map({"name": name, **context})


def every_field_name() -> set[str]:
    return {name for each in every_model(Frozen) for name in each.model_fields}


def every_model(model: type[Frozen]) -> Iterator[type[Frozen]]:
    yield model
    for each in model.__subclasses__():
        yield from every_model(each)


AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
HEADER_OR_KEY = re.compile(r"""^\s*(?:\[+\s*(?P<table>[^\]#]+?)\s*(?:\]|$)|(?P<key>[\w.'" -]+?)\s*=)""")


def syntax_problem(message: str, text: str, source: str) -> Problem:
    found = AT_LINE.search(message)
    line = int(found[1]) if found else text.count("\n") + 1
    because = message.split(" (at ")[0]
    would_pass = "each table and key once" if "Cannot" in because else "TOML 1.0"
    return Problem(source, line, field_near(text, line), because, would_pass)


def field_near(text: str, line: int) -> str:
    """The broken file cannot be read as a whole: the table last opened above the line, and the key on it."""
    table, key = "", ""
    for each in text.split("\n")[:line]:
        if found := HEADER_OR_KEY.match(each):
            table, key = (found["table"], "") if found["table"] else (table, found["key"])
    return ".".join(part for part in (table, key) if part)
