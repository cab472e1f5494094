"""What a person gives to ``broker publish``: JSON or JSON Lines, in files or on standard input, read beside everything else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from broker.cli.named_files import unreadable
from broker.cli.screen import STDIN, printable
from broker.errors import UsageError
from broker.schema import json_form

AHEAD: Final = 1024
"""Most values that are read and not taken yet."""
SOME: Final = 64
"""Most values taken at a time: they are signed and stored together."""


def read_values(path: str) -> Iterator[object]:
    """The JSON values of a file: one value or a list of them, or JSON Lines. Raises UsageError, with the line where there is one."""
    try:
        # A file object of our own: the thread that reads may still be inside when the process ends.
        with open(0, encoding="utf-8", closefd=False) if path == STDIN else Path(path).open(encoding="utf-8") as file:
            first = file.readline()
            if first.strip() and _is_whole(first):
                yield from _lines(path, first, file)
                return
            whole = _whole(path, first + file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    yield from whole if isinstance(whole, list) else [whole]


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _whole(path: str, text: str) -> object:
    if not text.strip():
        raise UsageError(f"`{printable(path)}` is empty", advice="give a message as JSON, or messages as JSON Lines")
    try:
        return json_form.read_json(text)
    except UsageError as error:
        raise UsageError(f"`{printable(path)}`: {error}", advice=error.advice) from error


def _lines(path: str, first: str, rest: Iterator[str]) -> Iterator[object]:
    yield json_form.read_json(first)
    for number, line in enumerate(rest, 2):
        if line.strip():
            try:
                yield json_form.read_json(line)
            except UsageError as error:
                raise UsageError(f"`{printable(path)}` line {number}: {error}", advice=error.advice) from error


class ReadAhead:
    """The values of several files, read in a thread: a pipe that pauses holds up nothing that came before, and a file gives many at
    a time. ``trouble`` is what ended the reading early; what was read before it is still given out."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self._values: deque[object] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._news = asyncio.Event()
        self._ended = False
        self.trouble: UsageError | None = None
        threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), name="reading", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            try:
                for path in self._files:
                    for value in read_values(path):
                        self._room.acquire()
                        self._values.append(value)
                        if len(self._values) == 1:
                            loop.call_soon_threadsafe(self._news.set)
            except UsageError as error:
                self.trouble = error
            finally:
                self._ended = True
                loop.call_soon_threadsafe(self._news.set)

    async def some(self) -> list[object]:
        """The next values, as many as are there; empty at the end."""
        while True:
            self._news.clear()
            if self._values or self._ended:
                break
            await self._news.wait()
        taken = [self._values.popleft() for _ in range(min(SOME, len(self._values)))]
        if taken:
            self._room.release(len(taken))
        return taken
