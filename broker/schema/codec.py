"""Encoding and decoding of one schema's records.

Writing is ours (:mod:`broker.schema.writer`, and :mod:`broker.schema.encoder` for what it leaves), and so is reading bytes that nobody
has looked at (:mod:`broker.schema.reader`). fastavro decodes what the walk has accepted: it is the oracle of both, and what a reader
falls back to. On CPython 3.11 (best of nine runs on a shared core) a record of 40 values and 756 bytes of Avro is encoded by the
encoder in 20 µs and decoded by fastavro in 22; its own writer needs 31, without any check.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias, assert_never, cast

from fastavro import parse_schema, schemaless_reader  # pyright: ignore[reportUnknownVariableType] (its stubs leave IO open)

from broker.schema.avsc import Array, DecimalFixed, Enum, Fixed, Node, Nullable, Record, Scalar
from broker.schema.encoder import FieldError, array_values, compile_encoder
from broker.schema.limits import BODY_LIMIT, NODE_LIMIT
from broker.schema.reader import UNREADABLE, Read, compile_reader
from broker.schema.writer import UNWRITABLE, Write, compile_writer

if TYPE_CHECKING:
    from fastavro.types import Schema

AvroRecord: TypeAlias = dict[str, object]
"""A decoded record: fields by name."""

_SMALL = NODE_LIMIT // 10  # a shorter body cannot hold too many values: one takes a byte, the records around it nine at most


class Codec:
    """Encodes and decodes the records of one schema. Holds no state between calls.

    fastavro gets a schema written out from our tree, with every named type inlined under a number: names do not travel.
    """

    __slots__ = ("_encode", "_logical", "_plain", "_readers", "_schema", "_write")

    def __init__(self, schema: Record) -> None:
        self._schema = schema
        self._encode = compile_encoder(schema)
        self._logical = parse_schema(_Writer(times=True).type(schema), {})
        self._plain = parse_schema(_Writer(times=False).type(schema), {})
        self._readers: dict[bool, Read] = {}
        self._write: Write | None = None

    def check(self, record: object) -> None:
        """Whether a record can be encoded; :mod:`broker.schema.encoder` names the Python types. Raises FieldError."""
        self.encode(record)

    def encode(self, record: object) -> bytes:
        """The Avro body of a record: canonical, always accepted by the walk. Raises FieldError with the field's path."""
        write = self._write or compile_writer(self._schema)
        self._write = write
        try:
            out = write(record)
        except UNWRITABLE:
            out = bytearray()
            self._encode(record, out)
        if len(out) > BODY_LIMIT:
            raise FieldError("", f"{len(out)} bytes once encoded, at most {BODY_LIMIT} are allowed")
        if len(out) > _SMALL and array_values(self._schema, record) > NODE_LIMIT:
            raise FieldError("", f"the lists hold too many values: at most {NODE_LIMIT} in all of them")
        return bytes(out)

    def read(self, body: bytes, *, logical: bool = True) -> AvroRecord | None:
        """The record of any bytes, as :meth:`decode` gives it; None where the walk would refuse them."""
        reader = self._readers.get(logical) or self._readers.setdefault(logical, compile_reader(self._schema, times=logical))
        if len(body) > BODY_LIMIT:
            return None
        try:
            return reader(body)
        except UNREADABLE:
            return None

    def decode(self, body: bytes, *, logical: bool = True) -> AvroRecord:
        """The record, by fastavro, of a body that the walk has accepted, and only of such a one: it is not safe on other bytes.

        Timestamps are aware datetimes in UTC, or Unix milliseconds with ``logical=False`` (the relay compares them only).
        """
        schema = self._logical if logical else self._plain
        return cast("AvroRecord", schemaless_reader(BytesIO(body), schema, None))


class _Writer:
    """Writes a tree out as an Avro schema; ``times=False`` leaves timestamps as plain longs."""

    def __init__(self, *, times: bool) -> None:
        self.times = times
        self.count = 0

    def _definition(self, kind: str, **attributes: object) -> Schema:
        self.count += 1
        return {"type": kind, "name": f"T{self.count}", **attributes}

    def type(self, node: Node) -> Schema:
        match node:
            case Scalar("timestamp"):
                return {"type": "long", "logicalType": "timestamp-millis"} if self.times else "long"
            case Scalar("date"):
                return {"type": "int", "logicalType": "date"}
            case Scalar(kind):
                return kind
            case Fixed(size):
                return self._definition("fixed", size=size)
            case DecimalFixed(size, precision, scale):
                return self._definition("fixed", size=size, logicalType="decimal", precision=precision, scale=scale)
            case Enum(symbols):
                return self._definition("enum", symbols=list(symbols))
            case Nullable(inner):
                return ["null", self.type(inner)]
            case Array(items):
                return {"type": "array", "items": self.type(items)}
            case Record(_, fields):
                return self._definition("record", fields=[{"name": field.name, "type": self.type(field.node)} for field in fields])
            case _:
                assert_never(node)
