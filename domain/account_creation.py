"""Creating a library social media account.

PR-1: the Executive Director approves before any account is created. PR-2: headquarters then creates it together with
the branch, with branding, and with a logo file from an official source. PR-3: where possible the page says who
maintains it and links back. PR-4: who will post is said at the start. PR-7: two administrators at least, one of them
one of the two coordinators. PR-18: nobody who administers a Friends site administers the library's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from domain.clauses import PR_1, PR_2, PR_3, PR_4, PR_7, PR_18
from domain.facts import (
    Act,
    Authority,
    Command,
    Decision,
    Evidence,
    Fact,
    Line,
    NoAuthority,
    Page,
    PersonId,
    Refused,
    Sealed,
    Sha256,
    Slug,
    State,
    Value,
    content_hash,
    every_one_of,
)
from domain.in_force import AccountPutInService
from domain.policy import Role, SetupTask
from domain.steps import does_not_follow, in_words
from domain.waiting import (
    Asked,
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
from domain.who_may import (
    only_headquarters,
    only_the_requester,
    only_the_system,
    who_asks,
)

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "account_creation"


class Stage(StrEnum):
    NOT_REQUESTED = auto()
    EXECUTIVE_REVIEW = auto()
    CHANGES_ASKED = auto()
    SET_UP = auto()
    VERIFICATION = auto()
    OPEN = auto()
    REFUSED = auto()
    WITHDRAWN = auto()
    EXPIRED = auto()


UNDECIDED = (Stage.EXECUTIVE_REVIEW, Stage.CHANGES_ASKED)
BEING_MADE = (Stage.SET_UP, Stage.VERIFICATION)
ENDED = (Stage.OPEN, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED)


class Condition(Value):
    """Something the approval depends on: named, described, and met before the account opens."""

    id: Slug
    what: Sealed


# what people ask for


class Wanted(Command):
    """What an account is asked to be. Purpose and audience are free text, so they travel sealed."""

    secret_texts: ClassVar[tuple[str, ...]] = ("purpose", "audience")
    platform: Slug
    handle: Line
    place: Slug
    purpose: Sealed
    audience: Sealed
    administrators: tuple[PersonId, ...] = Field(max_length=50)
    posters: tuple[PersonId, ...] = Field(default=(), max_length=200)


class RequestAccount(Wanted, kind="account_creation.RequestAccount"):
    pass


class AmendRequest(Wanted, kind="account_creation.AmendRequest"):
    """The whole request as it should now read. It voids any decision and asks again."""


class OnContent(Command):
    """A decision is bound to exactly what was decided: `content` is the hash of the request as the person saw it."""

    content: Sha256


class ApproveAccount(OnContent, kind="account_creation.ApproveAccount"):
    secret_texts: ClassVar[tuple[str, ...]] = ("conditions.*.what",)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=50)


class AskForChanges(OnContent, kind="account_creation.AskForChanges"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class RefuseAccount(OnContent, kind="account_creation.RefuseAccount"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class WithdrawRequest(Command, kind="account_creation.WithdrawRequest"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed | None = None


class CompleteTask(Command, kind="account_creation.CompleteTask"):
    """A set-up task done by its sender. The logo's task names where the file came from and the file's own hash."""

    secret_texts: ClassVar[tuple[str, ...]] = ("note",)
    task: Slug
    logo_source: Literal["marketing_and_access_coordinator", "online_helpdesk"] | None = None
    logo_sha256: Sha256 | None = None
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=20)
    note: Sealed | None = None


class WaiveTask(Command, kind="account_creation.WaiveTask"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    task: Slug
    reason: Sealed


class MeetCondition(Command, kind="account_creation.MeetCondition"):
    secret_texts: ClassVar[tuple[str, ...]] = ("note",)
    condition: Slug
    note: Sealed | None = None


class ConfirmAdministration(Command, kind="account_creation.ConfirmAdministration"):
    """An administrator says: I have access to this account and take it on."""


class OpenAccount(Command, kind="account_creation.OpenAccount"):
    """Headquarters has looked at the finished page and puts it into service."""


# what happened


class OfAccount(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_1,)


class RequestFields(OfAccount):
    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_4, PR_7)
    platform: Slug
    handle: Line
    place: Slug
    purpose: Sealed
    audience: Sealed
    administrators: tuple[PersonId, ...]
    posters: tuple[PersonId, ...]
    by: PersonId


class AccountRequested(RequestFields, kind="account_creation.AccountRequested"):
    def claims(self) -> tuple[str, ...]:
        return (claim(self.platform, self.handle),)


class RequestAmended(RequestFields, kind="account_creation.RequestAmended"):
    voided: Sha256
    left_handle: str = ""

    def claims(self) -> tuple[str, ...]:
        return (claim(self.platform, self.handle),) if self.left_handle else ()

    def releases(self) -> tuple[str, ...]:
        return (self.left_handle,) if self.left_handle else ()


class OnTheDecided(OfAccount):
    content: Sha256


class AccountApproved(OnTheDecided, kind="account_creation.AccountApproved"):
    conditions: tuple[Condition, ...] = ()


class ChangesAsked(OnTheDecided, kind="account_creation.ChangesAsked"):
    reason: Sealed


class Ending(OfAccount):
    """The request comes to nothing: its handle is free again."""

    account: str

    def releases(self) -> tuple[str, ...]:
        return (self.account,)


class AccountRefused(Ending, kind="account_creation.AccountRefused"):
    content: Sha256
    reason: Sealed


class RequestWithdrawn(Ending, kind="account_creation.RequestWithdrawn"):
    """`cause` says why where the requester did not do it themselves: they left the library's service."""

    reason: Sealed | None = None
    cause: str = ""


