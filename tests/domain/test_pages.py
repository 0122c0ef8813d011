"""What holds for every process, shown on a life in which everything happens."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

from domain.facts import Recorded
from domain.pages import CASE_PROCESSES, PAGES
from domain.register import Register
from tests.domain.house import House, founded
from tests.domain.patron_life import patrons_come_and_go
from tests.domain.staff_life import hr_feeds, people_go, rights_come_and_go
from tests.domain.store_kinds import a_life, an_account_is_opened


def test_whether_a_case_is_over_follows_from_its_last_fact_alone_but_for_those_it_perhaps_ends_with() -> None:
    """The reconciler sees no other when it starts; a case that it took for ended would never be brought back."""
    looked_at = 0
    for case, recorded in cases_of(a_life()).items():
        page = PAGES[case.partition("-")[0]]
        for nth, last in enumerate(recorded, start=1):
            if not isinstance(last.fact, page.perhaps_ends_with):
                assert is_over(case, [last]) is is_over(case, recorded[:nth]), f"{case}: {last.envelope.kind}"
                looked_at += 1
    assert looked_at


def cases_of(house: House) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for each in house.log:
        case = each.envelope.case
        if case.partition("-")[0] in CASE_PROCESSES and "!" not in case:
            found.setdefault(case, []).append(each)
    return found


def is_over(case: str, recorded: list[Recorded]) -> bool:
    page = PAGES[case.partition("-")[0]]
    over: bool = cast(Any, page.fold(page.initial(case), recorded)).closed()
    return over


def test_what_is_kept_still_learns_nothing_of_what_comes_later() -> None:
    house = founded()
    an_account_is_opened(house)
    still = house.register.still()
    before = deepcopy(known(still))
    rights_come_and_go(house)
    patrons_come_and_go(house)
    people_go(house)
    hr_feeds(house)
    assert known(still) == before
    assert all(known(house.register)[part] != before[part] for part in ("register", "in force", "hr", "patrons"))


def known(register: Register) -> dict[str, dict[str, Any]]:
    own = {name: value for name, value in vars(register).items() if isinstance(value, dict | list | int)}
    return {
        "register": own, "in force": vars(register.in_force), "hr": vars(register.hr), "patrons": vars(register.patrons)
    }  # fmt: skip
