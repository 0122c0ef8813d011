"""The staff feed as an HR system exports it: CSV in, people out; every row that cannot be read is named.

Columns: id, name, work_email, position, branch, supervisor, active, start, end, hours, in any order.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from domain.directory import Person
from domain.facts import Malformed
from domain.policy import Policy

COLUMNS = ("id", "name", "work_email", "position", "branch", "supervisor", "active", "start", "end", "hours")
MAY_BE_EMPTY = {"supervisor", "start", "end", "hours"}
YES = {"true", "yes", "y", "1", "active"}
NO = {"false", "no", "n", "0", "inactive"}
LARGEST_FEED_BYTES = 20_000_000
A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class RowProblem(NamedTuple):
    line: int
    column: str
    message: str
    would_pass: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}; would pass: {self.would_pass}"


class FeedRow(NamedTuple):
    """`ragged`: it has more or fewer fields than the header."""

    line: int
    fields: dict[str, str]
    ragged: bool


class Feed(NamedTuple):
    sha256: str
    people: tuple[Person, ...]
    problems: tuple[RowProblem, ...]


def read_feed(raw: bytes, policy: Policy) -> Feed:
    """The feed's people and problems; Malformed where the file as a whole cannot be read."""
    rows = list(rows_of(text_of(raw)))
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.fields["id"], []).append(row.line)
    people: list[Person] = []
    problems: list[RowProblem] = []
    for row in rows:
        found = person_or_problems(row, policy, lines[row.fields["id"]])
        if isinstance(found, Person):
            people.append(found)
        else:
            problems.extend(found)
    return Feed(hashlib.sha256(raw).hexdigest(), tuple(people), tuple(problems))


def text_of(raw: bytes) -> str:
    if len(raw) > LARGEST_FEED_BYTES:
        raise Malformed("file", f"{len(raw)} bytes are too many for a staff feed", f"at most {LARGEST_FEED_BYTES}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("file", f"not UTF-8 at byte {error.start}", "export the feed as UTF-8") from None
    if "\x00" in text:
        raise Malformed("file", "there is a NUL character in it", "a text file")
    return text


def rows_of(text: str) -> Iterator[FeedRow]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    nobody = True
    try:
        header = [name.strip().casefold() for name in reader.fieldnames or []]
        if missing := [name for name in COLUMNS if name not in header]:
            raise Malformed("header", f"missing {', '.join(missing)}", f"the columns {', '.join(COLUMNS)}")
        if twice := [name for name in COLUMNS if header.count(name) > 1]:
            raise Malformed("header", f"{', '.join(twice)} more than once", "each column once")
        reader.fieldnames = header
        for row in reader:
            nobody = False
            yield as_row(row, reader.line_num)
    except csv.Error as error:
        line = f"line {reader.line_num}"
        raise Malformed(line, f"not CSV: {error}", "quoted fields that close, one record a row") from None
    if nobody:
        raise Malformed("file", "it names nobody", "a row for each person below the header")


def as_row(row: dict[str | None, Any], last_line: int) -> FeedRow:
    ragged = None in row or None in row.values()
    fields = {name: row.get(name) or "" for name in COLUMNS}
    # a quoted field may run over several lines: the row is named by its first
    line = last_line - sum(value.count("\n") for value in row.values() if isinstance(value, str))
    return FeedRow(line, {name: value.strip() for name, value in fields.items()}, ragged)


def person_or_problems(read: FeedRow, policy: Policy, lines: list[int]) -> Person | list[RowProblem]:
    line, row, _ = read
    problems = [
        *shape(read, lines),
        *emptiness(line, row),
        *unknown_names(line, row, policy),
        *no_days(line, row),
    ]
    if problems:
        return problems
    said: dict[str, object] = {name: value for name, value in row.items() if value or name not in MAY_BE_EMPTY}
    said["active"] = row["active"].casefold() in YES
    try:
        person = Person.model_validate(said)
    except ValidationError as error:
        return [problem_of(line, each["loc"], each["msg"]) for each in error.errors(include_input=False)]
    if person.start and person.end and person.end < person.start:
        return [RowProblem(line, "end", f"{person.end} is before the start {person.start}", "a day after the start")]
    return person


def shape(row: FeedRow, lines: list[int]) -> Iterator[RowProblem]:
    if row.ragged:
        yield RowProblem(row.line, "row", "more or fewer fields than the header", "a field with a comma in quotes")
    if row.fields["id"] and len(lines) > 1:
        # which of them is right, nobody knows: none is applied
        others = ", ".join(str(line) for line in lines if line != row.line)
        twice = f"{row.fields['id']} stands at line {others} too"
        yield RowProblem(row.line, "id", twice, "one row for each person id")


def emptiness(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    for name in COLUMNS:
        if not row[name] and name not in MAY_BE_EMPTY:
            yield RowProblem(line, name, "is empty", "a value")


def unknown_names(line: int, row: dict[str, str], policy: Policy) -> Iterator[RowProblem]:
    if row["branch"] and row["branch"] not in policy.places:
        yield RowProblem(line, "branch", f"there is no branch {row['branch']}", f"one of {', '.join(policy.places)}")
    if row["position"] and not policy.roles_of(row["position"]):
        known = ", ".join(policy.positions)
        yield RowProblem(line, "position", f"{row['position']} gives no role by the policy file", f"one of {known}")
    if row["active"] and row["active"].casefold() not in YES | NO:
        yield RowProblem(line, "active", f"{row['active']} is neither yes nor no", "true or false")


def no_days(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    for name in ("start", "end"):
        if row[name] and not A_DAY.fullmatch(row[name]):
            yield RowProblem(line, name, f"{row[name]} is no day", "a date such as 2024-03-01")


def problem_of(line: int, loc: tuple[int | str, ...], message: str) -> RowProblem:
    column = str(loc[0]) if loc else "row"
    hints = {"start": "a date such as 2024-03-01", "end": "a date such as 2024-03-01", "id": "letters, digits, . _ : -"}
    return RowProblem(line, column, message, hints.get(column, "a line of text without control characters"))
