"""A patron's consent: recorded, looked at, in force for its term, renewed or ended.

PU-6: what a patron sends in may be used until they revoke that in writing. PR-13: a picture needs the written
permission of the person, or of a parent or guardian for a minor; at a program a public notice up before and during it
is enough. PU-3: nobody but the guardian speaks for a minor. The fields follow ISO/IEC TS 27560's consent record.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from domain.calendar import instant
from domain.clauses import PR_12, PR_13, PU_6
from domain.consent_messages import (
    ConfirmConsent,
    ConsentActive,
    ConsentExpired,
    ConsentKept,
    ConsentRecorded,
    ConsentRejected,
    ConsentRenewed,
    ConsentRevoked,
    ConsentRevoking,
    NoticeProven,
    OptedOut,
    OptOut,
    ProveNotice,
    RecordConsent,
    RejectConsent,
    RenewalFellDue,
    RenewConsent,
    RevocationKnown,
    Shown,
    When,
)
from domain.consent_rules import (
    a_proof_of_the_notice,
    it_can_be_confirmed,
    on_the_day_of_the_program,
    what_is_recorded_can_be,
)
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Evidence,
    Fact,
    NoAuthority,
    Page,
    Refused,
    State,
    Value,
)
from domain.patron_basis import ConsentOver, ConsentStands, Form
from domain.patron_register import Consent
from domain.policy import Role
from domain.steps import in_words
from domain.waiting import (
    Asked,
    Due,
    DueMoment,
    DueMomentsReissued,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    due_moments,
    evolve_wait,
    only_expiry,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_staff, only_staff_who_handle_it, only_the_system

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "consent"


class Stage(StrEnum):
    NOT_RECORDED = auto()
    RECORDED = auto()
    ACTIVE = auto()
    REVOCATION_ASKED = auto()
    REVOKING = auto()
    RENEWAL_DUE = auto()
    REVOKED = auto()
    EXPIRED = auto()
    REJECTED = auto()


IN_FORCE = (Stage.ACTIVE, Stage.REVOCATION_ASKED)
OVER = (Stage.REVOKED, Stage.EXPIRED, Stage.REJECTED)


class Proof(Value):
    when: When
    seen_at: AwareDatetime


class ConsentCase(State):
    stage: Stage = Stage.NOT_RECORDED
    recorded: ConsentRecorded | None = None
    form: Form | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    of_age_at: AwareDatetime | None = None
    shown: Shown | None = None
    proofs: tuple[Proof, ...] = ()
    opted_out: tuple[str, ...] = ()
    revocation: str = ""
    waiting: Wait | None = None
    requester: str = ""
    content: str = ""

    @property
    def consent(self) -> ConsentRecorded:
        if self.recorded is None:
            raise LookupError(f"{self.case} has no consent yet")
        return self.recorded

    @property
    def handled_at(self) -> str:
        """Where what is sealed in it may be read, beside headquarters."""
        return self.recorded.place if self.recorded else ""

    def concerned(self) -> tuple[str, ...]:
        """Patrons under whose keys everything of this case is sealed."""
        known = self.recorded
        return tuple(each for each in (known.patron, known.guardian) if each) if known else ()

    def closed(self) -> bool:
        return self.stage in OVER

    def asleep(self) -> bool:
        """Nobody is waited for: what changes it is recorded, or is one of its own moments."""
        return self.waiting is None

    def proven(self, when: When) -> bool:
        return any(each.when is when for each in self.proofs)

    def next_due(self) -> datetime | None:
        """People who are waited for, and the consent's own moments."""
        moments = [self.waiting.next_due() if self.waiting else None]
        if self.stage in IN_FORCE:
            moments += [self.until, self.of_age_at if self.form is Form.GUARDIAN else None]
        return min((each for each in moments if each), default=None)

    def search(self) -> dict[str, str]:
        """What a case can be looked up by in Temporal. Nothing here may be personal."""
        if self.recorded is None:
            return {}
        waiting_for = self.waiting.role.value if self.waiting else ""
        return {"Branch": self.recorded.place, "Account": "", "WaitingFor": waiting_for}


