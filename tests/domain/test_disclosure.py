"""Readings and exports are on record; who audits approves nothing, and who may not audit takes no records away."""

from __future__ import annotations

import pytest

from domain import disclosure
from domain.disclosure import NoteExport, NoteReading, RecordsTaken, TextsRead
from domain.facts import NoAuthority, Refused
from domain.policy import PolicyError, parse_policy
from domain.policy_adoption import AdoptPolicy
from tests.domain.house import ASSISTANT, AUDITOR, BOARD, CASE, DIRECTOR, LEFT, MANAGER, MARKETING, OPERATOR, founded
from tests.system import POLICY

TEXT = POLICY.read_text(encoding="utf-8")
OF_CASE = disclosure.stream_of(CASE)


def with_roles(roles: str) -> str:
    return TEXT.replace('"Auditor" = ["auditor"]', f'"Auditor" = [{roles}]').replace(
        f'version = "{version()}"', 'version = "2027-1"'
    )


def version() -> str:
    return parse_policy(TEXT, "policy").version


def test_a_reading_is_on_record_beside_the_case() -> None:
    assert founded().does(NoteReading(of_case=CASE), MANAGER, OF_CASE) == [TextsRead(of_case=CASE)]


def test_nobody_notes_a_reading_through_a_door_of_their_own() -> None:
    with pytest.raises(Refused) as refused:
        founded().does(NoteReading(of_case=CASE), MANAGER, disclosure.STEM)
    assert refused.value.clauses == ("PR-12",)


@pytest.mark.parametrize("by", [AUDITOR, DIRECTOR, OPERATOR])
def test_an_auditor_the_director_and_the_operator_take_records_away_on_record(by: str) -> None:
    taken = NoteExport(of_case=CASE, formats=("jsonl",), events=3, up_to=9)
    assert founded().does(taken, by, OF_CASE) == [
        RecordsTaken(of_case=CASE, formats=("jsonl",), events=3, up_to=9)
    ]


@pytest.mark.parametrize("by", [MANAGER, ASSISTANT, MARKETING, BOARD, LEFT, "p-nobody"])
def test_nobody_else_takes_records_away(by: str) -> None:
    with pytest.raises(NoAuthority) as refused:
        founded().does(NoteExport(formats=("jsonl",), events=3, up_to=9), by, disclosure.OF_ALL)
    assert refused.value.clauses == ("PR-12",)


@pytest.mark.parametrize("role", ["executive_director", "branch_manager", "board_delegate"])
def test_a_position_that_audits_and_approves_is_refused_where_roles_are_given(role: str) -> None:
    text = with_roles(f'"auditor", "{role}"')
    with pytest.raises(PolicyError) as error:
        parse_policy(text, "policy")
    (problem,) = error.value.problems
    assert (problem.field, problem.message) == (
        "positions.Auditor", f"Auditor would audit and approve, as {role} (PR-1)",
    )  # fmt: skip
    with pytest.raises(Refused) as refused:
        founded().does(AdoptPolicy(text=text), DIRECTOR, "policy_adoption")
    assert "(PR-1)" in refused.value.because


def test_groups_do_not_bring_the_two_together_either() -> None:
    group = '\n[groups."Deciders"]\nroles = ["executive_director"]\npositions = ["Auditor"]\n'
    with pytest.raises(PolicyError) as error:
        parse_policy(TEXT + group, "policy")
    assert [each.field for each in error.value.problems] == ["groups.Deciders"]


def test_a_role_that_approves_nothing_may_stand_beside_the_auditors() -> None:
    assert parse_policy(with_roles('"auditor", "helpdesk"'), "policy")
