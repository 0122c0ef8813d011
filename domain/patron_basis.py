"""What stands behind the use of a patron's picture or words, across processes: consents, content, revocations, uses.

Processes do not import each other; what one of them brings about and others ask for is said in these words. A process's
own fact inherits from one here, and the register learns it under this name. A patron is a number given by a door.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AwareDatetime, StringConstraints

from domain.clauses import PR_12, PR_13, PR_14, PU_6
from domain.facts import Fact, PatronId, Refused, Slug, Value

if TYPE_CHECKING:
    from domain.library import Library

UUID_FORM = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PICTURES = "photo_permission"
PRINT = "print:"

ConsentId = Annotated[str, StringConstraints(pattern=rf"^consent-{UUID_FORM}$")]
PictureId = Annotated[str, StringConstraints(pattern=rf"^{PICTURES}-{UUID_FORM}$")]
# a picture by its case, anything else that a patron sent in by a name the staff gives it
ContentId = Annotated[
    str, StringConstraints(pattern=rf"^({PICTURES}-{UUID_FORM}|content:[a-z0-9][a-z0-9._:-]{{0,99}})$")
]
# PR-14: the library's own accounts, and its own printed matter; there is no word for anywhere else
Target = Annotated[
    str,
    StringConstraints(pattern=r"^(account:[a-z0-9_-]{1,40}:[^\s\x00-\x1f\x7f:]{1,100}|print:[a-z0-9][a-z0-9_-]{0,79})$"),
]

# the hash of a secret with which a patron sees how what they said stands; empty where they have none
StatusHash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class Form(StrEnum):
    """Submitted content (PU-6); written permission of an adult, or of a parent or guardian (PR-13); a public notice."""

    SUBMISSION = auto()
    ADULT = auto()
    GUARDIAN = auto()
    EVENT_NOTICE = auto()


class Standing(StrEnum):
    RECORDED = auto()
    ACTIVE = auto()
    RENEWAL_DUE = auto()
    EXPIRED = auto()
    REJECTED = auto()
    REVOKED = auto()


class Program(Value):
    """A program at which pictures are taken; the public knows it by this name."""

    name: Slug
    starts: AwareDatetime
    ends: AwareDatetime


# consents


class OfConsent(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_13)
    consent: ConsentId

    def touches(self) -> tuple[str, ...]:
        return (consent_scope(self.consent),)


class ConsentNoted(OfConsent):
    """On record, but nothing rests on it before it is active. `contents` and `targets`: what it is limited to."""

    form: Form
    place: Slug
    patron: PatronId | None = None
    guardian: PatronId | None = None
    contents: tuple[ContentId, ...] = ()
    targets: tuple[Target, ...] = ()
    program: Program | None = None

    def own_contents(self) -> tuple[str, ...]:
        """PU-6: what was sent in has the one who sent it as its only basis."""
        return self.contents if self.form is Form.SUBMISSION else ()

    def claims(self) -> tuple[str, ...]:
        return tuple(f"basis:{each}" for each in self.own_contents())

    def touches(self) -> tuple[str, ...]:
        persons = [patron_scope(each) for each in (self.patron, self.guardian) if each]
        return (*super().touches(), *map(content_scope, self.own_contents()), *persons)


class ConsentStands(OfConsent):
    """From now on it may be rested on; `until`, and from when the person speaks for themselves."""

    form: Form
    since: AwareDatetime
    until: AwareDatetime | None
    of_age_at: AwareDatetime | None = None


class ConsentFellDue(OfConsent):
    """The minor has come of age: the guardian's word no longer counts, and the person's own is asked for."""


class ConsentOver(OfConsent):
    """Nothing rests on it any longer. `frees`: what it held alone."""

    standing: ClassVar[Standing] = Standing.EXPIRED
    frees: tuple[ContentId, ...] = ()

    def releases(self) -> tuple[str, ...]:
        return tuple(f"basis:{each}" for each in self.frees)


class PersonOptedOut(OfConsent):
    """At a program under a notice, someone asked on the day not to be pictured."""

    patron: PatronId


# revocations


class OfRevocation(Fact):
    """A patron's wish that the library stop: for these consents, and for these pictures that rest on a notice."""

    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_12)
    patron: PatronId
    consents: tuple[ConsentId, ...] = ()
    pictures: tuple[PictureId, ...] = ()

    def touches(self) -> tuple[str, ...]:
        return (*map(consent_scope, self.consents), *map(content_scope, self.pictures))


class RevocationNoted(OfRevocation):
    """Known who asks and for what; the use goes on until it is accepted."""


class RevocationDropped(OfRevocation):
    pass


class RevocationInForce(OfRevocation):
    """No new use from this very append on."""


class RevocationCarriedOut(OfRevocation):
    """Every use is gone, or on record as one that cannot be removed."""


# content


class Identifiable(Value):
    """Someone who can be recognised. `singled_out`: the picture is of them, rather than of the program."""

    patron: PatronId
    minor: bool = False
    singled_out: bool = False


class OfContent(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_13, PR_14)
    picture: PictureId

    def touches(self) -> tuple[str, ...]:
        return (content_scope(self.picture),)


class PictureHeld(OfContent):
    taken_at: AwareDatetime
    place: Slug
    persons: tuple[Identifiable, ...]

    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), *(patron_scope(each.patron) for each in self.persons))


class PersonSeen(OfContent):
    person: Identifiable

    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), patron_scope(self.person.patron))


class BasisGiven(OfContent):
    patron: PatronId
    consent: ConsentId


class BasisTaken(OfContent):
    patron: PatronId


class PictureGone(OfContent):
    pass


# uses


class Basis(Value):
    patron: PatronId
    consent: ConsentId


class OfUse(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PU_6, PR_13, PR_14)
    use: Slug
    used: ContentId

    def touches(self) -> tuple[str, ...]:
        return (content_scope(self.used),)


class UseBegun(OfUse):
    """Somewhere the content is shown. `bases`: whose consent stood behind it then; `hiding`: who was made
    unrecognisable."""

    target: Target
    since: AwareDatetime
    bases: tuple[Basis, ...]
    hiding: tuple[PatronId, ...] = ()

    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), *(consent_scope(each.consent) for each in self.bases))


class UseOver(OfUse):
    pass


# what must hold in every one of them


def a_place_of_the_library(place: str, clause: str, library: Library) -> None:
    if place not in library.policy.places:
        known = ", ".join(library.policy.places)
        raise Refused(clause, f"the library has no place {place}", f"one of {known}")



def nobody_who_was_forgotten(patrons: Iterable[str | None], library: Library) -> None:
    """Their key is gone: nothing could be kept under it."""
    for patron in filter(None, patrons):
        if library.is_forgotten(patron):
            because = f"patron {patron} was forgotten"
            raise Refused(PR_12, because, "leave the number out: a door gives a new one")


# names


def consent_scope(consent: str) -> str:
    return f"consent:{consent}"


def content_scope(content: str) -> str:
    return f"used:{content}"


def patron_scope(patron: str) -> str:
    return f"patron:{patron}"
