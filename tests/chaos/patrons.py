"""Simulated staff whose patron takes back what was sent in, while others publish it; and what the log says of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from domain.facts import Channel
from services.desk import Caller
from services.settings import Settings
from tests.chaos.staff import CaseError, Staff, Walk
from tests.chaos.verdict import Event, read_log

REVOKED = "revoked"
ONE_CASE_IN = 8
CLERKS = ("p-hq-it", "p-hq-helpdesk", "p-mac")
COORDINATOR = "p-mac"
TARGETS = ("print:flyer", "print:poster", "print:newsletter")


def with_revocations(paths: list[str]) -> list[str]:
    """Every so many cases a patron's, in place of an account's."""
    return [REVOKED if nth % ONE_CASE_IN == ONE_CASE_IN - 1 else path for nth, path in enumerate(paths)]


class PatronWalk(Walk):
    """From a consent to the letter; a use at the very instant of the acceptance is found or refused."""

    def __init__(self, staff: Staff, nth: int) -> None:
        super().__init__(staff, nth, random.Random(f"{staff.seed}/{nth}/patron"))
        self.content = f"content:chaos-{staff.seed}-{nth}"

    async def revoked(self) -> None:
        consent = await self.opens("consent", self.consent_fields())
        await self.does(self.requester, "ConfirmConsent", {"shown": "library_card"})
        patron = str((await self.look())["state"]["recorded"]["patron"])
        await self.at("uses").does(self.requester, "RecordUse", self.use(TARGETS[0]))
        revocation = await self.opens("revocation", self.revocation_fields())
        check = {"checked": "library_card", "on_record": patron, "consents": [consent]}
        await self.at(revocation).does(self.dice.choice(CLERKS), "CheckIdentity", check)
        other = PatronWalk(self.staff, self.nth)
        other.case, other.dice = "uses", random.Random(f"{self.staff.seed}/{self.nth}/other")
        await asyncio.gather(
            self.accepts(), *(other.sends(self.requester, "RecordUse", self.use(each)) for each in TARGETS[1:])
        )
        await self.at("uses").is_refused(self.requester, "RecordUse", self.use(TARGETS[0]))
        await self.at(revocation).removes()

    async def accepts(self) -> None:
        if self.dice.random() < 1 / 3:
            await self.dies_sending(self.dice.choice(CLERKS), "AcceptRevocation", {})
        else:
            await self.does(self.dice.choice(CLERKS), "AcceptRevocation", {})

    async def removes(self) -> None:
        for removal in (await self.look())["state"]["removals"]:
            await self.does(COORDINATOR, "ConfirmRemoval", {"use": removal["use"]})
        stage = (await self.look())["stage"]
        if stage != "completed":
            self.diary.expected(f"{self.case} is completed", stage)

    # -- their parts

    def at(self, case: str) -> PatronWalk:
        self.case = case
        return self

    def use(self, target: str) -> dict[str, Any]:
        return {"used": self.content, "target": target}

    def consent_fields(self) -> dict[str, Any]:
        return {
            "form": "submission", "place": self.branch, "obtained": "web_form", "contents": [self.content],
            "name": "Someone who reads", "email": "reader@example.org",
        }  # fmt: skip

    def revocation_fields(self) -> dict[str, Any]:
        what = "Please stop using what I sent."
        return {"received": "email", "place": self.branch, "what": what, "email": "reader@example.org"}

    async def opens(self, process: str, fields: dict[str, Any]) -> str:
        entry = self.diary.begins(self.requester, "", f"the opening of {process}", self.new_id())
        caller = Caller(self.requester, "a simulated sign-in", Channel.WEB)
        answer = await self.until_told(entry, lambda: self.desk.request(process, fields, caller, entry.id))
        if not answer.get("recorded"):
            self.diary.expected(f"a case of {process} begins for {self.nth}", answer)
            raise CaseError(f"case {self.nth} did not begin")
        self.case = entry.case
        return entry.case


# -- what the log says


def what_patrons_find(settings: Settings) -> list[str]:
    return list(found_in(read_log(settings.reader_url)))


def found_in(log: list[Event]) -> Iterator[str]:
    """Every use that rests on what was revoked: begun before the acceptance, asked to be removed, and ended once."""
    revoked: dict[str, str] = {}
    asked, ended = Counter[tuple[str, str]](), Counter[str]()
    resting: dict[str, list[str]] = defaultdict(list)
    for event in log:
        fact = event.envelope["fact"]
        match event.envelope["kind"]:
            case "uses.UseRecorded":
                for basis in fact["bases"]:
                    if basis["consent"] in revoked:
                        yield f"{fact['use']} was begun after {revoked[basis['consent']]} was accepted"
                    resting[basis["consent"]].append(fact["use"])
            case "revocation.RevocationAccepted":
                revoked |= dict.fromkeys(fact["consents"], event.stream)
            case "revocation.RemovalAsked":
                asked[event.stream, fact["use"]] += 1
            case "revocation.RemovalConfirmed":
                ended[fact["use"]] += 1
            case _:
                pass
    for consent, revocation in revoked.items():
        for use in resting[consent]:
            if (asked[revocation, use], ended[use]) != (1, 1):
                yield f"{use} was asked for {asked[revocation, use]} times and ended {ended[use]} times"
    completed = [event.stream for event in log if event.name == "RevocationCompleted"]
    yield from (f"{each} is not completed" for each in set(revoked.values()) - set(completed))
    yield from (f"{each} is completed {times} times" for each, times in Counter(completed).items() if times > 1)
