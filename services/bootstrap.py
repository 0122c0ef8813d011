"""What the first start of an installation does, and what every later start finds done."""

from __future__ import annotations

from pathlib import Path

from services.clock import SystemClock
from services.door import door_key, key_encryption_key
from services.founding import found, is_founded
from services.ledger import Ledger
from services.settings import Settings, SettingsError


def first_start(settings: Settings, policy_file: Path | None, staff_file: Path | None) -> bool:
    """Found the system if it is not: adopt the policy, import the first staff. True when it did so now."""
    key_encryption_key(settings)
    door = door_key(settings)
    ledger = Ledger(settings.recorder_url, SystemClock(), door.verifier(), pool_size=2)
    try:
        if is_founded(ledger):
            return False
        if policy_file is None:
            raise SettingsError(
                "no policy is adopted yet: name the policy file (--policy FILE or IMPRIMATUR_POLICY_FILE)"
            )
        found(ledger, door.public, policy_file, staff_file)
        return True
    finally:
        ledger.close()
