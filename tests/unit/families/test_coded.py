"""Every coded field of a message is judged, with the finding that the dictionary gives it; nothing is changed, nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import Finding, Refusal
from broker.exchange.publish import encode_sections
from broker.exchange.rules import Rules
from broker.families.catalogue import FAMILIES, check
from broker.families.code_findings import CODE_FINDINGS, FINDINGS_LIMIT, bounded
from broker.families.coded import FIELDS, MEMO_SIZE, check_codes, coded_field
from broker.families.codelists import NO_LISTS, CodeLists, Edition, Packed, place_mark
from broker.families.message import Message
from broker.schema.avsc import is_list, is_object, read_text
from broker.storage.schemas import load_catalogue
from broker.trust.directory import Directory
from tests.support.parcels import key
from tests.unit.families.samples import GOOD, changed, good_alert, good_licence, good_seizure
from tests.unit.families.test_rules import graded

LISTS = CodeLists(
    folder="lists",
    editions={"unlocode.csv": Edition("unlocode.csv", "2024-10-14", 7)},
    places=Packed(
        [(code, place_mark("AI", "1")) for code in ("SGSIN", "THLCH", "AEJEA", "DEHAM", "XZ2AB")]
        + [("NLOLD", place_mark("XX", "3")), ("NLNOT", place_mark("RR", "3"))], 5
    ),
    hs={
        2017: Packed([("851712", 0)], 6),
        2022: Packed([(code, 0) for code in ("840120", "848180", "741220", "030389", "293070", "902610", "902620")], 6),
    },
    units={"KGM": "", "H87": "", "MMT": "", "26": "X", "64": "D"},
    packages={"CT": "", "DR": "", "SX": "X"},
    un_numbers=frozenset({"1076", "0004"}),
    free_zones={"AEJEA": ("Jebel Ali",), "SGSIN": ("Jurong",)},
    high_priority={"854231": "1"},
    regimes={"MTCR": frozenset({"M2A1c"}), "NSG": frozenset({"N3A1"})},
    chemicals={"107-44-8": "1A", "111-48-8": "2B"},
)  # fmt: skip
"""A small edition of each list."""

ITEM = "goods.items[0]"
PLACE = "route.places[0].locode"
UNIT = "equipment.units[0].id"
CONTROL = f"{ITEM}.control_codes"

FOUND: list[tuple[str, dict[str, Any], str, str, str]] = [
    # family, changes, code, path, what the reason says
    ("alert", {UNIT: "CSQU3054384"}, "CHECK_DIGIT", UNIT, "should be 3: CSQU3054383"),
    ("alert", {UNIT: "CSQU 305438 3"}, "NOT_NORMAL", UNIT, "written CSQU3054383"),
    ("alert", {UNIT: "csqu3054383"}, "NOT_NORMAL", UNIT, "written CSQU3054383"),
    ("alert", {UNIT: "CSQU305438"}, "MALFORMED", UNIT, "check digit is missing: CSQU3054383"),
    ("alert", {UNIT: "MSKU9000060"}, "DISCOURAGED", UNIT, "leaves 10"),
    ("alert", {UNIT: "TRAILER-7", "equipment.units[0].size_type": None}, "NOT_A_CONTAINER", UNIT, "no container number"),
    ("alert", {"equipment.units[0].size_type": "20FT"}, "MALFORMED", "equipment.units[0].size_type", "22G1"),
    ("alert", {"route.conveyances[0].imo": "9074728"}, "CHECK_DIGIT", "route.conveyances[0].imo", "9074729"),
    ("alert", {"route.conveyances[0].flag": "YU"}, "OBSOLETE_CODE", "route.conveyances[0].flag", "withdrawn from ISO 3166-1 in 2003"),
    ("alert", {"core.mrn": "06DE586600006143E2"}, "CHECK_DIGIT", "core.mrn", "06DE586600006143E1"),
    ("alert", {"core.ucr": "A" * 36}, "MALFORMED", "core.ucr", "1 to 35 characters"),
    ("alert", {"core.documents": [{"type": "N740", "id": "020-12345676"}]}, "CHECK_DIGIT", "core.documents[0].id", "020-12345675"),
    ("alert", {"core.documents": [{"type": "N741", "id": "020 12345675"}]}, "NOT_NORMAL", "core.documents[0].id", "020-12345675"),
    ("alert", {"core.documents": [{"type": "N705", "id": "B/L\N{LATIN SMALL LETTER O WITH STROKE}"}]}, "MALFORMED", "core.documents[0].id",
     "printable ASCII"),
    ("alert", {"core.documents": [{"type": "BILL OF LADING", "id": "1"}]}, "MALFORMED", "core.documents[0].type", "N705"),
    ("alert", {PLACE: "THXXX"}, "UNKNOWN_LOCODE", PLACE, "not in UN/LOCODE of 2024-10-14"),
    ("alert", {PLACE: "ANCUR"}, "UNKNOWN_LOCODE", PLACE, "the country AN was withdrawn in 2010"),
    ("alert", {PLACE: "NLOLD"}, "OBSOLETE_CODE", PLACE, "status XX"),
    ("alert", {PLACE: "NLNOT"}, "OBSOLETE_CODE", PLACE, "status RR"),
    ("alert", {PLACE: "sgsin"}, "NOT_NORMAL", PLACE, "SGSIN"),
    ("alert", {PLACE: "S1SIN"}, "MALFORMED", PLACE, "such as SGSIN"),
    ("alert", {"route.free_zone_code": "DEHAM-01"}, "UNKNOWN_FREE_ZONE", "route.free_zone_code", "near DEHAM"),
    ("alert", {"route.free_zone_code": "DEXXX-01"}, "UNKNOWN_LOCODE", "route.free_zone_code", "DEXXX"),
    ("alert", {"route.places[0].country": "QQ"}, "UNKNOWN_COUNTRY", "route.places[0].country", "ISO 3166-1"),
    ("alert", {"route.places[0].country": "XZ"}, "UNKNOWN_COUNTRY", "route.places[0].country", "high seas"),
    ("alert", {"route.places[0].country": "XK"}, "USER_ASSIGNED", "route.places[0].country", "Kosovo"),
    ("alert", {"route.places[0].country": "BU"}, "OBSOLETE_CODE", "route.places[0].country", "use MM"),
    ("licence", {"core.destinations": ["QQ"]}, "UNKNOWN_COUNTRY", "core.destinations[0]", "ISO 3166-1"),
    ("licence", {"core.transit_countries": ["SG", "DD"]}, "OBSOLETE_CODE", "core.transit_countries[1]", "use DE"),
    ("alert", {f"{ITEM}.hs_code": "30389"}, "BAD_HS", f"{ITEM}.hs_code", "030389 with its leading zero"),
    ("alert", {f"{ITEM}.hs_code": "8401.20"}, "BAD_HS", f"{ITEM}.hs_code", "840120"),
    ("alert", {f"{ITEM}.hs_code": "770000"}, "BAD_HS", f"{ITEM}.hs_code", "no chapter 77"),
    ("alert", {f"{ITEM}.hs_code": "980000"}, "NATIONAL_HS", f"{ITEM}.hs_code", "chapter 98"),
    ("alert", {f"{ITEM}.hs_code": "999999"}, "NATIONAL_HS", f"{ITEM}.hs_code", "chapter 99"),
    ("alert", {f"{ITEM}.hs_code": "123456"}, "HS_NOT_IN_EDITION", f"{ITEM}.hs_code", "HS 2022 has no code 123456"),
    ("alert", {f"{ITEM}.hs_code": "851712"}, "OLD_EDITION", f"{ITEM}.hs_code", "of HS 2017, not of HS 2022"),
    ("alert", {f"{ITEM}.hs_edition": 2019}, "UNKNOWN_EDITION", f"{ITEM}.hs_code", "2017, 2022 and 2028"),
    ("licence", {"items.items[0].hs_codes": ["848180", "851712"]}, "OLD_EDITION", "items.items[0].hs_codes[1]", "HS 2017"),
    ("alert", {f"{ITEM}.un_number": "9999"}, "UNKNOWN_UN_NUMBER", f"{ITEM}.un_number", "UN 9999"),
    ("alert", {f"{ITEM}.un_number": "UN1076"}, "NOT_NORMAL", f"{ITEM}.un_number", "1076"),
    ("alert", {f"{ITEM}.cas": "107-44-9"}, "CHECK_DIGIT", f"{ITEM}.cas", "107-44-8"),
    ("alert", {f"{ITEM}.cas": "107-44-8", CONTROL: [{"scheme": "CWC", "code": "2B04", "edition": "2020"}]}, "WRONG_SCHEDULE",
     f"{ITEM}.cas", "schedule 1 part A"),
    ("alert", {f"{ITEM}.cus": "1016"}, "MALFORMED", f"{ITEM}.cus", "nine characters"),
    ("alert", {f"{ITEM}.unit": "ZZZ"}, "UNKNOWN_UNIT", f"{ITEM}.unit", "UN Recommendation 20"),
    ("alert", {f"{ITEM}.unit": "26"}, "OBSOLETE_CODE", f"{ITEM}.unit", "deleted from"),
    ("alert", {f"{ITEM}.unit": "64"}, "OBSOLETE_CODE", f"{ITEM}.unit", "deprecated in"),
    ("alert", {f"{ITEM}.unit": "kgm"}, "NOT_NORMAL", f"{ITEM}.unit", "KGM"),
    ("alert", {f"{ITEM}.unit": "kg"}, "UNKNOWN_UNIT", f"{ITEM}.unit", "`kg` is not in"),
    ("alert", {f"{ITEM}.package_type": "ZZ"}, "UNKNOWN_PACKAGE", f"{ITEM}.package_type", "UN Recommendation 21"),
    ("alert", {f"{ITEM}.package_type": "SX"}, "OBSOLETE_CODE", f"{ITEM}.package_type", "deleted from"),
    ("alert", {"value.currency": "HRK"}, "OBSOLETE_CODE", "value.currency", "EUR took its place"),
    ("alert", {"value.currency": "QQQ"}, "UNKNOWN_CURRENCY", "value.currency", "ISO 4217"),
    ("seizure", {"outcome.penalty_currency": "QQQ"}, "UNKNOWN_CURRENCY", "outcome.penalty_currency", "ISO 4217"),
    ("alert", {"value.incoterm": "DAT"}, "OBSOLETE_CODE", "value.incoterm", "DPU took its place"),
    ("alert", {"value.incoterm": "XXX"}, "UNKNOWN_INCOTERM", "value.incoterm", "EXW, FCA"),
    ("alert", {f"{CONTROL}[0].code": "3A601"}, "MALFORMED", f"{CONTROL}[0].code", "EU dual-use list"),
    ("alert", {f"{CONTROL}[0].scheme": "XY_LIST"}, "NO_GRAMMAR", f"{CONTROL}[0].code", "XY_LIST"),
    ("alert", {f"{CONTROL}[0].edition": "latest"}, "MALFORMED", f"{CONTROL}[0].edition", "a year"),
    ("alert", {CONTROL: [{"scheme": "CHPL", "code": "854232", "edition": "2024"}]}, "UNKNOWN_CONTROL_CODE", f"{CONTROL}[0].code", "854232"),
    ("alert", {CONTROL: [{"scheme": "MTCR", "code": "2.A.1.d", "edition": "2024"}]}, "UNKNOWN_CONTROL_CODE", f"{CONTROL}[0].code", "MTCR"),
    ("alert", {"parties.parties[0].lei": "HWUPKR0MPOU8FGXBT395"}, "CHECK_DIGIT", "parties.parties[0].lei", "should be 94"),
    ("alert", {"parties.parties[0].id": "D1", "parties.parties[0].id_scheme": "EORI"}, "MALFORMED", "parties.parties[0].id", "EORI"),
    ("licence", {"parties.exporter.eori": "DE 1234"}, "NOT_NORMAL", "parties.exporter.eori", "DE1234"),
]  # fmt: skip
"""One change to a good message, and the one finding that it makes."""


@pytest.mark.parametrize("family", GOOD)
def test_good_messages_have_no_finding_under_the_lists(family: str) -> None:
    """Each change below stands alone: under the same lists the good message has nothing to remark."""
    assert check(graded(family), LISTS) == []


@pytest.mark.parametrize(
    ("family", "changes", "code", "path", "reason"), FOUND, ids=[f"{n}-{c}-{p}" for n, (_, _, c, p, _) in enumerate(FOUND)]
)
def test_one_wrong_code_is_one_finding(family: str, changes: dict[str, Any], code: str, path: str, reason: str) -> None:
    """The finding has its code's severity, the field's path, and a reason that says what is wrong and what would be right."""
    message = changed(graded(family), changes)
    before = deepcopy(message.sections)
    found = check(message, LISTS)
    assert not isinstance(found, Refusal)
    assert [(finding.code, finding.path) for finding in found] == [(code, path)]
    assert found[0].severity == CODE_FINDINGS[code][0]
    assert reason in found[0].reason
    assert message.sections == before


def test_every_code_finding_can_happen() -> None:
    """No finding of the table that no test has seen; those on the lists themselves are the folder's."""
    of_the_lists = {"NO_LIST", "BROKEN_LIST"}
    assert {code for _, _, code, _, _ in FOUND} | {"NO_EDITION", "MANY_FINDINGS"} | of_the_lists == set(CODE_FINDINGS)


