"""Following what HR records: consequences carried out, reported, and what they broke mended, as a procedure."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import ASK_TIME_AGAIN, NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.staff_change import STAFF_CHANGE, Stage
    from workflows.messages import Ask, Ended

CARRY_OUT = "carry_out_staff_change"


@workflow.defn(name="StaffChange")
class StaffChange(Case):
    """PR-4, PR-5: whoever leaves or moves keeps nothing that was given for where they were. PR-7: every account keeps
    enough administrators. HR is never held up."""

    page = STAFF_CHANGE

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage is not Stage.DONE:
            match self.state.stage:
                case Stage.FOLLOWED:
                    await self.carry_out()
                case Stage.AHEAD:
                    await self.ask("await the day of the departure")
                case Stage.REMEDY:
                    await self.ask("seat administrators")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()

    async def carry_out(self) -> None:
        """Every case that the person has to do with is asked anew; then one report says what followed."""
        async with self._one_at_a_time:
            await self._told(CARRY_OUT, Ask(case=self.case, after=self.state.position))
        if self.state.stage is Stage.FOLLOWED:
            # as in every wait of a case, who can reach Temporal and cancels ends nothing
            with suppress(asyncio.CancelledError):
                await workflow.sleep(ASK_TIME_AGAIN)

    def _next_due(self) -> datetime | None:
        """Whoever is waited for, and the day of a departure."""
        due: datetime | None = self.state.next_due()
        return due
