from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.facts import NoAuthority, Refused
from domain.may_use import may_use
from domain.pages import PAGES
from domain.photo_permission_messages import Person, TakeBasis
from domain.policy import Role
from domain.revocation import Stage
from domain.revocation_messages import (
    AcceptRevocation,
    AskRevocation,
    Checked,
    CheckIdentity,
    ConfirmLetter,
    ConfirmRemoval,
    ConfirmTold,
    DeclineRevocation,
    How,
    NoteUse,
    PersonTold,
    Received,
    RecordImpossible,
    RemovalAsked,
    RevocationDeclined,
    UsesRemoved,
    WhyImpossible,
    WhyNot,
)
from domain.uses import EndUse, RecordUse
from domain.waiting import Asked, Due
from tests.domain.patrons import (
    CLERK,
    CONTENT,
    COORDINATOR,
    DIRECTOR,
    ELSEWHERE,
    MANAGER,
    PRINT,
    STAFF,
    Patrons,
    as_patron,
    consent,
    patron,
    picture,
    revocation,
)
from tests.domain.world import DURANT, names, sealed

A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> Patrons:
    return Patrons()


def refused(clause: str, *words: str) -> Any:
    return pytest.raises(Refused, match=rf"(?s){re.escape(clause)}.*{'.*'.join(map(re.escape, words))}")


def stage(world: Patrons, nth: int = 1) -> Stage:
    found: Stage = world.state(revocation(nth)).stage
    return found


def removes(world: Patrons, use: str, by: str = COORDINATOR, nth: int = 1) -> list[str]:
    return names(world.says(by, ConfirmRemoval(use=use), revocation(nth)))


def published(world: Patrons) -> tuple[str, str]:
    """A picture on an account and in print."""
    world.has_cleared_picture()
    return world.uses(picture()), world.uses(picture(), PRINT)


# ---- from asking to the letter


def test_from_asking_to_the_letter(world: Patrons) -> None:
    post, flyer = published(world)
    assert world.asks() == ["RevocationAsked", "Asked"]
    assert world.checks(consents=(consent(),)) == ["IdentityChecked", "Asked"]
    assert names(world.accepts()) == ["RevocationAccepted", "RemovalAsked", "RemovalAsked"]
    assert removes(world, post, MANAGER) == ["RemovalConfirmed"]
    assert removes(world, flyer) == ["RemovalConfirmed", "UsesRemoved", "RevocationCompleted"]
    assert stage(world) is Stage.COMPLETED


def test_who_asks_need_know_nothing(world: Patrons) -> None:
    ask = AskRevocation(patron=patron(77), received=Received.WEB_FORM, place="durant", what=sealed())
    assert names(world.by_patron(77, ask, revocation())) == ["RevocationAsked", "Asked"]
    with pytest.raises(NoAuthority, match="nobody asks this for someone else"):
        world.by_patron(78, ask, revocation(2))


def test_that_they_are_the_same_person_is_on_record(world: Patrons) -> None:
    world.has_consent()
    world.asks(who=77)
    (checked, _) = world.says(
        CLERK, CheckIdentity(checked=Checked.PHOTO_ID, on_record=patron(1), consents=(consent(),)), revocation()
    )
    assert (checked.model_dump()["asker"], checked.model_dump()["patron"]) == (patron(77), patron(1))


def test_where_nothing_stands_the_letter_is_written_at_once(world: Patrons) -> None:
    world.has_consent()
    assert names(world.revokes(consents=(consent(),))) == ["RevocationAccepted", "UsesRemoved", "RevocationCompleted"]


def test_without_an_address_the_letter_goes_by_post_first(world: Patrons) -> None:
    world.has_consent()
    world.asks(email=None)
    world.checks(consents=(consent(),))
    assert names(world.accepts()) == ["RevocationAccepted", "UsesRemoved", "Asked"]
    assert stage(world) is Stage.LETTER
    assert names(world.says(CLERK, ConfirmLetter(), revocation())) == ["LetterWritten", "RevocationCompleted"]


