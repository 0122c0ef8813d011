"""What every route has in common: who asks, by which token, and how an answer or a problem is told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Depends, Header, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.facts import Channel
from services.credentials import Unproven
from services.desk import Caller

MALFORMED, UNPROVEN, FORBIDDEN, CONFLICT, NOT_FOUND, GONE, AWAY, TOO_LARGE = 422, 401, 403, 409, 404, 410, 503, 413
MEDIA_TYPE = "application/problem+json"

bearer = HTTPBearer(auto_error=False, description="`imprimatur token --as PERSON` prints one")


def problem(status: int, title: str, **more: Any) -> JSONResponse:
    return JSONResponse({"title": title, "status": status, **more}, status, media_type=MEDIA_TYPE)


async def caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller:
    if given is None:
        raise Unproven("there is no bearer token")
    proven = await request.app.state.desk.whose(given.credentials)
    return Caller(proven.actor.id, f"bearer token ({proven.method})", Channel.API)


Who = Annotated[Caller, Depends(caller)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
# ids of patrons, with commas: what is said is sealed under their keys too
Concerns = Annotated[str, Header(alias="Imprimatur-Concerns", max_length=2_000)]
Fields = Annotated[dict[str, Any], Body()]


def ids_in(header: str) -> list[str]:
    return [each.strip() for each in header.split(",") if each.strip()]


def answered(answer: dict[str, Any], created: int) -> JSONResponse:
    """As recorded, or as refused: 403 where the authority is missing, 409 where it is not possible now."""
    if "malformed" in answer:
        wrong = answer["malformed"]
        return problem(
            MALFORMED, "malformed", field=wrong["field"], because=wrong["message"], remedy=wrong["would_pass"]
        )
    if "refused" not in answer:
        return JSONResponse(answer, created)
    refused = answer["refused"]
    status = FORBIDDEN if refused["lacks_authority"] else CONFLICT
    return problem(status, "refused by policy", **refused, case=answer.get("case"), command=answer.get("command"))
