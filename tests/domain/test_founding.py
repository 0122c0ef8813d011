"""The founding: once, by the operator."""

from __future__ import annotations

import pytest

from domain.clauses import PR_19
from domain.facts import Actor
from domain.founding import FoundSystem, SystemFounded
from tests.domain.house import DIRECTOR, HR, OPERATOR, TIMER, founded, unfounded

FOUND = FoundSystem(installation="A library", policy_sha256="0" * 64, door_key="AA")


def test_the_operator_founds_the_system() -> None:
    decision = unfounded().decides(FOUND, OPERATOR, "founding")
    assert decision.facts == (SystemFounded(installation="A library", policy_sha256="0" * 64, door_key="AA"),)
    assert decision.authority == ("operator", "", "")


@pytest.mark.parametrize("sender", [DIRECTOR, HR, TIMER])
def test_nobody_else_founds_it(sender: str | Actor) -> None:
    assert unfounded().refuses(FOUND, sender, "founding").clauses == (PR_19,)


def test_it_is_founded_once() -> None:
    assert founded().refuses(FOUND, OPERATOR, "founding").because == "the system is founded once, by its operator"
