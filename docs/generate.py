"""Write the pages of docs/ that follow from the code: ``python -m docs.generate`` from the root of the repository.

``messages.md`` comes from the schemas and the families, ``codes.md`` from the refusals and findings, ``identifiers.md`` from the kinds of
identifiers, the coded fields and the code lists, ``dictionary.md`` from the schemas and from the cases that the tests run,
``lifecycles.md`` from the transition tables and the clocks, ``policy-scenarios.md`` from the scenarios of the policies that ship,
``asyncapi.json`` from the topology, the families and the schemas. A test fails while a page is not what this program would write. New
schemas are listed as drafts in ``schemas/released.json`` on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from broker.errors import REFUSALS, STEPS
from broker.families.catalogue import FAMILIES
from broker.families.clocks.duty import KINDS as DUTIES
from broker.families.coded import FIELDS, OBSERVED
from broker.families.codelists import BUILT_IN, LIST_FILES
from broker.families.identifiers.kinds import KINDS, NONE
from broker.families.rules import FINDINGS
from broker.register.crossing import FLAGS
from broker.schema.avsc import is_list, is_object, read_text
from broker.schema.catalogue import Catalogue, Section
from broker.schema.compatibility import CHANGES
from broker.schema.json_form import WRITTEN
from broker.schema.release import list_text, listed
from broker.storage.schemas import RELEASED, load_catalogue, load_sections, read_released
from docs.asyncapi import asyncapi_page
from docs.dictionary import dictionary_page
from docs.lifecycles import lifecycles_page
from docs.scenarios import scenarios_page

HERE: Final = Path(__file__).parent
_NOTE: Final = "<!-- Written by `python -m docs.generate`. Do not edit. -->\n"
_WORDS: Final = {"string": "text", "int": "whole number", "long": "whole number", "boolean": "true or false", "bytes": "bytes, hex"}
_LOGICAL: Final = {"timestamp-millis": "time", "date": "date"}
_EXCHANGE: Final = ("header", "slip", "receipt")


class Row(NamedTuple):
    """A field in the table of its section."""

    path: str
    kind: str
    needed: bool
    doc: str


def _definitions(schema: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Every named type in a schema, by its short name: a later field may refer to it."""
    if is_list(schema):
        for branch in schema:
            _definitions(branch, found)
    elif is_object(schema):
        if schema["type"] in ("record", "enum", "fixed"):
            found[str(schema["name"])] = schema
        fields: Any = schema.get("fields", [])
        for inner in (schema.get("type"), schema.get("items"), *(field["type"] for field in fields)):
            _definitions(inner, found)
    return found


def _kind(schema: Any) -> str:
    """A type in the words of the JSON form."""
    if isinstance(schema, str):
        return _WORDS[schema]
    match schema["type"], schema.get("logicalType"):
        case "fixed", "decimal":
            return "decimal"
        case "fixed", None:
            return "UUID" if schema["size"] == 16 else f"{schema['size']} bytes, hex"
        case "enum", None:
            return "one of " + ", ".join(f"`{WRITTEN.get(symbol, symbol)}`" for symbol in schema["symbols"])
        case "record", None:
            return "object"
        case str(kind), None:
            return _WORDS[kind]
        case _, logical:
            return _LOGICAL[logical]


def _rows(schema: Any, known: dict[str, Any], prefix: str = "") -> Iterator[Row]:
    for field in schema["fields"]:
        given: Any = field["type"]
        kind: Any = _named(given[1] if is_list(given) else given, known)
        path, words = prefix + field["name"], ""
        if is_object(kind) and kind["type"] == "array":
            path, words, kind = path + "[]", "list of ", _named(kind["items"], known)
        is_record = is_object(kind) and kind["type"] == "record"
        yield Row(path, "list of objects" if words and is_record else words + _kind(kind), "default" not in field, field["doc"])
        if is_record:
            yield from _rows(kind, known, path + ".")


def _named(kind: Any, known: dict[str, Any]) -> Any:
    """The definition that a short name stands for; anything else as it is."""
    return known.get(kind, kind) if isinstance(kind, str) else kind


def _table(section: Section) -> Iterator[str]:
    schema: Any = read_text(section.text)
    yield f"{schema['doc']} Schema id `{section.schema_id.hex()[:16]}…`, version {section.version}.\n"
    yield "| field | is | must | meaning |\n| --- | --- | --- | --- |"
    for row in _rows(schema, _definitions(schema, {})):
        personal = " *Personal.*" if row.path in section.nominal else ""
        yield f"| `{row.path}` | {row.kind} | {'yes' if row.needed else ''} | {row.doc.replace('|', '/')}{personal} |"
    yield ""


