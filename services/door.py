"""Where the keys of a door are: the signing key, and the key-encryption key of the seal."""

from __future__ import annotations

from services.credentials import DoorKey
from services.key_store import KeyFile
from services.settings import Settings, secrets_folder


def door_key(settings: Settings) -> DoorKey:
    return DoorKey.of_file(secrets_folder(settings.data) / "door.jwk")


def key_encryption_key(settings: Settings) -> KeyFile:
    return KeyFile(settings.key_file or secrets_folder(settings.data) / "key-encryption.key").made()
