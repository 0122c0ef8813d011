"""Where the keys of a door are: the signing key, and the key-encryption key of the seal."""

from __future__ import annotations

from pathlib import Path

from services.credentials import DoorKey
from services.key_store import KeyFile
from services.settings import Settings, SettingsError, secrets_folder

KEY_FILE = "key-encryption.key"


def door_key(settings: Settings) -> DoorKey:
    return DoorKey.of_file(secrets_folder(settings.data) / "door.jwk")


def key_encryption_key(settings: Settings) -> KeyFile:
    """Made on first use. SettingsError where it cannot be, or where another was named than this system began with."""
    inside = KeyFile(secrets_folder(settings.data) / KEY_FILE)
    if settings.key_file is None and inside.is_begun():
        # an installation that began so keeps it there until someone moves it
        return inside
    # beside DATA and not in it, so that no copy of DATA carries the key that opens what is sealed there (PR-12)
    key = KeyFile(settings.key_file or folder_of_keys(settings.data) / KEY_FILE)
    if inside.is_begun() and not key.is_begun():
        raise SettingsError(
            f"the key-encryption key of this system is in {inside.file}: stop it and move it to {key.file}"
        )
    try:
        return key.made()
    except OSError as error:
        raise SettingsError(
            f"the key-encryption key cannot be kept in {key.file}: {error.strerror}; would pass: IMPRIMATUR_KEY_FILE "
            "with a file outside DATA, in a folder that this user may write"
        ) from None


def folder_of_keys(data: Path) -> Path:
    data = data.absolute()
    return data.with_name(f"{data.name}.keys")