def test_without_lists_only_form_and_check_digit_are_judged() -> None:
    """What only a list could know is not remarked on where none is installed; countries and currencies are always known."""
    unlisted = {"UNKNOWN_LOCODE", "UNKNOWN_UNIT", "UNKNOWN_PACKAGE", "UNKNOWN_UN_NUMBER", "UNKNOWN_FREE_ZONE", "HS_NOT_IN_EDITION",
                "OLD_EDITION", "UNKNOWN_CONTROL_CODE", "WRONG_SCHEDULE"}  # fmt: skip
    for family, changes, code, path, _ in FOUND:
        found = check(changed(graded(family), changes))
        assert not isinstance(found, Refusal)
        expected = (
            [] if code in unlisted or (code == "OBSOLETE_CODE" and path in (PLACE, f"{ITEM}.unit", f"{ITEM}.package_type")) else [code]
        )
        if changes.get(f"{ITEM}.unit") == "kg":
            expected = ["NOT_NORMAL"]
        assert [finding.code for finding in found] == expected, changes


OBSERVED: list[tuple[dict[str, Any], str, str]] = [
    ({"equipment.units[0].observed_raw": "MSKU9070328"}, "CHECK_DIGIT", "equipment.units[0].observed_raw"),
    ({"equipment.units[0].observed_raw": "msku 907032 3"}, "NOT_NORMAL", "equipment.units[0].observed_raw"),
    ({f"{ITEM}.found.hs_code": "30389"}, "BAD_HS", f"{ITEM}.found.hs_code"),
    ({f"{ITEM}.found.hs_code": "123456"}, "HS_NOT_IN_EDITION", f"{ITEM}.found.hs_code"),
    ({f"{ITEM}.cas": "107-44-9"}, "CHECK_DIGIT", f"{ITEM}.cas"),
    ({f"{ITEM}.un_number": "9999"}, "UNKNOWN_UN_NUMBER", f"{ITEM}.un_number"),
]


