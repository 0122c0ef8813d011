"""Every rule that reads beyond its own stream, with two real processes that meet at one moment, round after round."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.account_creation import AccountCase
from domain.account_creation_messages import ApproveAccount
from domain.delegation import STREAM as DELEGATIONS
from domain.delegation import Delegate, EndDelegation
from domain.directory import STREAM as DIRECTORY
from domain.directory import DeclareFriendsRole, ImportStaff, Person
from domain.facts import Command
from domain.opening_hours import STREAM as CALENDAR
from domain.opening_hours import CloseBranch
from domain.policy_adoption import STREAM as POLICIES
from domain.policy_adoption import AdoptPolicy
from services.ledger import operator
from tests.rivals import Imports, Sends, Told, at_once
from tests.system import MONDAY, POLICY, Database, Office, a_case, a_request, sealed

pytestmark = pytest.mark.ordeal

ROUNDS = 12


def sends(office: Office, command: Command, case: str, person: str, id_: str | None = None) -> Sends:
    return Sends((office.submission(command, case, person, id_).model_dump(mode="json"),))


def requested(office: Office, **changed: Any) -> str:
    case = a_case()
    answer = office.submit(a_request(f"r{case[-10:]}", **changed), case, "p-bm-durant")
    assert answer.refusal is None
    return case


def approves(office: Office, case: str, person: str = "p-ed") -> Sends:
    state = office.ledger.state(case)
    assert isinstance(state, AccountCase)
    return sends(office, ApproveAccount(content=state.content), case, person)


def feed(*people: Person) -> tuple[dict[str, Any], str]:
    id_ = str(uuid4())
    return ImportStaff(feed_sha256=id_.replace("-", "") * 2, people=people).model_dump(mode="json"), id_


def newcomer(office: Office, id_: str, **changed: Any) -> Person:
    like = office.ledger.library().person("p-bs-durant-1")
    assert like is not None
    return like.model_copy(update={"id": id_, "work_email": f"{id_}@example.org", **changed})


def add(office: Office, *people: Person) -> None:
    fed = ImportStaff(feed_sha256="0" * 64, people=people)
    office.ledger.submit_own(fed, DIRECTORY, operator("a test"), str(uuid4()))


def only_before(decision: Told, change: Told) -> None:
    """A decision that the change would have prevented was recorded before it, or not at all."""
    assert change.log_positions, change.because
    if decision.log_positions:
        assert decision.log_positions[0] < change.log_positions[0]
    else:
        assert decision.because


def knowing_of(decision: Told, change: Told) -> None:
    """A decision recorded after the change had read it."""
    assert decision.log_positions, decision.because
    assert change.log_positions, change.because
    if decision.log_positions[0] > change.log_positions[0]:
        assert decision.read_up_to >= change.log_positions[0]


def test_of_two_requests_for_one_handle_at_once_exactly_one_is_recorded(office: Office, database: Database) -> None:
    rounds = [
        (
            sends(office, a_request(f"Both.{nth}"), a_case(), "p-bm-durant"),
            sends(office, a_request(f"@both.{nth}"), a_case(), "p-bm-winona"),
        )
        for nth in range(ROUNDS)
    ]
    for (left,), (right,) in at_once(office, database, *rounds):
        assert sorted(len(each.kinds) for each in (left, right)) == [0, 2]
        assert "is open or requested already" in left.because + right.because


def test_one_command_sent_by_two_processes_at_once_is_recorded_once_and_answered_twice(
    office: Office, database: Database
) -> None:
    approvals = [approves(office, requested(office)) for _ in range(ROUNDS)]
    refusals = [approves(office, requested(office), "p-mac") for _ in range(ROUNDS)]
    for (left,), (right,) in at_once(office, database, *((each, each) for each in approvals)):
        assert left == right
        assert left.kinds == ("account_creation.AccountApproved", "waiting.Asked")
    for (left,), (right,) in at_once(office, database, *((each, each) for each in refusals)):
        assert left == right
        assert left.because


def test_two_decisions_on_one_request_at_once_are_one_decision(office: Office, database: Database) -> None:
    cases = [requested(office) for _ in range(ROUNDS)]
    for (left,), (right,) in at_once(office, database, *((approves(office, c), approves(office, c)) for c in cases)):
        assert sorted(len(each.kinds) for each in (left, right)) == [0, 2]


def test_an_administrator_who_leaves_at_that_moment_is_in_no_approval_recorded_after(
    office: Office, database: Database
) -> None:
    leavers = [newcomer(office, f"p-leaver-{nth}") for nth in range(ROUNDS)]
    add(office, *leavers)
    rounds = [
        (
            approves(office, requested(office, administrators=("p-mac", leaver.id))),
            Imports((feed(leaver.model_copy(update={"active": False})),)),
        )
        for leaver in leavers
    ]
    for (approval,), (leaving,) in at_once(office, database, *rounds):
        only_before(approval, leaving)


def test_an_approver_who_leaves_at_that_moment_decides_nothing_after(office: Office, database: Database) -> None:
    approvers = [newcomer(office, f"p-ed-{nth}", position="Executive Director", branch="hq") for nth in range(ROUNDS)]
    add(office, *approvers)
    rounds = [
        (approves(office, requested(office), each.id), Imports((feed(each.model_copy(update={"active": False})),)))
        for each in approvers
    ]
    for (approval,), (leaving,) in at_once(office, database, *rounds):
        only_before(approval, leaving)


def test_a_friends_role_declared_at_that_moment_is_in_no_approval_recorded_after(
    office: Office, database: Database
) -> None:
    friends = [newcomer(office, f"p-friend-{nth}") for nth in range(ROUNDS)]
    add(office, *friends)
    rounds = [
        (
            approves(office, requested(office, administrators=("p-mac", each.id))),
            sends(office, DeclareFriendsRole(person=each.id, administers=True), DIRECTORY, each.id),
        )
        for each in friends
    ]
    for (approval,), (declared,) in at_once(office, database, *rounds):
        only_before(approval, declared)


def test_a_decision_recorded_after_a_change_of_staff_had_read_it(office: Office, database: Database) -> None:
    rounds = [
        (approves(office, requested(office)), Imports((feed(newcomer(office, f"p-new-{nth}")),)))
        for nth in range(ROUNDS)
    ]
    for (approval,), (joined,) in at_once(office, database, *rounds):
        knowing_of(approval, joined)


def test_a_delegation_that_ends_at_that_moment_carries_no_decision_after(office: Office, database: Database) -> None:
    delegates = [newcomer(office, f"p-delegate-{nth}", branch="hq") for nth in range(ROUNDS)]
    add(office, *delegates)
    rounds = []
    for each in delegates:
        given = Delegate(
            to=each.id,
            processes=("account_creation",),
            since=MONDAY - timedelta(days=1),
            until=MONDAY + timedelta(days=9),
            reason=sealed(),
        )
        answer = office.submit(given, DELEGATIONS, "p-ed")
        assert answer.facts, answer.refusal
        ending = EndDelegation(delegation=answer.facts[0].envelope.fact["delegation"])
        rounds.append((approves(office, requested(office), each.id), sends(office, ending, DELEGATIONS, "p-ed")))
    for (approval,), (ended,) in at_once(office, database, *rounds):
        only_before(approval, ended)


def test_a_request_recorded_after_a_closure_reckons_with_it(office: Office, database: Database) -> None:
    rounds = []
    for nth in range(ROUNDS):
        closing = CloseBranch(place="*", day=(MONDAY + timedelta(days=100 + nth)).date(), because="A storm")
        request = a_request(f"storm{nth}")
        rounds.append(
            (sends(office, request, a_case(), "p-bm-durant"), sends(office, closing, CALENDAR, "p-ed"))
        )
    for (asked,), (closed,) in at_once(office, database, *rounds):
        knowing_of(asked, closed)


def test_an_import_of_two_thousand_people_starves_no_approval(office: Office, database: Database) -> None:
    def everybody(nth: int) -> Imports:
        people = tuple(newcomer(office, f"p-many-{each}", name=f"Feed {nth}") for each in range(2_000))
        return Imports((feed(*people),))

    imports = Imports(tuple(each for nth in range(3) for each in everybody(nth).feeds))
    approvals = Sends(tuple(approves(office, requested(office)).submissions[0] for _ in range(30)))
    ((approved, imported),) = at_once(office, database, (approvals, imports))
    assert [each.kinds for each in approved] == [("account_creation.AccountApproved", "waiting.Asked")] * 30
    assert [len(each.kinds) for each in imported] == [2_001] * 3


def test_a_request_recorded_after_the_adoption_of_a_policy_is_made_under_it(office: Office, database: Database) -> None:
    text = POLICY.read_text()
    version = office.ledger.library().policy.version
    rounds = [
        (
            sends(office, a_request(f"policy{nth}"), a_case(), "p-bm-durant"),
            sends(
                office, AdoptPolicy(text=text.replace(f'"{version}"', f'"{version}.{nth}"', 1)), POLICIES, "p-ed"
            ),
        )
        for nth in range(ROUNDS)
    ]
    for nth, ((request,), (adopted,)) in enumerate(at_once(office, database, *rounds)):
        knowing_of(request, adopted)
        after = request.log_positions[0] > adopted.log_positions[0]
        before = f"{version}.{nth - 1}" if nth else version
        assert request.policy == (f"{version}.{nth}" if after else before)
