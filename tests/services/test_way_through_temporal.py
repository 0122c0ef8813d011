"""What whoever acts is told when Temporal does not take a command."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from services.sending import what_did_not_answer

ADDRESS = "127.0.0.1:7233"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (RPCStatusCode.DEADLINE_EXCEEDED, "a worker (none answered)"),
        (RPCStatusCode.CANCELLED, "a worker (none answered)"),
        (RPCStatusCode.UNAVAILABLE, f"Temporal at {ADDRESS}"),
        (RPCStatusCode.INVALID_ARGUMENT, f"Temporal at {ADDRESS} (it says: ImprimaturStage is not defined)"),
    ],
)
def test_who_did_not_answer_is_told_and_what_temporal_refuses_in_its_own_words(
    status: RPCStatusCode, told: str
) -> None:
    assert what_did_not_answer(RPCError("ImprimaturStage is not defined", status, b""), ADDRESS) == told
