"""The machinery: refusals that name everything, content that hashes the same, and what is no message of ours."""

from __future__ import annotations

from typing import Any, cast

import pytest

from domain.facts import Command, Fact, Malformed, Refused, content_hash, every_one_of, load_fact
from domain.telling import LetterToPatron, Telling


def stands_against(clause: str, because: str) -> None:
    raise Refused(clause, because, f"not {because}")


def test_every_rule_is_asked_and_every_refusal_named() -> None:
    with pytest.raises(Refused) as caught:
        every_one_of(
            lambda: stands_against("PR-7", "one"),
            lambda: None,
            lambda: stands_against("PR-1", "two"),
            lambda: stands_against("PR-7", "three"),
        )
    refused = caught.value
    assert refused.clauses == ("PR-7", "PR-1")
    assert refused.because == "one; two; three"
    assert refused.remedy == "not one; not two; not three"
    assert str(refused) == "PR-7, PR-1: one; two; three. What would pass: not one; not two; not three"


def test_one_refusal_alone_is_told_as_it_is() -> None:
    with pytest.raises(Refused) as caught:
        every_one_of(lambda: stands_against("PR-7", "one"))
    assert (caught.value.clauses, caught.value.because) == (("PR-7",), "one")


def test_no_refusal_passes() -> None:
    every_one_of(lambda: None)


def test_another_failure_is_not_taken_for_a_refusal() -> None:
    with pytest.raises(ZeroDivisionError):
        every_one_of(lambda: 1 // 0)


def test_content_hashes_the_same_in_any_order_of_its_fields() -> None:
    assert content_hash({"a": 1, "ü": [2]}) == content_hash({"ü": [2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})
    # written down: a hash that people have decided on must not change under them
    assert content_hash({"a": 1, "ü": [2]}) == ("503fd01c924306dc4f77cc50f9265a5c34da2f4cec8c4ce1c23b9156444793cf")


@pytest.mark.parametrize("kind", ["", "account_creation.Nothing", "account_creation.ApproveAccount"])
def test_what_is_no_fact_of_ours_is_malformed(kind: str) -> None:
    with pytest.raises(Malformed, match="is no fact this system knows"):
        load_fact(kind, {})


def test_two_messages_do_not_share_a_name() -> None:
    with pytest.raises(TypeError, match="two messages are named"):
        type("Twice", (Fact,), {}, kind="account_creation.AccountOpened")


def test_malformed_says_the_field_and_what_would_pass() -> None:
    assert str(Malformed("day", "no date", "2026-03-02")) == "day: no date; would pass: 2026-03-02"
    assert str(Malformed("day", "no date")) == "day: no date"


def test_a_command_becomes_the_fact_that_says_the_same() -> None:
    class Ask(Command):
        what: str
        unsaid: int = 1

    class Said(Fact):
        what: str
        by: str

    assert Ask(what="x").becomes(Said, by="p") == Said(what="x", by="p")


@pytest.mark.parametrize("kind", [Telling, LetterToPatron])
def test_whoever_is_told_something_is_told_it_in_words(kind: type[Fact]) -> None:
    with pytest.raises(TypeError, match=r"abstract.*lines.*subject"):
        cast(Any, kind)()
