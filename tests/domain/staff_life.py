"""What happens with rights, staff and HR's feeds in a life in which everything happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.delegation import Delegate
from domain.directory import OfPerson
from domain.facts import Actor, ActorKind, Fact
from domain.hr_feed_messages import (
    AssignPeople,
    DeleteGroup,
    DeleteUser,
    HeldRow,
    RegisterHrSystem,
    RevokeHrToken,
    Said,
    StoreGroup,
    StoreUser,
    TakeSnapshot,
    stream_of,
    stream_of_resource,
)
from domain.policy_adoption import AdoptPolicy
from domain.posting_rights import RightsCase
from domain.posting_rights_messages import (
    AmendRequest,
    AskForChanges,
    GrantRights,
    MeetCondition,
    RefuseRights,
    ReinstateRights,
    RequestRights,
    RevokeRights,
    SuspendRights,
    WithdrawRequest,
)
from domain.requests import Condition
from domain.staff_change import change_of
from domain.staff_change_messages import FollowStaffChange, ReportStaffChange, SeatAdministrator
from domain.webhooks import EndSubscription, ForgetOldSecret, RotateSecret, Subscribe
from tests.domain.house import (
    CLERK,
    DIRECTOR,
    HELPDESK,
    MANAGER,
    MARKETING,
    OPERATOR,
    POLICY_TEXT,
    TIMER,
    YOUTH,
    House,
    sealed,
)

ACCOUNT = "account:facebook:durantreads"
HOLDER = "p-bs-durant-2"
OKTA = Actor(kind=ActorKind.HR_SYSTEM, id="okta")
USER, GROUP, OTHER_USER, OTHER_GROUP = (f"{nth:032x}" for nth in range(1, 5))


def case_of(process: str, nth: int) -> str:
    return f"{process}-11111111-1111-4111-8111-{nth:012x}"


# ---- rights to post


def rights_come_and_go(house: House) -> None:
    a_right_is_amended_conditional_suspended_and_revoked(house)
    requests_for_rights_come_to_nothing(house)
    rights_end_by_themselves(house)


def asked(house: House, nth: int, **changed: Any) -> str:
    case = case_of("posting_rights", nth)
    wanted: dict[str, Any] = {"accounts": (ACCOUNT,), "months": 2, "purpose": sealed("why")}
    request = RequestRights(**(wanted | changed))
    house.does(request, HOLDER, case)
    return case


def granted(house: House, nth: int) -> str:
    case = asked(house, nth)
    house.does(GrantRights(content=content(house, case)), MANAGER, case)
    return case


def content(house: House, case: str) -> str:
    state = house.state(case)
    assert isinstance(state, RightsCase)
    return state.content


def a_right_is_amended_conditional_suspended_and_revoked(house: House) -> None:
    case = asked(house, 1)
    house.does(AskForChanges(content=content(house, case), reason=sealed("why")), MANAGER, case)
    house.does(AmendRequest(accounts=(ACCOUNT,), months=1, purpose=sealed("why")), HOLDER, case)
    conditions = (Condition(id="training", what=sealed("what")),)
    house.does(GrantRights(content=content(house, case), conditions=conditions), MANAGER, case)
    house.does(MeetCondition(condition="training", note=sealed("note")), MANAGER, case)
    house.does(SuspendRights(reason=sealed("why")), MANAGER, case)
    house.does(ReinstateRights(reason=sealed("why")), MANAGER, case)
    house.does(RevokeRights(reason=sealed("why")), MANAGER, case)


def requests_for_rights_come_to_nothing(house: House) -> None:
    refused = asked(house, 2)
    house.does(RefuseRights(content=content(house, refused), reason=sealed("why")), MANAGER, refused)
    house.does(WithdrawRequest(reason=sealed("why")), HOLDER, asked(house, 3))
    expired = asked(house, 4)
    house.passes(days=31).time_passes(expired)


def rights_end_by_themselves(house: House) -> None:
    expired = granted(house, 5)
    house.passes(days=40).time_passes(expired)
    house.passes(days=30).time_passes(expired)
    lapsed = granted(house, 6)
    house.hr_says(HOLDER, branch="west")
    house.reconsiders(lapsed)
    house.hr_says(HOLDER, branch="durant")
    superseded = granted(house, 7)
    house.hr_says(HOLDER, position="Branch Manager")
    house.reconsiders(superseded)


# ---- what follows when people go


def people_go(house: House) -> None:
    house.hr_says(CLERK, end=house.library().today + timedelta(days=9))
    off_record = followed(house, 2)
    house.hr_says(CLERK, end=None)
    house.reconsiders(off_record)
    house.hr_says(MANAGER, end=house.library().today + timedelta(days=5))
    left = followed(house, 1)
    house.passes(days=7).time_passes(left)
    reported(house, left)
    house.does(SeatAdministrator(account=ACCOUNT, person=YOUTH), MARKETING, left)
    a_delegation_lapses(house)


def followed(house: House, nth: int) -> str:
    """The case of what HR said last, up to its first report."""
    case, said = case_of("staff_change", nth), next(each for each in reversed(house.log) if is_of_a_person(each.fact))
    assert isinstance(said.fact, OfPerson)
    change = change_of(said.fact)
    assert change is not None
    person, event = said.fact.person.id, said.envelope.event_id
    follow = FollowStaffChange(person=person, change=change, event=event, log_position=said.log_position)
    house.does(follow, TIMER, case)
    reported(house, case)
    return case


def is_of_a_person(fact: Fact) -> bool:
    return isinstance(fact, OfPerson)


def reported(house: House, case: str) -> None:
    house.does(ReportStaffChange(), TIMER, case)


def a_delegation_lapses(house: House) -> None:
    since, until = house.now, house.now + timedelta(days=10)
    given = Delegate(to=CLERK, processes=("*",), since=since, until=until, reason=sealed("why"))
    house.does(given, HELPDESK, "delegation")
    house.leaves(CLERK).reconsiders("delegation")


# ---- HR's systems


def hr_is_told(house: House) -> None:
    one, fingerprint = {"subscriber": "0123456789ab"}, "0" * 64
    told = Subscribe(url="https://hr.example.org/hooks", key=fingerprint, since=1, **one)
    for command in (told, RotateSecret(key="1" * 64, **one), ForgetOldSecret(**one), EndSubscription(**one)):
        house.does(command, OPERATOR, "webhooks")


def hr_feeds(house: House) -> None:
    okta = stream_of("okta")
    house.does(RegisterHrSystem(system="okta", token_sha256="0" * 64), OPERATOR, okta)
    okta_sends_users_and_groups(house)
    files_are_taken(house)
    a_group_gives_a_role(house)
    house.does(RevokeHrToken(system="okta"), OPERATOR, okta)
    hr_is_told(house)


def okta_sends_users_and_groups(house: House) -> None:
    says(house, effective_at=house.now, unread="start: soon")
    says(house, effective_at=house.now, name="Somebody")
    says(house, effective_at=house.now - timedelta(days=1))
    group = stream_of_resource("okta", GROUP)
    stored = StoreGroup(system="okta", id=GROUP, display_name="Staff", members=(USER,), resource={}, expected=0)
    house.does(stored, OKTA, group)
    house.does(DeleteGroup(system="okta", id=GROUP, expected=version(house, GROUP)), OKTA, group)
    gone = DeleteUser(system="okta", id=USER, expected=version(house, USER))
    house.does(gone, OKTA, stream_of_resource("okta", USER))
    house.does(AssignPeople(system="okta", people=(HELPDESK,)), OPERATOR, stream_of("okta"))


def says(house: House, **more: Any) -> None:
    said = Said(user_name="u1@example.org", position="Library Clerk", branch="durant", **more)
    sent = StoreUser(system="okta", id=USER, said=said, resource=sealed("resource"), expected=version(house, USER))
    house.does(sent, OKTA, stream_of_resource("okta", USER))


def version(house: House, id_: str) -> int:
    known = house.register.hr.resources.get(("okta", id_))
    return known.version if known else 0


def files_are_taken(house: House) -> None:
    people = tuple(each for each in house.library().people() if each.id != HELPDESK)
    row = HeldRow(item="row p-x", person="p-x", row={"id": "p-x"}, problem="name: is empty", would_pass="a value")
    file = TakeSnapshot(feed_sha256="0" * 64, people=people, held=(row,), as_of=house.now)
    house.does(file, OPERATOR, stream_of(file.system))
    mended = TakeSnapshot(feed_sha256="1" * 64, people=people)
    house.does(mended, OPERATOR, stream_of(mended.system))


def a_group_gives_a_role(house: House) -> None:
    """By a policy version that maps it."""
    groups = '[groups."Staff"]\nroles = ["helpdesk"]\npositions = ["Library Clerk"]\n\n[places.hq]'
    text = POLICY_TEXT.replace('version = "2026-1"', 'version = "2026-9"').replace("[places.hq]", groups)
    house.hr_says(DIRECTOR, active=True)
    house.does(AdoptPolicy(text=text), DIRECTOR, "policy_adoption")
    said = Said(user_name="u3@example.org", position="Library Clerk", branch="durant")
    user = StoreUser(system="okta", id=OTHER_USER, said=said, resource=sealed("resource"), expected=0)
    house.does(user, OKTA, stream_of_resource("okta", OTHER_USER))
    members = (OTHER_USER,)
    group = StoreGroup(
        system="okta", id=OTHER_GROUP, display_name="Staff", members=members, resource={}, expected=0
    )
    house.does(group, OKTA, stream_of_resource("okta", OTHER_GROUP))
