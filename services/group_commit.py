"""Decisions that come while others are on their way to the log wait and go together in the next transaction.

Each is still judged by the database alone, and each gets an answer of its own; they share one lock, one round trip and
one COMMIT. Whoever comes first takes along those who wait, so a single writer waits for nobody, and nothing is needed
beside the threads, or the tasks of one event loop, that write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Told = TypeVar("Told")

# the log stays locked for a whole group, and other processes wait as long
MOST_AT_ONCE = 32
# while one group is written the next one stands at the log's lock, which then does not wait for this process to wake
ON_THE_WAY = 2
# Tasks of an event loop come all at once and would go on in step: judging while nothing is written, then the reverse.
# So one group leaves to the next its share, unless the shares were so small that the transactions cost more.
NOT_WORTH_SHARING = 4


class Waiting(Generic[Asked, Told]):
    """What one thread asks. `turn` is let go when it was answered, when it is to lead, or when it is to ask alone."""

    __slots__ = ("asked", "told", "turn", "was_taken")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.told: Told | None = None
        self.was_taken = False
        self.turn = Lock()
        self.turn.acquire()


class GroupCommit(Generic[Asked, Told]):
    """`write` is given what is asked together and tells of each, in that order, or raises, having told nobody. It must
    bear being asked the same again, and by several threads at a time."""

    def __init__(self, write: Callable[[Sequence[Asked]], Sequence[Told]]) -> None:
        self._write = write
        self._mutex = Lock()
        self._waiting: deque[Waiting[Asked, Told]] = deque()
        self._free = ON_THE_WAY

    def ask(self, asked: Asked) -> Told:
        """What `write` tells of this. Raises what `write` raises when this is asked alone."""
        mine = Waiting[Asked, Told](asked)
        with self._mutex:
            leads = self._free > 0
            if leads:
                self._free -= 1
            else:
                self._waiting.append(mine)
        if not leads:
            mine.turn.acquire()
        if not mine.was_taken:
            self._lead(mine)
        if mine.told is None:
            (mine.told,) = self._write([mine.asked])
        return mine.told

    def _lead(self, first: Waiting[Asked, Told]) -> None:
        with self._mutex:
            group = [first, *(self._waiting.popleft() for _ in range(min(MOST_AT_ONCE - 1, len(self._waiting))))]
        try:
            told = self._write([each.asked for each in group])
            for each, answer in zip(group, told, strict=True):
                each.told = answer
        except Exception:
            # of several it may be any one's: each finds out for itself
            if len(group) == 1:
                raise
        finally:
            with self._mutex:
                following = self._waiting.popleft() if self._waiting else None
                if following is None:
                    self._free += 1
            for each in group:
                each.was_taken = True
                each.turn.release()
            if following:
                following.turn.release()


class GroupCommitOfTasks(Generic[Asked, Told]):
    """The same for the tasks of one event loop, all of which are to ask on that loop."""

    def __init__(self, write: Callable[[Sequence[Asked]], Awaitable[Sequence[Told]]]) -> None:
        self._write = write
        self._waiting: deque[tuple[Asked, asyncio.Future[Told]]] = deque()
        self._free = ON_THE_WAY
        # kept: nobody else holds them
        self._leading: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Told:
        """What `write` tells of this. Raises what `write` raises for the group it went with: its asker asks by another
        way, alone."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, mine))
        if self._free:
            self._free -= 1
            # begun once all who are ready have come, and not cancelled with whoever happens to come first
            leading = asyncio.create_task(self._lead())
            self._leading.add(leading)
            leading.add_done_callback(self._leading.discard)
        told: Told = await mine
        return told

    async def _lead(self) -> None:
        while self._waiting:
            share = max(NOT_WORTH_SHARING, -(-len(self._waiting) // ON_THE_WAY))
            count = min(MOST_AT_ONCE, share, len(self._waiting))
            await self._written([self._waiting.popleft() for _ in range(count)])
        # at once, not when the task is over: whoever was answered just now may ask again before that
        self._free += 1

    async def _written(self, group: Sequence[tuple[Asked, asyncio.Future[Told]]]) -> None:
        # one that was cancelled meanwhile is not waited for any more, but what it asked is done
        try:
            told = await self._write([asked for asked, _ in group])
        except Exception as error:
            for _, waits in group:
                if not waits.done():
                    waits.set_exception(error)
        else:
            for (_, waits), answer in zip(group, told, strict=True):
                if not waits.done():
                    waits.set_result(answer)

    async def ended(self) -> None:
        """Nothing is on its way any more."""
        await asyncio.gather(*self._leading)
