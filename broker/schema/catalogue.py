"""The schemas an exchange knows, by content id and by name. A catalogue is a value: another set of schemas is another catalogue.

The id on the wire is the SHA-256 of the schema itself, so no registry has to be asked or trusted, and a message of years ago
decodes offline with the schema it was written with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.errors import Refusal, UsageError
from broker.schema.avsc import Record, leaves, read_schema, read_text, within
from broker.schema.canonical import schema_id
from broker.schema.codec import AvroRecord, Codec
from broker.schema.limits import BODY_LIMIT
from broker.schema.lint import lint
from broker.schema.walk import Walk, WalkError, compile_walk

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Section:
    """One version of the schema of one section, compiled. ``nominal`` are the paths of its nominal fields: ``parties[].name``."""

    family: str
    section: str
    version: int
    schema_id: bytes
    text: str = field(repr=False)
    nominal: tuple[str, ...] = field(repr=False)
    schema: Record = field(repr=False)
    codec: Codec = field(repr=False, compare=False)
    walk: Walk = field(repr=False, compare=False)

    @classmethod
    def from_text(cls, family: str, section: str, version: int, text: str) -> Section:
        """Lint and compile the text of an ``.avsc`` file. Raises UsageError, naming the first REJECT finding."""
        name = f"{family}/v{version}/{section}"
        if not _NAME.fullmatch(family) or not _NAME.fullmatch(section) or version < 1:
            raise UsageError(f"`{name}` is no name of a schema", advice="use lower-case ASCII words and a version from 1")
        avsc = read_text(text)
        findings = [finding for finding in lint(avsc, family=family, section=section) if finding.severity == "REJECT"]
        if findings:
            first, more = findings[0], f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            where = f" at {first.path}" if first.path else ""
            raise UsageError(f"{name}: {first.code}{where}: {first.reason}{more}", advice="correct the .avsc file")
        schema = read_schema(avsc)
        nominal = tuple(path for path, leaf in leaves(schema) if leaf.nominal)
        return cls(family, section, version, schema_id(avsc), text, nominal, schema, Codec(schema), compile_walk(schema))

    def read(self, body: bytes, *, logical: bool = True) -> AvroRecord | Refusal:
        """The record of any bytes, or BAD_STRUCTURE. ``logical``: times as datetimes, else as Unix milliseconds."""
        record = self.codec.read(body, logical=logical)
        return record if record is not None else self.check(body) or self.codec.decode(body, logical=logical)

    def check(self, body: bytes) -> Refusal | None:
        """Whether bytes are the canonical Avro of this schema, so that ``codec.decode`` may see them; else BAD_STRUCTURE."""
        try:
            self.walk(body, BODY_LIMIT)
        except WalkError as error:
            return Refusal("BAD_STRUCTURE", error.reason, within(self.section, error.path))
        return None


class Catalogue:
    """All schemas of an exchange. Immutable."""

    __slots__ = ("_by_id", "_current")

    def __init__(self, sections: Iterable[Section]) -> None:
        self._by_id: dict[bytes, Section] = {}
        self._current: dict[tuple[str, str], Section] = {}
        for section in sorted(sections, key=lambda one: (one.family, one.section, one.version)):
            twin = self._by_id.setdefault(section.schema_id, section)
            if twin is not section:
                raise UsageError(
                    f"{_named(twin)} and {_named(section)} are the same schema",
                    advice="remove one, or give the record its own name",
                )
            self._current[section.family, section.section] = section

    @classmethod
    def from_texts(cls, texts: Mapping[tuple[str, str, int], str]) -> Catalogue:
        """A catalogue from ``.avsc`` texts by (family, section, version). Raises UsageError where the lint rejects one."""
        return cls(Section.from_text(*name, text) for name, text in texts.items())

    def by_id(self, schema_id: bytes) -> Section | None:
        """The section whose schema has this content id."""
        return self._by_id.get(schema_id)

    def current(self, family: str, section: str) -> Section | None:
        """The highest version of a section: what a publisher writes."""
        return self._current.get((family, section))

    def families(self) -> tuple[str, ...]:
        """Names of all families, sorted."""
        return tuple(sorted({family for family, _ in self._current}))

    def sections(self, family: str) -> tuple[str, ...]:
        """Names of a family's sections, sorted."""
        return tuple(sorted(section for owner, section in self._current if owner == family))

    def __iter__(self) -> Iterator[Section]:
        """Every version of every section, by family, section and version."""
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)


def _named(section: Section) -> str:
    return f"{section.family}/v{section.version}/{section.section}"
