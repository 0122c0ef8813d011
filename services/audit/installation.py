"""`audit verify` of this installation: its database against its published folder and whatever an auditor brings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rfc3161_client import decode_timestamp_response

from services.audit.keys import log_key, log_key_file, public_key_of
from services.audit.notary import memory_of, refusal_beside
from services.audit.package_verifier import PublicKey
from services.audit.published import Published
from services.audit.signed import Finding, Noted
from services.audit.verify import verify
from services.settings import Settings, SettingsError


def verify_installation(
    settings: Settings, published: Path | None = None, key: Path | None = None, checkpoints: Sequence[Path] = ()
) -> dict[str, Any]:
    """`published`, `key`, `checkpoints`: what an auditor has kept, instead of and beside what lies here."""
    folder = Published(published or settings.published_folder)
    if published and folder.note() is None:
        raise SettingsError(f"{published} holds no published log")
    notes = [noted(each) for each in checkpoints]
    remembered = memory_of(settings)
    if remembered.exists():
        notes.append(noted(remembered)._replace(ahead=True))
    there = folder if folder.note() is not None else None
    found = verify(settings.reader_url, there, public_key(settings, key), notes)
    found["findings"] += [finding._asdict() for finding in stamps_on_something_else(folder)]
    refused = refusal_beside(remembered)
    if refused.exists():
        found["findings"].append({"where": "the notary", "what": f"signs nothing: {refused.read_text().strip()}"})
    return found


def stamps_on_something_else(published: Published) -> Iterator[Finding]:
    """Time stamps that lie beside a checkpoint and are not on it. Who made them, `openssl ts -verify` says."""
    for file in sorted((published.folder / "timestamps").glob("*.tsr")):
        checkpoint = published.folder / "checkpoints" / file.stem
        try:
            stamped = decode_timestamp_response(file.read_bytes()).tst_info.message_imprint.message
            if stamped != hashlib.sha512(checkpoint.read_bytes()).digest():
                yield Finding(str(file), f"the time stamp is not on the checkpoint {checkpoint}")
        except (ValueError, OSError):
            yield Finding(str(file), "this is no time stamp on a checkpoint that is published")


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
