import hashlib
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from domain.clauses import EVERY_CLAUSE
from domain.policy import (
    Policy,
    PolicyError,
    Problem,
    Role,
    parse_policy,
    policy_hash,
    policy_on_record,
)
from domain.toml_lines import lines_of

POLICIES = Path(__file__).parents[2] / "policies"
FILE = "policies/mmrls.toml"
TEXT = (POLICIES / "mmrls.toml").read_text(encoding="utf-8")
POLICY = parse_policy(TEXT, FILE)


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, f"{old!r} stands {TEXT.count(old)} times in the file"
    return TEXT.replace(old, new)


def without(table: str) -> str:
    found = re.search(rf"^\[{re.escape(table)}\]\n(?:[^\[\n].*\n|\n)*", TEXT, re.MULTILINE)
    assert found
    return TEXT.replace(found[0], "")


def setting(name: str, value: str) -> str:
    found = re.search(rf"^\[settings\.{name}\]\nvalue = .*\n", TEXT, re.MULTILINE)
    assert found
    return TEXT.replace(found[0], f"[settings.{name}]\nvalue = {value}\n")


def problems(text: str) -> list[Problem]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, FILE)
    return caught.value.problems


def only_problem(text: str) -> Problem:
    (problem,) = problems(text)
    return problem


def line_of(text: str, wanted: str) -> int:
    return text.splitlines().index(wanted) + 1


# ---- the file we ship


def test_every_clause_is_told_in_the_file_we_ship() -> None:
    assert set(POLICY.clauses) == set(EVERY_CLAUSE)
    assert len(EVERY_CLAUSE) == len(set(EVERY_CLAUSE)) == 37


def test_headquarters_and_thirteen_libraries_in_five_counties_are_there() -> None:
    branches = [place for place in POLICY.places.values() if place.kind == "branch"]
    assert len(branches) == 13
    assert {place.county for place in branches} == {"Attala", "Holmes", "Leake", "Montgomery", "Winston"}
    assert POLICY.place("hq").kind == "headquarters"
    assert POLICY.place("duck-hill").county == "Montgomery"


@pytest.mark.parametrize(
    ("name", "value", "origin", "clause"),
    [
        ("minimum_administrators", 2, "policy", "PR-7"),
        ("minimum_coordinators", 1, "policy", "PR-7"),
        ("posts_per_week_least", 1, "policy", "PR-6"),
        ("posts_per_day_most", 2, "policy", "PR-6"),
        ("remind_after_bd", (2, 4), "library", ""),
        ("escalate_after_bd", 5, "library", ""),
        ("overdue_after_bd", 10, "library", ""),
        ("expire_after_days", 30, "library", ""),
        ("changes_asked_expire_after_days", 30, "library", ""),
        ("grant_term_months", 12, "library", "PR-5"),
        ("renewal_notice_days", 30, "library", "PR-5"),
        ("remedy_due_bd", 10, "library", "PR-7"),
        ("first_answer_bd", 1, "library", "PR-16"),
        ("credential_life_hours", 72, "library", ""),
        ("reason_max_chars", 4000, "library", ""),
        ("administrators_most", 10, "library", "PR-7"),
        ("attempts_recorded_per_person_per_hour", 20, "library", ""),
        ("attempts_recorded_per_case_per_hour", 20, "library", ""),
        ("delegation_chain_most", 3, "library", ""),
        ("termination_undo_days", 7, "library", "PR-19"),
        ("setup_due_bd", 10, "library", "PR-2"),
        ("evaluation_months", 12, "library", "PR-19"),
        ("block_term_days", 90, "library", "PU-2"),
        ("block_term_days_most", 365, "library", "PU-2"),
        ("appeal_days", 30, "library", "PU-2"),
        ("appeal_decided_bd", 10, "library", "PU-2"),
        ("removals_before_block", 2, "library", "PU-2"),
    ],
)
def test_each_number_says_whether_it_is_the_policys_or_the_librarys(
    name: str, value: object, origin: str, clause: str
) -> None:
    found = getattr(POLICY.settings, name)
    assert (found.value, found.origin, found.clause) == (value, origin, clause)


