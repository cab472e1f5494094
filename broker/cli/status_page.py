"""The page that ``broker status --html`` writes: the exchange at one moment, for the operator. Codes and counts, no content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from broker.cli.policy_pages import definitions, heading, page, paragraph, table, text, unbroken, verdict
from broker.cli.screen import iso
from broker.exchange.overview import kinds_of
from broker.exchange.quarantine import Quarantined

OWN_WORD = (
    "How far it has read its inbox is an agency's own word, which its node or subscriber gives every few seconds. Agencies keep their "
    "positions themselves, so that nobody but them can move them. What is delivered is what the relay has written to their inboxes."
)
"""What the operator must not take the figures for."""
SHOWN = ("exchange", "environment", "directory_version", "policy_version", "policy_digest", "lag", "subjects", "delivered", "journal")
"""Lines of the head, by their names in ``broker status --json``."""


def status_page(record: Mapping[str, Any], refused: Sequence[Quarantined], at_ms: int) -> str:
    """The page. ``record`` is what ``broker status --json`` shows, ``refused`` what lies in quarantine."""
    agencies: list[dict[str, Any]] = record["agencies"]
    return page(
        f"Exchange {record['exchange']}",
        definitions((("As of", str(iso(at_ms))), *((name.replace("_", " "), str(record[name])) for name in SHOWN))),
        heading(2, "Agencies"),
        table(
            "Agencies, the longest lag first", ["Agency", "Kind", "State", "Shard", "Lag", "Delivered", "Parked", "Unread", "Said so"],
            (_agency(each) for each in sorted(agencies, key=lambda each: (-each["lag"], each["agency"]))),
        ) if agencies else paragraph("There are none."),
        paragraph(OWN_WORD, "soft"),
        heading(2, "Shards"),
        table("Shards that serve agencies", ["Shard", "Agencies", "Lag", "Parked"], _shards(agencies)) if agencies else "",
        heading(2, "Quarantine"),
        paragraph(f"Refused in the last 90 days: {len(refused)}."),
        table(
            "Refusals, the most frequent first", ["Code", "Step", "How many", "Outboxes", "From", "To", "What the sender is told"],
            _refusals(refused),
        ) if refused else "",
    )  # fmt: skip


def _agency(row: Mapping[str, Any]) -> list[str]:
    lag, parked = int(row["lag"]), int(row["parked"])
    return [
        unbroken(row["agency"]), text(row["kind"]), verdict(row["status"], good=row["status"] == "active"), text(str(row["shard"])),
        text(str(lag)), text(str(row["delivered"])), text("") if not parked else verdict(str(parked), good=False),
        text("?" if row["unread"] is None else str(row["unread"])), unbroken(iso(row["read_at"]) or ""),
    ]  # fmt: skip


def _shards(agencies: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    served: dict[int, list[Mapping[str, Any]]] = {}
    for row in agencies:
        served.setdefault(int(row["shard"]), []).append(row)
    table_rows: list[list[str]] = []
    for number, rows in sorted(served.items()):
        sums = (text(str(sum(int(row[name]) for row in rows))) for name in ("lag", "parked"))
        table_rows.append([text(str(number)), text(", ".join(str(row["agency"]) for row in rows)), *sums])
    return table_rows


def _refusals(refused: Sequence[Quarantined]) -> list[list[str]]:
    rows: list[list[str]] = []
    for kind in kinds_of(refused):
        spans = (unbroken(str(iso(each))) for each in (kind.first, kind.last))
        counts = (text(str(each)) for each in (kind.step, kind.count))
        rows.append([unbroken(kind.code), *counts, text(", ".join(kind.outboxes)), *spans, text(kind.advice)])
    return rows
