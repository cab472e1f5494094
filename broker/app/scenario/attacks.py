"""Bytes as somebody would send them who has no right to: pure functions from records to records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from broker.envelope.parcel import Parcel, parcel_bytes, read_parcel
from broker.errors import Refusal, UsageError
from broker.exchange.receive import DELIVERY_LIMIT
from broker.exchange.rules import Rules
from broker.schema.codec import FieldError

_ADVICE = "correct `changes` of this step"


def with_header(value: bytes, changes: Mapping[str, Any], rules: Rules) -> bytes:
    """The record with header fields replaced and the old signature left in place. Raises UsageError on changes that cannot be."""
    parcel = _parcel(value)
    codec = rules.schema("header").codec
    record = codec.decode(parcel.statement.payload, logical=False)
    if unknown := changes.keys() - record.keys():
        raise UsageError(f"a header has no field `{min(unknown)}`", advice=_ADVICE)
    try:
        payload = codec.encode({**record, **changes})
    except FieldError as error:
        raise UsageError(f"header.{error.path}: {error.reason}", advice=_ADVICE) from error
    return parcel_bytes(replace(parcel.statement, payload=payload), parcel.sections, parcel.extras)


def without_slip(value: bytes) -> bytes:
    """A delivered record without the exchange's part: as its originator sent it, less the sections that were kept back."""
    parcel = _parcel(value)
    return parcel_bytes(parcel.statement, parcel.sections, {})


def with_section(value: bytes, section: str, old: str, new: str) -> bytes:
    """The record with one text inside a section replaced by another of the same length; everything else, signatures too, as it was.

    Raises UsageError where that cannot be.
    """
    parcel = _parcel(value)
    carried = parcel.sections.get(section, b"")
    if len(old.encode()) != len(new.encode()) or old == new or old.encode() not in carried:
        raise UsageError(f"`{old}` is not in section `{section}`, or `{new}` is not another text of its length", advice=_ADVICE)
    sections = {**parcel.sections, section: carried.replace(old.encode(), new.encode())}
    return parcel_bytes(parcel.statement, sections, parcel.extras)


def _parcel(value: bytes) -> Parcel:
    parcel = read_parcel(value, DELIVERY_LIMIT)
    if isinstance(parcel, Refusal):
        raise UsageError(f"the record cannot be read: {parcel.reason}", advice="name an earlier step that published")
    return parcel
