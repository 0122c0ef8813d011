"""A patron's consent, from its record to its end, as a procedure."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.consent import CONSENT, OVER, Stage
    from workflows.messages import Ended


@workflow.defn(name="Consent")
class Consent(Case):
    """PU-6, PR-13: nothing rests on a consent before someone has looked at it. PU-3: a guardian's holds until the minor
    comes of age; then the person is asked. A revocation, a case of its own, ends it."""

    page = CONSENT

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in OVER:
            match self.state.stage:
                case Stage.RECORDED:
                    await self.ask("confirm or reject the consent")
                case Stage.ACTIVE:
                    await self.ask("let the consent run its term")
                case Stage.REVOCATION_ASKED | Stage.REVOKING:
                    await self.ask("await what its revocation comes to")
                case Stage.TELLING:
                    await self.ask("tell whoever gave it that it is rejected")
                case Stage.RENEWAL_DUE:
                    await self.ask("renew the consent with whoever has come of age")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()

    def _next_due(self) -> datetime | None:
        """Whoever is waited for, and the moments of the consent itself."""
        due: datetime | None = self.state.next_due()
        return due
