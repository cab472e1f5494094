"""A table and the mapping of its columns in one request: ``multipart/form-data`` (RFC 7578) with the parts ``mapping`` and ``file``.

The body is read as it comes: the mapping, which is short, is held; of the table a piece at a time. So the mapping comes first. Names of
files are nobody's business here: no part of one becomes a path.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from email.message import Message
from typing import Final

from litestar.exceptions import HTTPException
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from broker.node.answers import AnyRequest, media_of
from broker.node.multipart_pieces import until_last_break
from broker.node.problems import NotDone
from broker.storage.mappings import LIMIT

MULTIPART: Final = "multipart/form-data"
BOUNDARY: Final = 70
"""Longest boundary (RFC 2046, section 5.1.1)."""
PARTS: Final = 8
"""Most parts that are looked at before the request is given up."""
HEADER: Final = 2048
"""Longest header line of a part, in bytes."""


def is_multipart(request: AnyRequest) -> bool:
    """Whether the body comes in parts."""
    return media_of(request) == MULTIPART


class TableParts:
    """The parts of one request. Call :meth:`mapping`, and then read :meth:`file` to its end. Both raise NotDone."""

    def __init__(self, request: AnyRequest) -> None:
        given = Message()
        given["content-type"] = request.headers.get("content-type", "")
        boundary = str(given.get_param("boundary", ""))
        if not 0 < len(boundary) <= BOUNDARY or not boundary.isascii() or not boundary.isprintable():
            raise NotDone("BAD_MULTIPART", f"the Content-Type names no boundary of 1 to {BOUNDARY} characters")
        self._events = _events(request, boundary)

    async def mapping(self) -> str | None:
        """The text of the part ``mapping``; None where the request begins with the part ``file``, at which it stands now."""
        held: bytearray | None = None
        async for event in self._events:
            if isinstance(event, str):
                if event == "file":
                    return None if held is None else _text(held)
                if event != "mapping" or held is not None:
                    raise NotDone("BAD_MULTIPART", "the parts are `mapping`, which may be left out, and after it `file`, each once")
                held = bytearray()
            elif held is not None:
                held += event
                if len(held) > LIMIT:
                    raise NotDone("TOO_LONG", f"a mapping has at most {LIMIT >> 10} KiB")
        raise NotDone("BAD_MULTIPART", "there is no part `file` behind the mapping")

    async def file(self) -> AsyncIterator[bytes]:
        """The bytes of the part ``file``, which is the last."""
        async for event in self._events:
            if isinstance(event, str):
                raise NotDone("BAD_MULTIPART", "nothing comes behind the part `file`")
            yield event


def _text(held: bytearray) -> str:
    try:
        return held.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotDone("BAD_REQUEST", "a mapping is UTF-8") from error


async def _events(request: AnyRequest, boundary: str) -> AsyncGenerator[str | bytes, None]:
    """The name of each part as it begins, and then its bytes as they come."""
    try:
        with PushMultipartParser(boundary, max_segment_count=PARTS, max_header_size=HEADER, strict=True) as parser:
            async for chunk in until_last_break(request.stream()):
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        yield event.name or ""
                    elif event:
                        yield bytes(event)
    except ParserLimitReached as error:
        raise NotDone("BAD_MULTIPART", "a part's head is too long, or there are too many parts") from error
    except MultipartError as error:
        raise NotDone("BAD_MULTIPART", f"the parts cannot be read: {str(error)[:200]}") from error
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise NotDone("BAD_REQUEST", "the body ended early") from error
