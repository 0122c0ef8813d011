"""A right to post on a real ledger: asked for, granted, looked at."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from domain.posting_rights import GrantRights, RequestRights
from tests.projections.history import Life
from tests.system import sealed

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
