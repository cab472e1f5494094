"""What breaks the conditional rules of free-zone warnings, entity watches, licit movements and reach-backs, and what lessens one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from broker.testing.sample_reports import moment
from broker.testing.samples import START_MS
from tests.unit.families.samples import REMOVE

_CAME, _LEFT = moment(START_MS, days=-50), moment(START_MS, days=-4, hours=1)
_IN: dict[str, Any] = {"units": [{"id": "CSQU3054383"}], "documents": [], "mrn": None, "moved_at": _CAME}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("fz_warning", {"core.free_zone_code": "SGSIN"}, "core.free_zone_code"),
    ("fz_warning", {"core.patterns": []}, "core.patterns"),
    ("fz_warning", {"core.recommended_checks": []}, "core.recommended_checks"),
    ("fz_warning", {"core.cases": 0}, "core.cases"),
    ("fz_warning", {"core.period_until": (_CAME - timedelta(days=1)).date()}, "core.period_until"),
    ("fz_warning", {"core.dwell_days": None}, "core.dwell_days"),
    ("fz_warning", {"core.dwell_days": 45}, "core.dwell_days"),
    ("fz_warning", {"core.dwell_days": -1, "movements": REMOVE}, "core.dwell_days"),
    ("fz_warning", {"core.dwell_limit_days": -1}, "core.dwell_limit_days"),
    ("fz_warning", {"core.countries[0].country": "de"}, "core.countries[0].country"),
    ("fz_warning", {"movements.pairs": []}, "movements.pairs"),
    ("fz_warning", {"movements.pairs[0].inbound.units": []}, "movements.pairs[0].inbound.units"),
    ("fz_warning", {"movements.pairs[0].outbound.units": []}, "movements.pairs[0].outbound.units"),
    ("fz_warning", {"movements.pairs[0].outbound": None, "core.patterns": ["RELABEL"]}, "movements.pairs[0].outbound"),
    ("fz_warning", {"movements.pairs[0].outbound.moved_at": _CAME - timedelta(seconds=1), "movements.pairs[0].dwell_days": None},
     "movements.pairs[0].outbound.moved_at"),
    ("fz_warning", {"movements.pairs[0].dwell_days": 45}, "movements.pairs[0].dwell_days"),
    ("fz_warning", {"goods.items": []}, "goods.items"),
    ("fz_warning", {"goods.items[0].inbound": None, "goods.items[0].outbound": None}, "goods.items[0].inbound"),
    ("fz_warning", {"goods.items[0].inbound.country": "Germany"}, "goods.items[0].inbound.country"),
    ("fz_warning", {"goods.items[0].outbound.country": ""}, "goods.items[0].outbound.country"),
    ("fz_warning", {"goods.items[0].outbound.unit": None}, "goods.items[0].outbound.unit"),
    ("fz_warning", {"goods.items[0].outbound.quantity": Decimal(-1)}, "goods.items[0].outbound.quantity"),
    ("fz_warning", {"goods.items[0].inbound.quantity": Decimal(1)}, "goods.items[0].inbound.unit"),
    ("fz_warning", {"goods.items[0].inbound.quantity": Decimal(-1), "goods.items[0].inbound.unit": "H87"},
     "goods.items[0].inbound.quantity"),
    ("fz_warning", {"parties.parties": []}, "parties.parties"),
    ("entity_watch", {"core.countries": ["AE", "sg"]}, "core.countries[1]"),
    ("entity_watch", {"identity.names": []}, "identity.names"),
    ("entity_watch", {"identity.names[0].name": " ", "identity.names[1].name": ""}, "identity.names"),
    ("entity_watch", {"identity.names[1].name_kind": "PRIMARY"}, "identity.names"),
    ("entity_watch", {"identity.names[0].name_kind": "ALIAS"}, "identity.names"),
    ("entity_watch", {"identity.addresses[0].country": "Dubai"}, "identity.addresses[0].country"),
    ("entity_watch", {"identity.relations[0].subject": "W-1"}, "identity.relations[0].subject"),
    ("entity_watch", {"grounds.proportionality_note": " "}, "grounds.proportionality_note"),
    ("licit_movement", {"core.pre_export_ref": None}, "core.pre_export_ref"),
    ("licit_movement", {"goods.items": []}, "goods.items"),
    ("licit_movement", {"goods.items[0].cas": ""}, "goods.items[0].cas"),
    ("licit_movement", {"goods.items[0].quantity": Decimal(0)}, "goods.items[0].quantity"),
    ("licit_movement", {"goods.items[0].hs_edition": None}, "goods.items[0].hs_edition"),
    ("licit_movement", {"route.places": []}, "route.places"),
    ("licit_movement", {"route.countries[0].country": "D"}, "route.countries[0].country"),
    ("licit_movement", {"route.places[1].country": "sg"}, "route.places[1].country"),
    ("licit_movement", {"route.conveyances[0].imo": None}, "route.conveyances[0].imo"),
    ("licit_movement", {"route.countries[1].role": "ZONE_HOST"}, "route.free_zone_code"),
    ("licit_movement", {"equipment.units": []}, "equipment.units"),
    ("licit_movement", {"parties.parties": []}, "parties.parties"),
    ("reachback", {"core.questions": []}, "core.questions"),
    ("reachback", {"core.questions": ["HAZARD", "HAZARD"]}, "core.questions"),
    ("reachback", {"core.countries[1].country": "A"}, "core.countries[1].country"),
    ("reachback", {"goods": REMOVE, "images": REMOVE, "attachments": REMOVE}, "goods"),
    ("reachback", {"goods.items": []}, "goods.items"),
    ("reachback", {"goods.items[0].line": 0}, "goods.items[0].line"),
    ("reachback", {"goods.items[0].unit": None}, "goods.items[0].unit"),
    ("reachback", {"goods.items[0].quantity": Decimal(-1)}, "goods.items[0].quantity"),
    ("reachback", {"goods.items[0].hs_edition": None}, "goods.items[0].hs_edition"),
    ("reachback", {"images.images": []}, "images.images"),
    ("reachback", {"attachments.files": []}, "attachments.files"),
    ("reachback", {"attachments.files[0].name": "../x.png"}, "attachments.files[0].name"),
    ("reachback_reply", {"attachments.files[0].chunks": 2}, "attachments.files[0].chunks"),
    ("reachback_reply", {"determination.items": []}, "determination.items"),
    ("reachback_reply", {"determination.items[0].control_codes": []}, "determination.items[0].control_codes"),
    ("reachback_reply", {"determination.items[0].line": -1}, "determination.items[0].line"),
    ("reachback_reply", {"determination.items[0].hs_edition": None}, "determination.items[0].hs_edition"),
    ("reachback_reply", {"core.conclusion": "NOT_CONTROLLED"}, "core.conclusion"),
    ("reachback_reply", {"determination.items[0].conclusion": "UNDETERMINED"}, "core.conclusion"),
]  # fmt: skip

FOUND: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("fz_warning", {"goods": REMOVE}, [("NO_GOODS", "goods")]),
    ("fz_warning", {"movements": REMOVE}, [("NO_PAIR", "movements")]),
    ("fz_warning", {"movements": REMOVE, "core.patterns": ["SHELL_TENANT"]}, []),
    ("fz_warning", {"movements.pairs[0].outbound": None, "movements.pairs[0].dwell_days": None, "core.dwell_days": 50}, []),
    ("fz_warning", {"movements.pairs": [{"inbound": _IN, "outbound": _IN | {"moved_at": _LEFT}, "dwell_days": None}]}, []),
    ("entity_watch", {"identity.other_ids": []}, []),
    ("entity_watch", {"core.entity_kind": "COMPANY", "identity.other_ids": []}, [("NO_ENTITY_ID", "identity")]),
    ("entity_watch", {"core.entity_kind": "VESSEL", "identity.other_ids": [], "identity.imo": "9074729"}, []),
    ("licit_movement", {"route.countries": [{"country": "SG", "role": "DESTINATION"}]}, [("SHORT_ROUTE", "route.countries")]),
    ("licit_movement", {"route.places[1].eta": moment(START_MS, days=13)}, [("ETA_BEFORE_ETD", "route.places[1].eta")]),
    ("licit_movement", {"route.places[0].eta": moment(START_MS, days=15)}, [("ETA_BEFORE_ETD", "route.places[0].etd")]),
    ("licit_movement", {"parties": REMOVE}, [("NO_TRADERS", "parties")]),
    ("licit_movement", {"parties.parties[0].role": "AGENT"}, [("NO_TRADERS", "parties")]),
    ("licit_movement", {"core.direction": "TRANSIT", "core.pre_export_ref": None}, []),
    ("reachback", {"images": REMOVE}, []),
    ("reachback", {"images": REMOVE, "goods": REMOVE}, []),
    ("reachback_reply", {"determination": REMOVE}, [("NO_DETERMINATION", "determination")]),
    ("reachback_reply", {"determination": REMOVE, "core.status": "NEEDS_SAMPLE"}, []),
]

TIMED: list[tuple[str, dict[str, Any], str]] = [
    ("fz_warning", {"movements.pairs[0].inbound.moved_at": moment(START_MS, hours=1), "movements.pairs[0].outbound": None,
                    "movements.pairs[0].dwell_days": None}, "movements.pairs[0].inbound.moved_at"),
    ("fz_warning", {"movements.pairs[0].outbound.moved_at": moment(START_MS, hours=1), "movements.pairs[0].dwell_days": None,
                    "core.dwell_days": 50}, "movements.pairs[0].outbound.moved_at"),
    ("fz_warning", {"core.period_from": moment(START_MS, days=2).date(), "core.period_until": moment(START_MS, days=2).date()},
     "core.period_from"),
    ("entity_watch", {"core.review_date": moment(START_MS, days=-1).date()}, "core.review_date"),
    ("entity_watch", {"core.review_date": moment(START_MS, days=367).date()}, "core.review_date"),
    ("entity_watch", {"identity.birth_date": date(2099, 1, 1)}, "identity.birth_date"),
    ("licit_movement", {"core.objection_until": moment(START_MS, days=-1)}, "core.objection_until"),
    ("reachback", {"core.due": moment(START_MS, hours=-1)}, "core.due"),
    ("reachback_reply", {"core.determined_at": moment(START_MS, hours=1)}, "core.determined_at"),
]  # fmt: skip
"""Refused because of the time of issue: the paths."""

IN_TIME: list[tuple[str, dict[str, Any]]] = [
    ("entity_watch", {"core.review_date": moment(START_MS, days=366).date()}),
    ("entity_watch", {"core.review_date": moment(START_MS, days=2000).date(), "core.entity_kind": "VESSEL", "identity.imo": "9074729"}),
    ("reachback_reply", {"core.determined_at": moment(START_MS) + timedelta(minutes=5)}),
    ("reachback", {"core.due": moment(START_MS) + timedelta(milliseconds=1)}),
]
"""The other side of those rules."""
