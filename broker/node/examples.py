"""Examples of the OpenAPI document, by operation id and name. A test sends each of them, and holds the answers' shapes to the real ones."""

from __future__ import annotations

from typing import Any, Final

_ALERT: Final[dict[str, Any]] = {
    "family": "alert", "subject": "SG-CUSTOMS/2026/000123", "revision": 1,
    "header": {
        "urgency": "IMMEDIATE", "tlp": "AMBER", "purposes": ["STC_ENFORCEMENT"], "audience": {"agencies": ["MY-CUSTOMS"]},
        "valid_until": "2099-12-20T00:00:00Z",
    },
    "sections": {
        "core": {
            "alert_type": "SHIPMENT", "risk_category": "DUAL_USE", "indicators": [{"code": "END_USE_UNCLEAR"}],
            "requested_actions": ["HOLD"], "transport_mode": "SEA", "documents": [{"type": "705", "id": "HLCUHAM2611004711"}],
            "decision_deadline": "2099-12-10T00:00:00Z", "deadline_anchor": "ARRIVAL",
        },
        "equipment": {"units": [{"id": "CSQU3054383"}]},
        "parties": {"parties": [{"role": "CONSIGNEE", "name": "Example Trading FZE", "person_type": "2"}]},
    },
}  # fmt: skip
_LICENCE: Final[dict[str, Any]] = {
    "family": "licence", "subject": "SG-CUSTOMS/2026/L-0815", "revision": 1,
    "header": {"purposes": ["LICENSING"], "audience": {"agencies": ["MY-CUSTOMS"]}},
    "sections": {
        "core": {
            "decision_type": "SUSPEND", "authority": "SG-CUSTOMS", "licence_no": "2026-0815", "licence_type": "INDIVIDUAL",
            "effective_at": "2026-10-01T00:00:00Z", "published_at": "2026-10-01T00:00:00Z", "destinations": ["AE"],
            "shipments_in_transit_instruction": "HOLD",
        },
        "items": {"items": [{"line": 1, "description": "press", "quantity_granted": "4", "unit": "H87"}]},
    },
}  # fmt: skip
_ID: Final = "01939a3c-5000-7b87-9fd6-9e623e313ea1"

EXAMPLES: Final[dict[str, Any]] = {
    "publish alert": _ALERT,
    "dryRun alert": _ALERT,
    "dryRun licence": _LICENCE,
    "publish answer": {
        "message_id": _ID, "subject": "SG-CUSTOMS/2026/000123", "revision": 1, "outcome": "kept", "environment": "test", "findings": [],
    },
    "messageStatus answer": {
        "message_id": _ID, "subject": "SG-CUSTOMS/2026/000123", "revision": 1, "outcome": "accepted", "code": None, "path": "",
        "reason": "", "advice": "", "admitted_at": "2026-12-01T08:00:00.000Z", "findings": [], "environment": "test",
        "recipients": [
            {"agency": "MY-CUSTOMS", "rule": "receive-named", "sections": ["core", "equipment"], "withheld": ["parties"]}
        ],
    },
    "acknowledge taken-in": {"target": "MY-CUSTOMS/2026/77", "target_revision": 1, "core": {"level": "L3"}},
    "giveFeedback examined": {
        "target": "MY-CUSTOMS/2026/77", "target_revision": 1,
        "core": {"result": "EXAMINED_NEGATIVE", "exam_type": "SCAN", "examined_at": "2026-11-01T09:30:00Z"},
    },
    "askForInformation end-user": {
        "target": "MY-CUSTOMS/2026/77",
        "core": {"question_codes": ["END_USER_KNOWN"], "third_party_consent": False, "due": "2099-12-01T00:00:00Z"},
    },
    "consent request": {
        "family": "consent_request", "target": "MY-CUSTOMS/2026/77",
        "core": {"recipients": ["AE-CUSTOMS"], "evidential_use": False, "period_until": "2099-12-01T00:00:00Z"},
    },
    "recall error": {"subject": "SG-CUSTOMS/2026/000123", "reason": "ERROR", "action": "DELETE", "revision": 2},
    "screen shipment": {
        "reference": "MRN-1", "units": [{"id": "CSQU3054383"}], "parties": [{"role": "CONSIGNEE", "name": "Example Trading FZE"}],
        "goods": [{"hs_code": "847989"}],
    },
    "screenStream shipment": {"reference": "MRN-2", "units": [{"id": "CSQU3054383"}], "places": [{"role": "LOADING", "locode": "SGSIN"}]},
    "keepMapping boxes": '[shipment]\nreference = "{No}"\nunits = [{ id = "{Container}" }]\n',
    "licenceStatus three": {"numbers": ["2026-0815", "2026-0816", "2026-0817"]},
    "licenceStatus answer": {
        "results": [{"licence_no": "2026-0815", "known": False, "licences": []}], "withheld": [], "as_of": "2026-12-01T08:00:00.000Z",
        "reachable": True, "note": None, "exchange": "local", "environment": "test", "agency": "SG-CUSTOMS",
    },
}  # fmt: skip
