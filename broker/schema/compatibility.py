"""Whether two versions of a section can be in use side by side. Agencies upgrade at different times, so both ways must hold.

*Backward*: who has the new version reads what was written with the old one. *Forward*: who has the old one reads what is written
with the new one. :func:`compare` asks both of one pair; a version is released only if it passes against **every** released version
of its section, not the last one alone: records of years ago are still read, and a name that was given up must not come back with
another meaning. The rules are those of Avro's schema resolution (Avro 1.12), of which our subset leaves few, and our own:

- a type never changes, not even where Avro promotes it: int to long cannot be read forward, string to bytes depends on the data;
- nor do a decimal's scale, precision and size or a logical type: Avro lets 10.00 be read as 1.000, milliseconds as microseconds;
- nor do units and code standards, as the words of a field's ``doc`` name them (:mod:`broker.schema.expansion`): Avro cannot see
  them at all;
- nor the default of a time, amount, unit or currency; nor may such a field be dropped or renamed: who has the other version
  would read the default, and "no end" is not the same as "not told";
- a namespace stays that of the first version: Java's resolver compares full names of enums and fixed types;
- symbols stay, and keep their places, which some code lists count by; new ones come last and need a default in the old version;
- a mark of ``nominal`` stays, and a section that had no personal field gets none: policy has released it as such;
- the header has no second version: a content type names it on the wire, not an id. A slip and a receipt may get one, which is written
  under a content type of its own: a WARN, since a program has to know that type.

A ``doc`` may change otherwise. Both schemas have passed the lint. A finding of severity REJECT means: not side by side.
"""

from __future__ import annotations

from typing import Final, cast

from broker.errors import Finding
from broker.schema.avsc import JsonValue, is_list, is_object, within
from broker.schema.expansion import NAMED, ExpandedField, Json, expanded, fields, objects, unit_words
from broker.schema.lint import OPEN_TO_ALL

CHANGES: Final[dict[str, tuple[str, str]]] = {
    "CHANGE_TYPE": ("REJECT", "keep the type, and add a field of another name for the new one"),
    "CHANGE_LOGICAL_TYPE": ("REJECT", "keep size, precision, scale and logical type: the same bytes would mean another value"),
    "CHANGE_UNION": ("REJECT", "what may be absent stays so, and null stays first: add a field of another name"),
    "CHANGE_UNIT": ("REJECT", "keep unit and code standard, and add a field of another name for the other unit"),
    "CHANGE_DEFAULT": ("REJECT", "keep the default: who leaves the field out, or cannot see it, says something else by it"),
    "CHANGE_MANDATORY": ("REJECT", "give the field a default: older messages do not have it"),
    "CHANGE_REMOVED": ("REJECT", "keep the field; its doc may say that it is no longer used"),
    "CHANGE_NAME": ("REJECT", "keep names; a field's old name may become its alias, and is never used for another one"),
    "CHANGE_NAMESPACE": ("REJECT", "keep the namespace of the first version"),
    "CHANGE_SYMBOLS": ("REJECT", "keep all symbols in their places; append new ones, if the enum has had a default"),
    "CHANGE_NOMINAL": ("REJECT", "keep the mark; a new personal field belongs into a section that has some"),
    "CHANGE_FRAME": ("REJECT", "the header stays; a new slip or receipt is written under a content type of its own"),
    "CHANGE_RELEASED": ("REJECT", "restore the released file, and put the change into a new version"),
    "CHANGE_UNLISTED": ("REJECT", "list the file: `python -m docs.generate`, or `broker schema release` once it is final"),
    "CHANGE_ADDED": ("INFO", "agencies that know the old version do not see the field"),
    "CHANGE_DOC": ("INFO", "only the words changed: see that the meaning did not"),
}
"""Code of a change: its gravest severity, and what to do instead. A milder case of the same code is a WARN."""

IN_VERSIONS: Final = frozenset({"receipt", "slip"})
"""Of what a content type names, that which programs know in several versions (:data:`broker.envelope.receipt.CONTENT_TYPES`)."""


def compare(old: JsonValue, new: JsonValue, *, family: str = "") -> list[Finding]:
    """Everything that changed from an older to a newer version of a section's schema, both ways; paths as ``items[].unit``."""
    comparison = _Comparison()
    if family in OPEN_TO_ALL:
        several = family in IN_VERSIONS
        reason = "programs read it only under a content type that they know" if several else f"there is one version of {family} for all"
        comparison.found("CHANGE_FRAME", "", reason, mild=several)
    before, after = expanded(old), expanded(new)
    comparison.personal = any(field.schema.get("nominal") is True for field in fields(before))
    comparison.node(before, after, "")
    return comparison.findings


