"""EDIFACT interchanges (ISO 9735) as they come, segment by segment: bounded, with the characters that a UNA names.

Segments are cut here, because an interchange is never held as a whole; what is in one is read by pydifact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from pydifact.control.characters import Characters
from pydifact.exceptions import EDISyntaxError
from pydifact.parser import Parser, TokenIterator
from pydifact.tokenizer import Tokenizer

from broker.screening.shipment import BadRow, Chunks

SEGMENT_LIMIT: Final = 65_536
"""Bytes of one segment; the longest of the directory has some hundreds."""

_CHARSETS: Final = {
    "UNOC": "latin-1", "UNOD": "iso8859-2", "UNOE": "iso8859-5", "UNOF": "iso8859-7", "UNOG": "iso8859-3", "UNOH": "iso8859-4",
    "UNOI": "iso8859-6", "UNOJ": "iso8859-8", "UNOK": "iso8859-9", "UNOL": "iso8859-15",
}  # fmt: skip
"""Syntax identifier of UNB to its character set; others are read as UTF-8, or as Latin 1 where they are not."""


class Segment(NamedTuple):
    """A segment: its tag and elements, each a list of components; its number in the file and the line where it begins."""

    tag: str
    elements: list[list[str]]
    number: int
    line: int

    def at(self, element: int, component: int = 0) -> str:
        """A component, counted from 1 and 0; empty where it is not there."""
        parts = self.elements[element - 1] if element <= len(self.elements) else []
        return parts[component].strip() if component < len(parts) else ""


def read_segments(chunks: Chunks) -> Iterator[Segment | BadRow]:
    """The segments of an interchange, without UNA. A segment that cannot be read is told, and the next one read."""
    charset = ""
    for number, line, text, characters in _pieces(chunks):
        if text is None:
            yield BadRow(line, "NO_TERMINATOR", f"no segment ends within {SEGMENT_LIMIT:,} bytes")
            return
        segment = _segment(_decoded(text, charset), characters, number, line)
        if isinstance(segment, Segment) and segment.tag == "UNB":
            charset = _CHARSETS.get(segment.at(1), "")
        yield segment


def _pieces(chunks: Chunks) -> Iterator[tuple[int, int, bytes | None, Any]]:
    """Number, line and bytes of each segment, with the characters in force; None for the bytes of one that never ends."""
    signs = _signs(Characters())
    held, number, line, begun = b"", 0, 1, False
    for chunk in chunks:
        held += chunk
        if not begun:
            if len(held) < 9:
                continue
            begun = True
            if held.startswith(b"UNA"):
                signs, held = _signs(Characters.from_str(held[:9].decode("latin-1"))), held[9:]
        begin = 0
        while (end := _end(held, begin, signs)) >= 0:
            piece = held[begin:end]
            rest = piece.lstrip(b" \r\n")
            line += piece[: len(piece) - len(rest)].count(b"\n")
            number += 1
            yield number, line, rest, signs.characters
            line += rest.count(b"\n")
            begin = end + 1
        held = held[begin:]
        if len(held) > SEGMENT_LIMIT:
            yield number, line, None, signs.characters
            return
    if held.strip():
        yield number + 1, line, None if number == 0 else held.strip(), signs.characters


class _Signs(NamedTuple):
    """The signs by which segments are cut, and all of them as pydifact takes them."""

    terminator: bytes
    release: bytes
    characters: Any


def _signs(characters: Any) -> _Signs:
    return _Signs(characters.segment_terminator.encode("latin-1"), characters.escape_character.encode("latin-1"), characters)


def _end(held: bytes, begin: int, signs: _Signs) -> int:
    """Where the segment that begins at ``begin`` ends; -1 where its end is not here yet. A terminator after a release sign is text."""
    terminator, release = signs.terminator, signs.release
    at = held.find(terminator, begin)
    while at >= 0 and release.strip():
        released = 0
        while at - 1 - released >= begin and held[at - 1 - released : at - released] == release:
            released += 1
        if released % 2 == 0:
            break
        at = held.find(terminator, at + 1)
    return at


def _decoded(text: bytes, charset: str) -> str:
    if charset:
        return text.decode(charset, "replace")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _segment(text: str, characters: Any, number: int, line: int) -> Segment | BadRow:
    """A segment by pydifact's reading of it."""
    try:
        tokens = TokenIterator(Tokenizer().get_tokens(text + str(characters.segment_terminator), characters))
        raw = next(cast("Iterator[list[Any]]", Parser(characters=characters).convert_tokens_to_raw_segments(tokens)), None) or []
    except (EDISyntaxError, RuntimeError) as error:
        return BadRow(line, "BAD_SEGMENT", f"segment {number}: {str(error)[:100]}")
    elements: list[list[str]] = [[element] if isinstance(element, str) else [str(part) for part in element] for element in raw]
    tag = elements[0][0].strip() if elements and elements[0] else ""
    if not (len(tag) == 3 and tag.isascii() and tag.isalnum() and tag.isupper()):
        return BadRow(line, "BAD_SEGMENT", f"segment {number} begins with no tag of three capitals")
    return Segment(tag, elements[1:], number, line)
