"""Creating an account: given what happened, when someone asks, then these facts, or a refusal with its clause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Literal, get_args

import pytest
from pydantic import ValidationError

from domain.account_creation import Stage
from domain.account_creation_messages import (
    AccountApproved,
    AccountOpened,
    AccountRefused,
    AccountRequested,
    AdministrationConfirmed,
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
    RequestWithdrawn,
    SetUpCompleted,
    TaskCompleted,
    TaskWaived,
    WaiveTask,
    WithdrawRequest,
    claim,
)
from domain.clauses import PR_1, PR_2, PR_3, PR_4, PR_7, PR_18
from domain.delegation import EndDelegation
from domain.directory import DeclareFriendsRole, Person
from domain.facts import Actor, Command, Decision, Refused
from domain.policy import Role
from domain.policy_adoption import AdoptPolicy
from domain.requests import Condition
from domain.waiting import (
    Asked,
    Due,
    DueMoment,
    LetTimePass,
    Reconsider,
)
from tests.domain.cases import (
    ACCOUNT,
    ASKED_TO_SET_UP,
    ASKED_TO_VERIFY,
    AT,
    CONTENT,
    EVERY_TASK,
    EXPIRY,
    OPEN_STAGES,
    adopting,
    amended,
    approval,
    asked_to_decide,
    being_set_up,
    changes,
    expired,
    fields_of,
    in_review,
    in_verification,
    open_account,
    ready,
    refusal,
    refused,
    sent_back,
    under,
    withdrawn,
)
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    BOARD,
    CASE,
    CLERK,
    DIRECTOR,
    ELSEWHERE,
    HEADQUARTERS_STAFF,
    HELPDESK,
    HR,
    LEFT,
    LOGO,
    MANAGER,
    MARKETING,
    MONDAY,
    OPERATOR,
    OTHER_CASE,
    POLICY_TEXT,
    TIMER,
    YOUTH,
    House,
    a_request,
    at,
    done,
    founded,
    sealed,
)

# ---- every stage, every command

SENT: dict[str, tuple[str | Actor, Callable[[House], Command]]] = {
    "RequestAccount": (MANAGER, lambda _: a_request()),
    "AmendRequest": (MANAGER, lambda _: amended(place="west")),
    "ApproveAccount": (DIRECTOR, lambda _: ApproveAccount(content=CONTENT)),
    "AskForChanges": (DIRECTOR, lambda _: AskForChanges(content=CONTENT, reason=sealed())),
    "RefuseAccount": (DIRECTOR, lambda _: RefuseAccount(content=CONTENT, reason=sealed())),
    "WithdrawRequest": (MANAGER, lambda _: WithdrawRequest()),
    "CompleteTask": (MARKETING, lambda _: done("branding")),
    "WaiveTask": (MARKETING, lambda _: WaiveTask(task="policy_link", reason=sealed())),
    "MeetCondition": (MARKETING, lambda _: MeetCondition(condition="two-pictures")),
    "ConfirmAdministration": (MANAGER, lambda _: ConfirmAdministration()),
    "OpenAccount": (MARKETING, lambda _: OpenAccount()),
    "LetTimePass": (TIMER, lambda _: LetTimePass()),
    "Reconsider": (TIMER, lambda _: Reconsider()),
}
NOTHING: list[str] = []
NOT_REQUESTED = "no account has been requested under this case"

# What follows, by name; or why it is refused.
TABLE: dict[Stage, dict[str, list[str] | str]] = {
    Stage.NOT_REQUESTED: dict.fromkeys(SENT, NOT_REQUESTED)
    | {"RequestAccount": ["AccountRequested", "Asked"], "LetTimePass": NOTHING, "Reconsider": NOTHING},
    Stage.EXECUTIVE_REVIEW: {
        "RequestAccount": "RequestAccount does not follow executive review",
        "AmendRequest": ["RequestAmended", "Asked"],
        "ApproveAccount": ["AccountApproved", "Asked"],
        "AskForChanges": ["ChangesAsked", "Asked"],
        "RefuseAccount": ["AccountRefused"],
        "WithdrawRequest": ["RequestWithdrawn"],
        "CompleteTask": "CompleteTask does not follow executive review",
        "WaiveTask": "WaiveTask does not follow executive review",
        "MeetCondition": "MeetCondition does not follow executive review",
        "ConfirmAdministration": "ConfirmAdministration does not follow executive review",
        "OpenAccount": "OpenAccount does not follow executive review",
        "LetTimePass": NOTHING,
        "Reconsider": NOTHING,
    },
    Stage.CHANGES_ASKED: {
        "RequestAccount": "RequestAccount does not follow changes asked",
        "AmendRequest": ["RequestAmended", "Asked"],
        "ApproveAccount": "ApproveAccount does not follow changes asked",
        "AskForChanges": "AskForChanges does not follow changes asked",
        "RefuseAccount": "RefuseAccount does not follow changes asked",
        "WithdrawRequest": ["RequestWithdrawn"],
        "CompleteTask": "CompleteTask does not follow changes asked",
        "WaiveTask": "WaiveTask does not follow changes asked",
        "MeetCondition": "MeetCondition does not follow changes asked",
        "ConfirmAdministration": "ConfirmAdministration does not follow changes asked",
        "OpenAccount": "OpenAccount does not follow changes asked",
        "LetTimePass": NOTHING,
        "Reconsider": NOTHING,
    },
    Stage.SET_UP: {
        "RequestAccount": "RequestAccount does not follow set up",
        "AmendRequest": ["RequestAmended", "Asked"],
        "ApproveAccount": "ApproveAccount does not follow set up",
        "AskForChanges": "AskForChanges does not follow set up",
        "RefuseAccount": "RefuseAccount does not follow set up",
        "WithdrawRequest": ["RequestWithdrawn"],
        "CompleteTask": ["TaskCompleted"],
        "WaiveTask": ["TaskWaived"],
        "MeetCondition": "no condition two-pictures is open",
        "ConfirmAdministration": ["AdministrationConfirmed"],
        "OpenAccount": "OpenAccount does not follow set up",
        "LetTimePass": NOTHING,
        "Reconsider": NOTHING,
    },
    Stage.VERIFICATION: {
        "RequestAccount": "RequestAccount does not follow verification",
        "AmendRequest": ["RequestAmended", "Asked"],
        "ApproveAccount": "ApproveAccount does not follow verification",
        "AskForChanges": "AskForChanges does not follow verification",
        "RefuseAccount": "RefuseAccount does not follow verification",
        "WithdrawRequest": ["RequestWithdrawn"],
        "CompleteTask": "branding is closed already",
        "WaiveTask": "policy_link is closed already",
        "MeetCondition": "no condition two-pictures is open",
        "ConfirmAdministration": NOTHING,
        "OpenAccount": ["AccountOpened"],
        "LetTimePass": NOTHING,
        "Reconsider": NOTHING,
    },
    **{
        ended: dict.fromkeys(SENT, f"the case has ended: {ended}") | {"LetTimePass": NOTHING, "Reconsider": NOTHING}
        for ended in (Stage.OPEN, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED)
    },
}


def test_the_table_has_every_stage_and_every_command() -> None:
    assert set(TABLE) == set(AT) == set(Stage)
    assert all(set(row) == set(SENT) for row in TABLE.values())


@pytest.mark.parametrize("stage", Stage)
def test_each_stage_is_reached(stage: Stage) -> None:
    assert AT[stage]().case().stage is stage


@pytest.mark.parametrize(("stage", "command"), [(stage, command) for stage in Stage for command in SENT])
def test_at_each_stage_each_command_has_its_answer(stage: Stage, command: str) -> None:
    house = AT[stage]()
    sender, sent = SENT[command]
    answer = TABLE[stage][command]
    if isinstance(answer, str):
        assert house.refuses(sent(house), sender).because == answer
    else:
        assert [type(fact).__name__ for fact in house.does(sent(house), sender)] == answer


@pytest.mark.parametrize(
    ("stage", "would_pass"),
    [
        (Stage.EXECUTIVE_REVIEW, "one of ApproveAccount, AskForChanges, RefuseAccount, AmendRequest, WithdrawRequest"),
        (Stage.CHANGES_ASKED, "one of AmendRequest, WithdrawRequest"),
        (
            Stage.SET_UP,
            "one of CompleteTask, WaiveTask, MeetCondition, ConfirmAdministration, AmendRequest, WithdrawRequest",
        ),
        (
            Stage.VERIFICATION,
            "one of OpenAccount, MeetCondition, ConfirmAdministration, CompleteTask, WaiveTask, AmendRequest, "
            "WithdrawRequest",
        ),
    ],
)
def test_what_does_not_follow_says_what_does(stage: Stage, would_pass: str) -> None:
    assert AT[stage]().refuses(a_request(), MANAGER).remedy == would_pass


def test_what_would_pass_is_what_the_table_lets_pass() -> None:
    for stage, row in TABLE.items():
        told = AT[stage]().refuses(a_request(), MANAGER).remedy if stage in OPEN_STAGES else ""
        for command, answer in row.items():
            if isinstance(answer, list) and command not in ("LetTimePass", "Reconsider", "RequestAccount"):
                assert command in told


def test_a_step_of_another_process_does_not_follow() -> None:
    ending = EndDelegation(delegation="d-1")
    assert in_review().refuses(ending, DIRECTOR).because == "EndDelegation does not follow executive review"
    assert founded().refuses(ending, DIRECTOR).because == NOT_REQUESTED


# ---- the whole way, fact by fact


def test_a_request_is_recorded_and_the_executive_director_is_asked() -> None:
    request = a_request()
    assert founded().does(request, MANAGER) == [
        AccountRequested(**fields_of(request), by=MANAGER),
        asked_to_decide(DIRECTOR),
    ]


def test_an_approved_account_is_set_up_by_headquarters_with_the_branch() -> None:
    house = in_review()
    assert house.does(approval(house), DIRECTOR) == [AccountApproved(content=CONTENT), ASKED_TO_SET_UP]


def test_a_task_is_done_by_a_named_person() -> None:
    assert being_set_up().does(CompleteTask(task="branding", note=sealed("note")), ASSISTANT) == [
        TaskCompleted(task="branding", clause=PR_2, by=ASSISTANT, note=sealed("note"))
    ]


def test_the_last_task_completes_the_set_up_and_asks_for_verification() -> None:
    house = being_set_up().set_up(without=("two_factor",))
    assert house.does(done("two_factor"), HELPDESK) == [
        TaskCompleted(task="two_factor", clause=PR_2, by=HELPDESK),
        SetUpCompleted(),
        ASKED_TO_VERIFY,
    ]


def test_a_waived_task_may_be_the_last() -> None:
    house = being_set_up().set_up(without=("policy_link",))
    assert house.does(WaiveTask(task="policy_link", reason=sealed("why")), CLERK) == [
        TaskWaived(task="policy_link", clause=PR_3, by=CLERK, reason=sealed("why")),
        SetUpCompleted(),
        ASKED_TO_VERIFY,
    ]


def test_an_administrator_confirms_once() -> None:
    house = being_set_up()
    assert house.does(ConfirmAdministration(), MANAGER) == [AdministrationConfirmed(administrator=MANAGER)]
    assert house.does(ConfirmAdministration(), MANAGER) == []


def test_the_account_opens_with_the_administrators_who_confirmed() -> None:
    house = founded().requested(administrators=(MARKETING, YOUTH, MANAGER)).approved().set_up()
    house.confirmed(MANAGER, MARKETING)
    assert house.does(OpenAccount(), CLERK) == [
        AccountOpened(
            account=ACCOUNT,
            platform="facebook",
            handle="durantlibrary",
            place="durant",
            administrators=(MANAGER, MARKETING),
            posters=(MANAGER,),
        )
    ]


def test_who_was_to_post_and_left_does_not_post() -> None:
    house = founded().requested(posters=(ASSISTANT, MANAGER)).approved().set_up().confirmed().leaves(ASSISTANT)
    (opened,) = house.does(OpenAccount(), MARKETING)
    assert isinstance(opened, AccountOpened)
    assert opened.posters == (MANAGER,)


def test_changes_asked_go_back_to_the_requester_with_a_clock_of_their_own() -> None:
    house = in_review()
    assert house.does(changes(house), DIRECTOR) == [
        ChangesAsked(content=CONTENT, reason=sealed("why")),
        Asked(
            rests_on=(PR_1,),
            role=Role.BRANCH_MANAGER,
            place="durant",
            persons=(MANAGER,),
            to="change the request as asked",
            since=MONDAY,
            due=(DueMoment(what=Due.EXPIRY, at=EXPIRY),),
        ),
    ]


def test_a_changed_request_is_asked_anew() -> None:
    house, change = sent_back(), amended(place="west")
    assert house.does(change, MANAGER) == [
        RequestAmended(**fields_of(change), by=MANAGER, voided=CONTENT),
        asked_to_decide(DIRECTOR),
    ]


def test_a_refused_request_ends_and_gives_its_handle_free() -> None:
    house = in_review()
    (fact,) = house.does(refusal(house), DIRECTOR)
    assert fact == AccountRefused(account=ACCOUNT, content=CONTENT, reason=sealed("why"))
    assert fact.releases() == (ACCOUNT,)


@pytest.mark.parametrize("stage", OPEN_STAGES)
def test_the_requester_withdraws_at_any_stage_before_the_opening(stage: Stage) -> None:
    house = AT[stage]()
    assert house.does(WithdrawRequest(reason=sealed("why")), MANAGER) == [
        RequestWithdrawn(account=ACCOUNT, reason=sealed("why"))
    ]
    assert house.case().stage is Stage.WITHDRAWN
    assert house.case().waiting is None


@pytest.mark.parametrize("command", [AskForChanges, RefuseAccount])
def test_sending_back_and_refusing_need_a_reason(command: type[Command]) -> None:
    with pytest.raises(ValidationError, match="reason"):
        command.model_validate({"content": CONTENT})


def test_waiving_needs_a_reason() -> None:
    with pytest.raises(ValidationError, match="reason"):
        WaiveTask.model_validate({"task": "policy_link"})


# ---- each role


EVERYONE = sorted(founded().register.people)
EMPLOYEES = [each for each in EVERYONE if each not in (BOARD, AUDITOR, LEFT)]
AT_HEADQUARTERS = [DIRECTOR, *HEADQUARTERS_STAFF]
OF_DURANT = [MANAGER, ASSISTANT, "p-bs-durant-2"]


def let_in(command: Callable[[House], Command], given: Callable[[], House]) -> list[str]:
    """Everyone of the directory whom the command does not refuse."""
    return [each for each in EVERYONE if not refused_to(each, command, given())]


def refused_to(person: str, command: Callable[[House], Command], house: House) -> bool:
    try:
        house.does(command(house), person)
    except Refused:
        return True
    return False


def test_every_employee_may_request_an_account_for_any_place_and_nobody_else() -> None:
    assert let_in(lambda _: a_request(place="winona"), founded) == EMPLOYEES
    assert let_in(lambda _: a_request(place="hq"), founded) == EMPLOYEES


@pytest.mark.parametrize("stranger", [BOARD, AUDITOR, LEFT, "p-nobody", "", HR, OPERATOR, TIMER])
def test_who_is_not_of_the_staff_requests_nothing(stranger: str | Actor) -> None:
    if stranger == "":
        with pytest.raises(ValidationError):
            founded().does(a_request(), stranger)
        return
    refused = founded().refuses(a_request(), stranger)
    assert refused.clauses == (PR_1,)
    assert refused.because.endswith("is not an active employee")


@pytest.mark.parametrize("command", [approval, changes, refusal])
def test_only_the_executive_director_decides(command: Callable[[House], Command]) -> None:
    assert let_in(command, in_review) == [DIRECTOR]


def test_whom_to_ask_for_a_decision_is_said() -> None:
    house = in_review()
    refused = house.refuses(approval(house), MARKETING)
    assert refused.clauses == (PR_1,)
    assert refused.because == "only the Executive Director may decide on account creation"
    assert refused.remedy == "ask the Executive Director: p-ed"


@pytest.mark.parametrize("command", [amended, WithdrawRequest])
def test_only_the_requester_changes_or_withdraws_the_request(command: Callable[[], Command]) -> None:
    assert let_in(lambda _: command(), in_review) == [MANAGER]
    assert in_review().refuses(command(), ASSISTANT).remedy == "let p-bm-durant do it"


def test_a_requester_who_is_no_longer_of_the_staff_changes_nothing() -> None:
    house = in_review().leaves(MANAGER)
    assert house.refuses(amended(), MANAGER).because == "p-bm-durant is not an active employee"


def test_headquarters_and_the_branch_set_up_together() -> None:
    may = sorted([*AT_HEADQUARTERS, *OF_DURANT])
    assert let_in(lambda _: done("branding"), being_set_up) == may
    given = being_set_up(conditions=(Condition(id="two-pictures", what=sealed()),))
    assert let_in(lambda _: MeetCondition(condition="two-pictures"), given.copy) == may
    refused = being_set_up().refuses(done("branding"), ELSEWHERE)
    assert refused.clauses == (PR_2,)
    assert refused.because == "p-bm-winona is neither of headquarters nor of durant"


def test_an_auditor_and_the_boards_delegate_set_up_nothing_at_headquarters_either() -> None:
    house = founded().requested(place="hq").approved()
    assert let_in(lambda _: done("branding"), house.copy) == sorted(AT_HEADQUARTERS)


def test_only_headquarters_waives_and_opens() -> None:
    assert let_in(lambda _: WaiveTask(task="policy_link", reason=sealed()), being_set_up) == sorted(AT_HEADQUARTERS)
    assert let_in(lambda _: OpenAccount(), ready) == sorted(AT_HEADQUARTERS)
    assert ready().refuses(OpenAccount(), MANAGER).clauses == (PR_2,)


def test_each_proposed_administrator_confirms_for_themselves() -> None:
    assert let_in(lambda _: ConfirmAdministration(), being_set_up) == [MANAGER, MARKETING]
    refused = being_set_up().refuses(ConfirmAdministration(), YOUTH)
    assert (refused.clauses, refused.remedy) == ((PR_7,), "each of p-mac, p-bm-durant confirms for themselves")


@pytest.mark.parametrize("command", [LetTimePass(), Reconsider()])
@pytest.mark.parametrize("sender", [MANAGER, DIRECTOR, HR, OPERATOR])
def test_nobody_hastens_time(command: Command, sender: str | Actor) -> None:
    assert in_review().comes(EXPIRY).refuses(command, sender).because == (
        "time passes by the ledger's clock, at nobody's request"
    )


# ---- the door: what is asked for must be possible


@pytest.mark.parametrize(
    ("changed", "clause", "because", "would_pass"),
    [
        ({"administrators": ()}, PR_7, "0 administrator(s) are too few", "name at least 2 different administrators"),
        ({"administrators": (MARKETING,)}, PR_7, "1 administrator(s) are too few", "name at least 2 different"),
        ({"administrators": (MARKETING, MARKETING)}, PR_7, "the same administrator is named twice", "at least 2"),
        ({"administrators": (MARKETING, MANAGER, MANAGER)}, PR_7, "the same administrator is named twice", "once"),
        (
            {"administrators": (MANAGER, ASSISTANT)},
            PR_7,
            "no administrator is the Marketing",
            "add one of p-mac, p-ysc",
        ),
        ({"administrators": (MARKETING, LEFT)}, PR_7, "p-bs-west-left: not an active employee", "active employees"),
        ({"administrators": (MARKETING, "p-nobody")}, PR_7, "p-nobody: not an active employee", "active employees"),
        ({"administrators": (MARKETING, AUDITOR)}, PR_7, "p-auditor: not an active employee", "active employees"),
        ({"administrators": (MARKETING, BOARD)}, PR_7, "p-board: not an active employee", "active employees"),
        ({"posters": (LEFT,)}, PR_4, "p-bs-west-left: not an active employee", "only the library's own staff post"),
        ({"posters": (AUDITOR, MANAGER)}, PR_4, "p-auditor: not an active employee", "own staff post"),
        ({"posters": (MANAGER, MANAGER)}, PR_4, "the same person is named twice to post", "once"),
        ({"place": "jackson"}, PR_2, "there is no branch jackson", "one of carthage, duck-hill, durant"),
        ({"platform": "myspace"}, PR_1, "myspace is not a platform of the policy", "one of facebook, instagram"),
        ({"handle": "abcd"}, PR_1, "'abcd' cannot be a handle on facebook", "at most 50 characters of the form"),
        ({"handle": "durant library"}, PR_1, "'durant library' cannot be a handle on facebook", "as mmrls.durant"),
        ({"handle": "@"}, PR_1, "'' cannot be a handle on facebook", "as mmrls.durant"),
        ({"handle": "a" * 51}, PR_1, "cannot be a handle on facebook", "at most 50"),
        ({"handle": "\ufdfa" * 20}, PR_1, "cannot be a handle on facebook", "at most 50"),
    ],
)
def test_a_request_that_cannot_be_is_refused_at_the_door(
    changed: dict[str, Any], clause: str, because: str, would_pass: str
) -> None:
    for house, command, sender in (
        (founded(), a_request(**changed), MANAGER),
        (in_review(), amended(**changed), MANAGER),
    ):
        refused = house.refuses(command, sender)
        assert refused.clauses == (clause,)
        assert because in refused.because
        assert would_pass in refused.remedy


def test_a_declared_friends_administrator_does_not_administer() -> None:
    house = founded()
    house.does(DeclareFriendsRole(person=MANAGER, administers=True), MANAGER, "directory")
    refused = house.refuses(a_request(), MANAGER)
    assert refused.clauses == (PR_18,)
    assert refused.because == "p-bm-durant: declared administrator of a Friends of the Library site"
    house.does(DeclareFriendsRole(person=MANAGER, administers=False), MANAGER, "directory")
    assert house.does(a_request(), MANAGER)


def test_a_refusal_names_everything_that_stands_against_the_request() -> None:
    house = founded().requested(case=OTHER_CASE)
    house.does(DeclareFriendsRole(person=MANAGER, administers=True), MANAGER, "directory")
    refused = house.refuses(a_request(place="jackson", administrators=(MANAGER, LEFT), posters=(LEFT,)), ASSISTANT)
    assert refused.clauses == (PR_2, PR_7, PR_18, PR_4, PR_1)
    assert len(refused.because.split("; ")) == 6


@pytest.mark.parametrize(("many", "passes"), [(1, False), (2, True), (9, True), (10, True), (11, False)])
def test_an_account_has_two_to_ten_administrators(many: int, passes: bool) -> None:
    administrators = (MARKETING, *(each for each in EMPLOYEES if each != MARKETING))[:many]
    house = founded()
    if passes:
        assert house.does(a_request(administrators=administrators), MANAGER)
    else:
        few_or_many = "1 administrator(s) are too few" if many < 2 else "11 administrators are too many"
        assert house.refuses(a_request(administrators=administrators), MANAGER).because == few_or_many


@pytest.mark.parametrize("coordinator", [MARKETING, YOUTH])
def test_either_coordinator_will_do(coordinator: str) -> None:
    assert founded().does(a_request(administrators=(coordinator, ASSISTANT)), MANAGER)


def test_without_any_coordinator_the_posts_have_to_be_filled_first() -> None:
    house = founded().leaves(MARKETING, YOUTH)
    assert house.refuses(a_request(administrators=(MANAGER, ASSISTANT)), MANAGER).remedy == (
        "add one of them once the post is filled"
    )


def test_the_numbers_are_the_policys() -> None:
    house = under(POLICY_TEXT, minimum_administrators=3, administrators_most=3)
    assert house.refuses(a_request(), MANAGER).because == "2 administrator(s) are too few"
    assert house.copy().does(a_request(administrators=(MARKETING, YOUTH, MANAGER)), MANAGER)
    four = (MARKETING, YOUTH, MANAGER, ASSISTANT)
    assert house.refuses(a_request(administrators=four), MANAGER).because == "4 administrators are too many"


# ---- one account per platform and handle


def full_width(text: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) for each in text)


@pytest.mark.parametrize(
    "same",
    [
        "durantlibrary",
        "DurantLibrary",
        "DURANTLIBRARY",
        "@durantlibrary",
        " @DurantLibrary ",
        full_width("durantlibrary"),
        full_width("@DurantLibrary"),
    ],
)
def test_a_handle_is_the_same_in_any_writing(same: str) -> None:
    house = founded().requested(case=OTHER_CASE)
    refused = house.refuses(a_request(same), ASSISTANT)
    assert refused.clauses == (PR_1,)
    assert "on facebook is open or requested already" in refused.because
    assert OTHER_CASE in refused.because
    assert refused.remedy == "another handle, or go on in that case"


@pytest.mark.parametrize("other", [{"platform": "instagram"}, {"handle": "durantlibrary2"}])
def test_another_platform_or_handle_is_another_account(other: dict[str, str]) -> None:
    assert founded().requested(case=OTHER_CASE).does(a_request(**other), ASSISTANT)


def test_an_open_account_keeps_its_handle() -> None:
    assert "is open or requested already" in open_account().refuses(a_request(), MANAGER, OTHER_CASE).because


@pytest.mark.parametrize("ended", [refused, withdrawn, expired])
def test_a_handle_whose_request_came_to_nothing_is_free(ended: Callable[[], House]) -> None:
    assert ended().does(a_request(), ASSISTANT, OTHER_CASE)


def test_a_request_that_moves_to_another_handle_leaves_the_first_free() -> None:
    house = being_set_up().set_up(without=("two_factor",))
    (change, _) = house.does(amended("durantreads"), MANAGER)
    assert (change.claims(), change.releases()) == (("account:facebook:durantreads",), (ACCOUNT,))
    assert house.case().tasks_done == ()
    assert house.does(a_request(), ASSISTANT, OTHER_CASE)
    assert "is open or requested already" in house.refuses(amended(), MANAGER).because


def test_a_request_that_keeps_its_handle_keeps_its_claim_and_what_was_set_up() -> None:
    house = being_set_up().set_up(without=("two_factor",))
    (change, _) = house.does(amended("@DurantLibrary", place="west"), MANAGER)
    assert (change.claims(), change.releases()) == ((), ())
    assert house.case().tasks_done == tuple(each for each in EVERY_TASK if each != "two_factor")
    assert house.case().asked_for.handle == "DurantLibrary"


# ---- a decision is bound to what was decided


def test_an_approval_of_an_older_version_of_the_request_is_refused() -> None:
    house = in_review()
    old = approval(house)
    house.does(amended(place="west"), MANAGER)
    refused = house.refuses(old, DIRECTOR)
    assert refused.clauses == (PR_1,)
    assert refused.because == (
        f"the decision is on content {CONTENT}, but the request now reads {house.case().content}"
    )
    assert refused.remedy == "read the request as it stands now and decide on that"


@pytest.mark.parametrize("decision", [approval, changes, refusal])
def test_every_decision_is_bound_to_its_content(decision: Callable[[House], Command]) -> None:
    house = in_review()
    old = decision(house)
    house.does(amended(posters=()), MANAGER)
    assert "the decision is on content" in house.refuses(old, DIRECTOR).because


@pytest.mark.parametrize(
    "changed",
    [
        {"platform": "instagram"},
        {"handle": "durantreads"},
        {"place": "west"},
        {"purpose": sealed("another")},
        {"audience": sealed("another")},
        {"administrators": (YOUTH, MANAGER)},
        {"posters": ()},
    ],
)
def test_every_field_of_the_request_is_in_the_content(changed: dict[str, Any]) -> None:
    house = in_review()
    house.does(amended(**changed), MANAGER)
    assert house.case().content != CONTENT


def test_a_change_after_the_approval_voids_it_and_asks_again() -> None:
    house = being_set_up(conditions=(Condition(id="two-pictures", what=sealed()),)).set_up().confirmed()
    house.does(MeetCondition(condition="two-pictures"), MARKETING)
    change = amended(administrators=(YOUTH, MANAGER))
    assert house.does(change, MANAGER) == [
        RequestAmended(**fields_of(change), by=MANAGER, voided=CONTENT),
        asked_to_decide(DIRECTOR),
    ]
    case = house.case()
    assert (case.stage, case.confirmed, case.conditions, case.conditions_met) == (Stage.EXECUTIVE_REVIEW, (), (), ())
    assert house.does(approval(house), DIRECTOR) == [
        AccountApproved(content=case.content),
        SetUpCompleted(),
        ASKED_TO_VERIFY,
    ]
    assert "0 administrator(s) have confirmed" in house.refuses(OpenAccount(), MARKETING).because


def test_administrators_are_looked_at_again_when_the_account_is_approved() -> None:
    house = founded().requested(administrators=(MARKETING, ASSISTANT)).leaves(ASSISTANT)
    refused = house.refuses(approval(house), DIRECTOR)
    assert (refused.clauses, refused.because) == ((PR_7,), "p-bs-durant-1: not an active employee")


def test_a_case_finishes_under_the_policy_it_began_with() -> None:
    house = in_review()
    stricter = POLICY_TEXT.replace('version = "2026-1"', 'version = "2026-2"').replace(
        "[settings.minimum_administrators]\nvalue = 2", "[settings.minimum_administrators]\nvalue = 3"
    )
    house.does(AdoptPolicy(text=stricter), DIRECTOR, "policy_adoption")
    assert house.refuses(a_request("durantreads"), MANAGER, OTHER_CASE).because == "2 administrator(s) are too few"
    house.approved().set_up().confirmed().opened()
    assert house.case().stage is Stage.OPEN
    assert {each.envelope.policy for each in house.log if each.envelope.case == CASE} == {"2026-1"}


# ---- conditions


TWO_CONDITIONS = (Condition(id="two-pictures", what=sealed()), Condition(id="alt-text", what=sealed()))


def test_conditions_are_met_before_the_account_opens() -> None:
    house = being_set_up(conditions=TWO_CONDITIONS).set_up().confirmed()
    refused = house.refuses(OpenAccount(), MARKETING)
    assert (refused.clauses, refused.because) == (
        (PR_1,),
        "conditions of the approval are open: two-pictures, alt-text",
    )
    assert house.does(MeetCondition(condition="alt-text", note=sealed()), MANAGER) == [
        ConditionMet(condition="alt-text", by=MANAGER, note=sealed())
    ]
    assert house.refuses(OpenAccount(), MARKETING).because == "conditions of the approval are open: two-pictures"
    house.does(MeetCondition(condition="two-pictures"), MARKETING)
    assert house.does(OpenAccount(), MARKETING)


def test_a_condition_is_met_once() -> None:
    house = being_set_up(conditions=TWO_CONDITIONS)
    house.does(MeetCondition(condition="alt-text"), MANAGER)
    refused = house.refuses(MeetCondition(condition="alt-text"), MANAGER)
    assert (refused.because, refused.remedy) == ("no condition alt-text is open", "one of two-pictures")


def test_two_conditions_do_not_share_a_name() -> None:
    house = in_review()
    twice = (TWO_CONDITIONS[0], TWO_CONDITIONS[0])
    assert house.refuses(approval(house, conditions=twice), DIRECTOR).because == "two conditions have the same id"


# ---- set-up tasks


@pytest.mark.parametrize("task", EVERY_TASK)
def test_each_task_is_closed_once(task: str) -> None:
    house = being_set_up()
    house.does(done(task), MARKETING)
    assert house.refuses(done(task), MARKETING).because == f"{task} is closed already"


WAIVABLE = ("maintained_by", "contact_details", "website_link", "policy_link")


@pytest.mark.parametrize("task", EVERY_TASK)
def test_only_what_the_policy_asks_where_possible_is_waived(task: str) -> None:
    house, waive = being_set_up(), WaiveTask(task=task, reason=sealed())
    if task in WAIVABLE:
        (fact,) = house.does(waive, MARKETING)
        assert fact.cites() == (PR_3,)
    else:
        refused = house.refuses(waive, MARKETING)
        assert (refused.clauses, refused.because) == ((PR_2,), f"{task} cannot be waived")


@pytest.mark.parametrize("command", [CompleteTask(task="parade"), WaiveTask(task="parade", reason=sealed())])
def test_there_is_no_other_task(command: Command) -> None:
    refused = being_set_up().refuses(command, MARKETING)
    assert (refused.because, refused.remedy) == ("there is no set-up task parade", f"one of {', '.join(EVERY_TASK)}")


Source = Literal["marketing_and_access_coordinator", "online_helpdesk"]


@pytest.mark.parametrize("source", get_args(Source))
@pytest.mark.parametrize("sha256", [LOGO.sha256, "0" * 64])
def test_the_logo_is_a_file_that_its_source_gives_out(source: Source, sha256: str) -> None:
    house, logo = being_set_up(), CompleteTask(task="logo", logo_source=source, logo_sha256=sha256)
    if (sha256, source) == (LOGO.sha256, LOGO.source):
        assert house.does(logo, MARKETING) == [
            TaskCompleted(task="logo", clause=PR_2, by=MARKETING, logo_source=source, logo_sha256=sha256)
        ]
    else:
        refused = house.refuses(logo, MARKETING)
        assert refused.clauses == (PR_2,)
        assert f"{LOGO.sha256} from {LOGO.source}" in refused.remedy


def test_the_logos_task_needs_its_evidence() -> None:
    assert being_set_up().refuses(CompleteTask(task="logo"), MARKETING).clauses == (PR_2,)


def an_optional_task_first() -> House:
    optional = POLICY_TEXT.replace(
        '[[setup_tasks]]\nid = "account_made"',
        '[[setup_tasks]]\nid = "pinned_post"\ntitle = "A first post is pinned"\nclause = "PR-3"\norigin = "library"\n'
        'mandatory = false\nwaivable = true\n\n[[setup_tasks]]\nid = "account_made"',
    )
    return adopting(optional).requested().approved()


def test_a_task_that_is_not_mandatory_holds_nothing_up() -> None:
    house = an_optional_task_first().set_up()
    assert house.case().stage is Stage.VERIFICATION
    assert house.refuses(done("logo"), MARKETING).remedy == "one of pinned_post"
    assert house.does(done("pinned_post"), MARKETING) == [TaskCompleted(task="pinned_post", clause=PR_3, by=MARKETING)]
    assert house.case().stage is Stage.VERIFICATION


def test_a_task_that_is_not_mandatory_does_not_complete_the_set_up() -> None:
    house = an_optional_task_first().set_up(without=("two_factor",))
    assert house.does(WaiveTask(task="pinned_post", reason=sealed()), MARKETING) == [
        TaskWaived(task="pinned_post", clause=PR_3, by=MARKETING, reason=sealed())
    ]


# ---- opening


def test_nothing_opens_before_two_administrators_have_confirmed() -> None:
    house = in_verification()
    refused = house.refuses(OpenAccount(), MARKETING)
    assert refused.clauses == (PR_7,)
    assert refused.because == "0 administrator(s) have confirmed"
    assert refused.remedy == "wait for p-mac, p-bm-durant to confirm"
    house.confirmed(MARKETING)
    assert house.refuses(OpenAccount(), MARKETING).because == "1 administrator(s) have confirmed"
    house.confirmed(MANAGER)
    assert house.does(OpenAccount(), MARKETING)


def test_nothing_opens_before_a_coordinator_has_confirmed() -> None:
    house = founded().requested(administrators=(MARKETING, MANAGER, ASSISTANT)).approved().set_up()
    house.confirmed(MANAGER, ASSISTANT)
    refused = house.refuses(OpenAccount(), CLERK)
    assert (refused.clauses, refused.because) == ((PR_7,), "no coordinator has confirmed")
    assert refused.remedy == "one of p-mac, p-ysc confirms"


def test_nothing_opens_with_an_administrator_who_has_left() -> None:
    house = founded().requested(by=ASSISTANT).approved().set_up().confirmed().leaves(MANAGER)
    refused = house.refuses(OpenAccount(), MARKETING)
    assert refused.clauses == (PR_7,)
    assert refused.because == "1 administrator(s) have confirmed; p-bm-durant: not an active employee"


def test_a_leaver_who_never_confirmed_holds_nothing_up() -> None:
    house = founded().requested(administrators=(MARKETING, MANAGER, ASSISTANT)).approved().set_up().confirmed()
    assert house.leaves(ASSISTANT).does(OpenAccount(), MARKETING)


def test_nothing_opens_with_an_administrator_of_a_friends_site() -> None:
    house = ready()
    house.does(DeclareFriendsRole(person=MANAGER, administers=True), MANAGER, "directory")
    assert house.refuses(OpenAccount(), MARKETING).clauses == (PR_18,)


def test_an_administrator_of_a_friends_site_does_not_confirm() -> None:
    house = being_set_up()
    house.does(DeclareFriendsRole(person=MANAGER, administers=True), MANAGER, "directory")
    assert house.refuses(ConfirmAdministration(), MANAGER).clauses == (PR_18,)


def test_a_coordinator_who_moved_away_no_longer_counts_as_one() -> None:
    house = ready()
    house.hr_says(MARKETING, position="Cataloger")
    assert house.refuses(OpenAccount(), YOUTH).because == "no coordinator has confirmed"


def test_everything_that_holds_the_opening_up_is_said_at_once() -> None:
    house = being_set_up(conditions=TWO_CONDITIONS).set_up()
    assert house.refuses(OpenAccount(), MARKETING).clauses == (PR_1, PR_7)


# ---- small things that matter elsewhere


def test_authority_is_the_role_and_place_of_that_moment() -> None:
    house = founded()
    decision: Decision = house.decides(a_request(), MANAGER)
    assert decision.authority == (Role.BRANCH_MANAGER, "durant", "")
    assert house.decides(approval(house), DIRECTOR).authority == (Role.EXECUTIVE_DIRECTOR, "hq", "")
    assert house.decides(done("branding"), HELPDESK).authority == (Role.HEADQUARTERS_STAFF, "hq", "")


def test_a_case_can_be_looked_up_without_anything_personal() -> None:
    assert founded().case().search() == {}
    assert in_review().case().search() == {
        "Branch": "durant",
        "Account": ACCOUNT,
        "WaitingFor": "executive_director",
    }
    assert open_account().case().search()["WaitingFor"] == ""


def test_a_case_without_a_request_has_no_account() -> None:
    with pytest.raises(LookupError):
        _ = founded().case().account


@pytest.mark.parametrize(
    ("handle", "key"),
    [("MMRLS.Durant", "mmrls.durant"), ("@mmrls", "mmrls"), (full_width("@MMRLS"), "mmrls"), ("  mmrls ", "mmrls")],
)
def test_an_account_is_claimed_under_one_key(handle: str, key: str) -> None:
    assert claim("facebook", handle) == f"account:facebook:{key}"


def test_the_open_accounts_scope_is_touched() -> None:
    (opened,) = [fact for fact in open_account().facts_of() if isinstance(fact, AccountOpened)]
    assert opened.touches() == (f"account:{ACCOUNT}", "accounts")


def test_a_nul_in_a_handle_is_no_handle() -> None:
    with pytest.raises(ValidationError):
        RequestAccount(**(fields_of(a_request()) | {"handle": "durant\x00library"}))


def test_clear_text_cannot_be_put_where_sealed_text_stands() -> None:
    with pytest.raises(ValidationError):
        RequestAccount(**(fields_of(a_request()) | {"purpose": "to tell people"}))


def test_a_person_from_another_feed_counts_like_any_other() -> None:
    house = founded()
    house.imports(
        Person(id="p-new", name="Library Clerk", work_email="c@example.org", position="Library Clerk", branch="durant",
               active=True, start=date(2026, 3, 3))
    )  # fmt: skip
    assert house.refuses(a_request(), "p-new").because == "p-new is not an active employee"
    assert house.comes(at("2026-03-03T06:00")).does(a_request(), "p-new")


def test_a_requester_who_is_back_before_anyone_looked_has_to_ask_again() -> None:
    house = founded().requested().passes(minutes=1).leaves(MANAGER)
    house.hr_says(MANAGER, active=True)
    (withdrawn,) = house.reconsiders()
    assert (type(withdrawn), getattr(withdrawn, "cause", "")) == (
        RequestWithdrawn, "the requester left the library's service"
    )  # fmt: skip
    assert house.passes(minutes=1).requested(case=OTHER_CASE).reconsiders(OTHER_CASE) == []
