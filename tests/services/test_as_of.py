"""The past as it was on record, and what was in force in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from typing import Any

import pytest

from domain.facts import stem_of
from domain.pages import PAGES
from projections.account_register import AccountRegister
from projections.cases import CasePages
from projections.inbox import Inbox
from projections.projection import Projection
from projections.rights import RightsRoster
from projections.staff_directory import StaffDirectory
from projections.standing import Standing
from services.audit.as_of import as_of, differing, effective_by, fields_of, registers_of, stood_at
from services.audit.reading import every_event, newest, position_at, reading
from services.projector import drop, rebuild
from tests.projections.history import REQUESTER, Life, a_life, rows, with_a_restart_after_each
from tests.services.auditing import live
from tests.services.patron_life import patrons_in
from tests.services.rights import granted
from tests.system import Database

LIVE: tuple[type[Projection], ...] = (CasePages, Inbox, AccountRegister, RightsRoster, StaffDirectory)
SKIPPED = {"cases": {"state", "position"}, "accounts": set[str](), "rights": set[str](), "inbox": set[str]()}


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        live(life, steps=150, seed=8)
        patrons_in(life, "account:facebook:alwaysthere")
        with_a_restart_after_each(database.url("projector"), Standing, "", repeat(50))
        yield life


def moments(database: Database, count: int) -> list[tuple[int, datetime]]:
    """Log positions over the whole life, each with the time at which it was recorded."""
    with reading(database.url("reader")) as conn:
        events = [*every_event(conn, newest(conn))]
    # what one decision brought was recorded at one time
    positions = {each.recorded_at: each.log_position for each in events}
    found = [(position, at) for at, position in positions.items()]
    return [*found[2 :: max(1, len(found) // count)], found[-1]]


def answered_then(database: Database, position: int) -> dict[str, list[dict[str, Any]]]:
    """What the live projections said when the log was no longer than this."""
    url, found = database.url("projector"), {}
    for kind in LIVE:
        rebuild(url, kind, "_then", up_to=position)
        table = next(iter(kind.tables))
        found[table] = rows(url, f"{table}_then")
        drop(url, kind, "_then")
    return found


def keyed(found: list[dict[str, Any]], *names: str) -> dict[str, dict[str, Any]]:
    return {" ".join(row[name] for name in names if row[name]): row for row in found}


def test_as_of_any_moment_is_what_was_answered_then_and_as_of_now_what_is_answered_now(
    life: Life, database: Database
) -> None:
    with reading(database.url("reader")) as conn:
        for position, at in moments(database, 12):
            assert position_at(conn, at) == position
            found, then = registers_of(stood_at(conn, position)).rows, answered_then(database, position)

            open_then = [row for row in then["cases"] if not row["closed"]]
            assert found["cases"].keys() == {row["case_id"] for row in open_then}
            for row in open_then:
                row["state"] = row.pop("state")
                ours = dict(found["cases"][row["case_id"]])
                state = {name.removeprefix("state."): ours.pop(name) for name in [*ours] if name.startswith("state.")}
                assert state.items() <= row["state"].items()
                assert {name: value for name, value in row.items() if name != "state"} == ours

            assert found["tasks"] == keyed(then["inbox"], "case_id", "task", "person")
            assert found["accounts"] == keyed(then["accounts"], "case_id")
            in_force = [row for row in then["rights"] if row["standing"] in ("in force", "suspended")]
            assert found["rights"] == keyed(in_force, "case_id")
            assert {id_: row["branch"] for id_, row in found["people"].items()} == {
                row["person"]: row["branch"] for row in then["staff_directory"]
            }


def test_each_case_as_of_now_is_what_the_live_projection_says_of_it(life: Life, database: Database) -> None:
    """Every case, also those that are over: each field from the events of its own stream."""
    rebuild(database.url("projector"), CasePages, "_now")
    shown = rows(database.url("projector"), "cases_now")
    assert len(shown) > 10
    for row in shown:
        _, recorded = life.office.ledger.read_on(row["case_id"])
        fields = fields_of(row["case_id"], recorded)
        initial = PAGES[stem_of(row["case_id"])].initial(row["case_id"]).model_dump(mode="json")
        for name, value in row["state"].items():
            if name not in ("case", "position"):
                assert fields.get(name, {"value": initial[name]})["value"] == value, name


def test_every_field_names_the_event_that_set_it(life: Life, database: Database) -> None:
    case = life.asks_for("trail.of.a.field")
    life.approves(case)
    _, recorded = life.office.ledger.read_on(case)
    fields = fields_of(case, recorded)
    assert fields["stage"]["set_by"]["kind"] == "account_creation.AccountApproved"
    assert fields["stage"]["set_by"]["by"] == "p-ed"
    assert fields["requester"]["set_by"]["kind"] == "account_creation.AccountRequested"
    refresh(database)
    with reading(database.url("reader")) as conn:
        found = as_of(conn, datetime.now(UTC))["registers"]["cases"][case]
    assert found["set_by"]["stage"] == fields["stage"]["set_by"]
    assert found["set_by"]["state.requester"] == fields["requester"]["set_by"]


def refresh(database: Database) -> None:
    with_a_restart_after_each(database.url("projector"), Standing, "", repeat(500))


def test_what_changed_between_two_moments_is_told_with_the_event_that_changed_it(
    life: Life, database: Database
) -> None:
    stays, goes = life.asks_for("diff.stays"), life.asks_for("diff.goes")
    before = datetime.now(UTC)
    life.approves(stays)
    life.withdraws(goes)
    comes = life.asks_for("diff.comes")
    refresh(database)
    with reading(database.url("reader")) as conn:
        told = differing(conn, before, datetime.now(UTC))
        same = differing(conn, before, before)
    assert same["changes"] == []
    changes = [each for each in told["changes"] if each["register"] == "cases"]
    by_key = {(each["key"], each["what"]): each for each in changes if each.get("field") in (None, "stage")}
    assert by_key[stays, "changed"]["from"] == "executive_review"
    assert by_key[stays, "changed"]["to"] == "set_up"
    assert by_key[stays, "changed"]["by"]["kind"] == "account_creation.AccountApproved"
    assert by_key[goes, "went"]["by"]["kind"] == "account_creation.RequestWithdrawn"
    assert by_key[comes, "came"]["by"]["kind"] == "account_creation.AccountRequested"


def test_recorded_time_and_effective_time_are_kept_apart(life: Life, database: Database) -> None:
    """HR tells today that someone's last day was a week ago: then we believed they worked here; they did not."""
    life.hr_says("p-hq-clerk", active=True, end=None)
    day = life.clock.at.date()
    life.clock.passes(days=10)
    told_late = life.clock.at
    believed_at = datetime.now(UTC)
    life.hr_says("p-hq-clerk", active=True, end=day + timedelta(days=3))
    refresh(database)
    last_week = told_late - timedelta(days=2)
    with reading(database.url("reader")) as conn:
        known_before = as_of(conn, believed_at, last_week)["in_force"]["people"]
        known_now = as_of(conn, datetime.now(UTC), last_week)["in_force"]["people"]
    assert "p-hq-clerk" in known_before
    assert "p-hq-clerk" not in known_now
    assert REQUESTER in known_before or known_now is not None


