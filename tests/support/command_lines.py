"""Command lines in documents and unit files, read by the program's own parser: what is written down must be a command that exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO

from cyclopts import CycloptsError

from broker.cli.main import app


def flaw(arguments: Sequence[str]) -> str:
    """What the parser says against these arguments of ``broker``; empty where they are a call of an existing command."""
    tokens = [re.sub(r"\$\{?\w+[^}\s]*\}?|%\w", "X", token) for token in arguments]
    if tokens[:1] in (["--help"], ["--version"]):
        return ""
    if not tokens or tokens[0] not in set(app):
        return f"`{' '.join(tokens[:1])}` is no command"
    try:
        with redirect_stdout(StringIO()):
            app.parse_args(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return ""


def calls(script: str) -> list[list[str]]:
    """The calls of ``broker`` in a piece of shell or in a console session: arguments up to a pipe, a redirection or a comment."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\n\s*", "", script).splitlines():
        match = re.match(r"\$?\s*(?:\w+=\S+\s+)*broker\s+(.*)", line)
        if match:
            lexer = shlex.shlex(match[1], posix=True, punctuation_chars="|;&<>")
            lexer.whitespace_split = True
            tokens = list(lexer)
            stop = next((at for at, token in enumerate(tokens) if token[0] in "|;&<>"), len(tokens))
            found.append(tokens[:stop])
    return found
