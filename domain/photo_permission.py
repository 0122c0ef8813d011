"""A picture of people: taken in, who can be recognised in it, and whose permission stands behind each of them.

PR-13: everyone who can be recognised has given written permission, a guardian for a minor; or the picture was taken at
a program under a public notice. Exactly one basis each. PR-14: it is for the library's own pages and print, and there
is no word here for anywhere else.
"""

from __future__ import annotations

from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING

from domain.clauses import PR_12, PR_13, PR_14
from domain.facts import Act, Command, Decision, Fact, Page, Refused, State, every_one_of
from domain.may_use import against_the_basis
from domain.patron_basis import Identifiable, a_place_of_the_library
from domain.patron_register import Content
from domain.photo_permission_messages import (
    MOST_PERSONS,
    AddPicture,
    GiveBasis,
    IdentifyPerson,
    PermissionGiven,
    PermissionTaken,
    PersonIdentified,
    PictureAdded,
    PictureBlocked,
    PictureCleared,
    PictureNeverCame,
    PicturePartlyUsable,
    PictureSetAside,
    PictureTakenIn,
    SetPictureAside,
    TakeBasis,
    Taken,
    TakePictureIn,
)
from domain.policy import Role
from domain.steps import does_not_follow
from domain.waiting import (
    Asked,
    Due,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    due_moments,
    evolve_wait,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_staff, only_staff_who_handle_it, only_the_system

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "photo_permission"
A_MILLION = 1_000_000


class Stage(StrEnum):
    NOT_TAKEN_IN = auto()
    AWAITING_PICTURE = auto()
    BLOCKED = auto()
    PARTLY = auto()
    CLEARED = auto()
    SET_ASIDE = auto()
    NEVER_CAME = auto()


OVER = (Stage.SET_ASIDE, Stage.NEVER_CAME)


class PhotoCase(State):
    stage: Stage = Stage.NOT_TAKEN_IN
    taken_in: PictureTakenIn | None = None
    picture: PictureAdded | None = None
    persons: tuple[Identifiable, ...] = ()
    bases: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    waiting: Wait | None = None
    requester: str = ""
    content: str = ""

    @property
    def held(self) -> PictureTakenIn:
        if self.taken_in is None:
            raise LookupError(f"{self.case} has no picture yet")
        return self.taken_in

    @property
    def handled_at(self) -> str:
        """Where what is sealed in it may be read, beside headquarters."""
        return self.taken_in.place if self.taken_in else ""

    def concerned(self) -> tuple[str, ...]:
        """Patrons under whose keys everything of this case is sealed."""
        return tuple(each.patron for each in self.persons)

    def closed(self) -> bool:
        return self.stage in OVER

    def basis_of(self, patron: str) -> str:
        return dict(self.bases).get(patron, "")

    def search(self) -> dict[str, str]:
        """What a case can be looked up by in Temporal. Nothing here may be personal."""
        if self.taken_in is None:
            return {}
        waiting_for = self.waiting.role.value if self.waiting else ""
        return {"Branch": self.taken_in.place, "Account": "", "WaitingFor": waiting_for}


def decide(act: Act, case: PhotoCase, library: Library) -> Decision:
    match act.command, case.stage:
        case TakePictureIn() as take, Stage.NOT_TAKEN_IN:
            authority = only_staff(act, PR_14, library)
            what_is_taken_in_can_be(take, library)
            taken_in = as_taken_in(take, act)
            to = "add the picture, as the intake leaves it"
            return Decision((taken_in, ask_whoever_took_it(taken_in, to, library)), authority)

        case AddPicture() as add, Stage.AWAITING_PICTURE:
            authority = only_staff_who_handle_it(act, "picture", case.held.place, PR_14, library)
            no_larger_than_can_be_looked_at(add.taken, library)
            added = add.becomes(PictureAdded, picture=case.case)
            return Decision((added, *judged_anew(evolve(case, added), library)), authority)

        case IdentifyPerson(person=person), Stage.BLOCKED | Stage.PARTLY | Stage.CLEARED:
            authority = only_staff_who_handle_it(act, "picture", case.held.place, PR_14, library)
            each_person_once((*case.persons, person))
            nobody_who_was_forgotten((person,), library)
            seen = PersonIdentified(picture=case.case, person=plain(person), who=person.who)
            return Decision((seen, *judged_anew(evolve(case, seen), library)), authority)

        case GiveBasis() as give, Stage.BLOCKED | Stage.PARTLY | Stage.CLEARED:
            authority = only_staff_who_handle_it(act, "picture", case.held.place, PR_14, library)
            exactly_one_basis(give, case)
            the_basis_stands(give, case, library)
            given = give.becomes(PermissionGiven, picture=case.case)
            return Decision((given, *judged_anew(evolve(case, given), library)), authority)

        case TakeBasis() as take, Stage.BLOCKED | Stage.PARTLY | Stage.CLEARED:
            authority = only_staff_who_handle_it(act, "picture", case.held.place, PR_14, library)
            there_is_one_to_take(take, case)
            taken = take.becomes(PermissionTaken, picture=case.case)
            return Decision((taken, *judged_anew(evolve(case, taken), library)), authority)

        case SetPictureAside() as aside, Stage.AWAITING_PICTURE | Stage.BLOCKED | Stage.PARTLY | Stage.CLEARED:
            authority = only_staff_who_handle_it(act, "picture", case.held.place, PR_14, library)
            it_is_shown_nowhere(case, library)
            return Decision((aside.becomes(PictureSetAside, picture=case.case),), authority)

        case LetTimePass(), _:
            only_the_system(act, PR_13)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_system(act, PR_13)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_TAKEN_IN:
            raise Refused(PR_13, "no picture has been taken in under this case", "send TakePictureIn first")

        case _, Stage.SET_ASIDE | Stage.NEVER_CAME:
            raise Refused(PR_13, "the picture was set aside", "take it in anew")

        case command, stage:
            raise does_not_follow(PR_13, command, stage, FOLLOWS)


ONCE_IT_IS_THERE: tuple[type[Command], ...] = (IdentifyPerson, GiveBasis, TakeBasis, SetPictureAside)
FOLLOWS: dict[Stage, tuple[type[Command], ...]] = {
    Stage.AWAITING_PICTURE: (AddPicture, SetPictureAside),
    Stage.BLOCKED: ONCE_IT_IS_THERE,
    Stage.PARTLY: ONCE_IT_IS_THERE,
    Stage.CLEARED: ONCE_IT_IS_THERE,
}


# what must hold


def what_is_taken_in_can_be(take: TakePictureIn, library: Library) -> None:
    every_one_of(
        lambda: a_place_of_the_library(take.place, PR_13, library),
        lambda: taken_by_one_of_the_staff(take, library),
        lambda: taken_already(take, library),
        lambda: each_person_once(take.persons),
        lambda: nobody_who_was_forgotten(take.persons, library),
    )


def taken_by_one_of_the_staff(take: TakePictureIn, library: Library) -> None:
    """Someone who has left since may have taken it."""
    if library.person(take.taken_by) is None:
        raise Refused(PR_14, f"{take.taken_by} is nobody of the directory", "whoever of the staff took it")


def taken_already(take: TakePictureIn, library: Library) -> None:
    if take.taken_at > library.at:
        raise Refused(PR_13, "the picture would be taken in the future", "when it was taken")


def each_person_once(persons: tuple[Identifiable, ...]) -> None:
    patrons = [each.patron for each in persons]
    if len(set(patrons)) < len(patrons):
        raise Refused(PR_13, "someone is named twice in this picture", "each person who can be recognised, once")
    if len(patrons) > MOST_PERSONS:
        because = f"{len(patrons)} people in one picture are more than it can be sealed for"
        raise Refused(PR_12, because, f"pictures of {MOST_PERSONS} people at most, or the others hidden")


def nobody_who_was_forgotten(persons: tuple[Identifiable, ...], library: Library) -> None:
    """Their key is gone, so the picture could not be kept under it."""
    for person in persons:
        if library.is_forgotten(person.patron):
            because = f"patron {person.patron} was forgotten"
            raise Refused(PR_12, because, "leave the number out: a door gives a new one")


def no_larger_than_can_be_looked_at(taken: Taken, library: Library) -> None:
    most = library.policy.settings.picture_megapixels_most.value
    if taken.width * taken.height > most * A_MILLION:
        because = f"{taken.width} by {taken.height} are more than {most} million pixels"
        raise Refused(PR_13, because, "a smaller version of the picture")


def exactly_one_basis(give: GiveBasis, case: PhotoCase) -> None:
    if give.patron not in [each.patron for each in case.persons]:
        raise Refused(PR_13, f"{give.patron} is nobody who was recognised in it", "IdentifyPerson first")
    if known := case.basis_of(give.patron):
        raise Refused(PR_13, f"{give.patron} has a basis, {known}", "TakeBasis first, with the reason")


def the_basis_stands(give: GiveBasis, case: PhotoCase, library: Library) -> None:
    """Asked as any use of it would be."""
    person = next(each for each in case.persons if each.patron == give.patron)
    known = library.content(case.case) or Content(id=case.case, persons=case.persons)
    if found := against_the_basis(give.consent, person, known, "", library):
        raise Refused(found.clauses, found.because, found.remedy)


def there_is_one_to_take(take: TakeBasis, case: PhotoCase) -> None:
    if not case.basis_of(take.patron):
        raise Refused(PR_13, f"{take.patron} has no basis here", "nothing: there is none to take")


def it_is_shown_nowhere(case: PhotoCase, library: Library) -> None:
    if uses := library.uses_of(contents=(case.case,)):
        where = ", ".join(sorted({each.target for each in uses}))
        raise Refused(PR_13, f"the picture is shown on {where}", "end those uses first")


# what follows


def as_taken_in(take: TakePictureIn, act: Act) -> PictureTakenIn:
    persons = tuple(plain(each) for each in take.persons)
    return PictureTakenIn(
        picture=act.case, taken_at=take.taken_at, place=take.place, persons=persons, taken_by=take.taken_by,
        program=take.program, named=take.persons, by=act.person, note=take.note,
    )  # fmt: skip


def plain(person: Identifiable) -> Identifiable:
    return Identifiable(patron=person.patron, minor=person.minor, singled_out=person.singled_out)


def judged_anew(case: PhotoCase, library: Library) -> tuple[Fact, ...]:
    """How the picture stands, if that is not how it stood."""
    without = those_without(case, library)
    stage = stage_of(case, without)
    if case.picture is None or (stage, without) == (case.stage, case.without):
        return ()
    match stage:
        case Stage.CLEARED:
            return (PictureCleared(picture=case.case),)
        case Stage.PARTLY:
            return (PicturePartlyUsable(picture=case.case, without=without),)
        case _:
            blocked = PictureBlocked(picture=case.case, without=without)
            asked = ask_for_permissions(case.held, library)
            return (blocked,) if case.stage is Stage.BLOCKED else (blocked, asked)


def stage_of(case: PhotoCase, without: tuple[str, ...]) -> Stage:
    if not without:
        return Stage.CLEARED
    return Stage.BLOCKED if len(without) == len(case.persons) else Stage.PARTLY


def those_without(case: PhotoCase, library: Library) -> tuple[str, ...]:
    known = library.content(case.case)
    content = Content(
        id=case.case, persons=case.persons, taken_at=case.held.taken_at, place=case.held.place,
        withdrawn=known.withdrawn if known else (),
    )  # fmt: skip
    return tuple(
        each.patron
        for each in case.persons
        if against_the_basis(case.basis_of(each.patron), each, content, "", library)
    )


def ask_whoever_took_it(taken_in: PictureTakenIn, to: str, library: Library) -> Asked:
    role, persons = who_looks_after_it(taken_in, library)
    due = due_moments(taken_in.place, library.at, library)
    return Asked(
        rests_on=(PR_13,), role=role, place=taken_in.place, persons=persons, to=to, since=library.at, due=due,
        escalates_to=Role.MARKETING_AND_ACCESS_COORDINATOR,
    )  # fmt: skip


def ask_for_permissions(taken_in: PictureTakenIn, library: Library) -> Asked:
    """Without an end: a blocked picture stays blocked, and only one that never came is given up."""
    asked = ask_whoever_took_it(taken_in, "get a permission for each person, or set the picture aside", library)
    return asked.model_copy(update={"due": tuple(each for each in asked.due if each.what is not Due.EXPIRY)})


def who_looks_after_it(taken_in: PictureTakenIn, library: Library) -> tuple[Role, tuple[str, ...]]:
    """Whoever took it; once they are gone or elsewhere, whoever runs the place, or the coordinator."""
    if library.is_employee(taken_in.by) and library.place_of(taken_in.by) == taken_in.place:
        return Role(library.standing(taken_in.by).role or Role.BRANCH_STAFF), (taken_in.by,)
    if taken_in.place != library.headquarters:
        return Role.BRANCH_MANAGER, library.who_runs(taken_in.place)
    return Role.MARKETING_AND_ACCESS_COORDINATOR, library.holders(Role.MARKETING_AND_ACCESS_COORDINATOR)


def what_time_brings(case: PhotoCase, library: Library) -> tuple[Fact, ...]:
    settled = what_follows_from_outside(case, library)
    now = reduce(evolve, settled, case)
    return (*settled, *what_is_due(now.waiting, library.at, library, lambda: PictureNeverCame(picture=case.case)))


def what_follows_from_outside(case: PhotoCase, library: Library) -> tuple[Fact, ...]:
    """A consent that came or went makes the picture stand otherwise; and who is asked by now."""
    if case.taken_in is None or case.closed():
        return ()
    if anew := judged_anew(case, library):
        return anew
    if case.waiting is None:
        return ()
    role, persons = who_looks_after_it(case.taken_in, library)
    return what_changed_around(case.waiting, role, persons, library)


# how the state follows from the facts


def evolve(case: PhotoCase, fact: Fact) -> PhotoCase:
    match fact:
        case PictureTakenIn(persons=persons, by=by):
            return case.but(stage=Stage.AWAITING_PICTURE, taken_in=fact, persons=persons, requester=by)
        case PictureAdded():
            return case.but(picture=fact, waiting=None)
        case PersonIdentified(person=person):
            return case.but(persons=(*case.persons, person))
        case PermissionGiven(patron=patron, consent=consent):
            return case.but(bases=(*case.bases, (patron, consent)))
        case PermissionTaken(patron=patron):
            return case.but(bases=tuple(each for each in case.bases if each[0] != patron))
        case PictureCleared():
            return case.but(stage=Stage.CLEARED, without=(), waiting=None)
        case PicturePartlyUsable(without=without):
            return case.but(stage=Stage.PARTLY, without=without, waiting=None)
        case PictureBlocked(without=without):
            return case.but(stage=Stage.BLOCKED, without=without)
        case PictureSetAside():
            return case.but(stage=Stage.SET_ASIDE, waiting=None)
        case PictureNeverCame():
            return case.but(stage=Stage.NEVER_CAME, waiting=None)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


PHOTO_PERMISSION = Page(PROCESS, PhotoCase, decide, evolve, opens_with=(TakePictureIn,))
