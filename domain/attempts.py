"""Refused attempts: who asked for what, which clause stood against it, and how many more were not written down.

They stand on a stream of their own beside the case's, so that a flood of them never moves the case.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from domain.clauses import PR_1
from domain.facts import Actor, Fact, Line, State

SUFFIX = "!attempts"


class AttemptRefused(Fact, kind="attempts.AttemptRefused"):
    """`because` is the system's own sentence: nothing of what was sent is quoted in it."""

    asked: str
    by: Actor
    refused_by: tuple[str, ...]
    because: str
    remedy: str

    def cites(self) -> tuple[str, ...]:
        return self.refused_by


class AttemptsSuppressed(Fact, kind="attempts.AttemptsSuppressed"):
    """How many further attempts by this sender on this case were refused in the hour that began at `since`."""

    clauses: ClassVar[tuple[str, ...]] = (PR_1,)
    by: Line
    since: AwareDatetime
    count: int


class Attempts(State):
    pass


def stream_beside(case: str) -> str:
    return case + SUFFIX
