"""Each projection against a fold written for this test: plain dictionaries, kinds by name, nothing of the domain's."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import projections
from projections.account_register import AccountRegister
from projections.audit_trail import AuditTrail
from projections.cases import CasePages
from projections.hr_outbox import HrOutbox
from projections.inbox import Inbox
from projections.notices import Notices
from projections.projection import Projection
from projections.remedies import Remedies
from projections.rights import RightsRoster
from projections.staff_directory import StaffDirectory
from projections.standing import Standing
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.projector import PROJECTIONS, connected, rebuild
from tests.fresh import fresh_database
from tests.projections import test_naive_patrons
from tests.projections.history import a_life, rows
from tests.projections.naive import FOLDED, Event, naive_fold_of, name, standing_of
from tests.services.auditing import live

KINDS: tuple[type[Projection], ...] = (
    AuditTrail, CasePages, Inbox, AccountRegister, Notices, HrOutbox, RightsRoster, Remedies, StaffDirectory,
    Standing,
)  # fmt: skip
STAGES = {
    "account_creation.AccountRequested": "executive_review", "account_creation.RequestAmended": "executive_review",
    "account_creation.ChangesAsked": "changes_asked", "account_creation.AccountApproved": "set_up",
    "account_creation.SetUpCompleted": "verification", "account_creation.AccountOpened": "open",
    "account_creation.AccountRefused": "refused", "account_creation.RequestWithdrawn": "withdrawn",
    "account_creation.RequestExpired": "expired",
    "posting_rights.RightsRequested": "approver_review", "posting_rights.RequestAmended": "approver_review",
    "posting_rights.ChangesAsked": "changes_asked", "posting_rights.RightsGranted": "granted",
    "posting_rights.RightsSuspended": "suspended", "posting_rights.RightsReinstated": "granted",
    "posting_rights.RightsRevoked": "ended", "posting_rights.RightsLapsed": "ended",
    "posting_rights.RightsExpired": "ended", "posting_rights.RightsSuperseded": "ended",
    "posting_rights.RightsRefused": "refused", "posting_rights.RequestWithdrawn": "withdrawn",
    "posting_rights.RequestExpired": "undecided",
}  # fmt: skip
OVER = {"open", "refused", "withdrawn", "expired", "ended", "undecided"}
NOBODY_IS_ASKED = OVER | {"granted", "suspended"}
STANDING = {
    "RightsGranted": "in force", "RightsReinstated": "in force", "RightsSuspended": "suspended",
    "RightsRevoked": "revoked", "RightsLapsed": "lapsed", "RightsExpired": "expired",
    "RightsSuperseded": "superseded by role",
}  # fmt: skip
TOLD_HR = {
    "RightsGranted": "rights.granted", "RightsSuspended": "rights.suspended", "RightsReinstated": "rights.reinstated",
    "RightsRevoked": "rights.ended", "RightsLapsed": "rights.ended", "RightsExpired": "rights.ended",
    "RightsSuperseded": "rights.ended", "StaffChangeReported": "staff_change.reported",
}  # fmt: skip


class Life:
    def __init__(self, url: str) -> None:
        with connected(url) as conn:
            stored = conn.execute("select * from ledger.events order by notification_id").fetchall()
        self.events: list[Event] = [
            json.loads(bytes(row["state"])) | {"log_position": row["notification_id"]} for row in stored
        ]
        for kind in KINDS:
            rebuild(url, kind, "")
        self._url = url

    def rows(self, table: str) -> list[dict[str, Any]]:
        return rows(self._url, table)

    def of(self, *processes: str) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for each in self.events:
            if each["case"].startswith(tuple(f"{process}-" for process in processes)) and "!" not in each["case"]:
                found.setdefault(each["case"], []).append(each)
        return found


@pytest.fixture(scope="module", params=[2, 31])
def life(server: EmbeddedPostgreSQL, request: pytest.FixtureRequest) -> Iterator[Life]:
    with fresh_database(server) as database:
        with a_life(database) as lived:
            live(lived, steps=140, seed=request.param)
        yield Life(database.url("projector"))


def test_every_projection_there_is_has_a_fold_of_a_test_to_be_held_against() -> None:
    names = [f"projections.{each.name}" for each in pkgutil.iter_modules(projections.__path__)]
    there = {
        each
        for module in map(importlib.import_module, names)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Projection) and each is not Projection
    }
    assert there == {*PROJECTIONS} == FOLDED.keys()
    tests = {*globals(), *vars(test_naive_patrons)}
    assert {test for each in FOLDED.values() for test in each} <= tests


@naive_fold_of(CasePages)
def test_cases(life: Life) -> None:
    naive = {}
    for case, events in life.of("account_creation", "posting_rights").items():
        stage = [STAGES[each["kind"]] for each in events if each["kind"] in STAGES][-1]
        first, last = events[0], events[-1]
        naive[case] = (stage, stage in OVER, first["fact"]["by"], len(events), first["at"], last["log_position"])
    found = {
        row["case_id"]: (
            row["stage"], row["closed"], row["requester"], row["position"], row["opened_at"], row["log_position"],
        )
        for row in life.rows("cases")
        if row["process"] != "staff_change"
    }  # fmt: skip
    assert {case: (*each[:4], each[5]) for case, each in found.items()} == {
        case: (*each[:4], each[5]) for case, each in naive.items()
    }
    assert len(naive) > 10


@naive_fold_of(Inbox)
def test_inbox(life: Life) -> None:
    naive = set()
    for case, events in life.of("account_creation", "posting_rights").items():
        persons: list[str] = []
        to, escalated, overdue = "", False, False
        for each in events:
            match name(each):
                case "Asked":
                    persons, to, escalated, overdue = each["fact"]["persons"], each["fact"]["to"], False, False
                case "TaskRerouted":
                    persons = each["fact"]["persons"]
                case "Escalated":
                    escalated = True
                case "BecameOverdue":
                    overdue = True
                case _ if STAGES.get(each["kind"]) in NOBODY_IS_ASKED:
                    persons = []
        naive |= {(case, person, to, escalated, overdue) for person in persons}
    found = {
        (row["case_id"], row["person"], row["to_do"], row["escalated"], row["overdue"])
        for row in life.rows("inbox")
        if row["process"] != "staff_change"
    }
    assert found == naive
    assert naive


@naive_fold_of(AccountRegister)
def test_account_register(life: Life) -> None:
    naive: dict[str, dict[str, Any]] = {}
    for each in life.events:
        fact = each["fact"]
        match name(each):
            case "AccountRequested" | "RequestAmended" if each["kind"].startswith("account_creation."):
                standing, administrators = "requested", fact["administrators"]
                account = f"account:{fact['platform']}:{fact['handle']}"
                naive[each["case"]] = {"account": account, "standing": standing, "administrators": administrators}
            case "AccountApproved":
                naive[each["case"]]["standing"] = "approved"
            case "AccountOpened":
                naive[each["case"]] |= {"standing": "open", "administrators": fact["administrators"]}
            case "AccountRefused" | "RequestWithdrawn" | "RequestExpired":
                naive.pop(each["case"], None)
            case "AdministratorLeft" | "AdministratorSeated":
                for entry in naive.values():
                    if (entry["account"], entry["standing"]) == (fact["account"], "open"):
                        stay = [person for person in entry["administrators"] if person != fact["administrator"]]
                        seated = [fact["administrator"]] if name(each) == "AdministratorSeated" else []
                        entry["administrators"] = [*stay, *seated]
    found = {
        row["case_id"]: {column: row[column] for column in ("account", "standing", "administrators")}
        for row in life.rows("accounts")
    }
    assert found == naive
    assert any(each["standing"] == "open" for each in naive.values())


@naive_fold_of(AccountRegister)
def test_accounts_health(life: Life) -> None:
    people = {each["fact"]["person"]["id"]: each["fact"]["person"] for each in life.events if is_of_person(each)}
    friends = {
        each["fact"]["person"]: each["fact"]["administers"]
        for each in life.events
        if name(each) == "FriendsRoleDeclared"
    }
    health: dict[str, Any] = {}
    for row in sorted(life.rows("account_health"), key=lambda row: row["since"]):
        health[row["case_id"]] = row
    for account in life.rows("accounts"):
        if account["standing"] != "open":
            continue
        counting = [
            each for each in account["administrators"] if people[each]["active"] and not friends.get(each, False)
        ]
        coordinators = [each for each in counting if "Coordinator" in people[each]["position"]]
        row = health[account["case_id"]]
        assert row["active"] == counting
        assert row["coordinators"] == sorted(coordinators)
        assert row["in_order"] is (len(counting) >= 2 and len(coordinators) >= 1)


def is_of_person(event: Event) -> bool:
    return bool(event["kind"].startswith("directory.Person"))


@naive_fold_of(Notices)
def test_notices(life: Life) -> None:
    """Whoever is asked, reminded or in delay is written to, once for each such event."""
    asked = ("Asked", "Reminded", "BecameOverdue")
    naive = {
        (each["event_id"], person)
        for each in life.events
        if each["kind"].startswith("waiting.") and name(each) in asked
        for person in each["fact"]["persons"]
    }
    kinds = {each["event_id"]: name(each) for each in life.events}
    found = [(row["event_id"], row["person"]) for row in life.rows("outbox") if kinds[row["event_id"]] in asked]
    assert len(found) == len(set(found))
    assert set(found) == naive


@naive_fold_of(HrOutbox)
def test_hr_outbox(life: Life) -> None:
    naive = {
        (each["event_id"], TOLD_HR[name(each)], each["fact"].get("holder") or each["fact"]["person"])
        for each in life.events
        if name(each) in TOLD_HR
    }
    found = {(row["event_id"], row["kind"], row["person"]) for row in life.rows("hr_outbox")}
    assert found == naive
    assert naive


@naive_fold_of(RightsRoster)
def test_rights(life: Life) -> None:
    naive: dict[str, list[Any]] = {}
    for each in life.events:
        fact = each["fact"]
        if name(each) == "RightsGranted":
            waits = [condition["id"] for condition in fact["conditions"]]
            naive[each["case"]] = [fact["holder"], fact["accounts"], each["actor"]["id"], waits, "in force"]
        elif each["case"] in naive and name(each) in STANDING:
            naive[each["case"]][4] = STANDING[name(each)]
        elif each["kind"] == "posting_rights.ConditionMet":
            naive[each["case"]][3].remove(fact["condition"])
    columns = ("holder", "accounts", "granted_by", "conditions", "standing")
    assert {row["case_id"]: [row[column] for column in columns] for row in life.rows("rights")} == naive
    assert {each[4] for each in naive.values()} >= {"in force", "suspended", "revoked", "lapsed"}


@naive_fold_of(Remedies)
def test_remedies(life: Life) -> None:
    naive: dict[tuple[str, str], bool] = {}
    for each in life.events:
        if name(each) in ("RemedyOpened", "RemedyClosed"):
            naive[each["case"], each["fact"]["account"]] = name(each) == "RemedyOpened"
    found = {(row["case_id"], row["account"]): row["closed_at"] is None for row in life.rows("remedies")}
    assert found == naive
    assert naive


@naive_fold_of(StaffDirectory)
def test_staff_directory(life: Life) -> None:
    naive: dict[str, Any] = {}
    friends: dict[str, bool] = {}
    for each in life.events:
        if is_of_person(each):
            person = each["fact"]["person"]
            naive[person["id"]] = [person["name"], person["branch"], person["position"], person["active"], name(each)]
        elif name(each) == "FriendsRoleDeclared":
            friends[each["fact"]["person"]] = each["fact"]["administers"]
    found = {
        row["person"]: [row["name"], row["branch"], row["position"], row["active"], row["what"]]
        for row in life.rows("staff_directory")
    }
    assert found == naive
    assert {row["person"] for row in life.rows("staff_directory") if row["friends_administrator"]} == {
        person for person, administers in friends.items() if administers
    }


@naive_fold_of(AuditTrail)
def test_audit_trail(life: Life) -> None:
    account: dict[str, str] = {}
    for row, each in zip(life.rows("audit_trail_rows"), life.events, strict=True):
        case = each["fact"].get("of_case") or each["case"].removesuffix("!attempts")
        said = each["fact"].get("account")
        if isinstance(each["fact"].get("handle"), str):
            said = f"account:{each['fact']['platform']}:{each['fact']['handle']}"
        account[case] = said or account.get(case, "")
        assert (row["case_id"], row["account"], row["event_id"]) == (case, account[case], each["event_id"])
        assert row["refused"] is each["kind"].startswith("attempts.")
        assert each["actor"]["id"] in row["persons"]


@naive_fold_of(Standing)
def test_standing(life: Life) -> None:
    found = {(row["what"], row["key"], row["since"]): row["until"] for row in life.rows("standing")}
    naive = standing_of(life.events)
    assert found == naive
    assert {what for (what, _, _), until in naive.items() if until} == {"stream", "fact"}
    assert any(key.startswith("seat:") for _, key, _ in naive)
