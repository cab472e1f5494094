"""What breaks the conditional rules of alerts, licence decisions and seizure reports, and what lessens one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.unit.families.samples import REMOVE

NO_ZONE: dict[str, Any] = {
    "route.countries": [{"country": "TH", "role": "ORIGIN"}, {"country": "AE", "role": "DESTINATION"}],
    "route.places[1].role": "TRANSHIPMENT",
    "route.free_zone_code": None,
}
"""Takes the free zone from the good alert's route."""
UNNAMED: dict[str, Any] = {
    "core.documents": [], "core.mrn": None, "core.ucr": None, "equipment": REMOVE, "route.conveyances": [], "parties": REMOVE,
}  # fmt: skip
"""Takes from the good alert everything by which one could find the shipment."""

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("alert", {"core.indicators": []}, "core.indicators"),
    ("alert", {"core.indicators": [{"code": "R1", "text": None}] * 51}, "core.indicators"),
    ("alert", {"core.requested_actions": []}, "core.requested_actions"),
    ("alert", {"core.risk_score": 101}, "core.risk_score"),
    ("alert", {"core.risk_score": -1}, "core.risk_score"),
    ("alert", {"core.decision_deadline": None}, "core.decision_deadline"),
    ("alert", {"core.requested_actions": ["DO_NOT_LOAD"], "core.decision_deadline": None}, "core.decision_deadline"),
    ("alert", {"core.deadline_anchor": None}, "core.deadline_anchor"),
    ("alert", UNNAMED, "core.documents"),
    ("alert", {**UNNAMED, "core.alert_type": "ROUTE", "route": REMOVE, "route.conveyances": REMOVE}, "core.documents"),
    ("alert", {**UNNAMED, "core.alert_type": "COMMODITY", "goods": REMOVE}, "core.documents"),
    ("alert", {"goods.items": []}, "goods.items"),
    ("alert", {"equipment.units": []}, "equipment.units"),
    ("alert", {"parties.parties": []}, "parties.parties"),
    ("alert", {"route.places": []}, "route.places"),
    ("alert", {"route.countries[3].country": "ae"}, "route.countries[3].country"),
    ("alert", {"route.places[0].country": "Т\N{CYRILLIC CAPITAL LETTER EN}"}, "route.places[0].country"),
    ("alert", {"route.free_zone_code": None}, "route.free_zone_code"),
    ("alert", {"route.free_zone_code": "somewhere"}, "route.free_zone_code"),
    ("alert", NO_ZONE | {"route.free_zone_role": "STORAGE"}, "route.free_zone_code"),
    ("alert", NO_ZONE | {"route.free_zone_operator": "Example Zone Authority"}, "route.free_zone_code"),
    ("alert", {"route.conveyances[0].imo": None}, "route.conveyances[0].imo"),
    ("alert", {"route.conveyances[1].flight": ""}, "route.conveyances[1].flight"),
    ("licence", {"core.authority": "BAFA"}, "core.authority"),
    ("licence", {"core.authority": "FR-SBDU"}, "core.authority"),
    ("licence", {"core.licence_no": ""}, "core.licence_no"),
    ("licence", {"core.destinations": []}, "core.destinations"),
    ("licence", {"core.destinations": ["AE", "U"]}, "core.destinations[1]"),
    ("licence", {"core.transit_countries": ["sg"]}, "core.transit_countries[0]"),
    *(
        ("licence", {"core.decision_type": kind, "core.retroactive": True, "core.shipments_in_transit_instruction": None},
         "core.shipments_in_transit_instruction")
        for kind in ("SUSPEND", "REVOKE", "ANNUL")
    ),
    ("licence", {"core.decision_type": "ANNUL"}, "core.retroactive"),
    ("licence", {"core.decision_type": "REINSTATE"}, "core.final_assessment"),
    ("licence", {"core.decision_type": "DENY", "denial": REMOVE}, "denial"),
    ("licence", {"denial.valid_until": datetime(2029, 11, 26, tzinfo=UTC)}, "denial.valid_until"),
    ("licence", {"items.items": []}, "items.items"),
    ("licence", {"items.items[0].quantity_granted": Decimal(-1), "items.items[0].quantity_remaining": None},
     "items.items[0].quantity_granted"),
    ("licence", {"items.items[0].quantity_remaining": Decimal(-1)}, "items.items[0].quantity_remaining"),
    ("licence", {"items.items[0].quantity_remaining": Decimal("40.000001")}, "items.items[0].quantity_remaining"),
    ("licence", {"items.items[0].unit": None}, "items.items[0].unit"),
    ("licence", {"items.items[0].hs_edition": None}, "items.items[0].hs_edition"),
    ("licence", {"parties.exporter": None}, "parties.exporter"),
    ("seizure", {"core.event_no": ""}, "core.event_no"),
    ("seizure", {"core.place.country": "Dubai"}, "core.place.country"),
    ("seizure", {"core.place.grid_latitude": None}, "core.place.grid_latitude"),
    ("seizure", {"core.place.grid_longitude": None}, "core.place.grid_longitude"),
    ("seizure", {"core.place.grid_latitude": 900}, "core.place.grid_latitude"),
    ("seizure", {"core.place.grid_longitude": -1801}, "core.place.grid_longitude"),
    ("seizure", {"core.route[0].country": ""}, "core.route[0].country"),
    ("seizure", {"core.free_zone_code": None}, "core.free_zone_code"),
    ("seizure", {"core.free_zone_code": None, "core.direction": "IMPORT"}, "core.free_zone_code"),
    ("seizure", {"method.alert_id": None}, "method.alert_id"),
    ("seizure", {"method.alert_id": "../../etc"}, "method.alert_id"),
    ("seizure", {"goods.items": []}, "goods.items"),
    ("seizure", {"goods.items[0].quantity": Decimal(-12)}, "goods.items[0].quantity"),
    ("seizure", {"parties.parties": []}, "parties.parties"),
    ("seizure", {"equipment.conveyances[0].plate": None}, "equipment.conveyances[0].plate"),
    ("seizure", {"outcome.penalty_currency": None}, "outcome.penalty_currency"),
]  # fmt: skip