@pytest.mark.parametrize(("changes", "code", "path"), OBSERVED)
def test_what_was_observed_is_evidence(changes: dict[str, Any], code: str, path: str) -> None:
    """A false number on seized goods is a WARN that says it stays as found; the message goes through and holds what was seen."""
    message = changed(graded("seizure"), changes)
    found = check(message, LISTS)
    assert not isinstance(found, Refusal)
    assert [(finding.severity, finding.code, finding.path) for finding in found] == [("WARN", code, path)]
    assert found[0].reason.startswith("as found, and kept so: ")


def test_declared_values_beside_observed_ones_are_not_evidence() -> None:
    """The declared container and the declared goods of the same seizure are papers, which can be mistyped."""
    message = changed(graded("seizure"), {"equipment.units[0].id": "MSKU9070328", f"{ITEM}.declared.hs_code": "30389"})
    found = check(message, LISTS)
    assert not isinstance(found, Refusal)
    assert [finding.code for finding in found] == ["BAD_HS", "CHECK_DIGIT"]
    assert not any(finding.reason.startswith("as found") for finding in found)


def test_pairs_of_a_free_zone_are_observed() -> None:
    """Containers that went into and came out of a zone were seen there: in any family, under the name of pairs."""
    section = {"pairs": [{"in_container": "CSQU3054384", "out_container": "MSKU9070323"}]}
    (finding,) = check_codes("fz_warning", {"core": section}, NO_LISTS)
    assert (finding.code, finding.path) == ("CHECK_DIGIT", "core.pairs[0].in_container")
    assert finding.reason.startswith("as found")


