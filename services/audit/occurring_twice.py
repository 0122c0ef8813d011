"""Which ids occur twice among ever so many? Without keeping them in memory, and without asking whoever gave them.

They are written to files without a name, by the way they begin, and each of these is looked through for itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from json.encoder import encode_basestring as quoted
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self
from zlib import crc32

BEGINNING = 2
# of ids in memory at once while one file is looked through; more go through it part by part
AT_ONCE_BYTES = 1 << 20
# beyond so many beginnings, ids are no uuids: what they begin with says nothing then
FILES_MOST = 300
OTHERS = ""


class OccurringTwice:
    def __init__(self, at_once: int = AT_ONCE_BYTES) -> None:
        self._at_once = at_once
        self._held = ExitStack()
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def learn(self, ids: Iterable[str]) -> None:
        begun: dict[str, list[str]] = defaultdict(list)
        for each in ids:
            # one line each, whatever is in it
            begun[each[:BEGINNING]].append(quoted(each))
        for beginning, lines in begun.items():
            lines.append("")
            self._file(beginning).write("\n".join(lines).encode())

    def _file(self, beginning: str) -> IO[bytes]:
        if beginning not in self._files and len(self._files) >= FILES_MOST:
            beginning = OTHERS
        if beginning not in self._files:
            self._files[beginning] = self._held.enter_context(TemporaryFile())  # noqa: SIM115  # by the stack
        return self._files[beginning]

    def found(self) -> Iterator[str]:
        """Each once for every time too many."""
        for file in self._files.values():
            parts = file.tell() // self._at_once + 1
            for part in range(parts):
                file.seek(0)
                yield from twice_among(file, part, parts)


def twice_among(lines: Iterable[bytes], part: int, parts: int) -> Iterator[str]:
    seen: set[bytes] = set()
    for line in lines:
        if parts > 1 and crc32(line) % parts != part:
            continue
        if line in seen:
            yield str(json.loads(line))
        seen.add(line)
