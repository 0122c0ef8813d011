"""What follows from HR's changes on a real ledger: once each, nothing left behind, looked at before it happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.delegation import Delegate
from domain.directory import ImportStaff
from domain.facts import Actor, ActorKind, Channel, Malformed
from domain.founding import FoundSystem
from domain.opening_hours import AdoptCalendar
from domain.policy import parse_policy
from domain.policy_adoption import AdoptPolicy
from domain.posting_rights_messages import RequestRights
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.hr.csv_feed import read_feed
from services.ledger import SYSTEM, Sender, operator
from services.staff import OpenCases, orphans, preview, rows_of
from services.staff_follower import CHANGES, since_when
from tests.fresh import fresh_database
from tests.projections.history import Life, a_life
from tests.services.rights import HOLDER, MANAGER, asked, carried_out, followed, granted, state
from tests.system import POLICY, STAFF, Office, sealed

ACCOUNT = "account:facebook:durantlibrary"


@pytest.fixture
def life(server: EmbeddedPostgreSQL) -> Iterator[Life]:
    with fresh_database(server) as database, a_life(database) as life:
        yield life


def report_of(life: Life, case: str) -> dict[str, Any]:
    _, recorded = life.office.ledger.read_on(case)
    (report,) = [each.envelope.fact for each in recorded if each.envelope.kind.endswith("StaffChangeReported")]
    return report


def a_leaver_with_everything(life: Life) -> tuple[str, str]:
    """The manager of a branch: administrator, approver, delegate; with a request of their own."""
    waiting = asked(life, "durantlibrary")
    own = life.asks_for("durant.events")
    window = {"since": life.clock.now(), "until": life.clock.now() + timedelta(days=30)}
    life.says(MANAGER, Delegate(to="p-bs-durant-2", processes=("*",), reason=sealed(), **window), "delegation")
    life.hr_says(MANAGER, active=False)
    return waiting, own


def test_every_change_is_followed_once_and_none_that_does_not_matter(life: Life) -> None:
    life.hr_says(HOLDER, name="Another name")
    life.hr_says(HOLDER, branch="west")
    (case,) = followed(life)
    assert followed(life) == []
    before = life.office.ledger.recorder.max_notification_id()
    carried_out(life, case)
    done = life.office.ledger.recorder.max_notification_id()
    carried_out(life, case)
    assert (before, done) == (before, life.office.ledger.recorder.max_notification_id())


def test_a_log_older_than_the_following_begins_it_once_and_opens_no_case_for_what_is_past(
    server: EmbeddedPostgreSQL,
) -> None:
    """Founded as it was before: without the word that changes are followed."""
    with fresh_database(server) as database:
        life = Life(Office(database))
        ledger, policy = life.office.ledger, parse_policy(POLICY.read_text(), "policy")
        people = read_feed(STAFF.read_bytes(), policy).people
        for stream, command in (
            ("policy_adoption", AdoptPolicy(text=POLICY.read_text())),
            ("opening_hours", AdoptCalendar(calendar=policy.calendar)),
            ("directory", ImportStaff(feed_sha256="0" * 64, people=people)),
            ("founding", FoundSystem(installation="A library", policy_sha256="0" * 64, door_key="AA")),
        ):
            assert ledger.submit_own(command, stream, operator("root"), str(uuid4())).facts
        life.hr_says(HOLDER, active=False)
        since = since_when(ledger)
        life.hr_says("p-bs-durant-2", active=False)
        assert since_when(ledger) == since
        found = rows_of(ledger.recorder, CHANGES, (since, "staff_change"))
        assert [each.envelope.fact["person"]["id"] for each in found] == ["p-bs-durant-2"]
        life.office.close()


def test_a_new_log_follows_every_change_from_its_founding_on(life: Life) -> None:
    assert since_when(life.office.ledger) == 0


def test_a_leaver_keeps_nothing_and_one_report_says_so(life: Life) -> None:
    waiting, own = a_leaver_with_everything(life)
    assert {(each["what"], each["person"]) for each in orphans(life.office.ledger)} == {
        ("seat", MANAGER), ("delegation", MANAGER), ("request", MANAGER), ("task", MANAGER)
    }  # fmt: skip
    (case,) = followed(life)
    found = carried_out(life, case)
    assert (found.stage, found.seats_vacated, found.remedies) == ("remedy", (ACCOUNT,), (ACCOUNT,))
    assert orphans(life.office.ledger) == []
    report = report_of(life, case)
    assert {(each["kind"], each["case"]) for each in report["consequences"]} == {
        ("waiting.TaskRerouted", waiting),
        ("account_creation.RequestWithdrawn", own),
        ("delegation.DelegationLapsed", "delegation"),
    }
    assert report["told"] == ["p-ed"]


def test_a_holders_right_ends_whoever_asks_the_case_anew_first(life: Life) -> None:
    case = granted(life, "durantlibrary")
    life.hr_says(HOLDER, branch="west")
    life.looks_again(case)  # the reconciler was first
    (change,) = followed(life)
    carried_out(life, change)
    assert state(life, case).ended == "lapsed"
    (consequence,) = report_of(life, change)["consequences"]
    assert (consequence["kind"], consequence["case"]) == ("posting_rights.RightsLapsed", case)
    assert report_of(life, change)["told"] == [MANAGER]


def test_what_would_follow_is_what_follows(life: Life) -> None:
    right = granted(life, "durantlibrary")
    own = asked(life, "durantstories")
    last_day = date(2026, 3, 10)
    ahead = preview(life.office.ledger, HOLDER, last_day)
    assert [each["case"] for each in ahead["rights_end"]] == [right]
    assert {each["case"]: each["facts"] for each in ahead["cases"]} == {
        right: ["RightsLapsed"], own: ["RequestWithdrawn"]
    }  # fmt: skip
    assert ahead["credentials_to_rotate"] == [ACCOUNT]
    assert state(life, right).stage == "granted"

    life.hr_says(HOLDER, end=last_day)
    (case,) = followed(life)
    assert carried_out(life, case).stage == "ahead"
    life.clock.at = state(life, case).next_due()
    life.time_passes(case)
    assert carried_out(life, case).stage == "done"
    assert (state(life, right).ended, state(life, own).stage) == ("lapsed", "withdrawn")
    assert orphans(life.office.ledger) == []


def test_a_departure_that_is_planned_already_is_looked_at_like_any_other(life: Life) -> None:
    right = granted(life, "durantlibrary")
    last_day = date(2026, 3, 10)
    life.hr_says(HOLDER, end=last_day)
    ahead = preview(life.office.ledger, HOLDER, last_day)
    assert ahead["cases"] == [{"case": right, "facts": ["RightsLapsed"]}]


def test_a_preview_names_the_accounts_that_would_be_in_breach(life: Life) -> None:
    life.has_an_open_account("durantlibrary")
    ahead = preview(life.office.ledger, MANAGER, date(2026, 3, 10))
    assert (ahead["seats_vacated"], ahead["in_breach"]) == ([ACCOUNT], {ACCOUNT: "1 of at least 2 administrators"})


def test_a_preview_of_nobody_is_malformed(life: Life) -> None:
    with pytest.raises(Malformed, match="nobody has the id"):
        preview(life.office.ledger, "p-nobody", date(2026, 3, 10))


def test_open_cases_are_read_on_and_leave_with_their_end(life: Life) -> None:
    found = OpenCases(life.office.ledger.recorder)
    case = life.asks_for("durantlibrary")
    assert found.now() == [case]
    other = life.asks_for("durantstories")
    assert set(found.now()) == {case, other}
    life.withdraws(case)
    assert found.now() == [other]


def test_nobody_but_the_system_follows_a_change(life: Life) -> None:
    life.hr_says(HOLDER, branch="west")
    (case,) = followed(life)
    _, recorded = life.office.ledger.read_on(case)
    assert recorded[0].envelope.actor.id == SYSTEM.actor.id
    stranger = Sender(Actor(kind=ActorKind.PERSON, id="p-ed"), "a test", Channel.API, None)
    from domain.staff_change_messages import ReportStaffChange

    answer = life.office.ledger.submit_own(ReportStaffChange(), case, stranger, str(uuid4()))
    assert answer.refusal is not None
    assert answer.refusal.clauses == ("PR-4",)


def test_a_requester_who_asks_after_leaving_is_refused(life: Life) -> None:
    life.has_an_open_account("durantlibrary")
    life.hr_says(HOLDER, active=False)
    command = RequestRights(accounts=(ACCOUNT,), purpose=sealed())
    answer = life.says(HOLDER, command, f"posting_rights-{uuid4()}")
    assert answer.refusal is not None
