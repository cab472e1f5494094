"""What screening found as JSON values: the same fields on the command line and over HTTP."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from broker.errors import Finding
from broker.screening.hits import Evidence, Hit, Screened
from broker.screening.name_parts import Part
from broker.screening.shipment import BadRow, Shipment


def bad_row_json(row: BadRow) -> dict[str, Any]:
    """A row that could not be read."""
    return {"type": "bad_row", "line": row.line, "code": row.code, "reason": row.reason, "advice": row.advice}


def _place_json(shipment: Shipment) -> dict[str, Any]:
    return {"line": shipment.line, "position": shipment.position, "reference": shipment.reference or None}


def hit_json(shipment: Shipment, hit: Hit) -> dict[str, Any]:
    """A hit: feedback about it names ``subject`` and ``revision`` as its target."""
    return {"type": "hit", **_place_json(shipment)} | {
        "subject": hit.subject, "revision": hit.revision, "family": hit.family, "originator": hit.originator, "urgency": hit.urgency,
        "score": hit.score, "reason": hit.reason, "requested_actions": list(hit.actions),
        "evidence": [_evidence_json(each) for each in hit.evidence],
    }  # fmt: skip


def _evidence_json(each: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": each.kind, "weight": each.weight, "where": each.where, "given": each.given, "listed": each.listed}
    return found | ({"parts": [_part_json(part) for part in each.parts]} if each.parts else {})


def _part_json(part: Part) -> dict[str, Any]:
    return {"given": part.given or None, "listed": part.listed or None, "alike": round(part.alike, 2), "how": part.how}


def finding_json(shipment: Shipment, finding: Finding) -> dict[str, Any]:
    """A remark on the papers."""
    return {"type": "finding", **_place_json(shipment)} | {
        "severity": finding.severity, "code": finding.code, "path": finding.path, "reason": finding.reason,
    }  # fmt: skip


def records_of(each: Screened | BadRow, *, findings: bool) -> list[dict[str, Any]]:
    """All that is told of a row; ``findings``: the remarks on the papers too."""
    if isinstance(each, BadRow):
        return [bad_row_json(each)]
    told = [finding_json(each.shipment, found) for found in each.findings] if findings else []
    return [*(hit_json(each.shipment, hit) for hit in each.hits), *told]


@dataclass
class Tally:
    """Counts of a run."""

    rows: int = 0
    shipments: int = 0
    hits: int = 0
    hit_shipments: int = 0
    bad_rows: Counter[str] = field(default_factory=Counter[str])
    findings: Counter[str] = field(default_factory=Counter[str])
    hits_by_family: Counter[str] = field(default_factory=Counter[str])

    def take(self, each: Screened | BadRow) -> None:
        """Count a row."""
        self.rows += 1
        if isinstance(each, BadRow):
            self.bad_rows[each.code] += 1
            return
        self.shipments += 1
        self.hits += len(each.hits)
        self.hit_shipments += bool(each.hits)
        self.findings.update(finding.code for finding in each.findings)
        self.hits_by_family.update(hit.family for hit in each.hits)

    @property
    def clean(self) -> bool:
        """Whether there was neither a hit nor a bad row."""
        return not self.hits and not self.bad_rows

    def json(self) -> dict[str, Any]:
        """The last line of a run."""
        return {
            "type": "summary", "rows": self.rows, "shipments": self.shipments, "hits": self.hits, "hit_shipments": self.hit_shipments,
            "hits_by_family": dict(self.hits_by_family), "bad_rows": dict(self.bad_rows), "findings": dict(self.findings),
        }  # fmt: skip
