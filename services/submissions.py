"""A command on its way: what a door signs, a signal carries and the ledger receives. Nothing in it is trusted before
it is parsed, and nothing of it is acted on before its sender is proven."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from domain.facts import KINDS, Command, Malformed, case_key, content_hash, patron_key, stem_of

LARGEST_SUBMISSION_BYTES = 256_000
NAME_OF_A_FIELD = re.compile(r"[A-Za-z0-9_]{1,60}")
UUID_FORM = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PATRON_KEY = f"patron:{UUID_FORM}"


class Submission(BaseModel):
    """`id` is the command id, a UUID of the sender's choosing: the same id again gets the first answer back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(max_length=100)
    id: str
    case: str = Field(max_length=100, pattern=rf"^[a-z_]+(-{UUID_FORM})?$")
    fields: dict[str, Any]
    credential: str = Field(default="", max_length=4_000)

    @field_validator("id")
    @classmethod
    def is_a_uuid(cls, value: str) -> str:
        return str(UUID(value))

    @cached_property
    def content(self) -> str:
        return content_hash({"kind": self.kind, "case": self.case, "fields": self.fields})

    @property
    def process(self) -> str:
        return stem_of(self.case)

    @cached_property
    def command(self) -> Command:
        """The typed command, or Malformed with the field, what is wrong with it and what would pass."""
        found = KINDS.get(self.kind)
        if found is None or not issubclass(found, Command):
            raise Malformed("kind", "no command has this name", "a command that `imprimatur commands` lists")
        try:
            command = found.model_validate(self.fields)
        except ValidationError as error:
            raise as_malformed(error) from None
        patrons = {patron_key(each) for each in found.patrons_concerned(self.fields)}
        for problem in problems_in(self.fields, self.case, patrons):
            raise problem
        return command


def parse_submission(payload: object) -> Submission:
    try:
        return Submission.model_validate(payload)
    except ValidationError as error:
        raise as_malformed(error) from None


def problems_in(value: object, case: str, patrons: set[str], at: str = "") -> Iterator[Malformed]:
    """What no type says: a NUL, which PostgreSQL's JSON cannot hold; a text that was sealed for another case, which
    would be opened here for people who may not read it there; one that would outlive a patron it is about."""
    if isinstance(value, str) and "\x00" in value:
        yield Malformed(at, "there is a NUL character in it", "text without control characters")
    if isinstance(value, dict):
        if "wrapped" in value:
            first, *others = list(value.get("under") or ("",))
            if first != case_key(case):
                yield Malformed(at, "it was sealed for another case", f"sealed for {case}")
            if not patrons <= set(others):
                because = "it is not sealed under the key of each patron that the command names"
                yield Malformed(at, because, "sealed by a door for all of them")
            if not all(re.fullmatch(PATRON_KEY, str(each)) for each in others):
                yield Malformed(at, "it is sealed under a key that is no patron's", "the case's key, and patrons'")
        for name, each in value.items():
            yield from problems_in(each, case, patrons, f"{at}.{name}".lstrip("."))
    if isinstance(value, list | tuple):
        for nth, each in enumerate(value):
            yield from problems_in(each, case, patrons, f"{at}.{nth}".lstrip("."))


def as_malformed(error: ValidationError) -> Malformed:
    """The first problem, by field. What was sent is not repeated: it may be anything, the name of a field included."""
    first = error.errors(include_url=False, include_input=False)[0]
    names = [str(part) if NAME_OF_A_FIELD.fullmatch(str(part)) else "?" for part in first["loc"]]
    return Malformed(".".join(names) or "message", first["msg"], hint_for(first))


def hint_for(problem: ErrorDetails) -> str:
    hints = {
        "missing": "give the field",
        "extra_forbidden": "leave the field out",
        "timezone_aware": "a time with its zone, such as 2026-03-02T09:00:00-06:00",
        "datetime_parsing": "an RFC 3339 time, such as 2026-03-02T09:00:00-06:00",
        "datetime_from_date_parsing": "an RFC 3339 time, such as 2026-03-02T09:00:00-06:00",
        "date_from_datetime_parsing": "a day, such as 2026-03-02",
        "string_type": "a text",
        "string_unicode": "text in valid Unicode",
        "string_too_short": "at least {min_length} characters",
        "string_too_long": "at most {max_length} characters",
        "string_pattern_mismatch": "text without control characters, of the form {pattern}",
        "too_long": "at most {max_length} of them",
        "too_short": "at least {min_length} of them",
        "greater_than_equal": "{ge} or more",
        "literal_error": "{expected}",
        "enum": "{expected}",
        "model_type": "an object; a text that only its readers may open is sealed by a door first",
        "dict_type": "an object",
        "tuple_type": "a list",
    }
    would_pass = "a UUID" if problem["loc"] == ("id",) else "what the command's description says"
    return hints.get(problem["type"], would_pass).format_map(problem.get("ctx", {}))
