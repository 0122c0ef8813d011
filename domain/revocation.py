"""A patron takes back what they allowed: asked, identity checked, accepted, every use removed, and a letter written.

PU-6: whoever sent something in may end its use in writing; the library then stops. PR-13, PR-12: the same holds for
pictures of people. PU-3: a guardian asks for a minor, and no longer once the minor has come of age. Nobody has to know
a reference number. From the very append in which it is accepted nothing new rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_12, PR_13, PR_14, PR_15, PU_3, PU_6
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Evidence,
    Fact,
    Line,
    NoAuthority,
    Page,
    PatronId,
    PersonId,
    Refused,
    Sealed,
    Slug,
    State,
    Value,
    every_one_of,
)
from domain.patron_basis import (
    PRINT,
    ConsentId,
    ContentId,
    OfRevocation,
    PictureId,
    RevocationCarriedOut,
    RevocationDropped,
    RevocationInForce,
    RevocationNoted,
    StatusHash,
    Target,
    Use,
    UseBegun,
    UseOver,
    a_place_of_the_library,
)
from domain.policy import Role
from domain.steps import does_not_follow, in_words
from domain.telling import LetterToPatron
from domain.waiting import (
    Asked,
    BecameOverdue,
    Due,
    DueMoment,
    DueMomentsReissued,
    Escalated,
    LetTimePass,
    Reconsider,
    Reminded,
    TaskRerouted,
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
    DECLINED = auto()


BEFORE_ACCEPTANCE = (Stage.IDENTITY_CHECK, Stage.ACCEPTANCE)
OVER = (Stage.COMPLETED, Stage.DECLINED)


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


class Removal(Value):
    """A task: one use, whoever takes it down, and until when."""

    use: str
    content: str
    target: str
    wait: Wait
    ended: str = ""
    why: WhyImpossible | None = None

    def but(self, **changed: object) -> Removal:
        return self.model_copy(update=changed)


class RevocationCase(State):
    stage: Stage = Stage.NOT_ASKED
    asked: RevocationAsked | None = None
    asked_at: AwareDatetime | None = None
    patron: str = ""
    consents: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    accepted: bool = False
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
            return Decision((declined,), authority)

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


def only_who_takes_it_down(act: Act, removal: Removal, library: Library) -> Authority:
    """Those who were asked, and headquarters."""
    authority = only_staff(act, PR_12, library)
    if act.person not in removal.wait.persons and not library.at_headquarters(act.person):
        asked = ", ".join(removal.wait.persons) or "headquarters"
        raise NoAuthority((PU_6, PR_14), f"{act.person} does not administer {removal.target}", f"let {asked} do it")
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


def one_that_is_open(use: str, case: RevocationCase) -> Removal:
    found = next((each for each in case.open_removals() if each.use == use), None)
    if found is None:
        still_open = ", ".join(each.use for each in case.open_removals())
        raise Refused(PU_6, f"no removal of {use} is open", f"one of {still_open}")
    return found


# what follows


def as_checked(check: CheckIdentity, case: RevocationCase, by: str) -> IdentityChecked:
    return IdentityChecked(
        patron=check.on_record, consents=named_once(check.consents), pictures=named_once(check.pictures),
        asker=case.said.patron, checked=check.checked, as_guardian=case.said.as_guardian, by=by,
    )  # fmt: skip


def named_once(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


def what_it_is_about(case: RevocationCase) -> dict[str, object]:
    return {"patron": case.patron or case.said.patron, "consents": case.consents, "pictures": case.pictures}


def letter_of(case: RevocationCase) -> dict[str, object]:
    said = case.said
    return {"email": said.email, "sealed_in": said.sealed_in, "case": case.case, "asked_at": case.asked_at}


def dropped(case: RevocationCase) -> RevocationRestated:
    return RevocationRestated(patron=case.patron, consents=case.consents, pictures=case.pictures)


def what_has_to_go(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    """Every use that stands and rests on what was revoked, wherever it is; the letter at once where there is none."""
    found = [each for each in library.uses_of(case.consents, case.pictures) if rests_on(each, case)]
    asked = tuple(ask_for_removal(each.id, each.content, each.target, library) for each in found)
    return asked or when_all_is_gone(case, library)


def rests_on(use: Use, case: RevocationCase) -> bool:
    by_consent = any(basis.consent in case.consents for basis in use.bases)
    shown = use.content in case.pictures and (
        not use.bases or case.patron in [basis.patron for basis in use.bases]
    )
    return by_consent or shown


def ask_for_removal(use: str, content: str, target: str, library: Library) -> RemovalAsked:
    role, persons = who_takes_it_down(target, library)
    return RemovalAsked(
        use=use, used=content, target=target, rests_on=(PU_6, PR_12), role=role, place=library.headquarters,
        persons=persons, to=f"remove from {target} what a patron has taken back", since=library.at,
        due=without_expiry(due_moments(library.headquarters, library.at, library)),
        escalates_to=Role.MARKETING_AND_ACCESS_COORDINATOR,
    )  # fmt: skip


def who_takes_it_down(target: str, library: Library) -> tuple[Role, tuple[str, ...]]:
    """The account's administrators; for print, and where none of them is left, the coordinator."""
    account = None if target.startswith(PRINT) else library.account(target)
    active = [each for each in account.administrators if library.is_employee(each)] if account else []
    if active:
        return Role(library.standing(active[0]).role or Role.BRANCH_STAFF), tuple(active)
    return who_answers(library)


