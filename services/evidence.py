"""Evidence files beside the log: sealed, named by the hash of their ciphertext, never changed and never in a payload."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from domain.facts import Evidence, Malformed
from services.recorder import LedgerRecorder
from services.seal import Seal

LARGEST_FILE_BYTES = 25_000_000


class EvidenceStore:
    def __init__(self, folder: Path, recorder: LedgerRecorder, seal: Seal) -> None:
        self._folder, self._recorder, self._seal = folder, recorder, seal

    def put(self, content: bytes, media_type: str, case: str) -> Evidence:
        """Keep a file for a case. The same file again is the same evidence. Malformed where it is empty or too large."""
        if not content or len(content) > LARGEST_FILE_BYTES:
            raise Malformed("file", f"{len(content)} bytes", f"1 to {LARGEST_FILE_BYTES} bytes")
        evidence, ciphertext = self._seal.file(content, media_type, case)
        write_durably(self._file(evidence.sha256), ciphertext)
        self._recorder.note_evidence(evidence.sha256, evidence.size)
        return evidence

    def get(self, evidence: Evidence) -> bytes:
        """The file in clear; raises CannotOpen where its key is gone, FileNotFoundError where the file is."""
        return self._seal.opened_file(evidence, self._file(evidence.sha256).read_bytes())

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def write_durably(file: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk before anything names it."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{uuid4().hex}")
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