class RequestExpired(Ending, kind="account_creation.RequestExpired"):
    pass


class OfTask(OfAccount):
    task: Slug
    clause: str

    def cites(self) -> tuple[str, ...]:
        return (self.clause,)


class TaskCompleted(OfTask, kind="account_creation.TaskCompleted"):
    by: PersonId
    logo_source: str | None = None
    logo_sha256: Sha256 | None = None
    evidence: tuple[Evidence, ...] = ()
    note: Sealed | None = None


class TaskWaived(OfTask, kind="account_creation.TaskWaived"):
    by: PersonId
    reason: Sealed


class ConditionMet(OfAccount, kind="account_creation.ConditionMet"):
    condition: Slug
    by: PersonId
    note: Sealed | None = None


class AdministrationConfirmed(OfAccount, kind="account_creation.AdministrationConfirmed"):
    clauses: ClassVar[tuple[str, ...]] = (PR_7,)
    administrator: PersonId


class SetUpCompleted(OfAccount, kind="account_creation.SetUpCompleted"):
    clauses: ClassVar[tuple[str, ...]] = (PR_2, PR_3)


class AccountOpened(AccountPutInService, OfAccount, kind="account_creation.AccountOpened"):
    """The account is in service, with these administrators. Its stewardship begins here; the handle stays claimed."""

    clauses: ClassVar[tuple[str, ...]] = (PR_1, PR_2, PR_7)
    platform: Slug
    handle: Line


class AccountCase(State):
    stage: Stage = Stage.NOT_REQUESTED
    request: RequestFields | None = None
    requester: str = ""
    editors: tuple[str, ...] = ()
    content: str = ""
    conditions: tuple[Condition, ...] = ()
    conditions_met: tuple[str, ...] = ()
    tasks_done: tuple[str, ...] = ()
    tasks_waived: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    waiting: Wait | None = None

    @property
    def asked_for(self) -> RequestFields:
        if self.request is None:
            raise LookupError(f"{self.case} has no request yet")
        return self.request

    @property
    def account(self) -> str:
        return claim(self.asked_for.platform, self.asked_for.handle)

    def closed(self) -> bool:
        return self.stage in ENDED

    def search(self) -> dict[str, str]:
        """What a case can be looked up by in Temporal. Nothing here may be personal."""
        if self.request is None:
            return {}
        waiting_for = self.waiting.role.value if self.waiting else ""
        return {"Branch": self.request.place, "Account": self.account, "WaitingFor": waiting_for}


