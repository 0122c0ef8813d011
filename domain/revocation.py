"""A patron takes back what they allowed: asked, identity checked, accepted, every use removed, and a letter written.

PU-6: whoever sent something in may end its use in writing; the library then stops. PR-13, PR-12: the same holds for
pictures of people. PU-3: a guardian asks for a minor, and no longer once the minor has come of age. Nobody has to know
a reference number. From the very append in which it is accepted nothing new rests on it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, TypedDict

from pydantic import AwareDatetime

from domain.clauses import PR_12, PR_13, PR_15, PU_3, PU_6
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    NoAuthority,
    Page,
    Refused,
    Sealed,
    State,
    every_one_of,
)
from domain.patron_basis import OfRevocation, a_place_of_the_library
from domain.policy import Role
from domain.revocation_messages import (
    AcceptRevocation,
    AskRevocation,
    CheckIdentity,
    ConfirmLetter,
    ConfirmRemoval,
    ConfirmTold,
    DeclineRevocation,
    How,
    IdentityChecked,
    LetterWritten,
    NoteUse,
    PersonTold,
    Received,
    RecordImpossible,
    RemovalAsked,
    RemovalConfirmed,
    RemovalEscalated,
    RemovalImpossible,
    RemovalMomentsReissued,
    RemovalReminded,
    RemovalRerouted,
    RevocationAccepted,
    RevocationAsked,
    RevocationCompleted,
    RevocationDeclined,
    RevocationRestated,
    UseFound,
    UseGone,
    UsesRemoved,
)
from domain.revocation_removals import (
    Removal,
    ask_for_removal,
    ended,
    never,
    of_removal,
    one_that_is_open,
    only_who_takes_it_down,
    rests_on,
    still_stands,
    what_is_due_of,
    who_answers,
    who_takes_it_down,
    with_wait,
    without_expiry,
)
from domain.steps import does_not_follow, in_words
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
from domain.who_may import only_staff, only_the_system

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "revocation"


class Stage(StrEnum):
    NOT_ASKED = auto()
    IDENTITY_CHECK = auto()
    ACCEPTANCE = auto()
    REMOVING = auto()
    LETTER = auto()
    COMPLETED = auto()
    TELLING = auto()
    DECLINED = auto()


BEFORE_ACCEPTANCE = (Stage.IDENTITY_CHECK, Stage.ACCEPTANCE)
OVER = (Stage.COMPLETED, Stage.DECLINED)


class RevocationCase(State):
    stage: Stage = Stage.NOT_ASKED
    asked: RevocationAsked | None = None
    asked_at: AwareDatetime | None = None
    patron: str = ""
    consents: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    accepted: bool = False
    declined_by: str = ""
    removals: tuple[Removal, ...] = ()
    waiting: Wait | None = None
    requester: str = ""
    content: str = ""

    @property
    def said(self) -> RevocationAsked:
        if self.asked is None:
            raise LookupError(f"{self.case} has no request yet")
        return self.asked

    @property
    def handled_at(self) -> str:
        """Where what is sealed in it may be read, beside headquarters."""
        return self.asked.place if self.asked else ""

    def concerned(self) -> tuple[str, ...]:
        """Patrons under whose keys everything of this case is sealed."""
        asker = (self.asked.patron,) if self.asked else ()
        return tuple(dict.fromkeys((*asker, *filter(None, [self.patron]))))

    def closed(self) -> bool:
        return self.stage in OVER

    def open_removals(self) -> tuple[Removal, ...]:
        return tuple(each for each in self.removals if not each.ended)

    def tasks(self) -> tuple[tuple[str, Wait], ...]:
        """What waits for people, by name: each removal on its own."""
        if self.stage is Stage.REMOVING:
            return tuple((each.use, each.wait) for each in self.open_removals())
        return (("", self.waiting),) if self.waiting else ()

    def next_due(self) -> datetime | None:
        return min((due for _, wait in self.tasks() if (due := wait.next_due())), default=None)

    def search(self) -> dict[str, str]:
        """What a case can be looked up by in Temporal. Nothing here may be personal."""
        if self.asked is None:
            return {}
        waiting_for = next((wait.role.value for _, wait in self.tasks()), "")
        return {"Branch": self.asked.place, "Account": "", "WaitingFor": waiting_for}


def decide(act: Act, case: RevocationCase, library: Library) -> Decision:
    match act.command, case.stage:
        case AskRevocation() as ask, Stage.NOT_ASKED:
            authority = the_patron_or_staff(act, ask, library)
            a_place_of_the_library(ask.place, PU_6, library)
            asked = ask.becomes(RevocationAsked, sealed_in=act.id, by=act.by.id)
            return Decision((asked, ask_headquarters("make sure who asks, and for what", library)), authority)

        case CheckIdentity() as check, Stage.IDENTITY_CHECK | Stage.ACCEPTANCE:
            authority = only_staff(act, PR_12, library)
            what_is_asked_is_theirs(check, case, library)
            checked = as_checked(check, case, act.person)
            again = (dropped(case),) if case.stage is Stage.ACCEPTANCE else ()
            return Decision((*again, checked, ask_headquarters("accept the revocation", library)), authority)

        case AcceptRevocation(), Stage.ACCEPTANCE:
            authority = only_headquarters(act, library)
            accepted = RevocationAccepted(**what_it_is_about(case), by=act.person)
            return Decision((accepted, *what_has_to_go(evolve(case, accepted), library)), authority)

        case DeclineRevocation() as decline, Stage.IDENTITY_CHECK | Stage.ACCEPTANCE:
            authority = only_headquarters(act, library)
            declined = decline.becomes(
                RevocationDeclined, **what_it_is_about(case), **letter_of(case), by=act.person
            )
            return Decision((declined, *telling_unless_mail_does(evolve(case, declined), library)), authority)

        case NoteUse() as note, Stage.REMOVING | Stage.LETTER:
            authority = only_staff(act, PR_12, library)
            it_is_about_that(note.used, case, library)
            use = UseFound(
                use=act.id, used=note.used, target=note.target, since=library.at, bases=(), by=act.person,
                where=note.where,
            )  # fmt: skip
            return Decision((use, ask_for_removal(act.id, note.used, note.target, library)), authority)

        case ConfirmRemoval() as removed, Stage.REMOVING:
            removal = one_that_is_open(removed.use, case)
            authority = only_who_takes_it_down(act, removal, library)
            confirmed = RemovalConfirmed(
                use=removal.use, used=removal.content, by=act.person, evidence=removed.evidence
            )
            return Decision((confirmed, *when_all_is_gone(evolve(case, confirmed), library)), authority)

        case RecordImpossible() as impossible, Stage.REMOVING:
            removal = one_that_is_open(impossible.use, case)
            authority = only_headquarters(act, library)
            recorded = impossible.becomes(RemovalImpossible, used=removal.content, by=act.person)
            return Decision((recorded, *when_all_is_gone(evolve(case, recorded), library)), authority)

        case ConfirmLetter(), Stage.LETTER:
            authority = only_headquarters(act, library)
            return Decision((LetterWritten(by=act.person), RevocationCompleted()), authority)

        case ConfirmTold() as told, Stage.TELLING:
            authority = only_who_handles_it(act, case, library)
            why_they_were_not_reached_is_said(told)
            return Decision((told.becomes(PersonTold, by=act.person),), authority)

        case LetTimePass(), _:
            only_the_system(act, PU_6)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_system(act, PU_6)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_ASKED:
            raise Refused(PU_6, "nothing has been asked under this case", "send AskRevocation first")

        case _, Stage.COMPLETED | Stage.DECLINED:
            raise Refused(PU_6, f"the case is {in_words(case.stage)}", "a new request")

        case command, stage:
            raise does_not_follow(PU_6, command, stage, FOLLOWS)


FOLLOWS: dict[Stage, tuple[type[Command], ...]] = {
    Stage.IDENTITY_CHECK: (CheckIdentity, DeclineRevocation),
    Stage.ACCEPTANCE: (AcceptRevocation, CheckIdentity, DeclineRevocation),
    Stage.REMOVING: (ConfirmRemoval, RecordImpossible, NoteUse),
    Stage.LETTER: (ConfirmLetter, NoteUse),
    Stage.TELLING: (ConfirmTold,),
}


# who may


def the_patron_or_staff(act: Act, ask: AskRevocation, library: Library) -> Authority | None:
    """Whoever wrote; or staff who open the letter."""
    if act.by.kind is ActorKind.PATRON:
        if act.by.id != ask.patron:
            raise NoAuthority(PR_12, "nobody asks this for someone else", "the patron's own request, or a guardian's")
        return Authority()
    return only_staff(act, PR_12, library)


def only_headquarters(act: Act, library: Library) -> Authority:
    authority = only_staff(act, PR_12, library)
    if not library.at_headquarters(act.person):
        raise NoAuthority(PR_12, "only headquarters answers a revocation", "let someone of headquarters do it")
    return authority


def only_who_handles_it(act: Act, case: RevocationCase, library: Library) -> Authority:
    """Headquarters, or the branch where it was asked: there they are known, and may come again."""
    authority = only_staff(act, PR_12, library)
    place = case.said.place
    if library.place_of(act.person) != place and not library.at_headquarters(act.person):
        because = f"only {place} and headquarters tell whoever asked"
        raise NoAuthority((PR_12, PR_15), because, f"let someone of {place} do it")
    return authority


# what must hold


def what_is_asked_is_theirs(check: CheckIdentity, case: RevocationCase, library: Library) -> None:
    if not check.consents and not check.pictures:
        raise Refused(PU_6, "it is not said for what they ask", "consents or pictures, or decline the request")
    each_consent = [lambda id_=id_: that_consent_is_theirs(id_, check, case, library) for id_ in check.consents]
    each_picture = [lambda id_=id_: they_are_in_that_picture(id_, check, library) for id_ in check.pictures]
    every_one_of(*each_consent, *each_picture)


def that_consent_is_theirs(id_: str, check: CheckIdentity, case: RevocationCase, library: Library) -> None:
    consent = library.consent(id_)
    theirs = consent is not None and check.on_record in (consent.patron, consent.guardian)
    if consent is None or not theirs:
        # the same words whether or not there is one: it is nobody else's business
        raise Refused((PU_6, PR_12), f"{id_} is not a consent of patron {check.on_record}", "one of theirs")
    if consent.accepted_in:
        raise Refused(PU_6, f"{id_} was revoked before, in {consent.accepted_in}", "leave it out, or decline")
    if consent.asked_in not in ("", case.case):
        raise Refused(PU_6, f"{id_} is being revoked, in {consent.asked_in}", "go on in that case, or decline")
    come_of_age = consent.of_age_at is not None and library.at >= consent.of_age_at
    if check.on_record == consent.guardian and come_of_age:
        because = f"whom {id_} is about has come of age, and speaks for themselves"
        raise Refused((PU_3, PU_6), because, "the request of the person concerned, or decline")


def they_are_in_that_picture(id_: str, check: CheckIdentity, library: Library) -> None:
    content = library.content(id_)
    if content is None or check.on_record not in [each.patron for each in content.persons]:
        raise Refused((PR_13, PR_12), f"patron {check.on_record} is not in {id_}", "a picture they are in")
    if content.withdrawal_of(check.on_record):
        raise Refused(PU_6, f"its use was revoked before, of {id_}", "leave it out, or decline")


def it_is_about_that(used: str, case: RevocationCase, library: Library) -> None:
    content = library.content(used)
    rests_on = [each.consent for each in content.bases] if content else []
    of_a_consent = [each for id_ in case.consents if (found := library.consent(id_)) for each in found.contents]
    if used not in (*case.pictures, *of_a_consent) and not set(rests_on) & set(case.consents):
        raise Refused(PU_6, f"the revocation is not about {used}", "content that it is about")


def why_they_were_not_reached_is_said(told: ConfirmTold) -> None:
    if (told.how is How.NOT_REACHED) is not (told.reason is not None):
        because = "they were told" if told.reason else "it is not said why they could not be reached"
        raise Refused((PU_6, PR_15), because, "a reason where nobody was reached, and there alone")


# what follows


def as_checked(check: CheckIdentity, case: RevocationCase, by: str) -> IdentityChecked:
    return IdentityChecked(
        patron=check.on_record, consents=named_once(check.consents), pictures=named_once(check.pictures),
        asker=case.said.patron, checked=check.checked, as_guardian=case.said.as_guardian, by=by,
    )  # fmt: skip


def named_once(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


class About(TypedDict):
    patron: str
    consents: tuple[str, ...]
    pictures: tuple[str, ...]


class LetterTo(TypedDict):
    email: Sealed | None
    sealed_in: str
    case: str
    asked_at: datetime | None


def what_it_is_about(case: RevocationCase) -> About:
    return {"patron": case.patron or case.said.patron, "consents": case.consents, "pictures": case.pictures}


def letter_of(case: RevocationCase) -> LetterTo:
    said = case.said
    return {"email": said.email, "sealed_in": said.sealed_in, "case": case.case, "asked_at": case.asked_at}


def dropped(case: RevocationCase) -> RevocationRestated:
    return RevocationRestated(patron=case.patron, consents=case.consents, pictures=case.pictures)


def what_has_to_go(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    """Every use that stands and rests on what was revoked, wherever it is; the letter at once where there is none."""
    found = [each for each in library.uses_of(case.consents, case.pictures) if rests_on(each, case)]
    asked = tuple(ask_for_removal(each.id, each.content, each.target, library) for each in found)
    return asked or when_all_is_gone(case, library)


def ask_headquarters(to: str, library: Library) -> Asked:
    """Without an end: what a patron asks is not forgotten by silence."""
    role, persons = who_answers(library)
    return a_task(role, persons, to, (PU_6, PR_12), library)


def a_task(role: Role, persons: tuple[str, ...], to: str, clauses: tuple[str, ...], library: Library) -> Asked:
    return Asked(
        rests_on=clauses, role=role, place=library.headquarters, persons=persons, to=to, since=library.at,
        due=without_expiry(due_moments(library.headquarters, library.at, library)),
        escalates_to=Role.EXECUTIVE_DIRECTOR,
    )  # fmt: skip


def when_all_is_gone(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    """The letter by mail ends it; without an address it is written by post first."""
    if case.open_removals():
        return ()
    removed = UsesRemoved(
        **what_it_is_about(case), **letter_of(case), removed=sum(each.why is None for each in case.removals),
        impossible=tuple(each.why for each in case.removals if each.why is not None),
    )  # fmt: skip
    if case.said.email is not None:
        return removed, RevocationCompleted()
    return removed, ask_headquarters("write the letter by post that all is removed", library)


def telling_unless_mail_does(case: RevocationCase, library: Library) -> tuple[Asked, ...]:
    """PR-15: whoever asked hears of it directly. Without an address whoever declined tells them, as they came."""
    if case.said.email is not None:
        return ()
    role, persons = who_tells(case, library)
    to = f"tell whoever asked {AS_THEY_CAME[how_they_came(case.said)]} why it is declined"
    return (a_task(role, persons, to, (PU_6, PR_15), library),)


def how_they_came(said: RevocationAsked) -> How:
    if said.received is Received.LETTER:
        return How.LETTER
    return How.TELEPHONE if said.telephone is not None else How.DESK


AS_THEY_CAME = {
    How.LETTER: "by letter",
    How.TELEPHONE: "by telephone",
    How.DESK: "when they come or call",
}


def who_tells(case: RevocationCase, library: Library) -> tuple[Role, tuple[str, ...]]:
    """Whoever declined it; once they are gone or elsewhere, whoever answers revocations."""
    if library.at_headquarters(case.declined_by):
        return Role(library.standing(case.declined_by).role), (case.declined_by,)
    return who_answers(library)


def what_time_brings(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    settled = what_follows_from_outside(case, library)
    now = reduce(evolve, settled, case)
    if now.stage is not Stage.REMOVING:
        return (*settled, *what_is_due(now.waiting, library.at, library, never))
    due = [fact for each in now.open_removals() for fact in what_is_due_of(each, library)]
    return (*settled, *due)


def what_follows_from_outside(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    """A use that was ended elsewhere is gone here too; a task goes to whoever holds the role by now."""
    if case.stage is Stage.REMOVING:
        return what_becomes_of_the_removals(case, library)
    if case.waiting is None:
        return ()
    role, persons = who_tells(case, library) if case.stage is Stage.TELLING else who_answers(library)
    return what_changed_around(case.waiting, role, persons, library)


def what_becomes_of_the_removals(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    gone = tuple(UseGone(use=each.use) for each in case.open_removals() if not still_stands(each.use, library))
    left = reduce(evolve, gone, case)
    if gone and not left.open_removals():
        return (*gone, *when_all_is_gone(left, library))
    rerouted = [
        of_removal(fact, each.use, library)
        for each in left.open_removals()
        for fact in what_changed_around(each.wait, *who_takes_it_down(each.target, library), library)
    ]
    return (*gone, *rerouted)


# how the state follows from the facts


def evolve(case: RevocationCase, fact: Fact) -> RevocationCase:
    match fact:
        case RevocationAsked(by=by):
            return case.but(stage=Stage.IDENTITY_CHECK, asked=fact, requester=by)
        case OfRevocation():
            return after_revocation_fact(case, fact)
        case UseGone(use=use):
            return ended(case, use, "gone")
        case RemovalConfirmed(use=use):
            return ended(case, use, "removed")
        case RemovalImpossible(use=use, why=why):
            return ended(case, use, "impossible", why)
        case RevocationCompleted():
            return case.but(stage=Stage.COMPLETED, waiting=None)
        case RemovalAsked():
            wait = evolve_wait(None, fact)
            removal = Removal(use=fact.use, content=fact.used, target=fact.target, wait=wait) if wait else None
            return case.but(stage=Stage.REMOVING, waiting=None, removals=(*case.removals, *filter(None, [removal])))
        case RemovalEscalated(use=use, nth=2):
            return with_wait(case, use, lambda wait: wait.has_done(Due.OVERDUE))
        case RemovalReminded(use=use) | RemovalEscalated(use=use):
            return with_wait(case, use, lambda wait: evolve_wait(wait, fact) or wait)
        case RemovalMomentsReissued(use=use) | RemovalRerouted(use=use):
            return with_wait(case, use, lambda wait: evolve_wait(wait, fact) or wait)
        case PersonTold():
            return case.but(stage=Stage.DECLINED, waiting=None)
        case Asked() if case.stage is Stage.DECLINED:
            return case.but(stage=Stage.TELLING, waiting=evolve_wait(None, fact))
        case Asked():
            asked_at = case.asked_at or fact.since
            return case.but(waiting=evolve_wait(case.waiting, fact), asked_at=asked_at)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


def after_revocation_fact(case: RevocationCase, fact: OfRevocation) -> RevocationCase:
    about = {"patron": fact.patron, "consents": fact.consents, "pictures": fact.pictures}
    match fact:
        case IdentityChecked():
            return case.but(stage=Stage.ACCEPTANCE, **about)
        case RevocationAccepted():
            return case.but(stage=Stage.REMOVING, accepted=True, waiting=None, **about)
        case UsesRemoved():
            return case.but(stage=Stage.LETTER, waiting=None)
        case RevocationDeclined(by=by):
            return case.but(stage=Stage.DECLINED, waiting=None, declined_by=by)
        case _:
            return case


REVOCATION = Page(PROCESS, RevocationCase, decide, evolve, opens_with=(AskRevocation,))
