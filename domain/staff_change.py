"""What follows when people come, move and go.

PR-4 and PR-5: rights to post end with what they were given for. PR-7: an account keeps two administrators, one of them
a coordinator; where a change of staff breaks that, headquarters is asked to mend it, and HR is never held up. Each
change that HR records is followed by one case; a departure that is known in advance waits for its day.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, Any

from domain.administrators import counts, what_breaks_pr_7, who_coordinates
from domain.calendar import instant
from domain.clauses import PR_4, PR_7
from domain.directory import (
    OfPerson,
    Person,
    PersonChanged,
    PersonJoined,
    PersonLeft,
    PersonMoved,
    PersonReturned,
    PersonRolesChanged,
)
from domain.facts import Act, Decision, Fact, Page, Refused, State
from domain.in_force import Account, account_id
from domain.policy import Role
from domain.staff_change_messages import (
    AdministratorLeft,
    AdministratorSeated,
    Change,
    CredentialsToRotate,
    DepartureAhead,
    DepartureCame,
    DepartureOffRecord,
    FollowStaffChange,
    RemedyClosed,
    RemedyOpened,
    ReportStaffChange,
    SeatAdministrator,
    StaffChangeFollowed,
    StaffChangeReported,
)
from domain.steps import in_words
from domain.waiting import (
    Asked,
    Due,
    DueMoment,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    due_moments,
    evolve_wait,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_headquarters, only_the_system

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "staff_change"
# a remedy waits until it is made: it has no end of its own, and so nothing ever expires
NEVER: Any = None
MATTERS = {"active", "start", "end", "branch", "position"}


class Stage(StrEnum):
    NOT_BEGUN = auto()
    AHEAD = auto()
    FOLLOWED = auto()
    REMEDY = auto()
    DONE = auto()


def change_of(fact: OfPerson) -> Change | None:
    """What kind of change it is, if anything can follow from it."""
    match fact:
        case PersonLeft():
            return Change.LEFT
        case PersonMoved():
            return Change.MOVED
        case PersonReturned():
            return Change.RETURNED
        case PersonChanged(changed=changed):
            return Change.CHANGED if MATTERS & set(changed) else None
        case PersonJoined(person=person):
            return Change.JOINED if person.active and person.end else None
        case PersonRolesChanged():
            return Change.ROLES
        case _:
            return Change.CHANGED


class StaffChangeCase(State):
    stage: Stage = Stage.NOT_BEGUN
    person: str = ""
    change: Change | None = None
    place: str = ""
    log_position: int = 0
    departure: DepartureAhead | None = None
    seats_vacated: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    waiting: Wait | None = None
    # nobody asked for this case, and nothing in it is decided on
    requester: str = ""
    content: str = ""

    def closed(self) -> bool:
        return self.stage is Stage.DONE

    def next_due(self) -> datetime | None:
        day = self.departure.at if self.stage is Stage.AHEAD and self.departure else None
        moments = [day, self.waiting.next_due() if self.waiting else None]
        return min((each for each in moments if each), default=None)

    def search(self) -> dict[str, str]:
        if not self.position:
            return {}
        waiting_for = self.waiting.role.value if self.waiting else ""
        account = self.remedies[0] if self.remedies else ""
        return {"Branch": self.place, "Account": account, "WaitingFor": waiting_for}


def decide(act: Act, case: StaffChangeCase, library: Library) -> Decision:
    match act.command, case.stage:
        case FollowStaffChange() as follow, Stage.NOT_BEGUN:
            only_the_follower(act)
            place = follow.from_place or library.place_of(follow.person)
            followed = follow.becomes(StaffChangeFollowed, place=place)
            return Decision((followed, *what_follows_here(follow, library)))

        case ReportStaffChange() as report, Stage.FOLLOWED:
            only_the_follower(act)
            return Decision((as_reported(report, case, library),))

        case SeatAdministrator() as seat, Stage.FOLLOWED | Stage.AHEAD | Stage.REMEDY:
            authority = only_headquarters(act, PR_7, library, to="seat an administrator")
            account = an_account_to_be_mended(seat, case, library)
            someone_who_counts(seat.person, library)
            seated = AdministratorSeated(account=account.id, administrator=seat.person, by=act.person)
            return Decision((seated, *mended_by(seat.person, account, library)), authority)

        case LetTimePass(), _:
            only_the_follower(act)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_follower(act)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.DONE:
            raise Refused(PR_7, "everything that followed from this change is done", "nothing")

        case command, stage:
            raise Refused(PR_7, f"{type(command).__name__} does not follow {in_words(stage)}", "SeatAdministrator")


# who may, and for whom


def only_the_follower(act: Act) -> None:
    only_the_system(act, PR_4, "what HR records is followed by the system", "let HR record the change")


def an_account_to_be_mended(seat: SeatAdministrator, case: StaffChangeCase, library: Library) -> Account:
    account = library.account(account_id(seat.account))
    if account is None or account.id not in case.remedies:
        mended = ", ".join(case.remedies) or "none is open"
        raise Refused(PR_7, f"{seat.account} is not to be mended in this case", f"one of: {mended}")
    if seat.person in account.administrators:
        raise Refused(PR_7, f"{seat.person} administers {account.id} already", "someone else")
    return account


def someone_who_counts(person: str, library: Library) -> None:
    if not counts(person, library):
        because = f"{person} is not of the active staff, or runs a Friends site"
        raise Refused(PR_7, because, "someone who may administer")


# what follows


def what_follows_here(follow: FollowStaffChange, library: Library) -> tuple[Fact, ...]:
    """Who has left has left, though they be back by now: a rehire gets no seat back by itself."""
    person, known = follow.person, library.person(follow.person)
    if known is None or follow.change is Change.LEFT or not library.is_active(person):
        return what_a_departure_brings(person, library)
    if known.end is not None:
        return (departure_ahead(known, known.end, library), *remedies_for(seats_of(person, library), library))
    return remedies_for(seats_of(person, library), library)


def what_a_departure_brings(person: str, library: Library) -> tuple[Fact, ...]:
    seats = seats_of(person, library)
    left = [AdministratorLeft(account=each.id, administrator=person) for each in seats]
    known = credentials_known_to(person, library)
    rotate = (CredentialsToRotate(person=person, accounts=known),) if known else ()
    return (*left, *rotate, *remedies_for(seats, library))


def seats_of(person: str, library: Library) -> list[Account]:
    return [each for each in library.accounts() if each.in_service and person in each.administrators]


def credentials_known_to(person: str, library: Library) -> tuple[str, ...]:
    by_right = {account for right in library.rights_of(person) for account in right.accounts}
    return tuple(
        each.id
        for each in library.accounts()
        if each.in_service and (person in (*each.administrators, *each.posters) or each.id in by_right)
    )


def remedies_for(accounts: list[Account], library: Library) -> tuple[Fact, ...]:
    """PR-7, judged anew. A breach opens a remedy."""
    broken = [(each.id, why) for each in accounts if (why := what_breaks_pr_7(each.administrators, library))]
    if not broken:
        return ()
    opened = [RemedyOpened(account=account, because=why) for account, why in broken]
    return (*opened, ask_for_remedies(library))


def ask_for_remedies(library: Library) -> Asked:
    role, persons = who_mends(library)
    return Asked(
        rests_on=(PR_7,),
        role=role,
        place=library.headquarters,
        persons=persons,
        to="seat administrators, so that there are enough and one is a coordinator",
        since=library.at,
        due=remedy_moments(library.at, library),
        escalates_to=Role.EXECUTIVE_DIRECTOR,
    )


def who_mends(library: Library) -> tuple[Role, tuple[str, ...]]:
    """The coordinators; where both posts are vacant, the director."""
    if persons := who_coordinates(library):
        return library.policy.coordinators[0], persons
    return Role.EXECUTIVE_DIRECTOR, library.holders(Role.EXECUTIVE_DIRECTOR)


def remedy_moments(since: datetime, library: Library) -> tuple[DueMoment, ...]:
    """As for everything that waits for people, but for its own term, and without an end."""
    usual = due_moments(library.headquarters, since, library, library.policy.settings.remedy_due_bd.value)
    return tuple(each for each in usual if each.what is not Due.EXPIRY)


def mended_by(person: str, account: Account, library: Library) -> tuple[Fact, ...]:
    in_breach = what_breaks_pr_7((*account.administrators, person), library)
    return () if in_breach else (RemedyClosed(account=account.id),)


def as_reported(report: ReportStaffChange, case: StaffChangeCase, library: Library) -> StaffChangeReported:
    if case.change is None:
        raise LookupError(f"{case.case} follows no change")
    return StaffChangeReported(
        told=who_is_told(case, library),
        also_to=hr_itself(library),
        person=case.person,
        change=case.change,
        consequences=report.consequences,
        seats_vacated=case.seats_vacated,
        credentials=case.credentials,
        remedies=case.remedies,
        last_day=case.departure.last_day if case.departure else None,
        in_breach_then=case.departure.in_breach if case.departure else (),
    )


def who_is_told(case: StaffChangeCase, library: Library) -> tuple[str, ...]:
    """Whoever runs the branch; where nobody does, or it is themselves, the director."""
    managers = [each for each in library.holders(Role.BRANCH_MANAGER, case.place) if each != case.person]
    return tuple(managers) or library.holders(Role.EXECUTIVE_DIRECTOR)


def hr_itself(library: Library) -> tuple[str, ...]:
    address = library.newest_policy().contact.hr_email
    return (address,) if address else ()


# departures known in advance


def departure_ahead(person: Person, last_day: date, library: Library) -> DepartureAhead:
    return DepartureAhead(
        person=person.id,
        last_day=last_day,
        at=day_after(last_day, library),
        in_breach=tuple(
            each.id
            for each in seats_of(person.id, library)
            if what_breaks_pr_7((other for other in each.administrators if other != person.id), library)
        ),
    )


def day_after(last_day: date, library: Library) -> datetime:
    return instant(last_day + timedelta(days=1), time(), library.policy.calendar.zone)


def what_time_brings(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    """First what has changed around it: nobody is reminded of what is no longer theirs."""
    settled = what_follows_from_outside(case, library)
    return (*settled, *what_time_alone_brings(reduce(evolve, settled, case), library))


def what_time_alone_brings(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    if case.stage is Stage.AHEAD and case.departure and library.at >= case.departure.at:
        return what_the_day_brings(case, library)
    return what_is_due(case.waiting, library.at, library, NEVER)


def what_the_day_brings(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    if library.is_active(case.person):
        return (DepartureOffRecord(person=case.person),)
    return (DepartureCame(person=case.person), *what_a_departure_brings(case.person, library))


# what changes around it


def what_follows_from_outside(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    match case.stage:
        case Stage.AHEAD:
            return (*what_became_of_the_plan(case, library), *what_became_of_the_remedies(case, library))
        case Stage.FOLLOWED | Stage.REMEDY:
            return what_became_of_the_remedies(case, library)
        case _:
            return ()


def what_became_of_the_plan(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    known = library.person(case.person)
    as_planned = known and known.active and case.departure and known.end == case.departure.last_day
    return () if as_planned else (DepartureOffRecord(person=case.person),)


def what_became_of_the_remedies(case: StaffChangeCase, library: Library) -> tuple[Fact, ...]:
    mended = tuple(account for account in case.remedies if is_mended(library.account(account), library))
    closed = tuple(RemedyClosed(account=account) for account in mended)
    if case.waiting is None or len(mended) == len(case.remedies):
        return closed
    return (*closed, *who_is_asked_now(case.waiting, library))


def is_mended(account: Account | None, library: Library) -> bool:
    return account is None or not account.in_service or not what_breaks_pr_7(account.administrators, library)


def who_is_asked_now(wait: Wait, library: Library) -> tuple[Fact, ...]:
    role, persons = who_mends(library)
    return what_changed_around(wait, role, persons, library, library.policy.settings.remedy_due_bd.value)


# how the state follows from the facts


def evolve(case: StaffChangeCase, fact: Fact) -> StaffChangeCase:
    match fact:
        case StaffChangeFollowed(person=person, change=change, place=place, log_position=log_position):
            return case.but(
                stage=Stage.FOLLOWED, person=person, change=change, place=place, log_position=log_position
            )
        case DepartureAhead():
            return case.but(departure=fact)
        case DepartureCame():
            return case.but(departure=None, stage=Stage.FOLLOWED)
        case DepartureOffRecord():
            return what_is_left(case.but(departure=None))
        case AdministratorLeft(account=account):
            return case.but(seats_vacated=(*case.seats_vacated, account))
        case CredentialsToRotate(accounts=accounts):
            return case.but(credentials=accounts)
        case RemedyOpened(account=account):
            return case.but(remedies=tuple(dict.fromkeys([*case.remedies, account])))
        case RemedyClosed(account=account):
            return after_a_remedy(case.but(remedies=tuple(each for each in case.remedies if each != account)))
        case StaffChangeReported(last_day=last_day, remedies=remedies):
            # by the report alone, as whoever sees no other fact of the case must tell whether it is over
            return case.but(stage=Stage.AHEAD if last_day else Stage.REMEDY if remedies else Stage.DONE)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


def what_is_left(case: StaffChangeCase) -> StaffChangeCase:
    if case.departure:
        return case.but(stage=Stage.AHEAD)
    return case.but(stage=Stage.REMEDY if case.remedies else Stage.DONE)


def after_a_remedy(case: StaffChangeCase) -> StaffChangeCase:
    if case.remedies:
        return case
    return case.but(waiting=None, stage=Stage.DONE if case.stage is Stage.REMEDY else case.stage)


STAFF_CHANGE = Page(
    PROCESS,
    StaffChangeCase,
    decide,
    evolve,
    opens_with=(FollowStaffChange,),
    perhaps_ends_with=(DepartureOffRecord, RemedyClosed),
)
