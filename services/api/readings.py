"""What staff look at over HTTP: what waits for them, registers, the directory, the policy in force."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import AwareDatetime

from services.api.asking import Who
from services.desk import Desk
from services.holds import holds as holds_of


def add_readings(app: FastAPI, desk: Desk) -> None:
    routes = APIRouter(prefix="/api/v1")

    @routes.get("/inbox", summary="What waits for you, by due time")
    async def inbox(who: Who) -> list[dict[str, Any]]:
        return await desk.inbox(who.person)

    @routes.get("/explain/posting", summary="May they post, and which events and clauses make it so")
    async def explain_posting(
        who: Who, person: str, account: str, at: AwareDatetime | None = None
    ) -> dict[str, Any]:
        return await desk.explain_posting(person, account, at)

    @routes.get("/rights", summary="The rights roster")
    async def rights(who: Who) -> list[dict[str, Any]]:
        return await desk.rights()

    @routes.get("/remedies", summary="Accounts that have to be mended (PR-7)")
    async def remedies(who: Who) -> list[dict[str, Any]]:
        return await desk.remedies()

    @routes.get("/accounts", summary="The account register, with the health of PR-7")
    async def accounts(who: Who) -> list[dict[str, Any]]:
        return await desk.accounts()

    @routes.get("/notices", summary="Outgoing mail: to whom, about what, and whether it was handed over")
    async def notices(who: Who) -> list[dict[str, Any]]:
        return await desk.notices()

    @routes.get("/holds", summary="The legal holds that stand; their reasons stay sealed")
    async def holds(who: Who) -> list[dict[str, Any]]:
        return await desk.of_the_ledger(holds_of)

    @routes.get("/policy", summary="The policy in force")
    async def policy(who: Who) -> dict[str, Any]:
        return (await desk.policy()).model_dump(mode="json")

    @routes.get("/staff", summary="The staff directory")
    async def staff(who: Who, person: str | None = None) -> list[dict[str, Any]]:
        return await desk.staff(person)

    @routes.get("/staff/orphans", summary="What is open, delegated, granted or seated for someone who is gone")
    async def orphans(who: Who) -> list[dict[str, str]]:
        return await desk.orphans()

    @routes.get("/staff/{person}/leaving", summary="What would follow if this were their last day; nothing is recorded")
    async def leaving(who: Who, person: str, last_day: date) -> dict[str, Any]:
        return await desk.preview_leaving(person, last_day)

    app.include_router(routes)
