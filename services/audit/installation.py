"""`audit verify` of this installation: its database against its published folder and whatever an auditor brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.audit.keys import log_key, log_key_file, public_key_of
from services.audit.notary import memory_of, refusal_beside
from services.audit.package_verifier import PublicKey
from services.audit.published import Published
from services.audit.signed import Noted
from services.audit.time_stamps import authority_of, there_are_stamps, wrong_stamps
from services.audit.verify import verify
from services.settings import Settings, SettingsError

WHO_STAMPED = "who signed the time stamps: set IMPRIMATUR_TSA_CERTIFICATE to the authority's root certificate"


def verify_installation(
    settings: Settings, published: Path | None = None, key: Path | None = None, checkpoints: Sequence[Path] = ()
) -> dict[str, Any]:
    """`published`, `key`, `checkpoints`: what an auditor has kept, instead of and beside what lies here. `unchecked`
    tells what could not be looked at."""
    folder = Published(published or settings.published_folder)
    if published and folder.note() is None:
        raise SettingsError(f"{published} holds no published log")
    notes = [noted(each) for each in checkpoints]
    remembered = memory_of(settings)
    if remembered.exists():
        notes.append(noted(remembered)._replace(ahead=True))
    there = folder if folder.note() is not None else None
    found = verify(settings.reader_url, there, public_key(settings, key), notes)
    authority = authority_of(settings)
    found["findings"] += [finding._asdict() for finding in wrong_stamps(folder, authority)]
    found["unchecked"] = [WHO_STAMPED] if authority is None and there_are_stamps(folder) else []
    refused = refusal_beside(remembered)
    if refused.exists():
        found["findings"].append({"where": "the notary", "what": f"signs nothing: {refused.read_text().strip()}"})
    return found


def public_key(settings: Settings, given: Path | None = None) -> PublicKey | None:
    """The one that is given, or else the one of this installation, where it has any yet."""
    if given:
        return public_key_of(given)
    if log_key_file(settings).exists():
        return log_key(settings).public
    beside = settings.published_folder / "key.pub"
    return public_key_of(beside) if beside.exists() else None


def noted(file: Path) -> Noted:
    try:
        return Noted(str(file), file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
