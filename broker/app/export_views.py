"""The views of what an agency holds, record by record: what the command ``broker export`` and the node's ``GET /exports`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from broker.app.purpose import Purposed
from broker.app.recall import Recalls
from broker.app.register_forms import licence_json, subject_json, trace_json
from broker.storage.publisher_store import PublishedReader
from broker.storage.register_reader import RegisterReader

PAGE: Final = 500
HELD: Final = ("alerts", "licences", "trace")
"""Views that are answered from the register."""
Record = dict[str, Any]


def held(
    view: str, reader: RegisterReader, use: Purposed, recalls: Recalls, published_at: Path, now_ms: int, *, ended: bool
) -> Iterator[Record]:
    """The records of one of :data:`HELD`, as far as the purpose lets them be shown. ``published_at``: the publisher's store; ``ended``
    takes in alerts past their time. Each carries the TLP label of its message, where it is known."""
    if view == "alerts":
        for subject in _pages(lambda last: reader.subjects_after(last, "alert", PAGE)):
            answer = reader.subject(subject, now_ms)
            # What would not be in it anyway is not asked for: it would count among what is left out.
            shown = use.subject(answer) if answer is not None and (answer.live or ended) else None
            if shown is not None:
                yield subject_json(shown)
    elif view == "licences":
        for number in _pages(lambda last: reader.licences_after(last, PAGE)):
            for found in reader.licence(number, now_ms):
                licence = use.licence(found)
                if licence is not None:
                    yield licence_json(licence) | _mark(reader, licence.subject)
    else:
        with closing(PublishedReader(published_at)) as published:
            for subject in _pages(lambda last: published.subjects_after(last, PAGE)):
                mark = _mark(reader, subject)
                for each in recalls.trace(reader, subject):
                    yield trace_json(subject, use.trace(each)) | mark


def _mark(reader: RegisterReader, subject: str) -> Record:
    row = reader.row(subject)
    return {} if row is None else {"tlp": row.tlp.replace("_", "+")}


def _pages(page: Callable[[str], list[str]]) -> Iterator[str]:
    last = ""
    while some := page(last):
        yield from some
        last = some[-1]
