"""Records as rows of a table, for CSV: fixed columns for each view, and no cell that a spreadsheet would calculate.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return gets an apostrophe in front: a spreadsheet then shows it as
text. A program that reads the file takes one leading apostrophe off such a cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from broker.schema.catalogue import Catalogue

_CALCULATED: Final = ("=", "+", "-", "@", "\t", "\r")
_HEAD: Final = (
    "subject", "revision", "family", "originator", "message_id", "issued_at", "admitted_at", "valid_until", "urgency", "tlp", "handling",
)  # fmt: skip
_LICENCE: Final = (
    "licence_no", "authority", "licence_type", "status", "in_force", "decision", "instruction", "effective_at", "published_at",
    "expires_at", "destinations", "items", "subject", "revision", "admitted_at", "flags", "withheld",
)  # fmt: skip
_TRACE: Final = (
    "subject", "agency", "revision", "admitted_at", "sections", "withheld", "withdrawn", "rule", "policy_version", "directory_version",
    "acks", "feedback", "recall_answers", "other",
)  # fmt: skip
VIEWS: Final = ("alerts", "licences", "inbox", "trace")


def columns(view: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The columns of a view, the same for every export with the same schemas."""
    match view:
        case "licences":
            return _LICENCE
        case "trace":
            return _TRACE
        case "inbox":
            return (*_HEAD, "redelivered", "taken_back", "withheld", "sections")
        case _:
            return (*_HEAD, "live", "withheld", "flags", "links", *_fields(catalogue))


def _fields(catalogue: Catalogue) -> Iterator[str]:
    """``core.risk_category``, ``goods.items``: the fields of the sections of an alert."""
    for name in catalogue.sections("alert"):
        section = catalogue.current("alert", name)
        if section is not None:
            yield from (f"{name}.{field.name}" for field in section.schema.fields)


def table_rows(view: str, record: Mapping[str, Any], names: Sequence[str]) -> Iterator[list[str]]:
    """The rows of a record, as ``--json`` shows it: one, or of a trace one for each delivery."""
    header: Mapping[str, Any] = record.get("header", {})
    found: dict[str, Any] = {**header, **record}
    sections: Mapping[str, Mapping[str, Any]] = record.get("sections", {}) if view == "alerts" else {}
    for name, section in sections.items():
        found |= {f"{name}.{field}": value for field, value in section.items()}
    for part in cast("list[dict[str, Any]]", record["deliveries"]) if view == "trace" else [{}]:
        yield [neutral(written((found | part).get(name))) for name in names]


def written(value: Any) -> str:
    """A JSON value in a cell: text as it is, a list of texts with semicolons between, all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in cast("list[Any]", value)):
        return "; ".join(cast("list[str]", value))
    return "" if value in ([], {}) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def neutral(cell: str) -> str:
    """A cell that no spreadsheet calculates."""
    return f"'{cell}" if cell.startswith(_CALCULATED) else cell
