"""Rights to post for those who do not post by role.

PR-4: the Executive Director, the two coordinators and the head of a branch post without asking. PR-5: others at a
branch ask its manager first, others at headquarters the Executive Director. PR-18: whoever runs a Friends site does not
post here. A right names accounts, scope, term and who granted it; it ends with its term, by revocation, or at once when
its holder changes branch, leaves, or comes to post by role.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING, Any

from domain.clauses import PR_5
from domain.facts import Act, Authority, Command, Decision, Fact, Page, Refused, State, content_hash
from domain.in_force import RightsEnded, account_id
from domain.posting_rights_messages import (
    AmendRequest,
    AskForChanges,
    ChangesAsked,
    ConditionMet,
    GrantRights,
    MeetCondition,
    RefuseRights,
    ReinstateRights,
    RenewalAsked,
    RequestAmended,
    RequestExpired,
    RequestFields,
    RequestRights,
    RequestWithdrawn,
    RevokeRights,
    RightsExpired,
    RightsGranted,
    RightsLapsed,
    RightsRefused,
    RightsReinstated,
    RightsRequested,
    RightsRevoked,
    RightsSuperseded,
    RightsSuspended,
    SuspendRights,
    Wanted,
    WithdrawRequest,
)
from domain.posting_rights_rules import (
    a_condition_still_open,
    a_term_within_the_policys,
    no_more_than_was_asked_for,
    not_after_its_end,
    renewal_opens,
    what_is_asked_for_is_possible,
    you_already_may_by_role,
)
from domain.requests import ask_for_the_changes, ask_the_requester, ask_to_decide, decided_on_what_stands
from domain.steps import does_not_follow, in_words
from domain.waiting import (
    Asked,
    Due,
    DueMoment,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    evolve_wait,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_the_requester, only_the_system, who_asks

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "posting_rights"
STILL_NEEDED = "ask again if the posting rights are still needed"
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
            decided_on_what_stands(grant, case.content, PR_5)
            granted = as_granted(grant, case, library)
            no_more_than_was_asked_for(granted, grant, case, library)
            return Decision((granted,), authority)

        case AskForChanges() as changes, Stage.APPROVER_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(changes, case.content, PR_5)
            asked = ask_for_the_changes(case.requester, PR_5, library)
            return Decision((changes.becomes(ChangesAsked), asked), authority)

        case RefuseRights() as refuse, Stage.APPROVER_REVIEW:
            authority = only_who_decides(act, case, library)
            decided_on_what_stands(refuse, case.content, PR_5)
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


def only_who_decides(act: Act, case: RightsCase, library: Library) -> Authority:
    process, place = who_is_asked(case.requester, library)
    return library.authority_to_decide(act, process, place, case.editors, PR_5)


def who_is_asked(person: str, library: Library) -> tuple[str, str]:
    """PR-5: headquarters staff ask the director, others whoever runs the branch where they work now."""
    place = library.place_of(person)
    return (OF_HEADQUARTERS if place == library.headquarters else OF_A_BRANCH), place


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


def ask_for_review(requester: str, parties: tuple[str, ...], library: Library) -> Asked:
    process, place = who_is_asked(requester, library)
    return ask_to_decide(process, place, parties, "decide on the request for posting rights", PR_5, library)


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
        return asked, ask_the_requester(case.requester, STILL_NEEDED, its_end, PR_5, library)
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
