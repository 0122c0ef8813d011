from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.consent import Stage
from domain.consent_messages import ConfirmConsent, OptOut, RejectConsent, RenewConsent, Shown, When
from domain.facts import Actor, ActorKind, NoAuthority, Refused
from domain.in_force import PatronForgotten
from domain.patron_basis import Program
from domain.waiting import LetTimePass
from tests.domain.patrons import (
    A_FILE,
    CLERK,
    CONTENT,
    COORDINATOR,
    ELSEWHERE,
    MANAGER,
    Patrons,
    as_patron,
    consent,
    patron,
    picture,
    record,
)
from tests.domain.world import DURANT, WEST, names, sealed


class Forgotten(PatronForgotten, kind="tests.PatronForgotten"):
    """As an erasure tells it."""


A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> Patrons:
    return Patrons()


def refused(clause: str, *words: str) -> Any:
    return pytest.raises(Refused, match=rf"(?s){re.escape(clause)}.*{'.*'.join(map(re.escape, words))}")


def stage(world: Patrons, nth: int = 1) -> Stage:
    found: Stage = world.state(consent(nth)).stage
    return found


# ---- recorded and looked at


@pytest.mark.parametrize("form", ["adult", "guardian", "submission"])
def test_a_consent_is_recorded_and_looked_at_before_anything_rests_on_it(world: Patrons, form: str) -> None:
    assert world.records(form=form) == ["ConsentRecorded", "Asked"]
    assert (stage(world), world.state(consent()).waiting.persons) == (Stage.RECORDED, (MANAGER,))
    assert world.confirms() == ["ConsentActive"]
    assert (stage(world), world.state(consent()).waiting) == (Stage.ACTIVE, None)


def test_a_patron_records_their_own_and_nobody_elses(world: Patrons) -> None:
    web = record(obtained="web_form")
    assert names(world.by_patron(1, web, consent())) == ["ConsentRecorded", "Asked"]
    with pytest.raises(NoAuthority, match="nobody gives consent for someone else"):
        world.by_patron(2, web, consent(2))


def test_what_came_by_the_web_form_needs_no_file_and_paper_does(world: Patrons) -> None:
    world.by_patron(1, record(obtained="web_form"), consent())
    assert world.confirms(evidence=()) == ["ConsentActive"]
    world.records(2)
    with refused("PR-13", "the writing is not on file"):
        world.confirms(2, evidence=())


def test_a_guardian_records_for_the_minor(world: Patrons) -> None:
    facts = world.by_patron(101, record("guardian", obtained="web_form"), consent())
    assert names(facts) == ["ConsentRecorded", "Asked"]


def test_a_minors_consent_for_themself_is_refused(world: Patrons) -> None:
    for form in ("adult", "submission"):
        with refused("PU-3", "a minor cannot give this consent for themselves"):
            world.records(form=form, minor=True, of_age_in=date(2027, 5, 1))


def test_a_guardian_who_is_not_shown_to_be_one_confirms_nothing(world: Patrons) -> None:
    world.records(form="guardian")
    with refused("PU-3", "not shown that they are the guardian"):
        world.confirms(guardian_shown=False)


def test_nobody_is_their_own_guardian(world: Patrons) -> None:
    with refused("PU-3", "own guardian"):
        world.records(form="guardian", guardian=patron(1))


def test_an_adults_permission_with_a_guardian_is_refused(world: Patrons) -> None:
    with refused("PU-3"):
        world.records(guardian=patron(5))
    with refused("PU-3", "a guardian's permission is for a minor"):
        world.records(form="guardian", minor=False, of_age_in=None)


# born this month: of age in eighteen years' this month; a day of birth to come would be later
@pytest.mark.parametrize(
    ("of_age_in", "words"),
    [
        (date(2044, 4, 1), "still to come"),
        (date(2026, 3, 1), "has come of age"),
        (date(2025, 1, 1), "has come of age"),
        (date(2027, 5, 2), "in which month"),
        (None, "in which month"),
    ],
)
def test_a_month_of_coming_of_age_that_cannot_be_is_refused(world: Patrons, of_age_in: date | None, words: str) -> None:
    with refused("PU-3", words):
        world.records(form="guardian", of_age_in=of_age_in)


