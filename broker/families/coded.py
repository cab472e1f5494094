"""Which fields hold which kind of code, in one table, and the walk that judges every one of them in a message.

The walk knows no family: a new one gets its checks by the names of its fields. What was *observed* (a number painted on a container,
goods as found) is evidence: it is remarked on like anything else, and the remark says that it stays as it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from broker.families import judging
from broker.families.code_findings import FINDINGS_LIMIT, code_finding
from broker.families.codelists import CodeLists
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
    Coded("mrn", "", "MRN", by_grammar(customs.movement), prefixed=True),
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
"""Longest value that is remembered."""

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


def check_codes(family: str, sections: Mapping[str, Mapping[str, Any]], lists: CodeLists) -> Findings:
    """Findings on every identifier and code of a message, in the order of its fields. The walk ends when there are more than are told."""
    walk = _Walk(lists, _OBSERVED_IN.get(family, frozenset()))
    for name, section in sections.items():
        walk.record(section, name, name, observed=False)
    return walk.findings


class _Walk:
    """One message's walk."""

    def __init__(self, lists: CodeLists, observed: frozenset[str]) -> None:
        self._lists, self._observed = lists, observed
        self.findings: Findings = []
        self._full = False

    def record(self, record: Mapping[str, Any], path: str, within: str, *, observed: bool) -> None:
        """All fields of a record that is, or lies in, the field or section ``within``."""
        for name, value in record.items():
            if self._full:
                return
            if isinstance(value, str):
                field = coded_field(within, name)
                if field is not None:
                    self._judge(field, value, f"{path}.{name}", record, observed=observed)
            elif isinstance(value, list):
                self._entries(cast("list[object]", value), f"{path}.{name}", name, record, observed=observed or name in OBSERVED)
            elif isinstance(value, dict):
                self.record(cast("dict[str, Any]", value), f"{path}.{name}", name, observed=observed or name in OBSERVED)

    def _entries(self, entries: list[object], path: str, name: str, record: Mapping[str, Any], *, observed: bool) -> None:
        field = coded_field("", name)
        for number, entry in enumerate(entries):
            if isinstance(entry, dict):
                self.record(cast("dict[str, Any]", entry), f"{path}[{number}]", name, observed=observed)
            elif field is not None and isinstance(entry, str):
                self._judge(field, entry, f"{path}[{number}]", record, observed=observed)
            if self._full:
                return

    def _judge(self, field: Coded, value: str, path: str, record: Mapping[str, Any], *, observed: bool) -> None:
        remarks = self._remembered(field, value, record) if field.code else field.judge(value, self._lists, record)
        for code, reason in remarks:
            found = observed or field.name in OBSERVED or field.name in self._observed
            self.findings.append(code_finding(code, path, f"{_AS_FOUND}{reason}" if found else f"{reason}{_ADVICE.get(code, '')}"))
        self._full = len(self.findings) > FINDINGS_LIMIT

    def _remembered(self, field: Coded, value: str, record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """The judgement of a code, from memory where these lists judged it before. The memory is bounded: it is emptied when full."""
        beside = record.get(field.beside) if field.beside else None
        memo, key = self._lists.memo, (field.kind, value, beside if isinstance(beside, str | int) else None)
        known = memo.get(key)
        if known is None:
            known = tuple(field.judge(value, self._lists, record))
            if len(value) <= MEMO_LENGTH:
                if len(memo) >= MEMO_SIZE:
                    memo.clear()
                memo[key] = known
        return known
