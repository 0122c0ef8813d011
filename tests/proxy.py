"""A TCP proxy before PostgreSQL that lets a statement through and loses its answer, as a cut cable would.

It reads just enough of the frontend protocol to tell the statement that records a decision, also when it was prepared
before, from all others.
"""

from __future__ import annotations

import asyncio
import struct
from threading import Lock, Thread
from types import TracebackType
from typing import Self

# what commits: the call of the recording function by itself, and the end of a longer transaction
COMMITTING = (b"record_decision_in_events", b"record_decisions_in_events", b"COMMIT")
ASKS_FOR_ENCRYPTION = {80877103, 80877104}
READY = (b"Z\x00\x00\x00\x05I", b"Z\x00\x00\x00\x05T", b"Z\x00\x00\x00\x05E")


class Statements:
    """What one client asks for: whether a chunk of what it sends runs one of the statements looked for."""

    def __init__(self, wanted: tuple[bytes, ...]) -> None:
        self._wanted = wanted
        self._prepared: set[bytes] = set()
        self._started = False
        self._rest = b""

    def runs_one(self, chunk: bytes) -> bool:
        self._rest += chunk
        found = False
        while message := self._next_message():
            kind, body = message
            if kind == b"P":
                name, _, text = body.partition(b"\0")
                self._prepared.discard(name)
                if self._is_wanted(text):
                    self._prepared.add(name)
            found |= kind == b"B" and body.split(b"\0", 2)[1] in self._prepared
            found |= kind == b"Q" and self._is_wanted(body)
        return found

    def _next_message(self) -> tuple[bytes, bytes] | None:
        typed = int(self._started)
        if len(self._rest) < 4 + typed:
            return None
        (length,) = struct.unpack_from("!i", self._rest, typed)
        if len(self._rest) < length + typed:
            return None
        kind, body = self._rest[:typed], self._rest[4 + typed : length + typed]
        self._rest = self._rest[length + typed :]
        if not self._started:
            self._started = struct.unpack_from("!i", body)[0] not in ASKS_FOR_ENCRYPTION
            return b"startup", body
        return kind, body

    def _is_wanted(self, text: bytes) -> bool:
        return any(each in text for each in self._wanted)


class DroppingProxy:
    """`drop_next_answer()`: the next committing statement reaches the server and is carried out; then both of its
    connections are cut, and the client never learns what came of it. `dropped` counts how often that happened, `lost`
    keeps the answers."""

    def __init__(self, target_host: str, target_port: int, wanted: tuple[bytes, ...] = COMMITTING) -> None:
        self._target = (target_host, target_port)
        self._wanted = wanted
        self._lock = Lock()
        self._to_drop = 0
        self.dropped = 0
        self.lost: list[bytes] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="dropping-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    __enter__ = start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def drop_next_answer(self, times: int = 1) -> None:
        with self._lock:
            self._to_drop += times

    def _takes_one(self) -> bool:
        with self._lock:
            if not self._to_drop:
                return False
            self._to_drop -= 1
            return True

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for each in list(self._connections):
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            to_client.close()
            return
        cut = asyncio.Event()
        both = [
            asyncio.create_task(self._up(client, to_server, cut)),
            asyncio.create_task(self._down(server, to_client, cut)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            to_client.close()
            to_server.close()

    async def _up(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        statements = Statements(self._wanted)
        while chunk := await client.read(65_536):
            if statements.runs_one(chunk) and self._takes_one():
                cut.set()
            to_server.write(chunk)
            await to_server.drain()
        if cut.is_set():
            # the server still has to finish, so that the answer is lost and not the statement
            await asyncio.sleep(5)

    async def _down(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        lost = b""
        while chunk := await server.read(65_536):
            if cut.is_set():
                lost += chunk
                if lost.endswith(READY):
                    self.dropped += 1
                    self.lost.append(lost)
                    return
                continue
            to_client.write(chunk)
            await to_client.drain()
