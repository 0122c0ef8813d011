"""What is said about a revocation (PU-6, PR-12): what people ask for, what happened, and the letters (PR-15)."""

from __future__ import annotations

from enum import StrEnum, auto
from typing import ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_12, PR_15, PU_6
from domain.facts import Command, Evidence, Fact, Line, PatronId, PersonId, Sealed, Slug
from domain.patron_basis import (
    ConsentId,
    ContentId,
    PictureId,
    RevocationCarriedOut,
    RevocationDropped,
    RevocationInForce,
    RevocationNoted,
    StatusHash,
    Target,
    UseBegun,
    UseOver,
)
from domain.telling import LetterToPatron
from domain.waiting import Asked, DueMomentsReissued, Escalated, Reminded, TaskRerouted


class Received(StrEnum):
    """In writing, each of them."""

    LETTER = auto()
    EMAIL = auto()
    WEB_FORM = auto()


class Checked(StrEnum):
    """How staff made sure who asks."""

    IN_PERSON = auto()
    LIBRARY_CARD = auto()
    PHOTO_ID = auto()
    CONTACT_ON_FILE = auto()
    PLATFORM_ACCOUNT = auto()


class WhyNot(StrEnum):
    """Why a request cannot be carried out, and what the letter says of it."""

    NOT_IDENTIFIED = auto()
    NOTHING_ON_RECORD = auto()
    NOT_THEIRS_TO_ASK = auto()
    REVOKED_BEFORE = auto()


class How(StrEnum):
    """How whoever asked was told that it is declined, where no mail reaches them."""

    LETTER = auto()
    TELEPHONE = auto()
    DESK = auto()
    NOT_REACHED = auto()


class WhyImpossible(StrEnum):
    """Why something that is out there cannot be called back."""

    GIVEN_OUT_IN_PRINT = auto()
    PLATFORM_IS_GONE = auto()
    SHOWN_BY_OTHERS = auto()
    OTHER = auto()


# what people ask for


class AskRevocation(Command, kind="revocation.AskRevocation"):
    """`patron` is a number the door gives whoever asks; whom that is on record is for staff to find out.
    `status_sha256`: the hash of a secret with which they can ask how it stands."""

    secret_texts: ClassVar[tuple[str, ...]] = ("what", "name", "email", "telephone", "handle")
    concerns: ClassVar[tuple[str, ...]] = ("patron",)
    patron: PatronId
    received: Received
    place: Slug
    as_guardian: bool = False
    status_sha256: StatusHash = ""
    what: Sealed
    name: Sealed | None = None
    email: Sealed | None = None
    telephone: Sealed | None = None
    handle: Sealed | None = None


class CheckIdentity(Command, kind="revocation.CheckIdentity"):
    """`on_record`: the patron or guardian they turned out to be; and for what they ask: consents, and pictures that
    rest on a notice or are to go by themselves."""

    checked: Checked
    on_record: PatronId
    consents: tuple[ConsentId, ...] = Field(default=(), max_length=200)
    pictures: tuple[PictureId, ...] = Field(default=(), max_length=200)


class AcceptRevocation(Command, kind="revocation.AcceptRevocation"):
    pass


class DeclineRevocation(Command, kind="revocation.DeclineRevocation"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    why: WhyNot
    reason: Sealed


class NoteUse(Command, kind="revocation.NoteUse"):
    """Another use that was found, though it was never put on record."""

    secret_texts: ClassVar[tuple[str, ...]] = ("where",)
    used: ContentId
    target: Target
    where: Sealed | None = None


class ConfirmRemoval(Command, kind="revocation.ConfirmRemoval"):
    use: Slug
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=20)


