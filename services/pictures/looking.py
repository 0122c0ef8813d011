"""The process that looks at one picture: standard input is the picture, standard output what is said of it and, after
a line, the picture drawn anew. Run as `python -m services.pictures.looking MEGAPIXELS`."""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Any

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning

MEMORY_BYTES = 1_500_000_000
CPU_SECONDS = 20
FORMATS = ("JPEG", "PNG", "WEBP")
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
A_MILLION = 1_000_000
JPEG_QUALITY = 92
LONGEST_SIDE = 65_000
LARGEST_BESIDE_BYTES = 300_000
A_PICTURE = "a JPEG, PNG or WebP picture, saved anew if need be"
ExifError = (ValueError, KeyError, TypeError, SyntaxError, OSError, OverflowError, ZeroDivisionError, EOFError)


class Problem(Exception):
    def __init__(self, problem: str, would_pass: str = A_PICTURE) -> None:
        self.problem, self.would_pass = problem, would_pass


def within_limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def opened(raw: bytes, megapixels: int) -> Image.Image:
    """Its size is known from its head; nothing of it is drawn before that was looked at."""
    Image.MAX_IMAGE_PIXELS = megapixels * A_MILLION
    warnings.simplefilter("error", DecompressionBombWarning)
    try:
        picture = Image.open(io.BytesIO(raw), formats=FORMATS)
    except UnidentifiedImageError:
        raise Problem("it is no picture, whatever its name says") from None
    except (DecompressionBombError, DecompressionBombWarning):
        raise Problem(f"it has more than {megapixels} million pixels", f"at most {megapixels} million") from None
    except (*ExifError, MemoryError):
        raise Problem("what stands beside the picture cannot be read") from None
    width, height = picture.size
    if width * height > megapixels * A_MILLION or max(width, height) > LONGEST_SIDE:
        because = f"{width} by {height} are more than {megapixels} million pixels, or too long"
        raise Problem(because, f"at most {megapixels} million")
    return picture


def beside(picture: Image.Image) -> tuple[bool, str]:
    """Whether it says where it was taken, and when by the camera's clock."""
    try:
        if len(picture.info.get("exif", b"")) > LARGEST_BESIDE_BYTES:
            raise Problem("what stands beside the picture is far too much")
        exif = picture.getexif()
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        when = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime) or ""
    except (*ExifError, MemoryError, RecursionError):
        raise Problem("what stands beside the picture cannot be read") from None
    return bool(place), str(when)[:30] if str(when)[:30].isprintable() else ""


def drawn_anew(picture: Image.Image, format_: str) -> tuple[Image.Image, bytes]:
    """Turned as the camera meant it, and nothing but what can be seen."""
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    except (*ExifError, MemoryError):
        raise Problem("the picture is damaged") from None
    mode = "RGBA" if format_ != "JPEG" and ("A" in upright.mode or "transparency" in upright.info) else "RGB"
    plain = Image.new(mode, upright.size)
    plain.paste(upright.convert(mode))
    out = io.BytesIO()
    plain.save(out, format_, **({"quality": JPEG_QUALITY} if format_ != "PNG" else {}))
    return plain, out.getvalue()


def looked_at(raw: bytes, megapixels: int) -> tuple[dict[str, Any], bytes]:
    picture = opened(raw, megapixels)
    format_ = str(picture.format)
    had_location, taken_at = beside(picture)
    plain, content = drawn_anew(picture, format_)
    said = {
        "format": format_, "width": plain.width, "height": plain.height, "had_location": had_location,
        "media_type": MEDIA_TYPES[format_], "taken_at": taken_at,
    }  # fmt: skip
    return said, content


def main(megapixels: int) -> None:
    within_limits()
    try:
        said, content = looked_at(sys.stdin.buffer.read(), megapixels)
    except Problem as problem:
        said, content = {"problem": problem.problem, "would_pass": problem.would_pass}, b""
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + content)


if __name__ == "__main__":
    main(int(sys.argv[1]))
