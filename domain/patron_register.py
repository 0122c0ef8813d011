"""Everything the log has said of consents, content, revocations and uses, as it stands now (PU-6, PR-13)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import AwareDatetime

from domain.facts import Envelope, Fact, PatronId, Value
from domain.patron_basis import (
    Basis,
    BasisGiven,
    BasisTaken,
    ConsentFellDue,
    ConsentNoted,
    ConsentOver,
    ConsentStands,
    Form,
    Identifiable,
    OfConsent,
    OfContent,
    OfRevocation,
    OfUse,
    PersonOptedOut,
    PersonSeen,
    PictureGone,
    PictureHeld,
    Program,
    RevocationCarriedOut,
    RevocationDropped,
    RevocationInForce,
    RevocationNoted,
    Standing,
    UseBegun,
    UseOver,
)


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
