"""Who signed a delivery, and what the relay wrote on it, as JSON values: what an officer shows to whoever asks how this is known.

The delivery was verified before; here it is only read again for what it says.
"""

from __future__ import annotations

from typing import Any

from broker.envelope.cose import read_sign1_bytes
from broker.envelope.parcel import SLIP, read_parcel
from broker.errors import Refusal
from broker.exchange.receive import DELIVERY_LIMIT
from broker.service.subscriber import Delivery


def proof_json(delivery: Delivery) -> dict[str, Any]:
    """Keys, leaf and versions (keys and leaf in hexadecimal digits): ``signer`` is the originator's key, ``relay`` that of the slip,
    ``given`` the rule that disclosed each section."""
    slip, parcel = delivery.slip, read_parcel(delivery.value, DELIVERY_LIMIT)
    signer = "" if isinstance(parcel, Refusal) else parcel.statement.kid.hex()
    note = None if isinstance(parcel, Refusal) else read_sign1_bytes(parcel.extras.get(SLIP, b""))
    relay = "" if note is None or isinstance(note, Refusal) else note.kid.hex()
    return {
        "signer": signer, "relay": relay, "leaf": slip.leaf.hex(), "rule": slip.rule, "given": dict(slip.given), "shard": slip.shard,
        "counter": slip.counter, "policy_version": slip.policy_version, "directory_version": slip.directory_version,
    }  # fmt: skip
