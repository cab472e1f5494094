"""What is published: generated alerts with the shapes of real ones, as our messages and as one Avro record each.

An alert has three sections (core, goods, route), about 600 bytes of Avro together, one to three items of goods, three to four
countries and places, and a readable description. There are :data:`SHAPES` different ones, so that policy sees as many label
tuples as a few weeks of traffic would show it; each message is a subject of its own.

The peers get the same values in one record: the header fields that any program would send, and the same three sections, whose
schemas are the newest under ``schemas/alert``. The record is written with ``fastavro.schemaless_writer`` and its parsed schema.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast

import fastavro

from broker.families.alert import ALERT
from broker.families.completion import complete_sections
from broker.families.message import Audience, Message
from broker.storage.schemas import load_catalogue

_fastavro: Final[Any] = fastavro

SHAPES: Final = 256
SECTIONS: Final = ("core", "goods", "route")

_PORTS: Final = (
    ("DE", "DEHAM"), ("NL", "NLRTM"), ("BE", "BEANR"), ("ES", "ESALG"), ("CN", "CNSHA"), ("KR", "KRPUS"), ("MY", "MYPKG"),
    ("SG", "SGSIN"), ("AE", "AEJEA"), ("IN", "INNSA"), ("TH", "THLCH"), ("VN", "VNCLI"), ("BR", "BRSSZ"), ("ZA", "ZADUR"),
)  # fmt: skip
_GOODS: Final = (
    ("847989", "2B004", "hot isostatic press with furnace, chamber cavity 406 mm, 207 MPa"),
    ("845710", "2B201", "machining centre, five axes, positioning accuracy 4 micrometres"),
    ("841370", "2B350", "centrifugal pump, fluoropolymer lined, mechanical seal, 12 m3 per hour"),
    ("854231", "3A001", "field programmable gate arrays, radiation hardened, military temperature range"),
    ("901420", "7A103", "inertial measurement unit with fibre optic gyroscopes, for survey craft"),
    ("681510", "1C210", "carbon fibre filament on reels, tensile modulus 320 GPa"),
    ("292219", "1C350", "triethanolamine, 220 litre drums, technical grade"),
    ("880730", "9A012", "parts of unmanned aircraft: composite wings, servo actuators"),
)
_CATEGORIES: Final = ("DUAL_USE", "MISSILE", "CBRN_N", "CBRN_C", "SANCTIONS_DIVERSION")
_SIGNALS: Final = (
    ("END_USE_UNCLEAR", "end user has no known workshop or staff for this machine"),
    ("ROUTING_ODD", "routing by way of two free ports though a direct service exists"),
    ("NEW_PARTY", "consignee was registered four weeks before the order"),
)  # fmt: skip

_HEADER: Final = [
    {"name": "message_id", "type": "string"}, {"name": "originator", "type": "string"}, {"name": "subject", "type": "string"},
    {"name": "revision", "type": "int"}, {"name": "issued_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "valid_until", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "urgency", "type": "string"},
    {"name": "tlp", "type": "string"}, {"name": "legal_basis", "type": "string"},
    {"name": "purposes", "type": {"type": "array", "items": "string"}}, {"name": "audience", "type": {"type": "array", "items": "string"}},
]  # fmt: skip

Record = dict[str, Any]


def _shape(number: int) -> dict[str, Record]:
    """The three sections of one shape; the same number gives the same values."""
    chance = random.Random(number)
    ports = chance.sample(_PORTS, k=chance.choice((3, 4)))
    now = datetime(2026, 11, 24, 6, tzinfo=UTC)
    deadline = now + timedelta(hours=chance.randrange(12, 96))
    core = {
        "alert_type": "SHIPMENT",
        "risk_category": chance.choice(_CATEGORIES),
        "risk_score": chance.randrange(40, 100),
        "indicators": [{"code": code, "text": text} for code, text in chance.sample(_SIGNALS, k=chance.choice((2, 2, 3)))],
        "requested_actions": ["HOLD", "SPECIFIC_CHECK"],
        "decision_deadline": deadline,
        "deadline_anchor": "LOADING",
        "transport_mode": "SEA",
        "documents": [{"type": "N705", "id": f"HLCUHAM26{number:08d}"}],
        "ucr": f"6DE{chance.randrange(10**12):012d}-{number}",
    }
    goods = {
        "items": [
            {
                "hs_code": code,
                "hs_edition": 2022,
                "description": text,
                "gross_mass_kg": Decimal(chance.randrange(10**9)) / 1000,
                "package_count": chance.randrange(1, 40),
                "package_type": "CT",
                "marks": f"PO 45{chance.randrange(10**8):08d} / lot {chance.randrange(100)}",
                "control_codes": [{"scheme": "EU_ANNEX_I", "code": entry, "edition": "2025"}],
            }
            for code, entry, text in chance.sample(_GOODS, k=chance.choice((1, 2, 2)))
        ]
    }
    roles = ("LOADING", *("TRANSHIPMENT",) * (len(ports) - 2), "DISCHARGE")
    route = {
        "countries": [
            {"country": country, "role": role}
            for (country, _), role in zip(ports, ("ORIGIN", *("TRANSIT",) * (len(ports) - 2), "DESTINATION"), strict=True)
        ],
        "places": [
            {"role": role, "country": country, "locode": locode, "eta": deadline + timedelta(days=day)}
            for day, ((country, locode), role) in enumerate(zip(ports, roles, strict=True))
        ],
        "conveyances": [
            {"mode": "SEA", "imo": "9074729", "name": "Elbe Carrier", "flag": "SG", "voyage": f"{chance.randrange(1000):03d}W"}
        ],
    }
    return complete_sections(ALERT.types, {"core": core, "goods": goods, "route": route})


@lru_cache(maxsize=1)
def _shapes() -> list[dict[str, Record]]:
    return [_shape(number) for number in range(SHAPES)]


def _valid_until() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)


def messages(count: int, originator: str, run: str, agencies: Sequence[str], *, urgency: str = "ROUTINE") -> list[Message]:
    """``count`` alerts to ``agencies`` and to nobody else (TLP:AMBER+STRICT); ``run`` makes their subjects new."""
    shapes, until = _shapes(), int(_valid_until().timestamp() * 1000)
    audience = Audience(agencies=tuple(agencies))
    return [
        Message(
            "alert", f"{originator}/{run}/{n:06d}", shapes[n % SHAPES], audience,
            valid_until_ms=until, urgency=urgency, tlp="AMBER_STRICT",
        )
        for n in range(count)
    ]  # fmt: skip


def records(count: int, originator: str, run: str, agencies: Sequence[str]) -> list[Record]:
    """The same values as one record each."""
    shapes, until, now = _shapes(), _valid_until(), datetime.now(UTC)
    same: Record = {
        "originator": originator, "revision": 1, "issued_at": now, "valid_until": until, "urgency": "ROUTINE", "tlp": "AMBER_STRICT",
        "legal_basis": "UNSCR1540", "purposes": ["STC_ENFORCEMENT"], "audience": list(agencies),
    }  # fmt: skip
    return [{"message_id": f"{n:032x}", "subject": f"{originator}/{run}/{n:06d}", **same, **shapes[n % SHAPES]} for n in range(count)]


@lru_cache(maxsize=1)
def _schema() -> Any:
    """The peers' record schema; a type that two sections name is defined once, as Avro wants it."""
    seen: set[str] = set()

    def once(node: Any) -> Any:
        if isinstance(node, list):
            return [once(each) for each in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        found = cast("dict[str, Any]", node)
        if found.get("type") in ("enum", "fixed", "record"):
            if found["name"] in seen:
                return found["name"]
            seen.add(found["name"])
        return {key: once(value) if key in ("type", "fields", "items") else value for key, value in found.items()}

    fields = [*_HEADER]
    for section in SECTIONS:
        newest = load_catalogue().current("alert", section)
        assert newest is not None
        fields.append({"name": section, "type": once(json.loads(newest.text))})
    return _fastavro.parse_schema({"type": "record", "name": "Alert", "namespace": "broker.alert.v1", "fields": fields})


def encoder() -> Callable[[Record], bytes]:
    """Record to bytes with fastavro."""
    schema, write = _schema(), _fastavro.schemaless_writer

    def encode(record: Record) -> bytes:
        out = io.BytesIO()
        write(out, schema, record)
        return out.getvalue()

    return encode


def decoder() -> Callable[[bytes], Record]:
    """Bytes to record with fastavro."""
    schema, read = _schema(), _fastavro.schemaless_reader

    def decode(data: bytes) -> Record:
        return cast("Record", read(io.BytesIO(data), schema, None))

    return decode
