"""The patron's own door: a consent, a revocation, and how they stand by a secret link. Nobody signs in here.

Whatever is asked is answered alike, whether or not anyone is on record: who it is, is found out by staff afterwards.
Nothing but the hash of a link's secret is kept. A flood is bounded: for each address and for all of them together.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
from typing import Any, NamedTuple
from uuid import UUID

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from domain.consent import PROCESS as CONSENT
from domain.consent import ConsentCase
from domain.facts import ActorKind, Channel, Malformed, Value
from domain.patron_basis import Form
from domain.policy import Settings as Numbers
from domain.revocation import PROCESS as REVOCATION
from domain.revocation import RevocationCase, Stage
from services.desk import Caller, Desk
from services.receipts import receipt

DOOR_KEY = "patron-door"
METHOD = "nothing: whoever wrote the form"
SECRET_BYTES = 32
A_HOUSEHOLD = 64  # of an IPv6 address, the part that stands for one connection
LOOKS_FOR_EACH_REQUEST = 10
WRITES, LOOKS, EVERYONE = "writes", "looks", "everyone"

FORM_FIELDS = {"place", "name", "email", "telephone", "handle", "note", "language"}
CONSENT_FIELDS = FORM_FIELDS | {"form", "guardian_name", "born", "until", "targets"}
REVOCATION_FIELDS = {"place", "name", "email", "telephone", "handle", "what", "as_guardian"}
HOW_IT_STANDS = {
    Stage.IDENTITY_CHECK: "received; staff make sure who asks and for what",
    Stage.ACCEPTANCE: "received; staff make sure who asks and for what",
    Stage.REMOVING: "accepted; nothing new is published, and what stands is being removed",
    Stage.LETTER: "carried out; a letter to you is on its way",
    Stage.COMPLETED: "carried out",
    Stage.TELLING: "could not be carried out; the library tells you why",
    Stage.DECLINED: "could not be carried out; the library tells you why",
}


class TooMany(Exception):
    """More than is taken in an hour. `seconds` until there is room again."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many requests; there is room again in {seconds} s")


class NoSuchLink(Exception):
    """No link of ours; the same whatever is wrong with it."""


class Numbered(NamedTuple):
    """What a request is known by: the same request with the same key is the same in all of it."""

    command: str
    patron: str
    guardian: str
    secret: str


class Given(Value):
    """How to see what became of it; told once."""

    status: str


