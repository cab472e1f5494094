"""The data dictionary page: every field of every schema with the rule that judges it and the test that proves it.

Rules and tests are not written down here. They are found by running the tables of cases that the tests run: a case that is refused, or
remarked on, at a field's path shows the field's rule, in the words of the refusal itself. A field without such a case is judged by its
type alone, which one test feeds with wrong and missing values for every field there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from broker.errors import Refusal
from broker.families.catalogue import FAMILIES, check
from broker.families.labels import check_labels
from broker.families.message import Message
from broker.schema.avsc import Array, DecimalFixed, Enum, Field, Fixed, Node, Nullable, Record, Scalar
from broker.schema.catalogue import Catalogue, Section
from broker.schema.json_form import WRITTEN
from broker.values import Evaluation
from tests.unit.families import test_coded
from tests.unit.families.cases import FOUND, MARKED, REFUSED, TIMED, identity
from tests.unit.families.samples import GOOD, ISSUED_MS, changed, good_alert
from tests.unit.families.test_labels import BAD
from tests.unit.schemas.fields import places_of

FILES: Final = {
    "test_rules": "tests/unit/families/test_rules.py",
    "test_coded": "tests/unit/families/test_coded.py",
    "test_labels": "tests/unit/families/test_labels.py",
    "test_fields": "tests/unit/schemas/test_fields.py",
}
"""Where the tests that the page names are."""

SHOWN: Final = 4
"""Most rules told of one field."""

_WORDS: Final = {
    "boolean": "true or false", "int": "whole number", "long": "whole number", "string": "text", "bytes": "bytes", "timestamp": "time",
    "date": "date",
}  # fmt: skip
_AROUND: Final = ("header", "audience", "slip", "receipt")


class Ruling(NamedTuple):
    """One rule that a case has shown: its code, its words, the test, and whether it asked for a value that was not there."""

    code: str
    reason: str
    test: str
    asks: bool


Rulings = dict[tuple[str, str, str], list[Ruling]]
"""Family, section and field (``items[].hs_code``; empty for the section as a whole) to rules."""


def _place(family: str, path: str) -> tuple[str, str, str]:
    """Where a path of a refusal or finding leads."""
    if path in ("subject", "revision"):
        return "header", "header", path
    first, _, rest = path.partition(".")
    field = re.sub(r"\[[0-9]+\]", "[]", rest).removesuffix("[]")
    if first == "header" and field.startswith("audience"):
        return "audience", "audience", field.removeprefix("audience").removeprefix(".")
    return ("header", "header", field) if first == "header" else (family, first, field)


def _absent(message: Message, path: str) -> bool:
    """Whether nothing is at the path of a message's sections."""
    place: Any = message.sections
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            place = place[int(step)] if step.isdigit() else place[step]
        except (KeyError, IndexError, TypeError):
            return True
    return place is None or place in ("", [])


def rulings() -> Rulings:
    """Every rule that the tables of cases show."""
    found: Rulings = {}

    def add(family: str, path: str, ruling: Ruling) -> None:
        known = found.setdefault(_place(family, path), [])
        if all((each.code, each.reason) != (ruling.code, ruling.reason) for each in known):
            known.append(ruling)

    def refused(verdict: Any, family: str, test: str, message: Message) -> None:
        if isinstance(verdict, Refusal):
            add(family, verdict.path, Ruling(verdict.code, verdict.reason, test, _absent(message, verdict.path)))

    def graded(family: str) -> Message:
        return replace(GOOD[family](), evaluation=Evaluation("A", "I2"))

    for number, case in enumerate(REFUSED):
        message = changed(graded(case[0]), case[1])
        refused(check(message), case[0], f"test_rules::test_a_broken_rule_is_refused_at_its_field[{identity(number, case)}]", message)
    for number, case in enumerate(TIMED):
        message, test = changed(graded(case[0]), case[1]), "test_rules::test_an_impossible_time_is_refused_at_its_field"
        refused(check(message, issued_ms=ISSUED_MS[case[0]]), case[0], f"{test}[{identity(number, case)}]", message)
    for number, (message, _, path) in enumerate(MARKED):
        test = f"test_rules::test_sections_and_header_agree[{message.family}-{path}-{number}]"
        refused(check(message), message.family, test, message)
    for number, case in enumerate(FOUND):
        verdict = check(changed(graded(case[0]), case[1]))
        for finding in verdict if not isinstance(verdict, Refusal) else ():
            test = f"test_rules::test_what_lessens_a_message_is_a_finding[{identity(number, case)}]"
            add(case[0], finding.path, Ruling(finding.code, f"{finding.severity}, {finding.reason}", test, asks=False))
    for number, (family, changes, code, path, _) in enumerate(test_coded.FOUND):
        verdict = check(changed(graded(family), changes), test_coded.LISTS)
        for finding in verdict if not isinstance(verdict, Refusal) else ():
            test = f"test_coded::test_one_wrong_code_is_one_finding[{number}-{code}-{path}]"
            add(family, finding.path, Ruling(finding.code, f"{finding.severity}, {finding.reason}", test, asks=False))
    for number, (labels, path) in enumerate(BAD):
        message = replace(good_alert(), **labels)
        refused(check_labels(message), "alert", f"test_labels::test_a_broken_rule_is_refused_at_its_label[{path}-{number}]", message)
    return found