def test_only_the_four_roles_of_the_policy_post_without_asking() -> None:
    assert POLICY.may_post == (
        Role.EXECUTIVE_DIRECTOR,
        Role.BRANCH_MANAGER,
        Role.MARKETING_AND_ACCESS_COORDINATOR,
        Role.YOUTH_SERVICES_COORDINATOR,
    )
    assert POLICY.coordinators == (Role.MARKETING_AND_ACCESS_COORDINATOR, Role.YOUTH_SERVICES_COORDINATOR)


@pytest.mark.parametrize(
    ("process", "by", "stands_in", "clause"),
    [
        ("account_creation", Role.EXECUTIVE_DIRECTOR, Role.BOARD_DELEGATE, "PR-1"),
        ("posting_rights_branch", Role.BRANCH_MANAGER, Role.EXECUTIVE_DIRECTOR, "PR-5"),
        ("posting_rights_headquarters", Role.EXECUTIVE_DIRECTOR, Role.BOARD_DELEGATE, "PR-5"),
        ("account_termination", Role.EXECUTIVE_DIRECTOR, Role.BOARD_DELEGATE, "PR-19"),
    ],
)
def test_who_decides_and_who_stands_in(process: str, by: Role, stands_in: Role, clause: str) -> None:
    rule = POLICY.decides[process]
    assert (rule.by, rule.stands_in, rule.clauses) == (by, stands_in, (clause,))


def test_only_the_four_tasks_asked_where_possible_may_be_waived() -> None:
    assert [(task.id, task.waivable, task.needs) for task in POLICY.setup_tasks] == [
        ("account_made", False, "none"),
        ("branding", False, "none"),
        ("logo", False, "logo_evidence"),
        ("maintained_by", True, "none"),
        ("contact_details", True, "none"),
        ("website_link", True, "none"),
        ("policy_link", True, "none"),
        ("credentials_in_vault", False, "none"),
        ("two_factor", False, "none"),
    ]
    assert all(task.mandatory for task in POLICY.setup_tasks)


def test_the_example_logo_is_a_png_with_the_hash_that_the_file_names() -> None:
    logo = (POLICIES / "example-logo.png").read_bytes()
    assert logo.startswith(b"\x89PNG\r\n\x1a\n")
    assert [official.sha256 for official in POLICY.official_logos] == [hashlib.sha256(logo).hexdigest()]


@pytest.mark.parametrize("position", ["Branch Manager", "branch manager", "  BRANCH \t Manager "])
def test_a_position_is_known_in_any_case_and_spacing(position: str) -> None:
    assert POLICY.roles_of(position) == {Role.BRANCH_MANAGER}


@pytest.mark.parametrize("position", ["", "BranchManager", "Branch Manager, Durant", "Mayor"])
def test_an_unknown_position_holds_no_role(position: str) -> None:
    assert POLICY.roles_of(position) == frozenset()


def test_the_helpdesk_is_headquarters_staff_too() -> None:
    assert POLICY.roles_of("Online Helpdesk Technician") == {Role.HELPDESK, Role.HEADQUARTERS_STAFF}


@pytest.mark.parametrize(
    ("platform", "handle", "allowed"),
    [
        ("x", "a" * 15, True),
        ("x", "a" * 16, False),
        ("x", "mmrls-durant", False),
        ("x", "mmrls\n", False),
        ("facebook", "abcd", False),
        ("facebook", "abcde", True),
        ("instagram", "mmrls.", False),
        ("bluesky", "durant", False),
        ("bluesky", "durant.example.org", True),
        ("mastodon", "mmrls@social.example.org", True),
    ],
)
def test_a_handle_is_judged_by_its_platforms_rule(platform: str, handle: str, allowed: bool) -> None:
    assert POLICY.platforms[platform].allows(handle) is allowed


def test_the_hash_is_that_of_the_exact_bytes() -> None:
    assert policy_hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert policy_hash(TEXT) == policy_hash(TEXT.encode()) == hashlib.sha256(TEXT.encode()).hexdigest()
    assert policy_hash(TEXT) != policy_hash(TEXT + "\n")


def test_a_policy_survives_being_written_down_as_json() -> None:
    assert Policy.model_validate_json(POLICY.model_dump_json()) == POLICY


def test_a_version_on_record_is_read_without_being_judged_again() -> None:
    text = changed("minimum_administrators]\nvalue = 2", "minimum_administrators]\nvalue = 11")
    assert problems(text)[0].field == "settings.minimum_administrators.value"
    assert policy_on_record(text).settings.minimum_administrators.value == 11


