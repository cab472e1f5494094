"""One good message of each family, complete enough to break any single rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from broker.errors import Finding, Refusal
from broker.families.alert import alert
from broker.families.catalogue import check
from broker.families.licence import LicenceParty, licence
from broker.families.message import Audience, Message
from broker.families.seizure import seizure
from broker.testing.sample_answers import SAMPLES, sample_reachback_reply
from broker.testing.sample_files import sample_file
from broker.testing.sample_reports import sample_reachback
from broker.testing.samples import START_MS
from tests.support.attached import citing

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
UNTIL_MS = 1_797_724_800_000
REMOVE = object()
"""Put this in place of a value to remove its key."""


def good_alert() -> Message:
    """A dual-use shipment TH-SG-AE in a container, with everything known."""
    return alert(
        subject="SG-CUSTOMS/2026/000123",
        valid_until_ms=UNTIL_MS,
        audience=Audience(agencies=("AE-CUSTOMS",), communities=("STCE-ASEAN",)),
        core={
            "alert_type": "SHIPMENT",
            "risk_category": "DUAL_USE",
            "risk_score": 83,
            "confidence": "MED",
            "indicators": [{"code": "R12", "text": "consignee has no trade in such goods"}],
            "requested_actions": ["HOLD", "SPECIFIC_CHECK"],
            "decision_deadline": NOW,
            "deadline_anchor": "LOADING",
            "transport_mode": "SEA",
            "documents": [{"type": "N705", "id": "MAEU123456789"}],
            "mrn": "06DE586600006143E1",
        },
        goods={
            "items": [
                {
                    "hs_code": "84012000",
                    "hs_edition": 2022,
                    "description": "machinery for isotopic separation",
                    "gross_mass_kg": Decimal("1250.5"),
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "0B001.a", "edition": "2025"}],
                }
            ]
        },
        equipment={"units": [{"id": "CSQU3054383", "size_type": "22G1", "seals": ["SG0099887"]}]},
        route={
            "countries": [
                {"country": "TH", "role": "ORIGIN"},
                {"country": "SG", "role": "TRANSHIPMENT"},
                {"country": "SG", "role": "ZONE_HOST"},
                {"country": "AE", "role": "DESTINATION"},
            ],
            "places": [
                {"role": "LOADING", "country": "TH", "locode": "THLCH", "etd": datetime(2026, 11, 25, tzinfo=UTC)},
                {"role": "FREE_ZONE", "country": "SG", "locode": "SGSIN", "eta": datetime(2026, 11, 28, tzinfo=UTC)},
                {"role": "OTHER", "country": "OM", "name": "Sohar"},
            ],
            "conveyances": [
                {"mode": "SEA", "imo": "9074729", "voyage": "114W"},
                {"mode": "AIR", "flight": "EK353", "flight_date": date(2026, 12, 1)},
            ],
            "free_zone_code": "SGSIN-03",
            "free_zone_role": "STORAGE",
            "free_zone_entered_at": datetime(2026, 11, 29, tzinfo=UTC),
        },
        parties={"parties": [{"role": "CONSIGNEE", "name": "Example Trading FZE", "person_type": "2", "address": {"country": "AE"}}]},
        grounds={"narrative": "the consignee was founded last month", "listings": [{"list": "UN", "reference": "QDe.001"}]},
        source={"source_type": "OFFICIAL_RECORD"},
        value={"amount": Decimal("185000"), "currency": "USD", "incoterm": "FOB", "incoterm_place": "Laem Chabang"},
        attachments={"files": [sample_file()]},
    )


def good_licence() -> Message:
    """A revocation with effect for shipments already moving."""
    holder: LicenceParty = {"name": "Muster Maschinen GmbH", "person_type": "2", "eori": "DE123456789012345", "country": "DE"}
    return licence(
        subject="DE-BAFA/2026/L-0815",
        revision=2,
        urgency="FLASH",
        audience=Audience(countries=("AE",)),
        core={
            "decision_type": "REVOKE",
            "authority": "DE-BAFA",
            "licence_no": "2026-0815",
            "licence_type": "INDIVIDUAL",
            "effective_at": NOW,
            "published_at": NOW,
            "expires_at": datetime(2027, 6, 30, tzinfo=UTC),
            "appeal_status": "POSSIBLE",
            "destinations": ["AE"],
            "transit_countries": ["SG"],
            "shipments_in_transit_instruction": "HOLD",
        },
        items={
            "items": [
                {
                    "line": 1,
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B350.g", "edition": "2025"}],
                    "hs_codes": ["848180"],
                    "hs_edition": 2022,
                    "quantity_granted": Decimal(40),
                    "quantity_remaining": Decimal(12),
                    "unit": "H87",
                }
            ]
        },
        value={"currency": "EUR", "total": Decimal("96000"), "lines": [{"line": 1, "amount": Decimal("96000")}]},
        parties={
            "exporter": holder,
            "consignee": {"name": "Example Valves LLC", "person_type": "2", "country": "AE"},
            "end_users": [{"name": "Example Water Authority", "person_type": "2", "country": "AE"}],
            "end_use_statement_ref": "EUS-77",
        },
        reason={"reason_code": "FALSE_STATEMENT", "reason_text": "the end-use statement was forged"},
        denial={
            "regime": "AG",
            "denial_no": "AG-2026-14",
            "essentially_identical_key": "2B350.g/AE/1f0c",
            "valid_until": datetime(2029, 11, 20, tzinfo=UTC),
            "consultation_contact": "counter-proliferation desk",
        },
    )


def good_seizure() -> Message:
    """Valves declared as plumbing, found in a free zone because of an alert."""
    return seizure(
        subject="AE-CUSTOMS/2026/S-7",
        core={
            "event_no": "S-7",
            "stage": "PRELIMINARY",
            "event_type": "SEIZURE",
            "occurred_at": NOW,
            "place": {"country": "AE", "locode": "AEJEA", "grid_latitude": 249, "grid_longitude": 550, "location_kind": "FREE_ZONE"},
            "direction": "FZ_IN",
            "declared_as_found": False,
            "risk_category": "CBRN_C",
            "licence_status_at_event": "REVOKED",
            "licence_refs": [{"authority": "DE-BAFA", "licence_no": "2026-0815"}],
            "route": [{"country": "DE", "role": "EXPORT"}],
            "free_zone_code": "AEJEA-01",
        },
        goods={
            "items": [
                {
                    "declared": {"hs_code": "741220", "hs_edition": 2022, "description": "pipe fittings"},
                    "found": {"hs_code": "848180", "hs_edition": 2022, "description": "bellows valves"},
                    "quantity": Decimal(12),
                    "unit": "H87",
                    "analysis_state": "PENDING",
                }
            ]
        },
        equipment={"units": [{"id": "MSKU9070323", "observed_raw": "MSKU9070386"}], "conveyances": [{"mode": "ROAD", "plate": "D 12345"}]},
        parties={"parties": [{"role": "DRIVER", "name": "N. N.", "person_type": "1"}]},
        method={
            "detection_method": "ALERT",
            "alert_id": "SG-CUSTOMS/2026/000123",
            "images": [{"digest": bytes(32), "size": 120_000, "media_type": "image/jpeg", "reference": "case store 17"}],
        },
        source={"source_type": "PARTNER"},
        outcome={"penalty": Decimal("5000"), "penalty_currency": "AED"},
        attachments={"files": [sample_file()]},
    )


def good_reachback() -> Message:
    """A question with a photograph."""
    return citing(sample_reachback(), sample_file())


def good_reachback_reply() -> Message:
    """An answer with the laboratory's report."""
    return citing(sample_reachback_reply(), sample_file())


