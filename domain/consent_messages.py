"""What is said about a consent: how it was given (PU-6, PR-13, PU-3), what people ask for, and what happened."""

from __future__ import annotations

from datetime import date
from enum import StrEnum, auto
from typing import ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_13, PR_15, PU_3
from domain.facts import Command, Evidence, Line, PatronId, PersonId, Sealed, Slug
from domain.patron_basis import (
    ConsentFellDue,
    ConsentNoted,
    ConsentOver,
    ConsentStands,
    ContentId,
    Form,
    OfConsent,
    PersonOptedOut,
    Program,
    Standing,
    StatusHash,
    Target,
)
from domain.telling import LetterToPatron, PatronTold, TellPatron


class Obtained(StrEnum):
    """How the consent was given: each in writing, or on the platform itself."""

    PAPER = auto()
    EMAIL = auto()
    WEB_FORM = auto()
    PLATFORM = auto()
    NOTICE = auto()


class Shown(StrEnum):
    """How it was made sure who gave it."""

    KNOWN_AT_THE_BRANCH = auto()
    LIBRARY_CARD = auto()
    PHOTO_ID = auto()
    CONTACT_ON_FILE = auto()
    PLATFORM_ACCOUNT = auto()


class When(StrEnum):
    BEFORE = auto()
    DURING = auto()


# what people ask for


class RecordConsent(Command, kind="consent.RecordConsent"):
    """`patron` and `guardian` are numbers given by a door. `of_age_in` is the first of the month in which a minor
    comes of age: the day of birth itself is nowhere on record. `status_sha256`: the hash of a secret with which the
    patron sees their receipt."""

    secret_texts: ClassVar[tuple[str, ...]] = ("name", "guardian_name", "email", "telephone", "handle", "note")
    concerns: ClassVar[tuple[str, ...]] = ("patron", "guardian")
    form: Form
    place: Slug
    obtained: Obtained
    patron: PatronId | None = None
    guardian: PatronId | None = None
    minor: bool = False
    of_age_in: date | None = None
    contents: tuple[ContentId, ...] = Field(default=(), max_length=100)
    targets: tuple[Target, ...] = Field(default=(), max_length=50)
    until: date | None = None
    given_at: AwareDatetime | None = None
    language: Line = "en"
    program: Program | None = None
    status_sha256: StatusHash = ""
    name: Sealed | None = None
    guardian_name: Sealed | None = None
    email: Sealed | None = None
    telephone: Sealed | None = None
    handle: Sealed | None = None
    note: Sealed | None = None


class ConfirmConsent(Command, kind="consent.ConfirmConsent"):
    """Staff saw the writing and made sure who gave it; for a guardian also that they are one."""

    shown: Shown
    guardian_shown: bool = False
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=20)


class ProveNotice(Command, kind="consent.ProveNotice"):
    """The notice was seen up at this moment."""

    when: When
    seen_at: AwareDatetime
    evidence: tuple[Evidence, ...] = Field(min_length=1, max_length=20)


class OptOut(Command, kind="consent.OptOut"):
    """On the day of a program, someone asks not to be pictured. `who`: how staff will recognise them."""

    secret_texts: ClassVar[tuple[str, ...]] = ("who",)
    concerns: ClassVar[tuple[str, ...]] = ("patron",)
    patron: PatronId
    who: Sealed | None = None


class RejectConsent(Command, kind="consent.RejectConsent"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class ConfirmTold(TellPatron, kind="consent.ConfirmTold"):
    """Whoever gave it, that it is rejected."""


class RenewConsent(Command, kind="consent.RenewConsent"):
    """Whoever has come of age gives their own written permission."""

    shown: Shown
    evidence: tuple[Evidence, ...] = Field(min_length=1, max_length=20)


# what happened


class ConsentRecorded(ConsentNoted, kind="consent.ConsentRecorded"):
    obtained: Obtained
    minor: bool
    of_age_in: date | None
    until: date | None
    given_at: AwareDatetime
    language: Line
    status_sha256: str = ""
    recorded_by: str
    sealed_in: str = ""
    name: Sealed | None = None
    guardian_name: Sealed | None = None
    email: Sealed | None = None
    telephone: Sealed | None = None
    handle: Sealed | None = None
    note: Sealed | None = None


class ConsentActive(ConsentStands, kind="consent.ConsentActive"):
    """`by`: who made sure; empty where a notice was proven twice."""

    by: str
    shown: Shown | None = None
    evidence: tuple[Evidence, ...] = ()


class NoticeProven(OfConsent, kind="consent.NoticeProven"):
    when: When
    seen_at: AwareDatetime
    by: PersonId
    evidence: tuple[Evidence, ...]


class OptedOut(PersonOptedOut, kind="consent.OptedOut"):
    who: Sealed | None = None


class RevocationKnown(OfConsent, kind="consent.RevocationKnown"):
    """Someone who may has asked that it end; it is not accepted yet."""

    revocation: Line


class ConsentKept(OfConsent, kind="consent.ConsentKept"):
    """What was asked came to nothing: it stands as before."""

    revocation: Line


class ConsentRevoking(OfConsent, kind="consent.ConsentRevoking"):
    """Accepted: no new use; those that stand are being removed."""

    revocation: Line


class ConsentRevoked(ConsentOver, kind="consent.ConsentRevoked"):
    standing: ClassVar[Standing] = Standing.REVOKED
    revocation: Line


class ConsentExpired(ConsentOver, kind="consent.ConsentExpired"):
    """Nothing new from now on; what was published under it may stand."""


class ConsentRejected(ConsentOver, kind="consent.ConsentRejected"):
    """`to_be_told`: no mail reaches whoever gave it, so it is over only once somebody has told them."""

    to_be_told: bool = False
    standing: ClassVar[Standing] = Standing.REJECTED
    clauses: ClassVar[tuple[str, ...]] = (PR_13, PU_3)
    reason: Sealed


class RejectionWritten(OfConsent, LetterToPatron, kind="consent.RejectionWritten"):
    clauses: ClassVar[tuple[str, ...]] = (PR_13, PR_15)

    def subject(self) -> str:
        return "The consent that you gave to the library"

    def lines(self) -> tuple[str, ...]:
        return (
            "The library has not taken up the consent that you gave. Nothing is published under it.",
            "Any branch or headquarters will tell you why, in person, by telephone or by answer to this mail.",
        )


class PersonTold(OfConsent, PatronTold, kind="consent.PersonTold"):
    clauses: ClassVar[tuple[str, ...]] = (PR_13, PR_15)


class RenewalFellDue(ConsentFellDue, kind="consent.RenewalFellDue"):
    clauses: ClassVar[tuple[str, ...]] = (PR_13, PU_3)


class ConsentRenewed(ConsentStands, kind="consent.ConsentRenewed"):
    by: str
    shown: Shown
    evidence: tuple[Evidence, ...]
