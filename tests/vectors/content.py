"""The fixed inputs of the golden vectors: keys made from published seeds, ids, times, salts and invented records.

Nothing here is real: neither the agencies' keys, nor the shipment. Never use these keys outside tests.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import fastavro
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.envelope.cose import ED25519, P256
from broker.schema.canonical import schema_id

Record: TypeAlias = dict[str, Any]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
EXCHANGE: Final = "stce.asean"
ENVIRONMENT: Final = "test"
NOON: Final = 1_795_521_600_000
"""2026-11-24 12:00:00 UTC in Unix milliseconds."""
STREAM: Final = bytes.fromhex("5a17c0ffee5a17c0ffee5a17c0ffee01")
BATCH_STREAM: Final = bytes.fromhex("5a17c0ffee5a17c0ffee5a17c0ffee02")
"""The stream of the batches; an agency may have several."""
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class TestKey:
    """A private key made from a seed: for Ed25519 the seed of RFC 8032, for P-256 the secret number, 32 bytes big-endian."""

    __test__ = False
    agency: str
    alg: int
    seed: bytes

    @property
    def private(self) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
        """The key object."""
        if self.alg == ED25519:
            return ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        return ec.derive_private_key(int.from_bytes(self.seed, "big"), ec.SECP256R1())

    @property
    def spki(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def kid(self) -> bytes:
        """The key id."""
        return hashlib.sha256(self.spki).digest()[:16]

    def sign(self, message: bytes, *, low: bool = True) -> bytes:
        """A deterministic signature (RFC 8032, RFC 6979); ECDSA as r and s, with the lower s or, for a bad case, the higher."""
        private = self.private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign(message)
        r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        if (s > P256_ORDER // 2) == low:
            s = P256_ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def shown(self) -> Record:
        """The key as a vector shows it."""
        return {"agency": self.agency, "alg": self.alg, "seed": self.seed.hex(), "spki": self.spki.hex(), "kid": self.kid.hex()}


CUSTOMS: Final = TestKey("SG-CUSTOMS", ED25519, bytes.fromhex("01" * 32))
LICENSING: Final = TestKey("DE-BAFA", P256, bytes.fromhex("02" * 32))
RELAY: Final = TestKey("", ED25519, bytes.fromhex("03" * 32))
STRANGER: Final = TestKey("", ED25519, bytes.fromhex("04" * 32))
"""A key in nobody's directory."""

DIRECTORY: Final[Record] = {
    "exchange_id": EXCHANGE,
    "environment": ENVIRONMENT,
    "keys": {key.agency: [key.spki.hex()] for key in (CUSTOMS, LICENSING)},
    "relay": [RELAY.spki.hex()],
}


def salt(label: str) -> bytes:
    """A section's salt; random in life, here 16 bytes of SHA-256 of a label."""
    return hashlib.sha256(f"salt of {label}".encode()).digest()[:16]


def physical(schema: Any) -> Any:
    """The schema without logical types: times are integers, decimals bytes."""
    if isinstance(schema, dict):
        return {key: physical(value) for key, value in schema.items() if key != "logicalType"}  # pyright: ignore[reportUnknownVariableType]
    return [physical(entry) for entry in schema] if isinstance(schema, list) else schema  # pyright: ignore[reportUnknownVariableType]


