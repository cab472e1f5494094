"""What a register holds of alerts and of the feedback on them, as rows to be counted: the newest alerts, each with who answered what.

Read are at most so many alerts, by the index of family and time, and at most so many answers, by the index of links: how long it takes
does not grow with the register.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

ALERTS: Final = 5_000
"""Most alerts that are counted, the newest. With 100,000 feedbacks in a register these take 0.04 s to read, and 0.6 s to ask
the rules about, which is done for each message: purposes hold for figures too."""
ANSWERS: Final = 25_000
"""Most rows that are read: an alert has one for each feedback on it, at least one."""
ROWS: Final = """
SELECT s.subject, s.originator, s.admitted_at, c.body, f.subject, f.originator, l.note, f.admitted_at
FROM (SELECT subject, originator, admitted_at FROM subject WHERE family = 'alert' AND admitted_at >= ? ORDER BY admitted_at DESC LIMIT ?) s
LEFT JOIN content c ON c.subject = s.subject
LEFT JOIN link l ON l.target = s.subject AND l.kind = 'FEEDBACK'
LEFT JOIN subject f ON f.subject = l.subject
ORDER BY s.admitted_at DESC, s.subject LIMIT ?
"""
"""The query: of a time (Unix ms), most alerts, most rows."""


class Answered(NamedTuple):
    """An alert with one feedback on it, or with none (``feedback`` empty). ``indicators``: codes, none where the content is gone. Times in
    Unix ms."""

    alert: str
    originator: str
    admitted_at: int
    indicators: tuple[str, ...]
    feedback: str
    agency: str
    result: str
    at: int


def answered(connection: sqlite3.Connection, since_ms: int, *, alerts: int = ALERTS, answers: int = ANSWERS) -> Iterator[Answered]:
    """Alerts admitted since a time, the newest first, and the feedback on each."""
    before, codes = "", tuple[str, ...]()
    for subject, originator, admitted, body, *said in connection.execute(ROWS, (since_ms, alerts, answers)):
        if subject != before:
            before, codes = subject, _codes(body)
        yield Answered(subject, originator, admitted, codes, said[0] or "", said[1] or "", said[2] or "", said[3] or 0)


def _codes(body: str | None) -> tuple[str, ...]:
    found = json.loads(body).get("core", {}).get("indicators", ()) if body else ()
    return tuple(dict.fromkeys(str(each["code"]) for each in found))
