"""What is wrong with a shipment's papers: identifiers, codes, and what such papers always say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.errors import Finding
from broker.families.code_findings import bounded
from broker.families.coded import check_codes
from broker.families.codelists import CodeLists
from broker.screening import wco
from broker.screening.hits import screening_finding
from broker.screening.shipment import LISTS, Shipment

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "wco": ("goods", "parties"), "waybill": ("documents", "conveyances", "parties"), "baplie": ("units", "places"),
    "coprar": ("units", "places"), "cuscar": ("documents", "goods", "parties"), "iftsta": ("places",),
}  # fmt: skip
"""Lists that papers of a form always fill. The import control system has rules of its own; in files of ours it is for their makers."""
_ROOT: Final = "shipment"
PARTIAL: Final = (wco.RESPONSE, wco.AMENDMENT)
"""What customs say of a declaration, and what changes one, names it and not all that is in it."""


def findings(shipment: Shipment, lists: CodeLists) -> tuple[Finding, ...]:
    """Everything that is to be said of the papers, as many as are told of a message."""
    return bounded([*shipment.remarks, *_missing(shipment), *_codes(shipment, lists)])


def _missing(shipment: Shipment) -> Iterator[Finding]:
    if shipment.position not in PARTIAL:
        for name in NEEDED.get(shipment.form, ()):
            if not getattr(shipment, name):
                yield screening_finding("MISSING", name, f"no {name.replace('_', ' ')} are named; such papers always name them")


def _codes(shipment: Shipment, lists: CodeLists) -> Iterator[Finding]:
    record: dict[str, Any] = {name: value for name in ("mrn", "ucr") if (value := getattr(shipment, name))}
    record |= {name: list(getattr(shipment, name)) for name in LISTS if name != "free_zones" and getattr(shipment, name)}
    if shipment.free_zones:
        record["free_zones"] = [{"free_zone_code": zone} for zone in shipment.free_zones]
    for found in check_codes(_ROOT, {_ROOT: record}, lists):
        if found.code != "NO_GRAMMAR":
            yield Finding(found.severity, found.code, found.path.removeprefix(f"{_ROOT}."), found.reason)
