"""The patron's door over HTTP, without sign-in; and what staff ask of consents, pictures and uses, with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import AwareDatetime

from domain.openings import Purpose
from services.desk import Caller, Desk
from services.patron_desk import add_picture, find_patrons, may_be_used, receipt_of
from services.patron_door import NoSuchLink, PatronDoor, TooMany
from services.receipts import page

RECEIVED, NOT_FOUND, TOO_MANY = 202, 404, 429
Said = Annotated[dict[str, Any], Body()]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
Problem = Callable[..., JSONResponse]
WhoAsks = Callable[[Request], Awaitable[Caller]]


def add_patrons(app: FastAPI, desk: Desk, problem: Problem, answered: Callable[[dict[str, Any], int], Any]) -> None:
    """The routes of patrons. Their requests are not told from one another by what is on record."""
    door, routes = PatronDoor(desk), APIRouter(prefix="/api/v1/patron", tags=["patrons"])

    @app.exception_handler(TooMany)
    async def too_many(_: Request, error: TooMany) -> JSONResponse:
        told = problem(TOO_MANY, "too many requests", because=str(error), remedy="later, or by letter to any branch")
        told.headers["Retry-After"] = str(error.seconds)
        return told

    @app.exception_handler(NoSuchLink)
    async def no_such_link(_: Request, __: NoSuchLink) -> JSONResponse:
        return problem(NOT_FOUND, "no such link", because="nothing is known by this link", remedy="the link as given")

    @routes.post("/consents", status_code=RECEIVED, summary="Give a consent; the answer has a link to its receipt")
    async def consent(said: Said, request: Request, key: Key = None) -> Any:
        return answered(await door.consent(said, key, address_of(request)), RECEIVED)

    @routes.post("/revocations", status_code=RECEIVED, summary="Ask the library to stop; nothing has to be known")
    async def revocation(said: Said, request: Request, key: Key = None) -> Any:
        return answered(await door.revocation(said, key, address_of(request)), RECEIVED)

    @routes.get("/revocations/{id_}/{secret}", summary="How a revocation stands")
    async def status(id_: str, secret: str, request: Request) -> JSONResponse:
        return private(await door.status(id_, secret, address_of(request)))

    @routes.get("/consents/{id_}/{secret}", summary="The receipt of a consent")
    async def receipt(id_: str, secret: str, request: Request) -> JSONResponse:
        return private(await door.receipt(id_, secret, address_of(request)))

    @routes.get("/consents/{id_}/{secret}/page", response_class=HTMLResponse, summary="The receipt, to read")
    async def receipt_page(id_: str, secret: str, request: Request) -> HTMLResponse:
        shown = page(await door.receipt(id_, secret, address_of(request)))
        return HTMLResponse(shown, headers=NOT_KEPT)

    app.include_router(routes)


def add_patron_readings(app: FastAPI, desk: Desk, who: Any) -> None:
    """For staff: `who` is the dependency that says who asks."""
    routes = APIRouter(prefix="/api/v1", tags=["patrons"])

    @routes.get("/may-use", summary="May this be used, now or as of a moment, and what makes it so")
    async def may_use(
        content: str, caller: Caller = who, account: str | None = None, at: AwareDatetime | None = None
    ) -> dict[str, Any]:
        return await may_be_used(desk, content, account, at)

    @routes.post("/pictures/{case}", summary="The picture itself: looked at, freed of place and camera, and kept")
    async def picture(case: str, request: Request, caller: Caller = who, key: Key = None) -> Any:
        return await add_picture(desk, case, await request.body(), caller, key)

    @routes.post("/patrons/find", summary="Whoever fits what a patron can say: numbers, and what is on record of them")
    async def find(
        said: Said, caller: Caller = who, purpose: Purpose = Purpose.IDENTITY_CHECK
    ) -> list[dict[str, Any]]:
        return await find_patrons(desk, said, caller, purpose)

    @routes.get("/consents/{case}/receipt", summary="The receipt of a consent, to hand to the patron")
    async def staff_receipt(case: str, caller: Caller = who) -> dict[str, Any]:
        return await receipt_of(desk, case)

    @routes.get("/consents", summary="The consent register")
    async def consents(caller: Caller = who, standing: str | None = None) -> list[dict[str, Any]]:
        return await desk.in_a_thread(lambda: desk.views.consents(standing))

    @routes.get("/uses", summary="The register of uses")
    async def uses(caller: Caller = who, content: str | None = None) -> list[dict[str, Any]]:
        return await desk.in_a_thread(lambda: desk.views.uses(content))

    @routes.get("/revocations", summary="How far each revocation is")
    async def revocations(
        caller: Caller = who, open_: Annotated[bool, Query(alias="open")] = False
    ) -> list[dict[str, Any]]:
        return await desk.in_a_thread(lambda: desk.views.revocations(open_))

    app.include_router(routes)


NOT_KEPT = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


def private(told: dict[str, Any]) -> JSONResponse:
    return JSONResponse(told, headers=NOT_KEPT)


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"