class PatronDoor:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)

    async def consent(self, said: dict[str, Any], key: str | None, address: str) -> dict[str, Any]:
        """A consent as the patron or a guardian gives it. Answers as the desk does, with the link to the receipt."""
        await self._room_for(address, WRITES)
        fields = await self._placed(only(said, CONSENT_FIELDS))
        if fields.get("form") == Form.EVENT_NOTICE.value:
            raise Malformed("form", "a notice is put up by the library", "submission, adult or guardian")
        numbers = await self._numbers(CONSENT, said, key)
        by_guardian = fields.get("form") == Form.GUARDIAN.value or bool(fields.get("guardian_name"))
        fields |= {"obtained": "web_form", "patron": numbers.patron, "status_sha256": hashed(numbers.secret)}
        if by_guardian:
            fields["guardian"] = numbers.guardian
        if fields.get("form") == Form.SUBMISSION.value:
            fields["contents"] = [f"content:web-{numbers.patron}"]
        return await self._taken(CONSENT, fields, numbers, numbers.guardian if by_guardian else numbers.patron)

    async def revocation(self, said: dict[str, Any], key: str | None, address: str) -> dict[str, Any]:
        """A request to stop; nothing has to be known but who one is."""
        await self._room_for(address, WRITES)
        fields = await self._placed(only(said, REVOCATION_FIELDS))
        numbers = await self._numbers(REVOCATION, said, key)
        fields |= {"received": "web_form", "patron": numbers.patron, "status_sha256": hashed(numbers.secret)}
        return await self._taken(REVOCATION, fields, numbers, numbers.patron)

    async def status(self, id_: str, secret: str, address: str) -> dict[str, Any]:
        """How a revocation stands; NoSuchLink alike for an unknown case and a wrong secret."""
        case = await self._found(REVOCATION, id_, secret, address)
        if not isinstance(case, RevocationCase):
            raise NoSuchLink
        left = len(case.open_removals())
        return {
            "stands": HOW_IT_STANDS[case.stage],
            "asked_at": case.asked_at.isoformat() if case.asked_at else None,
            "uses_removed": len(case.removals) - left,
            "uses_to_remove": left,
        }

    async def receipt(self, id_: str, secret: str, address: str) -> dict[str, Any]:
        """The receipt of a consent, with how it stands by now."""
        case = await self._found(CONSENT, id_, secret, address)
        if not isinstance(case, ConsentCase):
            raise NoSuchLink
        return receipt(case, await self._desk.policy(), self._desk.settings.public_url)

    # -- what is behind

    async def _taken(self, process: str, fields: dict[str, Any], numbers: Numbered, patron: str) -> dict[str, Any]:
        caller = Caller(patron, METHOD, Channel.WEB, ActorKind.PATRON)
        answer = await self._desk.request(process, fields, caller, numbers.command)
        case = str(answer["case"]).partition("-")[2]
        told = {each: answer[each] for each in ("refused", "malformed") if answer.get(each)}
        place = "consents" if process == CONSENT else "revocations"
        return told or {"received": True, "status": f"/api/v1/patron/{place}/{case}/{numbers.secret}"}

    async def _placed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Who names no branch is answered by headquarters."""
        places = (await self._desk.policy()).places
        return {"place": next(id_ for id_, each in places.items() if each.kind == "headquarters")} | fields

    async def _numbers(self, process: str, said: dict[str, Any], key: str | None) -> Numbered:
        """Random; or, for a request that may be sent again, whatever follows from its key and all that it says."""
        if not key:
            return numbered(secrets.token_bytes(SECRET_BYTES))
        own = await self._desk.in_a_thread(lambda: self._desk.keys.keys([DOOR_KEY])[DOOR_KEY])
        return numbered(hmac.digest(own, json.dumps([process, key, said], sort_keys=True).encode(), "sha256"))

    async def _found(self, process: str, id_: str, secret: str, address: str) -> Any:
        await self._room_for(address, LOOKS)
        try:
            case = f"{process}-{UUID(id_)}"
        except ValueError:
            raise NoSuchLink from None
        state = await self._desk.in_a_thread(lambda: self._desk.ledger.state(case))
        recorded = getattr(state, "recorded", None) or getattr(state, "asked", None)
        known = recorded.status_sha256 if recorded else ""
        # as long for a case that is there as for one that is not
        if not hmac.compare_digest(known or hashed(""), hashed(secret)) or not known:
            raise NoSuchLink
        return state

    async def _room_for(self, address: str, what: str) -> None:
        numbers: Numbers = (await self._desk.policy()).settings
        each, all_ = numbers.patron_requests_per_address_per_hour.value, numbers.patron_requests_per_hour.value
        if what == LOOKS:
            each, all_ = each * LOOKS_FOR_EACH_REQUEST, all_ * LOOKS_FOR_EACH_REQUEST
        self._room(RateLimitItemPerHour(each), what, connection_of(address))
        self._room(RateLimitItemPerHour(all_), what, EVERYONE)

    def _room(self, limit: RateLimitItemPerHour, what: str, whose: str) -> None:
        if not self._limiter.hit(limit, what, whose):
            stats = self._limiter.get_window_stats(limit, what, whose)
            raise TooMany(max(1, int(stats.reset_time - self._desk.clock.now().timestamp())))


def only(said: dict[str, Any], known: set[str]) -> dict[str, Any]:
    for name in said:
        if name not in known:
            raise Malformed("form", "there is a field in it that the form does not have", ", ".join(sorted(known)))
    return {name: value for name, value in said.items() if value is not None}


def numbered(seed: bytes) -> Numbered:
    def of(whose: bytes) -> bytes:
        return hmac.digest(seed, whose, "sha256")

    command, patron, guardian = (
        str(UUID(bytes=of(whose)[:16], version=4)) for whose in (b"command", b"patron", b"guardian")
    )
    return Numbered(command, patron, guardian, base64.urlsafe_b64encode(of(b"link")).decode().rstrip("="))


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def connection_of(address: str) -> str:
    """Whoever has one IPv6 address has many."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ipaddress.ip_network((ip, A_HOUSEHOLD), strict=False))