class Schema:
    """A schema file of this repository."""

    def __init__(self, path: str) -> None:
        self.path = f"schemas/{path}.avsc"
        self._avsc: Any = json.loads((REPOSITORY / self.path).read_text(encoding="utf-8"))
        self.id = schema_id(self._avsc)

    def encode(self, record: Record) -> bytes:
        """The Avro body of a record."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, physical(self._avsc), record, strict=True)  # pyright: ignore[reportUnknownMemberType]
        return stream.getvalue()

    def decode(self, body: bytes) -> Record:
        """The record of an Avro body."""
        record = fastavro.schemaless_reader(io.BytesIO(body), physical(self._avsc), None)  # pyright: ignore[reportUnknownMemberType]
        assert isinstance(record, dict)
        return record


HEADER: Final = Schema("header/v1/header")
SLIP: Final = Schema("slip/v1/slip")
BINDING_SLIP: Final = Schema("slip/v2/slip")
RECEIPT_V1: Final = Schema("receipt/v1/receipt")
RECEIPT: Final = Schema("receipt/v2/receipt")
SECTION_SCHEMAS: Final = {
    "audience": Schema("audience/v1/audience"),
    "core": Schema("alert/v1/core"),
    "goods": Schema("alert/v1/goods"),
    "grounds": Schema("alert/v1/grounds"),
}

SECTIONS: Final[dict[str, Record]] = {
    "audience": {"agencies": ["AE-CUSTOMS"], "communities": ["STCE-ASEAN"], "countries": []},
    "core": {
        "alert_type": "SHIPMENT", "risk_category": "DUAL_USE", "risk_score": 82, "confidence": "HIGH",
        "indicators": [{"code": "ROUTE_DETOUR", "text": "détour without a commercial reason"}, {"code": "NEW_CONSIGNEE", "text": None}],
        "requested_actions": ["HOLD", "SPECIFIC_CHECK"],
        "decision_deadline": NOON + 36 * 3_600_000, "deadline_anchor": "ARRIVAL", "transport_mode": "SEA",
        "documents": [{"type": "N705", "id": "TESTBL0001"}], "mrn": None, "ucr": None, "catch_all_basis": None,
        "licence_refs": [{"authority": "DE-BAFA", "licence_no": "TEST-2026-17", "resolved": True}], "alert_links": [],
    },
    "goods": {
        "items": [{
            "hs_code": "845811", "hs_edition": 2022, "description": "horizontal lathe, numerically controlled",
            "gross_mass_kg": (12_500_000_000).to_bytes(12, "big", signed=True), "quantity": (2_000_000).to_bytes(12, "big", signed=True),
            "unit": "H87", "package_count": 2, "package_type": "CR", "marks": None, "un_number": None, "cus": None, "cas": None,
            "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B001.a", "edition": "2025"}],
        }],
    },
    "grounds": {"narrative": "The consignee was founded three weeks ago.", "profile_ref": "P-7", "listings": [], "related_cases": []},
}  # fmt: skip
"""An alert's sections. ``grounds`` is the one that the delivery vector withholds."""


def header(commitments: list[Record], **changes: Any) -> Record:
    """The header of the alert; ``changes`` replace fields."""
    return {
        "message_id": bytes.fromhex("0198c0de00007000800000000000000a"), "family": "alert", "originator": "SG-CUSTOMS",
        "stream": STREAM, "seq": 1, "prev": None, "subject": "SG-CUSTOMS/2026/000123", "revision": 1,
        "issued_at": NOON, "valid_from": None, "valid_until": NOON + 30 * 86_400_000, "embargo_until": None,
        "urgency": "IMMEDIATE", "handling": "H1", "handling_caveat": None, "tlp": "AMBER_STRICT", "pap": "GREEN",
        "evaluation": {"source": "B", "information": "I2"}, "purposes": ["STC"], "legal_basis": "CMAA:SG-AE", "onward": "CONSENT",
        "evidential_use": False, "retention": "R5Y", "language": "en",
        "routing": {
            "countries": [
                {"country": "AE", "role": "DESTINATION"}, {"country": "DE", "role": "ORIGIN"}, {"country": "SG", "role": "TRANSIT"},
            ],
            "hs_chapters": ["84"], "category": "DUAL_USE", "free_zone": None,
        },
        "correlation": {"causation": None, "target": None, "target_revision": None, "case_ref": "SG-7/26"},
        "commitments": commitments, **changes,
    }  # fmt: skip


def slip(leaf: bytes, given: list[str], withheld: list[str], **changes: Any) -> Record:
    """The slip of a delivery to AE-CUSTOMS; ``changes`` replace fields."""
    return {
        "exchange_id": EXCHANGE, "environment": ENVIRONMENT, "recipient": "AE-CUSTOMS", "shard": 3, "counter": 1, "prev": None,
        "leaf": leaf, "admitted_at": NOON + 1_500, "rule": "receive.named",
        "given": [{"section": name, "rule": f"read.{name}"} for name in given],
        "withheld": [{"section": name, "rule": "default"} for name in withheld],
        "policy_version": 4, "directory_version": 9, "redelivery": False, **changes,
    }  # fmt: skip


def receipt(leaf: bytes | None, digest: bytes, **changes: Any) -> Record:
    """The relay's answer to SG-CUSTOMS, as version 1 has it; ``changes`` replace fields."""
    return {
        "exchange_id": EXCHANGE, "environment": ENVIRONMENT, "originator": "SG-CUSTOMS", "outcome": "ACCEPTED", "code": "", "step": 0,
        "reason": "", "advice": "", "path": "", "message_id": bytes.fromhex("0198c0de00007000800000000000000a"), "stream": STREAM,
        "seq": 1, "subject": "SG-CUSTOMS/2026/000123", "revision": 1, "leaf": leaf, "digest": digest, "source_partition": 0,
        "source_offset": 41, "admitted_at": NOON + 1_500, "policy_version": 4, "directory_version": 9,
        "recipients": [{"agency": "AE-CUSTOMS", "sections": ["core", "goods"], "withheld": ["grounds"]}],
        "findings": [{"severity": "INFO", "code": "EXAMPLE", "path": "core.mrn", "reason": "an example of a finding"}], **changes,
    }  # fmt: skip
