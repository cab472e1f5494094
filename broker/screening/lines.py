"""Bytes as they come, in lines: bounded, whatever the file is. A line longer than the bound is told and never held."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final

from broker.screening.shipment import Chunks

LINE_LIMIT: Final = 1 << 20
"""Bytes of one line: a shipment of a thousand items as JSON has a third of it."""

_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def begun(chunks: Chunks, size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first ``size`` bytes, or less where a line ended or that is all there is; and everything again from the beginning."""
    source, held = iter(chunks), b""
    for chunk in source:
        held += chunk
        if len(held) >= size or b"\n" in held.lstrip():
            break
    return held[:size], _again(held, source)


def _again(held: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield held
    yield from rest


def narrow(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8 where it begins with the mark of UTF-16 or UTF-32; the mark of UTF-8 is taken off."""
    for mark, encoding in _WIDE:
        if head.startswith(mark):
            yield from _recoded(encoding, chunks)
            return
    first = next(chunks, b"")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _recoded(encoding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What is no character becomes the replacement character: such a file has no lines in which one could be told."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def lines(chunks: Chunks, limit: int = LINE_LIMIT) -> Iterator[tuple[int, bytes | None]]:
    """Number and bytes of each line, without its end; None for one of more than ``limit`` bytes."""
    number, held, skipping = 1, b"", False
    for chunk in chunks:
        parts = (held + chunk).split(b"\n")
        held = parts.pop()
        for part in parts:
            yield number, None if skipping or len(part) > limit else part
            number, skipping = number + 1, False
        if len(held) > limit or skipping:
            held, skipping = b"", True
    if held or skipping:
        yield number, None if skipping else held
