"""Rights to post for those who do not post by role.

PR-4: the Executive Director, the two coordinators and the head of a branch post without asking. PR-5: others at a
branch ask its manager first, others at headquarters the Executive Director. PR-18: whoever runs a Friends site does not
post here. A right names accounts, scope, term and who granted it; it ends with its term, by revocation, or at once when
its holder changes branch, leaves, or comes to post by role.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import AwareDatetime, Field

from domain.clauses import PR_4, PR_5, PR_18
from domain.facts import (
    Act,
    Authority,
    Command,
    Decision,
    Fact,
    Line,
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
from domain.in_force import (
    ConditionOfRightsMet,
    RightsBegun,
    RightsEnded,
    RightsPaused,
    RightsResumed,
    Scope,
    account_id,
)
from domain.policy import Role
from domain.steps import does_not_follow, in_words
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
    only_expiry,
    what_changed_around,
    what_is_due,
)
from domain.who_may import (
    only_the_requester,
    only_the_system,
    who_asks,
)

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "posting_rights"
OF_A_BRANCH, OF_HEADQUARTERS = "posting_rights_branch", "posting_rights_headquarters"


class Stage(StrEnum):
    NOT_REQUESTED = auto()
    APPROVER_REVIEW = auto()
    CHANGES_ASKED = auto()
    GRANTED = auto()
    SUSPENDED = auto()
    ENDED = auto()
    REFUSED = auto()
    WITHDRAWN = auto()
    UNDECIDED = auto()


IN_FORCE = (Stage.GRANTED, Stage.SUSPENDED)
OVER = (Stage.ENDED, Stage.REFUSED, Stage.WITHDRAWN, Stage.UNDECIDED)


class Condition(Value):
    """Something the right depends on: it does not run before this is met."""

    id: Slug
    what: Sealed


# what people ask for


class Wanted(Command):
    """For which accounts, for what, for how long (the policy's term where nothing is said), and why."""

    secret_texts: ClassVar[tuple[str, ...]] = ("purpose",)
    accounts: tuple[Line, ...] = Field(min_length=1, max_length=50)
    scope: Scope = Scope.POSTS_AND_REPLIES
    months: int | None = Field(default=None, ge=-100_000, le=100_000)
    purpose: Sealed


class RequestRights(Wanted, kind="posting_rights.RequestRights"):
    pass


class AmendRequest(Wanted, kind="posting_rights.AmendRequest"):
    """The whole request as it should now read. It voids what was asked of it and asks again."""


class OnContent(Command):
    """A decision is bound to exactly what was decided: `content` is the hash of the request as the person saw it."""

    content: Sha256


class GrantRights(OnContent, kind="posting_rights.GrantRights"):
    """As requested; or for fewer accounts, for less, for a shorter term, or on conditions."""

    secret_texts: ClassVar[tuple[str, ...]] = ("conditions.*.what",)
    accounts: tuple[Line, ...] | None = Field(default=None, min_length=1, max_length=50)
    scope: Scope | None = None
    months: int | None = Field(default=None, ge=-100_000, le=100_000)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=50)


