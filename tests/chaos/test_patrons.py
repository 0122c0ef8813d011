"""The check of a chaos run can fail: each thing that must not be is found in a log that has it."""

from __future__ import annotations

from typing import Any

from tests.chaos.patrons import ONE_CASE_IN, REVOKED, found_in, with_revocations
from tests.chaos.verdict import Event

CONSENT, CASE = "consent-1", "revocation-1"


def log(*kinds_and_facts: tuple[str, dict[str, Any]]) -> list[Event]:
    return [
        Event(nth, nth, "uses" if kind.startswith("uses") else CASE, nth, {"kind": kind, "fact": fact})
        for nth, (kind, fact) in enumerate(kinds_and_facts, start=1)
    ]


def used(use: str) -> tuple[str, dict[str, Any]]:
    return "uses.UseRecorded", {"use": use, "bases": [{"consent": CONSENT}]}


ACCEPTED = ("revocation.RevocationAccepted", {"consents": [CONSENT]})
ASKED = ("revocation.RemovalAsked", {"use": "u1"})
REMOVED = ("revocation.RemovalConfirmed", {"use": "u1"})
COMPLETED: tuple[str, dict[str, Any]] = ("revocation.RevocationCompleted", {})


def test_a_revocation_that_was_carried_out_is_found_in_order() -> None:
    assert list(found_in(log(used("u1"), ACCEPTED, ASKED, REMOVED, COMPLETED))) == []


def test_a_use_after_the_acceptance_is_found() -> None:
    found = list(found_in(log(used("u1"), ACCEPTED, ASKED, used("u2"), REMOVED, COMPLETED)))
    assert "u2 was begun after revocation-1 was accepted" in found


def test_a_use_that_nobody_was_asked_to_remove_or_that_ended_twice_is_found() -> None:
    assert list(found_in(log(used("u1"), ACCEPTED, COMPLETED))) == ["u1 was asked for 0 times and ended 0 times"]
    twice = log(used("u1"), ACCEPTED, ASKED, REMOVED, REMOVED, COMPLETED)
    assert list(found_in(twice)) == ["u1 was asked for 1 times and ended 2 times"]


def test_one_that_was_never_completed_or_twice_is_found() -> None:
    assert list(found_in(log(ACCEPTED))) == ["revocation-1 is not completed"]
    assert list(found_in(log(ACCEPTED, COMPLETED, COMPLETED))) == ["revocation-1 is completed 2 times"]


def test_every_so_many_cases_one_is_a_patrons() -> None:
    assert with_revocations(["opened"] * 2 * ONE_CASE_IN).count(REVOKED) == 2
