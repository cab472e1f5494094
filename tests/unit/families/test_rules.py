"""The conditional rules of the three families, one broken rule at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from broker.errors import Refusal
from broker.families.catalogue import FAMILIES, check
from broker.families.code_findings import CODE_FINDINGS
from broker.families.message import Evaluation, Message
from broker.families.rules import FINDINGS
from tests.unit.families.samples import GOOD, NOW, REMOVE, changed, findings, good_alert, good_licence, good_seizure, refused

GRADED = Evaluation("A", "I2")
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


def graded(family: str) -> Message:
    return replace(GOOD[family](), evaluation=GRADED)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_good_message_has_no_finding(family: str) -> None:
    """Every rule below is broken by its own change alone, because the message before the change breaks none."""
    assert findings(graded(family)) == []


@pytest.mark.parametrize(("family", "changes", "path"), REFUSED, ids=[f"{f}-{p}-{n}" for n, (f, _, p) in enumerate(REFUSED)])
def test_a_broken_rule_is_refused_at_its_field(family: str, changes: dict[str, Any], path: str) -> None:
    """Each conditional rule refuses with BAD_FIELD and the path of the field that the sender has to correct."""
    changes = {where: value for where, value in changes.items() if not (where.startswith("route.") and changes.get("route") is REMOVE)}
    refusal = refused(changed(graded(family), changes))
    assert (refusal.code, refusal.path) == ("BAD_FIELD", path)


@pytest.mark.parametrize(("family", "changes", "expected"), FOUND, ids=[f"{f}-{n}" for n, (f, _, _) in enumerate(FOUND)])
def test_what_lessens_a_message_is_a_finding(family: str, changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """What is missing but not fatal is told with its path, and nothing else is."""
    assert findings(changed(graded(family), changes)) == expected


def test_every_finding_can_happen() -> None:
    """No code is in the table of findings that no test has seen; those of identifiers and codes are seen in test_coded."""
    seen = {code for _, _, expected in FOUND for code, _ in expected} | {"NO_EVALUATION"}
    assert seen - {"BAD_HS"} == set(FINDINGS) - set(CODE_FINDINGS)


def test_times_may_be_milliseconds() -> None:
    """The rules about times hold in the codec's other form, Unix milliseconds, which the relay uses."""
    day = 86_400_000
    now = int(NOW.timestamp() * 1000)
    late = changed(graded("licence"), {"core.published_at": now, "core.effective_at": now - day - 1})
    assert findings(late) == [("BACKDATED", "core.effective_at")]
    long = changed(graded("licence"), {"core.effective_at": now, "denial.valid_until": now + 1097 * day})
    assert refused(long).path == "denial.valid_until"
    early = changed(graded("alert"), {"route.places[0].etd": now, "route.places[1].eta": now - 1})
    assert findings(early) == [("ETA_BEFORE_ETD", "route.places[1].eta")]


def test_discreet_surveillance_needs_a_mark_that_keeps_it_secret() -> None:
    """Discreet surveillance with PAP GREEN, or none, would let an officer ask the trader."""
    discreet = changed(good_alert(), {"core.requested_actions": ["DISCREET_SURVEILLANCE"]})
    for pap in (None, "GREEN", "CLEAR"):
        refusal = refused(replace(discreet, pap=pap))
        assert (refusal.code, refusal.path) == ("BAD_LABELS", "header.pap")
    assert not isinstance(check(replace(discreet, pap="AMBER")), Refusal)


def test_a_controlled_delivery_needs_an_embargo() -> None:
    """Without embargo_until the report of a movement under surveillance would reach everybody at once."""
    watched = changed(good_seizure(), {"core.controlled_delivery": True})
    assert refused(watched).path == "header.embargo_until"
    assert not isinstance(check(replace(watched, embargo_until_ms=1_797_724_800_000)), Refusal)


def test_a_source_without_grades_is_a_finding() -> None:
    """Intelligence that nobody graded is let through and remarked on."""
    assert findings(good_alert()) == [("NO_EVALUATION", "header.evaluation")]
    assert findings(good_licence()) == []


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        (replace(good_alert(), family="gossip"), "UNKNOWN_FAMILY", "family"),
        (changed(good_alert(), {"core": REMOVE}), "MISSING_SECTION", "core"),
        (changed(good_alert(), {"denial": {}}), "UNKNOWN_SECTION", "denial"),
        (changed(good_alert(), {"audience": {}}), "UNKNOWN_SECTION", "audience"),
        (changed(good_alert(), {"co\u202ere": {}}), "UNKNOWN_SECTION", "co\\u202ere"),
    ],
)
def test_family_and_sections_are_known(message: Message, code: str, path: str) -> None:
    """A message has the sections of its family and no others; audience is a field of its own."""
    refusal = refused(message)
    assert (refusal.code, refusal.path) == (code, path)
