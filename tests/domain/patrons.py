"""Patrons, pictures and uses in a library in memory: what the tests of consent, pictures and revocations say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.consent_messages import ConfirmConsent, Obtained, ProveNotice, RecordConsent, Shown, When
from domain.facts import Actor, ActorKind, Command, Evidence, Fact
from domain.may_use import MayUse, may_use
from domain.patron_basis import Form, Program
from domain.photo_permission_messages import AddPicture, GiveBasis, Person, Taken, TakePictureIn
from domain.revocation_messages import AcceptRevocation, AskRevocation, Checked, CheckIdentity
from domain.uses import RecordUse
from tests.domain.world import DURANT, World, names, sealed

MANAGER, STAFF, COORDINATOR, DIRECTOR, CLERK, ELSEWHERE = (
    "p-bm-durant", "p-bs-durant-1", "p-mac", "p-ed", "p-hq-clerk", "p-bs-winona-1"
)  # fmt: skip
PRINT = "print:summer-flyer"
CONTENT = "content:poster-1"
A_FILE = Evidence(
    sha256="0" * 64, size=1, media_type="image/png", under=("case:x",), wrapped="AA==", nonce="AA=="
)
TAKEN = Taken(format="JPEG", width=4000, height=3000, had_location=True)


def patron(nth: int) -> str:
    return str(UUID(int=nth))


def case_of(process: str, nth: int) -> str:
    return f"{process}-{uuid5(NAMESPACE_URL, f'{process}/{nth}')}"


def consent(nth: int = 1) -> str:
    return case_of("consent", nth)


def picture(nth: int = 1) -> str:
    return case_of("photo_permission", nth)


def revocation(nth: int = 1) -> str:
    return case_of("revocation", nth)


def as_patron(nth: int) -> Actor:
    return Actor(kind=ActorKind.PATRON, id=patron(nth))


def record(form: str = "adult", who: int = 1, **changed: Any) -> RecordConsent:
    said: dict[str, Any] = {
        "form": form, "place": "durant", "obtained": "paper", "patron": patron(who), "name": sealed()
    }  # fmt: skip
    if form == "guardian":
        said |= {"minor": True, "guardian": patron(who + 100), "of_age_in": date(2027, 5, 1)}
    if form == "submission":
        said |= {"contents": (CONTENT,)}
    return RecordConsent(**(said | changed))


class Patrons(World):
    def __init__(self) -> None:
        super().__init__()
        self.has_account()

    # consents

    def records(self, nth: int = 1, form: str = "adult", who: int = 1, **changed: Any) -> list[str]:
        return names(self.says(MANAGER, record(form, who, **changed), consent(nth)))

    def confirms(self, nth: int = 1, **more: Any) -> list[str]:
        said: dict[str, Any] = {"shown": Shown.PHOTO_ID, "guardian_shown": True, "evidence": (A_FILE,)}
        return names(self.says(MANAGER, ConfirmConsent(**(said | more)), consent(nth)))

    def has_consent(self, nth: int = 1, form: str = "adult", who: int = 1, **changed: Any) -> str:
        self.records(nth, form, who, **changed)
        self.confirms(nth)
        return consent(nth)

    def has_notice(self, nth: int, **program: datetime) -> str:
        """A program from an hour ago to in an hour, the notice proven before and during it."""
        starts, ends = self.at - timedelta(hours=1), self.at + timedelta(hours=1)
        said = {"starts": starts, "ends": ends} | program
        self.announces(nth, Program(name="story-time", **said))
        self.proves(nth, When.BEFORE, said["starts"] - timedelta(minutes=5))
        self.proves(nth, When.DURING, said["starts"] + timedelta(minutes=5))
        return consent(nth)

    def announces(self, nth: int, program: Program) -> list[str]:
        notice = RecordConsent(
            form=Form.EVENT_NOTICE, place="durant", obtained=Obtained.NOTICE, program=program
        )
        return names(self.says(MANAGER, notice, consent(nth)))

    def proves(self, nth: int, when: When, at: datetime) -> list[str]:
        return names(self.says(MANAGER, ProveNotice(when=when, seen_at=at, evidence=(A_FILE,)), consent(nth)))

    # pictures

    def has_picture(self, nth: int = 1, *persons: int | Person, by: str = STAFF, **changed: Any) -> str:
        named = tuple(
            each if isinstance(each, Person) else Person(patron=patron(each), who=sealed()) for each in persons
        )
        said: dict[str, Any] = {"taken_at": self.at, "taken_by": STAFF, "place": "durant", "persons": named}
        self.says(by, TakePictureIn(**(said | changed)), picture(nth))
        self.says(by, AddPicture(evidence=(A_FILE,), taken=TAKEN), picture(nth))
        return picture(nth)

    def gives(self, nth: int, who: int, consent_id: str) -> list[str]:
        return names(self.says(STAFF, GiveBasis(patron=patron(who), consent=consent_id), picture(nth)))

    def has_cleared_picture(self, nth: int = 1, who: int = 1) -> str:
        self.has_consent(nth, who=who)
        self.has_picture(nth, who)
        self.gives(nth, who, consent(nth))
        return picture(nth)

    # uses

    def uses(self, content: str, target: str = DURANT, by: str = STAFF, **more: Any) -> str:
        (used,) = self.says(by, RecordUse(used=content, target=target, **more), "uses")
        return str(used.model_dump()["use"])

    def may_use(self, content: str, target: str = "", at: datetime | None = None, **more: Any) -> MayUse:
        return may_use(content, target, self.library(at), **more)

    # revocations

    def asks(self, nth: int = 1, who: int = 1, **changed: Any) -> list[str]:
        said: dict[str, Any] = {
            "patron": patron(who), "received": "letter", "place": "durant", "what": sealed(), "email": sealed()
        }  # fmt: skip
        return names(self.says(CLERK, AskRevocation(**(said | changed)), revocation(nth)))

    def checks(self, nth: int = 1, who: int = 1, **more: Any) -> list[str]:
        said: dict[str, Any] = {"checked": Checked.PHOTO_ID, "on_record": patron(who)}
        return names(self.says(CLERK, CheckIdentity(**(said | more)), revocation(nth)))

    def accepts(self, nth: int = 1) -> tuple[Fact, ...]:
        return self.says(CLERK, AcceptRevocation(), revocation(nth))

    def revokes(self, nth: int = 1, who: int = 1, consents: tuple[str, ...] = (), **more: Any) -> tuple[Fact, ...]:
        """Asked, checked and accepted; the facts of the acceptance."""
        self.asks(nth, who)
        self.checks(nth, who, consents=consents, **more)
        return self.accepts(nth)

    def by_patron(self, who: int, command: Command, case: str) -> tuple[Fact, ...]:
        return self.does(case, command, as_patron(who))
