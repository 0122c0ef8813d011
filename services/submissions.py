"""A command on its way: what a door signs, a signal carries and the ledger receives. Nothing in it is trusted before
it is parsed, and nothing of it is acted on before its sender is proven."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from domain.facts import KINDS, Command, Malformed, content_hash

LARGEST_SUBMISSION_BYTES = 256_000


class Submission(BaseModel):
    """`id` is the command id, a UUID of the sender's choosing: the same id again gets the first answer back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(max_length=100)
    id: str
    case: str = Field(max_length=100, pattern=r"^[a-z_]+(-[0-9a-f-]{36})?$")
    fields: dict[str, Any]
    credential: str = Field(default="", max_length=4_000)

    @field_validator("id")
    @classmethod
    def is_a_uuid(cls, value: str) -> str:
        return str(UUID(value))

    @property
    def content(self) -> str:
        return content_hash({"kind": self.kind, "case": self.case, "fields": self.fields})

    @property
    def process(self) -> str:
        return self.case.partition("-")[0]

    def command(self) -> Command:
        """The typed command, or Malformed with the field, what is wrong with it and what would pass."""
        found = KINDS.get(self.kind)
        if found is None or not issubclass(found, Command):
            raise Malformed("kind", "no command has this name", "a command that `imprimatur commands` lists")
        try:
            return found.model_validate(self.fields)
        except ValidationError as error:
            raise as_malformed(error) from None


def parse_submission(payload: object) -> Submission:
    try:
        return Submission.model_validate(payload)
    except ValidationError as error:
        raise as_malformed(error) from None


def as_malformed(error: ValidationError) -> Malformed:
    """The first problem, by field. What was sent is not repeated: it may be anything."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "message"
    return Malformed(field, first["msg"], hint_for(first["type"]))


def hint_for(type_: str) -> str:
    hints = {
        "missing": "give the field",
        "extra_forbidden": "leave the field out",
        "timezone_aware": "a time with its zone, such as 2026-03-02T09:00:00-06:00",
        "datetime_parsing": "an RFC 3339 time, such as 2026-03-02T09:00:00-06:00",
        "string_pattern_mismatch": "text without control characters, of the form named",
    }
    return hints.get(type_, "")
