"""How a simulated HR system sends: over HTTP and at the command line; now and then twice, cut off in the middle, or
without waiting for what comes of it. Until it is answered."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from typing import Any

import httpx

from services.settings import Runtime
from tests.chaos.hr_diary import HrDiary
from tests.chaos.running import Running, plain_environment
from tests.chaos.staff import Staff

NEVER_SAID = "Said in half a message"
ANSWER_WITHIN_SECONDS = 60.0
GIVEN_UP_AFTER_SECONDS = 150.0
WRONG_HERE, AWAY = 500, 503
AWAY_AT_THE_LINE = 4


class Wire:
    """`faults`: how often what was done to the messages; `failed`: answers that none should have been."""

    def __init__(self, running: Running, staff: Staff, dice: random.Random) -> None:
        self.running, self.staff, self.dice = running, staff, dice
        self.diary, self.faults, self.failed = HrDiary(), Counter[str](), list[str]()
        self.http = httpx.AsyncClient(timeout=ANSWER_WITHIN_SECONDS)

    def opened(self, token: str) -> None:
        self.token = token
        self.base: str = Runtime(self.running.data).read()["settings"]["base_url"]
        self.http.base_url = self.base
        self.http.headers.update(self.headers())

    # -- over HTTP

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}

    async def sends(self, method: str, path: str, body: Any = None, once: bool = True) -> httpx.Response:
        """Until it is answered. Where not `once`, it may also be sent without waiting for what comes of it."""
        await self.perhaps_cut_off(method, path, body, once)
        answer = await self.until_answered(method, path, body)
        if self.dice.random() < 0.2:
            self.faults["hr_messages_sent_twice"] += 1
            again = await self.until_answered(method, path, body)
            self.diary.sent_twice(method, path, answer.status_code, again.status_code)
        return answer

    async def until_answered(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        deadline = time.monotonic() + GIVEN_UP_AFTER_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = await self.http.request(method, f"/scim/v2{path}", json=body, headers=headers)
            except httpx.HTTPError:
                self.faults["hr_messages_not_answered"] += 1
            else:
                if answer.status_code < WRONG_HERE:
                    return answer
                if answer.status_code != AWAY:
                    self.failed.append(f"{method} {path} was answered {answer.status_code}: {answer.text[:200]}")
            await asyncio.sleep(self.dice.uniform(0.1, 0.5))
        raise TimeoutError(f"nothing answered in {GIVEN_UP_AFTER_SECONDS:.0f} s")

    async def perhaps_cut_off(self, method: str, path: str, body: Any, once: bool) -> None:
        if body is None:
            return
        how = self.dice.random()
        if how < 0.15:
            await self.half(method, path, body)
        elif how < 0.25:
            await self.without_an_end(method, path, body)
        elif how < 0.45 and not once:
            self.faults["hr_messages_cut_before_the_answer"] += 1
            text = json.dumps(body).encode()
            await self.raw(method, path, text, f"Content-Length: {len(text)}")

    async def half(self, method: str, path: str, body: Any) -> None:
        self.faults["hr_messages_cut_in_half"] += 1
        text = json.dumps(wrong(body)).encode()
        await self.raw(method, path, text[: len(text) // 2], f"Content-Length: {len(text)}")

    async def without_an_end(self, method: str, path: str, body: Any) -> None:
        """All that was to be said, but for the line that says so."""
        self.faults["hr_messages_without_an_end"] += 1
        text = json.dumps(wrong(body)).encode()
        await self.raw(method, path, b"%x\r\n%s\r\n" % (len(text), text), "Transfer-Encoding: chunked")

    async def raw(self, method: str, path: str, body: bytes, size: str) -> None:
        host, _, port = self.base.removeprefix("http://").partition(":")
        lines = [f"{method} /scim/v2{path} HTTP/1.1", f"Host: {host}:{port}", size]
        lines += [f"{name}: {value}" for name, value in self.headers().items()]
        try:
            _, to_server = await asyncio.open_connection(host, int(port))
            to_server.write("\r\n".join([*lines, "", ""]).encode() + body)
            await to_server.drain()
            await asyncio.sleep(self.dice.uniform(0, 0.05))
            to_server.transport.abort()
        except OSError:
            self.faults["hr_messages_not_answered"] += 1

    # -- at the command line

    async def command(self, *words: str) -> dict[str, Any]:
        """What it said; repeated while a service is away."""
        deadline = time.monotonic() + GIVEN_UP_AFTER_SECONDS
        while time.monotonic() < deadline:
            code, told = await self.asked_once(words)
            if code != AWAY_AT_THE_LINE:
                return {"exit": code, **(told if isinstance(told, dict) else {"list": told})}
            await asyncio.sleep(0.5)
        raise TimeoutError(f"nothing answered in {GIVEN_UP_AFTER_SECONDS:.0f} s")

    async def asked_once(self, words: tuple[str, ...], killed_after: float = 0.0) -> tuple[int, Any]:
        argv = ["-m", "services.cli", *words, "--json", "--data", str(self.running.data)]
        pipe = asyncio.subprocess.PIPE
        asked = await asyncio.create_subprocess_exec(
            sys.executable, *argv, env=plain_environment(), stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        if killed_after:
            await asyncio.sleep(killed_after)
            if asked.returncode is None:
                os.kill(asked.pid, signal.SIGKILL)
            await asked.wait()
            return -1, {}
        said, _ = await asked.communicate()
        return asked.returncode or 0, json.loads(said) if said.strip() else {}


def wrong(body: Any) -> Any:
    """What must never be known: it was not sent to its end."""
    if "Operations" in body:
        return body | {"Operations": [{"op": "replace", "path": "displayName", "value": NEVER_SAID}]}
    return body | {"title": NEVER_SAID, "displayName": NEVER_SAID, "active": False}
