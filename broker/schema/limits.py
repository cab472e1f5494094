"""What a value may be beyond its type. The walk (bytes received) and the codec (values to send) apply the same limits, so that
whatever an agency can encode every other agency accepts.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from broker.schema.avsc import Node, Nullable, Record

BODY_LIMIT: Final = 1 << 20
"""Longest Avro body of a section in bytes: the size of a whole record in Kafka."""
ITEM_LIMIT: Final = 10_000
"""Most items of one array."""
NODE_LIMIT: Final = 250_000
"""Most values inside the arrays of one body: 10,000 items of goods, each with a control code, and no more.

A decoded value costs up to 100 bytes of memory where its bytes cost one. Measured on bodies made to fill the limit: 14 MB once
decoded, 37 ms to walk, on one shared core."""

INT_MIN: Final = -(1 << 31)
INT_MAX: Final = (1 << 31) - 1
LONG_MIN: Final = -(1 << 63)
LONG_MAX: Final = (1 << 63) - 1

FIRST_TIME: Final = datetime(1990, 1, 1, tzinfo=UTC)
END_OF_TIME: Final = datetime(2101, 1, 1, tzinfo=UTC)
"""Timestamps lie in the years 1990 to 2100; this is the first instant after them."""
FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2100, 12, 31)
"""Dates lie in the years 1900 to 2100: persons now living were born in them."""
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp()) * 1_000


FIRST_MS: Final = _milliseconds(FIRST_TIME)
LAST_MS: Final = _milliseconds(END_OF_TIME) - 1
FIRST_DAYS: Final = FIRST_DAY.toordinal() - EPOCH_DAY
LAST_DAYS: Final = LAST_DAY.toordinal() - EPOCH_DAY

forbidden_character = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]").search
"""Finds what no text may hold: control characters other than tab and newline (Unicode category Cc), line and paragraph
separators, embedding, override and isolate marks, with which an officer reads another text than the one signed (UAX 9, 2.1 to
2.4), and halves of surrogate pairs. The marks LRM, RLM and ALM are allowed."""


def character_fault(text: str) -> str:
    """The reason why a text is refused; empty if it is not."""
    found = forbidden_character(text)
    return f"the character U+{ord(found[0]):04X} at position {found.start()} is not allowed in a text" if found else ""


def cost(items: Node) -> int:
    """Values in one item of an array, leaving out arrays inside it: they count their own."""
    match items:
        case Record(_, fields):
            return 1 + sum(cost(field.node) for field in fields)
        case Nullable(inner):
            return cost(inner)
        case _:
            return 1
