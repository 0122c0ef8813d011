from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.consent_messages import OptOut
from domain.facts import NoAuthority, Refused
from domain.in_force import PatronForgotten
from domain.photo_permission import Stage
from domain.photo_permission_messages import (
    AddPicture,
    GiveBasis,
    IdentifyPerson,
    Person,
    SetPictureAside,
    TakeBasis,
    Taken,
    TakePictureIn,
)
from domain.uses import EndUse, RecordUse
from tests.domain.patrons import (
    A_FILE,
    CONTENT,
    COORDINATOR,
    ELSEWHERE,
    MANAGER,
    PRINT,
    STAFF,
    TAKEN,
    Patrons,
    consent,
    patron,
    picture,
)
from tests.domain.world import DURANT, WEST, names, sealed


class Forgotten(PatronForgotten, kind="tests.ForgottenByAPicture"):
    """As an erasure tells it."""


@pytest.fixture
def world() -> Patrons:
    return Patrons()


def refused(clause: str, *words: str) -> Any:
    return pytest.raises(Refused, match=rf"(?s){re.escape(clause)}.*{'.*'.join(map(re.escape, words))}")


def stage(world: Patrons, nth: int = 1) -> Stage:
    found: Stage = world.state(picture(nth)).stage
    return found


def child(nth: int, **more: Any) -> Person:
    return Person(patron=patron(nth), minor=True, who=sealed(), **more)


# ---- taken in


def test_a_picture_is_awaited_and_then_judged(world: Patrons) -> None:
    take = TakePictureIn(taken_at=world.at, taken_by=STAFF, place="durant")
    assert names(world.says(STAFF, take, picture())) == ["PictureTakenIn", "Asked"]
    assert world.state(picture()).waiting.persons == (STAFF,)
    assert names(world.says(STAFF, AddPicture(evidence=(A_FILE,), taken=TAKEN), picture())) == [
        "PictureAdded", "PictureCleared"
    ]  # fmt: skip


def test_a_picture_of_people_is_blocked_until_each_has_a_basis(world: Patrons) -> None:
    world.has_picture(1, 1, 2)
    assert stage(world) is Stage.BLOCKED
    world.has_consent(1, who=1)
    world.has_consent(2, who=2)
    assert world.gives(1, 1, consent(1)) == ["PermissionGiven", "PicturePartlyUsable"]
    assert world.gives(1, 2, consent(2)) == ["PermissionGiven", "PictureCleared"]
    assert (stage(world), world.state(picture()).waiting) == (Stage.CLEARED, None)


@pytest.mark.parametrize(
    ("width", "height", "passes"), [(8000, 5000, True), (8001, 5000, False), (10_000, 6000, False)]
)
def test_a_picture_of_more_pixels_than_the_setting_is_refused(
    world: Patrons, width: int, height: int, passes: bool
) -> None:
    world.says(STAFF, TakePictureIn(taken_at=world.at, taken_by=STAFF, place="durant"), picture())
    add = AddPicture(evidence=(A_FILE,), taken=Taken(format="JPEG", width=width, height=height, had_location=False))
    if passes:
        assert names(world.says(STAFF, add, picture())) == ["PictureAdded", "PictureCleared"]
    else:
        with refused("PR-13", "40 million pixels", "smaller"):
            world.says(STAFF, add, picture())


def test_what_cannot_be_taken_in(world: Patrons) -> None:
    with refused("PR-13", "twice"):
        world.has_picture(1, 1, 1)
    with refused("PR-13", "in the future"):
        world.has_picture(1, taken_at=world.at + timedelta(seconds=1))
    with refused("PR-14", "nobody of the directory"):
        world.has_picture(1, taken_by="p-nobody")
    with refused("PR-13", "no place"):
        world.has_picture(1, place="atlantis")


