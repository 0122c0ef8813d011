"""A procedure's page with a mistake on it, for `test_sandbox.py`."""

from __future__ import annotations

import time

from temporalio import workflow


# what it raises ends it: else Temporal would have it tried again for ever
@workflow.defn(failure_exception_types=[Exception])
class WithAClock:
    @workflow.run
    async def run(self) -> float:
        return time.time()
