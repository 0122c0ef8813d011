"""The nightly look: nothing open, delegated, granted or seated belongs to someone who is gone."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

LOOK_FOR_ORPHANS = "look_for_orphans"
WITHIN = timedelta(minutes=10)


@workflow.defn(name="StaffOrphans")
class StaffOrphans:
    """Its result is the list, by which the night's run is judged: empty where all is well."""

    @workflow.run
    async def run(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = await workflow.execute_activity(
            LOOK_FOR_ORPHANS, result_type=list[dict[str, str]], start_to_close_timeout=WITHIN
        )
        return found