# ---- the example feed


def example_staff() -> list[dict[str, str]]:
    head, *rows = (POLICIES / "mmrls-staff-example.csv").read_text(encoding="utf-8").splitlines()
    assert head == "id,name,work_email,position,branch,supervisor,active,start,end,hours"
    return [dict(zip(head.split(","), cells(row), strict=True)) for row in rows]


def cells(row: str) -> list[str]:
    return [quoted or plain for quoted, plain in re.findall(r'(?:"([^"]*)"|([^,]*))(?:,|$)', row)[:10]]


def test_everyone_in_the_example_feed_holds_a_role_at_a_known_place_under_a_known_supervisor() -> None:
    staff = example_staff()
    ids = {person["id"] for person in staff}
    assert len(ids) == len({person["work_email"] for person in staff}) == len(staff)
    for person in staff:
        assert POLICY.roles_of(person["position"]), person
        assert person["branch"] in POLICY.places
        assert person["supervisor"] in ids or person["id"] == "p-board"


def test_each_branch_has_one_manager_and_one_or_two_others_in_the_example_feed() -> None:
    active = [person for person in example_staff() if person["active"] == "true"]
    for place in set(POLICY.places) - {"hq"}:
        here = [POLICY.roles_of(person["position"]) for person in active if person["branch"] == place]
        assert here.count(frozenset({Role.BRANCH_MANAGER})) == 1
        assert here.count(frozenset({Role.BRANCH_STAFF})) in (1, 2)


def test_someone_in_the_example_feed_has_left() -> None:
    left = [person for person in example_staff() if person["active"] == "false"]
    assert [(person["id"], person["end"]) for person in left] == [("p-bs-west-left", "2025-08-29")]


# ---- what does not hold is named by line and field, with what would


def test_a_problem_reads_as_file_line_field_and_what_would_pass() -> None:
    text = setting("remind_after_bd", '"two"')
    line = line_of(text, "[settings.remind_after_bd]") + 1
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, FILE)
    assert str(caught.value) == (
        f"policies/mmrls.toml:{line}: settings.remind_after_bd.value: Input should be a valid tuple"
        "; would pass: a list in square brackets"
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("[contact] # example", "[contact", "[contact", "contact"),
        ('version = "2026-1"', "version = 2026-1-", "version = 2026-1-", "version"),
        ("[places.durant]", "[places.goodman]", None, "places.goodman"),
        (
            'timezone = "America/Chicago"',
            'timezone = "a"\ntimezone = "b"',
            'timezone = "b"',
            "calendar.timezone",
        ),
    ],
)
def test_what_is_not_toml_is_named_by_its_line(old: str, new: str, line: str | None, field: str) -> None:
    text = changed(old, new)
    found = only_problem(text)
    last = max(nth for nth, each in enumerate(text.splitlines(), 1) if each == (line or new.splitlines()[-1]))
    assert (found.line, found.field) == (last, field)


def test_a_number_too_long_to_be_read_is_a_problem_and_not_a_crash() -> None:
    assert only_problem(setting("minimum_administrators", "1" * 5000)).source == FILE


@pytest.mark.parametrize("value", ['"2"', "2.0", "true", "0", "-1", "[2]"])
def test_a_number_of_the_wrong_kind_is_named(value: str) -> None:
    text = setting("minimum_administrators", value)
    found = only_problem(text)
    assert found.field == "settings.minimum_administrators.value"
    assert found.line == line_of(text, "[settings.minimum_administrators]") + 1


def test_a_wrong_entry_in_a_list_is_named_by_its_own_line() -> None:
    text = changed('    "youth_services_coordinator",\n', '    "youth_service_coordinator",\n')
    found = only_problem(text)
    assert (found.field, found.line) == ("may_post[3]", line_of(text, '    "youth_service_coordinator",'))
    assert "'youth_services_coordinator'" in found.would_pass


def test_a_date_in_quotes_is_named() -> None:
    found = only_problem(changed("effective = 2026-01-01", 'effective = "2026-01-01"'))
    assert (found.field, found.would_pass) == ("effective", "a date such as 2026-01-31, without quotes")