def test_the_letter_says_what_was_done_and_nothing_personal(world: Patrons) -> None:
    post, flyer = published(world)
    world.revokes(consents=(consent(),))
    removes(world, post)
    impossible = RecordImpossible(use=flyer, why=WhyImpossible.GIVEN_OUT_IN_PRINT, reason=sealed())
    facts = world.says(CLERK, impossible, revocation())
    (letter,) = (each for each in facts if isinstance(each, UsesRemoved))
    assert (letter.removed, letter.impossible) == (1, (WhyImpossible.GIVEN_OUT_IN_PRINT,))
    assert "Removed: 1." in letter.lines()
    assert any("cannot be called back" in line for line in letter.lines())
    asked = world.state(revocation()).said
    assert (letter.email, letter.sealed_in) == (asked.email, asked.sealed_in)


def test_a_declined_request_is_answered_too(world: Patrons) -> None:
    world.has_consent()
    world.asks()
    world.checks(consents=(consent(),))
    (declined,) = world.says(CLERK, DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=sealed()), revocation())
    assert isinstance(declined, RevocationDeclined)
    assert "could not be made sure" in declined.lines()[1]
    assert declined.email is not None
    assert stage(world) is Stage.DECLINED


def declined_without_mail(world: Patrons, received: str = "letter", **more: Any) -> Asked:
    """The task that follows, of which nobody is told by mail."""
    world.asks(received=received, email=None, **more)
    declined, asked = world.says(CLERK, DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=sealed()), revocation())
    assert isinstance(declined, RevocationDeclined)
    assert isinstance(asked, Asked)
    assert declined.email is None
    return asked


@pytest.mark.parametrize(
    ("received", "more", "way"),
    [
        ("letter", {}, "by letter"),
        ("letter", {"telephone": sealed()}, "by letter"),
        ("web_form", {"telephone": sealed()}, "by telephone"),
        ("web_form", {}, "when they come or call"),
    ],
)
def test_without_an_address_whoever_declines_is_asked_to_tell_them_as_they_came(
    world: Patrons, received: str, more: dict[str, Any], way: str
) -> None:
    asked = declined_without_mail(world, received, **more)
    assert (asked.persons, asked.place, asked.rests_on) == ((CLERK,), "hq", ("PU-6", "PR-15"))
    assert way in asked.to
    assert asked.escalates_to is Role.EXECUTIVE_DIRECTOR
    assert (stage(world), world.state(revocation()).closed()) == (Stage.TELLING, False)
    assert [each for each in asked.due if each.what is Due.EXPIRY] == []


def test_the_one_who_has_to_tell_is_reminded_and_it_never_ends_by_silence(world: Patrons) -> None:
    declined_without_mail(world)
    assert names(world.time_passes(revocation(), days=40)) == ["Reminded", "Reminded", "Escalated", "BecameOverdue"]
    assert world.time_passes(revocation(), days=400) == ()
    assert stage(world) is Stage.TELLING


def test_once_the_one_who_declined_is_gone_the_coordinator_tells_them(world: Patrons) -> None:
    declined_without_mail(world)
    world.hr_says(CLERK, active=False)
    (rerouted,) = world.looks_again(revocation())
    assert rerouted.model_dump()["persons"] == (COORDINATOR,)


@pytest.mark.parametrize("person", [CLERK, COORDINATOR, MANAGER, STAFF])
def test_headquarters_or_its_branch_tells_them_and_the_case_is_over(world: Patrons, person: str) -> None:
    declined_without_mail(world)
    (told,) = world.says(person, ConfirmTold(how=How.DESK), revocation())
    assert told == PersonTold(how=How.DESK, by=person)
    assert told.cites() == ("PU-6", "PR-15")
    assert (stage(world), world.state(revocation()).waiting) == (Stage.DECLINED, None)
    with refused("PU-6", "the case is declined"):
        world.says(person, ConfirmTold(how=How.DESK), revocation())


