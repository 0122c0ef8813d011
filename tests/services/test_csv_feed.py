"""The staff feed as HR exports it: every row that cannot be read is named by line and column."""

from __future__ import annotations

import csv
import io

import pytest

from domain.facts import Malformed
from domain.policy import Policy, parse_policy
from services.hr.csv_feed import COLUMNS, Feed, read_feed
from tests.system import POLICY, STAFF

ROW = {
    "id": "p-new",
    "name": "Somebody New",
    "work_email": "new@example.org",
    "position": "Library Clerk",
    "branch": "durant",
    "supervisor": "p-bm-durant",
    "active": "true",
    "start": "2026-02-02",
    "end": "",
    "hours": "Tue-Fri 10:00-17:00",
}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(POLICY.read_text(), "policy")


def feed(*rows: dict[str, str], header: tuple[str, ...] = COLUMNS) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, header)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def named(read: Feed) -> list[tuple[int, str]]:
    return [(problem.line, problem.column) for problem in read.problems]


def test_the_example_feed_is_read_whole(policy: Policy) -> None:
    read = read_feed(STAFF.read_bytes(), policy)
    assert read.problems == ()
    assert len(read.people) == STAFF.read_text().count("\n") - 1


BROKEN: dict[str, tuple[dict[str, str], str, str]] = {
    "an unknown branch": ({"branch": "jackson"}, "branch", "there is no branch jackson"),
    "an unknown position": ({"position": "Astronaut"}, "position", "Astronaut gives no role by the policy file"),
    "no id": ({"id": ""}, "id", "is empty"),
    "blanks for a name": ({"name": "   "}, "name", "is empty"),
    "an id with a blank": ({"id": "p new"}, "id", "String should match pattern"),
    "neither active nor not": ({"active": "maybe"}, "active", "maybe is neither yes nor no"),
    "a start that is no day": ({"start": "02/02/2026"}, "start", "02/02/2026 is no day"),
    "a start that is a number": ({"start": "0"}, "start", "0 is no day"),
    "a day that the month has not": ({"start": "2026-02-30"}, "start", "Input should be a valid date"),
    "an end before the start": ({"end": "2026-02-01"}, "end", "2026-02-01 is before the start 2026-02-02"),
    "a name of 201 characters": ({"name": "x" * 201}, "name", "String should have at most 200 characters"),
}


@pytest.mark.parametrize("broken", list(BROKEN))
def test_a_broken_row_is_named_by_line_and_column_and_the_others_are_read(policy: Policy, broken: str) -> None:
    changed, column, message = BROKEN[broken]
    read = read_feed(feed(ROW | {"id": "p-first"}, ROW | changed, ROW | {"id": "p-last"}), policy)
    (problem,) = read.problems
    assert (problem.line, problem.column) == (3, column)
    assert message in problem.message
    assert problem.would_pass
    assert [person.id for person in read.people] == ["p-first", "p-last"]


def test_an_end_on_the_day_of_the_start_is_in_order(policy: Policy) -> None:
    assert read_feed(feed(ROW | {"end": ROW["start"]}), policy).problems == ()


def test_all_that_is_wrong_with_a_row_is_named(policy: Policy) -> None:
    read = read_feed(feed(ROW | {"branch": "jackson", "position": "Astronaut", "work_email": ""}), policy)
    assert named(read) == [(2, "work_email"), (2, "branch"), (2, "position")]


def test_of_two_rows_with_one_id_neither_is_applied_and_each_names_the_other(policy: Policy) -> None:
    read = read_feed(feed(ROW, ROW | {"id": "p-other"}, ROW | {"branch": "winona"}), policy)
    assert named(read) == [(2, "id"), (4, "id")]
    assert [problem.message for problem in read.problems] == [
        "p-new stands at line 4 too",
        "p-new stands at line 2 too",
    ]
    assert [person.id for person in read.people] == ["p-other"]


def test_nor_where_the_second_of_them_is_broken_in_another_way(policy: Policy) -> None:
    read = read_feed(feed(ROW, ROW | {"branch": "jackson"}), policy)
    assert named(read) == [(2, "id"), (3, "id"), (3, "branch")]
    assert read.people == ()


def test_a_row_with_a_comma_too_many_is_broken_and_not_read_askew(policy: Policy) -> None:
    raw = feed(ROW).replace(b"Somebody New", b"New, Somebody")
    assert named(read_feed(raw, policy))[0] == (2, "row")


def test_a_row_that_ends_early_is_broken(policy: Policy) -> None:
    raw = feed(ROW | {"id": "p-first"}) + b"p-cut,Cut Off,cut@example.org\r\n"
    assert named(read_feed(raw, policy))[0] == (3, "row")


def test_a_row_over_several_lines_is_named_by_its_first(policy: Policy) -> None:
    read = read_feed(feed(ROW | {"id": "p-first", "name": "Two\nLines"}, ROW | {"branch": "jackson"}), policy)
    assert named(read) == [(2, "name"), (4, "branch")]


def test_a_byte_order_mark_blank_lines_and_other_order_of_columns_are_no_matter(policy: Policy) -> None:
    turned = feed(ROW, header=tuple(reversed(COLUMNS))).replace(b"hours,", b" Hours ,", 1)
    raw = b"\xef\xbb\xbf" + turned.replace(b"\r\n", b"\r\n\r\n")
    read = read_feed(raw, policy)
    assert [person.id for person in read.people] == ["p-new"]
    assert read.problems == ()


UNREADABLE: dict[str, tuple[bytes, str, str]] = {
    "an empty file": (b"", "header", "missing id, name,"),
    "only a header": (feed(), "file", "it names nobody"),
    "no UTF-8": (feed(ROW).replace(b"Somebody", b"Andr\xe9"), "file", "not UTF-8 at byte 80"),
    "UTF-16": (feed(ROW).decode().encode("utf-16"), "file", "not UTF-8 at byte 0"),
    "a NUL": (feed(ROW).replace(b"Somebody", b"Some\x00body"), "file", "there is a NUL character in it"),
    "a column missing": (feed(ROW).replace(b"branch", b"town", 1), "header", "missing branch"),
    "a column twice": (feed(ROW).replace(b",hours\r", b",hours,ID\r"), "header", "id more than once"),
    "a quote that never closes": (feed(ROW).replace(b"Somebody", b'"Somebody'), "line", "not CSV"),
    "too large": (b"x" * 20_000_001, "file", "20000001 bytes are too many for a staff feed"),
}


@pytest.mark.parametrize("unreadable", list(UNREADABLE))
def test_a_file_that_cannot_be_read_says_why_and_nothing_of_it_is_applied(policy: Policy, unreadable: str) -> None:
    raw, field, message = UNREADABLE[unreadable]
    with pytest.raises(Malformed) as malformed:
        read_feed(raw, policy)
    assert malformed.value.field.startswith(field)
    assert malformed.value.message.startswith(message)
    assert malformed.value.would_pass
