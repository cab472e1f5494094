"""The pieces of a body in parts, as the parser wants them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

_BREAK: Final = b"\r\n"


async def until_last_break(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The pieces of a body in parts without the line break at its very end. Browsers send one behind the last boundary (the epilogue of RFC
    2046, section 5.1.1); where it comes in a piece of its own, the strict parser takes it for data behind the end."""
    held = b""
    async for piece in stream:
        whole = held + piece
        end = len(whole[:-2]) + len(whole[-2:].rstrip(_BREAK))
        held = whole[end:]
        if end:
            yield whole[:end]
