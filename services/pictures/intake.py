"""A picture as it comes in: looked at in a process of its own, and freed of what a camera writes beside it.

The other process has little memory, little time and no files: whatever is wrong with a picture ends it, and not this
one. What is kept is the picture drawn anew, so that neither place nor camera nor hidden text leaves the library.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from domain.facts import Malformed
from domain.photo_permission_messages import Taken
from services.evidence import LARGEST_FILE_BYTES

SECONDS = 30.0
A_PICTURE = "a JPEG, PNG or WebP picture, saved anew if need be"


@dataclass(frozen=True)
class Intaken:
    """`content`: the picture drawn anew. `taken_at`: what the camera's clock said, where it said anything."""

    taken: Taken
    media_type: str
    content: bytes
    taken_at: str


def take_in(raw: bytes, megapixels: int) -> Intaken:
    """Malformed, with what would pass: no picture, too large, or with something beside it that cannot be read."""
    if not raw or len(raw) > LARGEST_FILE_BYTES:
        raise Malformed("picture", f"{len(raw)} bytes", f"1 to {LARGEST_FILE_BYTES} bytes")
    argv = [sys.executable, "-m", "services.pictures.looking", str(megapixels)]
    try:
        # without the environment: the addresses and passwords in it are none of a picture's business
        done = subprocess.run(argv, input=raw, capture_output=True, timeout=SECONDS, check=False, env={})
    except subprocess.TimeoutExpired:
        raise Malformed("picture", "it takes too long to look at", A_PICTURE) from None
    head, _, content = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        # ended by its own limits, or by a fault of the library that reads pictures
        raise Malformed("picture", "it cannot be looked at within the memory and time there is", A_PICTURE)
    said = json.loads(head)
    if "problem" in said:
        raise Malformed("picture", said["problem"], said["would_pass"])
    taken = Taken.model_validate({name: said[name] for name in Taken.model_fields})
    return Intaken(taken, said["media_type"], content, said["taken_at"])
