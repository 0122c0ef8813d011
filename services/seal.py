"""Free texts and evidence files, sealed before they touch anything durable.

Each has a data key of its own (AES-256-GCM), bound by associated data to the wrapping keys, the command and the field.
The data key is wrapped (RFC 3394) by the case's key and then by each further key that it is sealed under, one inside
the other: all of them are needed to open it, so destroying one destroys the text everywhere. Wrapping keys stand in a
database schema of their own, wrapped by a key-encryption key that is kept outside the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from psycopg_pool import ConnectionPool

from domain.facts import Evidence, Sealed
from services.settings import write_whole

KEY_BYTES = 32
NONCE_BYTES = 12
ERASED = "[erased]"
STORED = "select wrapped, kek from keys.wrapping where key_id = %s"
MAKE = "insert into keys.wrapping values (%s, %s, %s) on conflict (key_id) do nothing"


class CannotOpen(Exception):
    """A key it was sealed under is gone, or it was sealed for another place."""


class KeyEncryptionKey:
    """The one key outside the database. `id` tells which one wrapped a row, so that it can be rotated."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = hashlib.sha256(b"imprimatur kek id" + secret).hexdigest()[:16]

    @classmethod
    def of_file(cls, file: Path) -> KeyEncryptionKey:
        """The key in this file (base64); made on first use, readable by its owner alone."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, base64.b64encode(os.urandom(KEY_BYTES)).decode(), mode=0o600)
        return cls(base64.b64decode(file.read_text()))

    def wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._secret, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return aes_key_unwrap(self._secret, wrapped)


class KeyStore:
    """The wrapping keys, by id (`case:<case id>`): made once, whoever asks first."""

    def __init__(self, url: str, kek: KeyEncryptionKey) -> None:
        self._pool = ConnectionPool(url, min_size=1, max_size=4, open=True, kwargs={"autocommit": True})
        self._kek, self._known, self._lock = kek, dict[str, bytes](), Lock()

    def key(self, key_id: str) -> bytes:
        with self._lock:
            known = self._known.get(key_id)
        return known or self._stored(key_id) or self._made(key_id)

    def existing(self, key_id: str) -> bytes:
        with self._lock:
            known = self._known.get(key_id)
        key = known or self._stored(key_id)
        if key is None:
            raise CannotOpen(f"the key {key_id} does not exist (any more)")
        return key

    def _stored(self, key_id: str) -> bytes | None:
        with self._pool.connection() as conn:
            row = conn.execute(STORED, (key_id,), prepare=True).fetchone()
        if row is None:
            return None
        wrapped, kek = row
        if kek != self._kek.id:
            raise CannotOpen(f"the key {key_id} is wrapped by another key-encryption key ({kek}) than this system has")
        key = self._kek.unwrap(wrapped)
        with self._lock:
            self._known[key_id] = key
        return key

    def _made(self, key_id: str) -> bytes:
        """Of two who make it at once one is stored, and both read that one."""
        fresh = self._kek.wrap(os.urandom(KEY_BYTES))
        with self._pool.connection() as conn:
            conn.execute(MAKE, (key_id, fresh, self._kek.id))
        return self.existing(key_id)

    def close(self) -> None:
        self._pool.close()


class Seal:
    """Seals at the door, opens where something is shown."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def text(self, clear: str, case: str, command_id: str, field: str, also_under: Iterable[str] = ()) -> Sealed:
        under = (case_key(case), *also_under)
        wrapped, nonce, ciphertext = self._sealed(clear.encode(), under, f"{command_id}/{field}")
        return Sealed(under=under, wrapped=coded(wrapped), nonce=coded(nonce), ciphertext=coded(ciphertext))

    def opened(self, sealed: Sealed, command_id: str, field: str) -> str:
        """The clear text, or CannotOpen."""
        return self._opened(sealed, sealed.ciphertext, f"{command_id}/{field}").decode()

    def file(self, content: bytes, media_type: str, case: str) -> tuple[Evidence, bytes]:
        """What a fact says of the file, and the ciphertext that is stored under that name."""
        under = (case_key(case),)
        wrapped, nonce, ciphertext = self._sealed(content, under, "evidence")
        named = Evidence(
            sha256=hashlib.sha256(ciphertext).hexdigest(),
            size=len(content),
            media_type=media_type,
            under=under,
            wrapped=coded(wrapped),
            nonce=coded(nonce),
        )
        return named, ciphertext

    def opened_file(self, evidence: Evidence, ciphertext: bytes) -> bytes:
        return self._opened(evidence, ciphertext, "evidence")

    def _sealed(self, clear: bytes, under: tuple[str, ...], place: str) -> tuple[bytes, bytes, bytes]:
        """The same text in the same place seals to the same bytes, so that a command sent again is the same command;
        any other text or place gets another data key and another nonce."""
        keys = [self._keys.key(key_id) for key_id in under]
        data_key = derived(keys, b"data key", clear, associated(under, place))
        nonce = derived(keys, b"nonce", clear, associated(under, place))[:NONCE_BYTES]
        ciphertext = AESGCM(data_key).encrypt(nonce, clear, associated(under, place))
        wrapped = data_key
        for key in keys:
            wrapped = aes_key_wrap(key, wrapped)
        return wrapped, nonce, ciphertext

    def _opened(self, sealed: Sealed | Evidence, ciphertext: bytes | str, place: str) -> bytes:
        try:
            ciphertext = decoded(ciphertext) if isinstance(ciphertext, str) else ciphertext
            data_key = decoded(sealed.wrapped)
            for key_id in reversed(sealed.under):
                data_key = aes_key_unwrap(self._keys.existing(key_id), data_key)
            return AESGCM(data_key).decrypt(decoded(sealed.nonce), ciphertext, associated(sealed.under, place))
        except (InvalidTag, InvalidUnwrap, ValueError) as error:
            raise CannotOpen("sealed for another case, command or field, or damaged") from error


def case_key(case: str) -> str:
    return f"case:{case}"


def derived(keys: list[bytes], purpose: bytes, clear: bytes, place: bytes) -> bytes:
    value = purpose + b"\x00" + place + b"\x00" + clear
    for key in keys:
        value = hmac.digest(key, value, "sha256")
    return value


def associated(under: tuple[str, ...], place: str) -> bytes:
    return "\n".join((*under, place)).encode()


def coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
