"""Looks for a marker in raw bytes, however they were written: in clear, in base64, in hex, compressed by zlib or gzip,
or inside a row that PostgreSQL compressed. And for keys, wherever a wrapped one may lie."""

from __future__ import annotations

import base64
import re
import secrets
import string
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from services.key_store import KeyEncryptionKey

LETTERS = string.ascii_letters + string.digits
LENGTH = 40
# pglz puts a byte of flags before each eight items, so eight letters that it does not abbreviate stand together
TOGETHER = 8
GROUPS_OF_THREE = 3
LARGEST_UNPACKED = 4_000_000
# of zlib at each of its levels, and of gzip
PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", re.DOTALL)
WINDOW = 15 + 32
# a wrapped key is forty bytes; as PostgreSQL stores it, the byte of its length stands before it
WRAPPED = 40
BEFORE_A_KEK = re.compile(rb"(?=(.{40})\x23[0-9a-f]{16})", re.DOTALL)
WITH_ITS_LENGTH = re.compile(rb"(?=\x53(.{40}))", re.DOTALL)


def a_tag() -> str:
    """So unlike anything else that eight letters of it are found by chance nowhere."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))


def forms_of(tag: str) -> dict[str, bytes]:
    raw = tag.encode()
    # wherever the groups of eight begin, two of them lie within these letters
    windows = {f"letters from {at}": raw[at : at + TOGETHER] for at in range(2 * TOGETHER)}
    encoded = {f"base64, {shift} bytes on": in_base64(raw, shift) for shift in range(GROUPS_OF_THREE)}
    in_hex = {"hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    return windows | encoded | in_hex


def in_base64(raw: bytes, shift: int) -> bytes:
    """What of it stands in base64 whatever comes before and after, where it begins so many bytes into a group."""
    coded = base64.b64encode(b"\x00" * shift + raw)
    return coded[4 if shift else 0 : len(coded) - 4]


def found_in(content: bytes, tag: str, unpacked: bool = False) -> list[str]:
    """In which forms the tag stands in these bytes."""
    found = [form for form, written in forms_of(tag).items() if written in content]
    if not unpacked:
        for at, inner in unpacked_in(content):
            found += [f"{form} in what is compressed at {at}" for form in found_in(inner, tag, unpacked=True)]
    return found


def unpacked_in(content: bytes) -> Iterator[tuple[int, bytes]]:
    for start in PACKED.finditer(content):
        try:
            inner = zlib.decompressobj(WINDOW).decompress(content[start.start() : start.start() + LARGEST_UNPACKED])
        except zlib.error:
            continue
        if len(inner) > TOGETHER:
            yield start.start(), inner


def contents_of(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with what is in it; a server at work takes its temporary ones away before they are read."""
    for folder in folders:
        for file in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                continue
            yield file, content


def where(tag: str, *folders: Path) -> dict[str, list[str]]:
    """Each file in which the tag is found, and in which forms."""
    found: dict[str, list[str]] = {}
    for file, content in contents_of(*folders):
        if forms := found_in(content, tag):
            found[str(file)] = forms
    return found


# keys


def wrapped_keys_in(*folders: Path, thoroughly: Collection[str] = ()) -> set[bytes]:
    """Whatever may be a wrapped key: rows of today, dead rows, the write-ahead log. `thoroughly` names files, a
    table's, in which every place is one."""
    found: set[bytes] = set()
    for file, content in contents_of(*folders):
        if file.name in thoroughly:
            found.update(content[at : at + WRAPPED] for at in range(len(content) - WRAPPED + 1))
        for pattern in (BEFORE_A_KEK, WITH_ITS_LENGTH):
            found.update(pattern.findall(content))
    return found


def unwrapped_by(kek: KeyEncryptionKey, candidates: Collection[bytes]) -> set[bytes]:
    keys: set[bytes] = set()
    for candidate in candidates:
        try:
            keys.add(kek.unwrap(candidate))
        except InvalidUnwrap:
            continue
    return keys