FOUND: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("alert", {"goods": REMOVE}, [("NO_GOODS", "goods")]),
    ("alert", {"route": REMOVE}, [("NO_ROUTE", "route")]),
    ("alert", {"route.countries": [{"country": "TH", "role": "ORIGIN"}]}, [("SHORT_ROUTE", "route.countries")]),
    ("alert", {"goods.items[0].control_codes": []}, [("NO_CONTROL_CODE", "goods.items")]),
    ("alert", {"goods.items[0].control_codes": [], "core.catch_all_basis": "WMD"}, []),
    ("alert", {"goods.items[0].control_codes": [], "core.risk_category": "OTHER"}, []),
    ("alert", {"goods.items[0].hs_code": "7701"}, [("BAD_HS", "goods.items[0].hs_code")]),
    ("alert", {"route.places[1].eta": datetime(2026, 11, 24, tzinfo=UTC)}, [("ETA_BEFORE_ETD", "route.places[1].eta")]),
    ("alert", {"route.places[1].etd": datetime(2026, 11, 27, tzinfo=UTC)}, [("ETA_BEFORE_ETD", "route.places[1].etd")]),
    ("alert", {**UNNAMED, "core.alert_type": "COMMODITY"}, []),
    ("alert", {**UNNAMED, "core.alert_type": "ROUTE"}, []),
    ("alert", {**UNNAMED, "core.ucr": "UCR-1"}, []),
    ("licence", {"items": REMOVE}, [("NO_ITEMS", "items")]),
    ("licence", {"parties": REMOVE}, [("NO_PARTIES", "parties")]),
    ("licence", {"parties.exporter": None, "core.licence_type": "GENERAL"}, []),
    ("licence", {"parties.exporter.eori": None}, [("NO_EXPORTER_ID", "parties.exporter")]),
    ("licence", {"parties.end_users": []}, [("NO_END_USER", "parties")]),
    ("licence", {"reason": REMOVE}, [("NO_REASON", "reason")]),
    ("licence", {"core.effective_at": datetime(2026, 11, 23, 2, tzinfo=UTC)}, [("BACKDATED", "core.effective_at")]),
    ("licence", {"core.effective_at": datetime(2026, 11, 23, 3, tzinfo=UTC)}, []),
    ("licence", {"items.items[0].hs_codes": ["848180", "0x"]}, [("BAD_HS", "items.items[0].hs_codes[1]")]),
    ("licence", {"denial": REMOVE}, []),
    ("seizure", {"goods": REMOVE}, [("NO_GOODS", "goods")]),
    ("seizure", {"method": REMOVE}, [("NO_METHOD", "method")]),
    ("seizure", {"goods.items[0].declared.hs_code": "99999"}, [("BAD_HS", "goods.items[0].declared.hs_code")]),
    ("seizure", {"goods.items[0].declared": None}, []),
    ("seizure", {"method.detection_method": "DOG", "method.alert_id": None}, []),
]

TIMED: list[tuple[str, dict[str, Any], str]] = [
    ("seizure", {"core.occurred_at": datetime(2026, 11, 24, 3, 6, tzinfo=UTC)}, "core.occurred_at"),
]
"""Refused because of the time of issue, 3:00 that day: the paths."""