@pytest.mark.parametrize("of_age_in", [date(2026, 4, 1), date(2044, 3, 1)])
def test_the_first_and_the_last_month_that_can_be(world: Patrons, of_age_in: date) -> None:
    assert world.records(form="guardian", of_age_in=of_age_in) == ["ConsentRecorded", "Asked"]


def test_what_was_sent_in_is_named_and_has_one_basis(world: Patrons) -> None:
    with refused("PU-6", "it is not said what was sent in"):
        world.records(form="submission", contents=())
    world.has_consent(form="submission")
    with refused("PU-6", CONTENT, "rests on", consent()):
        world.records(2, form="submission", who=2)


def test_a_rejected_submission_leaves_the_content_to_another(world: Patrons) -> None:
    world.records(form="submission")
    world.says(MANAGER, RejectConsent(reason=sealed()), consent())
    assert world.records(2, form="submission", who=2) == ["ConsentRecorded", "Asked"]


def test_the_term_is_to_come_and_nothing_is_given_in_the_future(world: Patrons) -> None:
    today = world.library().today
    with refused("PR-13", "is over"):
        world.records(until=today)
    with refused("PR-13", "in the future"):
        world.records(given_at=world.at + A_MINUTE)
    assert world.records(until=today + timedelta(days=1), given_at=world.at) == ["ConsentRecorded", "Asked"]


def test_a_place_that_is_not_the_librarys_is_refused(world: Patrons) -> None:
    with refused("PR-13", "no place atlantis"):
        world.records(place="atlantis")


@pytest.mark.parametrize("by", [MANAGER, "p-bs-durant-1", CLERK, COORDINATOR])
def test_the_branch_and_headquarters_handle_it(world: Patrons, by: str) -> None:
    world.records()
    assert names(world.says(by, ConfirmConsent(shown=Shown.LIBRARY_CARD, evidence=(A_FILE,)), consent())) == [
        "ConsentActive"
    ]


@pytest.mark.parametrize("by", [ELSEWHERE, "p-auditor", "p-board", "p-nobody"])
def test_nobody_else_handles_it(world: Patrons, by: str) -> None:
    world.records()
    with pytest.raises(NoAuthority):
        world.says(by, ConfirmConsent(shown=Shown.LIBRARY_CARD, evidence=(A_FILE,)), consent())


def test_a_patron_confirms_nothing(world: Patrons) -> None:
    world.records()
    with pytest.raises(NoAuthority):
        world.does(consent(), ConfirmConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,)), as_patron(1))


def test_one_that_nobody_looks_at_expires_and_is_never_active_by_silence(world: Patrons) -> None:
    world.records()
    assert names(world.time_passes(consent(), days=31)) == [
        "Reminded", "Reminded", "Escalated", "BecameOverdue", "ConsentExpired"
    ]  # fmt: skip
    assert stage(world) is Stage.EXPIRED


# ---- the term


def test_a_written_permission_ends_after_the_librarys_term(world: Patrons) -> None:
    world.has_consent()
    assert world.state(consent()).until == datetime(2031, 3, 2, 16, tzinfo=UTC)
    world.at = datetime(2031, 3, 2, 16, tzinfo=UTC) - A_MINUTE
    assert world.time_passes(consent()) == ()
    assert names(world.time_passes(consent(), minutes=1)) == ["ConsentExpired"]


def test_the_persons_own_shorter_term_counts(world: Patrons) -> None:
    world.has_consent(until=date(2026, 4, 1))
    assert world.state(consent()).until == datetime(2026, 4, 1, 5, tzinfo=UTC)