def compatible(old: JsonValue, new: JsonValue, *, family: str = "") -> bool:
    """Whether two versions can be in use side by side."""
    return all(finding.severity != "REJECT" for finding in compare(old, new, family=family))


def _kind(schema: JsonValue) -> str:
    """The Avro type in one word: ``[null, int]`` for a union of these."""
    if is_list(schema):
        return f"[{', '.join(_kind(branch) for branch in schema)}]"
    return str(schema.get("type")) if is_object(schema) else str(schema)


def _bare(schema: JsonValue) -> JsonValue:
    """The type inside unions and arrays."""
    while True:
        if is_list(schema):
            schema = next((branch for branch in schema if branch != "null"), "null")
        elif is_object(schema) and schema.get("type") == "array":
            schema = schema.get("items")
        else:
            return schema


def _measures(field: Json) -> bool:
    """Whether a field is a time, an amount, or the unit or currency of one: whoever reads its default instead is misled."""
    bare, name = _bare(field["type"]), str(field["name"])
    return (is_object(bare) and "logicalType" in bare) or name.rpartition("_")[2] in ("unit", "currency")


def _shown(value: JsonValue) -> str:
    return "null" if value is None else str(value)[:40]


class _Comparison:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.personal = False

    def found(self, code: str, path: str, reason: str, *, mild: bool = False) -> None:
        severity = "WARN" if mild else CHANGES[code][0]
        self.findings.append(Finding(severity, code, path, reason))

    def node(self, old: JsonValue, new: JsonValue, path: str) -> None:
        """Two expanded types."""
        if is_list(old) or is_list(new):
            self._union(old, new, path)
        elif _kind(old) != _kind(new):
            self.found("CHANGE_TYPE", path, f"{_kind(old)} became {_kind(new)}")
        elif is_object(old) or is_object(new):
            self._object(old if is_object(old) else {}, new if is_object(new) else {}, path)

    def _union(self, old: JsonValue, new: JsonValue, path: str) -> None:
        if not is_list(old):
            self.found("CHANGE_UNION", path, "who has the old version cannot read that the value is absent")
        elif not is_list(new):
            self.found("CHANGE_MANDATORY", path, "the value may no longer be absent, and older messages lack it")
        elif len(old) != len(new):
            self.found("CHANGE_UNION", path, f"{_kind(old)} became {_kind(new)}")
        elif [_kind(branch) for branch in old] != [_kind(branch) for branch in new]:
            same = sorted(map(_kind, old)) == sorted(map(_kind, new))
            self.found("CHANGE_UNION" if same else "CHANGE_TYPE", path, f"{_kind(old)} became {_kind(new)}")
        else:
            for left, right in zip(old, new, strict=True):
                self.node(left, right, path)

    def _object(self, old: Json, new: Json, path: str) -> None:
        for key in ("logicalType", "precision", "scale", "size"):
            before, after = (schema.get(key, 0 if key == "scale" else None) for schema in (old, new))
            if before != after:
                self.found("CHANGE_LOGICAL_TYPE", path, f"{key} {_shown(before)} became {_shown(after)}")
        kind = old.get("type")
        if kind == "array":
            self.node(old.get("items"), new.get("items"), f"{path}[]")
        elif kind in NAMED:
            self._names(old, new, path)
        if kind == "enum":
            self._enum(old, new, path)
        elif kind == "record":
            self._record(old, new, path)

    def _names(self, old: Json, new: Json, path: str) -> None:
        (space, _, name), (new_space, _, new_name) = str(old["name"]).rpartition("."), str(new["name"]).rpartition(".")
        if name != new_name:
            self.found("CHANGE_NAME", path, f"the type {name} became {new_name}: who has the old version looks for the old name")
        if space != new_space:
            self.found("CHANGE_NAMESPACE", path, f"{space or 'none'} became {new_space or 'none'}")
        if old.get("doc") != new.get("doc") and old.get("type") != "fixed":
            self.found("CHANGE_DOC", path, f"the doc of {new_name} changed")

    def _enum(self, old: Json, new: Json, path: str) -> None:
        before, after = cast("list[str]", old["symbols"]), cast("list[str]", new["symbols"])
        gone, added = [symbol for symbol in before if symbol not in after], [symbol for symbol in after if symbol not in before]
        if gone:
            self.found("CHANGE_SYMBOLS", path, f"{', '.join(gone)} went, and stands in older messages")
        elif after[: len(before)] != before:
            self.found("CHANGE_SYMBOLS", path, "the symbols have other places")
        if added and "default" not in old:
            reason = f"{', '.join(added)} came, and the old version has no default for who does not know it"
            self.found("CHANGE_SYMBOLS", path, reason)
        if "default" in old and old["default"] != new.get("default"):
            self.found("CHANGE_DEFAULT", path, f"unknown symbols were {_shown(old['default'])}, now {_shown(new.get('default'))}")

    def _record(self, old: Json, new: Json, path: str) -> None:
        before = {str(field["name"]): field for field in objects(old["fields"])}
        after = {str(field["name"]): field for field in objects(new["fields"])}
        retired = {alias for field in before.values() for alias in _aliases(field)}
        seen: dict[str, str] = {}
        for name, field in after.items():
            inner = within(path, name)
            for alias in _aliases(field):
                if alias in after or seen.setdefault(alias, name) != name:
                    self.found("CHANGE_NAME", inner, f"the alias {alias} is the name of another field")
            earlier = before.get(name)
            if earlier is None and name in retired:
                self.found("CHANGE_NAME", inner, f"{name} is an alias in the old version: it stood for another field")
            source = earlier or next((before[alias] for alias in _aliases(field) if alias in before and alias not in after), None)
            if source is None:
                self._added(field, inner)
            else:
                before.pop(str(source["name"]), None)
                self._field(source, field, inner)
        for name, field in before.items():
            self._gone(field, within(path, name), "went")

    def _added(self, field: Json, path: str) -> None:
        if "default" not in field:
            self.found("CHANGE_MANDATORY", path, "the field is new and has no default")
        else:
            self.found("CHANGE_ADDED", path, "the field is new")
        for each in (ExpandedField(path, field, single=True), *fields(field["type"], path)):
            if each.schema.get("nominal") is True and not self.personal:
                self.found("CHANGE_NOMINAL", each.path, "the section had no personal field, and policy discloses it as such")

    def _gone(self, field: Json, path: str, how: str) -> None:
        """A field that who has the old version no longer finds."""
        code = "CHANGE_REMOVED" if how == "went" else "CHANGE_NAME"
        if "default" not in field:
            self.found(code, path, f"the field {how}, and who has the old version needs it")
        elif _measures(field):
            self.found(code, path, f"the field {how}: who has the old version would read {_shown(field['default'])} for what was said")
        else:
            self.found(code, path, f"the field {how}: who has the old version reads {_shown(field['default'])} instead", mild=True)

    def _field(self, old: Json, new: Json, path: str) -> None:
        if old["name"] != new["name"]:
            self._gone(old, path, f"was {old['name']} before")
        measures = _measures(old) or _measures(new)
        if "default" in old and "default" not in new:
            self.found("CHANGE_MANDATORY", path, f"the default {_shown(old['default'])} went")
        elif old.get("default") != new.get("default") or ("default" in old) != ("default" in new):
            told = _shown(old["default"]) if "default" in old else "none"
            self.found("CHANGE_DEFAULT", path, f"the default was {told} and is {_shown(new['default'])}", mild=not measures)
        self._marks(old, new, path)
        said, says = unit_words(old), unit_words(new)
        if said != says:
            words = f"the doc said {', '.join(said) or 'no unit'} and says {', '.join(says) or 'none'}"
            self.found("CHANGE_UNIT", path, words, mild=not said)
        elif old.get("doc") != new.get("doc"):
            self.found("CHANGE_DOC", path, "the doc changed")
        self.node(old["type"], new["type"], path)

    def _marks(self, old: Json, new: Json, path: str) -> None:
        was, is_ = old.get("nominal") is True, new.get("nominal") is True
        if was and not is_:
            self.found("CHANGE_NOMINAL", path, "the field is no longer marked as personal")
        elif is_ and not was:
            reason = "the field was not marked as personal: what was sent is held as if it were not"
            self.found("CHANGE_NOMINAL", path, reason, mild=self.personal)


def _aliases(field: Json) -> list[str]:
    return cast("list[str]", field.get("aliases", []))
