"""A right to post on a real ledger: asked for, granted, looked at."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from domain.posting_rights_messages import (
    GrantRights,
    MeetCondition,
    ReinstateRights,
    RequestRights,
    RevokeRights,
    SuspendRights,
)
from domain.requests import Condition
from domain.staff_change_messages import SeatAdministrator
from services.staff import StaffActivities, rows_of
from services.staff_follower import CHANGES, follow
from tests.projections.history import Life
from tests.system import sealed
from workflows.messages import Ask

HOLDER, MANAGER = "p-bs-durant-1", "p-bm-durant"


def asked(life: Life, handle: str, person: str = HOLDER) -> str:
    """For an account that is opened first, where it is not open yet."""
    if life.office.ledger.library().account(f"account:facebook:{handle}") is None:
        life.has_an_open_account(handle)
    case = f"posting_rights-{uuid4()}"
    answer = life.says(person, RequestRights(accounts=(f"facebook:{handle}",), purpose=sealed()), case)
    assert answer.facts, answer.refusal
    return case


def granted(life: Life, handle: str, person: str = HOLDER, by: str = MANAGER) -> str:
    case = asked(life, handle, person)
    answer = life.says(by, GrantRights(content=state(life, case).content), case)
    assert answer.facts, answer.refusal
    return case


def state(life: Life, case: str) -> Any:
    found, _ = life.office.ledger.read_on(case)
    return found


def followed(life: Life) -> list[str]:
    """Every change of HR's that is not followed yet, as the follower does it, without a workflow."""
    changes = rows_of(life.office.ledger.recorder, CHANGES, (0, "staff_change"))
    return [case for each in changes if (case := follow(life.office.ledger, each))]


def carried_out(life: Life, case: str) -> Any:
    StaffActivities(life.office.ledger).carry_out(Ask(case=case, after=0))
    return state(life, case)


def rights_and_remedies(life: Life) -> None:
    """Rights of every standing; a leaver whose account is mended, and one whose account is not."""
    life.hr_says("p-mac", active=True)
    suspended = granted(life, "goodmanlibrary", "p-bs-goodman-1", "p-bm-goodman")
    life.says("p-bm-goodman", SuspendRights(reason=sealed()), suspended)
    revoked = granted(life, "goodmanlibrary", "p-bs-kosciusko-1", "p-bm-kosciusko")
    life.says("p-bm-kosciusko", SuspendRights(reason=sealed()), revoked)
    life.says("p-bm-kosciusko", ReinstateRights(reason=sealed()), revoked)
    life.says("p-bm-kosciusko", RevokeRights(reason=sealed()), revoked)
    case = asked(life, "goodmanlibrary", "p-bs-lexington-1")
    conditions = tuple(Condition(id=id_, what=sealed()) for id_ in ("training", "reading"))
    grant = GrantRights(content=state(life, case).content, conditions=conditions)
    assert life.says("p-bm-lexington", grant, case).facts
    life.says("p-bm-lexington", MeetCondition(condition="training"), case)
    granted(life, "goodmanlibrary", "p-bs-west-1", "p-bm-west")
    life.hr_says("p-bs-west-1", branch="winona")
    life.hr_says(MANAGER, active=False)
    *_, left = [carried_out(life, each) for each in followed(life)]
    if "account:facebook:goodmanlibrary" in left.remedies:
        seat = SeatAdministrator(account="account:facebook:goodmanlibrary", person="p-bm-goodman")
        assert life.says("p-mac", seat, left.case).facts