class AskForChanges(OnContent, kind="posting_rights.AskForChanges"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class RefuseRights(OnContent, kind="posting_rights.RefuseRights"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class WithdrawRequest(Command, kind="posting_rights.WithdrawRequest"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed | None = None


class MeetCondition(Command, kind="posting_rights.MeetCondition"):
    secret_texts: ClassVar[tuple[str, ...]] = ("note",)
    condition: Slug
    note: Sealed | None = None


class SuspendRights(Command, kind="posting_rights.SuspendRights"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class ReinstateRights(Command, kind="posting_rights.ReinstateRights"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


class RevokeRights(Command, kind="posting_rights.RevokeRights"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


# what happened


class OfRequest(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_5,)


class RequestFields(OfRequest):
    """`asking` are the keys that hold this request alone for its person and accounts until it is decided."""

    accounts: tuple[str, ...]
    scope: Scope
    months: int
    purpose: Sealed
    by: PersonId

    def asking(self) -> tuple[str, ...]:
        return tuple(f"asking:{self.by}:{account}" for account in self.accounts)


class RightsRequested(RequestFields, kind="posting_rights.RightsRequested"):
    def claims(self) -> tuple[str, ...]:
        return self.asking()


class RequestAmended(RequestFields, kind="posting_rights.RequestAmended"):
    voided: Sha256
    asked_before: tuple[str, ...]

    def claims(self) -> tuple[str, ...]:
        return tuple(each for each in self.asking() if each not in self.asked_before)

    def releases(self) -> tuple[str, ...]:
        return tuple(each for each in self.asked_before if each not in self.asking())


class ChangesAsked(OfRequest, kind="posting_rights.ChangesAsked"):
    content: Sha256
    reason: Sealed


class Answered(OfRequest):
    """The request is over; the same may be asked again."""

    asked: tuple[str, ...]

    def releases(self) -> tuple[str, ...]:
        return self.asked


class RightsRefused(Answered, kind="posting_rights.RightsRefused"):
    content: Sha256
    reason: Sealed


class RequestWithdrawn(Answered, kind="posting_rights.RequestWithdrawn"):
    """`cause` says why where the requester did not do it themselves."""

    reason: Sealed | None = None
    cause: str = ""


class RequestExpired(Answered, kind="posting_rights.RequestExpired"):
    pass


class RightsGranted(RightsBegun, Answered, kind="posting_rights.RightsGranted"):
    content: Sha256
    renewal_from: AwareDatetime
    conditions: tuple[Condition, ...] = ()

    def open_conditions(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.conditions)


class ConditionMet(ConditionOfRightsMet, kind="posting_rights.ConditionMet"):
    by: PersonId
    note: Sealed | None = None


class RightsSuspended(RightsPaused, kind="posting_rights.RightsSuspended"):
    reason: Sealed


class RightsReinstated(RightsResumed, kind="posting_rights.RightsReinstated"):
    reason: Sealed


class RenewalAsked(OfRequest, kind="posting_rights.RenewalAsked"):
    """The end is near: the holder is asked whether the right is still needed."""

    holder: PersonId
    until: AwareDatetime


class RightsExpired(RightsEnded, kind="posting_rights.RightsExpired"):
    pass


class RightsRevoked(RightsEnded, kind="posting_rights.RightsRevoked"):
    reason: Sealed


class RightsLapsed(RightsEnded, kind="posting_rights.RightsLapsed"):
    """Ended by a change of staff or of the accounts, at nobody's decision."""

    cause: str


class RightsSuperseded(RightsEnded, kind="posting_rights.RightsSuperseded"):
    """PR-4: the holder posts by role from now on."""

    role: Role


class RightsCase(State):
    stage: Stage = Stage.NOT_REQUESTED
    request: RequestFields | None = None
    requester: str = ""
    editors: tuple[str, ...] = ()
    content: str = ""
    granted: RightsGranted | None = None
    conditions_met: tuple[str, ...] = ()
    renewal_asked: bool = False
    ended: str = ""
    waiting: Wait | None = None

    @property
    def asked_for(self) -> RequestFields:
        if self.request is None:
            raise LookupError(f"{self.case} has no request yet")
        return self.request

    @property
    def right(self) -> RightsGranted:
        if self.granted is None:
            raise LookupError(f"{self.case} has no right yet")
        return self.granted

    def closed(self) -> bool:
        return self.stage in OVER

    def next_due(self) -> datetime | None:
        """People who are waited for, and the right's own moments."""
        moments = [self.waiting.next_due()] if self.waiting else []
        if self.stage in IN_FORCE:
            asks = self.stage is Stage.GRANTED and not self.renewal_asked
            moments.append(self.right.renewal_from if asks else self.right.until)
        return min((each for each in moments if each), default=None)

    def search(self) -> dict[str, str]:
        """What a case can be looked up by in Temporal. Nothing here may be personal."""
        if self.request is None:
            return {}
        place = self.granted.place if self.granted else (self.waiting.place if self.waiting else "")
        waiting_for = self.waiting.role.value if self.waiting else ""
        return {"Branch": place, "Account": self.request.accounts[0], "WaitingFor": waiting_for}


def decide(act: Act, case: RightsCase, library: Library) -> Decision:
    match act.command, case.stage:
        case RequestRights() as request, Stage.NOT_REQUESTED:
            authority = who_asks(act, PR_5, library)
            you_already_may_by_role(act.person, library)
            requested = request.becomes(RightsRequested, **as_requested(request, act.person, library))
            what_is_asked_for_is_possible(requested, case, library)
            return Decision((requested, ask_for_review(act.person, (act.person,), library)), authority)

        case AmendRequest() as amended, Stage.APPROVER_REVIEW | Stage.CHANGES_ASKED:
            authority = only_the_requester(act, case.requester, PR_5, library, to="change the request")
            changed = amended.becomes(
                RequestAmended,
                voided=case.content,
                asked_before=case.asked_for.asking(),
                **as_requested(amended, act.person, library),
            )
            what_is_asked_for_is_possible(changed, case, library)
            return Decision((changed, ask_for_review(case.requester, case.editors, library)), authority)

        case GrantRights() as grant, Stage.APPROVER_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(grant, case)
            granted = as_granted(grant, case, library)
            no_more_than_was_asked_for(granted, grant, case, library)
            return Decision((granted,), authority)

        case AskForChanges() as changes, Stage.APPROVER_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(changes, case)
            return Decision((changes.becomes(ChangesAsked), ask_the_requester(case, library)), authority)

        case RefuseRights() as refuse, Stage.APPROVER_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(refuse, case)
            return Decision((refuse.becomes(RightsRefused, asked=case.asked_for.asking()),), authority)

        case WithdrawRequest() as withdraw, Stage.APPROVER_REVIEW | Stage.CHANGES_ASKED:
            authority = only_the_requester(act, case.requester, PR_5, library, to="withdraw it")
            return Decision((withdraw.becomes(RequestWithdrawn, asked=case.asked_for.asking()),), authority)

        case MeetCondition() as met, Stage.GRANTED | Stage.SUSPENDED:
            authority = only_who_decides(act, case, library)
            a_condition_still_open(met.condition, case)
            return Decision((met.becomes(ConditionMet, holder=case.requester, by=act.person),), authority)

        case SuspendRights() as suspend, Stage.GRANTED:
            authority = only_who_decides(act, case, library)
            return Decision((suspend.becomes(RightsSuspended, holder=case.requester),), authority)

        case ReinstateRights() as reinstate, Stage.SUSPENDED:
            authority = only_who_decides(act, case, library)
            not_after_its_end(case, library)
            return Decision((reinstate.becomes(RightsReinstated, holder=case.requester),), authority)

        case RevokeRights() as revoke, Stage.GRANTED | Stage.SUSPENDED:
            authority = only_who_decides(act, case, library)
            return Decision((revoke.becomes(RightsRevoked, holder=case.requester),), authority)

        case LetTimePass(), _:
            only_the_system(act, PR_5)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_system(act, PR_5)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_REQUESTED:
            raise Refused(PR_5, "no posting rights have been requested under this case", "send RequestRights first")

        case _, Stage.ENDED | Stage.REFUSED | Stage.WITHDRAWN | Stage.UNDECIDED:
            raise Refused(PR_5, f"the case is over: {case.ended or in_words(case.stage)}", "make a new request")

        case command, stage:
            raise does_not_follow(PR_5, command, stage, FOLLOWS)


FOLLOWS: dict[Stage, tuple[type[Command], ...]] = {
    Stage.APPROVER_REVIEW: (GrantRights, AskForChanges, RefuseRights, AmendRequest, WithdrawRequest),
    Stage.CHANGES_ASKED: (AmendRequest, WithdrawRequest),
    Stage.GRANTED: (MeetCondition, SuspendRights, RevokeRights),
    Stage.SUSPENDED: (MeetCondition, ReinstateRights, RevokeRights),
}


# who may


def you_already_may_by_role(person: str, library: Library) -> None:
    if role := library.may_post_by_role(person):
        raise Refused(PR_4, f"you already may: the {in_words(role)} posts without asking", "nothing: post as you are")


def only_who_decides(act: Act, case: RightsCase, library: Library) -> Authority:
    process, place = who_is_asked(case.requester, library)
    return library.authority_to_decide(act, process, place, case.editors, PR_5)


def who_is_asked(person: str, library: Library) -> tuple[str, str]:
    """PR-5: headquarters staff ask the director, others whoever runs the branch where they work now."""
    place = library.place_of(person)
    return (OF_HEADQUARTERS if place == library.headquarters else OF_A_BRANCH), place


# what must hold


def what_is_asked_for_is_possible(wanted: RequestFields, case: RightsCase, library: Library) -> None:
    every_one_of(
        lambda: the_accounts_are_in_service(wanted.accounts, library),
        lambda: a_term_within_the_policys(wanted.months, library),
        lambda: no_friends_site(wanted.by, library),
        lambda: not_asked_already(wanted, case, library),
        lambda: you_already_may_by_a_right(wanted, library),
    )


def the_accounts_are_in_service(accounts: tuple[str, ...], library: Library) -> None:
    for id_ in accounts:
        account = library.account(id_)
        if account is None:
            raise Refused(PR_5, f"the library has no account {id_}", "one that `imprimatur accounts` lists as open")
        if not account.in_service:
            raise Refused(PR_5, f"{id_} is closed", "an account that is in service")


def a_term_within_the_policys(months: int, library: Library) -> None:
    most = library.policy.settings.grant_term_months.value
    if not 1 <= months <= most:
        raise Refused(PR_5, f"{months} months are no term for posting rights", f"1 to {most}; then it is renewed")


def no_friends_site(person: str, library: Library) -> None:
    if library.friends_administrator(person):
        raise Refused(
            PR_18,
            f"{person} is a declared administrator of a Friends of the Library site",
            "give that up, and have headquarters record it",
        )


def not_asked_already(wanted: RequestFields, case: RightsCase, library: Library) -> None:
    for key in wanted.asking():
        holder = library.holder_of(key)
        if holder not in (None, case.case):
            raise Refused(PR_5, f"{wanted.by} has asked for this account already, in {holder}", "go on in that case")


def you_already_may_by_a_right(wanted: RequestFields, library: Library) -> None:
    """Until its renewal is due; then the next one may be asked for."""
    for right in library.rights_of(wanted.by):
        covers = set(wanted.accounts) <= set(right.accounts) and right.scope.covers(wanted.scope)
        opens = renewal_opens(right.since, right.until, library)
        if covers and right.runs_at(library.at) and library.at < opens:
            because = f"you already may, until {right.until:%Y-%m-%d}, by {right.case}"
            raise Refused(PR_5, because, f"ask again from {opens:%Y-%m-%d} on")


def decided_on_what_stands(decision: OnContent, case: RightsCase) -> None:
    if decision.content != case.content:
        raise Refused(
            PR_5,
            f"the decision is on content {decision.content}, but the request now reads {case.content}",
            "read the request as it stands now and decide on that",
        )


def no_more_than_was_asked_for(granted: RightsGranted, grant: GrantRights, case: RightsCase, library: Library) -> None:
    asked_for, months = case.asked_for, case.asked_for.months if grant.months is None else grant.months
    every_one_of(
        lambda: fewer_accounts_at_most(granted.accounts, asked_for.accounts),
        lambda: the_accounts_are_in_service(granted.accounts, library),
        lambda: less_scope_at_most(granted.scope, asked_for.scope),
        lambda: a_term_within_the_policys(months, library),
        lambda: no_longer_than_asked_for(months, asked_for.months),
        lambda: no_friends_site(case.requester, library),
        lambda: you_already_may_by_role(case.requester, library),
        lambda: each_condition_has_a_name_of_its_own(grant),
    )


def fewer_accounts_at_most(granted: tuple[str, ...], asked_for: tuple[str, ...]) -> None:
    if more := [each for each in granted if each not in asked_for]:
        raise Refused(PR_5, f"{', '.join(more)} was not asked for", f"some of {', '.join(asked_for)}")


def less_scope_at_most(granted: Scope, asked_for: Scope) -> None:
    if not asked_for.covers(granted):
        raise Refused(PR_5, f"{in_words(granted)} was not asked for", f"{in_words(asked_for)}, or less")


def no_longer_than_asked_for(months: int, asked_for: int) -> None:
    if months > asked_for:
        raise Refused(PR_5, f"{months} months are more than was asked for", f"{asked_for} months at most")


def each_condition_has_a_name_of_its_own(grant: GrantRights) -> None:
    names = [condition.id for condition in grant.conditions]
    if len(set(names)) < len(names):
        raise Refused(PR_5, "two conditions have the same id", "give each condition an id of its own")


def a_condition_still_open(condition: str, case: RightsCase) -> None:
    still_open = [each for each in case.right.open_conditions() if each not in case.conditions_met]
    if condition not in still_open:
        raise Refused(PR_5, f"no condition {condition} is open", ', '.join(still_open) or "none: all are met")


def not_after_its_end(case: RightsCase, library: Library) -> None:
    if library.at >= case.right.until:
        raise Refused(PR_5, "the right's term is over", "grant a new request")


# what follows


def as_requested(wanted: Wanted, by: str, library: Library) -> dict[str, object]:
    months = library.policy.settings.grant_term_months.value if wanted.months is None else wanted.months
    return {"accounts": named_once(wanted.accounts), "months": months, "by": by}


def as_granted(grant: GrantRights, case: RightsCase, library: Library) -> RightsGranted:
    asked_for, since = case.asked_for, library.at
    months = asked_for.months if grant.months is None else grant.months
    a_term_within_the_policys(months, library)
    until = library.calendar.months_after(since, months)
    return RightsGranted(
        holder=case.requester,
        accounts=named_once(grant.accounts) if grant.accounts else asked_for.accounts,
        scope=grant.scope or asked_for.scope,
        place=library.place_of(case.requester),
        since=since,
        until=until,
        renewal_from=renewal_opens(since, until, library),
        conditions=grant.conditions,
        content=grant.content,
        asked=asked_for.asking(),
    )


def named_once(accounts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(account_id(each) for each in accounts))


def renewal_opens(since: datetime, until: datetime, library: Library) -> datetime:
    ahead = timedelta(days=library.policy.settings.renewal_notice_days.value)
    return max(since, until - ahead)


def ask_for_review(requester: str, parties: tuple[str, ...], library: Library) -> Asked:
    process, place = who_is_asked(requester, library)
    role, where, persons = library.who_decides(process, place, parties)
    rule, calendar_of = library.decides(process), where or library.headquarters
    return Asked(
        rests_on=(PR_5,),
        role=role,
        place=calendar_of,
        persons=persons,
        to="decide on the request for posting rights",
        since=library.at,
        due=due_moments(calendar_of, library.at, library),
        escalates_to=rule.stands_in if role is rule.by else None,
    )


def ask_the_requester(case: RightsCase, library: Library) -> Asked:
    days = library.policy.settings.changes_asked_expire_after_days.value
    return ask_them(case, library, "change the request as asked", only_expiry(library.at, days, library))


def ask_them(case: RightsCase, library: Library, to: str, due: tuple[DueMoment, ...]) -> Asked:
    """Waiting for the requester stops the clock of reminders; only its own end is due."""
    return Asked(
        rests_on=(PR_5,),
        role=Role(library.standing(case.requester).role or Role.BRANCH_STAFF),
        place=library.place_of(case.requester),
        persons=(case.requester,),
        to=to,
        since=library.at,
        due=due,
    )


def what_time_brings(case: RightsCase, library: Library) -> tuple[Fact, ...]:
    """First what has changed around it: nobody is reminded of what is no longer theirs."""
    settled = what_follows_from_outside(case, library)
    return (*settled, *what_time_alone_brings(reduce(evolve, settled, case), library))


def what_time_alone_brings(case: RightsCase, library: Library) -> tuple[Fact, ...]:
    if case.stage not in IN_FORCE:
        return what_is_due(case.waiting, library.at, library, expired_for(case))
    if library.at >= case.right.until:
        return (RightsExpired(holder=case.requester),)
    if case.stage is Stage.GRANTED and not case.renewal_asked and library.at >= case.right.renewal_from:
        asked = RenewalAsked(holder=case.requester, until=case.right.until)
        its_end = (DueMoment(what=Due.EXPIRY, at=case.right.until),)
        return asked, ask_them(case, library, "ask again if the posting rights are still needed", its_end)
    return ()


def expired_for(case: RightsCase) -> Any:  # a constructor of one argument, already given
    return lambda: RequestExpired(asked=case.asked_for.asking())


def what_follows_from_outside(case: RightsCase, library: Library) -> tuple[Fact, ...]:
    match case.stage:
        case Stage.APPROVER_REVIEW | Stage.CHANGES_ASKED:
            return what_becomes_of_the_request(case, library)
        case Stage.GRANTED | Stage.SUSPENDED:
            return what_becomes_of_the_right(case, library)
        case _:
            return ()


def what_becomes_of_the_request(case: RightsCase, library: Library) -> tuple[Fact, ...]:
    if library.has_left_since(case.requester, case.waiting.since if case.waiting else library.at):
        return (withdrawn(case, "the requester left the library's service"),)
    if library.may_post_by_role(case.requester):
        return (withdrawn(case, "the requester posts by role now, without asking"),)
    if case.stage is Stage.CHANGES_ASKED:
        return ()
    process, place = who_is_asked(case.requester, library)
    role, _, persons = library.who_decides(process, place, case.editors)
    return what_changed_around(case.waiting, role, persons, library)


def withdrawn(case: RightsCase, cause: str) -> RequestWithdrawn:
    return RequestWithdrawn(asked=case.asked_for.asking(), cause=cause)


def what_becomes_of_the_right(case: RightsCase, library: Library) -> tuple[Fact, ...]:
    if role := library.may_post_by_role(case.requester):
        return (RightsSuperseded(holder=case.requester, role=role),)
    accounts = [library.account(each) for each in case.right.accounts]
    cause = why_it_lapses(case, library) or (
        "" if any(each and each.in_service for each in accounts) else "its accounts are closed"
    )
    return (RightsLapsed(holder=case.requester, cause=cause),) if cause else ()


def why_it_lapses(case: RightsCase, library: Library) -> str:
    """What HR said in between counts, though they be back by now; and so does a last day that is over."""
    said = next((each.lapsed for each in library.rights_of(case.requester) if each.case == case.case), "")
    return said or ("" if library.is_employee(case.requester) else "its holder left the library's service")


# how the state follows from the facts


def evolve(case: RightsCase, fact: Fact) -> RightsCase:
    match fact:
        case RightsRequested(by=by):
            return with_request(case, fact).but(requester=by, editors=(by,))
        case RequestAmended(by=by):
            return with_request(case, fact).but(editors=tuple(dict.fromkeys([*case.editors, by])))
        case RightsGranted():
            return case.but(stage=Stage.GRANTED, granted=fact, waiting=None)
        case ChangesAsked():
            return case.but(stage=Stage.CHANGES_ASKED)
        case ConditionMet(condition=condition):
            return case.but(conditions_met=(*case.conditions_met, condition))
        case RightsSuspended():
            return case.but(stage=Stage.SUSPENDED)
        case RightsReinstated():
            return case.but(stage=Stage.GRANTED)
        case RenewalAsked():
            return case.but(renewal_asked=True)
        case RightsEnded():
            return case.but(stage=Stage.ENDED, ended=HOW_IT_ENDED[type(fact)], waiting=None)
        case RightsRefused():
            return case.but(stage=Stage.REFUSED, waiting=None)
        case RequestWithdrawn():
            return case.but(stage=Stage.WITHDRAWN, waiting=None)
        case RequestExpired():
            return case.but(stage=Stage.UNDECIDED, waiting=None)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


HOW_IT_ENDED: dict[type[Fact], str] = {
    RightsExpired: "expired",
    RightsRevoked: "revoked",
    RightsLapsed: "lapsed",
    RightsSuperseded: "superseded by role",
}


def with_request(case: RightsCase, fact: RequestFields) -> RightsCase:
    return case.but(stage=Stage.APPROVER_REVIEW, request=fact, content=hash_of(fact))


def hash_of(request: RequestFields) -> str:
    return content_hash(request.model_dump(mode="json", include={"accounts", "scope", "months", "purpose"}))


POSTING_RIGHTS = Page(PROCESS, RightsCase, decide, evolve, opens_with=(RequestRights,))
