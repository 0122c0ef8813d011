"""The baseline of `approval_cases`: an approval with the same two messages and the same wait that decides, records and
remembers nothing. Its activities do nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

ONE_ATTEMPT = timedelta(seconds=20)


@activity.defn
def nothing(message: dict[str, Any]) -> dict[str, Any]:
    return {"recorded": [{"kind": message["kind"], "event_id": message["id"], "position": 1}], "log_position": 1}


@workflow.defn
class BareApproval:
    @workflow.init
    def __init__(self, request: dict[str, Any]) -> None:
        self._begun = self._decided = False
        self._answer: dict[str, Any] = {}

    @workflow.run
    async def run(self, request: dict[str, Any]) -> str:
        self._answer = await told(request)
        self._begun = True
        await workflow.wait_condition(lambda: self._decided)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return "decided"

    @workflow.update
    async def submit(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["kind"] == "request":
            await workflow.wait_condition(lambda: self._begun)
            return self._answer
        answer = await told(message)
        self._decided = True
        return answer


async def told(message: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await workflow.execute_local_activity(nothing, message, start_to_close_timeout=ONE_ATTEMPT)
    return answer