def _kind(node: Node) -> str:
    match node:
        case Scalar(kind):
            return _WORDS[kind]
        case Fixed(size):
            return "UUID" if size == 16 else f"{size} bytes"
        case DecimalFixed():
            return "decimal"
        case Enum(symbols):
            return f"enum of {', '.join(WRITTEN.get(symbol, symbol) for symbol in symbols)}"
        case Nullable(inner):
            return _kind(inner)
        case Array(items):
            return f"list of {_kind(items)}"
        case Record():
            return "object"


def _must(field: Field, known: list[Ruling]) -> str:
    if not field.has_default and not isinstance(field.node, Nullable):
        return "mandatory"
    return "conditional" if any(ruling.asks for ruling in known) else "optional"


def _cells(known: list[Ruling], otherwise: tuple[str, str]) -> tuple[str, str]:
    """The cells of rule and test."""
    if not known:
        return otherwise
    rules = [f"`{each.code}` {each.reason}" for each in known[:SHOWN]]
    if len(known) > SHOWN:
        rules.append(f"{len(known) - SHOWN} more of the kind")
    return "; ".join(rules).replace("|", "/").replace("\n", " "), " ".join(f"`{each.test}`" for each in known[:SHOWN])


def _rows(section: Section, found: Rulings) -> Iterator[str]:
    for place in places_of(section):
        known = found.get((section.family, section.section, place.path), [])
        kind = _kind(place.field.node)
        by_type = f"`test_fields::test_a_wrong_type_is_refused_at_its_field[{place.name}]`"
        rule, test = _cells(known, (f"type alone: {kind.partition(' of ')[0] if kind.startswith('enum') else kind}", by_type))
        cells = (
            section.family, section.section, f"`{place.path}`", kind, _must(place.field, known),
            "nominal" if place.field.nominal else "no", rule, test,
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _section_rows(catalogue: Catalogue, found: Rulings) -> Iterator[str]:
    for family in FAMILIES.values():
        for name in family.types:
            section = catalogue.current(family.name, name)
            needed = name in family.mandatory
            nominal = "has nominal fields" if section is not None and section.nominal else "no"
            known = list(found.get((family.name, name, ""), []))
            if needed:
                test = f"test_rules::test_a_section_that_every_message_has_may_not_be_missing[{family.name}-{name}]"
                known.insert(0, Ruling("MISSING_SECTION", "every message has it", test, asks=True))
            rule, test = _cells(known, ("may be left out", f"`test_rules::test_other_sections_may_be_left_out[{family.name}]`"))
            yield f"| {family.name} | {name} | {'mandatory' if needed else 'as needed'} | {nominal} | {rule} | {test} |"


def dictionary_page(catalogue: Catalogue) -> str:
    """The page: sections first, then all fields, those of the header and of the exchange's own records last."""
    found = rulings()
    lines = [
        "# Data dictionary\n",
        "Every field, what judges it, and the test that proves it.",
        "[messages.md](messages.md) has the meanings, [codes.md](codes.md) the codes.\n",
        "- *must*: *mandatory* fields have to be there; *conditional* ones where a rule asks for them; *optional* ones take null, an empty",
        "  list or false.",
        "- *rule*: the code of the refusal or finding and what it says. Besides, the type judges every field: another type, an impossible",
        "  time, an unknown word of an enum, control and direction signs in a text and, for a mandatory field, nothing at all are refused",
        "  with `BAD_FIELD` and the field's path, which is tested for each field by `test_fields`, named where there is no other rule.",
        f"- *test*: {', '.join(f'`{name}` is `{path}`' for name, path in FILES.items())}.\n",
        "## Sections\n",
        "| family | section | must | nominal | rule | test |\n| --- | --- | --- | --- | --- | --- |",
        *_section_rows(catalogue, found),
        "\n## Fields\n",
        "| family | section | field | type | must | nominal | rule | test |\n| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    names = [(family.name, section) for family in FAMILIES.values() for section in family.types]
    for name in [*names, *((each, each) for each in _AROUND)]:
        section = catalogue.current(*name)
        if section is not None:
            lines += _rows(section, found)
    return "\n".join(lines) + "\n"