def messages_page(catalogue: Catalogue) -> str:
    """The families, their sections and fields."""
    lines = [
        _NOTE,
        "# Families, sections and fields\n",
        "A message belongs to a family and consists of sections; policy discloses each section by itself. This page describes their JSON",
        "form, which `broker publish` reads and `broker subscribe --json` prints; the Avro schemas are in `schemas/`.\n",
        '- A time is ISO 8601 with zone (`2026-12-20T00:00:00Z`), a date `2026-12-20`, a decimal text (`"4200.5"`), bytes hexadecimal.',
        "- *must*: the field has to be there. Every other field may be left out: it is then null, an empty list, or false.",
        "- *Personal*: the field can name or describe a natural person. No `core` has such a field.",
        "- `a[].b` is the field `b` of each object in the list `a`. Further conditions between fields are checked at publishing; a message",
        "  that breaks one is refused with the path of the field, see [codes.md](codes.md).\n",
    ]
    for family in FAMILIES.values():
        optional = [name for name in family.sections if name not in family.mandatory]
        must = " and ".join(f"`{name}`" for name in family.mandatory)
        lines.append(f"## {family.name}\n\nAlways {must}; as needed {', '.join(f'`{name}`' for name in optional)}.\n")
        for name in family.sections:
            section = catalogue.current(family.name, name)
            if section is not None:
                lines += [f"### {family.name}: {name}\n", *_table(section)]
    section = catalogue.current("audience", "audience")
    if section is not None:
        lines += ["## audience, in every family\n", "Given in the header of the JSON form. Only the originator and the exchange see it.\n"]
        lines += _table(section)
    lines.append("## What the exchange adds\n\nThe signed header, the slip on a delivery, and the receipt are Avro too.\n")
    for name in _EXCHANGE:
        section = catalogue.current(name, name)
        if section is not None:
            lines += [f"### {name}\n", *_table(section)]
    return "\n".join(lines).rstrip("\n") + "\n"


def codes_page() -> str:
    """Every refusal by admission step, and every finding of the families."""
    lines = [
        _NOTE,
        "# Refusals and findings\n",
        "A **refusal** is an answer with a stable code. The publisher refuses before anything is sent where it can; the exchange refuses",
        "at a numbered step of admission, keeps the bytes in quarantine and sends a signed receipt with code, reason, path and advice.\n",
        "| step | code | what to do |\n| --- | --- | --- |",
    ]
    for code, (step, advice) in REFUSALS.items():
        lines.append(f"| {step} {STEPS[step]} | `{code}` | {advice} |")
    lines += [
        "\nA **finding** is a remark on a message that was accepted: it is delivered, and its receipt says what it lacks. Besides these,",
        "the exchange notes `LATE`, `EXPIRED` and `REVISION_GAP`, `DELIVERED_LATER` in a receipt that names recipients besides those",
        "of the first one, with `EMERGENCY_OPENING` where officers opened it, and `DISCLOSED_LESS` in one that names recipients from whom",
        "the rules of now take something, `BOUND_ANEW` where consent is for other purposes by now. A consent to what the exchange does",
        "not know is noted as",
        "`NOTHING_CONSENTED`. A dry run notes `MEMBERS_NOT_SHOWN` where an audience names a community that may be a confidential",
        "operation. By what identifiers and codes are judged: see",
        "[identifiers.md](identifiers.md).\n",
        "| code | severity | meaning |\n| --- | --- | --- |",
    ]
    lines += [f"| `{code}` | {severity} | {reason} |" for code, (severity, reason) in FINDINGS.items()]
    lines += [
        "\n`broker schema check` compares versions of a **schema**. REJECT: the two cannot be in use side by side, and the registrar does",
        "not announce the new one; a milder case of the same code is a WARN.\n",
        "| code | severity | what to do |\n| --- | --- | --- |",
    ]
    lines += [f"| `{code}` | {severity} | {advice} |" for code, (severity, advice) in CHANGES.items()]
    lines += [
        "\n## Flags\n",
        "A **flag** stands in an agency's register while its cause does: what follows from several messages together.\n",
        "| code | meaning |\n| --- | --- |",
    ]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in FLAGS.items()]
    lines += [
        "\n## Duties\n",
        "A **duty** is open in an agency's register until it is met: who owes whom what, by when.\n",
        "| kind | meaning |\n| --- | --- |",
    ]
    lines += [f"| `{kind}` | {meaning} |" for kind, meaning in DUTIES.items()]
    return "\n".join(lines) + "\n"


