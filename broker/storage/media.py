"""What a file is, judged by its content, and small pictures of pictures: Pillow, with a limit to what it unpacks.

A file is one of :data:`broker.families.attachment.MEDIA_TYPES`, or refused. Its name is not asked, but must not say something else. The
bytes of a file are never shown inside a page: a thumbnail is made anew from the decoded picture, and holds nothing else of it.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Generator
from typing import Final

from PIL import Image, UnidentifiedImageError

PIXELS_LIMIT: Final = 60_000_000
"""Most pixels of a picture that is decoded: 180 MB in memory. An X-ray scan of a container has about 10 million."""
THUMBNAIL: Final = 256
"""Longest side of a thumbnail in pixels."""
HEAD_BYTES: Final = 4096
"""Bytes from the beginning of a file by which it is judged."""
PICTURES: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "image/webp": "WEBP"}
"""Media types of pictures, and what Pillow calls them."""
_DAMAGED: Final = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError, ArithmeticError, TypeError,
    LookupError, AttributeError, EOFError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for pictures that are none: it says so nowhere, and most of these were met by altering bytes of good ones."""
_NAMES: Final = {
    "image/jpeg": ("jpg", "jpeg"), "image/png": ("png",), "image/tiff": ("tif", "tiff"), "image/webp": ("webp",),
    "application/pdf": ("pdf",), "application/dicom": ("dcm", "dicom"), "text/plain": ("txt", "csv", "log"),
}  # fmt: skip


def media_type_of(head: bytes) -> str | None:
    """The media type of a file by its first bytes; None for what may not be attached."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[128:132] == b"DICM":
        return "application/dicom"
    return "text/plain" if _is_text(head[:HEAD_BYTES]) else None


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters, and no markup or program by its first characters."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    begin = text.lstrip("\ufeff \t\r\n")[:2]
    if not begin or begin[0] == "<" or begin in ("#!", "MZ"):
        return False
    return all(sign.isprintable() or sign in "\t\r\n\ufeff" for sign in text)


def name_fits(name: str, media_type: str) -> bool:
    """Whether the ending of a name says nothing else than the content does. An ending that nobody knows says nothing."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    known = {each for endings in _NAMES.values() for each in endings}
    risky = {"html", "htm", "svg", "js", "exe", "dll", "scr", "bat", "cmd", "ps1", "sh", "vbs", "jar", "msi", "lnk", "hta", "xml", "xhtml"}
    return ending not in risky and (ending not in known or ending in _NAMES[media_type])


def is_too_large(head: bytes, media_type: str) -> bool:
    """Whether a picture says in its first bytes that it has more than :data:`PIXELS_LIMIT`, or does not say what it is at all. A TIFF may
    say so at its end: it is judged when it is to be unpacked."""
    if media_type not in PICTURES:
        return False
    try:
        with _quiet(), Image.open(io.BytesIO(head), formats=[PICTURES[media_type]]) as picture:
            return picture.width * picture.height > PIXELS_LIMIT
    except Image.DecompressionBombError:
        return True
    except _DAMAGED:
        return media_type != "image/tiff"


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Pillow warns of large pictures; the limit here is lower."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def thumbnail(data: bytes, media_type: str) -> bytes | None:
    """A PNG of :data:`THUMBNAIL` pixels at the most, made anew; None for what is no picture, is damaged, or is larger than
    :data:`PIXELS_LIMIT`."""
    if media_type not in PICTURES:
        return None
    try:
        with _quiet(), Image.open(io.BytesIO(data), formats=[PICTURES[media_type]]) as picture:
            if picture.width * picture.height > PIXELS_LIMIT:
                return None
            picture.draft("RGB", (THUMBNAIL, THUMBNAIL))
            small = picture.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            made = Image.new("RGB", small.size)
            made.paste(small)
            out = io.BytesIO()
            made.save(out, "PNG")
            return out.getvalue()
    except _DAMAGED:
        return None