class RecordImpossible(Command, kind="revocation.RecordImpossible"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    use: Slug
    why: WhyImpossible
    reason: Sealed


class ConfirmLetter(Command, kind="revocation.ConfirmLetter"):
    """The letter went out by post."""


class ConfirmTold(Command, kind="revocation.ConfirmTold"):
    """Whoever asked knows now why it is declined; or they could not be reached, and why not."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    how: How
    reason: Sealed | None = None


# what happened


class OfRequest(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_12)


class RevocationAsked(OfRequest, kind="revocation.RevocationAsked"):
    patron: PatronId
    received: Received
    place: Slug
    as_guardian: bool
    status_sha256: str
    sealed_in: str
    by: str
    what: Sealed
    name: Sealed | None = None
    email: Sealed | None = None
    telephone: Sealed | None = None
    handle: Sealed | None = None


class IdentityChecked(RevocationNoted, kind="revocation.IdentityChecked"):
    """`asker` is the number under which they asked: the same person as `patron`."""

    asker: PatronId
    checked: Checked
    as_guardian: bool
    by: PersonId


class RevocationRestated(RevocationDropped, kind="revocation.RevocationRestated"):
    """What was found out first was not all, or not right: it is stated anew."""


class RevocationAccepted(RevocationInForce, kind="revocation.RevocationAccepted"):
    by: PersonId


class RemovalAsked(Asked, kind="revocation.RemovalAsked"):
    """One use that is to go, and who takes it down."""

    use: Slug
    used: ContentId
    target: Target


class RemovalReminded(Reminded, kind="revocation.RemovalReminded"):
    use: Slug


class RemovalEscalated(Escalated, kind="revocation.RemovalEscalated"):
    """First to the coordinator, then to the director."""

    use: Slug
    nth: int


class RemovalMomentsReissued(DueMomentsReissued, kind="revocation.RemovalMomentsReissued"):
    use: Slug


class RemovalRerouted(TaskRerouted, kind="revocation.RemovalRerouted"):
    use: Slug


class UseFound(UseBegun, kind="revocation.UseFound"):
    """It stood there without being on record."""

    by: PersonId
    where: Sealed | None = None


class RemovalConfirmed(UseOver, kind="revocation.RemovalConfirmed"):
    by: PersonId
    evidence: tuple[Evidence, ...] = ()


class RemovalImpossible(UseOver, kind="revocation.RemovalImpossible"):
    """It cannot be called back; nothing more is tried."""

    by: PersonId
    why: WhyImpossible
    reason: Sealed


class UseGone(OfRequest, kind="revocation.UseGone"):
    """It was ended elsewhere meanwhile: in the register of uses, or by another revocation."""

    use: Slug


class Letter(LetterToPatron):
    """By mail where an address is on record, else by post."""

    case: Line
    asked_at: AwareDatetime | None


class RevocationDeclined(RevocationDropped, Letter, kind="revocation.RevocationDeclined"):
    why: WhyNot
    reason: Sealed
    by: PersonId

    def subject(self) -> str:
        return "Your request to the library"

    def lines(self) -> tuple[str, ...]:
        return (
            "You asked the library in writing to stop using something of yours.",
            WHAT_THE_LETTER_SAYS[self.why],
            "Any branch or headquarters will help you further, in person, by telephone or by answer to this mail.",
        )


class UsesRemoved(RevocationCarriedOut, Letter, kind="revocation.UsesRemoved"):
    """Nothing of it stands any longer, but for what is named as impossible."""

    removed: int
    impossible: tuple[WhyImpossible, ...]

    def subject(self) -> str:
        return "Your request to the library has been carried out"

    def lines(self) -> tuple[str, ...]:
        return (
            "You asked the library in writing to stop using something of yours. It has stopped.",
            f"Removed: {self.removed}.",
            *(f"Not possible: {IMPOSSIBLE_IN_WORDS[each]}" for each in self.impossible),
            "Nothing new will be published under what you took back.",
        )


class LetterWritten(OfRequest, kind="revocation.LetterWritten"):
    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_15)
    by: PersonId


class RevocationCompleted(OfRequest, kind="revocation.RevocationCompleted"):
    pass


class PersonTold(OfRequest, kind="revocation.PersonTold"):
    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_15)
    how: How
    by: PersonId
    reason: Sealed | None = None


WHAT_THE_LETTER_SAYS = {
    WhyNot.NOT_IDENTIFIED: "It could not be made sure that the request is yours.",
    WhyNot.NOTHING_ON_RECORD: "Nothing was found that the library uses under a permission from you.",
    WhyNot.NOT_THEIRS_TO_ASK: "The person concerned has to ask themselves, as they have come of age.",
    WhyNot.REVOKED_BEFORE: "It had been taken back before, and the library does not use it any more.",
}
IMPOSSIBLE_IN_WORDS = {
    WhyImpossible.GIVEN_OUT_IN_PRINT: "printed copies that were given out cannot be called back.",
    WhyImpossible.PLATFORM_IS_GONE: "the platform answers no longer, so that nothing can be taken down there.",
    WhyImpossible.SHOWN_BY_OTHERS: "others have copied it to pages that are not the library's.",
    WhyImpossible.OTHER: "a copy cannot be removed; the library will tell you why if you ask.",
}