def decide(act: Act, case: ConsentCase, library: Library) -> Decision:
    match act.command, case.stage:
        case RecordConsent() as record, Stage.NOT_RECORDED:
            authority = the_patron_or_staff(act, record, library)
            what_is_recorded_can_be(record, case, library)
            recorded = as_recorded(record, act, library)
            return Decision((recorded, ask_to_look_at_it(recorded, library)), authority)

        case ConfirmConsent() as confirm, Stage.RECORDED:
            authority = only_staff_who_handle_it(act, "consent", case.consent.place, PR_12, library)
            it_can_be_confirmed(confirm, case)
            return Decision((as_active(case, library, act.person, confirm.shown, confirm.evidence),), authority)

        case ProveNotice() as proof, Stage.RECORDED:
            authority = only_staff_who_handle_it(act, "consent", case.consent.place, PR_12, library)
            a_proof_of_the_notice(proof, case, library)
            proven = proof.becomes(NoticeProven, consent=case.case, by=act.person)
            return Decision((proven, *active_once_proven_twice(proven, case, library)), authority)

        case OptOut() as opt_out, Stage.RECORDED | Stage.ACTIVE:
            authority = only_staff_who_handle_it(act, "consent", case.consent.place, PR_12, library)
            on_the_day_of_the_program(opt_out, case, library)
            return Decision((opt_out.becomes(OptedOut, consent=case.case),), authority)

        case RejectConsent() as reject, Stage.RECORDED | Stage.RENEWAL_DUE:
            authority = only_staff_who_handle_it(act, "consent", case.consent.place, PR_12, library)
            rejected = reject.becomes(ConsentRejected, consent=case.case, frees=case.consent.own_contents())
            return Decision((rejected,), authority)

        case RenewConsent() as renew, Stage.RENEWAL_DUE:
            authority = only_staff_who_handle_it(act, "consent", case.consent.place, PR_12, library)
            return Decision((as_renewed(renew, case, act.person, library),), authority)

        case LetTimePass(), _:
            only_the_system(act, PR_13)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_system(act, PR_13)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_RECORDED:
            raise Refused(PR_13, "no consent has been recorded under this case", "send RecordConsent first")

        case _, Stage.REVOKED | Stage.EXPIRED | Stage.REJECTED:
            raise Refused(PR_13, f"the consent is {in_words(case.stage)}", "record a new consent")

        case command, stage:
            follows = ", ".join(each.__name__ for each in FOLLOWS[stage]) or "nothing: it is being carried out"
            raise Refused(PR_13, f"{type(command).__name__} does not follow {in_words(stage)}", follows)


FOLLOWS: dict[Stage, tuple[type[Command], ...]] = {
    Stage.RECORDED: (ConfirmConsent, ProveNotice, OptOut, RejectConsent),
    Stage.ACTIVE: (OptOut,),
    Stage.REVOCATION_ASKED: (),
    Stage.REVOKING: (),
    Stage.RENEWAL_DUE: (RenewConsent, RejectConsent),
}


# who may


def the_patron_or_staff(act: Act, record: RecordConsent, library: Library) -> Authority | None:
    """A patron speaks for themselves or as the guardian they say they are; staff record what came in writing."""
    if act.by.kind is not ActorKind.PATRON:
        return only_staff(act, PR_12, library)
    if act.by.id not in (record.patron, record.guardian):
        raise NoAuthority(PR_12, "nobody gives consent for someone else", "the patron's own, or the guardian's")
    if record.form is Form.EVENT_NOTICE:
        raise NoAuthority(PR_13, "a notice is put up by the library", "let staff record it")
    return Authority()


# what follows


def as_recorded(record: RecordConsent, act: Act, library: Library) -> ConsentRecorded:
    given_at = record.given_at or library.at
    return record.becomes(ConsentRecorded, consent=act.case, given_at=given_at, recorded_by=act.by.id)


def as_active(
    case: ConsentCase, library: Library, by: str, shown: Shown | None = None, evidence: tuple[Evidence, ...] = ()
) -> ConsentActive:
    recorded = case.consent
    of_age_at = day_begins(recorded.of_age_in, library) if recorded.of_age_in else None
    return ConsentActive(
        consent=case.case, form=guardians_if_a_minors(recorded), since=library.at,
        until=until_when(recorded, library), of_age_at=of_age_at, by=by, shown=shown, evidence=evidence,
    )  # fmt: skip


