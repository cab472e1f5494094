"""Six messages between administrations about excise movements (:data:`FOLDER`), as messages of the exchange.

===== ============================== ==================================================================================
IE801 movement                       ``licit_movement``: lawful trade in fuel, announced by the country of dispatch
IE717 control report                 ``seizure``, a DETENTION: goods, vehicle and papers, as a control on the way found them
IE807 interruption of movement       ``alert``, HOLD, linked with the control reports and the event report that it cites
IE819 alert or rejection             ``feedback``, OBJECTION to the movement (a rejection; an alert would be a NO_MATCH)
IE840 event report                   ``seizure``, a THEFT_LOSS: what was missing
IE871 explanation of shortage        ``rfi_reply`` to the question that asked for it; no record holds the question, so it is made up
===== ============================== ==================================================================================

They name each other by number: the movement's (ARC), those of control reports and of event reports. A number becomes a subject of
the agency that gave it, and a link to it. As the files stand each is about another movement; :class:`ExciseBuilder` can put one
movement's number into all of them, which then counts as made up, like every other value that no record holds.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.support.records import Built, Taken, built, taken

FOLDER: Final = "alerts/emcs"
MESSAGES: Final = ("IE801", "IE717", "IE840", "IE807", "IE819", "IE871")
"""In the order of the chain: the movement, what was found on the way, what was done about it."""
QUESTION: Final = "SHORTAGE_REASON"
_HEAVY_FUEL: Final = "68476-33-5"
"""CAS number that is put in where a movement of fuel has none: licit movements are of substances."""


class Record:
    """An XML message: texts by the local name of their element, the first one of a name."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self._root = ElementTree.fromstring(self.text)

    def get(self, name: str, within: str | None = None) -> str:
        """The text of an element, an empty one where there is none."""
        for holder in self._root.iter() if within else (self._root,):
            if within is None or _local(holder) == within:
                found = next((each.text for each in holder.iter() if _local(each) == name and each.text), None)
                if found:
                    return found.strip()
        return ""

    def all(self, name: str) -> list[str]:
        """The texts of every element of this name."""
        return [each.text.strip() for each in self._root.iter() if _local(each) == name and each.text]


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class ExciseBuilder:
    """Builds the messages. ``agencies``: which agency each administration is, by its two letters. ``movement``: the number to put into
    all of them, None to leave each its own. ``year``: a part of the subjects, so that a file can be built twice."""

    folder: Path
    now: datetime
    agencies: Mapping[str, str]
    movement: str | None = None
    year: str = "EMCS"

    def records(self) -> dict[str, Record]:
        """The files by name."""
        return {name: Record(self.folder / FOLDER / f"{name}.xml") for name in MESSAGES}

    def __call__(self) -> Iterator[tuple[str, Record | None, Built]]:
        """Each message with its file's name and record; the question of IE871 has none."""
        files = self.records()
        yield "IE801", files["IE801"], self._movement(files["IE801"])
        yield "IE717", files["IE717"], self._control(files["IE717"])
        yield "IE840", files["IE840"], self._event(files["IE840"])
        yield "IE807", files["IE807"], self._interruption(files["IE807"])
        yield "IE819", files["IE819"], self._rejection(files["IE819"])
        yield "question", None, self._question(files["IE871"])
        yield "IE871", files["IE871"], self._explanation(files["IE871"])

    # ── numbers, subjects, links ────────────────────────────────────────────────────────────────────────────────────

    def _arc(self, record: Record) -> Taken | str:
        return self.movement or taken(record.get("AdministrativeReferenceCode"))

    def movement_subject(self, record: Record) -> str:
        """The subject of a movement: its number's third and fourth letter name the country of dispatch."""
        arc = _plain(self._arc(record))
        return f"{self.agencies[arc[2:4]]}/{self.year}/{arc}"

    def _report_subject(self, number: str) -> str:
        return f"{self.agencies[number[:2]]}/{self.year}/{number}"

    def _message(self, family: str, subject: str, record: Record, sections: dict[str, Any], **header: Any) -> Built:
        """``subject`` is the record's own number where it has one, after the agency that gave it."""
        owner, own = subject.partition("/")[0], taken(subject) if self.movement is None else subject
        others = sorted({*self.agencies.values()} - {owner})
        return built({
            "family": family, "subject": own, "revision": 1,
            "header": {
                "urgency": "PRIORITY", "tlp": "AMBER", "handling": "H0", "purposes": ["STC_ENFORCEMENT"], "legal_basis": "CMAA:EMCS",
                "evaluation": {"source": "A", "information": "I1"}, "audience": {"agencies": others}, **header,
            },
            "sections": sections,
        })  # fmt: skip

    def _about(self, record: Record) -> dict[str, Any]:
        subject = self.movement_subject(record)
        return {"target": subject if self.movement else taken(subject), "target_revision": 1}

    # ── the six ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _movement(self, record: Record) -> Built:
        departs = datetime.fromisoformat(record.get("DateOfDispatch")).date()
        sender, receiver = (record.get(name).rpartition(".")[2] for name in ("MessageSender", "MessageRecipient"))
        packages = sum(map(int, record.all("NumberOfPackages")))
        return self._message("licit_movement", self.movement_subject(record), record, {
            "core": {
                "direction": "EXPORT", "pre_export_ref": self._arc(record), "departs_on": taken(departs.isoformat()),
                "transport_mode": {"1": taken("SEA"), "3": taken("ROAD")}[record.get("TransportModeCode")],
                "documents": [{"type": "C651", "id": self._arc(record)}, {"type": "N380", "id": taken(record.get("InvoiceNumber"))}],
            },
            "goods": {"items": [{
                "cas": _HEAVY_FUEL, "name": taken(f"excise product {record.get('ExciseProductCode')}"),
                "hs_code": taken(record.get("CnCode")), "hs_edition": 2022, "quantity": taken(record.get("Quantity")), "unit": "LTR",
                "package_count": taken(packages), "package_type": taken(record.get("KindOfPackages")),
            }]},
            "route": {
                "countries": [{"country": taken(sender), "role": "EXPORT"}, {"country": taken(receiver), "role": "DESTINATION"}],
                "places": [{"role": "DISCHARGE", "country": taken(receiver), "name": taken(record.get("City", "DeliveryPlaceTrader"))}],
            },
            "equipment": {"units": [{"id": taken(text)} for text in record.all("IdentityOfTransportUnits")]},
            "parties": {"parties": [
                _trader(record, "ConsignorTrader", "EXPORTER", "TraderExciseNumber", sender),
                _trader(record, "ConsigneeTrader", "IMPORTER", "Traderid", receiver),
            ]},
        })  # fmt: skip

    def _control(self, record: Record) -> Built:
        number, code = record.get("ControlReportReference"), record.get("CnCode")
        found = {"hs_code": taken(code), "hs_edition": 2022, "description": taken(record.get("DescriptionOfTheGoods", "BodyControlReport"))}
        return self._message("seizure", self._report_subject(number), record, {
            "core": {
                "event_no": taken(number), "stage": "CONFIRMED", "event_type": "DETENTION",
                "occurred_at": taken(f"{record.get('DateOfControl')}T00:00:00Z"),
                "place": {"country": taken(record.get("PlaceOfControl")), "location_kind": "LAND"}, "direction": "TRANSIT",
                "declared_as_found": False, "licence_status_at_event": "NONE",
                "route": [
                    {"country": taken(record.get("MemberStateOfDispatch")), "role": "EXPORT"},
                    {"country": taken(record.get("MemberStateOfDestination")), "role": "DESTINATION"},
                ],
            },
            "goods": {"items": [{
                "declared": {**found, "description": taken(record.get("CommercialDescriptionOfTheGoods"))}, "found": found,
                "quantity": taken(record.get("ObservedShortageOrExcess")), "unit": "LTR", "analysis_state": "NONE",
            }]},
            "equipment": {**_transport(record), "documents": [{"type": "C651", "id": self._arc(record)}]},
            "parties": {"parties": [_involved(record)]},
            "method": {"detection_method": "RANDOM", "narrative": taken(record.get("ComplementaryInformation", "UnsatisfactoryReason"))},
        }, correlation=self._about(record))  # fmt: skip

    def _event(self, record: Record) -> Built:
        number = record.get("EventReportNumber")
        found = {
            "hs_code": taken(record.get("CnCode", "BodyEventReport")), "hs_edition": 2022,
            "description": taken(record.get("DescriptionOfTheGoods", "BodyEventReport")),
        }  # fmt: skip
        return self._message("seizure", self._report_subject(number), record, {
            "core": {
                "event_no": taken(number), "stage": "PRELIMINARY", "event_type": "THEFT_LOSS",
                "occurred_at": taken(f"{record.get('DateOfEvent')}T00:00:00Z"),
                "place": {"country": taken(record.get("MemberStateOfEvent")), "location_kind": "PORT"}, "direction": "TRANSIT",
                "declared_as_found": False, "licence_status_at_event": "NONE",
            },
            "goods": {"items": [{
                "declared": {
                    "hs_code": taken(record.get("CnCode", "GoodsItem")), "hs_edition": 2022,
                    "description": taken(record.get("CommercialDescriptionOfTheGoods")),
                },
                "found": found, "quantity": taken(record.get("ObservedShortageOrExcess")), "unit": "H87", "analysis_state": "NONE",
            }]},
            "equipment": {**_transport(record), "documents": [{"type": "C651", "id": self._arc(record)}]},
            "parties": {"parties": [_involved(record)]},
            "method": {"detection_method": "TIP", "narrative": taken(record.get("AssociatedInformation"))},
        }, correlation=self._about(record))  # fmt: skip

    def _interruption(self, record: Record) -> Built:
        sender = record.get("MessageSender").rpartition(".")[2]
        subject = f"{self.agencies[sender]}/{self.year}/{record.get('MessageIdentifier')}"
        files = [each for file, each in self.records().items() if file != "IE807"]
        known = {each.get(name) for each in files for name in ("ControlReportReference", "EventReportNumber")}
        cited = [*record.all("ControlReportReference"), *record.all("EventReportNumber")]
        return self._message("alert", subject, record, {
            "core": {
                "alert_type": "SHIPMENT", "risk_category": "OTHER",
                "indicators": [{
                    "code": taken(f"EMCS-INTERRUPTION-{record.get('ReasonForInterruptionCode')}"),
                    "text": taken(record.get("ComplementaryInformation")),
                }],
                "requested_actions": ["HOLD"], "decision_deadline": _iso(self.now + timedelta(hours=24)), "deadline_anchor": "ARRIVAL",
                "transport_mode": "ROAD", "documents": [{"type": "C651", "id": self._arc(record)}],
"alert_links": [self._link(number, resolved=number in known) for number in cited],
            },
        }, urgency="IMMEDIATE", valid_until=_iso(self.now + timedelta(days=20)), correlation=self._about(record))  # fmt: skip

    def _link(self, number: str, *, resolved: bool) -> dict[str, Any]:
        subject, issuer = self._report_subject(number), self.agencies[number[:2]]
        return {"subject": taken(subject), "issuer": taken(issuer), "resolved": resolved}

    def _rejection(self, record: Record) -> Built:
        sender = record.get("MessageSender").rpartition(".")[2]
        subject = f"{self.agencies[sender]}/{self.year}/{record.get('MessageIdentifier')}"
        rejected = record.get("EadEsadRejectedFlag") == "1"
        reason = record.get("AlertOrRejectionOfMovementReasonCode")
        return self._message("feedback", subject, record, {
            "core": {"result": taken("OBJECTION" if rejected else "NO_MATCH"), "false_positive_reason": None},
            "detail": {"narrative": taken(f"reason {reason}: {record.get('ComplementaryInformation')}")},
        }, correlation=self._about(record))  # fmt: skip

    def _asked(self, record: Record) -> str:
        return f"{self.agencies['AT']}/{self.year}/Q-{_plain(self._arc(record))[-6:]}"

    def _question(self, record: Record) -> Built:
        return self._message("rfi", self._asked(record), record, {
            "core": {
                "question_codes": [QUESTION], "due": _iso(self.now + timedelta(days=7)), "third_party_consent": False,
                "subject_ids": [self.movement_subject(record)],
            },
            "questions": {"questions": [{"question_code": QUESTION, "text": "why did less arrive than was sent?"}]},
        })  # fmt: skip

    def _explanation(self, record: Record) -> Built:
        sender = record.get("MessageSender").rpartition(".")[2]
        subject = f"{self.agencies[sender]}/{self.year}/{record.get('MessageIdentifier')}"
        return self._message("rfi_reply", subject, record, {
            "core": {"status": "FULL", "answered_codes": [QUESTION]},
            "answers": {"answers": [{
                "question_code": QUESTION, "text": taken(record.get("GlobalExplanation")), "source_ref": self._arc(record),
            }]},
            "parties": {"parties": [_trader(record, "ConsignorTrader", "CONSIGNOR", "TraderExciseNumber", sender)]},
        }, correlation={"target": self._asked(record), "target_revision": 1})  # fmt: skip


def _plain(value: Taken | str) -> str:
    return str(value.value) if isinstance(value, Taken) else value


def _trader(record: Record, element: str, role: str, number: str, country: str) -> dict[str, Any]:
    return {
        "role": role, "name": taken(record.get("TraderName", element)), "person_type": "2",
        "id": taken(record.get(number, element)), "id_scheme": "EXCISE",
        "address": {
            "street": taken(record.get("StreetName", element)), "city": taken(record.get("City", element)),
            "postcode": taken(record.get("Postcode", element)), "country": taken(country),
        },
    }  # fmt: skip


def _involved(record: Record) -> dict[str, Any]:
    """The trader of the accompanying document. Its country is the record's word, whether there is such a country or not."""
    element = "PersonInvolvedInMovementTrader"
    return _trader(record, element, "CARRIER", "TraderExciseNumber", record.get("MemberStateCode", element))


def _transport(record: Record) -> dict[str, Any]:
    unit = {"id": taken(record.get("IdentityOfTransportUnits")), "seals": [taken(record.get("CommercialSealIdentification"))]}
    return {"units": [unit], "conveyances": [{"mode": "ROAD", "plate": taken(record.get("Registration"))}]}


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
