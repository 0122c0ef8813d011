"""The HTTP door: JSON under /api/v1, bearer tokens, problem+json. It asks the desk what every other door asks it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from threading import Event, Thread
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import AwareDatetime

from domain.facts import Channel, Malformed, NoAuthority, Refused
from domain.openings import Purpose
from services.api.asking import (
    AWAY,
    CONFLICT,
    FORBIDDEN,
    GONE,
    MALFORMED,
    NOT_FOUND,
    TOO_LARGE,
    UNPROVEN,
    Concerns,
    Fields,
    Key,
    Who,
    answered,
    caller,
    ids_in,
    problem,
)
from services.api.audit import add_audit
from services.api.evidence import add_evidence
from services.api.front_page import front_page
from services.api.hr_files import HR_FILES, add_hr_files
from services.api.patrons import add_patron_readings, add_patrons
from services.api.readings import add_readings
from services.audit.history_keeper import run_history_keeper
from services.credentials import Unproven
from services.desk import Desk, NoSuchCase, Unreachable
from services.evidence import LARGEST_FILE_BYTES
from services.hr.csv_feed import LARGEST_FEED_BYTES
from services.hr.scim import ScimDoor
from services.opened_files import Erased
from services.settings import Settings

LARGEST_BODY_BYTES = 1_000_000
SCIM = "/scim/"
PICTURES = "/api/v1/pictures/"

log = logging.getLogger("imprimatur.api")


def app_of(settings: Settings, desk: Desk | None = None) -> FastAPI:
    at_desk = desk or Desk(settings)

    # Temporal, evidence and people's texts are none of its business: the log and its seal are all it gets
    scim = ScimDoor(lambda: at_desk.ledger, lambda: at_desk.seal)

    @asynccontextmanager
    async def open_hours(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(scim.warm())
        yield
        warming.cancel()
        at_desk.close()

    app = FastAPI(
        title="Imprimatur",
        version="1",
        summary="A library's social media policy, carried out: who asks, who decides, what is recorded.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=open_hours,
    )
    app.state.desk = at_desk
    add_errors(app)
    add_size_limit(app)
    add_cases(app, at_desk)
    add_evidence(app, at_desk)
    add_readings(app, at_desk)
    add_audit(app, at_desk)
    add_patrons(app, at_desk, problem, answered)
    add_patron_readings(app, at_desk, Depends(caller))
    add_hr_files(app, at_desk, problem, answered)
    add_health(app, at_desk)
    app.mount("/scim", scim)
    return app


def add_errors(app: FastAPI) -> None:
    @app.exception_handler(Malformed)
    async def malformed(_: Request, error: Malformed) -> JSONResponse:
        status = NOT_FOUND if isinstance(error, NoSuchCase) else MALFORMED
        return problem(status, "malformed", field=error.field, because=error.message, remedy=error.would_pass)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        status = FORBIDDEN if isinstance(error, NoAuthority) else GONE if isinstance(error, Erased) else CONFLICT
        told = {"clauses": list(error.clauses), "because": error.because, "remedy": error.remedy}
        return problem(status, "refused by policy", **told)

    @app.exception_handler(RequestValidationError)
    async def not_of_the_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        names = [part for part in first["loc"][1:] if isinstance(part, str)]
        field = ".".join(names) or str(first["loc"][0])
        return problem(MALFORMED, "malformed", field=field, because=first["msg"], remedy="see /openapi.json")

    @app.exception_handler(Unproven)
    async def unproven(_: Request, error: Unproven) -> JSONResponse:
        remedy = "a bearer token of an active employee: `imprimatur token --as PERSON`"
        refusal = problem(UNPROVEN, "not signed in", because=str(error), remedy=remedy)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    @app.exception_handler(Unreachable)
    async def away(_: Request, error: Unreachable) -> JSONResponse:
        return problem(AWAY, "a needed service is away", because=str(error), remedy="send it again, with the same key")


def add_size_limit(app: FastAPI) -> None:
    @app.middleware("http")
    async def no_larger(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        is_a_file = request.url.path.endswith("/evidence") or request.url.path.startswith(PICTURES)
        most = LARGEST_FILE_BYTES if is_a_file else LARGEST_BODY_BYTES
        if request.url.path == HR_FILES:
            most = LARGEST_FEED_BYTES
        size = request.headers.get("content-length")
        if request.url.path.startswith(SCIM):  # says in its own words what is too large
            return await go_on(request)
        if request.method == "POST" and (size is None or not size.isdigit() or int(size) > most):
            return problem(
                TOO_LARGE,
                "malformed",
                field="body",
                because="too large, or of no stated size",
                remedy=f"at most {most} bytes",
            )
        return await go_on(request)


def add_cases(app: FastAPI, desk: Desk) -> None:
    @app.post("/api/v1/cases/{process}", status_code=201, summary="Start a case")
    async def start(process: str, fields: Fields, who: Who, key: Key = None, concerns: Concerns = "") -> JSONResponse:
        return answered(await desk.request(process, fields, who, key, ids_in(concerns)), 201)

    @app.post("/api/v1/cases/{case}/commands/{command}", summary="A decision or a step")
    async def act(
        case: str, command: str, fields: Fields, who: Who, key: Key = None, concerns: Concerns = ""
    ) -> JSONResponse:
        return answered(await desk.act(case, command, fields, who, key, ids_in(concerns)), 200)

    @app.post("/api/v1/cases/{case}/commands/{command}/signed", summary="What a plain Temporal signal must carry")
    async def sign(
        case: str, command: str, fields: Fields, who: Who, key: Key = None, concerns: Concerns = ""
    ) -> dict[str, Any]:
        return await desk.sign(case, command, fields, who._replace(channel=Channel.SIGNAL), key, ids_in(concerns))

    @app.get("/api/v1/cases", summary="All cases")
    async def cases(who: Who) -> list[dict[str, Any]]:
        return await desk.cases()

    @app.get("/api/v1/cases/{case}", summary="One case, as it stands or as it stood")
    async def case(
        case: str,
        who: Who,
        at: AwareDatetime | None = None,
        in_force_at: AwareDatetime | None = None,
        purpose: Purpose = Purpose.CASE_WORK,
    ) -> dict[str, Any]:
        return await desk.case(case, who, at, in_force_at, purpose)


def add_health(app: FastAPI, desk: Desk) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def front() -> str:
        return front_page(desk.settings)

    @app.get("/healthz", summary="This process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "up"}

    @app.get("/readyz", summary="What it needs answers too")
    async def readyz() -> JSONResponse:
        return JSONResponse({"status": "ready", **(await desk.standing())})

    @app.get("/metrics", response_class=PlainTextResponse, summary="For Prometheus")
    async def metrics() -> str:
        standing = await desk.standing()
        lines = ["# TYPE imprimatur_log_position counter", f"imprimatur_log_position {standing['log_position']}"]
        lines.append("# TYPE imprimatur_projection_position gauge")
        for name, position in standing["projections"].items():
            lines.append(f'imprimatur_projection_position{{projection="{name}"}} {position}')
        return "\n".join(lines) + "\n"


def run_api(settings: Settings) -> None:
    import uvicorn

    # here, since the keys under which histories are sealed are here; it ends with the process
    Thread(target=run_history_keeper, args=(settings, Event()), name="histories", daemon=True).start()
    uvicorn.run(
        app_of(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # its lines would hold whatever people put into addresses
        server_header=False,
        timeout_graceful_shutdown=10,
    )