def test_an_hs_code_needs_its_edition() -> None:
    """A family that has no edition beside its HS code is told so."""
    (finding,) = check_codes("new", {"core": {"hs_code": "840120"}}, LISTS)
    assert (finding.severity, finding.code, finding.path) == ("WARN", "NO_EDITION", "core.hs_code")


def test_a_new_family_gets_its_checks_by_the_names_of_its_fields() -> None:
    """Longer names that end in a known one, lists of texts and records at any depth are walked; what is no code is left alone."""
    section: dict[str, Any] = {
        "exporter_country": "QQ", "dispatch": {"containers": ["CSQU3054383", "CSQU3054384"], "bill_currency": "QQQ"},
        "countries": ["SG", "DD"], "code": "not a control code", "id": "not a container", "reporting_unit": "Section 4",
        "fraud_flag": "yes", "narrative": "CSQU3054384 was seen",
    }  # fmt: skip
    found = check_codes("new", {"core": section}, LISTS)
    assert [(finding.code, finding.path) for finding in found] == [
        ("UNKNOWN_COUNTRY", "core.exporter_country"), ("CHECK_DIGIT", "core.dispatch.containers[1]"),
        ("UNKNOWN_CURRENCY", "core.dispatch.bill_currency"), ("OBSOLETE_CODE", "core.countries[1]"),
    ]  # fmt: skip


