"""Where a rule stands: Cedar's errors name a policy and a word, never a file and a line.

So a file is cut into its policies before it is parsed: each ends at a semicolon outside of texts and comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;', re.DOTALL)
_FIRST: Final = re.compile(r"(?:\s|//[^\n]*(?:\n|$))*")
_ID: Final = re.compile(r'@id\s*\(\s*"((?:\\.|[^"\\])*)"')
_PROSE: Final = re.compile(r'@(?:title|basis)\s*\(\s*"(?:\\.|[^"\\])*"\s*\)|//[^\n]*', re.DOTALL)
_QUOTED: Final = re.compile(r"`([^`]+)`|: (\S+)$")


@dataclass(frozen=True, slots=True)
class Placed:
    """One policy as it is written: its file, the line it begins on (from 1), its text. ``rule`` is its ``@id``, empty without."""

    file: str
    line: int
    text: str
    rule: str

    @property
    def code(self) -> str:
        """The text without comments, title and basis: what has to be ASCII."""
        return _PROSE.sub("", self.text)

    def line_of(self, message: str) -> int:
        """The line of the first word of the text that an error message quotes; the policy's first line if it quotes none."""
        for quoted, last in _QUOTED.findall(message):
            word = (quoted or last).rsplit("::", 1)[-1].strip('"')
            found = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", self.text) if word else None
            if found is not None:
                return self.line + self.text.count("\n", 0, found.start())
        return self.line


def split(file: str, text: str) -> list[Placed]:
    """The policies of a file in order. What stands after the last semicolon is one too, if it is more than a comment."""
    placed: list[Placed] = []
    start = 0
    ends = [found.end() for found in _TOKEN.finditer(text) if found[0] == ";"]
    for end in (*ends, len(text)):
        blank = _FIRST.match(text, start, end)
        begin = blank.end() if blank else start
        body = text[begin:end].strip()
        if body:
            found = _ID.search(body)
            placed.append(Placed(file, text.count("\n", 0, begin) + 1, body, found[1] if found else ""))
        start = end
    return placed
