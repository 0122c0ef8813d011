"""What happened, who did it, in which capacity, under which clause? Every event, whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain.facts import KINDS, Envelope, Fact
from projections.audit_trail import AuditTrail, array_of, persons_of
from projections.sentences import SENTENCES, account_in_words, what_happened
from services.projector import connected, rebuild
from tests.projections.history import REQUESTER, Life, a_life, newest_position, rows
from tests.system import Database


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def trail(database: Database) -> Any:
    def of(case: str = "") -> list[dict[str, Any]]:
        rebuild(database.url("projector"), AuditTrail, "_t")
        found = rows(database.url("projector"), "audit_trail_t", "log_position")
        return [row for row in found if not case or row["case_id"] == case]

    return of


def test_there_is_a_row_for_each_event_with_every_field_of_its_envelope(
    life: Life, trail: Any, database: Database
) -> None:
    life.has_an_open_account("trail.one")
    life.time_passes(life.asks_for("trail.two"), days=3)
    found = trail()
    with connected(database.url("reader")) as conn:
        stored = conn.execute("select * from ledger.events order by notification_id").fetchall()
    assert [row["log_position"] for row in found] == list(range(1, newest_position(database.url("reader")) + 1))
    for row, event in zip(found, stored, strict=True):
        envelope = Envelope.model_validate_json(bytes(event["state"]))
        assert row["recorded_at"] == event["recorded_at"]
        assert (row["actor_kind"], row["actor"]) == (envelope.actor.kind, envelope.actor.id)
        assert (row["stream"], row["kind"]) == (envelope.case, event["topic"])
        said = envelope.model_dump(mode="json", exclude={"actor", "case", "at", "occurred_at"})
        assert {name: row[name] for name in said} == said
        assert (row["at"], row["occurred_at"]) == (envelope.at, envelope.occurred_at)


def test_the_trail_of_a_case_holds_its_refused_attempts_and_its_account_throughout(life: Life, trail: Any) -> None:
    case = life.asks_for("trail.three")
    life.approves(case, by=REQUESTER)
    life.amends(case, "trail.renamed")
    life.withdraws(case)
    found = trail(case)
    told = [row for row in found if not row["kind"].startswith("waiting.")]
    assert [(row["what"], row["refused"], row["account"]) for row in told] == [
        ("The account trail.three on facebook was requested for durant", False, "account:facebook:trail.three"),
        (found[2]["what"], True, "account:facebook:trail.three"),
        (
            "The request was changed; it now asks for trail.renamed on facebook for durant", False,
            "account:facebook:trail.renamed",
        ),
        ("The request was withdrawn", False, "account:facebook:trail.renamed"),
    ]  # fmt: skip
    assert found[2]["what"].startswith("An attempt was refused (account_creation.ApproveAccount): p-bm-durant asked")
    assert found[2]["clauses"] == ["PR-1"]


def test_everyone_whom_an_event_names_is_found_by_it(life: Life, trail: Any) -> None:
    case = life.asks_for("trail.four")
    requested, asked = trail(case)
    assert (requested["person"], set(requested["persons"])) == (REQUESTER, {REQUESTER, "p-mac"})
    assert set(asked["persons"]) == {REQUESTER, "p-ed"}
    life.hr_says("p-hq-it", hours="afternoons")
    changed = trail()[-2]
    assert (changed["kind"], changed["person"], changed["what"]) == (
        "directory.PersonChanged", "p-hq-it", "What HR says of p-hq-it changed: hours",
    )  # fmt: skip


def test_every_kind_of_fact_has_its_sentence() -> None:
    facts = {kind for kind, message in KINDS.items() if issubclass(message, Fact) and not kind.startswith("test")}
    assert facts - SENTENCES.keys() == set(), "add what happened, in plain words, to projections/sentences.py"


def test_a_kind_that_nobody_knows_any_more_is_still_told() -> None:
    assert what_happened("photo_permission.PictureTaken", {}) == "Picture taken"
    assert what_happened("waiting.Asked", {}) == "nobody were asked to nobody"


def test_an_account_in_words() -> None:
    assert account_in_words("account:bluesky:mmrls.org:x") == "mmrls.org:x on bluesky"
    assert account_in_words("") == ""


@pytest.mark.parametrize("texts", [(), ("PR-1",), ('a"b', "c\\d", "e,f", "{g}", "", "null", "\ttab", "NULL")])
def test_arrays_arrive_as_they_were(texts: tuple[str, ...], database: Database) -> None:
    with connected(database.url("reader")) as conn:
        found = conn.execute("select %s::text[] as it", (array_of(texts) if texts else "{}",)).fetchall()
    assert found[0]["it"] == list(texts)


def test_a_fact_of_any_shape_names_its_persons_or_none() -> None:
    fact = json.loads('{"person": {"id": "p"}, "by": {"kind": "person", "id": "q"}, "persons": null, "giver": 7}')
    assert persons_of(fact, "r", "s") == ("p", ["p", "q", "r", "s"])
    assert persons_of({}, "", "") == ("", [])
