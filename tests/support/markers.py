"""Marked texts, and the search for them in raw bytes: as they are, in any case, and inside what is written as base64 or hexadecimal."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

BEGIN: Final = b"zq"
"""How every marked text begins, in lower case; hexadecimal digits follow."""
_PLACES = re.compile(BEGIN)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{24,}")


@dataclass(frozen=True)
class Marker:
    """What a marked text stands for. ``message`` is the number of the message it is from and ``section`` its section; None and empty for
    the name of a member or a community. ``kind``: text, section (its salt: the section as it is carried), member or community."""

    kind: str
    message: int | None
    section: str
    told: str


class Search:
    """Finds all of many marked texts in one pass over the bytes, whatever their number."""

    def __init__(self, markers: Mapping[bytes, Marker]) -> None:
        """By marked text; in lower case from here on, as the bytes are searched without regard to case."""
        self.markers = {text.lower(): marker for text, marker in markers.items()}
        self._lengths = sorted({len(text) for text in self.markers})

    def found(self, data: bytes) -> frozenset[bytes]:
        """The marked texts that are in these bytes."""
        return frozenset(text for view in _views(data) for text in self._plain(view.lower()))

    def _plain(self, data: bytes) -> Iterator[bytes]:
        for place in _PLACES.finditer(data):
            for length in self._lengths:
                text = data[place.start() : place.start() + length]
                if text in self.markers:
                    yield text


def _views(data: bytes) -> Iterator[bytes]:
    """The bytes, and everything in them that may be an encoding of bytes, decoded from each place at which it can begin."""
    yield data
    for run in _BASE64.findall(data):
        standard = run.translate(bytes.maketrans(b"-_", b"+/"))
        for begin in range(4):
            part = standard[begin:]
            yield base64.b64decode(part + b"A" * (-len(part) % 4))
    for run in _HEX.findall(data):
        for begin in range(2):
            yield binascii.unhexlify(run[begin : begin + (len(run) - begin) // 2 * 2])