def decide(act: Act, case: AccountCase, library: Library) -> Decision:
    match act.command, case.stage:
        case RequestAccount() as request, Stage.NOT_REQUESTED:
            authority = who_asks(act, PR_1, library)
            what_is_asked_for_is_possible(request, case, library)
            requested = request.becomes(AccountRequested, by=act.person, handle=written(request.handle))
            return Decision((requested, ask_for_review(requested.place, (act.person,), library)), authority)

        case AmendRequest() as amended, (
            Stage.EXECUTIVE_REVIEW | Stage.CHANGES_ASKED | Stage.SET_UP | Stage.VERIFICATION
        ):
            authority = only_the_requester(act, case.requester, PR_1, library, to="change the request")
            what_is_asked_for_is_possible(amended, case, library)
            changed = amended.becomes(
                RequestAmended,
                by=act.person,
                handle=written(amended.handle),
                voided=case.content,
                left_handle="" if claim(amended.platform, amended.handle) == case.account else case.account,
            )
            parties = (*case.editors, act.person)
            return Decision((changed, ask_for_review(changed.place, parties, library)), authority)

        case ApproveAccount() as approve, Stage.EXECUTIVE_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(approve, case)
            administrators_are_still_in_order(case, library)
            each_condition_has_a_name_of_its_own(approve)
            return Decision((approve.becomes(AccountApproved), *ask_for_what_is_left(case, library)), authority)

        case AskForChanges() as changes, Stage.EXECUTIVE_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(changes, case)
            return Decision((changes.becomes(ChangesAsked), ask_the_requester(case, library)), authority)

        case RefuseAccount() as refuse, Stage.EXECUTIVE_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(refuse, case)
            return Decision((refuse.becomes(AccountRefused, account=case.account),), authority)

        case WithdrawRequest() as withdraw, (
            Stage.EXECUTIVE_REVIEW | Stage.CHANGES_ASKED | Stage.SET_UP | Stage.VERIFICATION
        ):
            authority = only_the_requester(act, case.requester, PR_1, library, to="withdraw it")
            return Decision((withdraw.becomes(RequestWithdrawn, account=case.account),), authority)

        case CompleteTask() as done, Stage.SET_UP | Stage.VERIFICATION:
            authority = only_headquarters_with_the_branch(act, case, library)
            task = a_task_still_open(done.task, case, library)
            the_logo_is_official(task, done, library)
            completed = done.becomes(TaskCompleted, by=act.person, clause=task.clause)
            return Decision((completed, *ask_for_verification_after(task, case, library)), authority)

        case WaiveTask() as waived, Stage.SET_UP | Stage.VERIFICATION:
            authority = only_headquarters(act, PR_2, library, to="waive a set-up task")
            task = a_task_still_open(waived.task, case, library)
            only_where_the_policy_says_whenever_possible(task)
            not_done = waived.becomes(TaskWaived, by=act.person, clause=task.clause)
            return Decision((not_done, *ask_for_verification_after(task, case, library)), authority)

        case MeetCondition() as met, Stage.SET_UP | Stage.VERIFICATION:
            authority = only_headquarters_with_the_branch(act, case, library)
            a_condition_still_open(met.condition, case)
            return Decision((met.becomes(ConditionMet, by=act.person),), authority)

        case ConfirmAdministration(), Stage.SET_UP | Stage.VERIFICATION:
            authority = only_a_proposed_administrator(act, case, library)
            if act.person in case.confirmed:
                return Decision((), authority)
            return Decision((AdministrationConfirmed(administrator=act.person),), authority)

        case OpenAccount(), Stage.VERIFICATION:
            authority = only_headquarters(act, PR_2, library, to="put the account into service")
            every_one_of(
                lambda: every_condition_is_met(case),
                lambda: two_administrators_have_confirmed_one_a_coordinator(case, library),
                lambda: each_is_an_active_employee(case.confirmed, library),
                lambda: none_administers_a_friends_site(case.confirmed, library),
            )
            return Decision((as_opened(case, library),), authority)

        case LetTimePass(), _:
            only_the_system(act, PR_1)
            return Decision(what_time_brings(case, act.at, library))

        case Reconsider(), _:
            only_the_system(act, PR_1)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_REQUESTED:
            raise Refused(PR_1, "no account has been requested under this case", "send RequestAccount first")

        case _, Stage.OPEN | Stage.REFUSED | Stage.WITHDRAWN | Stage.EXPIRED:
            raise Refused(PR_1, f"the case has ended: {in_words(case.stage)}", "make a new request")

        case command, stage:
            raise does_not_follow(PR_1, command, stage, FOLLOWS, nothing="nothing: none is open")