def released_list(folder: Path | None = None) -> str:
    """``schemas/released.json`` with what is new listed as a draft."""
    return list_text(listed(load_sections(folder), read_released(folder)))


def _code(text: str) -> str:
    """A value as code in a table."""
    return f"`{text}`" if text else "(empty)"


def identifiers_page() -> str:
    """Kinds of identifiers with examples and what is said of them, the fields that hold them, and the files of code lists."""
    lines = [
        _NOTE,
        "# Identifiers, codes and code lists\n",
        "Every identifier in a message is judged by the form of its scheme and its check digit, every code by the code lists that the",
        "operator or the agency has installed. A wrong one is a **finding** on the message, and nothing is repaired: the finding names",
        "the right check digit or the normal form, and the sender decides. Only a country or free zone that policy decides by is refused",
        "where its form is wrong. The findings are listed in [codes.md](codes.md).\n",
        "## Kinds\n",
        "| kind | scheme | valid | not valid | said of the first invalid one |\n| --- | --- | --- | --- | --- |",
    ]
    for name, kind in KINDS.items():
        valid, invalid = (", ".join(map(_code, examples)) for examples in (kind.valid, kind.invalid))
        lines.append(f"| {name} | {kind.scheme} | {valid} | {invalid} | {kind.judge(kind.invalid[0]).reason} |")
    lines += [
        "\n## What check digits find\n",
        "A check digit finds most slips, and not all. Where a scheme misses some, a number that passes may still be another one.\n",
        "| kind | one wrong character | two neighbours changed about |\n| --- | --- | --- |",
    ]
    lines += [f"| {name} | {kind.single} | {kind.swaps} |" for name, kind in KINDS.items() if kind.single != NONE]
    lines += [
        "\n## Fields\n",
        "Fields are known by their names, in every family. *Or longer*: also a field whose longer name ends so, such as",
        f"`penalty_currency`. What lies in {', '.join(f'`{name}`' for name in sorted(OBSERVED))} was read off the goods: findings say",
        "that it stays as found.\n",
        "| field | in | holds | or longer |\n| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{each.name}` | {_code(each.within) if each.within else 'any'} | {each.kind} | {'yes' if each.prefixed else ''} |"
        for each in FIELDS
    ]
    lines += [
        "\n## Code lists\n",
        "`--codelists DIR`, or `BROKER_CODELISTS`, names a folder with any of these files, directly or in a folder below it. They are CSV",
        "with a heading line, in UTF-8. A list that is not installed is told once a run as `NO_LIST`; its codes are then judged by form",
        "only. When a file changes it is read again within seconds, without a restart; one that cannot be read leaves the last list in",
        "use and is told as `BROKEN_LIST`. With no folder named, nothing is told, and form and check digits are judged.",
        'The edition of a list is the date of its file, or what `codelists.json` beside it says: `{"unlocode.csv": "2024-10-14"}`.\n',
        "| file | lists |\n| --- | --- |",
    ]
    lines += [
        f"| `{file}` | {what}{'; an edition comes with the program' if file in BUILT_IN else ''} |" for file, what in LIST_FILES.items()
    ]
    lines.append("| `hs2017.csv`, `hs2028.csv` | other editions of the Harmonized System, in the shape of `hs2022.csv` |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name to text of every page written here."""
    catalogue = load_catalogue()
    return {
        "messages.md": messages_page(catalogue),
        "codes.md": codes_page(),
        "identifiers.md": identifiers_page(),
        "dictionary.md": f"{_NOTE}\n{dictionary_page(catalogue)}",
        "lifecycles.md": lifecycles_page(),
        "policy-scenarios.md": scenarios_page(_NOTE),
        "asyncapi.json": asyncapi_page(catalogue, load_sections(), read_released()),
    }


if __name__ == "__main__":
    for file, text in pages().items():
        (HERE / file).write_text(text, encoding="utf-8")
    (HERE.parent / "schemas" / RELEASED).write_text(released_list(), encoding="utf-8")