def test_nobody_of_another_branch_tells_them(world: Patrons) -> None:
    declined_without_mail(world)
    with pytest.raises(NoAuthority, match="only durant and headquarters"):
        world.says(ELSEWHERE, ConfirmTold(how=How.DESK), revocation())


def test_that_they_could_not_be_reached_needs_a_reason_and_nothing_else_takes_one(world: Patrons) -> None:
    declined_without_mail(world)
    with refused("PU-6, PR-15", "it is not said why"):
        world.says(CLERK, ConfirmTold(how=How.NOT_REACHED), revocation())
    with refused("PU-6, PR-15", "they were told"):
        world.says(CLERK, ConfirmTold(how=How.LETTER, reason=sealed()), revocation())
    assert names(world.says(CLERK, ConfirmTold(how=How.NOT_REACHED, reason=sealed()), revocation())) == ["PersonTold"]


def test_what_is_not_declined_without_mail_needs_no_telling(world: Patrons) -> None:
    world.asks()
    with refused("PU-6", "ConfirmTold does not follow identity check"):
        world.says(CLERK, ConfirmTold(how=How.DESK), revocation())


def test_what_was_declined_before_there_was_such_a_task_is_over(world: Patrons) -> None:
    declined_without_mail(world)
    *before, _ = world.streams[revocation()]
    page = PAGES["revocation"]
    assert page.fold(page.initial(revocation()), before).model_dump()["stage"] == Stage.DECLINED


# ---- nothing new from the acceptance on


def test_until_it_is_accepted_the_use_goes_on_and_from_then_on_it_does_not(world: Patrons) -> None:
    world.has_cleared_picture()
    world.asks()
    world.checks(consents=(consent(),))
    world.uses(picture())
    world.accepts()
    with refused("PU-6", "revoked", consent(), revocation()):
        world.uses(picture(), PRINT)


def test_a_use_of_the_same_instant_is_found_or_refused(world: Patrons) -> None:
    """Whichever is recorded first: the second is decided on what the first made so."""
    world.has_cleared_picture()
    world.asks()
    world.checks(consents=(consent(),))
    use = world.uses(picture())
    accepted = world.accepts()
    assert [each.use for each in accepted if isinstance(each, RemovalAsked)] == [use]
    with refused("PU-6"):
        world.uses(picture())


def test_the_use_and_the_acceptance_read_and_touch_the_same_scopes(world: Patrons) -> None:
    """So that in the ledger neither is recorded on what the other has changed."""
    world.has_cleared_picture()
    for_the_use, for_the_acceptance = world.library(), world.library()
    answer = may_use(picture(), DURANT, for_the_use)
    for_the_acceptance.uses_of((consent(),), (picture(),))
    (used,) = world.says(STAFF, RecordUse(used=answer.content, target=DURANT), "uses")
    (accepted, *_) = world.revokes(consents=(consent(),), pictures=(picture(),))
    assert set(accepted.touches()) <= for_the_use.read
    assert set(used.touches()) <= for_the_acceptance.read
    assert len(accepted.touches()) == len(used.touches()) == 2


def test_the_consent_follows_its_revocation(world: Patrons) -> None:
    post, flyer = published(world)
    world.asks()
    world.checks(consents=(consent(),))
    assert names(world.looks_again(consent())) == ["RevocationKnown"]
    world.accepts()
    assert names(world.looks_again(consent())) == ["ConsentRevoking"]
    assert world.looks_again(consent()) == ()
    removes(world, post)
    removes(world, flyer)
    assert names(world.looks_again(consent())) == ["ConsentRevoked"]
    assert world.state(consent()).stage == "revoked"


def test_a_declined_revocation_leaves_the_consent_as_it_was(world: Patrons) -> None:
    world.has_consent()
    world.asks()
    world.checks(consents=(consent(),))
    world.looks_again(consent())
    world.says(CLERK, DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=sealed()), revocation())
    assert names(world.looks_again(consent())) == ["ConsentKept"]
    assert world.state(consent()).stage == "active"