def test_every_problem_of_shape_is_told_at_once_in_the_order_of_the_file() -> None:
    text = setting("minimum_administrators", '"2"').replace("waivable = true", "waivable = 1")
    text = text.replace("coordinators = [", "coordinators = [7, ").replace('office = "H', 'offices = "H')
    assert [each.field for each in problems(text)] == [
        "coordinators[0]",
        "contact.office",
        "contact.offices",
        "settings.minimum_administrators.value",
        *(f"setup_tasks[{nth}].waivable" for nth in range(3, 7)),
    ]


def test_an_unknown_role_of_a_position_is_named_with_those_there_are() -> None:
    text = changed('"Cataloger" = ["headquarters_staff"]', '"Cataloger" = ["head_of_everything"]')
    found = only_problem(text)
    assert found.field == "positions.Cataloger[0]"
    assert found.line == line_of(text, '"Cataloger" = ["head_of_everything"]')
    assert "'executive_director', " in found.would_pass


def test_an_unknown_key_is_named_with_the_one_that_may_be_meant() -> None:
    text = changed('timezone = "America/Chicago"', 'timezone = "America/Chicago"\ntimezon = "x"')
    found = only_problem(text)
    assert (found.field, found.line) == ("calendar.timezon", line_of(text, 'timezon = "x"'))
    assert found.would_pass == "timezone, if that is meant, or nothing here"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('clauses = ["PU-2"]', 'clauses = ["PU-7"]', "decides.permanent_block.clauses[0]"),
        (
            'also_serves = ["PU-1", "PU-4", "PU-5"]',
            'also_serves = ["PU-1", "PU-4", "pu-5"]',
            "setup_tasks[6].also_serves[2]",
        ),
    ],
)
def test_a_clause_that_is_not_told_is_named_wherever_it_is_cited(old: str, new: str, field: str) -> None:
    text = changed(old, new)
    found = only_problem(text)
    assert (found.field, found.line) == (field, line_of(text, new))
    assert found.message.startswith("no clause has the id")


def test_an_unknown_clause_of_a_setting_is_named() -> None:
    text = changed(
        'value = 2\norigin = "policy"\nclause = "PR-7"', 'value = 2\norigin = "policy"\nclause = "PR-77"'
    )
    found = only_problem(text)
    assert (found.field, found.line) == (
        "settings.minimum_administrators.clause",
        line_of(text, 'clause = "PR-77"'),
    )
    assert found.would_pass == "PR-7"


def test_an_unknown_clause_of_a_task_is_named() -> None:
    text = changed('id = "branding"', 'id = "branding"#').replace(
        'branding"#\ntitle = "Name, colours and pictures follow the library\'s branding"\nclause = "PR-2"',
        'branding"\ntitle = "b"\nclause = "PR-22"',
    )
    found = only_problem(text)
    assert (found.field, found.line) == ("setup_tasks[1].clause", line_of(text, 'clause = "PR-22"'))


def test_a_clause_left_out_is_missed_where_the_clauses_stand() -> None:
    text = without("clauses.PU-1")
    missed, cited = sorted(problems(text), key=lambda each: each.field)
    assert (missed.field, missed.line) == ("clauses.PU-1", line_of(text, "[clauses.GP-1]"))
    assert cited.field == "setup_tasks[6].also_serves[0]"


def test_a_number_said_to_be_the_policys_cites_its_clause() -> None:
    text = changed(
        'value = 2\norigin = "policy"\nclause = "PR-7"', 'value = 2\norigin = "policy"\nclause = ""'
    )
    assert only_problem(text).field == "settings.minimum_administrators.clause"


@pytest.mark.parametrize(
    ("process", "by", "stands_in", "clause"),
    [
        ("account_creation", "executive_director", "board_delegate", "PR-1"),
        ("posting_rights_branch", "branch_manager", "executive_director", "PR-5"),
        ("posting_rights_headquarters", "executive_director", "board_delegate", "PR-5"),
    ],
)
def test_a_process_that_nobody_decides_is_missed(process: str, by: str, stands_in: str, clause: str) -> None:
    text = without(f"decides.{process}")
    found = only_problem(text)
    assert found.field == f"decides.{process}"
    assert found.line == next(
        nth for nth, line in enumerate(text.splitlines(), 1) if line.startswith("[decides.")
    )
    assert found.would_pass == (
        f'[decides.{process}] with by = "{by}", stands_in = "{stands_in}", clauses = ["{clause}"]'
    )


