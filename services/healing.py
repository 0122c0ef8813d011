"""A run whose tasks fail again and again is begun anew.

Temporal repeats a failing task of a workflow for ever, which is right while a mended worker is on its way. But a
history that no worker can replay (a query and an update that met in one task that then failed can write one) would stay
as it is. Such a run is reset to its beginning: what was sent to it is sent to the new run again, and since the ledger
knows each command's id, everything has its first answer and nothing is done twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from workflows.catalogue import TYPE_NAMES

ANSWER_WITHIN = timedelta(seconds=5)
# a case that does not get well is for a person, who finds it in the log and in Temporal's own list
TIMES_AT_MOST = 3

log = logging.getLogger("imprimatur.healing")


class Healer:
    """Knows which runs it began anew, so that it does not go on for ever."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._healed: dict[str, int] = {}

    async def heal(self) -> list[str]:
        """The cases whose run was begun anew. A server older than 1.30 does not say which tasks fail: then none."""
        types = ", ".join(f"'{name}'" for name in TYPE_NAMES.values())
        query = f"WorkflowType in ({types}) and ExecutionStatus = 'Running' and TemporalReportedProblems is not null"
        try:
            failing = [(each.id, each.run_id) async for each in self._client.list_workflows(query)]
        except RPCError as error:
            log.info("no list of failing workflows: %s", error.status.name)
            return []
        return [case for case, run in failing if await self._begun_anew(case, run)]

    async def _begun_anew(self, case: str, run: str) -> bool:
        times = self._healed.get(case, 0)
        if times == TIMES_AT_MOST:
            log.error("%s fails again and again and was begun anew %d times: it needs a person", case, times)
            self._healed[case] = times + 1
        if times >= TIMES_AT_MOST:
            return False
        first_task = await self._first_task(case, run)
        if not first_task:
            # it has done nothing yet, so nothing in its history stands in the way
            return False
        self._healed[case] = times + 1
        log.warning("%s fails again and again: its run is begun anew", case)
        await self._client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=case, run_id=run),
                reason="its tasks failed again and again",
                workflow_task_finish_event_id=first_task,
                reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
                request_id=str(uuid4()),
            ),
            timeout=ANSWER_WITHIN,
        )
        return True

    async def _first_task(self, case: str, run: str) -> int:
        """The event that ended the run's first task; 0 where none has ended."""
        events = self._client.get_workflow_handle(case, run_id=run).fetch_history_events()
        async for each in events:
            if each.HasField("workflow_task_completed_event_attributes"):
                return int(each.event_id)
        return 0
