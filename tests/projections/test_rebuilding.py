"""A projection is a function of the log: cut into pages, restarted or made again, it comes out the same."""

from __future__ import annotations

import random
from itertools import repeat

import pytest

from projections.projection import Projection
from services.projector import PROJECTIONS, compare, connected, drop, rebuild
from tests.projections.history import (
    Life,
    a_life,
    live_at_random,
    newest_position,
    rows,
    with_a_restart_after_each,
)
from tests.services.patron_life import patrons_in
from tests.services.rights import rights_and_remedies
from tests.system import Database


@pytest.fixture(scope="module")
def url(database: Database) -> str:
    with a_life(database) as life:
        live_at_random(life, 250, seed=11)
        everyday(life)
        rights_and_remedies(life)
        patrons_in(life, "account:facebook:alwaysthere")
    return database.url("projector")


def everyday(life: Life) -> None:
    """What chance may have left out."""
    life.hr_says("p-ysc", active=True)
    life.declares("p-ysc", administers=False)
    life.has_an_open_account("alwaysthere")
    life.waives(waived := life.asks_for("setup.halfway"), "website_link")
    life.approves(waived)
    life.waives(waived, "website_link")
    life.hr_says("p-mac", active=False)
    life.looks_again(waived)
    case = life.asks_for("leftalone", administrators=("p-ysc", "p-bm-durant"))
    for _ in range(40):
        life.time_passes(case, days=1)


def test_the_history_reaches_every_kind_of_row(url: str) -> None:
    rebuild(url, PROJECTIONS[0], "_seen")
    kinds = {row["kind"].partition(".")[2] for row in rows(url, "audit_trail_seen")}
    assert {
        "AccountOpened", "AccountRefused", "RequestWithdrawn", "RequestExpired", "RequestAmended", "ChangesAsked",
        "TaskWaived", "AttemptRefused", "Asked", "Reminded", "Escalated", "BecameOverdue", "PersonLeft",
        "FriendsRoleDeclared", "PolicyAdopted", "TaskRerouted",
    } <= kinds  # fmt: skip
    drop(url, PROJECTIONS[0], "_seen")


@pytest.mark.parametrize("kind", PROJECTIONS, ids=lambda each: each.name)
def test_one_by_one_by_pages_and_restarted_after_each_page_come_to_the_same_rows(
    url: str, kind: type[Projection]
) -> None:
    dice = random.Random(kind.name)
    rebuild(url, kind, "_whole")
    rebuild(url, kind, "_single", page=1)
    with_a_restart_after_each(url, kind, "_again", repeat(1))
    with_a_restart_after_each(url, kind, "_cut", iter(lambda: dice.randint(1, 60), 0))
    for table in kind.tables:
        whole = rows(url, f"{table}_whole", "1", "2")
        assert whole, f"nothing in {table}"
        assert rows(url, f"{table}_single", "1", "2") == whole
        assert rows(url, f"{table}_again", "1", "2") == whole
        assert rows(url, f"{table}_cut", "1", "2") == whole


@pytest.mark.parametrize("kind", PROJECTIONS, ids=lambda each: each.name)
def test_a_comparison_names_the_row_that_someone_changed(url: str, kind: type[Projection]) -> None:
    with_a_restart_after_each(url, kind, "", repeat(100))
    assert compare(url, kind) == []

    table = next(iter(kind.tables))
    with connected(url) as conn:
        conn.execute(f"delete from views.{table} where ctid = (select min(ctid) from views.{table})".encode())
    found = compare(url, kind)
    assert [(each.table, each.only_in) for each in found] == [(table, "rebuilt")]


def test_a_rebuild_up_to_a_position_shows_how_it_was_then(url: str) -> None:
    then = newest_position(url) // 2
    rebuild(url, PROJECTIONS[0], "_then", up_to=then)
    assert [row["log_position"] for row in rows(url, "audit_trail_then")] == list(range(1, then + 1))
    drop(url, PROJECTIONS[0], "_then")
