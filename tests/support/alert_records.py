"""Shipment alerts made from Korean import declarations (:data:`tests.support.records.DECLARATIONS`).

The record gives its number and day, the customs office, who declared, imported, sold and carried, the mode of transport, the HS
code, the countries of departure and origin, mass and price, and what inspectors found (``Critical Fraud``). It has no transport
document, container, port or name, and says nothing of urgency, marking or audience: those are made up, with a seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.support.records import Built, Row, Taken, built, container_number, hs_2022, places, seeded, taken

OWNER: Final = "KR-CUSTOMS"
MODES: Final[Mapping[str, tuple[str, str]]] = {
    "10": ("SEA", "1"), "20": ("RAIL", "2"), "30": ("ROAD", "3"), "40": ("AIR", "4"), "50": ("MAIL", "5"),
}  # fmt: skip
"""Mode of transport of a declaration: its name, and the UN/LOCODE function of a place where goods are loaded."""
DOCUMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "SEA": ("N705", "HDMU"), "RAIL": ("N720", "CIM"), "ROAD": ("N730", "CMR"), "AIR": ("N740", "180-"), "MAIL": ("N750", "RR"),
}  # fmt: skip
LINES: Final = ("CSQU", "HDMU", "TEMU", "MSCU", "KMTU")
PARTIES: Final = (("DECLARANT", "Declarant ID"), ("CONSIGNEE", "Importer ID"), ("CONSIGNOR", "Seller ID"), ("CARRIER", "Courier ID"))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Whom the made-up audiences name: one agency, and a community that it and others belong to."""

    agency: str = "SG-CUSTOMS"
    community: str = "STCE-FORUM"


@dataclass(frozen=True, slots=True)
class AlertBuilder:
    """Builds alerts. The same row, seed and time give the same alert."""

    folder: Path
    now: datetime
    audience: Distribution = Distribution()
    seed: int = 0

    def __call__(self, row: Row) -> Built:
        """Revision 1 of the alert about this declaration."""
        chance = seeded(self.seed, row["Declaration ID"])
        mode, function = MODES.get(row["Mode of Transport"], ("NOT_APPLICABLE", "1"))
        sections: dict[str, Any] = {
            "core": self._core(row, mode, chance),
            "goods": {"items": [self._item(row)]},
            "route": self._route(row, function, chance),
            "parties": {"parties": [_party(role, row[column]) for role, column in PARTIES if row[column]]},
            "grounds": {"narrative": "selected by the risk engine; see the indicators", "profile_ref": f"P-{chance.randrange(100, 999)}"},
            "source": {
                "source_type": "OFFICIAL_RECORD",
                "source_ref": taken(f"declaration {row['Declaration ID']}"),
                "obtained_from": taken(f"KR customs office {row['Office ID']}"),
                "obtained_at": taken(f"{row['Date']}T00:00:00Z"),
            },
            "value": {"amount": _amount(row["Item Price"]), "currency": "KRW"},
        }
        if mode == "SEA":
            unit = container_number(chance.choice(LINES), chance.randrange(1_000_000))
            sections["equipment"] = {"units": [{"id": unit, "seals": [f"KR{chance.randrange(10**7):07d}"]}]}
        return built({
            "family": "alert",
            "subject": taken(f"{OWNER}/{row['Date'][:4]}/{row['Declaration ID']}"),
            "revision": 1,
            "header": self._header(row, chance),
            "sections": sections,
        })  # fmt: skip

    def _core(self, row: Row, mode: str, chance: random.Random) -> dict[str, Any]:
        critical = row["Critical Fraud"]
        kind, prefix = DOCUMENTS.get(mode, ("N703", "HB"))
        core: dict[str, Any] = {
            "alert_type": "SHIPMENT",
            "risk_category": "SANCTIONS_DIVERSION" if critical == "2" else "OTHER",
            "indicators": [{"code": taken(f"KR-CRITICAL-FRAUD-{critical}"), "text": "class found when such goods were inspected"}],
            "requested_actions": ["HOLD"] if critical == "2" else ["RFS_SCREEN"] if critical == "1" else ["ASSESS_ONLY"],
            "transport_mode": taken(mode),
            "documents": [{"type": kind, "id": f"{prefix}{chance.randrange(10**9):09d}"}],
        }
        if critical == "2":
            core |= {"decision_deadline": _iso(self.now + timedelta(hours=24)), "deadline_anchor": "ARRIVAL"}
        return core

    def _item(self, row: Row) -> dict[str, Any]:
        code = row["HS6 Code"].zfill(6)
        return {
            "hs_code": taken(code),
            "hs_edition": 2022 if code in hs_2022(self.folder) else 2017,
            "description": "goods as declared under this code",
            "quantity": _amount(row["Net Mass"]),
            "unit": "KGM",
        }

    def _route(self, row: Row, function: str, chance: random.Random) -> dict[str, Any]:
        departure, origin = row["Country of Departure"], row["Country of Origin"]
        known = places(self.folder)
        loading, discharge = known.get((departure, function)), known[("KR", function)]
        return {
            "countries": [
                {"country": taken(origin), "role": "ORIGIN"},
                {"country": taken(departure), "role": "EXPORT"},
                {"country": "KR", "role": "DESTINATION"},
            ],
            "places": [
                {"role": "LOADING", "country": taken(departure), "locode": chance.choice(loading) if loading else None},
                {"role": "DISCHARGE", "country": "KR", "locode": chance.choice(discharge)},
            ],
        }  # fmt: skip

    def _header(self, row: Row, chance: random.Random) -> dict[str, Any]:
        urgency = {"2": "IMMEDIATE", "1": "PRIORITY"}.get(row["Critical Fraud"], "ROUTINE")
        tlp = chance.choices(("RED", "AMBER+STRICT", "AMBER", "GREEN"), (1, 1, 5, 3))[0]
        audience = {
            "RED": {"agencies": [self.audience.agency]},
            "AMBER+STRICT": {"agencies": [self.audience.agency]},
            "AMBER": {"agencies": [self.audience.agency], "communities": [self.audience.community]},
            "GREEN": {"communities": [self.audience.community]},
        }[tlp]
        return {
            "urgency": urgency, "tlp": tlp, "handling": "H0", "purposes": ["STC_ENFORCEMENT"], "legal_basis": "UNSCR1540",
            "evaluation": {"source": "A", "information": "I2"}, "audience": audience, "valid_until": _iso(self.now + timedelta(days=20)),
        }  # fmt: skip


def _party(role: str, number: str) -> dict[str, Any]:
    return {"role": role, "name": f"{role.title()} of the declaration", "person_type": "2", "id": taken(number), "id_scheme": "TAX"}


def _amount(text: str) -> Taken:
    """A number of the record, which has floats' noise in places, at the six places that a message holds."""
    return taken(f"{Decimal(text).quantize(Decimal('0.000001')).normalize():f}")


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
