"""The steps of a case, told alike in every process: what a stage is called, and what may follow it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.facts import Command, Refused

S = TypeVar("S", bound=StrEnum)
Steps = Mapping[S, tuple[type[Command], ...]]


def does_not_follow(clause: str, command: Command, stage: S, steps: Steps[S], nothing: str = "") -> Refused:
    """`nothing`: what is told where no step of anybody's may follow."""
    names = ", ".join(each.__name__ for each in steps.get(stage, ()))
    would_pass = f"one of {names}" if names else nothing
    return Refused(clause, f"{type(command).__name__} does not follow {in_words(stage)}", would_pass)


def in_words(name: StrEnum) -> str:
    return name.value.replace("_", " ")
