"""XML from outside, record by record: no document types, no entities, nothing fetched, depth and size bounded.

The parser is defusedxml's over expat, fed piece by piece. A record (a declaration, a waybill) is built as a small tree and given out when
it ends, so that a file of many is never held as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from broker.screening.shipment import BadRow, Chunks

DEPTH: Final = 64
"""Elements inside of elements; a declaration has nine."""
ELEMENTS: Final = 250_000
"""Elements of one record."""
TEXT_LIMIT: Final = 65_536
"""Characters of one element's text."""
TOKEN_LIMIT: Final = 4 << 20
"""Bytes without the end of a tag or text: the parser holds them until it comes."""


class Element:
    """An element: its name without the namespace, its own text, and what lies in it. ``line`` is where it begins."""

    __slots__ = ("children", "line", "name", "text")

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line
        self.text = ""
        self.children: list[Element] = []

    def all(self, path: str) -> list[Element]:
        """What lies at a path such as ``GoodsShipment/Consignment``, in order."""
        found: list[Element] = [self]
        for name in path.split("/"):
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def first(self, path: str) -> Element | None:
        """The first of :meth:`all`."""
        return next(iter(self.all(path)), None)

    def value(self, path: str) -> str | None:
        """The text of the first element there that has one."""
        return next((text for element in self.all(path) if (text := element.text.strip())), None)


class _Bound(Exception):
    """A bound was passed: code of a bad row, reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Builder:
    """What the parser calls: builds records, drops everything else."""

    def __init__(self, records: Set[str]) -> None:
        self._records = records
        self._open: list[Element] = []
        self._depth = self._size = 0
        self._texts: list[str] = []
        self._length = 0
        self.parser: Any = None
        self.done: list[Element] = []
        self.root = ""
        self.calls = 0

    def start(self, tag: str, _attributes: object) -> None:
        self.calls += 1
        self._depth += 1
        if self._depth > DEPTH:
            raise _Bound("TOO_DEEP", f"over {DEPTH} elements lie in each other")
        name = tag.rpartition("}")[2]
        self.root = self.root or name
        if not self._open and name not in self._records:
            return
        self._size = self._size + 1 if self._open else 1
        if self._size > ELEMENTS:
            raise _Bound("TOO_LARGE", f"one declaration has over {ELEMENTS:,} elements")
        element = Element(name, self.parser.CurrentLineNumber)
        if self._open:
            self._flush()
            self._open[-1].children.append(element)
        self._open.append(element)

    def data(self, text: str) -> None:
        self.calls += 1
        if self._open:
            self._length += len(text)
            if self._length > TEXT_LIMIT:
                raise _Bound("TOO_LONG", f"the text of <{self._open[-1].name[:40]}> has over {TEXT_LIMIT:,} characters")
            self._texts.append(text)

    def end(self, _tag: str) -> None:
        self.calls += 1
        self._depth -= 1
        if self._open:
            self._flush()
            element = self._open.pop()
            if not self._open:
                self.done.append(element)

    def comment(self, _text: str) -> None:
        self.calls += 1

    def pi(self, _target: str, _text: str) -> None:
        self.calls += 1

    def _flush(self) -> None:
        """Texts to their element; of mixed content only the pieces themselves matter."""
        if self._texts:
            self._open[-1].text += "".join(self._texts)
            self._texts.clear()
        self._length = 0

    def close(self) -> None:
        """The end of the document."""


def read_records(chunks: Chunks, records: Set[str]) -> Iterator[Element | BadRow]:
    """The elements of these names that lie in no other of them, as they end; a bad row is the last that is given."""
    builder = _Builder(records)
    parser: Any = DefusedXMLParser(target=builder, forbid_dtd=True)
    builder.parser = parser.parser
    given = 0
    try:
        waiting, calls = 0, 0
        for chunk in chunks:
            for begin in range(0, len(chunk), TOKEN_LIMIT):
                piece = chunk[begin : begin + TOKEN_LIMIT]
                parser.feed(piece)
                waiting = waiting + len(piece) if builder.calls == calls else 0
                calls = builder.calls
                _check_waiting(waiting)
                while builder.done:
                    given += 1
                    yield builder.done.pop(0)
        parser.close()
        yield from builder.done
        given += len(builder.done)
    except (ParseError, DefusedXmlException, _Bound, ValueError, LookupError) as error:
        yield from builder.done
        yield _refused(error, builder.parser.CurrentLineNumber)
        return
    if not given:
        yield BadRow(1, "UNKNOWN_DOCUMENT", f"the document <{builder.root[:60]}> holds none of {', '.join(sorted(records))}")


def _check_waiting(waiting: int) -> None:
    if waiting > TOKEN_LIMIT:
        raise _Bound("TOO_LONG", f"a tag or text does not end within {TOKEN_LIMIT:,} bytes")


def _refused(error: Exception, line: int) -> BadRow:
    if isinstance(error, _Bound):
        return BadRow(line, error.code, str(error))
    if isinstance(error, DefusedXmlException):
        return BadRow(line, "XML_DTD", "the document declares a document type or entities")
    return BadRow(line, "BAD_XML", str(error)[:200])
