"""Creating a library social media account, as a procedure."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.account_creation import ACCOUNT_CREATION, ENDED, Stage
    from workflows.messages import Ended


@workflow.defn(name="AccountCreation")
class AccountCreation(Case):
    """PR-1: the Executive Director approves before any account is created. PR-2: headquarters then creates it together
    with the branch. PR-7: it opens with two confirmed administrators, one of them a coordinator."""

    page = ACCOUNT_CREATION

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in ENDED:
            match self.state.stage:
                case Stage.EXECUTIVE_REVIEW:
                    await self.ask("decide on the account request")
                case Stage.CHANGES_ASKED:
                    await self.ask("change the request as asked")
                case Stage.SET_UP:
                    await self.ask("set the account up with the branch")
                case Stage.VERIFICATION:
                    await self.ask("verify the page and open the account")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()
