"""A case of account creation on its way: how it got to each stage, and what is asked of whom there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from domain.account_creation import Stage
from domain.account_creation_messages import (
    AmendRequest,
    ApproveAccount,
    AskForChanges,
    RefuseAccount,
    Wanted,
    WithdrawRequest,
)
from domain.clauses import PR_1, PR_2, PR_3, PR_7
from domain.delegation import Delegate
from domain.policy import Role
from domain.policy_adoption import AdoptPolicy
from domain.waiting import (
    Asked,
    Due,
    DueMoment,
)
from tests.domain.house import (
    CASE,
    CLERK,
    DIRECTOR,
    HELPDESK,
    MANAGER,
    MARKETING,
    MONDAY,
    YOUTH,
    House,
    a_request,
    at,
    founded,
    sealed,
)

ACCOUNT = "account:facebook:durantlibrary"
TO_DECIDE = "decide on the account request"
TO_SET_UP = "set the account up with the branch"
TO_VERIFY = "verify the page and open the account"
EVERY_TASK = (
    "account_made", "branding", "logo", "maintained_by", "contact_details", "website_link", "policy_link",
    "credentials_in_vault", "two_factor",
)  # fmt: skip
THOSE_WHO_MAKE_IT = (MARKETING, YOUTH, CLERK, HELPDESK, "p-hq-it", MANAGER)

# Asked on Monday at ten in Mississippi; from the Sunday after, ten is an hour earlier in UTC.
FIRST_REMINDER, SECOND_REMINDER = at("2026-03-04T16:00"), at("2026-03-06T16:00")
ESCALATION, OVERDUE, EXPIRY = at("2026-03-09T15:00"), at("2026-03-16T15:00"), at("2026-04-01T15:00")
ONE_SECOND = timedelta(seconds=1)


def due(
    first: datetime = FIRST_REMINDER,
    second: datetime = SECOND_REMINDER,
    escalation: datetime = ESCALATION,
    overdue: datetime = OVERDUE,
    expiry: datetime = EXPIRY,
) -> tuple[DueMoment, ...]:
    return (
        DueMoment(what=Due.REMINDER, nth=1, at=first),
        DueMoment(what=Due.REMINDER, nth=2, at=second),
        DueMoment(what=Due.ESCALATION, at=escalation),
        DueMoment(what=Due.OVERDUE, at=overdue),
        DueMoment(what=Due.EXPIRY, at=expiry),
    )


def asked_to_decide(*persons: str, role: Role = Role.EXECUTIVE_DIRECTOR, **changed: Any) -> Asked:
    said: dict[str, Any] = {
        "rests_on": (PR_1,), "role": role, "place": "hq", "persons": persons or (DIRECTOR,), "to": TO_DECIDE,
        "since": MONDAY, "due": due(), "escalates_to": Role.BOARD_DELEGATE,
    }  # fmt: skip
    return Asked(**(said | changed))


def asked_to_make_it(to: str, *clauses: str, persons: tuple[str, ...] = THOSE_WHO_MAKE_IT) -> Asked:
    return Asked(
        rests_on=clauses, role=Role.HEADQUARTERS_STAFF, place="hq", persons=persons, to=to, since=MONDAY, due=due(),
        escalates_to=Role.EXECUTIVE_DIRECTOR,
    )  # fmt: skip


ASKED_TO_SET_UP = asked_to_make_it(TO_SET_UP, PR_2, PR_3)
ASKED_TO_VERIFY = asked_to_make_it(TO_VERIFY, PR_2, PR_7)


def fields_of(request: Wanted) -> dict[str, Any]:
    return {name: getattr(request, name) for name in type(request).model_fields}


def amended(handle: str = "durantlibrary", **changed: Any) -> AmendRequest:
    return AmendRequest(**fields_of(a_request(handle, **changed)))


def approval(house: House, case: str = CASE, **more: Any) -> ApproveAccount:
    return ApproveAccount(content=house.case(case).content, **more)


def changes(house: House) -> AskForChanges:
    return AskForChanges(content=house.case().content, reason=sealed("why"))


def refusal(house: House) -> RefuseAccount:
    return RefuseAccount(content=house.case().content, reason=sealed("why"))


def in_review() -> House:
    return founded().requested()


def sent_back() -> House:
    house = in_review()
    house.does(changes(house), DIRECTOR)
    return house


def being_set_up(**more: Any) -> House:
    return in_review().approved(**more)


def in_verification() -> House:
    return being_set_up().set_up()


def ready() -> House:
    return in_verification().confirmed()


def open_account() -> House:
    return ready().opened()


def refused() -> House:
    house = in_review()
    house.does(refusal(house), DIRECTOR)
    return house


def withdrawn() -> House:
    house = in_review()
    house.does(WithdrawRequest(), MANAGER)
    return house


def expired() -> House:
    house = in_review().comes(EXPIRY)
    house.time_passes()
    return house


AT: dict[Stage, Callable[[], House]] = {
    Stage.NOT_REQUESTED: founded,
    Stage.EXECUTIVE_REVIEW: in_review,
    Stage.CHANGES_ASKED: sent_back,
    Stage.SET_UP: being_set_up,
    Stage.VERIFICATION: ready,
    Stage.OPEN: open_account,
    Stage.REFUSED: refused,
    Stage.WITHDRAWN: withdrawn,
    Stage.EXPIRED: expired,
}


def lets(house: House, giver: str, to: str, days: float = 30, processes: tuple[str, ...] = ("*",)) -> House:
    since = house.now
    house.does(
        Delegate(to=to, processes=processes, since=since, until=since + timedelta(days=days), reason=sealed()),
        giver,
        "delegation",
    )
    return house


def under(text: str, **settings: int) -> House:
    """A house whose policy in force says other numbers."""
    for name, value in settings.items():
        before, found, rest = text.partition(f"[settings.{name}]\nvalue = ")
        assert found
        text = f"{before}{found}{value}{rest[rest.index(chr(10)) :]}"
    return adopting(text)


def adopting(text: str) -> House:
    house = founded()
    house.does(AdoptPolicy(text=text.replace('version = "2026-1"', 'version = "test"')), DIRECTOR, "policy_adoption")
    return house


CONTENT = in_review().case().content
OPEN_STAGES = (Stage.EXECUTIVE_REVIEW, Stage.CHANGES_ASKED, Stage.SET_UP, Stage.VERIFICATION)
