"""The staff feed as an HR system exports it: CSV in, people out; every row that cannot be read is named and kept.

Columns: id, name, work_email, position, branch, supervisor, active, start, end, hours, in any order and under the names
that exports usually give them. A branch or position that the policy does not know is taken as it is sent.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from domain.directory import Person
from domain.facts import Malformed
from domain.hr_feed_messages import HeldRow
from domain.hr_users import may_be_a_person_id
from domain.policy import Policy

COLUMNS = ("id", "name", "work_email", "position", "branch", "supervisor", "active", "start", "end", "hours")
ALSO_CALLED = {
    "id": "person id, employee id, employee number, employee no, emp id, staff id, worker id",
    "name": "full name, display name, employee name",
    "work_email": "email, e-mail address, mail, work email address",
    "position": "title, job title, position title",
    "branch": "department, location, library, site",
    "supervisor": "supervisor id, manager, manager id",
    "active": "status, employment status, is active",
    "start": "start date, hire date",
    "end": "end date, last day, leave date, termination date",
    "hours": "work hours, working hours",
}
MAY_BE_EMPTY = {"supervisor", "start", "end", "hours"}
YES = {"true", "yes", "y", "1", "active"}
NO = {"false", "no", "n", "0", "inactive"}
A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
DELIMITERS = ",;\t"
LARGEST_FEED_BYTES = 20_000_000
LONGEST_KEPT = 200
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
Rows = list[tuple[int, dict[str, str]]]


class RowProblem(NamedTuple):
    line: int
    column: str
    message: str
    would_pass: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.message}; would pass: {self.would_pass}"


class Feed(NamedTuple):
    """`held`: the rows with problems, as they are kept. `unknown`: what is taken as sent and gives no authority."""

    sha256: str
    people: tuple[Person, ...]
    problems: tuple[RowProblem, ...]
    held: tuple[HeldRow, ...] = ()
    unknown: tuple[RowProblem, ...] = ()
    encoding: str = "utf-8"


def read_feed(raw: bytes, policy: Policy) -> Feed:
    """The feed's people and problems; Malformed where the file as a whole cannot be read."""
    text, encoding = text_of(raw)
    rows = list(rows_of(text))
    twice = named_twice(rows)
    people: list[Person] = []
    problems: dict[int, list[RowProblem]] = {}
    for line, row in rows:
        found = person_or_problems(line, row, policy)
        if row["id"] in twice:
            problems[line] = [standing_twice(line, row["id"], twice[row["id"]])]
        elif isinstance(found, Person):
            people.append(found)
        else:
            problems[line] = found
    unknown = [each for line, row in rows if line not in problems for each in unknown_names(line, row, policy)]
    held = tuple(held_rows(rows, problems))
    all_problems = tuple(each for of_row in problems.values() for each in of_row)
    return Feed(hashlib.sha256(raw).hexdigest(), tuple(people), all_problems, held, tuple(unknown), encoding)


# the file


def text_of(raw: bytes) -> tuple[str, str]:
    """By its mark, else UTF-8, else what Windows writes; anything else is refused rather than guessed."""
    if len(raw) > LARGEST_FEED_BYTES:
        raise Malformed("file", f"{len(raw)} bytes are too many for a staff feed", f"at most {LARGEST_FEED_BYTES}")
    marked = next((encoding for bom, encoding in BOMS if raw.startswith(bom)), None)
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            raise Malformed("file", "there is a NUL character in it, as in UTF-16 without its mark", "UTF-8")
        return text, encoding.removesuffix("-sig")
    said = f"marked as {marked}, but is not" if marked else "neither UTF-8 nor Windows-1252"
    raise Malformed("file", said, "export the feed as UTF-8")


def rows_of(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text), strict=True, delimiter=delimiter_of(text))
    nobody = True
    try:
        header = columns_of(next(reader, []))
        for fields in reader:
            if any(field.strip() for field in fields):
                nobody = False
                # a quoted field may run over several lines: the row is named by its first
                yield reader.line_num - sum(field.count("\n") for field in fields), as_row(header, fields)
    except csv.Error as error:
        where, because = f"line {reader.line_num}", f"not CSV: {error}"
        raise Malformed(where, because, "quoted fields that close, one record a row") from None
    if nobody:
        raise Malformed("file", "it names nobody", "a row for each person below the header")


def delimiter_of(text: str) -> str:
    """The one that makes most known columns of the first line."""
    first = text.split("\n", 1)[0]
    return max(DELIMITERS, key=lambda each: sum(1 for name in first.split(each) if folded(name) in COLUMN_NAMED))


def columns_of(names: list[str]) -> list[str]:
    found = [COLUMN_NAMED.get(folded(name), "") for name in names]
    if missing := [name for name in COLUMNS if name not in found]:
        would_pass = "; ".join(f"{name} (or {ALSO_CALLED[name]})" for name in missing)
        raise Malformed("header", f"missing {', '.join(missing)}", would_pass)
    if twice := sorted({name for name in found if name and found.count(name) > 1}):
        raise Malformed("header", f"{', '.join(twice)} is there twice", "each column once, under one of its names")
    return found


def folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


COLUMN_NAMED = {folded(name): column for column in COLUMNS for name in (column, *ALSO_CALLED[column].split(","))}


def as_row(header: list[str], fields: list[str]) -> dict[str, str]:
    """The known columns; `` under an empty name where the row has more or fewer fields than the header."""
    named = {name: field.strip() for name, field in zip(header, fields, strict=False) if name}
    row = dict.fromkeys(COLUMNS, "") | named
    return row if len(fields) == len(header) else row | {"": f"{len(fields)} fields under {len(header)} columns"}


# a row


def named_twice(rows: Rows) -> dict[str, list[int]]:
    """Which of two rows with one id is right, nobody knows: neither is applied."""
    lines: dict[str, list[int]] = {}
    for line, row in rows:
        lines.setdefault(row["id"], []).append(line)
    return {id_: at for id_, at in lines.items() if id_ and len(at) > 1}


def standing_twice(line: int, id_: str, lines: list[int]) -> RowProblem:
    others = ", ".join(str(each) for each in lines if each != line)
    return RowProblem(line, "id", f"{id_} stands at line {others} too", "one row for each person id")


def person_or_problems(line: int, row: dict[str, str], policy: Policy) -> Person | list[RowProblem]:
    if problems := [*misfits(line, row), *emptiness(line, row), *contradictions(line, row), *no_days(line, row)]:
        return problems
    said: dict[str, object] = {name: row[name] for name in COLUMNS if row[name] or name not in MAY_BE_EMPTY}
    said |= {"active": row["active"].casefold() in YES, "branch": policy.place_named(row["branch"])}
    try:
        person = Person.model_validate(said)
    except ValidationError as error:
        return [problem_of(line, each["loc"], each["msg"]) for each in error.errors(include_input=False)]
    if person.start and person.end and person.end < person.start:
        return [RowProblem(line, "end", f"{person.end} is before the start {person.start}", "a day after the start")]
    return person


def misfits(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    if "" in row:
        yield RowProblem(line, "row", row[""], "a field for each column; quotes around one that has a delimiter in it")


def emptiness(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    for name in COLUMNS:
        if not row[name] and name not in MAY_BE_EMPTY:
            yield RowProblem(line, name, "is empty", "a value")


def contradictions(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    if row["active"] and row["active"].casefold() not in YES | NO:
        yield RowProblem(line, "active", f"{row['active']} is neither yes nor no", "true or false")
    if row["supervisor"] and row["supervisor"] == row["id"]:
        yield RowProblem(line, "supervisor", f"{row['id']} is their own supervisor", "another person's id, or nothing")


def no_days(line: int, row: dict[str, str]) -> Iterator[RowProblem]:
    for name in ("start", "end"):
        if row[name] and not A_DAY.fullmatch(row[name]):
            yield RowProblem(line, name, f"{row[name]} is no day", "a date such as 2024-03-01")


def unknown_names(line: int, row: dict[str, str], policy: Policy) -> Iterator[RowProblem]:
    if policy.place_named(row["branch"]) not in policy.places:
        yield RowProblem(line, "branch", f"there is no branch {row['branch']}", f"one of {', '.join(policy.places)}")
    if not policy.roles_of(row["position"]):
        known = ", ".join(policy.positions)
        yield RowProblem(line, "position", f"{row['position']} gives no role by the policy file", f"one of {known}")


def problem_of(line: int, loc: tuple[int | str, ...], message: str) -> RowProblem:
    column = str(loc[0]) if loc else "row"
    hints = {"start": "a date such as 2024-03-01", "end": "a date such as 2024-03-01", "id": "letters, digits, . _ : -"}
    return RowProblem(line, column, message, hints.get(column, "a line of text without control characters"))


def held_rows(rows: Rows, problems: dict[int, list[RowProblem]]) -> Iterator[HeldRow]:
    """One for each person who has a row that cannot be read, and one for each row that does not say whose it is."""
    seen: set[str] = set()
    for line, row in rows:
        person = row["id"] if may_be_a_person_id(row["id"]) else ""
        item = f"row {person}" if person else f"line {line}"
        if line in problems and item not in seen:
            seen.add(item)
            yield held_row(item, person, row, problems[line])


def held_row(item: str, person: str, row: dict[str, str], problems: list[RowProblem]) -> HeldRow:
    kept = {name: "".join(c for c in row[name] if c.isprintable())[:LONGEST_KEPT] for name in COLUMNS}
    return HeldRow(item=item, person=person, row=kept, problem=told(problems), would_pass=passing(problems))


def told(problems: Iterable[RowProblem]) -> str:
    return "; ".join(f"{each.column}: {each.message}" for each in problems)[:2_000]


def passing(problems: Iterable[RowProblem]) -> str:
    return "; ".join(f"{each.column}: {each.would_pass}" for each in problems)[:2_000]