def test_one_that_is_carried_out_before_the_consent_looked_comes_to_its_end_at_once(world: Patrons) -> None:
    world.has_consent()
    world.revokes(consents=(consent(),))
    assert names(world.looks_again(consent())) == ["ConsentRevoking", "ConsentRevoked"]


def test_the_picture_is_blocked_by_it(world: Patrons) -> None:
    world.has_cleared_picture()
    world.revokes(consents=(consent(),))
    assert names(world.looks_again(picture())) == ["PictureBlocked", "Asked"]


# ---- hard cases, all decided


def test_two_people_revoke_one_picture(world: Patrons) -> None:
    world.has_consent(1, who=1)
    world.has_consent(2, who=2)
    world.has_picture(1, 1, 2)
    world.gives(1, 1, consent(1))
    world.gives(1, 2, consent(2))
    use = world.uses(picture())
    world.revokes(1, 1, consents=(consent(1),))
    second = world.revokes(2, 2, consents=(consent(2),))
    assert [each.use for each in second if isinstance(each, RemovalAsked)] == [use]
    assert "RevocationCompleted" in removes(world, use)
    assert names(world.looks_again(revocation(2))) == ["UseGone", "UsesRemoved", "RevocationCompleted"]


def test_one_of_an_expired_consent_still_takes_down_what_stands(world: Patrons) -> None:
    post, flyer = published(world)
    world.time_passes(consent(), days=365 * 6)
    assert world.state(consent()).stage == "expired"
    facts = world.revokes(consents=(consent(),))
    assert [each.use for each in facts if isinstance(each, RemovalAsked)] == [post, flyer]


def test_one_of_a_consent_that_is_revoked_already_is_told_where(world: Patrons) -> None:
    world.has_consent()
    world.revokes(consents=(consent(),))
    world.asks(2)
    with refused("PU-6", "was revoked before", revocation()):
        world.checks(2, consents=(consent(),))
    assert names(world.says(CLERK, DeclineRevocation(why=WhyNot.REVOKED_BEFORE, reason=sealed()), revocation(2))) == [
        "RevocationDeclined"
    ]


def test_one_that_is_being_asked_in_another_case_is_told_where(world: Patrons) -> None:
    world.has_consent()
    world.asks()
    world.checks(consents=(consent(),))
    world.asks(2)
    with refused("PU-6", "is being revoked", revocation()):
        world.checks(2, consents=(consent(),))


def test_a_guardian_asks_for_a_minor_and_not_once_they_are_of_age(world: Patrons) -> None:
    world.has_consent(form="guardian")
    world.asks(who=101)
    world.at = datetime(2027, 5, 1, 5, tzinfo=UTC) - A_MINUTE
    assert world.checks(who=101, consents=(consent(),)) == ["IdentityChecked", "Asked"]
    world.asks(2, who=101)
    world.at += A_MINUTE
    world.says(CLERK, DeclineRevocation(why=WhyNot.NOT_THEIRS_TO_ASK, reason=sealed()), revocation())
    with refused("PU-3", "has come of age"):
        world.checks(2, who=101, consents=(consent(),))
    assert world.checks(2, who=1, consents=(consent(),)) == ["IdentityChecked", "Asked"]


def test_someone_elses_consent_and_none_at_all_are_refused_in_the_same_words(world: Patrons) -> None:
    world.has_consent()
    world.asks(who=2)
    said = []
    for id_ in (consent(1), consent(9)):
        with pytest.raises(Refused) as caught:
            world.checks(who=2, consents=(id_,))
        said.append(caught.value.because.replace(id_, "ID"))
    assert said[0] == said[1]


def test_under_a_notice_a_person_revokes_for_the_picture(world: Patrons) -> None:
    notice = world.has_notice(1)
    world.has_picture(1, 1, 2)
    world.gives(1, 1, notice)
    world.gives(1, 2, notice)
    use = world.uses(picture())
    facts = world.revokes(who=1, pictures=(picture(),))
    assert [each.use for each in facts if isinstance(each, RemovalAsked)] == [use]
    with refused("PU-6", "revoked the use of this content"):
        world.uses(picture())
    world.uses(picture(), hiding=(patron(1),))


