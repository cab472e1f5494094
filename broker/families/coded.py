"""Which fields hold which kind of code, in one table, and the walk that judges every one of them in a message.

The walk knows no family: a new one gets its checks by the names of its fields. What was *observed* (a number painted on a container,
goods as found) is evidence: it is remarked on like anything else, and the remark says that it stays as it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args, get_origin, is_typeddict

from broker.families import judging
from broker.families.code_findings import FINDINGS_LIMIT, code_finding
from broker.families.codelists import CodeLists
from broker.families.completion import fields
from broker.families.identifiers import chemicals, control, customs, parties, transport
from broker.families.judging import Judgement, by_grammar
from broker.families.rules import Findings


class Coded(NamedTuple):
    """A field that holds a code: its name, the list or record that it has to be in (empty: any), what it is, and how it is judged.

    ``prefixed``: also a field whose longer name ends so, such as ``penalty_currency`` for ``currency``. ``beside``: the field of the
    same record that the judgement reads too. ``code``: from a list that every message uses, not a number of one thing or person;
    judgements of such values are remembered.
    """

    name: str
    within: str
    kind: str
    judge: Judgement
    prefixed: bool = False
    code: bool = False
    beside: str = ""


FIELDS: Final[tuple[Coded, ...]] = (
    # places and countries
    Coded("locode", "", "UN/LOCODE", judging.place, prefixed=True, code=True),
    Coded("free_zone_code", "", "free zone", judging.free_zone, prefixed=True, code=True),
    Coded("country", "", "country", judging.country, prefixed=True, code=True),
    Coded("countries", "", "country", judging.country, prefixed=True, code=True),
    Coded("destinations", "", "country", judging.country, code=True),
    Coded("flag", "", "country", judging.country, code=True),
    # goods
    Coded("hs_code", "", "HS", judging.commodity, prefixed=True, code=True, beside="hs_edition"),
    Coded("hs_codes", "", "HS", judging.commodity, prefixed=True, code=True, beside="hs_edition"),
    Coded("un_number", "", "UN dangerous goods", judging.un_number, prefixed=True, code=True),
    Coded("un_numbers", "", "UN dangerous goods", judging.un_number, code=True),
    Coded("cas", "", "CAS", judging.substance, prefixed=True),
    Coded("cus", "", "CUS", by_grammar(chemicals.cus)),
    Coded("unit", "", "UN Rec 20", judging.unit, code=True),
    Coded("quantity_unit", "", "UN Rec 20", judging.unit, code=True),
    Coded("package_type", "", "UN Rec 21", judging.package, prefixed=True, code=True),
    Coded("code", "control_codes", "control list", judging.control_code, code=True, beside="scheme"),
    Coded("edition", "control_codes", "edition of a control list", by_grammar(control.edition), code=True),
    # money and terms
    Coded("currency", "", "ISO 4217", judging.currency, prefixed=True, code=True),
    Coded("incoterm", "", "Incoterms 2020", judging.incoterm, code=True),
    # conveyances, equipment, papers
    Coded("id", "units", "ISO 6346 container", judging.equipment),
    Coded("observed_raw", "", "ISO 6346 container, observed", judging.equipment),
    Coded("container", "", "ISO 6346 container", judging.equipment, prefixed=True),
    Coded("containers", "", "ISO 6346 container", judging.equipment, prefixed=True),
    Coded("size_type", "", "ISO 6346 size and type", by_grammar(transport.size_type), code=True),
    Coded("imo", "", "IMO ship", by_grammar(transport.ship), prefixed=True),
    Coded("wagon", "", "UIC wagon", by_grammar(transport.wagon)),
    Coded("type", "documents", "type of document", by_grammar(transport.document_type), code=True),
    Coded("id", "documents", "document; N740 and N741: air waybill", judging.document),
    Coded("mrn", "", "MRN", judging.movement, prefixed=True),
    Coded("ucr", "", "UCR", by_grammar(customs.consignment), prefixed=True),
    Coded("sscc", "", "GS1 SSCC", by_grammar(transport.sscc)),
    Coded("gtin", "", "GS1 GTIN", by_grammar(transport.gtin)),
    Coded("postal_item", "", "UPU S10", by_grammar(transport.post_item)),
    # persons and companies
    Coded("eori", "", "EORI", by_grammar(parties.trader), prefixed=True),
    Coded("lei", "", "LEI", by_grammar(parties.legal_entity), prefixed=True),
    Coded("id", "parties", "as id_scheme says: EORI, LEI or IMO", judging.party_number),
    Coded("id", "other_ids", "as id_scheme says: EORI, LEI or IMO", judging.party_number),
)
"""Every coded field of every family."""

OBSERVED: Final = frozenset({"observed_raw", "observed", "found", "pairs"})
"""Fields and records whose values were read off the goods, not out of papers."""
_OBSERVED_IN: Final[Mapping[str, frozenset[str]]] = {"seizure": frozenset({"cas", "un_number", "unit"})}
"""The same, where only the family tells: a seizure's items are described as found."""

