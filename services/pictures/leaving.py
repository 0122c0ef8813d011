"""A file on its way out of the library: a picture leaves drawn anew, so that neither place nor camera goes with it."""

from __future__ import annotations

from typing import NamedTuple

from domain.clauses import PR_12
from domain.facts import Malformed, Refused
from services.pictures.intake import take_in

# text that somebody drew by; no camera writes one
DRAWN_BY_HAND = "image/svg+xml"
# how pictures begin, whatever they are called
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\x00", b"MM\x00*")
RIFF, WEBP = b"RIFF", b"WEBP"
# ISO base media: a box named `ftyp`, and then the brand
BOX, BRANDS = b"ftyp", (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")


class Leaving(NamedTuple):
    content: bytes
    media_type: str
    drawn_anew: bool


def as_it_may_leave(content: bytes, media_type: str, megapixels: int) -> Leaving:
    """Refused where it is a picture that cannot be drawn anew. What is no picture leaves as it was kept."""
    if not is_a_picture(content, media_type):
        return Leaving(content, media_type, drawn_anew=False)
    try:
        taken = take_in(content, megapixels)
    except Malformed as error:
        because = f"what a camera writes beside a picture cannot be taken out of this one ({error.message})"
        remedy = "the same as JPEG, PNG or WebP; or sealed as it is, in an auditor's package"
        raise Refused(PR_12, because, remedy) from None
    return Leaving(taken.content, taken.media_type, drawn_anew=True)


def is_a_picture(content: bytes, media_type: str) -> bool:
    if media_type == DRAWN_BY_HAND:
        return begins_as_a_picture(content)
    return media_type.startswith("image/") or begins_as_a_picture(content)


def begins_as_a_picture(content: bytes) -> bool:
    head = content[:12]
    return (
        head.startswith(BEGINNINGS)
        or (head.startswith(RIFF) and head.endswith(WEBP))
        or (head[4:8] == BOX and head[8:] in BRANDS)
    )
