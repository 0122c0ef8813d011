"""The keys that sign checkpoints: the log's own and each witness's (Ed25519, in the form of signed notes)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.package_verifier import ED25519, TIME_BYTES, Broken, PublicKey, coded, decoded
from services.settings import Settings, SettingsError, secrets_folder, write_whole

BEGINS = "PRIVATE+KEY"


class SigningKey:
    def __init__(self, name: str, kind: int, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        self.public = PublicKey(name, kind, self._key.public_key().public_bytes_raw())

    @classmethod
    def fresh(cls, name: str = "", kind: int = ED25519) -> Self:
        """Without a name the key names itself, so that no two logs are called the same."""
        key = Ed25519PrivateKey.generate()
        own = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
        return cls(name or f"imprimatur/{own}", kind, key.private_bytes_raw())

    @classmethod
    def of_text(cls, text: str) -> Self:
        body = text.strip().removeprefix(f"{BEGINS}+")
        name, id_, key = [*body.split("+", 2), "", ""][:3]
        raw = decoded(key)
        found = cls(name, raw[0], raw[1:])
        if found.public.id.hex() != id_ or not name:
            raise Broken("this is no private key of a signed note")
        return found

    @classmethod
    def of_file(cls, file: Path, name: str = "", kind: int = ED25519) -> Self:
        """The key in this file; made on first use, readable by its owner alone."""
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, f"{cls.fresh(name, kind).text}\n", mode=0o600)
        try:
            return cls.of_text(file.read_text())
        except (Broken, ValueError, IndexError):
            raise SettingsError(f"{file} holds no private key of a signed note") from None

    @property
    def text(self) -> str:
        public = self.public
        return f"{BEGINS}+{public.name}+{public.id.hex()}+{coded(bytes([public.kind]) + self._seed)}"

    def sign(self, text: str) -> bytes:
        """The note: the text with this key's signature."""
        return f"{text}\n{self._line(self._key.sign(text.encode()))}".encode()

    def cosign(self, text: str, at: int) -> str:
        """The line of a witness: what it saw at a moment (seconds since 1970) was consistent with all it saw before."""
        signed = self._key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        return self._line(at.to_bytes(TIME_BYTES, "big") + signed)

    def _line(self, signature: bytes) -> str:
        return f"— {self.public.name} {coded(self.public.id + signature)}\n"


def log_key(settings: Settings) -> SigningKey:
    return SigningKey.of_file(log_key_file(settings), settings.log_name or "")


def log_key_file(settings: Settings) -> Path:
    return secrets_folder(settings.data) / "log.key"


def public_key_of(file: Path) -> PublicKey:
    """The public key in a file; SettingsError where it holds none."""
    try:
        return PublicKey.of_text(file.read_text())
    except (OSError, UnicodeDecodeError, Broken) as error:
        raise SettingsError(f"{file}: {error}") from None
