"""What comes in as a picture: looked at apart, freed of place and camera, and whatever else it is, told so."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from domain.facts import Malformed, Refused
from services.evidence import LARGEST_FILE_BYTES
from services.pictures.intake import Intaken, take_in
from services.pictures.leaving import as_it_may_leave

MEGAPIXELS = 40
GPS, ORIENTATION, MAKE, DATE_TIME = 0x8825, 0x0112, 0x010F, 0x0132
PLACE = {1: "N", 2: (33.0, 3.0, 27.0), 3: "W", 4: (89.0, 35.0, 15.0)}


def a_picture(format_: str = "JPEG", size: tuple[int, int] = (40, 30), **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, format_, **more)
    return out.getvalue()


def with_place(**tags: Any) -> bytes:
    exif = Image.Exif()
    exif[MAKE] = "A camera"
    exif[DATE_TIME] = "2026:03:02 10:00:00"
    exif[GPS] = PLACE
    for tag, value in tags.items():
        exif[int(tag[1:])] = value
    return a_picture(exif=exif)


def refused(raw: bytes, *words: str) -> None:
    with pytest.raises(Malformed) as caught:
        take_in(raw, MEGAPIXELS)
    assert caught.value.field == "picture"
    assert caught.value.would_pass
    assert any(word in caught.value.message for word in words), caught.value.message


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_taken_in(format_: str) -> None:
    intaken: Intaken = take_in(a_picture(format_), MEGAPIXELS)
    assert (intaken.taken.format, intaken.taken.width, intaken.taken.height) == (format_, 40, 30)
    assert not intaken.taken.had_location
    assert Image.open(io.BytesIO(intaken.content)).size == (40, 30)


def test_where_it_was_taken_is_known_to_have_been_there_and_leaves_with_nothing() -> None:
    raw = with_place()
    assert Image.open(io.BytesIO(raw)).getexif().get_ifd(GPS)
    intaken = take_in(raw, MEGAPIXELS)
    assert (intaken.taken.had_location, intaken.taken_at) == (True, "2026:03:02 10:00:00")
    kept = Image.open(io.BytesIO(intaken.content))
    assert (dict(kept.getexif()), kept.getexif().get_ifd(GPS)) == ({}, {})
    assert b"A camera" not in intaken.content
    assert b"Exif" not in intaken.content


def test_hidden_text_of_a_png_leaves_with_nothing() -> None:
    info = PngInfo()
    info.add_text("Comment", "a word beside the picture")
    intaken = take_in(a_picture("PNG", pnginfo=info), MEGAPIXELS)
    assert b"a word beside" not in intaken.content


def test_it_is_turned_as_the_camera_meant_it() -> None:
    intaken = take_in(with_place(t274=6), MEGAPIXELS)
    assert (intaken.taken.width, intaken.taken.height) == (30, 40)


def test_a_text_named_jpg_is_no_picture() -> None:
    refused(b"Dear library, here is my picture", "no picture")


def test_neither_is_a_program_nor_a_format_nobody_posts() -> None:
    refused(b"\x7fELF" + bytes(200), "no picture")
    refused(a_picture("GIF"), "no picture")


def test_sixty_megapixels_are_told_from_the_head_before_anything_is_drawn() -> None:
    refused(a_png_that_says((10_000, 6_000)), "million pixels")
    assert take_in(a_picture(size=(800, 500)), 1).taken.width == 800
    refused(a_png_that_says((100_000, 100_000)), "million pixels")


def a_png_that_says(size: tuple[int, int]) -> bytes:
    """A head of this size over a few bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_a_compressed_text_that_grows_without_end_is_told() -> None:
    bomb = zlib.compress(bytes(300_000_000), 9)
    body = b"Comment\x00\x00" + bomb
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    whole = a_picture("PNG")
    refused(whole[:33] + chunk + whole[33:], "beside", "cannot be")


@pytest.mark.parametrize("count", [0xFFFFFFFF, 0x10000000, 65535])
def test_an_exif_that_points_anywhere_does_no_harm(count: int) -> None:
    """Directories that point at themselves and counts that no file could hold: taken in without them, or told."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", GPS, 4, 1, 8)
    entry += struct.pack("<HHII", MAKE, 2, count, 0xFFFFFFF0)
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 3) + entry + struct.pack("<I", 8)
    body = b"Exif\x00\x00" + tiff
    whole = a_picture()
    bomb = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]
    with suppress(Malformed):
        intaken = take_in(bomb, MEGAPIXELS)
        assert dict(Image.open(io.BytesIO(intaken.content)).getexif()) == {}


def test_a_damaged_picture_is_told() -> None:
    refused(a_picture(size=(400, 400))[:1_000], "damaged")


@pytest.mark.parametrize("raw", [b"", bytes(LARGEST_FILE_BYTES + 1)])
def test_nothing_and_too_much_are_told_without_looking(raw: bytes) -> None:
    refused(raw, "bytes")


# on its way out


@pytest.mark.parametrize("said_to_be", ["image/jpeg", "application/octet-stream", "text/plain"])
def test_a_picture_leaves_without_its_place_whatever_it_was_said_to_be(said_to_be: str) -> None:
    leaving = as_it_may_leave(with_place(), said_to_be, MEGAPIXELS)
    assert (leaving.media_type, leaving.drawn_anew) == ("image/jpeg", True)
    assert not Image.open(io.BytesIO(leaving.content)).getexif()


@pytest.mark.parametrize("format_", ["TIFF", "GIF"])
def test_a_picture_that_cannot_be_drawn_anew_does_not_leave(format_: str) -> None:
    for said_to_be in (f"image/{format_.lower()}", "application/octet-stream"):
        with pytest.raises(Refused) as caught:
            as_it_may_leave(a_picture(format_), said_to_be, MEGAPIXELS)
        assert caught.value.clauses == ("PR-12",)


@pytest.mark.parametrize("raw", [b"\x00\x00\x00\x18ftypheic and more", b"no picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_said_to_be_a_picture_and_cannot_be_looked_at_does_not_leave(raw: bytes) -> None:
    with pytest.raises(Refused):
        as_it_may_leave(raw, "image/heic", MEGAPIXELS)


@pytest.mark.parametrize(
    ("raw", "said_to_be"),
    [(b"A letter", "text/plain"), (b"%PDF-1.7", "application/pdf"), (b"<svg/>", "image/svg+xml"), (b"", "text/csv")],
)
def test_what_is_no_picture_leaves_as_it_was_kept(raw: bytes, said_to_be: str) -> None:
    assert as_it_may_leave(raw, said_to_be, MEGAPIXELS) == (raw, said_to_be, False)
