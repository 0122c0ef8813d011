"""May the library show this content on that account, or in print, at this moment? And whose consent stands behind it.

PU-6: what a patron sent in, until they revoke. PR-13: pictures of people, each of them with exactly one basis.
PR-14: on the library's own accounts and in its own print, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from domain.clauses import PR_12, PR_13, PR_14, PU_3, PU_6
from domain.facts import Refused, Value
from domain.patron_basis import PRINT, Basis, Form, Identifiable, Standing
from domain.patron_register import Consent, Content

if TYPE_CHECKING:
    from domain.library import Library


class Against(Value):
    """What stands against it: for which person, by which consent, under which clauses, and what would pass."""

    clauses: tuple[str, ...]
    because: str
    remedy: str
    patron: str = ""
    consent: str = ""


class MayUse(Value):
    """`bases`: whose consent it rests on. `against` is empty exactly where it may be used. `partly`: it would do so
    if everyone without a basis were made unrecognisable."""

    content: str
    target: str
    at: AwareDatetime
    may: bool
    partly: bool
    bases: tuple[Basis, ...]
    against: tuple[Against, ...]

    def or_refuse(self) -> None:
        if self.against:
            raise Refused.all_of([Refused(each.clauses, each.because, each.remedy) for each in self.against])


def may_use(content: str, target: str, library: Library, hiding: Collection[str] = ()) -> MayUse:
    """`target` empty asks of no account in particular. `hiding`: those who are made unrecognisable."""
    known = library.content(content)
    elsewhere = against_the_target(target, library)
    if known is None or known.gone:
        return verdict(content, target, library, (), [*elsewhere, nothing_is_known_of(content)])
    shown = [each for each in known.persons if each.patron not in hiding]
    bases, without = [], []
    for person in shown:
        consent = known.basis_of(person.patron)
        if found := against_the_basis(consent, person, known, target, library):
            without.append(found)
        else:
            bases.append(Basis(patron=person.patron, consent=consent))
    partly = bool(without) and not elsewhere and bool(bases)
    return verdict(content, target, library, tuple(bases), [*elsewhere, *without], partly)


def verdict(
    content: str, target: str, library: Library, bases: tuple[Basis, ...], against: list[Against], partly: bool = False
) -> MayUse:
    return MayUse(
        content=content, target=target, at=library.at, may=not against, partly=partly, bases=bases,
        against=tuple(against),
    )  # fmt: skip


def nothing_is_known_of(content: str) -> Against:
    return Against(
        clauses=(PR_13,),
        because=f"the library has no content {content}",
        remedy="take the picture in, or record the consent of the one who sent it",
    )


def against_the_target(target: str, library: Library) -> list[Against]:
    if not target or target.startswith(PRINT):
        return []
    account = library.account(target)
    if account is not None and account.in_service:
        return []
    because = f"{target} is closed" if account else f"{target} is no account of the library's"
    return [Against(clauses=(PR_14,), because=because, remedy="an account that is in service, or print")]


def against_the_basis(
    consent_id: str, person: Identifiable, content: Content, target: str, library: Library
) -> Against | None:
    """The first thing that stands against resting this person's picture on that consent."""
    if library.is_forgotten(person.patron):
        because = "was forgotten, and nothing of theirs is used"
        return against(person, consent_id, (PR_12,), because, "make the person unrecognisable")
    if not consent_id:
        return against(person, "", (PR_13,), "has no basis", "give one, or make the person unrecognisable")
    consent = library.consent(consent_id)
    if consent is None:
        return against(person, consent_id, (PR_13,), "has a basis that is not on record", "a consent that is")
    return (
        against_its_standing(consent, person, content)
        or against_its_term(consent, person, library)
        or against_its_limits(consent, person, content, target)
        or against_its_form(consent, person, content, library)
    )


def against_its_standing(consent: Consent, person: Identifiable, content: Content) -> Against | None:
    if consent.accepted_in:
        because = f"revoked {consent.id}; that was accepted in {consent.accepted_in}"
        return against(person, consent.id, (PU_6, PR_12), because, "a new consent")
    withdrawal = content.withdrawal_of(person.patron)
    if withdrawal and not (consent.since and consent.since > withdrawal.at):
        because = f"revoked the use of this content; that was accepted in {withdrawal.case}"
        return against(person, consent.id, (PU_6, PR_12), because, "a new consent")
    if consent.standing is not Standing.ACTIVE:
        because = f"has only {consent.id}, which is {consent.standing.value.replace('_', ' ')}"
        return against(person, consent.id, (PR_13,), because, "a consent that is active")
    return None


def against_its_term(consent: Consent, person: Identifiable, library: Library) -> Against | None:
    if consent.since and library.at < consent.since:
        return against(person, consent.id, (PR_13,), f"has {consent.id}, which has not begun", "wait until it has")
    if consent.until and library.at >= consent.until:
        return against(person, consent.id, (PR_13,), f"has {consent.id}, whose term is over", "a new consent")
    if consent.form is Form.GUARDIAN and consent.of_age_at and library.at >= consent.of_age_at:
        because = f"has come of age, and {consent.id} is a guardian's"
        return against(person, consent.id, (PU_3, PR_13), because, "the person's own consent")
    return None


def against_its_limits(consent: Consent, person: Identifiable, content: Content, target: str) -> Against | None:
    if consent.contents and content.id not in consent.contents:
        because = f"gave {consent.id} for other content"
        return against(person, consent.id, (PR_13,), because, "a consent for this content")
    if target and consent.targets and target not in consent.targets:
        because = f"gave {consent.id} for {', '.join(consent.targets)} only"
        return against(person, consent.id, (PR_13, PR_14), because, "one of those, or a wider consent")
    return None


def against_its_form(consent: Consent, person: Identifiable, content: Content, library: Library) -> Against | None:
    if consent.form is Form.EVENT_NOTICE:
        return against_the_notice(consent, person, content, library)
    if consent.patron != person.patron:
        return against(person, consent.id, (PR_13,), f"did not give {consent.id}", "this person's own consent")
    if person.minor and consent.form is not Form.GUARDIAN:
        because = f"is a minor, and {consent.id} is no guardian's"
        return against(person, consent.id, (PU_3, PR_13), because, "a parent's or guardian's permission")
    return None


def against_the_notice(consent: Consent, person: Identifiable, content: Content, library: Library) -> Against | None:
    """PR-13: it covers pictures taken within the program, of those who did not object on the day."""
    program = consent.program
    taken_within = (
        program is not None
        and content.taken_at is not None
        and program.starts <= content.taken_at <= program.ends
        and content.place == consent.place
    )
    if not taken_within:
        because = f"is in a picture taken outside the program of {consent.id}"
        return against(person, consent.id, (PR_13,), because, "a written permission")
    if person.patron in consent.opted_out:
        because = f"asked on the day of {consent.id} not to be pictured"
        return against(person, consent.id, (PR_13, PR_12), because, "make the person unrecognisable")
    needs_guardian = library.policy.settings.singled_out_minor_needs_guardian.value
    if person.minor and person.singled_out and needs_guardian:
        because = "is a minor whom the picture singles out, and a notice is not enough for that"
        return against(person, consent.id, (PR_13, PU_3), because, "a parent's or guardian's permission")
    return None


def against(person: Identifiable, consent: str, clauses: tuple[str, ...], because: str, remedy: str) -> Against:
    return Against(
        clauses=clauses,
        because=f"patron {person.patron} {because}",
        remedy=remedy,
        patron=person.patron,
        consent=consent,
    )
