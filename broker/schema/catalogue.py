"""The schemas an exchange knows, by content id and by name. A catalogue is a value: another set of schemas is another catalogue.

The id on the wire is the SHA-256 of the schema itself, so no registry has to be asked or trusted, and a message of years ago
decodes offline with the schema it was written with.

A section may have several versions at once. A program has *its own*, those it was built with, and sees every record as the newest
of these, whichever version it was written under: announced by the exchange, and older or newer than its own. It writes the newest
of its own that the exchange has announced, so that it may be upgraded before the exchange is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from broker.errors import Finding, Refusal, UsageError
from broker.schema.avsc import Record, leaves, read_schema, read_text, within
from broker.schema.canonical import schema_id
from broker.schema.codec import AvroRecord, Codec
from broker.schema.compatibility import compare
from broker.schema.limits import BODY_LIMIT
from broker.schema.lint import lint
from broker.schema.projection import Projection, compile_projection
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
        """Lint and compile the text of an ``.avsc`` file, once for each name and text: everything that reads or announces schemas asks
        for the same ones again. Raises UsageError, naming the first REJECT finding."""
        return _compiled(family, section, version, text)

    @property
    def name(self) -> str:
        """Family, version and section as its file is named: ``alert/v1/core``."""
        return f"{self.family}/v{self.version}/{self.section}"

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


@lru_cache(maxsize=512)
def _compiled(family: str, section: str, version: int, text: str) -> Section:
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
    return Section(family, section, version, schema_id(avsc), text, nominal, schema, Codec(schema), compile_walk(schema))


class Catalogue:
    """All schemas of an exchange, as one program sees them. Immutable. ``sections`` are the program's own."""

    __slots__ = ("_announced", "_by_id", "_current", "_names", "_own", "_pinned", "_projections")

    def __init__(self, sections: Iterable[Section]) -> None:
        self._by_id: dict[bytes, Section] = {}
        self._current: dict[tuple[str, str], Section] = {}
        for section in sorted(sections, key=_place):
            twin = self._by_id.setdefault(section.schema_id, section)
            if twin is not section:
                raise UsageError(
                    f"{twin.name} and {section.name} are the same schema",
                    advice="remove one, or give the record its own name",
                )
            self._current[section.family, section.section] = section
        self._names: dict[str, tuple[str, ...]] = _names(self._current)
        self._own = frozenset(self._by_id)
        self._announced: frozenset[bytes] = frozenset()
        self._pinned: dict[tuple[str, str], Section] = {}
        self._projections: dict[bytes, Projection] = {}
        for section in self._by_id.values():
            newest = self._current[section.family, section.section]
            if section is newest:
                continue
            clash = _clash(section, newest)
            if clash is not None:
                raise UsageError(f"{clash.reason}, at {clash.path}", advice=clash.advice)
            self._projections[section.schema_id] = compile_projection(section.schema, newest.schema)

    @classmethod
    def from_texts(cls, texts: Mapping[tuple[str, str, int], str]) -> Catalogue:
        """A catalogue from ``.avsc`` texts by (family, section, version). Raises UsageError where the lint rejects one."""
        return cls(Section.from_text(*name, text) for name, text in texts.items())

    def announced(self, section: Section) -> Catalogue | Refusal:
        """This catalogue with a schema that the exchange has announced. Refusal: INCOMPATIBLE_SCHEMA where it cannot be in use
        beside what is known already."""
        refusal = self._incompatible(section)
        if refusal is not None:
            return refusal
        if section.schema_id in self._announced:
            return self
        made = self._copy()
        made._announced = self._announced | {section.schema_id}
        if section.schema_id in self._by_id:
            return made
        known = sorted((*self._by_id.values(), section), key=_place)
        made._by_id = {each.schema_id: each for each in known}
        key = section.family, section.section
        current = self._current.get(key)
        if current is None or (current.schema_id not in self._own and current.version < section.version):
            made._current = {**self._current, key: section}
            made._names = _names(made._current)
        view = made._current[key]
        renewed = {each.schema_id: compile_projection(each.schema, view.schema) for each in made.versions(*key) if each is not view}
        made._projections = {**self._projections, **renewed}
        return made

    def _copy(self) -> Catalogue:
        made = Catalogue(())
        for slot in Catalogue.__slots__:
            setattr(made, slot, getattr(self, slot))
        return made

    def _incompatible(self, section: Section) -> Refusal | None:
        twin = self._by_id.get(section.schema_id)
        if twin is not None:
            return None if twin.name == section.name else Refusal("INCOMPATIBLE_SCHEMA", f"it is {twin.name} under another name")
        for known in self.versions(section.family, section.section):
            if known.version == section.version:
                return Refusal("INCOMPATIBLE_SCHEMA", f"{section.name} is another schema already: a released version never changes")
            clash = _clash(*sorted((known, section), key=_place))
            if clash is not None:
                return clash
        return None

    def writing(self, versions: Mapping[tuple[str, str], int]) -> Catalogue:
        """This catalogue for a publisher that writes chosen versions: (family, section) to number. Raises UsageError where one is
        not this program's own."""
        made = self._copy()
        made._pinned = dict(self._pinned)
        for (family, section), version in versions.items():
            own = {each.version: each for each in self.versions(family, section) if each.schema_id in self._own}
            if version not in own:
                raise UsageError(
                    f"this program has no version {version} of {family}/{section}",
                    advice=f"choose of {', '.join(map(str, own)) or 'none'}; see `broker schema list`",
                )
            made._pinned[family, section] = own[version]
        return made

    def by_id(self, schema_id: bytes) -> Section | None:
        """The section whose schema has this content id."""
        return self._by_id.get(schema_id)

    def named(self, family: str, section: str, version: int) -> Section | None:
        """The section of this name and version."""
        current = self._current.get((family, section))
        if current is not None and current.version == version:
            return current
        return next((each for each in self.versions(family, section) if each.version == version), None)

    def current(self, family: str, section: str) -> Section | None:
        """The version that this program sees every record of a section as: its newest, or the newest announced if it has none."""
        return self._current.get((family, section))

    def written(self, family: str, section: str) -> Section | None:
        """The version that a publisher writes: the one chosen, or the newest of its own that the exchange has announced.

        Where the exchange has announced none, the newest: the relay then refuses it with UNKNOWN_SCHEMA.
        """
        pinned = self._pinned.get((family, section))
        current = self._current.get((family, section))
        if pinned is not None or current is None or not self._announced or current.schema_id in self._announced:
            return pinned or current
        usable = [each for each in self.versions(family, section) if each.schema_id in self._own & self._announced]
        return usable[-1] if usable else current

    def versions(self, family: str, section: str) -> tuple[Section, ...]:
        """All versions of a section, the oldest first."""
        return tuple(each for each in self._by_id.values() if (each.family, each.section) == (family, section))

    def read(self, section: Section, body: bytes, *, logical: bool = True) -> AvroRecord | Refusal:
        """Any bytes, read as strictly as the version they were written with asks, and seen as :meth:`current` has it; or
        BAD_STRUCTURE."""
        record = section.read(body, logical=logical)
        projection = self._projections.get(section.schema_id)
        return record if projection is None or isinstance(record, Refusal) else cast("AvroRecord", projection(record))

    def families(self) -> tuple[str, ...]:
        """Names of all families, sorted."""
        return tuple(sorted(self._names))

    def sections(self, family: str) -> tuple[str, ...]:
        """Names of a family's sections, sorted."""
        return self._names.get(family, ())

    def __iter__(self) -> Iterator[Section]:
        """Every version of every section, by family, section and version."""
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)


def _names(current: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Sections by family, sorted: every message is held against those of its family."""
    found: dict[str, list[str]] = {}
    for family, section in sorted(current):
        found.setdefault(family, []).append(section)
    return {family: tuple(sections) for family, sections in found.items()}


def _clash(older: Section, newer: Section) -> Refusal | None:
    """Why two versions cannot be in use side by side."""
    finding = _rejected(older.text, newer.text, newer.family)
    if finding is None:
        return None
    reason = f"{older.name} and {newer.name} cannot be in use together: {finding.code}: {finding.reason}"
    return Refusal("INCOMPATIBLE_SCHEMA", reason, within(newer.section, finding.path))


@lru_cache(maxsize=256)
def _rejected(older: str, newer: str, family: str) -> Finding | None:
    """What rejects a pair of texts; the same few pairs are asked about by every catalogue of a process."""
    found = compare(read_text(older), read_text(newer), family=family)
    return next((finding for finding in found if finding.severity == "REJECT"), None)


def _place(section: Section) -> tuple[str, str, int]:
    return section.family, section.section, section.version
