"""Evidence files beside the log: sealed, named by the hash of their ciphertext, never changed, never in a payload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from domain.facts import Evidence, Malformed
from services.durably import write_durably
from services.recorder import LedgerRecorder
from services.seal import CannotOpen, KeyDestroyed, Seal

LARGEST_FILE_BYTES = 25_000_000
# stands in clear beside the file, so it says nothing but what kind of file it is
MEDIA_TYPES = frozenset(
    {
        *(f"image/{each}" for each in ("png", "jpeg", "gif", "webp", "tiff", "heic", "svg+xml")),
        *(f"application/{each}" for each in ("pdf", "json", "zip", "gzip", "xml", "octet-stream", "msword", "rtf")),
        *(f"text/{each}" for each in ("plain", "html", "csv", "markdown")),
        *(f"video/{each}" for each in ("mp4", "webm", "quicktime")),
        *(f"audio/{each}" for each in ("mpeg", "mp4", "ogg", "wav")),
        "message/rfc822",
    }
)


class EvidenceStore:
    def __init__(self, folder: Path, recorder: LedgerRecorder, seal: Seal) -> None:
        self._folder, self._recorder, self._seal = folder, recorder, seal

    def put(self, content: bytes, media_type: str, case: str, also_under: Iterable[str] = ()) -> Evidence:
        """Keep a file for a case, sealed under these keys too. The same file again is the same evidence. Malformed:
        empty, too large, of a kind that is not kept, or about someone who was erased."""
        if not content or len(content) > LARGEST_FILE_BYTES:
            raise Malformed("file", f"{len(content)} bytes", f"1 to {LARGEST_FILE_BYTES} bytes")
        try:
            evidence, ciphertext = self._seal.file(content, known_media_type(media_type), case, also_under)
        except KeyDestroyed:
            because = "whom it is about was erased, and nothing more is kept of them"
            raise Malformed("file", because, "a file of another case, about others") from None
        # on the disk before the index names it, and in the index before any fact does
        keep(self._file(evidence.sha256), ciphertext)
        self._recorder.note_evidence(evidence.sha256, evidence.size)
        return evidence

    def is_whole(self, evidence: Evidence) -> bool:
        """Whether the file is what its name says. FileNotFoundError where it is lost."""
        return hashlib.sha256(self._file(evidence.sha256).read_bytes()).hexdigest() == evidence.sha256

    def get(self, evidence: Evidence) -> bytes:
        """The file in clear. CannotOpen where its key is gone or it was changed, FileNotFoundError where it is lost."""
        ciphertext = self._file(evidence.sha256).read_bytes()
        if hashlib.sha256(ciphertext).hexdigest() != evidence.sha256:
            raise CannotOpen(f"the file {evidence.sha256} is not what its name says: it was changed or damaged")
        return self._seal.opened_file(evidence, ciphertext)

    def holds(self, evidence: Evidence) -> bool:
        return self._file(evidence.sha256).is_file()

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def known_media_type(given: str) -> str:
    """Without its parameters, which may say anything. Malformed where it is none of those we know."""
    name = given.partition(";")[0].strip().lower()
    if name not in MEDIA_TYPES:
        would_pass = f"one of {', '.join(sorted(MEDIA_TYPES))}"
        raise Malformed("media_type", "none of the media types that are kept", would_pass)
    return name


def keep(file: Path, content: bytes) -> None:
    """On the disk when this returns. Its name says what is in it: one that is there is it."""
    if file.exists() and file.stat().st_size == len(content):
        return
    file.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.parent.mkdir(exist_ok=True, mode=0o700)
    write_durably(file, content)
