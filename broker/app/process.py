"""What a long-running process of ours sets for itself, once, before its work begins."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (100_000, 50, 100)
"""Python's own are 700, 10, 10: made for programs that leave cycles behind. Admission makes a hundred small objects for each message and
no cycle, and with those thresholds a relay spent 7 % of its time looking for some."""


def settle() -> None:
    """Keep the garbage collector from looking at what was loaded, and from looking often. Memory stays flat: reference counts free what a
    message leaves, and cycles (a task's exception, say) are still found, later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
