"""The rights roster, the open remedies, the staff directory, and what other projections learn of them."""

from __future__ import annotations

import pytest

from projections.account_register import AccountRegister
from projections.audit_trail import AuditTrail
from projections.inbox import Inbox
from projections.notices import Notices
from projections.remedies import Remedies
from projections.rights import RightsRoster
from projections.staff_directory import StaffDirectory
from services.projector import rebuild
from tests.projections.history import a_life, rows
from tests.services.rights import rights_and_remedies
from tests.system import Database

KINDS = (RightsRoster, Remedies, StaffDirectory, AccountRegister, Inbox, Notices, AuditTrail)


@pytest.fixture(scope="module")
def url(database: Database) -> str:
    with a_life(database) as life:
        life.has_an_open_account("durantstories", administrators=("p-bm-durant", "p-ysc"))
        rights_and_remedies(life)
    url = database.url("projector")
    for kind in KINDS:
        rebuild(url, kind, "_t")
    return url


def test_the_roster_says_what_became_of_each_right(url: str) -> None:
    assert [(each["holder"], each["standing"], each["conditions"]) for each in rows(url, "rights_t", "holder")] == [
        ("p-bs-goodman-1", "suspended", []),
        ("p-bs-kosciusko-1", "revoked", []),
        ("p-bs-lexington-1", "in force", ["reading"]),
        ("p-bs-west-1", "lapsed", []),
    ]
    (goodman,) = [each for each in rows(url, "rights_t") if each["holder"] == "p-bs-goodman-1"]
    assert (goodman["granted_by"], goodman["accounts"]) == ("p-bm-goodman", ["account:facebook:goodmanlibrary"])


def test_open_remedies_have_their_day_and_made_ones_their_end(url: str) -> None:
    found = {each["account"]: each for each in rows(url, "remedies_t")}
    assert set(found) == {"account:facebook:goodmanlibrary", "account:facebook:durantstories"}
    assert found["account:facebook:goodmanlibrary"]["closed_at"] is not None
    open_one = found["account:facebook:durantstories"]
    assert (open_one["closed_at"], open_one["due"] > open_one["opened_at"]) == (None, True)


def test_the_directory_has_each_person_once_with_the_event_that_said_so(url: str) -> None:
    found = {each["person"]: each for each in rows(url, "staff_directory_t")}
    assert len(found) == 41
    assert (found["p-bm-durant"]["active"], found["p-bm-durant"]["what"]) == (False, "PersonLeft")
    assert found["p-bs-west-1"]["branch"] == "winona"


def test_the_register_knows_who_administers_an_account_since(url: str) -> None:
    found = {each["account"]: each["administrators"] for each in rows(url, "accounts_t")}
    assert found == {
        "account:facebook:durantstories": ["p-ysc"],
        "account:facebook:goodmanlibrary": ["p-mac", "p-bm-goodman"],
    }
    health = {(each["case_id"], each["since"]): each["in_order"] for each in rows(url, "account_health_t", "1", "2")}
    assert sorted(health.values()) == [False, True]


def test_a_remedy_waits_in_the_coordinators_inboxes(url: str) -> None:
    found = [each for each in rows(url, "inbox_t") if each["process"] == "staff_change"]
    assert {each["person"] for each in found} == {"p-mac", "p-ysc"}


def test_one_letter_reports_a_change_to_whoever_runs_the_branch_and_the_same_to_hr(url: str) -> None:
    outbox = rows(url, "outbox_t", "log_position", "to_address")
    both = [each for each in outbox if each["kind"] == "staff_change.StaffChangeReported"]
    letters = [each for each in both if each["person"] != "-"]
    to_hr = [each for each in both if each["person"] == "-"]
    assert [(each["person"], each["to_address"].partition("@")[0]) for each in letters] == [
        ("p-bm-west", "branch.manager.west"), ("p-ed", "executive.director")
    ]  # fmt: skip
    assert {each["to_address"] for each in to_hr} == {"human.resources@example.org"}
    assert [each["body"] for each in to_hr] == [each["body"] for each in letters]
    assert len({each["message_id"] for each in both}) == len(both)
    assert "RightsLapsed" in letters[0]["body"]
    assert "Change the credentials of account:facebook:goodmanlibrary" in letters[1]["body"]


def test_the_trail_of_a_person_has_their_rights_in_it(url: str) -> None:
    found = [each["kind"] for each in rows(url, "audit_trail_t", "log_position") if "p-bs-west-1" in each["persons"]]
    assert {"posting_rights.RightsGranted", "posting_rights.RightsLapsed", "directory.PersonMoved"} <= set(found)
