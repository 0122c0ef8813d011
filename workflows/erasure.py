"""Forgetting a patron, as a procedure."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import ASK_TIME_AGAIN, NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.erasure import ERASURE, OVER, Stage
    from workflows.messages import Ask, Ended

LOOK, DESTROY = "look_what_stands_against_erasure", "destroy_patron_key"


@workflow.defn(name="Erasure")
class Erasure(Case):
    """PR-12: what stands against it is looked at, two different persons agree, the key is destroyed once, and that is
    proved."""

    page = ERASURE

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in OVER:
            match self.state.stage:
                case Stage.LOOKING | Stage.AGREED:
                    await self.carry_out(LOOK)
                case Stage.HELD:
                    await self.ask("end what stands against the erasure")
                case Stage.FIRST_DECISION | Stage.SECOND_DECISION:
                    await self.ask("decide on erasing a patron")
                case Stage.DESTROYING:
                    await self.carry_out(DESTROY)
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()

    async def carry_out(self, what: str) -> None:
        """Done by the system, and again until it is done."""
        stage = self.state.stage
        async with self._one_at_a_time:
            await self._told(what, Ask(case=self.case, after=self.state.position))
        if self.state.stage is stage:
            # as in every wait of a case, who can reach Temporal and cancels ends nothing
            with suppress(asyncio.CancelledError):
                await workflow.sleep(ASK_TIME_AGAIN)

    def _next_due(self) -> datetime | None:
        """Whoever is waited for, and the end of a term of retention."""
        due: datetime | None = self.state.next_due()
        return due
