"""Consents, uses, revocations, and what stood when, over whatever comes in whatever order: each projection against a
fold written for this test, of plain dictionaries, kinds by name, nothing of the domain's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import Connection
from psycopg.rows import DictRow

from domain.consent_messages import OptOut, RejectConsent, RenewConsent, Shown
from domain.facts import Malformed, Recorded, Refused
from domain.opening_hours import CloseBranch
from domain.revocation_messages import ConfirmLetter, RecordImpossible, WhyImpossible
from projections.consents import ConsentRegister
from projections.projection import Logged, Projection
from projections.revocations import Revocations
from projections.standing import Standing
from projections.uses import Uses
from services.projector import connected
from tests.domain.chance import STEPS, Chance
from tests.domain.patrons import A_FILE, CLERK, COORDINATOR, DIRECTOR, ELSEWHERE, MANAGER, consent, patron, revocation
from tests.domain.world import DURANT, Closed, sealed
from tests.projections.naive import Event, naive_fold_of, standing_of
from tests.projections.naive_patrons import (
    CONSENT_STANDS,
    REVOCATION_STANDS,
    consents_of,
    revocations_of,
    uses_of,
)
from tests.system import Database

MORE_STEPS = ("guardian", "notice", "opt_out", "reject", "year", "renew", "impossible", "late", "storm", "closed", "hr")
PAGE = 9


class MoreChance(Chance):
    """What those properties leave out: minors, programs, years that pass, removals that come to nothing."""

    def step(self, what: str, a: int, b: int) -> None:
        with suppress(Refused, Malformed):
            self.take_step(what, 1 + a % 2, 1 + b % 2, 1 + b % 4)

    def take_step(self, what: str, a: int, b: int, c: int) -> Any:
        match what:
            case "guardian":
                return self.has_consent(10 + a, "guardian", who=10 + a)
            case "notice":
                return self.has_notice(20 + a)
            case "opt_out":
                return self.says(MANAGER, OptOut(patron=patron(b), who=sealed()), consent(20 + a))
            case "reject":
                self.records(30 + a + 2 * b, who=b)
                return self.says(MANAGER, RejectConsent(reason=sealed()), consent(30 + a + 2 * b))
            case "year":
                self.at += timedelta(days=430)
                return [self.time_passes(consent(10 + each)) for each in (1, 2)]
            case "renew":
                renew = RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,))
                return self.says(MANAGER, renew, consent(10 + a))
            case "impossible":
                return self.cannot_be_removed()
            case "late":
                if self.revocations:
                    self.time_passes(revocation(self.revocations), days=12 * b)
                    self.says(CLERK, ConfirmLetter(), revocation(self.revocations))
                return None
            case "storm":
                day = (self.at + timedelta(days=b)).date()
                return self.says(DIRECTOR, CloseBranch(place="*", day=day, because="Storm"), "opening_hours")
            case "closed":
                return self.record(f"closing:{a}", [Closed(account=DURANT)]) if c == 1 else None
            case "hr":
                return self.hr_says(ELSEWHERE, active=c == 1)
            case _:
                return super().take_step(what, a, b, c)

    def cannot_be_removed(self) -> None:
        case = revocation(self.revocations)
        for removal in self.state(case).open_removals()[:1]:
            why = WhyImpossible.GIVEN_OUT_IN_PRINT
            self.says(COORDINATOR, RecordImpossible(use=removal.use, why=why, reason=sealed()), case)


orders = st.lists(
    st.tuples(st.sampled_from((*STEPS, *MORE_STEPS)), st.integers(0, 3), st.integers(0, 3)), min_size=10, max_size=40
)
Order = list[tuple[str, int, int]]
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
REMOVED: Order = [("revoke", 1, 1), ("remove", 0, 0), ("late", 0, 1), ("look", 0, 0), ("look", 0, 0)]
IMPOSSIBLE: Order = [
    ("use", 1, 1), ("use", 1, 1), ("picture_revoked", 1, 1), ("late", 0, 1), ("impossible", 0, 0), ("end", 1, 0),
    ("look", 0, 0),
]  # fmt: skip
OF_AGE: Order = [
    ("guardian", 0, 0), ("guardian", 1, 0), ("year", 0, 0), ("renew", 0, 0), ("reject", 0, 0), ("year", 0, 0),
]  # fmt: skip
NOTICE: Order = [
    ("notice", 0, 0), ("opt_out", 0, 0), ("ask", 0, 1), ("check", 0, 1), ("look", 0, 0), ("storm", 0, 0),
    ("closed", 0, 0), ("hr", 0, 1),
]  # fmt: skip


def lived(order: Order) -> list[Recorded]:
    world = MoreChance()
    for what, a, b in order:
        world.step(what, a, b)
    return world.log


def plain(log: list[Recorded]) -> list[Event]:
    return [each.envelope.model_dump(mode="json") | {"log_position": each.log_position} for each in log]


@pytest.fixture(scope="module")
def conn(database: Database) -> Iterator[Connection[DictRow]]:
    with connected(database.url("projector")) as conn:
        yield conn


def projected(conn: Connection[DictRow], kind: type[Projection], log: list[Recorded]) -> list[dict[str, Any]]:
    """Into tables of its own, page by page, and nothing of it is kept."""
    logged = [
        Logged(
            each.envelope.case, each.envelope.position, each.envelope.kind, each.envelope.model_dump_json().encode(),
            each.log_position, each.recorded_at,
        )
        for each in log
    ]  # fmt: skip
    projection = kind("_naive")
    with conn.transaction(force_rollback=True), conn.cursor() as cursor:
        projection.create(cursor)
        for begin in range(0, len(logged), PAGE):
            projection.project(logged[begin : begin + PAGE], cursor)
        (table,) = kind.tables
        return cursor.execute(f"select * from views.{table}_naive".encode()).fetchall()


# consents


@naive_fold_of(ConsentRegister)
@QUICK
@given(orders)
@example(REMOVED)
@example(OF_AGE)
@example(NOTICE)
def test_consents(conn: Connection[DictRow], order: Order) -> None:
    log = lived(order)
    found = {row["case_id"]: row for row in projected(conn, ConsentRegister, log)}
    assert found == consents_of(plain(log))


# uses


@naive_fold_of(Uses)
@QUICK
@given(orders)
@example(REMOVED)
@example(IMPOSSIBLE)
def test_uses(conn: Connection[DictRow], order: Order) -> None:
    log = lived(order)
    assert {row["use_id"]: row for row in projected(conn, Uses, log)} == uses_of(plain(log))


# revocations


@naive_fold_of(Revocations)
@QUICK
@given(orders)
@example(REMOVED)
@example(IMPOSSIBLE)
@example(NOTICE)
def test_revocations(conn: Connection[DictRow], order: Order) -> None:
    log = lived(order)
    rows = projected(conn, Revocations, log)
    waits = {row["case_id"] for row in rows if row.pop("next_due") is not None}
    naive = revocations_of(plain(log))
    assert {row["case_id"]: row for row in rows} == naive
    assert waits <= {case for case, row in naive.items() if not row["closed"]}


# what stood when


@naive_fold_of(Standing)
@QUICK
@given(orders)
@example(REMOVED)
@example(OF_AGE)
@example(NOTICE)
def test_standing(conn: Connection[DictRow], order: Order) -> None:
    log = lived(order)
    found = {(row["what"], row["key"], row["since"]): row["until"] for row in projected(conn, Standing, log)}
    assert found == standing_of(plain(log))


# so that all of this is about something


def test_the_orders_above_reach_every_standing() -> None:
    logs = [plain(lived(each)) for each in (REMOVED, IMPOSSIBLE, OF_AGE, NOTICE)]
    moments = [log[:end] for log in logs for end in range(1, len(log) + 1)]
    consents = [row for each in moments for row in consents_of(each).values()]
    assert {row["standing"] for row in consents} == {*CONSENT_STANDS.values()}
    assert any(row["opted_out"] for row in consents)
    assert any(row["program"] for row in consents)
    revocations = [row for each in moments for row in revocations_of(each).values()]
    assert {row["stage"] for row in revocations} == {*REVOCATION_STANDS.values()} - {"declined"}
    for column in ("pictures", "removed", "impossible", "escalated", "overdue"):
        assert any(row[column] for row in revocations), column
    assert {row["ended_in"] for each in moments for row in uses_of(each).values()} > {None, "uses"}
    ended = [key for each in logs for key, until in standing_of(each).items() if until]
    assert {what for what, _, _ in ended} == {"stream", "fact"}
