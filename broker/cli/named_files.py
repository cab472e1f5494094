"""Files that a person named on the command line: read and written as text, with the reason where that cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

from broker.cli.screen import STDIN, printable
from broker.errors import UsageError


def read_text(path: str) -> str:
    """The text of a file, ``-`` for standard input. Raises UsageError."""
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: OSError | UnicodeDecodeError) -> UsageError:
    """A file that a person named and that cannot be read as text."""
    why = f"byte {error.start} is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or "no reason given"
    return UsageError(f"`{printable(str(path))}` cannot be read: {why}", advice="give a readable UTF-8 file, or - for standard input")


def write_text(path: Path, text: str) -> None:
    """Write a file for somebody else. Raises UsageError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}", advice="give another --out") from error
