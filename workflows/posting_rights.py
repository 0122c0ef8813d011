"""Asking for the right to post, and having it for as long as it runs, as a procedure."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.posting_rights import OVER, POSTING_RIGHTS, Stage
    from workflows.messages import Ended


@workflow.defn(name="PostingRights")
class PostingRights(Case):
    """PR-5: who does not post by role asks whoever answers for their place. PR-4: who comes to post by role needs no
    right any longer. The right ends with its term; renewal is asked for ahead."""

    page = POSTING_RIGHTS

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in OVER:
            match self.state.stage:
                case Stage.APPROVER_REVIEW:
                    await self.ask("decide on the request for posting rights")
                case Stage.CHANGES_ASKED:
                    await self.ask("change the request as asked")
                case Stage.GRANTED:
                    await self.ask("renew the posting rights before they end")
                case Stage.SUSPENDED:
                    await self.ask("reinstate or revoke the posting rights")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()

    def _next_due(self) -> datetime | None:
        """Whoever is waited for, and the moments of the right itself."""
        due: datetime | None = self.state.next_due()
        return due
