"""What happens with consents, pictures, uses and revocations in a life in which everything happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.consent_messages import (
    ConfirmConsent,
    Obtained,
    OptOut,
    ProveNotice,
    RecordConsent,
    RejectConsent,
    RenewConsent,
    Shown,
    When,
)
from domain.facts import Fact
from domain.opening_hours import CloseBranch
from domain.patron_basis import Form, Program
from domain.photo_permission_messages import (
    AddPicture,
    GiveBasis,
    IdentifyPerson,
    Person,
    SetPictureAside,
    TakeBasis,
    TakePictureIn,
)
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
    Received,
    RecordImpossible,
    WhyImpossible,
    WhyNot,
)
from domain.uses import EndUse, RecordUse
from tests.domain.house import CLERK, DIRECTOR, MANAGER, YOUTH, House, sealed
from tests.domain.patrons import A_FILE, PRINT, TAKEN, as_patron, consent, patron, picture, record, revocation

PHOTOGRAPHER = "p-bs-durant-2"
ACCOUNT = "account:facebook:durantreads"


def patrons_come_and_go(house: House) -> None:
    consents_are_given_and_end(house)
    pictures_are_cleared_and_blocked(house)
    uses_are_revoked(house)
    revocations_come_to_nothing(house)
    a_minor_comes_of_age(house)


def confirmed(house: House, nth: int, command: RecordConsent) -> str:
    house.does(command, MANAGER, consent(nth))
    confirm = ConfirmConsent(shown=Shown.PHOTO_ID, guardian_shown=True, evidence=(A_FILE,))
    house.does(confirm, MANAGER, consent(nth))
    return consent(nth)


def consents_are_given_and_end(house: House) -> None:
    house.does(record(obtained="web_form", email=sealed("mail")), as_patron(1), consent(1))
    house.does(RejectConsent(reason=sealed("why")), MANAGER, consent(1))
    program = Program(name="story-time", starts=house.now, ends=house.now + timedelta(hours=1))
    notice = RecordConsent(form=Form.EVENT_NOTICE, place="durant", obtained=Obtained.NOTICE, program=program)
    house.does(notice, MANAGER, consent(2))
    before = ProveNotice(when=When.BEFORE, seen_at=house.now - timedelta(minutes=1), evidence=(A_FILE,))
    house.does(before, MANAGER, consent(2))
    house.does(ProveNotice(when=When.DURING, seen_at=house.now, evidence=(A_FILE,)), MANAGER, consent(2))
    house.does(OptOut(patron=patron(9), who=sealed("who")), MANAGER, consent(2))
    for nth in (3, 4, 5):
        confirmed(house, nth, record(who=nth))
    confirmed(house, 6, record("guardian", who=6))


def pictures_are_cleared_and_blocked(house: House) -> None:
    persons = tuple(Person(patron=patron(each), who=sealed("who")) for each in (3, 4))
    taken_in(house, 1, persons)
    house.does(GiveBasis(patron=patron(3), consent=consent(3)), PHOTOGRAPHER, picture(1))
    house.does(GiveBasis(patron=patron(4), consent=consent(4)), PHOTOGRAPHER, picture(1))
    seen = IdentifyPerson(person=Person(patron=patron(5), who=sealed("who")))
    house.does(seen, PHOTOGRAPHER, picture(1))
    house.does(GiveBasis(patron=patron(5), consent=consent(5)), PHOTOGRAPHER, picture(1))
    house.does(TakeBasis(patron=patron(5), reason=sealed("why")), PHOTOGRAPHER, picture(1))
    house.does(GiveBasis(patron=patron(5), consent=consent(5)), PHOTOGRAPHER, picture(1))
    taken_in(house, 2, persons[:1])
    house.does(SetPictureAside(reason=sealed("why")), PHOTOGRAPHER, picture(2))
    house.does(TakePictureIn(taken_at=house.now, taken_by=PHOTOGRAPHER, place="durant"), PHOTOGRAPHER, picture(3))
    now = house.now
    house.passes(days=40).time_passes(picture(3))
    house.comes(now)


def taken_in(house: House, nth: int, persons: tuple[Person, ...]) -> None:
    take = TakePictureIn(
        taken_at=house.now, taken_by=PHOTOGRAPHER, place="durant", program="story-time", persons=persons,
        note=sealed("note"),
    )  # fmt: skip
    house.does(take, PHOTOGRAPHER, picture(nth))
    house.does(AddPicture(evidence=(A_FILE,), taken=TAKEN), PHOTOGRAPHER, picture(nth))


def used(house: House, target: str) -> str:
    (recorded,) = house.does(RecordUse(used=picture(1), target=target, post=sealed("post")), PHOTOGRAPHER, "uses")
    return str(recorded.model_dump()["use"])


def asks(house: House, nth: int, who: int, **more: object) -> None:
    said: dict[str, Any] = {"what": sealed("what"), "name": sealed("name"), "email": sealed("mail")}
    ask = AskRevocation(patron=patron(who), received=Received.LETTER, place="durant", **(said | more))
    house.does(ask, as_patron(who), revocation(nth))


def checks(house: House, nth: int, who: int, *consents: str) -> list[Fact]:
    check = CheckIdentity(checked=Checked.PHOTO_ID, on_record=patron(who), consents=consents)
    return house.does(check, CLERK, revocation(nth))


def uses_are_revoked(house: House) -> None:
    house.does(EndUse(use=used(house, ACCOUNT)), PHOTOGRAPHER, "uses")
    post, flyer, poster = used(house, ACCOUNT), used(house, PRINT), used(house, "print:poster")
    asks(house, 1, 3, email=None)
    checks(house, 1, 3, consent(3))
    checks(house, 1, 3, consent(3))
    house.reconsiders(consent(3))
    house.does(AcceptRevocation(), CLERK, revocation(1))
    house.reconsiders(consent(3))
    (found, _) = house.does(NoteUse(used=picture(1), target=ACCOUNT, where=sealed("where")), CLERK, revocation(1))
    time_goes_on_over_removals(house)
    house.does(ConfirmRemoval(use=post, evidence=(A_FILE,)), YOUTH, revocation(1))
    why = WhyImpossible.GIVEN_OUT_IN_PRINT
    house.does(RecordImpossible(use=flyer, why=why, reason=sealed("why")), CLERK, revocation(1))
    house.does(EndUse(use=poster), PHOTOGRAPHER, "uses")
    house.reconsiders(revocation(1))
    house.does(ConfirmRemoval(use=str(found.model_dump()["use"])), YOUTH, revocation(1))
    house.does(ConfirmLetter(), CLERK, revocation(1))
    house.reconsiders(consent(3))
    house.reconsiders(picture(1))


def time_goes_on_over_removals(house: House) -> None:
    day = (house.now + timedelta(days=3)).date()
    house.does(CloseBranch(place="*", day=day, because="Storm"), DIRECTOR, "opening_hours")
    house.reconsiders(revocation(1))
    now, manager = house.now, house.register.people[MANAGER]
    house.hr_says(MANAGER, active=False)
    house.reconsiders(revocation(1))
    house.imports(manager)
    house.passes(days=30).time_passes(revocation(1))
    house.comes(now)


def revocations_come_to_nothing(house: House) -> None:
    asks(house, 2, 4)
    checks(house, 2, 4, consent(4))
    house.reconsiders(consent(4))
    decline = DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=sealed("why"))
    house.does(decline, CLERK, revocation(2))
    house.reconsiders(consent(4))
    asks(house, 3, 4, email=None)
    house.does(decline, CLERK, revocation(3))
    house.does(ConfirmTold(how=How.NOT_REACHED, reason=sealed("why")), CLERK, revocation(3))


def a_minor_comes_of_age(house: House) -> None:
    now = house.now
    house.passes(days=500).time_passes(consent(6))
    renew = RenewConsent(shown=Shown.PHOTO_ID, evidence=(A_FILE,))
    house.does(renew, MANAGER, consent(6))
    house.passes(days=365 * 6).time_passes(consent(6))
    house.comes(now)