def _leaves(schema: Any, within: str, known: dict[str, Any]) -> list[tuple[str, str]]:
    """Name of the record or list, and name of the field, of every field of text in a schema."""
    found: list[tuple[str, str]] = []
    for field in schema["fields"]:
        kinds: list[Any] = list(field["type"]) if is_list(field["type"]) else [field["type"]]
        for given in kinds:
            kind: Any = known.get(given, given) if isinstance(given, str) else given
            if is_object(kind) and kind["type"] == "array":
                items: Any = kind["items"]
                kind = known.get(items, items) if isinstance(items, str) else items
            if is_object(kind) and kind["type"] == "record":
                known[str(kind["name"])] = kind
                found += _leaves(kind, field["name"], known)
            elif kind == "string":
                found.append((within, field["name"]))
    return found


def test_every_field_whose_description_names_a_scheme_is_coded() -> None:
    """A field that its schema describes as a code of a known scheme is in the table: none is forgotten."""
    words = ("ISO 3166-1", "ISO 4217", "ISO 6346", "ISO 17442", "UN/LOCODE", "Recommendation 20", "Recommendation 21", "CAS registry",
             "UN number", "Harmonized System code", "IMO ", "Movement reference number", "EORI number", "CUS number", "UIC")  # fmt: skip
    catalogue, missing = load_catalogue(), list[str]()
    for family in FAMILIES.values():
        for name in family.sections:
            section = catalogue.current(family.name, name)
            if section is None:
                continue
            schema: Any = read_text(section.text)
            texts = _described(schema, name, {})
            missing += [f"{family.name}.{name}.{leaf}" for within, leaf, doc in texts if any(word in doc for word in words)
                        and coded_field(within, leaf) is None and leaf not in ("region", "legal_basis")]  # fmt: skip
            assert _leaves(schema, name, {}) or family.name == "attachment", name
    assert missing == []