def test_a_new_permission_after_that_stands(world: Patrons) -> None:
    world.has_cleared_picture()
    world.revokes(pictures=(picture(),))
    assert not world.may_use(picture()).may
    world.at += A_MINUTE
    world.looks_again(picture())
    world.says(STAFF, TakeBasis(patron=patron(1), reason=sealed()), picture())
    with refused("PU-6", "revoked the use"):
        world.gives(1, 1, consent(1))
    world.has_consent(2)
    assert world.gives(1, 1, consent(2)) == ["PermissionGiven", "PictureCleared"]


def test_a_picture_they_are_not_in_is_refused(world: Patrons) -> None:
    world.has_picture(1, 2)
    world.asks()
    with refused("PR-13", "is not in", picture()):
        world.checks(pictures=(picture(),))


def test_use_of_a_picture_in_which_they_were_hidden_stays(world: Patrons) -> None:
    world.has_consent(1, who=1)
    world.has_consent(2, who=2)
    world.has_picture(1, 1, 2)
    world.gives(1, 1, consent(1))
    world.gives(1, 2, consent(2))
    world.uses(picture(), hiding=(patron(1),))
    assert names(world.revokes(who=1, consents=(consent(1),))) == [
        "RevocationAccepted", "UsesRemoved", "RevocationCompleted"
    ]  # fmt: skip


def test_what_is_checked_anew_takes_the_place_of_what_was_found_first(world: Patrons) -> None:
    world.has_consent(1)
    world.has_consent(2)
    world.asks()
    world.checks(consents=(consent(1),))
    assert world.checks(consents=(consent(2),)) == ["RevocationRestated", "IdentityChecked", "Asked"]
    world.accepts()
    known = world.library().consent(consent(1))
    assert known is not None
    assert (known.asked_in, known.accepted_in) == ("", "")


# ---- removals: a task for each use


def test_each_use_is_a_task_of_the_accounts_administrators_and_print_of_the_coordinator(world: Patrons) -> None:
    published(world)
    world.revokes(consents=(consent(),))
    tasks = {each.target: each.wait.persons for each in world.state(revocation()).removals}
    assert tasks == {DURANT: ("p-mac", MANAGER), PRINT: (COORDINATOR,)}


def test_a_removal_is_escalated_at_five_business_days_and_at_ten(world: Patrons) -> None:
    world.has_cleared_picture()
    world.uses(picture())
    world.revokes(consents=(consent(),))
    fifth, tenth = datetime(2026, 3, 9, 15, tzinfo=UTC), datetime(2026, 3, 16, 15, tzinfo=UTC)
    world.at = fifth - A_MINUTE
    assert names(world.time_passes(revocation())) == ["RemovalReminded", "RemovalReminded"]
    (first,) = world.time_passes(revocation(), minutes=1)
    assert (first.model_dump()["persons"], first.model_dump()["nth"]) == ((COORDINATOR,), 1)
    world.at = tenth - A_MINUTE
    assert world.time_passes(revocation()) == ()
    (second,) = world.time_passes(revocation(), minutes=1)
    assert (second.model_dump()["persons"], second.model_dump()["nth"]) == ((DIRECTOR,), 2)
    assert world.time_passes(revocation(), days=400) == ()
    assert stage(world) is Stage.REMOVING


def test_what_is_removed_is_not_reminded_of(world: Patrons) -> None:
    post, _ = published(world)
    world.revokes(consents=(consent(),))
    removes(world, post)
    made = world.time_passes(revocation(), days=10)
    assert {each.model_dump()["use"] for each in made} == {
        each.use for each in world.state(revocation()).open_removals()
    }


@pytest.mark.parametrize("by", [STAFF, ELSEWHERE])
def test_only_administrators_and_headquarters_confirm(world: Patrons, by: str) -> None:
    world.has_cleared_picture()
    use = world.uses(picture())
    world.revokes(consents=(consent(),))
    with pytest.raises(NoAuthority):
        removes(world, use, by)


