"""Long bodies answered while they come: bytes in, lines out, with little of either held.

The work is a generator that takes pieces of the body and gives pieces of the answer. It runs in a thread of its own, and only as far as
the client takes its answer: a client that reads nothing is read no further either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, Final, cast

import msgspec
from litestar.exceptions import HTTPException
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from broker.errors import BrokerError
from broker.node.answers import AnyRequest

JSONL: Final = "application/jsonl"


class ClientGone(Exception):
    """Whoever sends the body is not there any more."""


class Arriving:
    """Pieces of a body for a thread, read one ahead, so that the thread can know whether there is one already."""

    def __init__(self, body: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._body, self._loop = body, loop
        self._next: Future[bytes | None] | None = None

    def __iter__(self) -> Iterator[bytes]:
        while True:
            piece = self._ahead().result()
            self._next = None
            if piece is None:
                return
            yield piece

    def ready(self) -> bool:
        """Whether the next piece is there, so that it need not be waited for."""
        return self._ahead().done()

    def _ahead(self) -> Future[bytes | None]:
        if self._next is None:
            self._next = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        return self._next

    async def _read(self) -> bytes | None:
        try:
            return await anext(self._body, None)
        except HTTPException as error:
            raise ClientGone from error


Work = Callable[[Arriving], Generator[bytes]]
"""Makes the pieces of an answer from those of a body. It is begun, driven and closed in one thread."""


async def _worked(body: AsyncIterator[bytes], work: Work) -> AsyncGenerator[bytes, None]:
    arriving = Arriving(body, asyncio.get_running_loop())
    try:
        async with aclosing(produced(lambda: work(arriving))) as pieces:
            async for piece in pieces:
                yield piece
    except ClientGone:
        return
    except TimeoutError:
        yield failed_line("TOO_SLOW", "the body took too long", "send the whole request within its time")
    except BrokerError as error:
        yield failed_line(error.code, str(error), error.advice)


async def produced(work: Callable[[], Generator[bytes]]) -> AsyncGenerator[bytes, None]:
    """The pieces of an answer that a thread makes, only as far as they are taken."""
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, "stream")
    pieces = work()
    try:
        while (piece := await loop.run_in_executor(thread, next, pieces, None)) is not None:
            yield piece
    finally:
        thread.submit(pieces.close)
        thread.shutdown(wait=False)


def failed_line(code: str, reason: str, advice: str) -> bytes:
    """The last line of an answer that could not be finished."""
    return msgspec.json.encode({"type": "error", "code": code, "reason": reason, "advice": advice}) + b"\n"


class _Both(ASGIStreamingResponse):
    """An answer that is sent while the body comes: nobody else may listen for what the client sends."""

    async def send_body(self, send: Send, receive: Receive) -> None:  # noqa: ARG002 - the work reads the body itself
        await self._stream(send)


class WorkedAnswer(Stream):
    """JSON Lines that are made while the body comes."""

    def to_asgi_response(
        self, app: Any, request: AnyRequest, *, headers: dict[str, str] | None = None, status_code: int | None = None, **how: Any
    ) -> ASGIResponse:
        """See Litestar."""
        del app, request
        return _Both(
            iterator=cast("AsyncGenerator[bytes]", self.iterator), content_length=0, media_type=self.media_type,
            headers={**(headers or {}), **self.headers}, status_code=self.status_code or status_code,
            encoded_headers=how.get("encoded_headers"),
        )  # fmt: skip


def worked(request: AnyRequest, work: Work) -> WorkedAnswer:
    """The answer that ``work`` makes of the request's body, line by line."""
    return WorkedAnswer(_worked(request.stream(), work), media_type=JSONL)