def who_answers(library: Library) -> tuple[Role, tuple[str, ...]]:
    """The coordinator; the director while that post is vacant."""
    role = Role.MARKETING_AND_ACCESS_COORDINATOR
    holders = library.holders(role)
    return (role, holders) if holders else (Role.EXECUTIVE_DIRECTOR, library.holders(Role.EXECUTIVE_DIRECTOR))


def ask_headquarters(to: str, library: Library) -> Asked:
    """Without an end: what a patron asks is not forgotten by silence."""
    role, persons = who_answers(library)
    return Asked(
        rests_on=(PU_6, PR_12), role=role, place=library.headquarters, persons=persons, to=to, since=library.at,
        due=without_expiry(due_moments(library.headquarters, library.at, library)),
        escalates_to=Role.EXECUTIVE_DIRECTOR,
    )  # fmt: skip


def without_expiry(due: tuple[DueMoment, ...]) -> tuple[DueMoment, ...]:
    return tuple(each for each in due if each.what is not Due.EXPIRY)


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


def what_time_brings(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    settled = what_follows_from_outside(case, library)
    now = reduce(evolve, settled, case)
    if now.stage is not Stage.REMOVING:
        return (*settled, *what_is_due(now.waiting, library.at, library, never))
    due = [fact for each in now.open_removals() for fact in what_is_due_of(each, library)]
    return (*settled, *due)


def never() -> Fact:
    raise LookupError("a revocation has no end but its own")


def what_is_due_of(removal: Removal, library: Library) -> list[Fact]:
    """At five business days the coordinator is told, at ten the director: the policy file's own numbers of both."""
    due = what_is_due(removal.wait, library.at, library, never)
    return [of_removal(each, removal.use, library) for each in due]


def of_removal(fact: Fact, use: str, library: Library) -> Fact:
    said = {name: getattr(fact, name) for name in type(fact).model_fields}
    match fact:
        case Reminded():
            return RemovalReminded(use=use, **said)
        case Escalated():
            return RemovalEscalated(use=use, nth=1, **said)
        case BecameOverdue(to=to, rests_on=clauses):
            director = Role.EXECUTIVE_DIRECTOR
            persons = library.holders(director)
            return RemovalEscalated(use=use, nth=2, role=director, persons=persons, to=to, rests_on=clauses)
        case TaskRerouted():
            return RemovalRerouted(use=use, **said)
        case DueMomentsReissued():
            return RemovalMomentsReissued(use=use, **said)
        case other:
            raise LookupError(f"{type(other).__name__} is nothing that happens to a removal")


def what_follows_from_outside(case: RevocationCase, library: Library) -> tuple[Fact, ...]:
    """A use that was ended elsewhere is gone here too; a task goes to whoever holds the role by now."""
    if case.stage is Stage.REMOVING:
        return what_becomes_of_the_removals(case, library)
    if case.waiting is None:
        return ()
    role, persons = who_answers(library)
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


def still_stands(use: str, library: Library) -> bool:
    found = library.use(use)
    return found is not None and found.stands_at(library.at)


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
        case RevocationDeclined():
            return case.but(stage=Stage.DECLINED, waiting=None)
        case _:
            return case


def ended(case: RevocationCase, use: str, how: str, why: WhyImpossible | None = None) -> RevocationCase:
    changed = tuple(each.but(ended=how, why=why) if each.use == use else each for each in case.removals)
    return case.but(removals=changed)


def with_wait(case: RevocationCase, use: str, after: Callable[[Wait], Wait]) -> RevocationCase:
    changed = tuple(each.but(wait=after(each.wait)) if each.use == use else each for each in case.removals)
    return case.but(removals=changed)


REVOCATION = Page(PROCESS, RevocationCase, decide, evolve, opens_with=(AskRevocation,))
