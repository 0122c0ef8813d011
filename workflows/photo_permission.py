"""A picture of people, for as long as the library keeps it, as a procedure."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

from workflows.case import NOTHING, Case

with workflow.unsafe.imports_passed_through():
    from domain.photo_permission import OVER, PHOTO_PERMISSION, Stage
    from workflows.messages import Ended


@workflow.defn(name="PhotoPermission")
class PhotoPermission(Case):
    """PR-13: everyone who can be recognised has exactly one basis, or the picture is not used. PR-14: it is the
    library's alone. A consent that ends blocks it again."""

    page = PHOTO_PERMISSION

    @workflow.init
    def __init__(self, start: RawValue = NOTHING) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Ended:
        if not await self.begin():
            return await self.close()
        while self.state.stage not in OVER:
            match self.state.stage:
                case Stage.AWAITING_PICTURE:
                    await self.ask("add the picture")
                case Stage.BLOCKED:
                    await self.ask("get a permission for each person, or set the picture aside")
                case Stage.PARTLY | Stage.CLEARED:
                    await self.ask("keep the picture's permissions under review")
                case unforeseen:
                    raise LookupError(f"nobody is asked anything at {unforeseen}")
        return await self.close()