FOLLOWS: dict[Stage, tuple[type[Command], ...]] = {
    Stage.EXECUTIVE_REVIEW: (ApproveAccount, AskForChanges, RefuseAccount, AmendRequest, WithdrawRequest),
    Stage.CHANGES_ASKED: (AmendRequest, WithdrawRequest),
    Stage.SET_UP: (CompleteTask, WaiveTask, MeetCondition, ConfirmAdministration, AmendRequest, WithdrawRequest),
    Stage.VERIFICATION: (
        OpenAccount,
        MeetCondition,
        ConfirmAdministration,
        CompleteTask,
        WaiveTask,
        AmendRequest,
        WithdrawRequest,
    ),
}


# who may


def only_who_decides(act: Act, case: AccountCase, library: Library) -> Authority:
    return library.authority_to_decide(act, PROCESS, case.asked_for.place, case.editors, PR_1)


def only_headquarters_with_the_branch(act: Act, case: AccountCase, library: Library) -> Authority:
    of_the_branch = library.is_employee(act.person) and library.place_of(act.person) == case.asked_for.place
    if not (of_the_branch or library.at_headquarters(act.person)):
        raise NoAuthority(
            PR_2,
            f"{act.by.id} is neither of headquarters nor of {case.asked_for.place}",
            "headquarters and the branch set the account up together",
        )
    return library.standing(act.person)


def only_a_proposed_administrator(act: Act, case: AccountCase, library: Library) -> Authority:
    if act.person not in case.asked_for.administrators or not library.is_employee(act.person):
        raise NoAuthority(
            PR_7,
            f"{act.by.id} is not an active administrator of this account",
            f"each of {', '.join(case.asked_for.administrators)} confirms for themselves",
        )
    none_administers_a_friends_site((act.person,), library)
    return library.standing(act.person)


# what must hold


def what_is_asked_for_is_possible(wanted: Wanted, case: AccountCase, library: Library) -> None:
    every_one_of(
        lambda: a_known_platform_and_place(wanted, library),
        lambda: administrators_in_order(wanted.administrators, library),
        lambda: those_who_will_post_are_employees(wanted, library),
        lambda: one_account_per_handle(wanted, case, library),
    )


def a_known_platform_and_place(wanted: Wanted, library: Library) -> None:
    policy = library.policy
    if wanted.place not in policy.places:
        raise Refused(PR_2, f"there is no branch {wanted.place}", f"one of {', '.join(sorted(policy.places))}")
    platform = policy.platforms.get(wanted.platform)
    if platform is None:
        raise Refused(PR_1, f"{wanted.platform} is not a platform of the policy", one_of(list(policy.platforms)))
    bare = written(wanted.handle)
    if not platform.allows(bare):
        raise Refused(
            PR_1,
            f"{bare!r} cannot be a handle on {wanted.platform}",
            f"at most {platform.handle_most} characters of the form {platform.handle_pattern}, "
            f"as {platform.handle_example}",
        )


def administrators_in_order(administrators: tuple[str, ...], library: Library) -> None:
    every_one_of(
        lambda: enough_administrators_one_a_coordinator(administrators, library),
        lambda: each_is_an_active_employee(administrators, library),
        lambda: none_administers_a_friends_site(administrators, library),
    )


def administrators_are_still_in_order(case: AccountCase, library: Library) -> None:
    administrators_in_order(case.asked_for.administrators, library)


def enough_administrators_one_a_coordinator(administrators: tuple[str, ...], library: Library) -> None:
    settings = library.policy.settings
    least, distinct = settings.minimum_administrators.value, set(administrators)
    if len(distinct) < least:
        twice = len(distinct) < len(administrators)
        raise Refused(
            PR_7,
            "the same administrator is named twice" if twice else f"{len(distinct)} administrator(s) are too few",
            f"name at least {least} different administrators",
        )
    if len(distinct) < len(administrators):
        raise Refused(PR_7, "the same administrator is named twice", "name each administrator once")
    if len(distinct) > (most := settings.administrators_most.value):
        raise Refused(PR_7, f"{len(distinct)} administrators are too many", f"at most {most}")
    if len(coordinators_among(distinct, library)) < settings.minimum_coordinators.value:
        raise Refused(
            PR_7,
            "no administrator is the Marketing and Access Coordinator or the Youth Services Coordinator",
            f"add one of {', '.join(who_coordinates(library)) or 'them once the post is filled'}",
        )