GOOD: dict[str, Callable[[], Message]] = {
    **SAMPLES, "alert": good_alert, "licence": good_licence, "seizure": good_seizure, "reachback": good_reachback,
    "reachback_reply": good_reachback_reply,
}  # fmt: skip
"""A good message of each family with every section it may have."""
ISSUED_MS = dict.fromkeys(GOOD, START_MS) | dict.fromkeys(("alert", "licence", "seizure"), int(NOW.timestamp() * 1000) - 1)
"""The time at which each of them may be issued, Unix milliseconds."""


def changed(message: Message, changes: Mapping[str, Any]) -> Message:
    """A copy with values replaced: ``{"core.documents": [], "route.places[0].country": "xx", "value": REMOVE}``."""
    sections: dict[str, Any] = deepcopy(dict(message.sections))
    for path, value in changes.items():
        steps = path.replace("[", ".[").split(".")
        place: Any = sections
        for step in steps[:-1]:
            place = place[int(step[1:-1])] if step.startswith("[") else place[step]
        last: Any = int(steps[-1][1:-1]) if steps[-1].startswith("[") else steps[-1]
        if value is REMOVE:
            del place[last]
        else:
            place[last] = value
    return replace(message, sections=sections)


def refused(message: Message) -> Refusal:
    """The refusal that the catalogue's check gives; fails where there is none."""
    verdict = check(message)
    assert isinstance(verdict, Refusal), verdict
    return verdict


def findings(message: Message) -> list[tuple[str, str]]:
    """Code and path of each finding; fails on a refusal."""
    verdict = check(message)
    assert not isinstance(verdict, Refusal), verdict
    assert all(isinstance(finding, Finding) for finding in verdict)
    return [(finding.code, finding.path) for finding in verdict]
