"""Files kept beside the log, over HTTP: kept, and opened for those who may read them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from domain.openings import Purpose
from services.api.asking import Concerns, Who, ids_in
from services.desk import Desk
from services.evidence_desk import OpenedFile, open_evidence, picture_of

# what patrons or strangers sent in is saved, and never shown by a browser as a page of ours
NOT_A_PAGE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox",
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
}


def add_evidence(app: FastAPI, desk: Desk) -> None:
    routes = APIRouter(prefix="/api/v1", tags=["evidence"])

    @routes.post("/cases/{case}/evidence", status_code=201, summary="Keep a file beside the log")
    async def keep(case: str, request: Request, who: Who, concerns: Concerns = "") -> dict[str, Any]:
        await desk.only_who_has_to_do_with(case, who.person)
        media_type = request.headers.get("content-type", "application/octet-stream")
        return await desk.keep(await request.body(), media_type, case, ids_in(concerns))

    @routes.get(
        "/cases/{case}/evidence/{sha256}",
        response_class=Response,
        summary="A file that the case names; its opening is on record",
    )
    async def open_(case: str, sha256: str, who: Who, purpose: Purpose = Purpose.CASE_WORK) -> Response:
        return as_file(await open_evidence(desk, case, sha256, who, purpose))

    @routes.get(
        "/pictures/{case}",
        response_class=Response,
        summary="The picture itself, freed of place and camera; its opening is on record",
    )
    async def picture(case: str, who: Who, purpose: Purpose = Purpose.CASE_WORK) -> Response:
        return as_file(await picture_of(desk, case, who, purpose))

    app.include_router(routes)


def as_file(opened: OpenedFile) -> Response:
    told = {"Imprimatur-Evidence": opened.sha256, "Imprimatur-Drawn-Anew": str(opened.drawn_anew).lower()}
    return Response(opened.content, media_type=opened.media_type, headers=NOT_A_PAGE | told)
