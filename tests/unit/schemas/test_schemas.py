"""The schema files keep the rules that admission, policy and readers rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import fastavro
import pytest

from broker.schema.catalogue import Catalogue
from broker.schema.lint import lint
from broker.schema.release import check_list, check_versions
from broker.storage.schemas import load_sections, read_released
from docs.generate import released_list

ROOT = Path(__file__).parents[3] / "schemas"
FILES = sorted(ROOT.glob("*/v*/*.avsc"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
MAY_BE_NOMINAL = {
    "parties", "grounds", "source", "method", "reason", "denial", "detail", "questions", "answers", "changes", "tenants", "identity",
    "images", "attachments", "chunk",
}  # fmt: skip


def where(name: str) -> tuple[str, str, str]:
    family, version, file = name.split("/")
    return family, file.removesuffix(".avsc"), version


def newest(family: str, section: str) -> str:
    """The file of a section's newest version."""
    return max((name for name in NAMES if where(name)[:2] == (family, section)), key=lambda name: int(where(name)[2][1:]))


def load(name: str) -> dict[str, Any]:
    return json.loads((ROOT / name).read_text("utf-8"))


def record_or_none(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def definitions(given: Any, outer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named type of a schema with its full name."""
    if isinstance(given, list):
        for branch in cast("list[Any]", given):
            yield from definitions(branch, outer)
    schema = record_or_none(given)
    if schema is not None:
        namespace: str = schema.get("namespace", outer)
        if schema.get("type") in ("record", "enum", "fixed"):
            yield f"{namespace}.{schema['name']}", schema
        for inner in (schema.get("type"), schema.get("items"), *(field["type"] for field in schema.get("fields", []))):
            yield from definitions(inner, namespace)


def leaves(name: str) -> dict[str, dict[str, Any]]:
    """Every field of a schema by its path: ``items[].found.hs_code``; references are followed."""
    schema = load(name)
    named = {full.rpartition(".")[2]: definition for full, definition in definitions(schema)}

    def inside(given: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        bare: Any = cast("list[Any]", given)[1] if isinstance(given, list) else given
        kind = named.get(bare) if isinstance(bare, str) else record_or_none(bare)
        if kind is not None and kind["type"] == "array":
            yield from inside(kind["items"], f"{path}[]")
        elif kind is not None and kind["type"] == "record":
            for field in kind["fields"]:
                inner = f"{path}.{field['name']}".lstrip(".")
                yield inner, field
                yield from inside(field["type"], inner)

    return dict(inside(schema, ""))


def test_the_set_is_complete() -> None:
    """The given set of files, so that a test over no file cannot pass."""
    assert len(FILES) == 76
    assert [name for name in NAMES if where(name)[2] != "v1"] == ["alert/v2/route.avsc", "receipt/v2/receipt.avsc", "slip/v2/slip.avsc"]


@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing(name: str) -> None:
    """The rules that keep hostile bytes harmless hold: no recursion, nothing of size zero, depth, unions, documented fields."""
    family, section, _ = where(name)
    assert lint(load(name), family=family, section=section) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_file_stands_alone(name: str) -> None:
    """The Avro library accepts each file by itself, under the namespace of its section's first version: names never move."""
    schema = load(name)
    fastavro.parse_schema(schema, {})
    assert schema["namespace"] == f"broker.{where(name)[0]}.v1"
    assert re.fullmatch(r"([A-Z][a-z0-9]*)+", schema["name"])


@pytest.mark.parametrize("name", NAMES)
def test_everything_says_what_it_means(name: str) -> None:
    """Every record, enum, fixed and field has a doc of some length that ends like a sentence."""
    documented = [definition for _, definition in definitions(load(name))] + list(leaves(name).values())
    for thing in documented:
        assert len(thing.get("doc", "")) >= 8, thing["name"]
        assert thing["doc"].endswith("."), thing["name"]


def test_one_name_means_one_thing_in_a_family() -> None:
    """A type that several sections of a family repeat is the same in all of them, in their first version and in their newest."""
    for names in ([name for name in NAMES if where(name)[2] == "v1"], [newest(*where(name)[:2]) for name in NAMES]):
        check_types_agree(sorted(set(names)))


def check_types_agree(names: list[str]) -> None:
    seen: dict[str, Any] = {}
    for name in names:
        for full, definition in definitions(load(name)):
            if full in seen and definition["type"] == "record":
                assert {field["name"] for field in definition["fields"]} == {field["name"] for field in seen[full]["fields"]}, full
            elif full in seen:
                assert definition == seen[full], full
            seen[full] = definition


@pytest.mark.parametrize("name", NAMES)
def test_nominal_fields_are_where_policy_can_hold_them_back(name: str) -> None:
    """Header, slip, receipt, audience and every core name no person; a nominal field is in a section made for it."""
    family, section, _ = where(name)
    nominal = [path for path, field in leaves(name).items() if field.get("nominal")]
    if family in ("header", "slip", "receipt", "audience") or section not in MAY_BE_NOMINAL:
        assert nominal == []
    else:
        assert nominal


@pytest.mark.parametrize("path", ["alert/v1/parties.avsc", "seizure/v1/parties.avsc", "licence/v1/parties.avsc"])
def test_what_identifies_a_person_is_marked(path: str) -> None:
    """Names, numbers, addresses and contacts of parties carry the mark, wherever they stand."""
    fields = leaves(path)
    personal = {"name", "id", "eori", "street", "city", "postcode", "region", "contact"}
    found = {full for full in fields if full.rpartition(".")[2] in personal}
    assert found
    assert {full for full in found if not fields[full].get("nominal")} == set()


def test_readme_lists_exactly_the_files() -> None:
    """The table of schemas/README.md has one row for each file, with the right word about nominal fields."""
    text = (ROOT / "README.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in text.splitlines() if line.startswith("| ")]
    listed = {(row[0], row[1], row[2]): row[4] for row in rows[2:]}
    expected = {where(name): "yes" if any(field.get("nominal") for field in leaves(name).values()) else "no" for name in NAMES}
    assert listed == expected
    assert len(rows) - 2 == len(listed)
    assert all(row[3] for row in rows)


def test_the_catalogue_takes_them() -> None:
    """The catalogue that admission uses loads all files and finds every one by its identity."""
    texts = {(*where(name)[:2], int(where(name)[2][1:])): (ROOT / name).read_text("utf-8") for name in NAMES}
    catalogue = Catalogue.from_texts(texts)
    for name in NAMES:
        family, section, _ = where(name)
        current = catalogue.current(family, section)
        assert current is not None
        assert f"{current.name}.avsc" == newest(family, section)
        assert catalogue.by_id(current.schema_id) is current


def test_released_files_are_what_was_released() -> None:
    """Every file is listed with its identity and its units, and none of them changed since; whoever adds or alters a draft lists it
    with ``python -m docs.generate``."""
    entries = read_released(ROOT)
    assert check_list(load_sections(ROOT), entries) == []
    assert (ROOT / "released.json").read_text("utf-8") == released_list(ROOT)
    assert {f"{name}.avsc" for name in entries} == set(NAMES)


def test_all_versions_can_be_in_use_side_by_side() -> None:
    """Each version of a section beside each later one: nothing that forbids it."""
    changes = check_versions(load_sections(ROOT))
    assert {(change.old, change.new) for change in changes} == {
        ("alert/v1/route", "alert/v2/route"), ("receipt/v1/receipt", "receipt/v2/receipt"), ("slip/v1/slip", "slip/v2/slip"),
    }  # fmt: skip
    assert [change for change in changes if change.finding.severity == "REJECT"] == []


# Domain dictionary 2.2 to 2.4: every mandatory (M) and conditional (C) field, and where it is. C, and what only some goods or
# licences have, is nullable or a list; the rest may not be absent.
M, C = "M", "C"
DICTIONARY: list[tuple[str, str, str]] = [
    ("alert/core", "alert_type", M),
    ("alert/core", "risk_category", M),
    ("alert/core", "indicators[].code", M),
    ("alert/core", "indicators[].text", C),
    ("alert/core", "requested_actions", M),
    ("alert/core", "decision_deadline", C),
    ("alert/core", "deadline_anchor", C),
    ("alert/core", "transport_mode", M),
    ("alert/core", "documents[].id", M),
    ("alert/core", "documents[].type", M),
    ("alert/core", "mrn", C),
    ("alert/core", "ucr", C),
    ("alert/core", "catch_all_basis", C),
    ("alert/core", "licence_refs[].licence_no", M),
    ("alert/core", "alert_links[].subject", M),
    ("alert/route", "conveyances[].imo", C),
    ("alert/route", "conveyances[].voyage", C),
    ("alert/route", "conveyances[].name", C),
    ("alert/route", "conveyances[].flag", C),
    ("alert/route", "conveyances[].flight", C),
    ("alert/route", "conveyances[].flight_date", C),
    ("alert/route", "conveyances[].wagon", C),
    ("alert/route", "conveyances[].plate", C),
    ("alert/route", "countries[].country", M),
    ("alert/route", "countries[].role", M),
    ("alert/route", "places[].role", M),
    ("alert/route", "places[].locode", C),
    ("alert/route", "places[].eta", C),
    ("alert/route", "places[].etd", C),
    ("alert/route", "free_zone_code", C),
    ("alert/equipment", "units[].id", M),
    ("alert/equipment", "units[].size_type", C),
    ("alert/equipment", "units[].fullness", C),
    ("alert/equipment", "units[].seals", M),
    ("alert/goods", "items[].hs_code", M),
    ("alert/goods", "items[].hs_edition", M),
    ("alert/goods", "items[].description", M),
    ("alert/goods", "items[].gross_mass_kg", C),
    ("alert/goods", "items[].package_count", C),
    ("alert/goods", "items[].package_type", C),
    ("alert/goods", "items[].marks", C),
    ("alert/goods", "items[].un_number", C),
    ("alert/goods", "items[].cus", C),
    ("alert/goods", "items[].control_codes[].scheme", M),
    ("alert/goods", "items[].control_codes[].code", M),
    ("alert/goods", "items[].control_codes[].edition", M),
    ("alert/value", "amount", M),
    ("alert/value", "currency", M),
    ("alert/value", "incoterm", C),
    ("alert/parties", "parties[].role", M),
    ("alert/parties", "parties[].name", M),
    ("alert/parties", "parties[].person_type", M),
    ("alert/parties", "parties[].lei", C),
    ("licence/core", "decision_type", M),
    ("licence/core", "authority", M),
    ("licence/core", "licence_no", M),
    ("licence/core", "licence_type", M),
    ("licence/core", "effective_at", M),
    ("licence/core", "published_at", M),
    ("licence/core", "expires_at", C),
    ("licence/core", "appeal_status", C),
    ("licence/core", "retroactive", M),
    ("licence/core", "destinations", M),
    ("licence/core", "transit_countries", M),
    ("licence/core", "shipments_in_transit_instruction", C),
    ("licence/core", "final_assessment", C),
    ("licence/items", "items[].control_codes[].code", M),
    ("licence/items", "items[].hs_codes", M),
    ("licence/items", "items[].quantity_granted", C),
    ("licence/items", "items[].quantity_remaining", C),
    ("licence/items", "items[].unit", C),
    ("licence/value", "total", M),
    ("licence/value", "lines[].amount", M),
    ("licence/parties", "exporter", C),
    ("licence/parties", "exporter.eori", C),
    ("licence/parties", "exporter.lei", C),
    ("licence/parties", "consignee", C),
    ("licence/parties", "end_users[].name", M),
    ("licence/parties", "end_use_statement_ref", C),
    ("licence/reason", "reason_code", M),
    ("licence/reason", "reason_text", C),
    ("licence/denial", "regime", M),
    ("licence/denial", "denial_no", M),
    ("licence/denial", "essentially_identical_key", M),
    ("licence/denial", "valid_until", M),
    ("licence/denial", "consultation_contact", M),
    ("seizure/core", "event_no", M),
    ("seizure/core", "stage", M),
    ("seizure/core", "event_type", M),
    ("seizure/core", "occurred_at", M),
    ("seizure/core", "place.country", M),
    ("seizure/core", "place.locode", C),
    ("seizure/core", "place.grid_latitude", C),
    ("seizure/core", "place.grid_longitude", C),
    ("seizure/core", "place.location_kind", M),
    ("seizure/core", "direction", M),
    ("seizure/core", "declared_as_found", C),
    ("seizure/core", "licence_status_at_event", M),
    ("seizure/core", "controlled_delivery", M),
    ("seizure/method", "detection_method", M),
    ("seizure/method", "alert_id", C),
    ("seizure/goods", "items[].declared", C),
    ("seizure/goods", "items[].declared.hs_code", M),
    ("seizure/goods", "items[].declared.description", M),
    ("seizure/goods", "items[].found.hs_code", M),
    ("seizure/goods", "items[].found.description", M),
    ("seizure/goods", "items[].control_codes[].code", M),
    ("seizure/goods", "items[].cas", C),
    ("seizure/goods", "items[].un_number", C),
    ("seizure/goods", "items[].make", C),
    ("seizure/goods", "items[].model", C),
    ("seizure/goods", "items[].serial", C),
    ("seizure/goods", "items[].quantity", M),
    ("seizure/goods", "items[].unit", M),
    ("seizure/goods", "items[].analysis_state", M),
    ("header/header", "embargo_until", C),
]


@pytest.mark.parametrize(("section", "path", "need"), DICTIONARY, ids=[f"{s}-{p}" for s, p, _ in DICTIONARY])
def test_the_data_dictionary_is_covered(section: str, path: str, need: str) -> None:
    """Each mandatory field exists and cannot be absent; each conditional one exists and may be null, with default null."""
    family, name = section.split("/")
    field = leaves(newest(family, name))[path]
    assert isinstance(field["type"], list) == (need == C)
    if need == C:
        assert field["type"][0] == "null"
        assert field["default"] is None
