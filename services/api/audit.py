"""What auditors ask for over HTTP: the trail, the past, what changed, and what they take away."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, Field
from starlette.background import BackgroundTask

from domain.facts import Actor, ActorKind, Channel, Malformed, Value
from services.api.asking import Who
from services.audit import records
from services.audit.carrying import named_there, packed_for_the_way
from services.audit.selection import Selection
from services.desk import Caller, Desk
from services.ledger import Sender
from services.settings import SettingsError


class Taking(Value):
    """What is taken away, as at the command line; nothing is everything."""

    case: str | None = None
    person: str | None = None
    account: str | None = None
    branch: str | None = None
    clause: str | None = None
    channel: Channel | None = None
    refused: bool | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    formats: tuple[str, ...] = Field(default=(records.PACKAGE,), min_length=1, max_length=20)
    name: str = Field(default="", max_length=255, description="as the file is to be called; its ending counts")

    def selection(self) -> Selection:
        named = {each: getattr(self, each) for each in Selection._fields if each != "channel"}
        return Selection(**named, channel=self.channel.value if self.channel else None)


def add_audit(app: FastAPI, desk: Desk) -> None:
    routes = APIRouter(prefix="/api/v1/audit", tags=["auditors"])

    @routes.get("/events", summary="The audit trail")
    async def events(
        who: Who,
        case: str | None = None,
        person: str | None = None,
        account: str | None = None,
        branch: str | None = None,
        clause: str | None = None,
        channel: Channel | None = None,
        since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
        until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
        after: int | None = None,
        refused: bool | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    ) -> list[dict[str, Any]]:
        return await desk.trail(
            case=case, person=person, account=account, branch=branch, clause=clause,
            channel=channel and channel.value, since=since, until=until, after=after, refused=refused, limit=limit,
        )  # fmt: skip

    @routes.get("/as-of", summary="The registers as they were on record, and what was in force")
    async def as_of(who: Who, at: AwareDatetime, in_force_at: AwareDatetime | None = None) -> dict[str, Any]:
        return await desk.in_a_thread(lambda: records.registers(desk, at, in_force_at))

    @routes.get("/diff", summary="What changed between two moments, each with the event that changed it")
    async def diff(who: Who, first: AwareDatetime, second: AwareDatetime) -> dict[str, Any]:
        return await desk.in_a_thread(lambda: records.changes(desk, first, second))

    @routes.post(
        "/exports",
        response_class=FileResponse,
        summary="What an auditor takes away, as a tar; that it was taken is on record",
    )
    async def export(who: Who, taking: Taking) -> FileResponse:
        folder = Path(tempfile.mkdtemp(prefix="imprimatur-"))
        try:
            tar = await desk.in_a_thread(lambda: taken(desk, taking, who, folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        return FileResponse(tar, media_type="application/x-tar", filename=tar.name, background=gone)

    app.include_router(routes)


def taken(desk: Desk, taking: Taking, who: Caller, folder: Path) -> Path:
    out, tar = folder / named_there(taking.name), folder / "carried.tar"
    sender = Sender(Actor(kind=ActorKind.PERSON, id=who.person), who.method, who.channel, None)
    try:
        said = records.export(desk, out, taking.selection(), taking.formats, sender)
    except SettingsError as error:
        # a package is signed, and the log's key is not where every web process is
        raise Malformed("formats", str(error), "another format, or where the log's key is") from None
    packed_for_the_way(out, said, tar)
    return tar
