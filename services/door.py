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
    file, inside = place_of_key(settings), place_inside(settings)
    if is_begun(inside) and not is_begun(file):
        raise SettingsError(f"the key-encryption key of this system is in {inside}: stop it and move it to {file}")
    try:
        return KeyFile(file).made()
    except OSError as error:
        raise SettingsError(
            f"the key-encryption key cannot be kept in {file}: {error.strerror}; would pass: IMPRIMATUR_KEY_FILE with "
            "a file outside DATA, in a folder that this user may write"
        ) from None


def place_of_key(settings: Settings) -> Path:
    """Beside DATA and not in it, so that no copy of DATA carries the key that opens what is sealed there (PR-12). An
    installation that began with its key inside keeps it there until someone moves it."""
    if settings.key_file:
        return settings.key_file
    inside = place_inside(settings)
    return inside if is_begun(inside) else folder_of_keys(settings.data) / KEY_FILE


def place_inside(settings: Settings) -> Path:
    return secrets_folder(settings.data) / KEY_FILE


def is_begun(file: Path) -> bool:
    keys = KeyFile(file)
    return keys.file.exists() or keys.next.exists()


def folder_of_keys(data: Path) -> Path:
    data = data.absolute()
    return data.with_name(f"{data.name}.keys")
