"""What the codes of messages are called on a page: English texts that the catalogues translate. A code without a text is shown itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "environment": {"test": "Test: nothing here is real", "exercise": "Exercise: nothing here is real", "production": "Production"},
    "role": {"officer": "officer", "supervisor": "supervisor", "integrator": "system", "auditor": "auditor", "operator": "operator"},
    "purpose": {
        "STC_ENFORCEMENT": "Strategic trade enforcement", "CUSTOMS_SECURITY": "Customs security", "LICENSING": "Licensing",
        "PROLIF_PREVENTION": "Preventing proliferation", "STATISTICS": "Statistics", "CRIM_INVEST": "Criminal investigation",
        "TRAINING": "Training",
    },
    "urgency": {"FLASH": "Flash", "IMMEDIATE": "Immediate", "PRIORITY": "Priority", "ROUTINE": "Routine"},
    "family": {
        "alert": "Alert", "licence": "Licence decision", "ack": "Acknowledgement", "feedback": "Feedback", "recall": "Recall",
        "recall_reply": "Answer to a recall", "rfi": "Request for information", "rfi_reply": "Answer to a request",
        "consent_request": "Request for consent", "consent_reply": "Answer on consent", "seizure": "Seizure report",
        "licence_usage": "Licence usage", "entity_watch": "Entity watch", "fz_warning": "Free-zone warning",
        "licit_movement": "Licit movement", "reachback": "Reach-back", "reachback_reply": "Reach-back answer", "correction": "Correction",
        "attachment": "Attached file",
    },
    "duty": {
        "ACKNOWLEDGE": "Acknowledge", "FEEDBACK": "Give feedback", "ANSWER_RFI": "Answer the request",
        "ANSWER_CONSENT": "Decide on consent",
        "ANSWER_REACHBACK": "Answer the experts' question", "ANSWER_RECALL": "Answer the recall",
        "ANSWER_WITHDRAWAL": "Answer the withdrawal", "REVIEW_DENIAL": "Review the denial", "REVIEW_WATCH": "Review the watch",
        "LEAVE_ZONE": "Goods leave the free zone", "WARN_OF_DWELL": "Warn of the stay in the zone", "OBJECT": "Time to object ends",
        "CONSENT_ENDS": "Consent ends", "LICENCE_ENDS": "Licence ends", "ERASE": "Erase",
    },
    "decision": {
        "GRANT": "granted", "AMEND": "amended", "SUSPEND": "suspended", "REINSTATE": "reinstated", "REVOKE": "revoked",
        "ANNUL": "annulled", "SUBSTANTIALLY_LIMIT": "substantially limited", "DENY": "denied", "DENY_REVIEW": "denial reviewed",
        "EXPIRE": "expired", "EXHAUST": "exhausted", "CATCHALL_IMPOSE": "catch-all imposed", "CATCHALL_LIFT": "catch-all lifted",
        "DETERMINATION": "determination",
    },
    "outcome": {
        "kept": "Kept, to be sent", "sending": "Signed, being sent", "accepted": "Accepted", "quarantined": "Refused by the exchange",
        "refused": "Refused here", "would be accepted": "It would be accepted",
    },
    "status": {
        "VALID": "Valid", "LIMITED": "Limited", "SUSPENDED": "Suspended", "REVOKED": "Revoked", "ANNULLED": "Annulled",
        "EXPIRED": "Expired", "EXHAUSTED": "Exhausted", "SURRENDERED": "Surrendered", "DENIED": "Denied",
    },
    "instruction": {"RELEASE": "Release", "HOLD": "Hold", "RETURN": "Return", "CONTACT": "Contact the authority"},
    "action": {
        "ASSESS_ONLY": "Assess only", "RFI": "Ask for information", "RFS_SCREEN": "Screen", "DO_NOT_LOAD": "Do not load", "HOLD": "Hold",
        "SPECIFIC_CHECK": "Specific check", "DISCREET_SURVEILLANCE": "Discreet surveillance", "SIGHTING_REPORT": "Report a sighting",
        "CONTROLLED_DELIVERY": "Controlled delivery", "RELEASE_WITH_REPORT": "Release and report",
    },
    "category": {
        "CBRN_N": "Nuclear", "CBRN_C": "Chemical", "CBRN_B": "Biological", "MISSILE": "Missile", "CONV_ARMS": "Conventional arms",
        "DUAL_USE": "Dual use", "IED_PRECURSOR": "Explosive precursors", "SALW": "Small arms",
        "SANCTIONS_DIVERSION": "Sanctions and diversion", "OTHER": "Other",
    },
    "result": {
        "NO_MATCH": "No match", "MATCH_NOT_ACTIONED": "Match, nothing done", "NOT_LOCATED": "Not located", "DEPARTED": "Departed",
        "EXAMINED_NEGATIVE": "Examined: nothing found", "EXAMINED_POSITIVE": "Examined: confirmed", "INCONCLUSIVE": "Inconclusive",
        "LICENCE_OK": "Licence is in order", "OBJECTION": "Objection", "NO_OBJECTION": "No objection",
    },
    "examination": {
        "DOCUMENTS": "Documents", "SCAN": "Scan", "PHYSICAL": "Physical", "SAMPLE": "Sample", "DOG": "Dog", "RADIATION": "Radiation",
    },
    "level": {"L0": "received", "L1": "verified", "L2": "shown to an officer", "L3": "taken in", "L4": "acted upon"},
    "flag": {
        "LICENCE_SUSPENDED": "Cites a suspended licence", "LICENCE_REVOKED": "Cites a revoked licence",
        "LICENCE_ANNULLED": "Cites an annulled licence", "LICENCE_EXPIRED": "Cites an expired licence",
        "LICENCE_EXHAUSTED": "Cites an exhausted licence", "LICENCE_SURRENDERED": "Cites a surrendered licence",
        "LICENCE_DENIED": "Cites a denied application", "QUANTITY_OVERDRAWN": "More written off than granted",
        "USAGE_UNMATCHED": "Write-off without an item", "SAME_CONTAINER": "Another owner's alert names the container",
        "ALERT_HIT": "Led to a seizure", "DWELL_OVER": "Too long in a free zone",
    },
    "field": {
        "alert_type": "Type", "risk_category": "Risk category", "risk_score": "Risk score", "confidence": "Confidence",
        "indicators": "Indicators", "code": "Code", "text": "Text", "requested_actions": "Asked for", "decision_deadline": "Decide by",
        "deadline_anchor": "Counted to", "transport_mode": "Mode of transport", "documents": "Documents", "type": "Kind", "id": "Number",
        "licence_refs": "Licences cited", "authority": "Authority", "licence_no": "Licence", "resolved": "Found", "items": "Items",
        "hs_code": "HS code", "hs_edition": "HS edition", "description": "Description", "gross_mass_kg": "Gross mass, kg",
        "control_codes": "Control codes", "scheme": "List", "edition": "Edition", "units": "Units", "seals": "Seals",
        "countries": "Countries", "country": "Country", "role": "Role", "places": "Places", "locode": "UN/LOCODE", "parties": "Parties",
        "name": "Name", "person_type": "Person", "address": "Address", "decision_type": "Decision", "licence_type": "Kind of licence",
        "effective_at": "In force from", "published_at": "Published", "expires_at": "Expires", "destinations": "Destinations",
        "shipments_in_transit_instruction": "Shipments in transit", "reason_code": "Reason", "reason_text": "Reason in words",
        "narrative": "In words", "line": "Line", "quantity_granted": "Granted", "quantity_remaining": "Left", "unit": "Unit of measure",
        "quantity": "Quantity", "mode": "Mode", "conveyances": "Means of transport", "free_zone_code": "Free zone",
        "amount": "Amount", "currency": "Currency", "incoterm": "Delivery terms", "incoterm_place": "Place of delivery",
        "package_count": "Packages", "package_type": "Kind of package", "size_type": "Size and type", "fullness": "How full",
        "city": "City", "street": "Street", "postcode": "Postcode", "region": "Region", "id_scheme": "Kind of number",
        "exporter": "Exporter", "consignee": "Consignee", "end_users": "End users", "total": "Total",
        "transit_countries": "Countries of transit", "flag": "Flag", "flight": "Flight", "plate": "Number plate", "wagon": "Wagon",
        "make": "Make", "model": "Model", "serial": "Serial number", "marks": "Marks", "direction": "Direction", "stage": "Stage",
        "event_no": "Number of the case", "event_type": "Kind of event", "occurred_at": "When", "place": "Place",
        "declared": "Declared", "found": "Discovered", "detection_method": "How it was detected", "concealment": "Concealment",
        "document_fraud": "False documents", "remaining": "Remaining", "contact": "Contact", "size": "Size, bytes",
        "media_type": "Kind of file", "subject": "Subject", "lines": "Lines", "route": "Route", "penalty": "Penalty",
        "disposal": "Disposal", "laboratory": "Laboratory", "lab_result": "Result of the laboratory", "review_due": "Review due",
        "urgency": "Urgency", "tlp": "TLP", "purposes": "Purpose of use", "valid_until": "Valid until", "audience": "To whom",
        "agencies": "Agencies", "communities": "Communities", "imo": "IMO number", "voyage": "Voyage", "eta": "Arrives", "etd": "Leaves",
        "question_codes": "Questions", "questions": "Questions", "question_code": "Question", "due": "Due", "answers": "Answers",
    },
    "key": {
        "container": "Container", "document": "Transport document", "conveyance": "Ship, flight or vehicle", "party": "Party",
        "licence": "Licence", "hs": "HS code", "control": "Control code",
    },
    "recall_answer": {
        "STOPPED": "Use stopped", "DELETED": "Deleted", "CANNOT": "It cannot", "OPEN": "Open", "SILENT": "Silent, past its time",
        "UNREACHED": "Could not be reached",
    },
    "recall_reason": {
        "ERROR": "Error", "WITHDRAWN": "Withdrawn", "COMPROMISED": "Compromised", "LAW": "The law asks for it", "EXPIRED": "Out of date",
    },
    "recall_action": {"STOP_USE": "Stop using it", "DELETE": "Delete it", "RETURN": "Give it back"},
    "draft": {
        "WAITING": "Waits for a supervisor", "SENDING": "Is being sent", "SENT": "Approved and sent", "RETURNED": "Returned to its author",
        "DROPPED": "Let go of by its author",
    },
    "draft_event": {
        "HANDED": "handed over", "EDITED": "changed and handed over again", "RETURNED": "returned", "SENT": "approved and sent",
        "DROPPED": "let go of",
    },
    "draft_change": {"ADDED": "Put in", "REMOVED": "Taken out", "CHANGED": "Changed"},
    "alert_type": {
        "SHIPMENT": "Shipment", "ROUTE": "Route", "COMMODITY": "Commodity", "CONVEYANCE": "Means of transport",
        "ENTITY_PATTERN": "Pattern of a party",
    },
    "anchor": {"LOADING": "Loading", "DEPARTURE": "Departure", "ARRIVAL": "Arrival", "PRESENTATION": "Presentation to customs"},
    "mode": {
        "SEA": "Sea", "RAIL": "Rail", "ROAD": "Road", "AIR": "Air", "MAIL": "Mail", "MULTIMODAL": "Several modes",
        "FIXED": "Pipeline or cable",
        "INLAND_WATER": "Inland water", "NOT_APPLICABLE": "Not applicable",
    },
    "party_role": {
        "CONSIGNEE": "Consignee", "CONSIGNOR": "Consignor", "END_USER": "End user", "CARRIER": "Carrier", "NOTIFY": "To be notified",
    },
    "licence_type": {
        "INDIVIDUAL": "Individual", "GLOBAL": "Global", "GENERAL": "General", "LARGE_PROJECT": "Large project", "BROKERING": "Brokering",
        "TRANSIT": "Transit", "TECH_ASSIST": "Technical assistance", "TRANSHIPMENT": "Transhipment",
    },
    "licence_reason": {
        "DIVERSION_RISK": "Risk of diversion", "FALSE_STATEMENT": "False statement", "SANCTION": "Sanction",
        "END_USE_CHANGE": "Other end use",
        "BREACH": "Breach of conditions", "HR_CONCERN": "Human rights", "OTHER": "Other",
    },
    "code": {
        "ORIGIN": "Origin", "EXPORT": "Export", "DESTINATION": "Destination", "ZONE_HOST": "Host of the free zone",
        "DISCHARGE": "Discharge", "FREE_ZONE": "Free zone", "LOW": "Low", "MEDIUM": "Medium", "HIGH": "High", "EXPORTER": "Exporter",
        "IMPORTER": "Importer",
    },
    "tlp": {},
    "question": {
        "LICENCE_VALID": "Is the licence valid?", "END_USER_KNOWN": "Is the end user known?", "END_USE": "What is the end use?",
        "ACTUAL_CONSIGNEE": "Who is the actual consignee?", "GOODS_CLASSIFIED": "How are the goods classified?",
        "MOVEMENT_HISTORY": "What movements are known?", "OWNERSHIP": "Who owns it?",
    },
    "reply": {
        "FULL": "Answered in full", "PARTIAL": "Answered in part", "NO_DATA": "Nothing is known", "REFUSED": "Refused",
        "REDIRECTED": "Another agency can answer",
    },
    "consent": {"GRANT": "granted", "GRANT_WITH_LIMIT": "granted with limits", "REFUSE": "Refused", "WITHDRAW": "withdrawn"},
    "agency_kind": {
        "customs": "customs", "licensing": "licensing authority", "police": "police", "coastguard": "coast guard",
        "zone": "free-zone authority", "fiu": "financial intelligence unit", "regulator": "regulator",
        "international": "international body", "auditor": "auditor",
    },
    "place_role": {
        "LOADING": "Loading", "TRANSHIPMENT": "Transhipment", "DISCHARGE": "Discharge", "FREE_ZONE": "Free zone", "OTHER": "Other",
    },
    "ground": {
        "LAW": "The law forbids it", "SOVEREIGNTY": "Sovereignty", "ONGOING_CASE": "A case is under way",
        "DISPROPORTIONATE": "Out of proportion", "THIRD_PARTY": "It belongs to a third party",
    },
    "section": {
        "core": "What to act on", "goods": "Goods", "equipment": "Containers and seals", "route": "Route", "parties": "Parties",
        "grounds": "Grounds", "value": "Value", "source": "Source", "items": "Items", "reason": "Reason", "detail": "Detail",
        "denial": "Denial", "identity": "Identity", "questions": "Questions",
        "attachments": "Attached files",
    },
}  # fmt: skip
"""By kind of code."""


def words() -> frozenset[str]:
    """Every text here."""
    return frozenset(text for kind in WORDS.values() for text in kind.values())