def test_what_was_sent_in_has_no_end_but_the_persons_word(world: Patrons) -> None:
    world.has_consent(form="submission")
    assert world.state(consent()).until is None
    assert world.time_passes(consent(), days=20_000) == ()


# ---- coming of age


def test_a_guardians_permission_is_due_for_renewal_when_the_minor_comes_of_age(world: Patrons) -> None:
    world.has_consent(form="guardian")
    world.at = datetime(2027, 5, 1, 5, tzinfo=UTC) - A_MINUTE
    assert world.time_passes(consent()) == ()
    assert names(world.time_passes(consent(), minutes=1)) == ["RenewalFellDue", "Asked"]
    assert stage(world) is Stage.RENEWAL_DUE


def of_age(world: Patrons) -> Patrons:
    world.has_consent(form="guardian")
    world.at = datetime(2027, 5, 1, 5, tzinfo=UTC)
    world.time_passes(consent())
    return world


def test_it_is_renewed_by_the_persons_own_word(world: Patrons) -> None:
    of_age(world)
    assert names(world.says(MANAGER, RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,)), consent())) == [
        "ConsentRenewed"
    ]
    known = world.library().consent(consent())
    assert known is not None
    assert (stage(world), known.form, known.guardian) == (Stage.ACTIVE, "adult", None)


def test_a_renewal_that_nobody_gives_lets_it_expire(world: Patrons) -> None:
    of_age(world)
    made = names(world.time_passes(consent(), days=89))
    assert "ConsentExpired" not in made
    assert made[-1] == "BecameOverdue"
    assert names(world.time_passes(consent(), days=2)) == ["ConsentExpired"]


def test_a_changed_calendar_leaves_the_renewals_own_end(world: Patrons) -> None:
    of_age(world)
    assert world.looks_again(consent()) == ()


def test_who_has_left_is_asked_no_longer(world: Patrons) -> None:
    world.records()
    world.hr_says(MANAGER, active=False)
    assert names(world.looks_again(consent())) == ["TaskRerouted"]
    assert world.state(consent()).waiting.persons == ("p-ed",)


# ---- the notice at a program

STARTS, ENDS = datetime(2026, 3, 4, 16, tzinfo=UTC), datetime(2026, 3, 4, 18, tzinfo=UTC)
PROGRAM = Program(name="story-time", starts=STARTS, ends=ENDS)


def test_a_notice_counts_once_it_was_seen_before_and_during(world: Patrons) -> None:
    world.announces(1, PROGRAM)
    world.at = ENDS
    assert world.proves(1, When.BEFORE, STARTS - A_MINUTE) == ["NoticeProven"]
    assert stage(world) is Stage.RECORDED
    assert world.proves(1, When.DURING, STARTS) == ["NoticeProven", "ConsentActive"]


def test_in_the_other_order_too(world: Patrons) -> None:
    world.announces(1, PROGRAM)
    world.at = ENDS
    assert world.proves(1, When.DURING, ENDS) == ["NoticeProven"]
    assert world.proves(1, When.BEFORE, STARTS - A_MINUTE) == ["NoticeProven", "ConsentActive"]


@pytest.mark.parametrize(
    ("when", "seen_at", "words"),
    [
        (When.BEFORE, STARTS, "had begun"),
        (When.DURING, STARTS - A_MINUTE, "not within"),
        (When.DURING, ENDS + A_MINUTE, "not within"),
        (When.DURING, ENDS + timedelta(days=2), "still to come"),
    ],
)
def test_a_proof_from_another_time_is_none(world: Patrons, when: When, seen_at: datetime, words: str) -> None:
    world.announces(1, PROGRAM)
    world.at = ENDS + timedelta(days=1)
    with refused("PR-13", words):
        world.proves(1, when, seen_at)


def test_one_proof_twice_is_one(world: Patrons) -> None:
    world.announces(1, PROGRAM)
    world.at = ENDS
    world.proves(1, When.BEFORE, STARTS - A_MINUTE)
    with refused("PR-13", "proven for before already"):
        world.proves(1, When.BEFORE, STARTS - A_MINUTE)


