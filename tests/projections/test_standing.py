"""What stood at a past moment: against a fold of every event up to it, made naively for the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from psycopg.sql import SQL

from domain.delegation import Delegated, DelegationEnded
from domain.directory import FriendsRoleDeclared, OfPerson
from domain.facts import Recorded
from domain.in_force import AccountPutInService, SeatChanged
from domain.opening_hours import BranchClosed, CalendarAdopted, ClosureLifted
from domain.pages import CASE_PROCESSES, PAGES
from domain.policy_adoption import PolicyAdopted
from projections.standing import FACT, STOOD_AT, STREAM, Standing, keys_of
from services.audit.reading import every_event, newest, reading
from services.projector import connected, rebuild
from tests.projections.history import Life, a_life
from tests.services.auditing import live
from tests.system import Database


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        live(life, steps=120, seed=3)
        yield life


def naive(events: list[Recorded]) -> tuple[set[str], set[int]]:
    """The streams that are open, and the positions of what was last said of each thing."""
    streams: dict[str, list[Recorded]] = {}
    last: dict[str, int] = {}
    seats: set[int] = set()
    for each in events:
        case = each.envelope.case
        if case.partition("-")[0] in CASE_PROCESSES and "!" not in case:
            streams.setdefault(case, []).append(each)
        match each.fact:
            case OfPerson(person=person):
                last[f"person {person.id}"] = each.log_position
            case FriendsRoleDeclared(person=id_):
                last[f"friends {id_}"] = each.log_position
            case PolicyAdopted(version=version):
                last[f"policy {version}"] = each.log_position
            case CalendarAdopted():
                last["calendar"] = each.log_position
            case BranchClosed(closure=closure):
                last[f"closure {closure.id}"] = each.log_position
            case ClosureLifted(closure=id_):
                last.pop(f"closure {id_}")
            case Delegated(delegation=id_):
                last[f"delegation {id_}"] = each.log_position
            case DelegationEnded(delegation=id_):
                last.pop(f"delegation {id_}")
            case SeatChanged():
                seats.add(each.log_position)
            case _:
                pass
    return {case for case, recorded in streams.items() if stands(case, recorded)}, {*last.values(), *seats}


def stands(case: str, recorded: list[Recorded]) -> bool:
    page = PAGES[case.partition("-")[0]]
    over = cast(Any, page.fold(page.initial(case), recorded)).closed()
    return not over or any(isinstance(each.fact, AccountPutInService) for each in recorded)


def test_what_stood_at_every_position_is_what_a_naive_fold_says(life: Life, database: Database) -> None:
    rebuild(database.url("projector"), Standing, "")
    with reading(database.url("reader")) as conn:
        events = [*every_event(conn, newest(conn))]
    with connected(database.url("projector")) as conn:
        for position in range(0, len(events) + 1, 7):
            found = conn.execute(SQL(STOOD_AT), {"position": position}).fetchall()
            streams, positions = naive(events[:position])
            assert {*keys_of(found, STREAM)} == streams, position
            assert sorted(row["since"] for row in found if row["what"] == FACT) == sorted(positions), position
