"""From one version of a section to another: how a reader that knows one version sees what was written under another.

Avro's schema resolution (Avro 1.12, "Schema Resolution") on decoded records, between versions that
:mod:`broker.schema.compatibility` lets stand side by side: fields are matched by name, or by the reader's alias; what the reader
does not know is left out; what the writer did not know takes the reader's default; a symbol that the reader does not know becomes
the default of its enum. Bytes are walked and decoded under the schema they were written with, so nothing here meets hostile input.

The other way, :func:`fitted` makes a record of the newest version fit an older one, for an exchange that does not know the newest
yet. It leaves out only what says nothing: a field that holds anything but its default is an error, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from broker.errors import UsageError
from broker.schema.avsc import Array, Enum, Field, Node, Nullable, Record, within
from broker.schema.encoder import FieldError

Projection: TypeAlias = Callable[[object], object]
"""From a value as it was written to the value as it is read."""

_Part: TypeAlias = tuple[str, str, Projection | None]  # name at the reader, name at the writer, what is done to the value


def compile_projection(writer: Record, reader: Record) -> Projection:
    """The projection of ``writer``'s records onto ``reader``. Raises UsageError where the two cannot be resolved."""
    return _project(writer, reader) or _same


def _same(value: object) -> object:
    return value


def _project(writer: Node, reader: Node) -> Projection | None:
    """None where values are the same on both sides."""
    if writer == reader:
        return None
    match writer, reader:
        case Nullable(left), Nullable(right):
            return _nullable(_project(left, right))
        case Array(left), Array(right):
            return _array(_project(left, right))
        case Enum(), Enum():
            return _enum(writer, reader)
        case Record(), Record():
            return _record(writer, reader)
        case _:
            raise UsageError(
                f"{type(writer).__name__} cannot be read as {type(reader).__name__}", advice="see `broker schema check`"
            )  # fmt: skip


def _nullable(inner: Projection | None) -> Projection | None:
    if inner is None:
        return None
    return lambda value: None if value is None else inner(value)


def _array(inner: Projection | None) -> Projection | None:
    if inner is None:
        return None
    return lambda value: [inner(item) for item in cast("list[object]", value)]


def _enum(writer: Enum, reader: Enum) -> Projection | None:
    known, default = frozenset(reader.symbols), reader.default
    if known.issuperset(writer.symbols):
        return None
    if default is None:
        unknown = ", ".join(sorted(set(writer.symbols) - known))
        raise UsageError(f"an enum without a default has no symbol {unknown}", advice="see `broker schema check`")
    return lambda value: value if value in known else default


def _record(writer: Record, reader: Record) -> Projection:
    written = {field.name: field for field in writer.fields}
    parts: list[_Part] = []
    filled: list[tuple[str, object]] = []
    for field in reader.fields:
        source = next((written[name] for name in (field.name, *field.aliases) if name in written), None)
        if source is not None:
            parts.append((field.name, source.name, _project(source.node, field.node)))
        elif field.has_default:
            filled.append((field.name, field.default))
        else:
            raise UsageError(f"the field {field.name} is not written and has no default", advice="see `broker schema check`")

    def project(value: object) -> object:
        record = cast("Mapping[str, object]", value)
        made: dict[str, object] = {}
        for name, source, inner in parts:
            made[name] = record[source] if inner is None else inner(record[source])
        for name, default in filled:
            made[name] = list(cast("list[object]", default)) if isinstance(default, list) else default
        return made

    return project


def fitted(newest: Node, target: Node, value: object, version: int) -> object:
    """A value of the newest version as one of an older version, ``version`` being its number for the message.

    Raises FieldError with the path of a field that the older version cannot carry. A value of a wrong type stays as it is: the
    codec says what is wrong with it.
    """
    match newest, target:
        case Nullable(left), Nullable(right):
            return None if value is None else fitted(left, right, value, version)
        case Array(left), Array(right) if isinstance(value, list | tuple):
            return _fitted_items(left, right, cast("list[object]", value), version)
        case Record(), Record() if isinstance(value, Mapping):
            return _fitted_record(newest, target, cast("Mapping[str, object]", value), version)
        case _:
            return value


def _fitted_items(newest: Node, target: Node, items: list[object], version: int) -> list[object]:
    made: list[object] = []
    for item in items:
        try:
            made.append(fitted(newest, target, item, version))
        except FieldError as error:
            raise FieldError(within(f"[{len(made)}]", error.path), error.reason) from None
    return made


def _fitted_record(newest: Record, target: Record, record: Mapping[str, object], version: int) -> dict[str, object]:
    older = {field.name: field for field in target.fields}
    made = dict(record)
    for field in newest.fields:
        if field.name not in record:
            continue
        value = made.pop(field.name)
        source = next((older[name] for name in (field.name, *field.aliases) if name in older), None)
        if source is None:
            if not _says_nothing(field, value):
                reason = f"the exchange knows version {version} of this section only, which has no such field yet"
                raise FieldError(field.name, reason)
            continue
        try:
            made[source.name] = fitted(field.node, source.node, value, version)
        except FieldError as error:
            raise FieldError(within(field.name, error.path), error.reason) from None
    for field in target.fields:
        if field.has_default and field.name not in made:
            made[field.name] = field.default  # the newest version has given the field up
    return made


def _says_nothing(field: Field, value: object) -> bool:
    """Whether a reader of the older version takes the value anyway: it is the field's default."""
    if not field.has_default:
        return False
    return type(value) is type(field.default) and value == field.default