def test_a_notice_is_not_confirmed_by_anybodys_word(world: Patrons) -> None:
    world.announces(1, PROGRAM)
    with refused("PR-13", "once it was seen before and during"):
        world.confirms()


def test_a_notice_names_nobody_and_only_it_names_a_program(world: Patrons) -> None:
    with refused("PR-13", "a notice is to everyone"):
        world.records(form="event_notice", program=PROGRAM)
    with refused("PR-13", "only a notice is for a program"):
        world.records(program=PROGRAM)
    with refused("PR-13", "ends before it begins"):
        world.announces(1, Program(name="x", starts=ENDS, ends=STARTS))


def test_opting_out_is_for_the_day(world: Patrons) -> None:
    world.announces(1, PROGRAM)
    with refused("PR-13", "opting out is for the day"):
        world.says(MANAGER, OptOut(patron=patron(3)), consent())
    world.at = ENDS + timedelta(hours=2)
    assert names(world.says(MANAGER, OptOut(patron=patron(3)), consent())) == ["OptedOut"]
    with refused("PR-13", "already"):
        world.says(MANAGER, OptOut(patron=patron(3)), consent())
    world.at = ENDS + timedelta(days=1)
    with refused("PR-13", "a revocation, afterwards"):
        world.says(MANAGER, OptOut(patron=patron(4)), consent())


# ---- what cannot follow


def test_nothing_follows_an_end(world: Patrons) -> None:
    world.records()
    world.says(MANAGER, RejectConsent(reason=sealed()), consent())
    with refused("PR-13", "the consent is rejected"):
        world.confirms()


def test_each_step_at_the_wrong_stage_is_refused_with_what_would_follow(world: Patrons) -> None:
    with refused("PR-13", "no consent has been recorded"):
        world.confirms()
    world.has_consent()
    with refused("PR-13", "ConfirmConsent does not follow active"):
        world.confirms()
    with refused("PR-13", "RenewConsent does not follow active"):
        world.says(MANAGER, RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,)), consent())


def test_nobody_hastens_time(world: Patrons) -> None:
    world.has_consent()
    with pytest.raises(NoAuthority):
        world.does(consent(), LetTimePass(), Actor(kind=ActorKind.PERSON, id="p-ed"))


def test_someone_who_was_forgotten_is_not_on_record_again(world: Patrons) -> None:
    world.record("erasure:1", [Forgotten(patron=patron(1))])
    with refused("PR-12", "was forgotten"):
        world.records()


def test_a_consent_may_be_limited_to_some_accounts(world: Patrons) -> None:
    world.has_consent(targets=(WEST,))
    world.has_picture(1, 1)
    world.gives(1, 1, consent())
    answer = world.may_use(picture(), DURANT)
    assert not answer.may
    assert [each.clauses for each in answer.against] == [("PR-13", "PR-14")]


def test_one_that_sleeps_is_woken_by_its_own_moments_and_by_what_is_recorded_alone(world: Patrons) -> None:
    """So that nobody asks it anew every few minutes of its years."""
    world.records(1)
    assert not world.state(consent(1)).asleep()
    world.confirms(1)
    assert world.state(consent(1)).asleep()
    assert world.state(consent(1)).next_due() is not None
    began, world.at = world.at, world.at + timedelta(days=4_000)
    assert world.looks_again(consent(1)) == ()
    world.at = began
    world.revokes(1, 1, consents=(consent(1),))
    assert names(world.looks_again(consent(1))) == ["ConsentRevoking", "ConsentRevoked"]


def test_one_that_waits_for_a_renewal_does_not_sleep(world: Patrons) -> None:
    world.has_consent(1, "guardian")
    assert world.state(consent(1)).asleep()
    world.time_passes(consent(1), days=430)
    assert (world.state(consent(1)).stage, world.state(consent(1)).asleep()) == (Stage.RENEWAL_DUE, False)