def who_coordinates(library: Library) -> tuple[str, ...]:
    return tuple(person for role in library.policy.coordinators for person in library.holders(role))


def coordinators_among(persons: set[str], library: Library) -> set[str]:
    return {person for person in persons if library.roles(person) & set(library.policy.coordinators)}


def each_is_an_active_employee(persons: tuple[str, ...], library: Library) -> None:
    if inactive := [person for person in persons if not library.is_employee(person)]:
        raise Refused(PR_7, f"{', '.join(inactive)}: not an active employee", "name active employees of the directory")


def none_administers_a_friends_site(persons: tuple[str, ...], library: Library) -> None:
    if friends := [person for person in persons if library.friends_administrator(person)]:
        raise Refused(
            PR_18,
            f"{', '.join(friends)}: declared administrator of a Friends of the Library site",
            "name someone who does not administer a Friends site",
        )


def those_who_will_post_are_employees(wanted: Wanted, library: Library) -> None:
    if inactive := [person for person in wanted.posters if not library.is_employee(person)]:
        raise Refused(PR_4, f"{', '.join(inactive)}: not an active employee", "only the library's own staff post")
    if len(set(wanted.posters)) < len(wanted.posters):
        raise Refused(PR_4, "the same person is named twice to post", "name each person who will post once")


def one_account_per_handle(wanted: Wanted, case: AccountCase, library: Library) -> None:
    holder = library.holder_of(claim(wanted.platform, wanted.handle))
    if holder not in (None, case.case):
        raise Refused(
            PR_1,
            f"{written(wanted.handle)} on {wanted.platform} is open or requested already, in {holder}",
            "another handle, or go on in that case",
        )


def decided_on_what_stands(decision: OnContent, case: AccountCase) -> None:
    if decision.content != case.content:
        raise Refused(
            PR_1,
            f"the decision is on content {decision.content}, but the request now reads {case.content}",
            "read the request as it stands now and decide on that",
        )


def each_condition_has_a_name_of_its_own(approve: ApproveAccount) -> None:
    names = [condition.id for condition in approve.conditions]
    if len(set(names)) < len(names):
        raise Refused(PR_1, "two conditions have the same id", "give each condition an id of its own")


def a_task_still_open(task: str, case: AccountCase, library: Library) -> SetupTask:
    tasks = {each.id: each for each in library.policy.setup_tasks}
    if task not in tasks:
        raise Refused(PR_2, f"there is no set-up task {task}", f"one of {', '.join(tasks)}")
    if task in closed_tasks(case):
        raise Refused(tasks[task].clause, f"{task} is closed already", one_of(open_tasks(case, library)))
    return tasks[task]


def the_logo_is_official(task: SetupTask, done: CompleteTask, library: Library) -> None:
    if task.needs != "logo_evidence":
        return
    official = {(logo.sha256, logo.source) for logo in library.policy.official_logos}
    if (done.logo_sha256, done.logo_source) not in official:
        raise Refused(
            PR_2,
            "the logo's file is not one that its source gives out",
            "use the file from the Marketing and Access Coordinator or the online helpdesk, and say which "
            f"(logo_source, logo_sha256): {'; '.join(f'{sha} from {source}' for sha, source in sorted(official))}",
        )


def only_where_the_policy_says_whenever_possible(task: SetupTask) -> None:
    if not task.waivable:
        raise Refused(task.clause, f"{task.id} cannot be waived", "do it, and record who did")


def a_condition_still_open(condition: str, case: AccountCase) -> None:
    still_open = open_conditions(case)
    if condition not in still_open:
        raise Refused(PR_1, f"no condition {condition} is open", one_of(still_open))


def every_condition_is_met(case: AccountCase) -> None:
    if still_open := open_conditions(case):
        raise Refused(PR_1, f"conditions of the approval are open: {', '.join(still_open)}", "meet them first")


