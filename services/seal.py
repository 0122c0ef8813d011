"""Free texts and evidence files, sealed before they touch anything durable.

Each has a data key of its own (AES-256-GCM), bound by associated data to the wrapping keys, the command and the field.
The data key is wrapped (RFC 3394) by the case's key and then by the key of each patron concerned, one inside the other:
all of them are needed to open it, so destroying one destroys the text everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from domain.facts import Evidence, Sealed, case_key, patron_key
from services.key_store import CannotOpen, KeyDestroyed, KeyEncryptionKey, KeyFile, KeyStore

__all__ = [
    "ERASED",
    "CannotOpen",
    "KeyDestroyed",
    "KeyEncryptionKey",
    "KeyFile",
    "KeyStore",
    "Opening",
    "Seal",
    "Sealing",
    "case_key",
    "patron_key",
]

NONCE_BYTES = 12
ERASED = "[erased]"


class WrappingKeys(Protocol):
    """Where the wrapping keys are, by id: the key store."""

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]: ...

    def existing(self, key_ids: Iterable[str]) -> dict[str, bytes]: ...


class Seal:
    """Seals at the door, opens where something is shown."""

    def __init__(self, keys: WrappingKeys) -> None:
        self._keys = keys

    def under(self, case: str, command_id: str, also_under: Iterable[str] = ()) -> Sealing:
        """For the texts of one command: the keys are asked for once. KeyDestroyed where one is gone for good."""
        ids = (case_key(case), *sorted(set(also_under)))
        return Sealing(ids, self._keys.keys(ids), command_id)

    def text(self, clear: str, case: str, command_id: str, field: str, also_under: Iterable[str] = ()) -> Sealed:
        return self.under(case, command_id, also_under).text(clear, field)

    def opening(self, key_ids: Iterable[str]) -> Opening:
        """For what is shown together: the keys that exist at this moment, asked for once."""
        return Opening(self._keys.existing(key_ids))

    def opened(self, sealed: Sealed, command_id: str, field: str) -> str:
        """The clear text, or CannotOpen."""
        return self.opening(sealed.under).text(sealed, command_id, field)

    def file(
        self, content: bytes, media_type: str, case: str, also_under: Iterable[str] = ()
    ) -> tuple[Evidence, bytes]:
        """What a fact says of the file, and the ciphertext that is stored under that name."""
        return self.under(case, "", also_under).file(content, media_type)

    def opened_file(self, evidence: Evidence, ciphertext: bytes) -> bytes:
        return self.opening(evidence.under).file(evidence, ciphertext)


class Sealing:
    def __init__(self, under: tuple[str, ...], keys: Mapping[str, bytes], command_id: str) -> None:
        self._under, self._keys, self._command_id = under, [keys[each] for each in under], command_id

    def text(self, clear: str, field: str) -> Sealed:
        wrapped, nonce, ciphertext = self._sealed(clear.encode(), f"{self._command_id}/{field}")
        return Sealed(under=self._under, wrapped=coded(wrapped), nonce=coded(nonce), ciphertext=coded(ciphertext))

    def file(self, content: bytes, media_type: str) -> tuple[Evidence, bytes]:
        wrapped, nonce, ciphertext = self._sealed(content, "evidence")
        named = Evidence(
            sha256=hashlib.sha256(ciphertext).hexdigest(),
            size=len(content),
            media_type=media_type,
            under=self._under,
            wrapped=coded(wrapped),
            nonce=coded(nonce),
        )
        return named, ciphertext

    def _sealed(self, clear: bytes, place: str) -> tuple[bytes, bytes, bytes]:
        """The same text in the same place seals to the same bytes, so that a command sent again is the same command;
        any other text or place gets another data key and another nonce."""
        bound_to = associated(self._under, place)
        data_key = derived(self._keys, b"data key", clear, bound_to)
        nonce = derived(self._keys, b"nonce", clear, bound_to)[:NONCE_BYTES]
        ciphertext = AESGCM(data_key).encrypt(nonce, clear, bound_to)
        wrapped = data_key
        for key in self._keys:
            wrapped = aes_key_wrap(key, wrapped)
        return wrapped, nonce, ciphertext


class Opening:
    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    def text(self, sealed: Sealed, command_id: str, field: str) -> str:
        """The clear text, or CannotOpen."""
        return self._opened(sealed, sealed.ciphertext, f"{command_id}/{field}").decode()

    def file(self, evidence: Evidence, ciphertext: bytes) -> bytes:
        return self._opened(evidence, ciphertext, "evidence")

    def _opened(self, sealed: Sealed | Evidence, ciphertext: bytes | str, place: str) -> bytes:
        try:
            ciphertext = decoded(ciphertext) if isinstance(ciphertext, str) else ciphertext
            data_key = decoded(sealed.wrapped)
            for key_id in reversed(sealed.under):
                data_key = aes_key_unwrap(self._key(key_id), data_key)
            return AESGCM(data_key).decrypt(decoded(sealed.nonce), ciphertext, associated(sealed.under, place))
        except (InvalidTag, InvalidUnwrap, ValueError) as error:
            raise CannotOpen("sealed for another case, command or field, or damaged") from error

    def _key(self, key_id: str) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            raise CannotOpen(f"the key {key_id} does not exist (any more)")
        return key


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
