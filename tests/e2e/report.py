"""Reports of shows: sections, lines, checks and plain tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

WIDTH: Final = 150


@dataclass
class Report:
    """What is printed, and what did not hold."""

    failures: list[str] = field(default_factory=list[str])

    def title(self, text: str) -> None:
        """Begin a section."""
        print(f"\n== {text} ".ljust(WIDTH, "="), flush=True)

    def say(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            print(line, flush=True)

    def check(self, what: str, *, holds: bool) -> None:
        """Print a check, and remember it where it does not hold."""
        self.say(f"{'ok   ' if holds else 'FAIL '} {what}")
        if not holds:
            self.failures.append(what)

    def table(self, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        """Columns as wide as they need; numbers to the right."""
        cells = [head, *(tuple(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) for row in rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
        numbers = [all(_is_number(row[place]) for row in cells[1:]) for place in range(len(head))]
        for row in cells:
            padded = (cell.rjust(width) if number else cell.ljust(width) for cell, width, number in zip(row, widths, numbers, strict=True))
            self.say("  ".join(padded).rstrip())

    def end(self, seconds: float) -> int:
        """Print the last line and what did not hold; the exit code."""
        self.title(f"{'everything held' if not self.failures else 'NOT everything held'}, {seconds:.0f} s")
        self.say(*(f"FAIL  {failure}" for failure in self.failures))
        return 1 if self.failures else 0


def _is_number(cell: str) -> bool:
    return cell in ("-", "") or cell.replace(",", "").replace(".", "").isdigit()