def two_administrators_have_confirmed_one_a_coordinator(case: AccountCase, library: Library) -> None:
    settings = library.policy.settings
    confirmed = {person for person in case.confirmed if library.is_employee(person)}
    still_missing = [person for person in case.asked_for.administrators if person not in confirmed]
    if len(confirmed) < settings.minimum_administrators.value:
        raise Refused(
            PR_7, f"{len(confirmed)} administrator(s) have confirmed", f"wait for {', '.join(still_missing)} to confirm"
        )
    if len(coordinators_among(confirmed, library)) < settings.minimum_coordinators.value:
        raise Refused(PR_7, "no coordinator has confirmed", f"one of {', '.join(who_coordinates(library))} confirms")


# what follows


def ask_for_review(place: str, parties: tuple[str, ...], library: Library) -> Asked:
    role, _, persons = library.who_decides(PROCESS, place, parties)
    return Asked(
        rests_on=(PR_1,),
        role=role,
        place=library.headquarters,
        persons=persons,
        to="decide on the account request",
        since=library.at,
        due=due_moments(library.headquarters, library.at, library),
        escalates_to=library.decides(PROCESS).stands_in,
    )


def ask_the_requester(case: AccountCase, library: Library) -> Asked:
    """Waiting for the requester stops the clock of reminders."""
    days = library.policy.settings.changes_asked_expire_after_days.value
    return Asked(
        rests_on=(PR_1,),
        role=Role(library.standing(case.requester).role or Role.BRANCH_STAFF),
        place=library.place_of(case.requester),
        persons=(case.requester,),
        to="change the request as asked",
        since=library.at,
        due=only_expiry(library.at, days, library),
    )


def ask_for_what_is_left(case: AccountCase, library: Library) -> tuple[Fact, ...]:
    """Set-up; or, when an amended request is approved whose set-up was done before, verification at once."""
    if not mandatory_tasks_open(case, library):
        return ask_for_verification(case, library)
    return (ask_to_make_it(case, library, "set the account up with the branch", PR_2, PR_3),)


def ask_for_verification_after(closed: SetupTask, case: AccountCase, library: Library) -> tuple[Fact, ...]:
    """With the last mandatory task closed, headquarters is asked to look at the page and open it."""
    if case.stage is Stage.VERIFICATION or set(mandatory_tasks_open(case, library)) - {closed.id}:
        return ()
    return ask_for_verification(case, library)


def ask_for_verification(case: AccountCase, library: Library) -> tuple[Fact, ...]:
    return SetUpCompleted(), ask_to_make_it(case, library, "verify the page and open the account", PR_2, PR_7)


def ask_to_make_it(case: AccountCase, library: Library, to: str, *clauses: str) -> Asked:
    return Asked(
        rests_on=clauses,
        role=Role.HEADQUARTERS_STAFF,
        place=library.headquarters,
        persons=those_who_make_it(case, library),
        to=to,
        since=library.at,
        due=due_moments(library.headquarters, library.at, library, set_up_due_bd(library)),
        escalates_to=library.decides(PROCESS).by,
    )


def those_who_make_it(case: AccountCase, library: Library) -> tuple[str, ...]:
    """Headquarters staff with whoever runs the branch: they create the page together (PR-2)."""
    of_headquarters = library.holders(Role.HEADQUARTERS_STAFF)
    of_the_branch = library.who_runs(case.asked_for.place)
    return tuple(dict.fromkeys([*who_coordinates(library), *of_headquarters, *of_the_branch]))


def set_up_due_bd(library: Library) -> int:
    return library.policy.settings.setup_due_bd.value


def as_opened(case: AccountCase, library: Library) -> AccountOpened:
    """Its administrators are those who have confirmed; who was to post and has left meanwhile will not."""
    wanted = case.asked_for
    return AccountOpened(
        account=case.account,
        platform=wanted.platform,
        handle=wanted.handle,
        place=wanted.place,
        administrators=case.confirmed,
        posters=tuple(person for person in wanted.posters if library.is_employee(person)),
    )


def what_time_brings(case: AccountCase, at: datetime, library: Library) -> tuple[Fact, ...]:
    """First whose task it is and when it is due by now: nobody is reminded of what is no longer theirs."""
    settled = what_follows_from_outside(case, library)
    now = reduce(evolve, settled, case)
    return (*settled, *what_is_due(now.waiting, at, library, lambda: RequestExpired(account=now.account)))