MEMO_SIZE: Final = 20_000
"""Most judgements that are remembered: more than the codes that an exchange uses in a day."""
MEMO_LENGTH: Final = 20
"""Longest value that is remembered, and longest of the field beside it: memory is bounded in bytes, not only in entries."""

_AS_FOUND: Final = "as found, and kept so: "
_ADVICE: Final[Mapping[str, str]] = {
    "CHECK_DIGIT": "; compare it with the papers, and revise the message if it was misread",
    "MALFORMED": "; compare it with the papers", "NOT_NORMAL": "; others search for that form", "UNKNOWN_COUNTRY": "; look the country up",
    "UNKNOWN_CURRENCY": "; give the code of its currency", "UNKNOWN_UNIT": "; use a code such as KGM, LTR or H87",
    "UNKNOWN_PACKAGE": "; use a code such as CT or DR", "UNKNOWN_UN_NUMBER": "; look the substance up",
    "UNKNOWN_CONTROL_CODE": "; compare it with the edition named", "WRONG_SCHEDULE": "; correct one of them",
    "NO_EDITION": "; give hs_edition", "UNKNOWN_EDITION": "; correct hs_edition",
}  # fmt: skip
"""What to do, where the reason itself does not say it already."""

_ANYWHERE: Final = {field.name: field for field in FIELDS if not field.within}
_WITHIN: Final = {(field.within, field.name): field for field in FIELDS if field.within}
_PREFIXED: Final = tuple(field for field in FIELDS if field.prefixed)


@lru_cache(maxsize=4096)
def coded_field(within: str, name: str) -> Coded | None:
    """What a field of this name holds, in a list or record named ``within``; None for a field without a code."""
    found = _WITHIN.get((within, name)) or _ANYWHERE.get(name)
    return found or next((field for field in _PREFIXED if name.endswith(f"_{field.name}")), None)


class Step(NamedTuple):
    """What a walk looks at in a record of one type: a field that holds a code, or something in which one lies.

    Exactly one of the two is there: ``field``, for a text or a list of texts, and ``steps``, for a record or a list of records.
    ``observed`` says whether what is found there was read off the goods.
    """

    name: str
    field: Coded | None
    steps: tuple[Step, ...]
    observed: bool


@lru_cache(maxsize=1024)
def steps_of(kind: type, within: str, observed: bool) -> tuple[Step, ...]:
    """The steps of a typed dictionary that is, or lies in, ``within``, in the order of its fields. Fields that neither are codes nor hold
    any have none: most of a message is never looked at."""
    found: list[Step] = []
    for name, (bare, _nullable, _default) in fields(kind).items():
        listed = get_origin(bare) is list
        inside = get_args(bare)[0] if listed else bare
        seen = observed or name in OBSERVED
        if is_typeddict(inside):
            if nested := steps_of(inside, name, seen):
                found.append(Step(name, None, nested, seen))
        elif field := coded_field("" if listed else within, name):
            found.append(Step(name, field, (), seen if listed else observed))
    return tuple(found)


