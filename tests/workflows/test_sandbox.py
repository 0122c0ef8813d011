"""Outside the sandbox, as in service, nothing stops a clock on a procedure's page: so the sandbox of the tests must."""

from __future__ import annotations

from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from services.worker import sandbox
from tests.workflows.with_a_clock import WithAClock


async def test_a_clock_on_a_page_stops_a_workflow_in_the_sandbox(time_skipping: WorkflowEnvironment) -> None:
    queue, client = str(uuid4()), time_skipping.client
    async with Worker(client, task_queue=queue, workflows=[WithAClock], workflow_runner=sandbox()):
        with pytest.raises(WorkflowFailureError) as ended:
            await client.execute_workflow(WithAClock.run, id=queue, task_queue=queue)
    assert "Cannot access time.time.__call__ from inside a workflow" in str(ended.value.cause)
