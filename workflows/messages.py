"""What passes between a case's workflow and the ledger's activities: plain JSON, nothing in clear."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.facts import Fact, load_fact

SUBMIT, OPENED, NUDGE, POSITION = "submit", "opened", "nudge", "position"
NO_CASE = "unknown-case"
RECORD, LET_TIME_PASS = "record", "let_time_pass"


class Plain(BaseModel):
    model_config = ConfigDict(frozen=True)


class FactOfCase(Plain):
    kind: str
    fact: dict[str, Any]
    position: int
    policy: str

    def opened(self) -> Fact:
        return load_fact(self.kind, self.fact)


class Ask(Plain):
    """To the ledger: these submissions for this case, as they came, and all facts after `after` in return."""

    case: str
    after: int
    submissions: list[str] = []
    malformed: int = 0


class Told(Plain):
    """From the ledger: an answer for each submission, and every fact of the case that the workflow has not folded."""

    answers: list[dict[str, Any]] = []
    facts: list[FactOfCase] = []


class Carried(Plain):
    """What one run of a case hands to the next."""

    state: dict[str, Any]


class Ended(Plain):
    """What a case's workflow comes to. `refused` or `malformed` when it never began."""

    case: str
    stage: str
    position: int
    refused: dict[str, Any] | None = None
    malformed: dict[str, Any] | None = None