def test_a_needed_process_without_anyone_to_stand_in_is_named() -> None:
    text = changed('by = "branch_manager"\nstands_in = "executive_director"', 'by = "branch_manager"')
    found = only_problem(text)
    assert (found.field, found.line) == (
        "decides.posting_rights_branch.stands_in",
        line_of(text, "[decides.posting_rights_branch]"),
    )


def test_nobody_stands_in_for_themselves() -> None:
    text = changed(
        'by = "branch_manager"\nstands_in = "executive_director"',
        'by = "branch_manager"\nstands_in = "branch_manager"',
    )
    assert only_problem(text).field == "decides.posting_rights_branch.stands_in"


def test_a_role_that_acts_is_held_by_some_position() -> None:
    text = changed(
        '"Board of Trustees Delegate" = ["board_delegate"]', '"Board of Trustees Delegate" = ["auditor"]'
    )
    found = problems(text)
    assert found[0].field == "decides.account_creation.stands_in"
    assert {each.message for each in found} == {"no position holds the role board_delegate"}


def test_a_position_is_named_once_in_any_case_and_spacing() -> None:
    text = changed('"Auditor" = ["auditor"]', '"Auditor" = ["auditor"]\n"AUDITOR " = ["executive_director"]')
    assert (only_problem(text).field) == "positions.AUDITOR "


def test_a_place_named_twice_is_named_at_the_second() -> None:
    text = changed('name = "Goodman library"', 'name = "durant  Library"')
    found = only_problem(text)
    assert (found.field, found.line) == ("places.goodman.name", line_of(text, 'name = "durant  Library"'))


def test_there_is_exactly_one_headquarters() -> None:
    none = only_problem(changed('kind = "headquarters"', 'kind = "branch"'))
    assert (none.field, none.message) == ("places", "0 places are headquarters")
    two = only_problem(
        changed(
            'town = "West"\ncounty = "Holmes"\nkind = "branch"',
            'town = "West"\ncounty = "Holmes"\nkind = "headquarters"',
        )
    )
    assert two.message == "2 places are headquarters"


def test_a_branch_without_hours_is_named_at_its_own_table() -> None:
    text = without("calendar.hours.west")
    found = only_problem(text)
    assert (found.field, found.line) == ("places.west", line_of(text, "[places.west]"))
    assert found.would_pass.startswith("[calendar.hours.west] with")


def test_a_branch_whose_hours_are_all_empty_has_none() -> None:
    text = without("calendar.hours.west") + "\n[calendar.hours.west]\nmon = []\n"
    assert only_problem(text).message == "West library has no opening hours"


def test_hours_of_an_unknown_place_are_named() -> None:
    text = TEXT + '\n[calendar.hours.wets]\nmon = ["09:00-17:00"]\n'
    found = only_problem(text)
    assert (found.field, found.line, found.would_pass) == (
        "calendar.hours.wets",
        line_of(text, "[calendar.hours.wets]"),
        "west",
    )


def test_opening_hours_that_run_backwards_are_named_by_day_and_entry() -> None:
    text = TEXT.replace('sat = ["09:00-12:00"]', 'sat = ["09:00-12:00", "15:00-14:00"]', 1)
    found = only_problem(text)
    assert found.field == "calendar.hours.durant.sat[1]"
    assert found.line == line_of(text, 'sat = ["09:00-12:00", "15:00-14:00"]')
    assert found.message == "15:00-14:00 closes before it has opened"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("removed = []", 'removed = ["Elvis Day"]', "calendar.holidays.removed[0]"),
        ('after = "Thanksgiving Day"', 'after = "Thanksgiving"', "calendar.holidays.added[0].after"),
        ('subdivision = "MS"', 'subdivision = "ZZ"', "calendar.holidays.subdivision"),
        ('country = "US"', 'country = "ZZ"', "calendar.holidays.country"),
    ],
)
def test_a_holiday_nobody_knows_is_named(old: str, new: str, field: str) -> None:
    text = changed(old, new)
    found = only_problem(text)
    assert (found.field, found.line) == (field, line_of(text, new))


def test_a_time_zone_nobody_knows_is_named() -> None:
    found = only_problem(changed("America/Chicago", "America/Durant"))
    assert (found.field, found.would_pass) == ("calendar.timezone", '"America/Chicago"')


