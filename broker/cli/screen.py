"""How commands speak: results on standard output (text, or JSON Lines with ``--json``), everything else on standard error.

Colours and bars are off when the output is not a terminal. Whatever a message or a hostile file holds, only printable
characters reach the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from broker.errors import BrokerError
from broker.values import iso as iso


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Options that every command takes."""

    home: Annotated[Path, Parameter(env_var="BROKER_HOME")] = Path(".broker")
    """Folder with certificates, keys, stores and the embedded node's data."""
    bootstrap: Annotated[str | None, Parameter(env_var="BROKER_BOOTSTRAP")] = None
    """`HOST:PORT` of a Kafka that is already there."""
    codelists: Annotated[Path | None, Parameter(env_var="BROKER_CODELISTS")] = None
    """Folder with code lists (`unlocode.csv`, `hs2022.csv` and others); they are read again when they change."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print JSON Lines on standard output, and nothing else there."""
    log_level: Annotated[str, Parameter(env_var="BROKER_LOG_LEVEL")] = "warning"
    """`debug`, `info`, `warning` or `error`; logs go to standard error."""


COMMON = Common()

STDIN: Final = "<standard input>"
"""What commands get where a person wrote ``-`` for a file: the parser takes a lone hyphen for an option."""


def printable(text: str) -> str:
    """The text with everything that a terminal would obey written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class Screen:
    """One command's output."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # In a pipe tables are as wide as they need, so that no id is cut off.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 1000
        self.out = Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def result(self, record: Mapping[str, Any], text: str | None = None) -> None:
        """One result: a JSON line, or ``text`` (rich markup; default: the record's fields)."""
        if self.as_json:
            sys.stdout.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
            sys.stdout.flush()
        else:
            self.out.print(text if text is not None else fields(record))

    def table(self, table: Table) -> None:
        """A table, for people only."""
        if not self.as_json:
            self.out.print(table)

    def remark(self, text: str) -> None:
        """A sentence where there is no result (rich markup), for people only."""
        if not self.as_json:
            self.out.print(text)

    def note(self, text: str) -> None:
        """Something beside the result (rich markup): on standard error, so that it never spoils a pipe."""
        self.err.print(text)

    def error(self, error: BrokerError) -> None:
        """A failure: one line what, one line what to do."""
        if self.as_json:
            sys.stdout.write(json.dumps({"error": error.code, "message": str(error), "advice": error.advice}, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        self.err.print(f"[red]error[/red] {_lines(str(error))}")
        if error.advice:
            self.err.print(f"      {_lines(error.advice)}")

    @contextmanager
    def counting(self, title: str, total: int | None) -> Generator[Progress]:
        """A bar over things; drawn on standard error if that is a terminal."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.err, transient=True, disable=not self.err.is_terminal) as progress:
            progress.add_task(title, total=total)
            yield progress

    @contextmanager
    def fetching(self) -> Generator[FetchBar]:
        """A bar over bytes of jars as they arrive; nothing is drawn while nothing has to be fetched."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=self.err, transient=True, disable=not self.err.is_terminal) as progress:
            yield FetchBar(progress, self)


class FetchBar:
    """Progress of the jars: callable as the node wants it."""

    def __init__(self, progress: Progress, screen: Screen) -> None:
        self._progress, self._screen = progress, screen
        self._task: Any = None

    def __call__(self, done: int, total: int, name: str) -> None:
        """``done`` of ``total`` bytes are here, ``name`` is under way."""
        if self._task is None:
            if done >= total:
                return
            self._screen.note(f"fetching Apache Kafka ({total / 1e6:.0f} MB, once per machine)")
            self._task = self._progress.add_task("jars", total=total)
        self._progress.update(self._task, completed=done, description=escape(name))


def _lines(text: str) -> str:
    return "\n".join(escape(printable(line)) for line in text.split("\n"))


def fields(record: Mapping[str, Any]) -> str:
    """A record as ``name  value`` lines (rich markup)."""
    width = max((len(name) for name in record), default=0)
    return "\n".join(f"[dim]{name:<{width}}[/dim]  {escape(printable(_plain(value)))}" for name, value in record.items())


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
