"""Domain dictionary 2.5, and 2.3 for the use of licences: every mandatory (M) and conditional (C) field, and where it is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.unit.schemas.test_schemas import leaves, load

M, C = "M", "C"
DICTIONARY: list[tuple[str, str, str]] = [
    ("feedback/core", "result", M),
    ("feedback/core", "exam_type", C),
    ("feedback/core", "examined_at", C),
    ("feedback/core", "hours_spent", C),
    ("feedback/core", "usefulness", C),
    ("feedback/core", "false_positive_reason", C),
    ("feedback/core", "linked_seizure", C),
    ("feedback/core", "departed_to", C),
    ("ack/core", "level", C),
    ("ack/core", "refusal_code", C),
    ("ack/core", "reached_at", M),
    ("rfi/core", "question_codes", M),
    ("rfi/core", "subject_ids", M),
    ("rfi/core", "due", M),
    ("rfi/core", "third_party_consent", M),
    ("rfi/parties", "parties[].name", M),
    ("rfi_reply/core", "status", M),
    ("rfi_reply/core", "refusal_ground", C),
    ("rfi_reply/core", "redirected_to", C),
    ("rfi_reply/answers", "answers[].text", M),
    ("correction/core", "paths", M),
    ("correction/core", "correction_kind", M),
    ("correction/changes", "changes[].path", M),
    ("correction/changes", "changes[].old_digest", M),
    ("correction/changes", "changes[].new_value", C),
    ("recall/core", "reason", M),
    ("recall/core", "action", M),
    ("recall/core", "due", M),
    ("recall_reply/core", "answer", M),
    ("recall_reply/core", "reason_code", C),
    ("recall_reply/core", "done_at", C),
    ("fz_warning/core", "free_zone_code", M),
    ("fz_warning/core", "patterns", M),
    ("fz_warning/core", "period_from", M),
    ("fz_warning/core", "period_until", M),
    ("fz_warning/core", "cases", M),
    ("fz_warning/core", "dwell_days", C),
    ("fz_warning/core", "recommended_checks", M),
    ("fz_warning/tenants", "operator", M),
    ("fz_warning/movements", "pairs[].inbound.units[].id", M),
    ("fz_warning/movements", "pairs[].inbound.documents[].id", M),
    ("fz_warning/movements", "pairs[].inbound.moved_at", M),
    ("fz_warning/movements", "pairs[].outbound", C),
    ("fz_warning/movements", "pairs[].outbound.units[].id", M),
    ("fz_warning/movements", "pairs[].dwell_days", C),
    ("entity_watch/core", "entity_kind", M),
    ("entity_watch/core", "review_date", M),
    ("entity_watch/identity", "names[].name", M),
    ("entity_watch/identity", "names[].name_kind", M),
    ("entity_watch/identity", "names[].script", C),
    ("entity_watch/identity", "names[].transliteration", C),
    ("entity_watch/identity", "lei", C),
    ("entity_watch/identity", "eori", C),
    ("entity_watch/identity", "imo", C),
    ("entity_watch/identity", "other_ids[].id", M),
    ("entity_watch/identity", "relations[].relation", M),
    ("entity_watch/identity", "listings[].list", M),
    ("entity_watch/grounds", "narrative", M),
    ("entity_watch/grounds", "proportionality_note", M),
    ("consent_request/core", "recipients", M),
    ("consent_request/core", "purposes", M),
    ("consent_request/core", "period_until", M),
    ("consent_reply/core", "decision", M),
    ("consent_reply/core", "limit", C),
    ("consent_reply/core", "period_until", C),
    ("reachback/core", "questions", M),
    ("reachback/core", "laboratory", C),
    ("reachback/core", "due", M),
    ("reachback/goods", "items[].specifications[].value", M),
    ("reachback/images", "images[].digest", M),
    ("reachback_reply/core", "conclusion", M),
    ("reachback_reply/determination", "items[].control_codes[].code", M),
    ("reachback_reply/determination", "items[].hazard", C),
    ("licit_movement/core", "pre_export_ref", C),
    ("licit_movement/goods", "items[].cas", M),
    ("licit_movement/goods", "items[].quantity", M),
    ("licit_movement/goods", "items[].unit", M),
    ("licit_movement/route", "countries[].country", M),
    ("licit_movement/parties", "parties[].role", M),
    ("licence_usage/core", "authority", M),
    ("licence_usage/core", "licence_no", M),
    ("licence_usage/core", "mrn", C),
    ("licence_usage/core", "declared_on", M),
    ("licence_usage/core", "lines[].line", M),
    ("licence_usage/core", "lines[].quantity", M),
    ("licence_usage/core", "lines[].unit", M),
    ("licence_usage/core", "lines[].cancelled", M),
    ("header/header", "correlation.target", C),
    ("header/header", "correlation.target_revision", C),
    ("header/header", "correlation.case_ref", C),
]


@pytest.mark.parametrize(("section", "path", "need"), DICTIONARY, ids=[f"{s}-{p}" for s, p, _ in DICTIONARY])
def test_the_data_dictionary_is_covered(section: str, path: str, need: str) -> None:
    """Each mandatory field exists and is never null; each conditional one exists and may be null, with default null."""
    family, name = section.split("/")
    field = leaves(f"{family}/v1/{name}.avsc")[path]
    assert isinstance(field["type"], list) == (need == C)
    if need == C:
        assert field["type"][0] == "null"
        assert field["default"] is None


VOCABULARIES = {
    "feedback/core": (
        "FeedbackResult",
        "NO_MATCH MATCH_NOT_ACTIONED NOT_LOCATED DEPARTED EXAMINED_NEGATIVE EXAMINED_POSITIVE INCONCLUSIVE",
    ),
    "ack/core": ("AckLevel", "L0 L1 L2 L3 L4"),
    "rfi_reply/core": ("ReplyStatus", "FULL PARTIAL NO_DATA REFUSED REDIRECTED"),
    "recall/core": ("RecallReason", "ERROR WITHDRAWN COMPROMISED LAW EXPIRED"),
    "recall_reply/core": ("RecallAnswer", "DELETED STOPPED CANNOT"),
    "fz_warning/core": ("ZonePattern", "RELABEL REPACK ROUTE_BREAK CONSIGNEE_SWAP DWELL_LIMIT SPLIT FALSE_ORIGIN SHELL_TENANT"),
    "entity_watch/core": ("EntityKind", "PERSON COMPANY VESSEL AIRCRAFT ADDRESS DEVICE"),
    "consent_reply/core": ("ConsentDecision", "GRANT GRANT_WITH_LIMIT REFUSE"),
    "reachback/core": ("ReachbackQuestion", "CLASSIFY LICENCE_NEEDED HAZARD"),
}


@pytest.mark.parametrize("section", VOCABULARIES)
def test_the_words_of_the_domain_are_there(section: str) -> None:
    """The closed vocabularies of domain dictionary 2.5 are spelt as there; further words are ours."""
    name, words = VOCABULARIES[section]
    family, _, part = section.partition("/")

    def find(schema: Any) -> list[str]:
        if isinstance(schema, list):
            return [word for each in cast("list[Any]", schema) for word in find(each)]
        if not isinstance(schema, dict):
            return []
        known = cast("dict[str, Any]", schema)
        if known.get("name") == name:
            return known["symbols"]
        return [word for each in known.values() for word in find(each)]

    assert set(words.split()) <= set(find(load(f"{family}/v1/{part}.avsc")))
