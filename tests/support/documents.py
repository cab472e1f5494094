"""Reading our own documents: their fenced blocks, so that tests run and compare what people read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text with the last newline, and the line of text above it (a file's name, often)."""

    language: str
    text: str
    above: str


def blocks(path: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a Markdown file in order, or those of one language."""
    text = path.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").rpartition("\n")[2]
        found.append(Block(match[1], match[2], before))
    return [block for block in found if language in (None, block.language)]
