"""How fast does a sync of changes go into a directory of 2,000 people, against scim2-server on its memory?

Both sides are the same server behind the same in-process client; ours also reads the token, mends what vendors send,
seals, decides and records each change on PostgreSQL. The baseline is asked nothing of that. Rounds are interleaved,
each with the baseline on both sides of ours.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage

from services.database import migrate
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.hr import office as hr_office
from services.hr.scim import ScimDoor, scim_provider
from tests.conftest import PASSWORDS
from tests.system import Database, Office

GOAL = 0.3
PEOPLE = 2_000
CHANGES = 200
ROUNDS = 11
BULK_OF = 500
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
TITLES = ("Library Clerk", "Library Assistant")


def measure(people: int = PEOPLE, changes: int = CHANGES, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o711)
        server = EmbeddedPostgreSQL(data / "bench")
        server.start()
        try:
            database = Database(server.superuser_dsn, "imprimatur", PASSWORDS)
            migrate(database.superuser, PASSWORDS)
            office = Office(database).founded()
            try:
                return asyncio.run(measured(office, people, changes, rounds))
            finally:
                office.close()
        finally:
            server.remove()


async def measured(office: Office, people: int, changes: int, rounds: int) -> dict[str, Any]:
    token = hr_office.register(office.ledger, "bench")["token"]
    door = ScimDoor(lambda: office.ledger, lambda: office.seal)
    stock = ASGIApplication(AsyncInMemoryStorage(), scim_provider())
    ours, baseline = [], []
    async with client_of(door, token) as of_ours, client_of(stock, token) as of_stock:
        known = [await filled(http, people) for http in (of_ours, of_stock)]
        for nth in range(rounds):
            gc.collect()
            ours.append(changes / await seconds_to_sync(of_ours, known[0], changes, nth))
            baseline.append(changes / await seconds_to_sync(of_stock, known[1], changes, nth))
    ratio = median(ours) / median(baseline)
    return {
        "name": "scim",
        "ours": round(median(ours)),
        "baseline_name": "scim2-server on its in-memory storage",
        "baseline": round(median(baseline)),
        "unit": "changes/s",
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "holds": ratio >= GOAL,
        "rounds": rounds,
    }


def client_of(app: Any, token: str) -> httpx.AsyncClient:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/scim"}, receive, send)

    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app=mounted)
    return httpx.AsyncClient(transport=transport, base_url="http://bench.example", headers=headers, timeout=120)


async def filled(http: httpx.AsyncClient, people: int) -> list[str]:
    """The ids of so many users, sent in bulk."""
    ids: list[str] = []
    for start in range(0, people, BULK_OF):
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(nth), "data": a_user(nth)}
            for nth in range(start, min(start + BULK_OF, people))
        ]
        body = {"schemas": [f"{MESSAGES}:BulkRequest"], "Operations": operations}
        answer = (await http.post("/scim/v2/Bulk", json=body)).json()
        ids += [each["location"].rpartition("/")[2] for each in answer["Operations"]]
    return ids


def a_user(nth: int) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": f"person{nth}@example.org",
        "externalId": f"00u{nth}",
        "displayName": f"Person {nth}",
        "name": {"givenName": "Person", "familyName": str(nth)},
        "title": TITLES[0],
        "active": True,
        "emails": [{"type": "work", "value": f"person{nth}@example.org", "primary": True}],
        ENTERPRISE: {"employeeNumber": f"E{nth}", "department": "durant"},
    }


async def seconds_to_sync(http: httpx.AsyncClient, ids: list[str], changes: int, nth: int) -> float:
    """As identity providers do it: one PATCH after the other; a title, a departure or return, an address."""
    began = time.perf_counter()
    for which in range(changes):
        operations = [the_change(which, nth)]
        body = {"schemas": [f"{MESSAGES}:PatchOp"], "Operations": operations}
        answer = await http.patch(f"/scim/v2/Users/{ids[which]}", json=body)
        assert answer.status_code == 204, answer.text
    return time.perf_counter() - began


def the_change(which: int, nth: int) -> dict[str, Any]:
    match which % 3:
        case 0:
            return {"op": "replace", "path": "title", "value": TITLES[(nth + 1) % 2]}
        case 1:
            return {"op": "replace", "value": {"active": nth % 2 == 1}}
        case _:
            return {"op": "replace", "path": 'emails[type eq "work"].value', "value": f"p{which}.{nth}@example.org"}


if __name__ == "__main__":
    print(measure())
