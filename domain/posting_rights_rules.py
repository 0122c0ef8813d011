"""What must hold before a right to post is asked for, granted or reinstated.

PR-4: who posts by role need not ask. PR-5: no more than was asked for, on accounts in service, within the policy's
term. PR-18: not for whoever runs a Friends site.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.clauses import PR_4, PR_5, PR_18
from domain.facts import Refused, every_one_of
from domain.in_force import Scope
from domain.posting_rights_messages import GrantRights, RequestFields, RightsGranted
from domain.requests import each_condition_has_a_name_of_its_own
from domain.steps import in_words

if TYPE_CHECKING:
    from domain.library import Library
    from domain.posting_rights import RightsCase


def you_already_may_by_role(person: str, library: Library) -> None:
    if role := library.may_post_by_role(person):
        raise Refused(PR_4, f"you already may: the {in_words(role)} posts without asking", "nothing: post as you are")


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
        lambda: each_condition_has_a_name_of_its_own(grant.conditions, PR_5),
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


def a_condition_still_open(condition: str, case: RightsCase) -> None:
    still_open = [each for each in case.right.open_conditions() if each not in case.conditions_met]
    if condition not in still_open:
        raise Refused(PR_5, f"no condition {condition} is open", ', '.join(still_open) or "none: all are met")


def not_after_its_end(case: RightsCase, library: Library) -> None:
    if library.at >= case.right.until:
        raise Refused(PR_5, "the right's term is over", "grant a new request")


def renewal_opens(since: datetime, until: datetime, library: Library) -> datetime:
    ahead = timedelta(days=library.policy.settings.renewal_notice_days.value)
    return max(since, until - ahead)
