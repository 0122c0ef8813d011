"""The desk of a system elsewhere, asked over its HTTP API with a bearer token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from domain.facts import Malformed
from services.credentials import Unproven
from services.desk import Caller, Unreachable

TIMEOUT_SECONDS = 60.0
UNPROCESSABLE, UNAUTHORIZED, FORBIDDEN, CONFLICT, NOT_FOUND = 422, 401, 403, 409, 404
NO_SERVER = range(500, 600)


def concerning(patrons: Sequence[str]) -> dict[str, str]:
    return {"Imprimatur-Concerns": ",".join(patrons)} if patrons else {}


class RemoteDesk:
    """Answers as `Desk` does. Who asks is whoever the token says; `caller` is not looked at."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._http = httpx.AsyncClient(base_url=url.rstrip("/") + "/api/v1", headers=headers, timeout=TIMEOUT_SECONDS)

    async def request(
        self,
        process: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        return dict(await self._post(f"/cases/{process}", fields, id_, concerns))

    async def act(
        self,
        case: str,
        command: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        return dict(await self._post(f"/cases/{case}/commands/{command}", fields, id_, concerns))

    async def case(
        self, case: str, reader: str | None, at: datetime | None = None, in_force_at: datetime | None = None
    ) -> dict[str, Any]:
        moments = {"at": at, "in_force_at": in_force_at}
        wanted = {name: given.isoformat() if given else None for name, given in moments.items()}
        return dict(await self._get(f"/cases/{case}", wanted))

    async def explain_posting(self, person: str, account: str, at: datetime | None = None) -> dict[str, Any]:
        asked = {"person": person, "account": account, "at": at.isoformat() if at else None}
        return dict(await self._get("/explain/posting", asked))

    async def cases(self) -> list[dict[str, Any]]:
        return list(await self._get("/cases", {}))

    async def inbox(self, person: str) -> list[dict[str, Any]]:
        return list(await self._get("/inbox", {}))

    async def trail(self, **asked: Any) -> list[dict[str, Any]]:
        wanted = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
        return list(await self._get("/audit/events", wanted))

    async def accounts(self) -> list[dict[str, Any]]:
        return list(await self._get("/accounts", {}))

    async def staff(self, person: str | None = None) -> list[dict[str, Any]]:
        return list(await self._get("/staff", {"person": person}))

    async def keep(
        self, content: bytes, media_type: str, case: str, concerns: Sequence[str] = ()
    ) -> dict[str, Any]:
        headers = {"Content-Type": media_type, **concerning(concerns)}
        return dict(await self._send(self._http.post(f"/cases/{case}/evidence", content=content, headers=headers)))

    async def seen(self, log_position: int) -> bool:
        return True

    async def _post(self, path: str, fields: dict[str, Any], id_: str | None, concerns: Sequence[str] = ()) -> Any:
        headers = ({"Idempotency-Key": id_} if id_ else {}) | concerning(concerns)
        return await self._send(self._http.post(path, json=fields, headers=headers))

    async def _get(self, path: str, asked: dict[str, Any]) -> Any:
        wanted = {name: value for name, value in asked.items() if value is not None}
        return await self._send(self._http.get(path, params=wanted))

    async def _send(self, sending: Any) -> Any:
        try:
            response: httpx.Response = await sending
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Malformed("--url", f"{self._url} is no web address", "one such as http://127.0.0.1:8080") from None
        except httpx.HTTPError as error:
            raise Unreachable(self._url) from error
        if response.status_code in NO_SERVER:
            raise Unreachable(f"{self._url} (it answered {response.status_code})")
        body = self._json(response)
        if response.status_code == UNAUTHORIZED:
            raise Unproven(str(body.get("because", "the token is not accepted")))
        if response.status_code in (FORBIDDEN, CONFLICT):
            refused = {name: body.get(name) for name in ("clauses", "because", "remedy", "lacks_authority")}
            return {"refused": refused, "case": body.get("case"), "command": body.get("command")}
        if response.status_code in (UNPROCESSABLE, NOT_FOUND):
            raise Malformed(body.get("field", "request"), body.get("because", response.text), body.get("remedy", ""))
        return body

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise Unreachable(f"{self._url} (its answer is no JSON: is it an Imprimatur?)") from error

    def close(self) -> None:
        """Connections end with the process that asked."""
