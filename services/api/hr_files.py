"""A whole file of an HR system over HTTP: what `imprimatur staff import` takes, by the system's own bearer token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime

from domain.facts import Channel, Malformed
from services.desk import Caller, Desk, command_id
from services.hr.office import Terms, take_file
from services.hr.tokens import METHOD, as_system, hash_of_token

HR_FILES = "/api/v1/hr/file"
UNPROVEN, DONE, MALFORMED = 401, 200, 422
FIRST_PROBLEMS = 5
A_FILE = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}
bearer = HTTPBearer(auto_error=False, scheme_name="HRSystem", description="`imprimatur hr register` prints one")

Given = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
Problem = Callable[..., JSONResponse]
Answered = Callable[[dict[str, Any], int], JSONResponse]


class NoHrSystem(Exception):
    """The token is none that a registered HR system has."""


def add_hr_files(app: FastAPI, desk: Desk, problem: Problem, answered: Answered) -> None:
    routes = APIRouter(tags=["hr"])

    @app.exception_handler(NoHrSystem)
    async def no_hr_system(_: Request, error: NoHrSystem) -> JSONResponse:
        remedy = "the token of a registered HR system, not revoked: `imprimatur hr register NAME` prints one"
        refusal = problem(UNPROVEN, "not signed in", because=str(error), remedy=remedy)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    async def system(given: Given) -> str:
        token = hash_of_token(given.credentials) if given else ""
        found = await desk.of_the_ledger(lambda ledger: ledger.hr().system_of_token(token)) if token else None
        if found is None:
            raise NoHrSystem("this is no HR system's token" if given else "there is no bearer token")
        return found

    @routes.post(
        HR_FILES,
        summary="Everyone an HR system knows, as a CSV file; who is its own and missing has left",
        openapi_extra=A_FILE,
    )
    async def take(
        request: Request,
        sent_by: str = Depends(system),
        dry_run: Annotated[bool, Query(description="the difference, and nothing recorded")] = False,
        skip_broken: Annotated[bool, Query(description="apply the rest; broken rows wait in the quarantine")] = False,
        accept_leavers: Annotated[bool, Query(description="however many are missing, they left")] = False,
        as_of: Annotated[AwareDatetime | None, Query(description="when it was made: an older one is refused")] = None,
        key: Key = None,
    ) -> JSONResponse:
        the_file_itself(request)
        raw = await request.body()
        terms = Terms(sent_by, dry_run, skip_broken, accept_leavers, as_of)
        id_ = command_id(key, Caller(sent_by, METHOD, Channel.HR_FEED))
        told = await desk.of_the_ledger(lambda ledger: take_file(ledger, raw, terms, as_system(sent_by), id_))
        return not_applied(told, problem) or answered(told, DONE)

    app.include_router(routes)


def the_file_itself(request: Request) -> None:
    """A form around the file is no file, and would be read as one with a strange header."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise Malformed("body", "it is a form", "the file itself as the body, with Content-Type: text/csv")


def not_applied(told: dict[str, Any], problem: Problem) -> JSONResponse | None:
    """Nothing is applied of a file with rows that cannot be read, unless they may wait."""
    problems = told["problems"]
    if told["applied"] or told["dry_run"] or told.get("refused") or not problems:
        return None
    because = f"nothing was applied: {'; '.join(problems[:FIRST_PROBLEMS])}"
    more = len(problems) - FIRST_PROBLEMS
    return problem(
        MALFORMED,
        "malformed",
        field="rows",
        because=f"{because}; and {more} more" if more > 0 else because,
        remedy="mend the rows; or skip_broken=true applies the rest, and these wait in the quarantine",
        **told,
    )
