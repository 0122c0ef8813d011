"""The desk of a system elsewhere, asked over its HTTP API with a bearer token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from domain.facts import Malformed, NoAuthority, Refused
from services.credentials import Unproven
from services.desk import Caller, Unreachable

TIMEOUT_SECONDS = 60.0
# what is taken away may be all of the log
TO_TAKE_AWAY_SECONDS = 3_600.0
UNPROCESSABLE, UNAUTHORIZED, FORBIDDEN, CONFLICT, NOT_FOUND, GONE, TOO_LARGE = 422, 401, 403, 409, 404, 410, 413
REFUSED = (FORBIDDEN, CONFLICT, GONE)
MALFORMED = (UNPROCESSABLE, NOT_FOUND, TOO_LARGE)
NO_SERVER = range(500, 600)
EVENTS_AT_ONCE = 10_000


class Received(NamedTuple):
    content: bytes
    headers: httpx.Headers


def under(*parts: str) -> str:
    """A path, whatever stands in what people named."""
    return "".join(f"/{quote(each, safe='')}" for each in parts)


def concerning(patrons: Sequence[str]) -> dict[str, str]:
    return {"Imprimatur-Concerns": ",".join(patrons)} if patrons else {}


class RemoteDesk:
    """Answers as `Desk` does; what stands beside that desk is asked for by its path. Who asks is whoever the token
    says; `caller` is not looked at."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url
        self._http = httpx.AsyncClient(base_url=url.rstrip("/") + "/api/v1", headers=headers, timeout=TIMEOUT_SECONDS)

    async def request(
        self,
        process: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        return dict(await self.post(under("cases", process), fields, id_, concerns))

    async def act(
        self,
        case: str,
        command: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        return dict(await self.post(under("cases", case, "commands", command), fields, id_, concerns))

    async def sign(
        self,
        case: str,
        command: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        return dict(await self.post(under("cases", case, "commands", command, "signed"), fields, id_, concerns))

    async def case(
        self, case: str, reader: Caller | None, at: date | None = None, in_force_at: date | None = None
    ) -> dict[str, Any]:
        return dict(await self.get(under("cases", case), at=at, in_force_at=in_force_at))

    async def explain_posting(self, person: str, account: str, at: date | None = None) -> dict[str, Any]:
        return dict(await self.get("/explain/posting", person=person, account=account, at=at))

    async def cases(self) -> list[dict[str, Any]]:
        return list(await self.get("/cases"))

    async def inbox(self, person: str) -> list[dict[str, Any]]:
        return list(await self.get("/inbox"))

    async def trail(self, **asked: Any) -> list[dict[str, Any]]:
        # `from` is a word of Python's
        asked |= {"from": asked.pop("since", None), "to": asked.pop("until", None), "limit": EVENTS_AT_ONCE}
        found: list[dict[str, Any]] = []
        while True:
            page = await self.get("/audit/events", **asked)
            found += page
            if len(page) < EVENTS_AT_ONCE:
                return found
            asked["after"] = page[-1]["log_position"]

    async def accounts(self) -> list[dict[str, Any]]:
        return list(await self.get("/accounts"))

    async def staff(self, person: str | None = None) -> list[dict[str, Any]]:
        return list(await self.get("/staff", person=person))

    async def standing(self) -> dict[str, Any]:
        return dict(await self.get(f"{self.url.rstrip('/')}/readyz"))

    async def keep(
        self, content: bytes, media_type: str, case: str, concerns: Sequence[str] = ()
    ) -> dict[str, Any]:
        return dict(await self.send_file(under("cases", case, "evidence"), content, media_type, concerns))

    async def seen(self, log_position: int) -> bool:
        return True

    # -- by its path

    async def get(self, path: str, **asked: Any) -> Any:
        """Raises Refused where the policy stands against showing it."""
        return self._shown(await self._response("GET", path, params=in_a_query(asked)))

    async def post(
        self, path: str, fields: dict[str, Any], id_: str | None = None, concerns: Sequence[str] = ()
    ) -> Any:
        """The answer, a refusal included, as the desk gives it."""
        headers = ({"Idempotency-Key": id_} if id_ else {}) | concerning(concerns)
        return self._answer(await self._response("POST", path, json=fields, headers=headers))

    async def send_file(
        self, path: str, content: bytes, media_type: str = "application/octet-stream", concerns: Sequence[str] = ()
    ) -> Any:
        headers = {"Content-Type": media_type, **concerning(concerns)}
        return self._answer(await self._response("POST", path, content=content, headers=headers))

    async def file(self, path: str, **asked: Any) -> Received:
        response = await self._response("GET", path, params=in_a_query(asked))
        if response.is_error:
            self._shown(response)
        return Received(response.content, response.headers)

    async def download(self, path: str, fields: dict[str, Any], into: Path) -> None:
        """What is too large to be held at once."""
        async with self._reached():
            sending = self._http.stream("POST", path, json=fields, timeout=TO_TAKE_AWAY_SECONDS)
            async with sending as response:
                if response.is_error:
                    await response.aread()
                    self._shown(response)
                with into.open("xb") as out:
                    async for part in response.aiter_bytes():
                        out.write(part)

    async def _response(self, method: str, path: str, **given: Any) -> httpx.Response:
        async with self._reached():
            return await self._http.request(method, path, **given)

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            yield
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Malformed("--url", f"{self.url} is no web address", "one such as http://127.0.0.1:8080") from None
        except httpx.HTTPError as error:
            raise Unreachable(self.url) from error

    def _shown(self, response: httpx.Response) -> Any:
        body = self._answer(response)
        if isinstance(body, dict) and (refused := body.get("refused")):
            kind = NoAuthority if response.status_code == FORBIDDEN else Refused
            raise kind(refused["clauses"] or (), str(refused["because"]), str(refused["remedy"]))
        return body

    def _answer(self, response: httpx.Response) -> Any:
        if response.status_code in NO_SERVER:
            raise Unreachable(f"{self.url} (it answered {response.status_code})")
        body = self._json(response)
        if response.status_code == UNAUTHORIZED:
            raise Unproven(str(body.get("because", "the token is not accepted")))
        if response.status_code in REFUSED:
            refused = {name: body.get(name) for name in ("clauses", "because", "remedy", "lacks_authority")}
            return {"refused": refused, "case": body.get("case"), "command": body.get("command")}
        if response.status_code in MALFORMED:
            raise Malformed(body.get("field", "request"), body.get("because", response.text), body.get("remedy", ""))
        return body

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise Unreachable(f"{self.url} (its answer is no JSON: is it an Imprimatur?)") from error

    def close(self) -> None:
        """Connections end with the process that asked."""


def in_a_query(asked: dict[str, Any]) -> dict[str, Any]:
    """Moments and days as they are written; what is not asked for left out."""
    wanted = {name: value for name, value in asked.items() if value is not None}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in wanted.items()}