def what_follows_from_outside(case: AccountCase, library: Library) -> tuple[Fact, ...]:
    """The requester left: withdrawn, with the cause. Those asked changed, or the calendar did: asked anew."""
    if case.waiting is None or case.closed():
        return ()
    if library.has_left_since(case.requester, case.waiting.since):
        return (RequestWithdrawn(account=case.account, cause="the requester left the library's service"),)
    role, persons = who_is_asked_now(case, case.waiting, library)
    overdue_after_bd = set_up_due_bd(library) if case.stage in BEING_MADE else 0
    return what_changed_around(case.waiting, role, persons, library, overdue_after_bd)


def who_is_asked_now(case: AccountCase, wait: Wait, library: Library) -> tuple[Role, tuple[str, ...]]:
    match case.stage:
        case Stage.EXECUTIVE_REVIEW:
            role, _, persons = library.who_decides(PROCESS, case.asked_for.place, case.editors)
            return role, persons
        case Stage.SET_UP | Stage.VERIFICATION:
            return wait.role, those_who_make_it(case, library)
        case _:
            return wait.role, wait.persons


def open_tasks(case: AccountCase, library: Library) -> list[str]:
    return [task.id for task in library.policy.setup_tasks if task.id not in closed_tasks(case)]


def mandatory_tasks_open(case: AccountCase, library: Library) -> list[str]:
    mandatory = [task.id for task in library.policy.setup_tasks if task.mandatory]
    return [task for task in mandatory if task not in closed_tasks(case)]


def closed_tasks(case: AccountCase) -> tuple[str, ...]:
    return (*case.tasks_done, *case.tasks_waived)


def open_conditions(case: AccountCase) -> list[str]:
    return [each.id for each in case.conditions if each.id not in case.conditions_met]


# how the state follows from the facts


def evolve(case: AccountCase, fact: Fact) -> AccountCase:
    match fact:
        case AccountRequested(by=by):
            return with_request(case, fact).but(requester=by, editors=(by,))
        case RequestAmended(by=by):
            amended = with_request(case, fact).but(
                editors=tuple(dict.fromkeys([*case.editors, by])), conditions=(), conditions_met=(), confirmed=()
            )
            return amended.but(tasks_done=(), tasks_waived=()) if fact.left_handle else amended
        case AccountApproved(conditions=conditions):
            return case.but(stage=Stage.SET_UP, conditions=conditions)
        case ChangesAsked():
            return case.but(stage=Stage.CHANGES_ASKED)
        case TaskCompleted(task=task):
            return case.but(tasks_done=(*case.tasks_done, task))
        case TaskWaived(task=task):
            return case.but(tasks_waived=(*case.tasks_waived, task))
        case ConditionMet(condition=condition):
            return case.but(conditions_met=(*case.conditions_met, condition))
        case AdministrationConfirmed(administrator=administrator):
            return case.but(confirmed=(*case.confirmed, administrator))
        case SetUpCompleted():
            return case.but(stage=Stage.VERIFICATION)
        case AccountOpened():
            return case.but(stage=Stage.OPEN, waiting=None)
        case AccountRefused():
            return case.but(stage=Stage.REFUSED, waiting=None)
        case RequestWithdrawn():
            return case.but(stage=Stage.WITHDRAWN, waiting=None)
        case RequestExpired():
            return case.but(stage=Stage.EXPIRED, waiting=None)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


def with_request(case: AccountCase, fact: RequestFields) -> AccountCase:
    """What was set up stays so while platform and handle stay; what was decided or confirmed is asked for again."""
    return case.but(stage=Stage.EXECUTIVE_REVIEW, request=fact, content=hash_of(fact))


def hash_of(request: RequestFields) -> str:
    names = ("platform", "handle", "place", "purpose", "audience", "administrators", "posters")
    return content_hash(request.model_dump(mode="json", include=set(names)))


# names


def written(handle: str) -> str:
    """A handle as the platform shows it, without a leading @."""
    return unicodedata.normalize("NFKC", handle).strip().removeprefix("@").strip()


def claim(platform: str, handle: str) -> str:
    """The key that one account alone may hold: platforms do not tell upper from lower case in handles."""
    return f"account:{platform}:{written(handle).casefold()}"


def one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing: none is open"


ACCOUNT_CREATION = Page(PROCESS, AccountCase, decide, evolve, opens_with=(RequestAccount,))