def test_what_is_in_force_ends_with_its_term_without_an_event(life: Life, database: Database) -> None:
    granted(life, "termlibrary", "p-bs-durant-1")
    refresh(database)
    with reading(database.url("reader")) as conn:
        found = as_of(conn, datetime.now(UTC))
        rights = [row["row"] for row in found["registers"]["rights"].values() if row["row"]["standing"] == "in force"]
        runs = next(row for row in rights if not row["conditions"])
        until = datetime.fromisoformat(runs["until"])
        within = as_of(conn, datetime.now(UTC), until - timedelta(seconds=1))["in_force"]["rights"]
        after = as_of(conn, datetime.now(UTC), until)["in_force"]["rights"]
    assert runs["case_id"] in {each["case"] for each in within}
    assert runs["case_id"] not in {each["case"] for each in after}


def test_of_one_case_what_was_done_by_then_is_told_apart_from_what_was_on_record(life: Life) -> None:
    case = life.asks_for("bitemporal")
    asked_at = life.clock.at
    life.clock.passes(days=1)
    life.approves(case)
    _, recorded = life.office.ledger.read_on(case)
    assert [each.envelope.kind for each in effective_by(recorded, asked_at)] == [
        "account_creation.AccountRequested", "waiting.Asked",
    ]  # fmt: skip


def test_it_can_be_told_as_json(life: Life, database: Database) -> None:
    refresh(database)
    with reading(database.url("reader")) as conn:
        found = as_of(conn, datetime.now(UTC))
    assert json.loads(json.dumps(found)) == found
    assert found["in_force"]["policy"]
    assert date.fromisoformat(found["registers"]["policies"][found["in_force"]["policy"]]["row"]["effective"])