def test_a_removal_is_confirmed_once(world: Patrons) -> None:
    post, _ = published(world)
    world.revokes(consents=(consent(),))
    removes(world, post)
    with refused("PU-6", "no removal of", "is open"):
        removes(world, post)


def test_when_the_administrators_change_the_task_goes_along(world: Patrons) -> None:
    world.has_cleared_picture()
    world.uses(picture())
    world.revokes(consents=(consent(),))
    world.hr_says(MANAGER, active=False)
    assert names(world.looks_again(revocation())) == ["RemovalRerouted"]
    assert world.state(revocation()).removals[0].wait.persons == ("p-mac",)


def test_a_use_that_ends_in_the_register_is_gone_here(world: Patrons) -> None:
    world.has_cleared_picture()
    use = world.uses(picture())
    world.revokes(consents=(consent(),))
    world.says(STAFF, EndUse(use=use), "uses")
    assert names(world.looks_again(revocation())) == ["UseGone", "UsesRemoved", "RevocationCompleted"]


def test_a_use_that_was_never_on_record_is_noted_and_removed(world: Patrons) -> None:
    published(world)
    world.revokes(consents=(consent(),))
    note = NoteUse(used=picture(), target="account:myspace:durant", where=sealed())
    assert names(world.says(STAFF, note, revocation())) == ["UseFound", "RemovalAsked"]
    assert world.state(revocation()).removals[-1].wait.persons == (COORDINATOR,)
    with refused("PU-6", "not about"):
        world.says(STAFF, NoteUse(used=CONTENT, target=DURANT), revocation())


def test_what_was_sent_in_is_revoked_like_a_picture(world: Patrons) -> None:
    world.has_consent(form="submission")
    use = world.uses(CONTENT)
    facts = world.revokes(consents=(consent(),))
    assert [each.use for each in facts if isinstance(each, RemovalAsked)] == [use]
    removes(world, use)
    world.looks_again(consent())
    assert world.records(2, form="submission", who=1) == ["ConsentRecorded", "Asked"]


# ---- who may


@pytest.mark.parametrize("by", [MANAGER, STAFF, "p-auditor"])
def test_only_headquarters_accepts(world: Patrons, by: str) -> None:
    world.has_consent()
    world.asks()
    world.checks(consents=(consent(),))
    with pytest.raises(NoAuthority):
        world.says(by, AcceptRevocation(), revocation())


def test_a_patron_accepts_nothing(world: Patrons) -> None:
    world.has_consent()
    world.asks()
    world.checks(consents=(consent(),))
    with pytest.raises(NoAuthority):
        world.does(revocation(), AcceptRevocation(), as_patron(1))


def test_a_request_that_nobody_looks_at_never_expires(world: Patrons) -> None:
    world.asks()
    assert names(world.time_passes(revocation(), days=400)) == ["Reminded", "Reminded", "Escalated", "BecameOverdue"]
    assert stage(world) is Stage.IDENTITY_CHECK


def test_nothing_is_accepted_before_it_is_known_who_asks(world: Patrons) -> None:
    world.asks()
    with refused("PU-6", "does not follow identity check"):
        world.accepts()


def test_nothing_follows_the_end(world: Patrons) -> None:
    world.has_consent()
    world.revokes(consents=(consent(),))
    with refused("PU-6", "the case is completed"):
        world.accepts()


def test_an_identity_check_for_nothing_is_refused(world: Patrons) -> None:
    world.asks()
    with refused("PU-6", "for what they ask"):
        world.checks()


def test_a_person_in_many_pictures(world: Patrons) -> None:
    world.has_consent(1)
    uses = []
    for nth in range(1, 4):
        world.has_picture(nth, Person(patron=patron(1), who=sealed()))
        world.gives(nth, 1, consent(1))
        uses.append(world.uses(picture(nth)))
    facts = world.revokes(consents=(consent(1),))
    assert [each.use for each in facts if isinstance(each, RemovalAsked)] == uses
