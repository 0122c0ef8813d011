"""Adds today's histories to the golden ones: `python -m tests.workflows.record_histories NAME [PATH ...]`, a word for
what is new in the workflows, and the paths that it is about (all of them where none is named). What stands there is
never written over: it is how runs went once, and they must still replay."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.account_creation_messages import AskForChanges, OpenAccount, RefuseAccount, WithdrawRequest
from services.clock import SystemClock
from services.database import ROLES, migrate
from services.embedded import fresh_folder
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.embedded_temporal import EmbeddedTemporal
from tests.system import Database, Office, sealed
from tests.workflows.erasures import NAMES as OF_ERASURES
from tests.workflows.erasures import erasing, erasures
from tests.workflows.patrons import NAMES as OF_PATRONS
from tests.workflows.patrons import a_minors_consent, a_patrons_life
from tests.workflows.running import (
    A_MINUTE,
    NEUTRAL,
    Requested,
    Running,
    ServersClock,
    at_work,
    bytes_of,
    histories_of,
    skipping_time,
)
from tests.workflows.staff import NAMES as OF_STAFF
from tests.workflows.staff import rights_and_changes, rights_that_end_by_themselves
from workflows.case import ARRIVALS_OF_ONE_RUN

FOLDER = Path(__file__).parent / "histories"


async def opened(case: Requested) -> None:
    await case.approved()
    await case.set_up()
    await case.confirmed()
    await case.done(OpenAccount(), "p-mac")


async def refused(case: Requested) -> None:
    await case.done(RefuseAccount(content=(await case.state()).content, reason=sealed()), "p-ed")


async def withdrawn_after_changes_were_asked(case: Requested) -> None:
    await case.done(AskForChanges(content=(await case.state()).content, reason=sealed()), "p-ed")
    await case.signal(WithdrawRequest(), "p-bm-durant")


async def withdrawn_amid_junk(case: Requested) -> None:
    for junk in ([], [bytes_of(b"{")], [bytes_of(b"{}")], [bytes_of(b'{"kind": "x"}'), bytes_of(b"")]):
        await case.handle.signal("submit", args=junk)
        await case.handle.execute_update("submit", args=junk)
    await case.handle.cancel()
    await case.done(WithdrawRequest(), "p-bm-durant")


async def continued(case: Requested) -> None:
    await asyncio.gather(*(case.handle.signal("nudge") for _ in range(ARRIVALS_OF_ONE_RUN)))
    case.handle = case.running.client.get_workflow_handle(case.case)
    await case.done(WithdrawRequest(), "p-bm-durant")


async def expired(case: Requested) -> None:
    wait = (await case.state()).waiting
    assert wait is not None
    await case.running.sleep_until(max(each.at for each in wait.due) + A_MINUTE)


async def not_requested(case: Requested) -> None:
    """Refused at the door."""


Way = Callable[[Requested], Awaitable[None]]
AS_TIME_PASSES: tuple[Way, ...] = (
    not_requested,
    opened,
    refused,
    withdrawn_after_changes_were_asked,
    withdrawn_amid_junk,
    continued,
)
BY_SKIPPING_TIME: tuple[Way, ...] = (expired,)
EVERY_PATH = (*(path.__name__ for path in (*AS_TIME_PASSES, *BY_SKIPPING_TIME)), *OF_PATRONS, *OF_ERASURES, *OF_STAFF)


class Recording:
    """Of these paths, under this name."""

    def __init__(self, running: Running, name: str, paths: Collection[str]) -> None:
        self.running, self.name, self.paths = running, name, paths

    async def of_accounts(self, *ways: Way) -> None:
        for way in (each for each in ways if each.__name__ in self.paths):
            case = await self.running.request(administrators=() if way is not_requested else ("p-mac", "p-bm-durant"))
            await case.opened()
            await way(case)
            await self.keep(way.__name__, case)

    async def of(self, *lives: Callable[[Running], Awaitable[dict[str, Requested]]]) -> None:
        for live in lives:
            for path, case in (await live(self.running)).items():
                if path in self.paths:
                    await self.keep(path, case)

    async def keep(self, path: str, case: Requested) -> None:
        await case.ended()
        for nth, history in enumerate(await histories_of(case.running.client, case.case), start=1):
            add(FOLDER / f"{self.name}-{path}-{nth}.json", history)


def add(file: Path, history: WorkflowHistory) -> None:
    content = {"workflow": history.workflow_id, "history": json.loads(history.to_json())}
    with file.open("x", encoding="utf-8") as new:
        json.dump(content, new, separators=(",", ":"), sort_keys=True)
        new.write("\n")


def read(file: Path) -> WorkflowHistory:
    content = json.loads(file.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(content["workflow"], content["history"])


async def main(name: str, *paths: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    if found := sorted(FOLDER.glob(f"{name}-*.json")):
        raise SystemExit(f"{found[0].name} is there already, and no history is written over: choose another name")
    if unknown := set(paths) - set(EVERY_PATH):
        raise SystemExit(f"no path is named {', '.join(sorted(unknown))}: one of {', '.join(EVERY_PATH)}")
    wanted = paths or EVERY_PATH
    with fresh_folder() as data, database_on(data) as database, EmbeddedTemporal(data) as temporal:
        client = await Client.connect(temporal.address, data_converter=pydantic_data_converter, identity=NEUTRAL)
        office = Office(database, SystemClock())
        async with at_work(client, office, erasing=erasing(office, database, data)) as running:
            recording = Recording(running, name, wanted)
            await recording.of_accounts(*AS_TIME_PASSES)
            await recording.of(a_patrons_life, erasures, rights_and_changes)
    with fresh_folder() as data, database_on(data) as database:
        async with skipping_time() as env:
            office = Office(database, ServersClock(env))
            async with at_work(env.client, office, env) as running:
                recording = Recording(running, name, wanted)
                await recording.of_accounts(*BY_SKIPPING_TIME)
                await recording.of(a_minors_consent, rights_that_end_by_themselves)


@contextmanager
def database_on(data: Path) -> Iterator[Database]:
    server = EmbeddedPostgreSQL(data)
    server.start()
    try:
        passwords = dict.fromkeys(ROLES, "only-for-this-recording")
        migrate(server.superuser_dsn, passwords)
        yield Database(server.superuser_dsn, urlsplit(server.superuser_dsn).path.lstrip("/"), passwords)
    finally:
        server.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
