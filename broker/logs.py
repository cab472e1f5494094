"""Logs: one JSON object a line on standard error (for machines), or short coloured lines (for a person at a terminal).

Ids and codes, never payloads or keys: byte strings are not written at all, long texts are cut, and control characters are
escaped by the renderer, so that no message can forge a log line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

LIMIT: Final = 300
"""Longest text value in a log line, in characters."""
LEVELS: Final = ("debug", "info", "warning", "error")


def _no_payloads(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bytes are sizes, long texts are cut, everything a terminal would obey is escaped."""
    for key, value in event.items():
        if isinstance(value, bytes | bytearray):
            event[key] = f"<{len(value)} bytes>"
        elif isinstance(value, str) and key != "exception":
            shown = value if len(value) <= LIMIT else value[:LIMIT] + "…"
            event[key] = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
    return event


def configure(level: str = "warning", *, stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Set up logging for a process. ``as_json`` None: JSON unless the stream is a terminal."""
    out = stream or sys.stderr
    for_machines = not out.isatty() if as_json is None else as_json
    renderer: Any = structlog.processors.JSONRenderer() if for_machines else structlog.dev.ConsoleRenderer(colors=out.isatty())
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _no_payloads,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # The Kafka clients log reconnects as errors; what matters of it reaches us as exceptions.
    logging.basicConfig(level=logging.DEBUG if level == "debug" else logging.CRITICAL, stream=out, force=True)