def check_codes(
    family: str, sections: Mapping[str, Mapping[str, Any]], lists: CodeLists, types: Mapping[str, type] | None = None
) -> Findings:
    """Findings on every identifier and code of a message, in the order of its fields. The walk ends when there are more than are told.

    ``types``: the typed dictionary of each section, whose steps are then known beforehand. A section without one is looked at whole.
    """
    walk = _Walk(lists, _OBSERVED_IN.get(family, frozenset()))
    for name, section in sections.items():
        kind = types.get(name) if types else None
        if kind is None:
            walk.record(section, (name,), name, False)
        else:
            walk.follow(steps_of(kind, name, False), section, (name,))
    return walk.findings


_Path = tuple[Any, ...]
"""Steps to a field: names and numbers. A path is written out only where something is found."""


def _written(path: _Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


class _Walk:
    """One message's walk. The relay walks every message: what is seldom (a remark, its path) is worked out when it happens."""

    def __init__(self, lists: CodeLists, observed: frozenset[str]) -> None:
        self._lists, self._observed = lists, observed
        self.findings: Findings = []
        self._full = False

    def follow(self, steps: tuple[Step, ...], record: Mapping[str, Any], path: _Path) -> None:
        """The steps of a record whose type is known."""
        for name, field, nested, observed in steps:
            value = record.get(name)
            if value is None:
                continue
            if field is not None:
                if value.__class__ is str:
                    self._judge(field, value, path, name, record, observed)
                elif value.__class__ is list:
                    for number, entry in enumerate(value):
                        self._judge(field, entry, (*path, name), number, record, observed)
            elif value.__class__ is dict:
                self.follow(nested, value, (*path, name))
            elif value.__class__ is list:
                for number, entry in enumerate(value):
                    self.follow(nested, entry, (*path, name, number))
            if self._full:
                return

    def record(self, record: Mapping[str, Any], path: _Path, within: str, observed: bool) -> None:
        """All fields of a record that is, or lies in, the field or section ``within``."""
        for name, value in record.items():
            if value is None:
                continue
            kind = value.__class__
            if kind is str:
                field = coded_field(within, name)
                if field is not None:
                    self._judge(field, value, path, name, record, observed)
            elif kind is dict:
                self.record(value, (*path, name), name, observed or name in OBSERVED)
            elif kind is list and value:
                self._entries(value, (*path, name), name, record, observed or name in OBSERVED)
            if self._full:
                return

    def _entries(self, entries: list[Any], path: _Path, name: str, record: Mapping[str, Any], observed: bool) -> None:
        field = coded_field("", name)
        for number, entry in enumerate(entries):
            if entry.__class__ is dict:
                self.record(entry, (*path, number), name, observed)
            elif field is not None and entry.__class__ is str:
                self._judge(field, entry, path, number, record, observed)
            if self._full:
                return

    def _judge(self, field: Coded, value: str, path: _Path, last: str | int, record: Mapping[str, Any], observed: bool) -> None:
        if self._full:
            return
        remarks = self._remembered(field, value, record) if field.code else field.judge(value, self._lists, record)
        for code, reason in remarks:
            found = observed or field.name in OBSERVED or field.name in self._observed
            told = f"{_AS_FOUND}{reason}" if found else f"{reason}{_ADVICE.get(code, '')}"
            self.findings.append(code_finding(code, _written((*path, last)), told))
            self._full = len(self.findings) > FINDINGS_LIMIT

    def _remembered(self, field: Coded, value: str, record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """The judgement of a code, from memory where these lists judged it before. The memory is bounded: it is emptied when full."""
        beside = record.get(field.beside) if field.beside else None
        if isinstance(beside, str) and len(beside) > MEMO_LENGTH:
            return tuple(field.judge(value, self._lists, record))
        memo, key = self._lists.memo, (field.kind, value, beside if isinstance(beside, str | int) else None)
        known = memo.get(key)
        if known is None:
            known = tuple(field.judge(value, self._lists, record))
            if len(value) <= MEMO_LENGTH:
                if len(memo) >= MEMO_SIZE:
                    memo.clear()
                memo[key] = known
        return known
