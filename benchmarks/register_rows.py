"""What lies in the register that is measured: licences with one item each, and alerts that cite some of them. The same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from broker.register.rows import Delivered

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
START_MS: Final = int(START.timestamp() * 1000)
AGENCY: Final = "AE-CUSTOMS"
COUNTRIES: Final = ("AE", "SG", "MY", "TH", "BR", "ZA", "TR", "MX")


def folder_of(home: Path) -> Path:
    """Where both databases lie."""
    return home / "bench-register"


def number_of(licence: int) -> str:
    """The number of a licence: spread over the key space, as numbers of many authorities and years are."""
    return f"{2020 + licence % 7}-{hashlib.sha256(licence.to_bytes(8, 'big')).hexdigest()[:4].upper()}{licence:08d}"


def licences(count: int) -> Iterator[Delivered]:
    """Grants; one in fifty is revoked."""
    for licence in range(count):
        stopped = licence % 50 == 10
        core: dict[str, Any] = {
            "decision_type": "REVOKE" if stopped else "GRANT", "authority": "DE-BAFA", "licence_no": number_of(licence),
            "licence_type": "INDIVIDUAL", "effective_at": START, "published_at": START, "expires_at": START + timedelta(days=900),
            "appeal_status": None, "retroactive": False, "destinations": [COUNTRIES[licence % 8]], "transit_countries": [],
            "shipments_in_transit_instruction": "HOLD" if stopped else None, "final_assessment": None,
        }  # fmt: skip
        item: dict[str, Any] = {
            "line": 1, "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B004", "edition": "2025"}], "hs_codes": ["847989"],
            "hs_edition": 2022, "description": "hot isostatic press and spare parts", "quantity_granted": Decimal(licence % 900 + 1),
            "quantity_remaining": Decimal(licence % 900 + 1), "unit": "H87",
        }  # fmt: skip
        yield _delivered("licence", "DE-BAFA", f"DE-BAFA/2026/L-{licence}", licence, {"core": core, "items": {"items": [item]}})


def alerts(count: int, of: int) -> Iterator[Delivered]:
    """Alerts with a container, a document, two parties, goods; one in ten cites a licence of ``of``."""
    for alert in range(count):
        cited = [{"authority": "DE-BAFA", "licence_no": number_of(alert * 31 % of), "resolved": False}] if alert % 10 == 0 else []
        sections: dict[str, Any] = {
            "core": {
                "alert_type": "SHIPMENT", "risk_category": "DUAL_USE", "indicators": [{"code": "END_USE_UNCLEAR", "text": None}],
                "requested_actions": ["RFS_SCREEN"], "transport_mode": "SEA", "documents": [{"type": "N705", "id": f"HLCU{alert:09d}"}],
                "mrn": None, "ucr": None, "licence_refs": cited, "alert_links": [],
            },
            "goods": {"items": [{"hs_code": f"{840000 + alert % 9999}", "control_codes": [], "description": "machine parts"}]},
            "equipment": {"units": [{"id": f"CSQU{alert:07d}", "observed_raw": None, "seals": []}]},
            "parties": {"parties": [
                {"role": "CONSIGNEE", "name": f"Example Trading {alert % 5000} FZE", "id": f"AE{alert:07d}", "lei": None},
                {"role": "CONSIGNOR", "name": f"Muster Maschinen {alert % 3000} GmbH", "id": None, "lei": None},
            ]},
        }  # fmt: skip
        yield _delivered("alert", "SG-CUSTOMS", f"SG-CUSTOMS/2026/{alert}", alert, sections)


def _delivered(family: str, owner: str, subject: str, number: int, sections: dict[str, Any]) -> Delivered:
    digest = hashlib.sha256(subject.encode()).digest()
    return Delivered(
        family=family, originator=owner, subject=subject, revision=1, counter=number + 1, leaf=digest, message_id=digest[:16].hex(),
        issued_at=START_MS, admitted_at=START_MS + number, valid_until=START_MS + 900 * 86_400_000, urgency="ROUTINE", tlp="AMBER",
        handling="H0", retention="R5Y", target=None, target_revision=None, sections=sections,
    )  # fmt: skip
