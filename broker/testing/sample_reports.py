"""Sample messages of an agency's own subjects - licence, seizure, free-zone warning, entity watch, licit movement, reach-back -
with real codes, complete and valid, for tests and first steps. Parties are made up. Times hang on ``now_ms`` (Unix ms UTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Unpack

from broker.families.entity_watch import entity_watch
from broker.families.fz_warning import ZoneItem, fz_warning
from broker.families.licence import licence
from broker.families.licit_movement import licit_movement
from broker.families.message import Audience, LabelArguments, Message
from broker.families.reachback import reachback
from broker.families.seizure import seizure
from broker.testing.samples import START_MS
from broker.values import Evaluation


def moment(now_ms: int, *, days: int = 0, hours: int = 0) -> datetime:
    """The time that lies so far from ``now_ms``."""
    return datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(days=days, hours=hours)


def sample_licence(
    subject: str = "DE-BAFA/2026/L-0815", *, now_ms: int = START_MS, agencies: Sequence[str] = (), **labels: Unpack[LabelArguments]
) -> Message:
    """A grant: one hot isostatic press and its spare parts (EU 2B004) for an end user in the Emirates by way of Singapore."""
    now = moment(now_ms)
    return licence(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={
            "decision_type": "GRANT",
            "authority": "DE-BAFA",
            "licence_no": "2026-0815",
            "licence_type": "INDIVIDUAL",
            "effective_at": now,
            "published_at": now,
            "expires_at": moment(now_ms, days=365),
            "destinations": ["AE"],
            "transit_countries": ["SG"],
        },
        items={
            "items": [
                {
                    "line": 1,
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B004", "edition": "2025"}],
                    "hs_codes": ["847989"],
                    "hs_edition": 2022,
                    "description": "hot isostatic press",
                    "quantity_granted": Decimal(4),
                    "quantity_remaining": Decimal(4),
                    "unit": "H87",
                }
            ]
        },
        value={"currency": "EUR", "total": Decimal(1_200_000)},
        parties={
            "exporter": {"name": "Muster Maschinen GmbH", "person_type": "2", "eori": "DE123456789012345", "country": "DE"},
            "consignee": {"name": "Example Trading FZE", "person_type": "2", "country": "AE"},
            "end_users": [{"name": "Example Turbine Repair LLC", "person_type": "2", "country": "AE"}],
            "end_use_statement_ref": "EUS-77",
        },
        **labels,
    )


def sample_seizure(
    subject: str = "AE-CUSTOMS/2026/S-7",
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = (),
    alert_id: str = "SG-CUSTOMS/2026/000123",
    **labels: Unpack[LabelArguments],
) -> Message:
    """Valves declared as plumbing, found because of an alert, under a revoked licence."""
    return seizure(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={
            "event_no": "S-7",
            "stage": "PRELIMINARY",
            "event_type": "SEIZURE",
            "occurred_at": moment(now_ms, hours=-6),
            "place": {"country": "AE", "locode": "AEJEA", "location_kind": "PORT"},
            "direction": "IMPORT",
            "declared_as_found": False,
            "risk_category": "CBRN_C",
            "licence_status_at_event": "REVOKED",
            "licence_refs": [{"authority": "DE-BAFA", "licence_no": "2026-0815", "resolved": True}],
            "route": [{"country": "DE", "role": "EXPORT"}],
        },
        goods={
            "items": [
                {
                    "declared": {"hs_code": "741220", "hs_edition": 2022, "description": "pipe fittings"},
                    "found": {"hs_code": "848180", "hs_edition": 2022, "description": "bellows valves"},
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B350.g", "edition": "2025"}],
                    "quantity": Decimal(12),
                    "unit": "H87",
                    "analysis_state": "PENDING",
                }
            ]
        },
        equipment={"units": [{"id": "MSKU9070323", "seals": ["AE0099887"]}]},
        method={"detection_method": "ALERT", "alert_id": alert_id},
        **labels,
    )


_ZONE_GOODS: Final[ZoneItem] = {
    "inbound": {"hs_code": "902620", "hs_edition": 2022, "description": "pressure transducers", "country": "DE"},
    "outbound": {
        "hs_code": "902610",
        "hs_edition": 2022,
        "description": "flow meters",
        "country": "MY",
        "quantity": Decimal(40),
        "unit": "H87",
    },
    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B230", "edition": "2025"}],
}


def sample_fz_warning(
    subject: str = "SG-CUSTOMS/2026/Z-4",
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = ("AE-CUSTOMS",),
    **labels: Unpack[LabelArguments],
) -> Message:
    """Pressure transducers that came to a Singapore zone from Germany and left it after 46 days in another box for another consignee."""
    came, left = moment(now_ms, days=-50), moment(now_ms, days=-4, hours=1)
    labels.setdefault("evaluation", Evaluation("A", "I2"))
    return fz_warning(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={
            "free_zone_code": "SGSIN-03",
            "patterns": ["CONSIGNEE_SWAP", "DWELL_LIMIT"],
            "period_from": came.date(),
            "period_until": left.date(),
            "cases": 3,
            "dwell_days": 46,
            "dwell_limit_days": 45,
            "transport_mode": "SEA",
            "recommended_checks": ["VERIFY_CONSIGNEE", "COMPARE_SEALS"],
            "risk_category": "DUAL_USE",
            "countries": [{"country": "DE", "role": "ORIGIN"}, {"country": "AE", "role": "DESTINATION"}],
        },
        movements={
            "pairs": [
                {
                    "inbound": {
                        "units": [{"id": "CSQU3054383", "size_type": "22G1"}],
                        "documents": [{"type": "N705", "id": "HLCUHAM2611004711"}],
                        "moved_at": came,
                    },
                    "outbound": {
                        "units": [{"id": "MSKU9070323"}],
                        "documents": [{"type": "N705", "id": "MAEU123456789"}],
                        "moved_at": left,
                    },
                    "dwell_days": 46,
                }
            ]
        },
        goods={"items": [_ZONE_GOODS]},
        tenants={"operator": "Example Zone Services Pte", "tenant_ids": ["T-0417"], "hold_requested": True},
        parties={"parties": [{"role": "CONSIGNEE", "name": "Example Trading FZE", "person_type": "2", "address": {"country": "AE"}}]},
        source={"source_type": "OFFICIAL_RECORD"},
        **labels,
    )


def sample_entity_watch(
    subject: str = "SG-CUSTOMS/2026/W-9",
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = ("AE-CUSTOMS",),
    **labels: Unpack[LabelArguments],
) -> Message:
    """A buyer who uses two names, to be reviewed in half a year."""
    labels.setdefault("evaluation", Evaluation("B", "I3"))
    return entity_watch(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={
            "entity_kind": "PERSON",
            "review_date": moment(now_ms, days=180).date(),
            "requested_actions": ["SIGHTING_REPORT"],
            "risk_category": "SANCTIONS_DIVERSION",
            "countries": ["AE", "SG"],
        },
        identity={
            "names": [
                {"name": "مثال", "name_kind": "PRIMARY", "script": "Arab", "transliteration": "Mithal"},
                {"name": "M. Example", "name_kind": "ALIAS", "script": "Latn"},
            ],
            "other_ids": [{"id_scheme": "PASSPORT", "id": "X0000000", "country": "AE"}],
            "addresses": [{"city": "Dubai", "country": "AE"}],
            "relations": [{"relation": "DIRECTOR", "name": "Example Trading FZE"}],
            "listings": [{"list": "UN", "reference": "QDe.001"}],
        },
        grounds={
            "narrative": "ordered vibration test equipment three times under two names",
            "proportionality_note": "no milder means: the companies change every few months, the person does not",
        },
        source={"source_type": "PARTNER"},
        **labels,
    )


def sample_licit_movement(
    subject: str = "DE-BAFA/2026/P-31",
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = ("SG-CUSTOMS",),
    **labels: Unpack[LabelArguments],
) -> Message:
    """200 kg of thiodiglycol from Hamburg to Singapore, notified before export."""
    return licit_movement(
        subject=subject,
        audience=Audience(tuple(agencies)),
        core={
            "direction": "EXPORT",
            "pre_export_ref": "PEN-2026-0031",
            "departs_on": moment(now_ms, days=14).date(),
            "objection_until": moment(now_ms, days=10),
            "transport_mode": "SEA",
            "licence_refs": [{"authority": "DE-BAFA", "licence_no": "2026-0900", "resolved": True}],
            "risk_category": "CBRN_C",
        },
        goods={
            "items": [
                {
                    "cas": "111-48-8",
                    "name": "thiodiglycol",
                    "quantity": Decimal(200),
                    "unit": "KGM",
                    "hs_code": "293070",
                    "hs_edition": 2022,
                    "package_count": 1,
                    "package_type": "DR",
                    "control_codes": [{"scheme": "CWC", "code": "2B13", "edition": "2020"}],
                }
            ]
        },
        route={
            "countries": [{"country": "DE", "role": "EXPORT"}, {"country": "SG", "role": "DESTINATION"}],
            "places": [
                {"role": "LOADING", "country": "DE", "locode": "DEHAM", "etd": moment(now_ms, days=14)},
                {"role": "DISCHARGE", "country": "SG", "locode": "SGSIN", "eta": moment(now_ms, days=40)},
            ],
            "conveyances": [{"mode": "SEA", "imo": "9074729", "voyage": "114E"}],
        },
        equipment={"units": [{"id": "CSQU3054383", "seals": ["HL4477121"]}]},
        parties={
            "parties": [
                {"role": "EXPORTER", "name": "Muster Chemie GmbH", "person_type": "2", "id": "DE123456789012345", "id_scheme": "EORI"},
                {"role": "IMPORTER", "name": "Example Textiles Pte", "person_type": "2", "address": {"country": "SG"}},
            ]
        },
        **labels,
    )


def sample_reachback(
    subject: str = "AE-CUSTOMS/2026/R-2",
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = ("DE-BAFA",),
    target: str | None = "AE-CUSTOMS/2026/S-7",
    **labels: Unpack[LabelArguments],
) -> Message:
    """Are these valves controlled? The officer holds them for three days."""
    return reachback(
        subject=subject,
        target=target,
        audience=Audience(tuple(agencies)),
        core={
            "questions": ["CLASSIFY", "LICENCE_NEEDED"],
            "laboratory": "DE-BAFA",
            "due": moment(now_ms, days=3),
            "risk_category": "CBRN_C",
            "countries": [{"country": "DE", "role": "EXPORT"}, {"country": "AE", "role": "DESTINATION"}],
        },
        goods={
            "items": [
                {
                    "line": 1,
                    "description": "bellows-sealed valve, nickel alloy",
                    "hs_code": "848180",
                    "hs_edition": 2022,
                    "make": "Example",
                    "model": "BV-25",
                    "serial": "0042",
                    "quantity": Decimal(12),
                    "unit": "H87",
                    "specifications": [{"name": "nominal size", "value": "25", "unit": "MMT"}],
                }
            ]
        },
        images={"images": [{"digest": bytes(32), "size": 120_000, "media_type": "image/jpeg", "reference": "case store 17"}]},
        detail={"narrative": "the driver had no papers for the third pallet", "officer": "duty officer"},
        **labels,
    )
