"""How a command that goes on until it is told to stop is told so."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from broker.app.children import STOPS_WITH_STDIN


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; in a child process of the program also the end of standard input."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    if os.environ.get(STOPS_WITH_STDIN):
        loop.add_reader(sys.stdin.fileno(), event.set)
    return event
