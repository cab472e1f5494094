"""Fills what a typed dictionary may leave out, so that the strict Avro codec finds every field.

A key that a section's type marks as ``NotRequired`` has a default in its schema: null, an empty list, or false. A test proves
that the defaults here and there are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import UnionType
from typing import Any, Final, NotRequired, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

REQUIRED: Final = object()
"""Stands for "no default" in :func:`fields`."""


def _unwrapped(hint: Any) -> tuple[Any, bool, bool]:
    """The bare type of a hint, whether the key may be missing, whether it may be None."""
    optional = get_origin(hint) is NotRequired
    bare = get_args(hint)[0] if optional else hint
    if get_origin(bare) in (Union, UnionType):
        return next(part for part in get_args(bare) if part is not type(None)), optional, True
    return bare, optional, False


@lru_cache(maxsize=256)
def fields(kind: type) -> Mapping[str, tuple[Any, bool, object]]:
    """The fields of a typed dictionary: name to (bare type, may be None, default or REQUIRED)."""
    found: dict[str, tuple[Any, bool, object]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        bare, optional, nullable = _unwrapped(hint)
        default: object = REQUIRED
        if optional:
            default = None if nullable else [] if get_origin(bare) is list else False
        found[name] = (bare, nullable, default)
    return found


@lru_cache(maxsize=256)
def _plan(kind: type) -> tuple[tuple[tuple[str, object], ...], tuple[tuple[str, type, bool], ...]]:
    """Defaults by name, and the nested records as (name, type, whether in a list)."""
    defaults: list[tuple[str, object]] = []
    nested: list[tuple[str, type, bool]] = []
    for name, (bare, _, default) in fields(kind).items():
        if default is not REQUIRED:
            defaults.append((name, default))
        inside = get_args(bare)[0] if get_origin(bare) is list else bare
        if is_typeddict(inside):
            nested.append((name, inside, inside is not bare))
    return tuple(defaults), tuple(nested)


def _to_the_millisecond(value: object) -> object:
    """Messages carry whole milliseconds; a clock that gives more is cut here, where a person's program hands its values in."""
    if isinstance(value, datetime) and value.microsecond % 1000:
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def complete(kind: type, value: Mapping[str, object]) -> dict[str, Any]:
    """A copy of ``value`` with the defaults of ``kind`` filled in, and times cut to the millisecond, at every depth.

    Keys that the type does not know stay, and so do values of a wrong type: the codec refuses them and names their path.
    """
    defaults, nested = _plan(kind)
    whole: dict[str, Any] = {name: _to_the_millisecond(each) for name, each in value.items()}
    for name, default in defaults:
        if name not in whole:
            whole[name] = [] if default == [] else default
    for name, inside, listed in nested:
        part = whole.get(name)
        if listed and isinstance(part, list):
            records = cast("list[object]", part)
            whole[name] = [complete(inside, cast("Mapping[str, object]", r)) if isinstance(r, Mapping) else r for r in records]
        elif not listed and isinstance(part, Mapping):
            whole[name] = complete(inside, cast("Mapping[str, object]", part))
    return whole


def complete_sections(types: Mapping[str, type], given: Mapping[str, Mapping[str, object] | None]) -> dict[str, dict[str, Any]]:
    """The sections that were given, each completed."""
    return {name: complete(types[name], section) for name, section in given.items() if section is not None}
