"""The history that Temporal kept of a case's run, taken out of it before it forgets: sealed under the case's key,
beside the log, named here by the hash of its ciphertext. By it an auditor runs a closed case's procedure again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_1
from domain.facts import Act, ActorKind, Command, Decision, Evidence, Fact, Line, Page, Refused, State

if TYPE_CHECKING:
    from domain.library import Library

STEM = "run_history"


class KeepRunHistory(Command, kind="run_history.KeepRunHistory"):
    """`ended` is how the run ended in Temporal's words; `steps` how many events its history has."""

    of_case: Line
    run: Line
    type: Line
    ended: Line
    steps: int = Field(ge=1)
    history: Evidence


class RunHistoryKept(Fact, kind="run_history.RunHistoryKept"):
    clauses: ClassVar[tuple[str, ...]] = (PR_1,)
    of_case: Line
    run: Line
    type: Line
    ended: Line
    steps: int
    history: Evidence


class RunHistories(State):
    """`runs` are those that are kept: a case has few."""

    runs: tuple[str, ...] = ()


def decide(act: Act, kept: RunHistories, _: Library) -> Decision:
    match act.command:
        case KeepRunHistory(run=run) as keep if act.by.kind is ActorKind.TIMER and act.case == stream_of(keep.of_case):
            return Decision(() if run in kept.runs else (keep.becomes(RunHistoryKept),))
        case _:
            raise Refused(PR_1, "the system itself keeps the history of each run", "nothing: it is kept at its end")


def evolve(kept: RunHistories, fact: Fact) -> RunHistories:
    match fact:
        case RunHistoryKept(run=run):
            return kept.but(runs=(*kept.runs, run))
        case _:
            return kept


def stream_of(case: str) -> str:
    return f"{STEM}-{case}"


RUN_HISTORY = Page(STEM, RunHistories, decide, evolve, opens_with=(KeepRunHistory,))
