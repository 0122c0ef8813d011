"""The staff feed as an HR system exports it: CSV in, people out; every row that cannot be read is named.

Columns: id, name, work_email, position, branch, supervisor, active, start, end, hours, in any order.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import ValidationError

from domain.directory import Person
from domain.facts import Malformed
from domain.policy import Policy

COLUMNS = ("id", "name", "work_email", "position", "branch", "supervisor", "active", "start", "end", "hours")
MAY_BE_EMPTY = {"supervisor", "start", "end", "hours"}
YES = {"true", "yes", "y", "1", "active"}
NO = {"false", "no", "n", "0", "inactive"}
LARGEST_FEED_BYTES = 20_000_000


class RowProblem(NamedTuple):
    line: int
    column: str
    message: str
    would_pass: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}; would pass: {self.would_pass}"


class Feed(NamedTuple):
    sha256: str
    people: tuple[Person, ...]
    problems: tuple[RowProblem, ...]


def read_feed(raw: bytes, policy: Policy) -> Feed:
    """The feed's people and problems; Malformed where the file as a whole cannot be read."""
    rows = list(rows_of(text_of(raw)))
    people: list[Person] = []
    problems: list[RowProblem] = []
    named_at: dict[str, int] = {}
    for line, row in rows:
        found = person_or_problems(line, row, policy)
        if isinstance(found, Person) and found.id in named_at:
            twice = f"{found.id} stands at line {named_at[found.id]} already"
            problems.append(RowProblem(line, "id", twice, "one row for each person id"))
        elif isinstance(found, Person):
            named_at[found.id] = line
            people.append(found)
        else:
            problems.extend(found)
    twice_named = {people_id for people_id in named_at if any(is_of(people_id, rows, each) for each in problems)}
    # which of two rows with one id is right, nobody knows: neither is applied
    people = [person for person in people if person.id not in twice_named]
    return Feed(hashlib.sha256(raw).hexdigest(), tuple(people), tuple(problems))


def is_of(person_id: str, rows: list[tuple[int, dict[str, str]]], problem: RowProblem) -> bool:
    return problem.column == "id" and any(line == problem.line and row["id"] == person_id for line, row in rows)


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


def rows_of(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        header = [name.strip().casefold() for name in reader.fieldnames or []]
        if missing := [name for name in COLUMNS if name not in header]:
            raise Malformed("header", f"missing {', '.join(missing)}", f"the columns {', '.join(COLUMNS)}")
        reader.fieldnames = header
        for row in reader:
            yield reader.line_num, {name: (row.get(name) or "").strip() for name in COLUMNS}
    except csv.Error as error:
        raise Malformed(f"line {reader.line_num}", f"not CSV: {error}", "quoted fields that close, one record a row") from None


def person_or_problems(line: int, row: dict[str, str], policy: Policy) -> Person | list[RowProblem]:
    problems = [*emptiness(line, row), *unknown_names(line, row, policy)]
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


def problem_of(line: int, loc: tuple[int | str, ...], message: str) -> RowProblem:
    column = str(loc[0]) if loc else "row"
    hints = {"start": "a date such as 2024-03-01", "end": "a date such as 2024-03-01", "id": "letters, digits, . _ : -"}
    return RowProblem(line, column, message, hints.get(column, "a line of text without control characters"))