def _described(schema: Any, within: str, known: dict[str, Any]) -> list[tuple[str, str, str]]:
    docs: dict[str, str] = {}

    def gather(record: Any) -> None:
        for field in record["fields"]:
            docs.setdefault(field["name"], field["doc"])
            for kind in list(field["type"]) if is_list(field["type"]) else [field["type"]]:
                inner: Any = kind["items"] if is_object(kind) and kind["type"] == "array" else kind
                if is_object(inner) and inner["type"] == "record":
                    gather(inner)

    gather(schema)
    return [(where, leaf, docs[leaf]) for where, leaf in _leaves(schema, within, known)]


def test_the_table_of_fields_names_each_once() -> None:
    """A field has one meaning in one place."""
    keys = [(field.within, field.name) for field in FIELDS]
    assert len(keys) == len(set(keys))


def test_ten_thousand_wrong_items_are_a_hundred_findings() -> None:
    """The walk of a message stops when more is wrong than is told; the last finding says that there is more."""
    item = {"hs_code": "1", "hs_edition": 2022, "cas": "1-1-1", "unit": "?"}
    found = check_codes("alert", {"goods": {"items": [item] * 10_000}}, LISTS)
    assert FINDINGS_LIMIT < len(found) <= FINDINGS_LIMIT + 3
    told = bounded(found)
    assert len(told) == FINDINGS_LIMIT
    assert told[-1].code == "MANY_FINDINGS"
    assert bounded(found[:FINDINGS_LIMIT]) == tuple(found[:FINDINGS_LIMIT])


def test_what_is_remembered_is_bounded_and_never_stale() -> None:
    """Judgements of codes are remembered per lists and edition, and the memory does not grow without end."""
    lists = replace(LISTS)
    assert lists.memo == {}
    for number in range(MEMO_SIZE + 10):
        check_codes("new", {"core": {"hs_code": f"{number:06}", "hs_edition": 2022}}, lists)
    assert len(lists.memo) <= MEMO_SIZE
    newer = replace(lists, hs={**lists.hs, 2022: Packed([("123456", 0)], 6)})
    section: Mapping[str, Any] = {"core": {"hs_code": "123456", "hs_edition": 2022}}
    assert [finding.code for finding in check_codes("new", section, lists)] == ["HS_NOT_IN_EDITION"]
    assert check_codes("new", section, newer) == []
    assert [finding.code for finding in check_codes("new", {"core": {"hs_code": "123456", "hs_edition": 2017}}, newer)] == [
        "HS_NOT_IN_EDITION"
    ]


def test_long_values_are_not_remembered() -> None:
    """Neither a long code nor a short one beside a long field: the memory is bounded in bytes too."""
    lists = replace(LISTS)
    for number in range(3):
        code = {"scheme": f"{number}" + "X" * 1000, "code": "2B004", "edition": "Y" * 1000}
        check_codes("new", {"goods": {"control_codes": [code]}}, lists)
    assert lists.memo == {}


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\x07", "\x1b", "\u2028"])
def test_names_that_deceive_the_eye_are_refused_by_the_schema(sign: str) -> None:
    """Control and direction-changing characters in a name never reach the checks: the schema refuses them with the field's path."""
    rules = Rules.of(Directory.trusting(key("registrar").spki, "test", "test"), load_catalogue(), 1)
    message = changed(good_alert(), {"parties.parties[0].name": f"Example {sign}gnidarT"})
    refusal = encode_sections(message, "SG-CUSTOMS", rules)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.path) == ("BAD_FIELD", "parties.parties[0].name")


@pytest.mark.parametrize("message", [good_alert(), good_licence(), good_seizure()], ids=lambda message: message.family)
def test_the_publisher_judges_under_the_lists_of_its_rules(message: Message) -> None:
    """The lists come with the rules: the same message gets its findings where they are installed, and is encoded all the same."""
    lists = replace(LISTS, countries=frozenset({"QQ"}))
    rules = Rules.of(Directory.trusting(key("registrar").spki, "test", "test"), load_catalogue(), 1, lists)
    encoded = encode_sections(message, message.subject.partition("/")[0], rules)
    assert not isinstance(encoded, Refusal)
    assert {finding.code for finding in encoded.findings if isinstance(finding, Finding)} >= {"UNKNOWN_COUNTRY"}
