"""Files that are on the disk, whole, when whoever wrote them goes on."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_durably(file: Path, content: bytes) -> None:
    """Whole or not at all, in a folder that is there, and on the disk when this returns."""
    fresh = file.with_name(f"{file.name}.{uuid4().hex}.new")
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