def test_someone_who_was_forgotten_is_in_no_picture_again(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.record("erasure:2", [Forgotten(patron=patron(2))])
    with refused("PR-12", f"patron {patron(2)} was forgotten", "a new one"):
        world.says(STAFF, IdentifyPerson(person=Person(patron=patron(2), who=sealed())), picture(1))
    with refused("PR-12", "was forgotten"):
        world.has_picture(2, 2)
    seen, *_ = world.says(STAFF, IdentifyPerson(person=Person(patron=patron(3), who=sealed())), picture(1))
    assert names((seen,)) == ["PersonIdentified"]


def test_one_that_never_came_is_given_up_and_a_blocked_one_never(world: Patrons) -> None:
    world.says(STAFF, TakePictureIn(taken_at=world.at, taken_by=STAFF, place="durant"), picture())
    assert names(world.time_passes(picture(), days=31))[-1] == "PictureNeverCame"
    world.has_picture(2, 1)
    assert names(world.time_passes(picture(2), days=400)) == ["Reminded", "Reminded", "Escalated", "BecameOverdue"]
    assert world.time_passes(picture(2), days=400) == ()
    assert stage(world, 2) is Stage.BLOCKED


def test_when_whoever_took_it_leaves_the_manager_is_asked(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.hr_says(STAFF, active=False)
    assert names(world.looks_again(picture())) == ["TaskRerouted"]
    assert world.state(picture()).waiting.persons == (MANAGER,)


@pytest.mark.parametrize("by", [ELSEWHERE, "p-auditor", "p-board"])
def test_nobody_from_elsewhere_handles_it(world: Patrons, by: str) -> None:
    world.has_picture(1, 1)
    with pytest.raises(NoAuthority):
        world.says(by, IdentifyPerson(person=Person(patron=patron(2), who=sealed())), picture())


# ---- exactly one basis each


def test_nobody_has_two_bases(world: Patrons) -> None:
    world.has_cleared_picture()
    world.has_consent(2, who=1)
    with refused("PR-13", patron(1), "has a basis", consent(1)):
        world.gives(1, 1, consent(2))
    assert names(world.says(STAFF, TakeBasis(patron=patron(1), reason=sealed()), picture())) == [
        "PermissionTaken", "PictureBlocked", "Asked"
    ]  # fmt: skip
    assert world.gives(1, 1, consent(2)) == ["PermissionGiven", "PictureCleared"]


def test_someone_seen_later_takes_the_clearance_away(world: Patrons) -> None:
    world.has_cleared_picture()
    seen = world.says(STAFF, IdentifyPerson(person=Person(patron=patron(2), who=sealed())), picture())
    assert names(seen) == ["PersonIdentified", "PicturePartlyUsable"]
    assert not world.may_use(picture()).may


def test_a_basis_for_nobody_in_the_picture_is_refused(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.has_consent(2, who=2)
    with refused("PR-13", "nobody who was recognised"):
        world.gives(1, 2, consent(2))


def test_someone_elses_consent_is_no_basis(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.has_consent(2, who=2)
    with refused("PR-13", "did not give"):
        world.gives(1, 1, consent(2))


def test_a_consent_that_nobody_has_looked_at_is_no_basis(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.records()
    with refused("PR-13", "which is recorded"):
        world.gives(1, 1, consent())


def test_a_minor_needs_a_guardians_permission(world: Patrons) -> None:
    world.has_picture(1, child(1))
    world.has_consent(1, who=1)
    with refused("PU-3", "no guardian's"):
        world.gives(1, 1, consent(1))
    world.has_consent(2, form="guardian", who=1)
    assert world.gives(1, 1, consent(2)) == ["PermissionGiven", "PictureCleared"]


def test_a_consent_for_other_content_is_no_basis(world: Patrons) -> None:
    world.has_picture(1, 1)
    world.has_consent(1, contents=(picture(2),))
    with refused("PR-13", "for other content"):
        world.gives(1, 1, consent(1))


def test_the_picture_follows_when_its_consent_ends(world: Patrons) -> None:
    world.has_consent(1, until=date(2026, 4, 1))
    world.has_picture(1, 1)
    world.gives(1, 1, consent(1))
    world.time_passes(consent(), days=60)
    assert names(world.looks_again(picture())) == ["PictureBlocked", "Asked"]


# ---- a program under a notice


def test_a_notice_covers_those_in_pictures_taken_within_the_program(world: Patrons) -> None:
    notice = world.has_notice(1)
    world.has_picture(1, 1, child(2))
    assert world.gives(1, 1, notice) == ["PermissionGiven", "PicturePartlyUsable"]
    assert world.gives(1, 2, notice) == ["PermissionGiven", "PictureCleared"]


@pytest.mark.parametrize("hours", [-1.02, 1.02])
def test_a_picture_from_before_or_after_the_program_is_not_covered(world: Patrons, hours: float) -> None:
    program_at = world.at
    notice = world.has_notice(1)
    world.at += timedelta(hours=3)
    world.has_picture(1, 1, taken_at=program_at + timedelta(hours=hours))
    with refused("PR-13", "outside the program"):
        world.gives(1, 1, notice)


def test_a_picture_from_another_place_is_not_covered(world: Patrons) -> None:
    notice = world.has_notice(1)
    world.has_picture(1, 1, by=COORDINATOR, place="west")
    with refused("PR-13", "outside the program"):
        world.says(COORDINATOR, GiveBasis(patron=patron(1), consent=notice), picture())


def test_who_opted_out_on_the_day_is_not_covered(world: Patrons) -> None:
    notice = world.has_notice(1)
    world.has_picture(1, 1)
    world.gives(1, 1, notice)
    world.says(MANAGER, OptOut(patron=patron(1)), consent(1))
    assert not world.may_use(picture()).may
    assert names(world.looks_again(picture())) == ["PictureBlocked", "Asked"]


def test_a_picture_that_singles_out_a_minor_needs_the_guardian(world: Patrons) -> None:
    notice = world.has_notice(1)
    world.has_picture(1, child(1, singled_out=True), Person(patron=patron(2), singled_out=True, who=sealed()))
    with refused("PR-13", "singles out"):
        world.gives(1, 1, notice)
    assert world.gives(1, 2, notice) == ["PermissionGiven", "PicturePartlyUsable"]


def test_that_is_a_setting(world: Patrons) -> None:
    policy = world.register.policies[0][1]
    off = policy.settings.singled_out_minor_needs_guardian.model_copy(update={"value": False})
    settings = policy.settings.model_copy(update={"singled_out_minor_needs_guardian": off})
    world.register.policies[0] = (world.register.policies[0][0], policy.model_copy(update={"settings": settings}))
    notice = world.has_notice(1)
    world.has_picture(1, child(1, singled_out=True))
    assert world.gives(1, 1, notice) == ["PermissionGiven", "PictureCleared"]


# ---- uses


def test_a_cleared_picture_is_used_on_an_account_and_in_print(world: Patrons) -> None:
    world.has_cleared_picture()
    for target in (DURANT, PRINT):
        world.uses(picture(), target)
    assert [each.target for each in world.library().uses_of(contents=(picture(),))] == [DURANT, PRINT]


def test_a_use_says_whose_consent_stands_behind_it(world: Patrons) -> None:
    world.has_cleared_picture()
    (used,) = world.says(STAFF, RecordUse(used=picture(), target=DURANT), "uses")
    assert used.model_dump()["bases"] == ({"patron": patron(1), "consent": consent(1)},)


def test_a_partly_usable_picture_is_used_once_the_others_are_hidden(world: Patrons) -> None:
    world.has_picture(1, 1, 2)
    world.has_consent(1, who=1)
    world.gives(1, 1, consent(1))
    with refused("PR-13", patron(2), "has no basis"):
        world.uses(picture())
    assert world.may_use(picture()).partly
    world.uses(picture(), hiding=(patron(2),))


def test_a_refused_use_names_everything_that_stands_against_it(world: Patrons) -> None:
    world.has_picture(1, 1, 2)
    with refused("PR-14", "no account of the library's", patron(1), patron(2)):
        world.uses(picture(), WEST)


def test_what_was_sent_in_is_used_while_its_consent_stands(world: Patrons) -> None:
    world.records(form="submission")
    with refused("PR-13", "which is recorded"):
        world.uses(CONTENT)
    world.confirms()
    world.uses(CONTENT)


def test_unknown_content_and_a_closed_account_are_refused(world: Patrons) -> None:
    with refused("PR-13", "no content content:x"):
        world.uses("content:x")
    world.has_cleared_picture()
    world.closes(DURANT)
    with refused("PR-14", "is closed"):
        world.uses(picture())


@pytest.mark.parametrize("target", ["https://example.org/page", "friends-of-durant", "account:", "print:A B", "x:y"])
def test_no_other_place_can_be_named(target: str) -> None:
    with pytest.raises(ValidationError):
        RecordUse(used=CONTENT, target=target)


@pytest.mark.parametrize("by", ["p-auditor", "p-board", "p-nobody"])
def test_only_staff_record_a_use(world: Patrons, by: str) -> None:
    world.has_cleared_picture()
    with pytest.raises(NoAuthority):
        world.uses(picture(), by=by)


def test_a_picture_that_is_shown_is_not_set_aside(world: Patrons) -> None:
    world.has_cleared_picture()
    use = world.uses(picture())
    with refused("PR-13", "is shown on", DURANT):
        world.says(STAFF, SetPictureAside(reason=sealed()), picture())
    assert names(world.says(STAFF, EndUse(use=use), "uses")) == ["UseEnded"]
    assert names(world.says(STAFF, SetPictureAside(reason=sealed()), picture())) == ["PictureSetAside"]
    assert not world.may_use(picture()).may


def test_a_use_ends_once(world: Patrons) -> None:
    world.has_cleared_picture()
    use = world.uses(picture())
    world.says(STAFF, EndUse(use=use), "uses")
    for ended in (use, "command-0"):
        with refused("PR-14", "no use", "stands"):
            world.says(STAFF, EndUse(use=ended), "uses")