def guardians_if_a_minors(recorded: ConsentRecorded) -> Form:
    """What a minor sent in rests on the guardian's word, as a picture of them does."""
    return Form.GUARDIAN if recorded.minor else recorded.form


def active_once_proven_twice(proven: NoticeProven, case: ConsentCase, library: Library) -> tuple[Fact, ...]:
    so_far = evolve(case, proven)
    return (as_active(so_far, library, ""),) if all(so_far.proven(when) for when in When) else ()


def until_when(recorded: ConsentRecorded, library: Library) -> datetime | None:
    """What the person said; a written permission ends after the library's term at the latest."""
    said = day_begins(recorded.until, library) if recorded.until else None
    if recorded.form not in (Form.ADULT, Form.GUARDIAN):
        return said
    longest = library.calendar.months_after(library.at, library.policy.settings.consent_term_months.value)
    return min(said, longest) if said else longest


def as_renewed(renew: RenewConsent, case: ConsentCase, by: str, library: Library) -> ConsentRenewed:
    months = library.policy.settings.consent_term_months.value
    form = Form.SUBMISSION if case.consent.form is Form.SUBMISSION else Form.ADULT
    return renew.becomes(
        ConsentRenewed, consent=case.case, form=form, since=library.at, by=by,
        until=library.calendar.months_after(library.at, months),
    )  # fmt: skip


def day_begins(day: date, library: Library) -> datetime:
    return instant(day, time(0), library.calendar.zone).astimezone(UTC)


def ask_to_look_at_it(recorded: ConsentRecorded, library: Library) -> Asked:
    role, persons = who_looks_at_it(recorded.place, library)
    if recorded.program is None:
        to, due = "look at the consent and confirm or reject it", due_moments(recorded.place, library.at, library)
    else:
        # a notice may be recorded long before its program
        ends = max(recorded.program.ends, library.at)
        days = library.policy.settings.expire_after_days.value
        to, due = "prove the notice before and during the program", only_expiry(ends, days, library)
    return ask_them(role, persons, recorded.place, to, due, library)


def ask_for_renewal(case: ConsentCase, library: Library) -> Asked:
    role, persons = who_looks_at_it(case.consent.place, library)
    days = library.policy.settings.renewal_open_days.value
    due = only_expiry(library.at, days, library)
    reminders = tuple(
        each
        for each in due_moments(case.consent.place, library.at, library)
        if each.at < due[0].at and each.what is not due[0].what
    )
    to = "ask whoever has come of age for their own permission"
    return ask_them(role, persons, case.consent.place, to, (*reminders, *due), library)


def ask_them(
    role: Role, persons: tuple[str, ...], place: str, to: str, due: tuple[DueMoment, ...], library: Library
) -> Asked:
    return Asked(
        rests_on=(PU_6, PR_13), role=role, place=place, persons=persons, to=to, since=library.at, due=due,
        escalates_to=Role.MARKETING_AND_ACCESS_COORDINATOR,
    )  # fmt: skip


def who_looks_at_it(place: str, library: Library) -> tuple[Role, tuple[str, ...]]:
    """Whoever runs the place; at headquarters the coordinator, and the director while that post is vacant."""
    if place != library.headquarters:
        return Role.BRANCH_MANAGER, library.who_runs(place)
    coordinator = library.holders(Role.MARKETING_AND_ACCESS_COORDINATOR)
    return Role.MARKETING_AND_ACCESS_COORDINATOR, coordinator or library.holders(Role.EXECUTIVE_DIRECTOR)


def what_time_brings(case: ConsentCase, library: Library) -> tuple[Fact, ...]:
    """First what has changed around it: nothing expires that is being revoked."""
    settled = what_follows_from_outside(case, library)
    return (*settled, *what_time_alone_brings(reduce(evolve, settled, case), library))


def what_time_alone_brings(case: ConsentCase, library: Library) -> tuple[Fact, ...]:
    if case.stage not in IN_FORCE:
        return what_is_due(case.waiting, library.at, library, lambda: expired(case))
    if case.until and library.at >= case.until:
        return (expired(case),)
    if case.form is Form.GUARDIAN and case.of_age_at and library.at >= case.of_age_at:
        return RenewalFellDue(consent=case.case), ask_for_renewal(case, library)
    return ()


