"""A patron who took back what was sent in asks to be forgotten, while everything is killed; and what is left then."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import psycopg

from services.door import key_encryption_key
from services.key_rotation import finish
from services.settings import Settings
from tests.chaos.patrons import REVOKED, PatronWalk
from tests.chaos.staff import A_LOOK_EVERY_SECONDS, DIRECTOR, FOLLOWS_WITHIN_SECONDS
from tests.chaos.verdict import read_log

FORGOTTEN = "forgotten"
ONE_IN = 2
COORDINATOR = "p-mac"
KEYS = "select (select kek from keys.current), (select array_agg(distinct kek) from keys.wrapping)"
STILL_THERE = "select key_id from keys.wrapping where key_id = any (%s)"


def with_erasures(paths: list[str]) -> list[str]:
    """Every so many of those who revoke ask to be forgotten then."""
    revoking = [nth for nth, path in enumerate(paths) if path == REVOKED]
    forgotten = set(revoking[::ONE_IN])
    return [FORGOTTEN if nth in forgotten else path for nth, path in enumerate(paths)]


class ErasureWalk(PatronWalk):
    async def forgotten(self) -> None:
        await self.revoked()
        patron = str((await self.look())["state"]["patron"])
        ask = {"patron": patron, "asked_by": "patron", "reason": "I asked to be forgotten."}
        await self.opens("erasure", ask)
        await self.comes_to("first_decision")
        await self.does(COORDINATOR, "AgreeToErase", {})
        if self.dice.random() < 1 / 2:
            await self.dies_sending(DIRECTOR, "AgreeToErase", {})
        else:
            await self.does(DIRECTOR, "AgreeToErase", {})
        await self.comes_to("erased")

    async def comes_to(self, stage: str) -> None:
        """The consent may still be open for a moment: then someone looks again."""
        deadline = time.monotonic() + FOLLOWS_WITHIN_SECONDS
        while (found := (await self.look())["stage"]) != stage:
            if time.monotonic() > deadline:
                self.diary.expected(f"{self.case} comes to {stage}", found)
                return
            if found == "held":
                await self.does(self.requester, "LookAgain", {})
            await asyncio.sleep(A_LOOK_EVERY_SECONDS)


# -- what the log and the keys say


def what_erasures_find(settings: Settings) -> list[str]:
    return list(found_in(settings))


def found_in(settings: Settings) -> Iterator[str]:
    """Each erasure destroyed once, with one proof; no key of theirs is left; every other is wrapped by today's."""
    steps: dict[str, Counter[str]] = {}
    erased: list[str] = []
    for event in read_log(settings.reader_url):
        if event.stream.startswith("erasure-"):
            steps.setdefault(event.stream, Counter())[event.name] += 1
            if event.name == "PatronErased":
                erased.append(event.envelope["fact"]["patron"])
    for case, counted in steps.items():
        if "!" not in case and (counted["DestructionBegun"], counted["PatronErased"]) != (1, 1):
            yield f"{case} was begun {counted['DestructionBegun']} times and proved {counted['PatronErased']} times"
    file = key_encryption_key(settings)
    finish(settings.keeper_url, file)
    with psycopg.connect(settings.keeper_url) as conn:
        left = conn.execute(STILL_THERE, ([f"patron:{each}" for each in erased],)).fetchall()
        current, wrapped_by = conn.execute(KEYS).fetchone() or ("", [])
    yield from (f"{key_id} is still there" for (key_id,) in left)
    if wrapped_by not in (None, [current]):
        yield f"keys are wrapped by {wrapped_by}, and {current} is in use"
    if current and file.newest().id != current:
        yield "the file does not hold the key-encryption key in use"
