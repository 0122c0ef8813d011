"""Which accounts are there, and is each in order under PR-7 at this moment and on every day that is known of?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from projections.account_register import REGISTER_AT, AccountRegister
from services.projector import connected, rebuild
from tests.projections.history import REQUESTER, Life, a_life
from tests.system import Database

FEW = "1 administrator(s) are too few"
NO_COORDINATOR = "no administrator is the Marketing and Access Coordinator or the Youth Services Coordinator"


@pytest.fixture(scope="module")
def whole_life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def life(whole_life: Life) -> Life:
    """With everybody at work again."""
    for person in ("p-mac", "p-ysc", "p-bm-durant"):
        whole_life.hr_says(person, active=True, end=None)
        whole_life.declares(person, administers=False)
    return whole_life


@pytest.fixture
def entry(database: Database, life: Life) -> Any:
    def of(case: str, at: datetime | None = None) -> dict[str, Any] | None:
        url = database.url("projector")
        rebuild(url, AccountRegister, "")
        with connected(url) as conn:
            found = conn.execute(REGISTER_AT, {"at": at or life.clock.now()}).fetchall()
        return next((row for row in found if row["case_id"] == case), None)

    return of


def health(entry: dict[str, Any]) -> tuple[bool, str]:
    return entry["in_order"], entry["because"]


def test_an_account_is_entered_from_its_request_on(life: Life, entry: Any) -> None:
    case = life.asks_for("register.one")
    requested = entry(case)
    assert (requested["standing"], requested["account"], requested["requested_by"], requested["opened_at"]) == (
        "requested", "account:facebook:register.one", REQUESTER, None,
    )  # fmt: skip
    assert requested["administrators"] == ["p-mac", "p-bm-durant"]
    assert requested["in_order"] is None, "what is not open has no health yet"
    life.approves(case)
    assert entry(case)["standing"] == "approved"
    life.confirms(case, "p-mac")
    assert entry(case)["confirmed"] == ["p-mac"]
    life.amends(case, "register.renamed")
    amended = entry(case)
    assert (amended["standing"], amended["handle"], amended["confirmed"]) == ("requested", "register.renamed", [])
    assert amended["requested_at"] == requested["requested_at"]


@pytest.mark.parametrize("ending", ["refuses", "withdraws"])
def test_what_comes_to_nothing_is_not_in_the_register(life: Life, entry: Any, ending: str) -> None:
    case = life.asks_for(f"nothing.{ending}")
    assert entry(case)
    getattr(life, ending)(case)
    assert entry(case) is None


def test_an_open_account_is_in_order(life: Life, entry: Any) -> None:
    opened = entry(life.has_an_open_account("register.two"))
    assert (opened["standing"], opened["opened_at"]) == ("open", life.clock.now())
    assert health(opened) == (True, "")
    assert (opened["active"], opened["coordinators"]) == (["p-mac", "p-bm-durant"], ["p-mac"])


def test_a_leaver_puts_it_in_breach_and_a_return_mends_it(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.three")
    life.clock.passes(hours=1)
    left_at = life.clock.now()
    life.hr_says("p-bm-durant", active=False)
    breach = entry(case)
    assert health(breach) == (False, FEW)
    assert (breach["active"], breach["health_since"]) == (["p-mac"], left_at)
    life.hr_says("p-bm-durant", active=True)
    assert health(entry(case)) == (True, "")


def test_the_coordinator_is_missed_before_the_number_is(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.four", administrators=("p-mac", "p-bm-durant", "p-hq-clerk"))
    life.hr_says("p-mac", active=False)
    assert health(entry(case)) == (False, NO_COORDINATOR)


def test_a_third_administrator_bears_a_loss(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.five", administrators=("p-mac", "p-bm-durant", "p-hq-clerk"))
    life.hr_says("p-bm-durant", active=False)
    assert health(entry(case)) == (True, "")


def test_a_move_out_of_the_coordinators_post_is_a_breach(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.six")
    was = life.person("p-mac").position
    life.hr_says("p-mac", position="Headquarters Clerk")
    assert health(entry(case)) == (False, NO_COORDINATOR)
    life.hr_says("p-mac", position=was)
    assert health(entry(case)) == (True, "")


def test_a_friends_administrator_does_not_count(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.seven")
    life.declares("p-bm-durant", administers=True)
    assert health(entry(case)) == (False, FEW)


def test_a_departure_that_is_announced_is_a_breach_from_the_day_after_its_last_day(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.eight")
    last = (life.clock.now() + timedelta(days=20)).date()
    life.hr_says("p-bm-durant", end=last)
    midnight = datetime.fromisoformat(f"{last + timedelta(days=1)}T00:00:00-05:00")
    assert last > date(2026, 3, 8), "the offset above is that of daylight saving time"
    assert health(entry(case)) == (True, "")
    assert health(entry(case, midnight - timedelta(seconds=1))) == (True, "")
    assert health(entry(case, midnight)) == (False, FEW)


def test_people_who_administer_nothing_change_nothing(life: Life, entry: Any) -> None:
    case = life.has_an_open_account("register.nine")
    before = entry(case)
    life.clock.passes(hours=1)
    life.hr_says("p-hq-it", hours=f"{life.clock.now():%H:%M}-23:00")
    assert entry(case) == before
