"""A patron takes back what they allowed: from the request to the letter, as a procedure."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.revocation import OVER, REVOCATION, Stage
    from workflows.messages import Ended


@workflow.defn(name="Revocation")
class Revocation(Case):
    """PU-6: asked in writing, accepted, and then nothing new rests on it and everything that stands is removed, use by
    use. PR-12: who asks is made sure of first. PR-15: a letter says what was done, or whoever declined tells them."""

    page = REVOCATION

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in OVER:
            match self.state.stage:
                case Stage.IDENTITY_CHECK:
                    await self.ask("make sure who asks, and for what")
                case Stage.ACCEPTANCE:
                    await self.ask("accept the revocation")
                case Stage.REMOVING:
                    await self.ask("remove every use")
                case Stage.LETTER:
                    await self.ask("write the letter by post")
                case Stage.TELLING:
                    await self.ask("tell whoever asked why it is declined")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()

    def _next_due(self) -> datetime | None:
        """Whoever is waited for, and each removal's own moments."""
        due: datetime | None = self.state.next_due()
        return due
