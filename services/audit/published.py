"""The log as others see it, outside the database's reach: a folder as C2SP tlog-tiles lays it out.

    checkpoint               the newest signed checkpoint
    tile/LEVEL/NTH           the tree's hashes, 256 in a tile
    tile/entries/NTH         the headers under those leaves
    checkpoints/SIZE         every checkpoint that was ever signed
    key.pub                  the log's public key
    witnesses/NAME           checkpoints as witnesses cosigned them; theirs to write
    timestamps/SIZE.tsr      answers of a time stamp authority (RFC 3161)

Whatever serves files can serve it; whoever copies it away can hold the log to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.audit.package_verifier import HASH_BYTES, Broken, Checkpoint, PublicKey
from services.audit.tree import WIDTH, TileAt, Tree
from services.durably import write_durably

LENGTH_BYTES = 2


class Published:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # -- reading

    def checkpoint(self, key: PublicKey) -> Checkpoint | None:
        """The newest one, or none where nothing is published. Broken where what lies there is not this log's."""
        raw = self.note()
        return Checkpoint.opened(raw, key) if raw is not None else None

    def note(self) -> bytes | None:
        return self._content("checkpoint")

    def notes(self) -> Iterator[tuple[Path, bytes]]:
        """Every checkpoint that lies here, the witnesses' copies among them; the newest last."""
        for folder in ("checkpoints", "witnesses"):
            for file in files_in(self.folder / folder):
                yield file, file.read_bytes()
        if (newest := self.note()) is not None:
            yield self.folder / "checkpoint", newest

    def cosigned(self) -> list[bytes]:
        """What witnesses have laid down here."""
        return [file.read_bytes() for file in sorted((self.folder / "witnesses").glob("*")) if file.is_file()]

    def tile(self, level: int, nth: int) -> bytes:
        """As many hashes as are published of this tile."""
        return self._whole_or_widest(TileAt(level, nth).path)

    def tree(self) -> Tree:
        return Tree(self.tile)

    def leaves(self) -> int:
        """How many leaf hashes lie here."""
        folder = self.folder / "tile" / "0"
        tiles = [int("".join(part.lstrip("x") for part in found)) for found in self._tiles(folder)]
        if not tiles:
            return 0
        last = max(tiles)
        return last * WIDTH + len(self.tile(0, last)) // HASH_BYTES

    def _tiles(self, folder: Path) -> Iterator[tuple[str, ...]]:
        """The names of the last tiles: the deepest folders sort last, so these alone are looked into."""
        files = sorted(each.name.removesuffix(".p") for each in folder.glob("[0-9]*"))
        if files:
            yield (files[-1],)
        above = sorted(each.name for each in folder.glob("x[0-9]*"))
        if above:
            yield from ((above[-1], *below) for below in self._tiles(folder / above[-1]))

    def entry(self, index: int) -> bytes | None:
        """The header that was published at this place."""
        bundle = self._whole_or_widest(TileAt(0, index // WIDTH).entries_path)
        found = entries_of(bundle)
        return found[index % WIDTH] if index % WIDTH < len(found) else None

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every header that is published, in order."""
        nth = 0
        while bundle := self._whole_or_widest(TileAt(0, nth).entries_path):
            yield from ((nth * WIDTH + place, entry) for place, entry in enumerate(entries_of(bundle)))
            nth += 1

    def _whole_or_widest(self, path: str) -> bytes:
        whole = self._content(path)
        if whole is not None:
            return whole
        widths = [int(each.name) for each in (self.folder / f"{path}.p").glob("*") if each.name.isdigit()]
        return (self._content(f"{path}.p/{max(widths)}") or b"") if widths else b""

    def _content(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    # -- writing: tiles first, the checkpoint that needs them last

    def put_tile(self, at: TileAt, hashes: bytes) -> None:
        self._put(at.path, hashes)

    def put_entries(self, at: TileAt, entries: Iterable[bytes]) -> None:
        self._put(at.entries_path, b"".join(len(each).to_bytes(LENGTH_BYTES, "big") + each for each in entries))

    def put_checkpoint(self, size: int, note: bytes) -> None:
        self._put(f"checkpoints/{size:012}", note)
        self._put("checkpoint", note)

    def put_key(self, key: PublicKey) -> None:
        raw = f"{key.text}\n".encode()
        if self._content("key.pub") != raw:
            self._put("key.pub", raw)

    def put_stamp(self, size: int, answer: bytes) -> None:
        self._put(f"timestamps/{size:012}.tsr", answer)

    def forget_parts_of(self, at: TileAt) -> None:
        """Once a tile is whole, what was published of its parts is in it."""
        for path in (at.path, at.entries_path):
            parts = self.folder / f"{path}.p"
            for each in parts.glob("*"):
                each.unlink()
            if parts.is_dir():
                parts.rmdir()

    def _put(self, path: str, content: bytes) -> None:
        put(self.folder / path, content)


def put(file: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, content)


def files_in(folder: Path) -> Iterator[Path]:
    """In no order, and not all of them at once."""
    if folder.is_dir():
        with os.scandir(folder) as found:
            yield from (Path(each.path) for each in found if each.is_file() and not each.name.endswith(".new"))


def entries_of(bundle: bytes) -> list[bytes]:
    found, at = [], 0
    while at + LENGTH_BYTES <= len(bundle):
        length = int.from_bytes(bundle[at : at + LENGTH_BYTES], "big")
        found.append(bundle[at + LENGTH_BYTES : at + LENGTH_BYTES + length])
        at += LENGTH_BYTES + length
    if at != len(bundle) or (found and at < len(bundle)):
        raise Broken("a bundle of published headers is cut off")
    return found
