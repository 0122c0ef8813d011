"""The ledger as the tasks of one event loop ask it: many commands under way, and no thread of its own for each.

They are judged on the loop, one after the other, while those before them are on their way to the log. Whatever needs
more than that (what is in memory is out of date, a refusal, PostgreSQL away) is the ledger's own way, in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import ParamSpec, Self, TypeVar

from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from services.group_commit import ON_THE_WAY, GroupCommitOfTasks
from services.ledger import Answer, Ledger
from services.recorder import CONNECTION, DATABASE_AWAY, NotRecorded, ToRecord, asked_together
from services.submissions import Submission

# after that the ledger asks by itself, which is patient
CONNECTED_WITHIN_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class AwaitedLedger:
    """To be used as a context of the loop whose tasks ask. `threads` are for what cannot be awaited."""

    def __init__(self, ledger: Ledger, threads: Executor | None = None) -> None:
        self.ledger, self._threads = ledger, threads
        self._together = GroupCommitOfTasks[ToRecord, TupleRow](self._written)
        self._pool = AsyncConnectionPool(
            ledger.url,
            kwargs={"autocommit": True, **CONNECTION},
            min_size=ON_THE_WAY,
            max_size=ON_THE_WAY,
            timeout=CONNECTED_WITHIN_SECONDS,
            # after that the next question tries again, however long PostgreSQL was away
            reconnect_timeout=CONNECTED_WITHIN_SECONDS,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._together.ended()
        finally:
            await self._pool.close()

    async def submit(self, submission: Submission, workflow: str = "", run: str = "", cause: str = "") -> Answer:
        """As the ledger's own; whoever no longer waits for the answer takes nothing back."""
        asked = submission, workflow, run, cause
        if not self.ledger.has_read():
            return await self.in_a_thread(self.ledger.submit, *asked)
        attempt = self.ledger.attempt(*asked)
        if sent := self.ledger.on_its_way(attempt):
            try:
                return self.ledger.arrived(sent, await self._together.ask(sent.asked))
            except LockNotAvailable:
                # it has waited for its turn as long as anyone may
                raise
            except (NotRecorded, *DATABASE_AWAY):
                # Perhaps only the answer was lost. It is asked again below, and the command id says so.
                pass
        return await self.in_a_thread(self.ledger.answer, attempt)

    async def in_a_thread(self, do: Callable[P, T], *with_: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: do(*with_, **named))

    async def _written(self, group: Sequence[ToRecord]) -> list[TupleRow]:
        async with self._pool.connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(*asked_together(group), prepare=True)
            return await cursor.fetchall()