def test_a_task_that_the_policy_asks_is_missed_and_a_second_one_named() -> None:
    text = changed('id = "branding"', 'id = "logo"')
    missing, twice = problems(text)
    assert (missing.field, missing.message) == ("setup_tasks", "the set-up task branding is missing")
    assert (twice.field, twice.message) == ("setup_tasks[2].id", "the task logo is there twice")


def test_what_the_policy_asks_without_condition_may_not_be_waived() -> None:
    text = changed('waivable = false\nneeds = "logo_evidence"', 'waivable = true\nneeds = "logo_evidence"')
    assert only_problem(text).field == "setup_tasks[2].waivable"


def test_an_example_handle_that_breaks_its_own_rule_is_named() -> None:
    found = only_problem(changed("handle_most = 15", "handle_most = 11"))
    assert found.field == "platforms.x.handle_example"


def test_a_handle_pattern_that_is_none_is_named() -> None:
    found = only_problem(changed("'[A-Za-z0-9_]{4,}'", "'[A-Za-z0-9_'"))
    assert found.field == "platforms.x.handle_pattern"


@pytest.mark.parametrize(
    ("name", "passes", "fails"),
    [
        ("minimum_administrators", "10", "11"),
        ("minimum_coordinators", "2", "3"),
        ("escalate_after_bd", "10", "11"),
        ("block_term_days", "365", "366"),
        ("remind_after_bd", "[2, 3, 4]", "[2, 2, 4]"),
        ("remind_after_bd", "[4]", "[5]"),
    ],
)
def test_limits_are_in_order(name: str, passes: str, fails: str) -> None:
    parse_policy(setting(name, passes), FILE)
    text = setting(name, fails)
    found = only_problem(text)
    assert (found.field, found.line) == (f"settings.{name}.value", line_of(text, f"[settings.{name}]") + 1)


def test_reminders_need_at_least_one() -> None:
    assert only_problem(setting("remind_after_bd", "[]")).would_pass == "a list with an entry"


# ---- lines of a TOML file


TOML = '''# a comment with a [table] in it
top = 1
dotted."quoted.key" = "x # no comment"

[a.b] # implicit a
many = """
[not.a.table]
key = "inside"
"""
list = [
  1, # one
  [2, { deep = 3 }],
  'four ] } ,',
]
inline = { x = 1, y.z = [ "]", "}" ], when = 2026-01-01 10:00:00 }

[[rows]]
name = "first"

[[rows]]
name = 'second'
[rows.sub]
k = true
[[rows.cells]]
v = 1
[[rows.cells]]
v = """a\\"""b"""
[ spaced . "out" ]
last = 1
quoted = """say "yes""""
[spaced]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("dotted", "quoted.key"), 3),
        (("a",), 5),
        (("a", "b"), 5),
        (("a", "b", "many"), 6),
        (("a", "b", "list"), 10),
        (("a", "b", "list", 0), 11),
        (("a", "b", "list", 1), 12),
        (("a", "b", "list", 1, 1, "deep"), 12),
        (("a", "b", "list", 2), 13),
        (("a", "b", "inline", "y", "z", 1), 15),
        (("a", "b", "inline", "when"), 15),
        (("rows",), 17),
        (("rows", 0, "name"), 18),
        (("rows", 1), 20),
        (("rows", 1, "name"), 21),
        (("rows", 1, "sub", "k"), 23),
        (("rows", 1, "cells", 0, "v"), 25),
        (("rows", 1, "cells", 1, "v"), 27),
        (("spaced", "out"), 28),
        (("spaced", "out", "quoted"), 30),
        (("spaced",), 31),
        (("spaced", "out", "last"), 29),
    ],
)
def test_each_table_key_and_entry_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert lines_of(TOML)[path] == line


@pytest.mark.parametrize("text", [TOML, TEXT, TOML.replace("\n", "\r\n")])
def test_whatever_tomllib_reads_has_a_line_and_nothing_else_has(text: str) -> None:
    assert set(lines_of(text)) == set(every_path(tomllib.loads(text)))


def every_path(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from every_path(each, (*path, key))


def test_the_effective_day_is_a_day() -> None:
    assert POLICY.effective == date(2026, 1, 1)
