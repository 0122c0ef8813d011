"""Creating a library social media account.

PR-1: the Executive Director approves before any account is created. PR-2: headquarters then creates it together with
the branch, with branding, and with a logo file from an official source. PR-3: where possible the page says who
maintains it and links back. PR-4: who will post is said at the start. PR-7: two administrators at least, one of them
one of the two coordinators. PR-18: nobody who administers a Friends site administers the library's.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING

from domain.account_creation_messages import (
    AccountApproved,
    AccountOpened,
    AccountRefused,
    AccountRequested,
    AdministrationConfirmed,
    AmendRequest,
    ApproveAccount,
    AskForChanges,
    ChangesAsked,
    CompleteTask,
    ConditionMet,
    ConfirmAdministration,
    MeetCondition,
    OpenAccount,
    RefuseAccount,
    RequestAccount,
    RequestAmended,
    RequestExpired,
    RequestFields,
    RequestWithdrawn,
    SetUpCompleted,
    TaskCompleted,
    TaskWaived,
    WaiveTask,
    WithdrawRequest,
    claim,
    written,
)
from domain.account_creation_rules import (
    a_condition_still_open,
    a_task_still_open,
    administrators_are_still_in_order,
    each_is_an_active_employee,
    every_condition_is_met,
    mandatory_tasks_open,
    none_administers_a_friends_site,
    only_where_the_policy_says_whenever_possible,
    the_logo_is_official,
    two_administrators_have_confirmed_one_a_coordinator,
    what_is_asked_for_is_possible,
)
from domain.administrators import who_coordinates
from domain.clauses import PR_1, PR_2, PR_3, PR_7
from domain.facts import (
    Act,
    Authority,
    Command,
    Decision,
    Fact,
    NoAuthority,
    Page,
    Refused,
    State,
    content_hash,
    every_one_of,
)
from domain.policy import Role, SetupTask
from domain.requests import Condition, ask_for_the_changes, decided_on_what_stands, each_condition_has_a_name_of_its_own
from domain.steps import does_not_follow, in_words
from domain.waiting import (
    Asked,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    due_moments,
    evolve_wait,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_headquarters, only_the_requester, only_the_system, who_asks

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
            decided_on_what_stands(approve, case.content, PR_1)
            administrators_are_still_in_order(case, library)
            each_condition_has_a_name_of_its_own(approve.conditions, PR_1)
            return Decision((approve.becomes(AccountApproved), *ask_for_what_is_left(case, library)), authority)

        case AskForChanges() as changes, Stage.EXECUTIVE_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(changes, case.content, PR_1)
            asked = ask_for_the_changes(case.requester, PR_1, library)
            return Decision((changes.becomes(ChangesAsked), asked), authority)

        case RefuseAccount() as refuse, Stage.EXECUTIVE_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(refuse, case.content, PR_1)
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


ACCOUNT_CREATION = Page(PROCESS, AccountCase, decide, evolve, opens_with=(RequestAccount,))