def expired(case: ConsentCase) -> ConsentExpired:
    return ConsentExpired(consent=case.case, frees=case.consent.own_contents())


def what_follows_from_outside(case: ConsentCase, library: Library) -> tuple[Fact, ...]:
    """What its revocation, a case of its own, has come to; and who is asked by now."""
    if case.recorded is None or case.closed():
        return ()
    known = library.consent(case.case)
    if known is not None and (followed := what_its_revocation_brings(case, known)):
        return followed
    if case.waiting is None or case.stage not in (Stage.RECORDED, Stage.RENEWAL_DUE):
        return ()
    role, persons = who_looks_at_it(case.consent.place, library)
    changed = what_changed_around(case.waiting, role, persons, library)
    return tuple(with_its_own_end(each, case.waiting) for each in changed if not is_only_its_end(each, case.waiting))


def with_its_own_end(fact: Fact, wait: Wait) -> Fact:
    """Its last day is its own, and not that of every wait."""
    if not isinstance(fact, DueMomentsReissued):
        return fact
    return fact.model_copy(update={"due": kept_end(fact, wait)})


def is_only_its_end(fact: Fact, wait: Wait) -> bool:
    return isinstance(fact, DueMomentsReissued) and kept_end(fact, wait) == wait.due


def kept_end(fact: DueMomentsReissued, wait: Wait) -> tuple[DueMoment, ...]:
    ends = [each for each in wait.due if each.what is Due.EXPIRY]
    return (*(each for each in fact.due if each.what is not Due.EXPIRY), *ends)


def what_its_revocation_brings(case: ConsentCase, known: Consent) -> tuple[Fact, ...]:
    id_, revocation = case.case, known.accepted_in or known.asked_in or case.revocation
    if known.accepted_in and known.carried_out:
        over = ConsentRevoked(consent=id_, revocation=revocation, frees=case.consent.own_contents())
        return (over,) if case.stage is Stage.REVOKING else (ConsentRevoking(consent=id_, revocation=revocation), over)
    if known.accepted_in:
        return () if case.stage is Stage.REVOKING else (ConsentRevoking(consent=id_, revocation=revocation),)
    if known.asked_in and case.stage is Stage.ACTIVE:
        return (RevocationKnown(consent=id_, revocation=revocation),)
    if not known.asked_in and case.stage is Stage.REVOCATION_ASKED:
        return (ConsentKept(consent=id_, revocation=revocation),)
    return ()


# how the state follows from the facts


def evolve(case: ConsentCase, fact: Fact) -> ConsentCase:
    match fact:
        case ConsentRecorded():
            return case.but(stage=Stage.RECORDED, recorded=fact, form=fact.form, requester=fact.recorded_by)
        case ConsentStands(form=form, since=since, until=until, of_age_at=of_age_at):
            shown = getattr(fact, "shown", None)
            return case.but(
                stage=Stage.ACTIVE, form=form, since=since, until=until, of_age_at=of_age_at, shown=shown, waiting=None
            )
        case NoticeProven(when=when, seen_at=seen_at):
            return case.but(proofs=(*case.proofs, Proof(when=when, seen_at=seen_at)))
        case OptedOut(patron=patron):
            return case.but(opted_out=(*case.opted_out, patron))
        case RevocationKnown(revocation=revocation):
            return case.but(stage=Stage.REVOCATION_ASKED, revocation=revocation)
        case ConsentKept():
            return case.but(stage=Stage.ACTIVE, revocation="")
        case ConsentRevoking(revocation=revocation):
            return case.but(stage=Stage.REVOKING, revocation=revocation, waiting=None)
        case RenewalFellDue():
            return case.but(stage=Stage.RENEWAL_DUE)
        case ConsentOver():
            return case.but(stage=HOW_IT_ENDED[type(fact)], waiting=None)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


HOW_IT_ENDED: dict[type[Fact], Stage] = {
    ConsentRevoked: Stage.REVOKED,
    ConsentExpired: Stage.EXPIRED,
    ConsentRejected: Stage.REJECTED,
}


CONSENT = Page(PROCESS, ConsentCase, decide, evolve, opens_with=(RecordConsent,))
