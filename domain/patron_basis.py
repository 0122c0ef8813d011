"""What stands behind the use of a patron's picture or words, across processes: consents, content, revocations, uses.

Processes do not import each other; what one of them brings about and others ask for is said in these words. A process's
own fact inherits from one here, and the register learns it under this name. A patron is a number given by a door.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AwareDatetime, StringConstraints

from domain.clauses import PR_12, PR_13, PR_14, PU_6
from domain.facts import Envelope, Fact, PatronId, Refused, Slug, Value

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


# as they stand


class Consent(Value):
    id: str
    form: Form
    place: str
    patron: str | None = None
    guardian: str | None = None
    contents: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    program: Program | None = None
    standing: Standing = Standing.RECORDED
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    of_age_at: AwareDatetime | None = None
    opted_out: tuple[str, ...] = ()
    # the revocation cases: the one that asks, the one that was accepted, and whether that is carried out
    asked_in: str = ""
    accepted_in: str = ""
    carried_out: bool = False

    def but(self, **changed: object) -> Consent:
        return self.model_copy(update=changed)


class Withdrawal(Value):
    """Someone revoked for this picture alone; `case` is where that was accepted."""

    patron: PatronId
    case: str
    at: AwareDatetime


class Content(Value):
    id: str
    persons: tuple[Identifiable, ...]
    bases: tuple[Basis, ...] = ()
    taken_at: AwareDatetime | None = None
    place: str = ""
    withdrawn: tuple[Withdrawal, ...] = ()
    gone: bool = False

    def basis_of(self, patron: str) -> str:
        return next((each.consent for each in self.bases if each.patron == patron), "")

    def withdrawal_of(self, patron: str) -> Withdrawal | None:
        return next((each for each in reversed(self.withdrawn) if each.patron == patron), None)

    def but(self, **changed: object) -> Content:
        return self.model_copy(update=changed)


class Use(Value):
    id: str
    content: str
    target: str
    since: AwareDatetime
    bases: tuple[Basis, ...]
    ended_at: AwareDatetime | None = None

    def stands_at(self, at: datetime) -> bool:
        return self.ended_at is None or at < self.ended_at


class PatronBasis:
    """Folded from the log: every consent, content and use there ever was."""

    def __init__(self) -> None:
        self.consents: dict[str, Consent] = {}
        self.contents: dict[str, Content] = {}
        self.uses: dict[str, Use] = {}
        self.uses_of: dict[str, tuple[str, ...]] = {}
        self.of_patron: dict[str, tuple[str, ...]] = {}

    def still(self) -> PatronBasis:
        """As it is now: nothing that is learned later changes it."""
        kept = PatronBasis()
        for name, value in vars(self).items():
            setattr(kept, name, dict(value))
        return kept

    def learn(self, envelope: Envelope, fact: Fact) -> bool:
        """Whether cases elsewhere have to be asked anew."""
        match fact:
            case OfConsent():
                self._learn_of_consent(fact)
                return isinstance(fact, ConsentFellDue | ConsentOver | PersonOptedOut)
            case OfRevocation():
                self._learn_of_revocation(envelope.case, envelope.at, fact)
                return True
            case OfContent():
                self._learn_of_content(fact)
            case OfUse():
                self._learn_of_use(envelope.at, fact)
                return isinstance(fact, UseOver)
        return False

    def _learn_of_consent(self, fact: OfConsent) -> None:
        if isinstance(fact, ConsentNoted):
            self.consents[fact.consent] = noted(fact)
            for content in fact.own_contents():
                self.contents[content] = sent_in(content, fact)
            self._has_to_do_with((fact.patron, fact.guardian), fact.consent)
        elif known := self.consents.get(fact.consent):
            self.consents[fact.consent] = consent_after(known, fact)

    def _learn_of_revocation(self, case: str, at: datetime, fact: OfRevocation) -> None:
        for id_ in fact.consents:
            if known := self.consents.get(id_):
                self.consents[id_] = after_revocation(known, case, fact)
        for id_ in fact.pictures:
            if (content := self.contents.get(id_)) and isinstance(fact, RevocationInForce):
                withdrawal = Withdrawal(patron=fact.patron, case=case, at=at)
                self.contents[id_] = content.but(withdrawn=(*content.withdrawn, withdrawal))

    def _learn_of_content(self, fact: OfContent) -> None:
        if isinstance(fact, PictureHeld):
            self.contents[fact.picture] = Content(
                id=fact.picture, persons=fact.persons, taken_at=fact.taken_at, place=fact.place
            )
            self._has_to_do_with((each.patron for each in fact.persons), fact.picture)
        elif known := self.contents.get(fact.picture):
            self.contents[fact.picture] = content_after(known, fact)
            if isinstance(fact, PersonSeen):
                self._has_to_do_with((fact.person.patron,), fact.picture)

    def _learn_of_use(self, at: datetime, fact: OfUse) -> None:
        if isinstance(fact, UseBegun):
            self.uses[fact.use] = Use(
                id=fact.use, content=fact.used, target=fact.target, since=fact.since, bases=fact.bases
            )
            for key in (fact.used, *dict.fromkeys(each.consent for each in fact.bases)):
                self.uses_of[key] = (*self.uses_of.get(key, ()), fact.use)
        elif (known := self.uses.get(fact.use)) and known.ended_at is None:
            self.uses[fact.use] = known.model_copy(update={"ended_at": at})

    def _has_to_do_with(self, patrons: Iterable[str | None], what: str) -> None:
        for patron in filter(None, patrons):
            self.of_patron[patron] = tuple(dict.fromkeys((*self.of_patron.get(patron, ()), what)))


def noted(fact: ConsentNoted) -> Consent:
    return Consent(
        id=fact.consent,
        form=fact.form,
        place=fact.place,
        patron=fact.patron,
        guardian=fact.guardian,
        contents=fact.contents,
        targets=fact.targets,
        program=fact.program,
    )


def sent_in(content: str, fact: ConsentNoted) -> Content:
    if fact.patron is None:
        return Content(id=content, persons=())
    basis = Basis(patron=fact.patron, consent=fact.consent)
    return Content(id=content, persons=(Identifiable(patron=fact.patron),), bases=(basis,))


def consent_after(consent: Consent, fact: OfConsent) -> Consent:
    match fact:
        case ConsentStands(form=form, since=since, until=until, of_age_at=of_age_at):
            guardian = consent.guardian if form is Form.GUARDIAN else None
            return consent.but(
                standing=Standing.ACTIVE, form=form, guardian=guardian, since=since, until=until, of_age_at=of_age_at
            )
        case ConsentFellDue():
            return consent.but(standing=Standing.RENEWAL_DUE)
        case ConsentOver(standing=standing):
            return consent.but(standing=standing)
        case PersonOptedOut(patron=patron):
            return consent.but(opted_out=(*consent.opted_out, patron))
        case _:
            return consent


def after_revocation(consent: Consent, case: str, fact: OfRevocation) -> Consent:
    match fact:
        case RevocationNoted():
            return consent.but(asked_in=case)
        case RevocationInForce():
            return consent.but(asked_in=case, accepted_in=case)
        case RevocationDropped() if consent.asked_in == case:
            return consent.but(asked_in="")
        case RevocationCarriedOut() if consent.accepted_in == case:
            return consent.but(carried_out=True)
        case _:
            return consent


def content_after(content: Content, fact: OfContent) -> Content:
    match fact:
        case PersonSeen(person=person):
            return content.but(persons=(*content.persons, person))
        case BasisGiven(patron=patron, consent=consent):
            return content.but(bases=(*content.bases, Basis(patron=patron, consent=consent)))
        case BasisTaken(patron=patron):
            return content.but(bases=tuple(each for each in content.bases if each.patron != patron))
        case PictureGone():
            return content.but(gone=True)
        case _:
            return content


# where it came in


def a_place_of_the_library(place: str, clause: str, library: Library) -> None:
    if place not in library.policy.places:
        known = ", ".join(library.policy.places)
        raise Refused(clause, f"the library has no place {place}", f"one of {known}")


# names


def consent_scope(consent: str) -> str:
    return f"consent:{consent}"


def content_scope(content: str) -> str:
    return f"used:{content}"


def patron_scope(patron: str) -> str:
    return f"patron:{patron}"
