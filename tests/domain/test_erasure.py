"""Who may have a patron forgotten, what stands against it, and that two others have to agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.erasure import Stage
from domain.erasure_messages import (
    AgreeToErase,
    AskedBy,
    AskErasure,
    DestructionBegun,
    ErasureAgreed,
    ErasureHeld,
    ErasureRefused,
    LookAgain,
    LookedForAgain,
    PatronErased,
    RefuseErasure,
    ReportWhatStands,
    WithdrawErasure,
)
from domain.facts import NoAuthority, Sealed
from domain.legal_hold import Over
from domain.waiting import Asked
from tests.domain.cases import ESCALATION, EXPIRY, ONE_SECOND, under
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CASE,
    CLERK,
    DIRECTOR,
    LEFT,
    MANAGER,
    MARKETING,
    OTHER_CASE,
    POLICY_TEXT,
    TIMER,
    YOUTH,
    House,
    founded,
)
from tests.domain.privacy_life import (
    DESTROYED,
    PATRON,
    agreed,
    agrees,
    asked,
    case_of,
    erased,
    erasure,
    holds,
    in_first_decision,
    releases,
    reports,
    sealed_for,
    trace,
)

DURANT = "account:facebook:durantlibrary"


def stage(house: House) -> Stage:
    return case_of(house).stage


def persons_asked(house: House) -> tuple[str, ...]:
    waiting = case_of(house).waiting
    return waiting.persons if waiting else ()


# the way there


def test_a_patron_is_erased_when_nothing_stands_against_it_and_two_others_agree() -> None:
    house = asked(founded())
    assert stage(house) is Stage.LOOKING
    reports(house, trace(house))
    assert (stage(house), persons_asked(house)) == (Stage.FIRST_DECISION, (MARKETING,))
    agrees(house, MARKETING)
    assert (stage(house), persons_asked(house)) == (Stage.SECOND_DECISION, (DIRECTOR,))
    agrees(house, DIRECTOR)
    assert (stage(house), case_of(house).waiting) == (Stage.AGREED, None)
    assert reports(house, trace(house)) == [DestructionBegun(patron=PATRON, by=(MARKETING, DIRECTOR))]
    proof = PatronErased(
        patron=PATRON, kek_before="aaaa", kek_after="bbbb", survivors=3, agreed_by=(MARKETING, DIRECTOR)
    )
    assert house.does(DESTROYED, TIMER, erasure()) == [proof]
    assert (stage(house), case_of(house).closed()) == (Stage.ERASED, True)
    assert house.library().is_forgotten(PATRON)


@pytest.mark.parametrize("person", [LEFT, AUDITOR, BOARD, "p-nobody"])
def test_only_someone_of_the_staff_asks(person: str) -> None:
    ask = AskErasure(patron=PATRON, asked_by=AskedBy.PATRON, reason=sealed_for())
    assert founded().refuses(ask, person, erasure()).clauses == ("PR-12",)


def test_nobody_agrees_to_what_they_asked_for_and_nobody_agrees_twice() -> None:
    house = in_first_decision(founded(), by=MARKETING)
    assert persons_asked(house) == (YOUTH,)
    agree = AgreeToErase(content=case_of(house).content)
    assert isinstance(house.refuses(agree, MARKETING, erasure()), NoAuthority)
    agrees(house, YOUTH)
    assert isinstance(house.refuses(agree, YOUTH, erasure()), NoAuthority)
    house = in_first_decision(founded(), by=DIRECTOR)
    agrees(house, MARKETING)
    assert persons_asked(house) == (BOARD,)
    assert isinstance(house.refuses(agree, DIRECTOR, erasure()), NoAuthority)


def test_one_person_in_both_roles_decides_once() -> None:
    house = founded()
    house.leaves(DIRECTOR, YOUTH)
    house.hr_says(MARKETING, position="Executive Director")
    in_first_decision(house)
    assert persons_asked(house) == ()
    agree = AgreeToErase(content=case_of(house).content)
    for person in (MARKETING, CLERK, MANAGER, BOARD):
        assert isinstance(house.refuses(agree, person, erasure()), NoAuthority)


@pytest.mark.parametrize("person", [ASSISTANT, CLERK, MANAGER, AUDITOR, LEFT, DIRECTOR])
def test_others_do_not_decide_first(person: str) -> None:
    house = in_first_decision(founded())
    content = case_of(house).content
    for command in (AgreeToErase(content=content), RefuseErasure(content=content, reason=sealed_for())):
        assert isinstance(house.refuses(command, person, erasure()), NoAuthority)


def test_an_agreement_to_forget_what_was_not_read_is_none() -> None:
    house = in_first_decision(founded())
    assert "0000" in house.refuses(AgreeToErase(content="0" * 64), MARKETING, erasure()).because


def test_who_has_agreed_and_what_was_found_is_part_of_what_the_next_one_decides_on() -> None:
    one, more = asked(founded()), asked(founded())
    reports(one, trace(one))
    reports(more, trace(more), trace(more, OTHER_CASE))
    assert case_of(one).content != case_of(more).content


def test_it_is_asked_for_once_at_a_time_and_never_again_when_it_is_done() -> None:
    house = asked(founded())
    ask = AskErasure(patron=PATRON, asked_by=AskedBy.GUARDIAN, reason=sealed_for())
    assert erasure() in house.refuses(ask, MANAGER, erasure(2)).because
    house.does(WithdrawErasure(), MANAGER, erasure())
    erased(house, 2)
    assert "erased before" in house.refuses(ask, MANAGER, erasure(3)).because


# what stands against it


@pytest.mark.parametrize(
    ("over", "of"), [(Over.ALL, ""), (Over.CASE, CASE), (Over.PERSON, PATRON), (Over.ACCOUNT, DURANT)]
)
def test_a_legal_hold_stops_it_and_its_release_lets_it_be_looked_at_again(over: Over, of: str) -> None:
    house = founded().requested().approved().set_up().confirmed().opened()
    hold = holds(house, over, of)
    (held,) = reports(asked(house), trace(house, account=DURANT))
    assert isinstance(held, ErasureHeld)
    assert held.holds == (hold,)
    assert house.reconsiders(erasure()) == []
    releases(house, hold)
    assert house.reconsiders(erasure()) == [LookedForAgain()]
    assert stage(house) is Stage.LOOKING


@pytest.mark.parametrize(
    ("over", "of"),
    [(Over.CASE, OTHER_CASE), (Over.PERSON, MANAGER), (Over.ACCOUNT, DURANT)],
)
def test_a_hold_over_something_else_stops_nothing(over: Over, of: str) -> None:
    house = founded().requested().approved().set_up().confirmed().opened()
    holds(house, over, of)
    reports(asked(house), trace(house))
    assert stage(house) is Stage.FIRST_DECISION


def test_a_hold_that_comes_between_the_two_agreements_voids_the_first() -> None:
    house = in_first_decision(founded())
    agrees(house, MARKETING)
    hold = holds(house)
    refused = house.refuses(AgreeToErase(content=case_of(house).content), DIRECTOR, erasure())
    assert hold in refused.because
    house.reconsiders(erasure())
    assert (stage(house), case_of(house).agreed_by) == (Stage.HELD, ())
    releases(house, hold)
    house.reconsiders(erasure())
    reports(house, trace(house))
    assert (stage(house), persons_asked(house)) == (Stage.FIRST_DECISION, (MARKETING,))


def test_a_hold_that_comes_after_both_agreements_still_stops_it() -> None:
    house = agreed(founded())
    hold = holds(house)
    (held,) = reports(house, trace(house))
    assert isinstance(held, ErasureHeld)
    assert held.holds == (hold,)
    assert stage(house) is Stage.HELD


def test_from_the_destruction_on_nothing_stops_it() -> None:
    house = agreed(founded())
    reports(house, trace(house))
    holds(house)
    assert house.reconsiders(erasure()) == []
    house.refuses(WithdrawErasure(), MANAGER, erasure())
    house.does(DESTROYED, TIMER, erasure())
    assert stage(house) is Stage.ERASED


def test_a_case_that_is_open_stands_against_it_until_someone_looks_again() -> None:
    house = asked(founded())
    (held,) = reports(house, trace(house, open=True))
    assert isinstance(held, ErasureHeld)
    assert held.open_cases == (CASE,)
    assert isinstance(house.refuses(LookAgain(), ASSISTANT, erasure()), NoAuthority)
    house.does(LookAgain(), MANAGER, erasure())
    reports(house, trace(house))
    assert stage(house) is Stage.FIRST_DECISION


def test_a_term_of_retention_stands_against_it_until_it_ends() -> None:
    house = asked(under(POLICY_TEXT, patron_record_kept_days=30))
    newest = house.now - timedelta(days=10)
    (held,) = reports(house, trace(house, newest=newest))
    end = newest + timedelta(days=30)
    assert isinstance(held, ErasureHeld)
    assert (held.kept_until, case_of(house).next_due()) == (end, end)
    assert house.comes(end - ONE_SECOND).time_passes(erasure()) == []
    assert house.comes(end).time_passes(erasure()) == [LookedForAgain()]
    reports(house, trace(house, newest=newest))
    assert stage(house) is Stage.FIRST_DECISION


# what time and people bring


def test_silence_erases_nobody() -> None:
    house = in_first_decision(founded())
    house.comes(ESCALATION).time_passes(erasure())
    house.comes(EXPIRY).time_passes(erasure())
    assert (stage(house), house.library().is_forgotten(PATRON)) == (Stage.EXPIRED, False)
    assert house.library().holder_of(f"erasure:{PATRON}") is None


def test_a_refusal_ends_it() -> None:
    house = in_first_decision(founded())
    house.does(RefuseErasure(content=case_of(house).content, reason=sealed_for()), MARKETING, erasure())
    assert (stage(house), case_of(house).closed()) == (Stage.REFUSED, True)


def test_the_task_goes_to_whoever_holds_the_role_by_then() -> None:
    house = in_first_decision(founded())
    house.leaves(MARKETING).reconsiders(erasure())
    assert persons_asked(house) == (YOUTH,)
    agrees(house, YOUTH)
    house.leaves(DIRECTOR).reconsiders(erasure())
    assert persons_asked(house) == (BOARD,)


@pytest.mark.parametrize("command", [ReportWhatStands(), DESTROYED], ids=lambda each: each.kind)
def test_what_the_system_reports_nobody_else_reports(command: ReportWhatStands) -> None:
    for house in (asked(founded()), agreed(founded())):
        for person in (DIRECTOR, MARKETING, MANAGER):
            house.refuses(command, person, erasure())


def test_nothing_is_destroyed_before_both_have_agreed() -> None:
    for house in (asked(founded()), in_first_decision(founded()), agreed(founded())):
        assert house.refuses(DESTROYED, TIMER, erasure()).clauses == ("PR-12",)


def test_of_each_agreement_it_is_on_record_whose_and_on_what() -> None:
    house = in_first_decision(founded())
    content = case_of(house).content
    agreement, asking = agrees(house, MARKETING)
    assert agreement == ErasureAgreed(by=MARKETING, nth=1, content=content)
    assert isinstance(asking, Asked)
    assert asking.rests_on == ("PR-12",)


def test_clear_text_cannot_stand_where_sealed_must() -> None:
    # the type checker says so too: were it content, it would call this comment unused
    reason: Sealed = "They asked me to."  # type: ignore[assignment]
    with pytest.raises(ValidationError):
        AskErasure(patron=PATRON, asked_by=AskedBy.PATRON, reason=reason)
    with pytest.raises(ValidationError):
        AskErasure(patron=PATRON, asked_by=AskedBy.PATRON, reason="They asked me to.")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        ErasureRefused(patron=PATRON, reason="They asked me to.", by=MANAGER)  # type: ignore[arg-type]
    for clear in ("They asked me to.", {"text": "They asked me to."}):
        with pytest.raises(ValidationError):
            AskErasure.model_validate({"patron": PATRON, "asked_by": "patron", "reason": clear})
    with pytest.raises(ValidationError):
        Sealed.model_validate({"under": (), "wrapped": "AA==", "nonce": "AA==", "ciphertext": "AA=="})
