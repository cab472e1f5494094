"""Receipts among what lies in an inbox."""

from __future__ import annotations

import structlog

from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.rules import Rules
from broker.ports import Record

_log = structlog.get_logger("publisher")


def receipt_in(record: Record, agency: str, rules: Rules) -> Receipt | None:
    """The verified receipt that answers this agency; None for whatever else it is. What claims to be one and is none is logged."""
    if not is_receipt(record.key) or record.value is None:
        return None
    receipt = read_receipt(record.value, rules)
    if isinstance(receipt, Refusal):
        _log.error("receipt ignored", code=receipt.code, reason=receipt.reason, offset=record.offset)
        return None
    if receipt.originator != agency:
        # A copy of our record in another's outbox is refused there; that answer says nothing about ours.
        _log.error("receipt of another agency ignored", originator=receipt.originator, offset=record.offset)
        return None
    return receipt
