"""One value of a known kind against grammar, check digit and code lists: remarks in the words of a finding.

A judgement never refuses: domain dictionary 2.8 gives a wrong code a WARN, and one that is merely odd an INFO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from broker.families.codelists import CodeLists
from broker.families.identifiers import chemicals, commerce, control, customs, parties, territories, transport
from broker.families.identifiers.verdict import Judge, Verdict, quoted
from broker.families.rules import rows

Remark = tuple[str, str]
"""Code of the finding and its reason."""
Record = Mapping[str, Any]
Judgement = Callable[[str, CodeLists, Record], Iterator[Remark]]
"""Value, code lists, and the record that holds the value (for its edition or scheme), to remarks. Never raises."""

_CODES: Final = {"FORM": "MALFORMED", "SPELLING": "NOT_NORMAL", "CHECK": "CHECK_DIGIT"}


def _remarks(verdict: Verdict) -> Iterator[Remark]:
    if verdict.fault is not None:
        yield _CODES[verdict.fault], verdict.reason


def by_grammar(judge: Judge) -> Judgement:
    """The judgement of a kind that no list is needed for."""

    def judgement(value: str, _lists: CodeLists, _record: Record) -> Iterator[Remark]:
        yield from _remarks(judge(value))

    return judgement


def equipment(value: str, _lists: CodeLists, record: Record) -> Iterator[Remark]:
    """A unit of transport equipment: a container, or something else that carries another kind of number."""
    verdict = transport.container(value)
    if verdict.caution:
        yield "DISCOURAGED", f"{quoted(value)}: {verdict.caution}"
    if verdict.fault != "FORM":
        yield from _remarks(verdict)
    elif transport.like_a_container(value) or record.get("size_type"):
        yield "MALFORMED", verdict.reason
    elif not transport.unit_load(value):
        yield "NOT_A_CONTAINER", f"{quoted(value)} is no container number (ISO 6346)"


def place(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A UN/LOCODE."""
    verdict = customs.place(value)
    yield from _remarks(verdict)
    if verdict.fault != "FORM":
        yield from _listed_place(verdict.normal or value, lists)


def _listed_place(code: str, lists: CodeLists) -> Iterator[Remark]:
    if lists.places is None:
        return
    found = lists.place(code)
    if found is None:
        country = code[:2]
        withdrawn = territories.WITHDRAWN.get(country)
        why = f": the country {country} was withdrawn in {withdrawn[0][:4]}" if withdrawn else ""
        yield "UNKNOWN_LOCODE", f"{code} is not in UN/LOCODE of {_date(lists, 'unlocode.csv')}{why}; look the place up by its name"
    elif found.status in ("XX", "RR"):
        what = "is about to be removed from" if found.status == "XX" else "was rejected for"
        yield "OBSOLETE_CODE", f"{code} {what} UN/LOCODE (status {found.status}); look the place up by its name"


def free_zone(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A free zone: its form, its UN/LOCODE, and whether a zone is known there."""
    verdict = customs.free_zone(value)
    yield from _remarks(verdict)
    if verdict.fault == "FORM":
        return
    code = (verdict.normal or value)[:5]
    known = lists.places is None or code in lists.places
    yield from _listed_place(code, lists)
    if known and lists.free_zones is not None and code not in lists.free_zones:
        yield "UNKNOWN_FREE_ZONE", f"no free zone near {code} is in the installed list"


def country(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A country, in the installed edition of ISO 3166-1 or the one that comes with the program."""
    form = territories.country_form(value)
    yield from _remarks(form)
    code = form.normal or value
    if form.fault == "FORM" or code in (territories.CURRENT if lists.countries is None else lists.countries):
        return
    verdict = territories.country(code)
    withdrawn = territories.WITHDRAWN.get(code)
    if verdict.caution:
        yield "USER_ASSIGNED", verdict.caution
    elif withdrawn:
        successor = f"use {withdrawn[1]}" if withdrawn[1] else "use the code of the country that the place is in today"
        yield "OBSOLETE_CODE", f"{code} was withdrawn from ISO 3166-1 in {withdrawn[0][:4]}; {successor}"
    else:
        yield "UNKNOWN_COUNTRY", verdict.reason or f"{code} is not in ISO 3166-1 of {_date(lists, 'iso3166.csv')}"


def currency(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A currency, in the installed edition of ISO 4217 or the one that comes with the program."""
    form = commerce.currency_form(value)
    yield from _remarks(form)
    code = form.normal or value
    if form.fault == "FORM" or code in (commerce.ACTIVE if lists.currencies is None else lists.currencies):
        return
    successor = commerce.WITHDRAWN.get(code)
    if successor:
        yield "OBSOLETE_CODE", f"{code} was withdrawn from ISO 4217; {successor} took its place"
    else:
        yield "UNKNOWN_CURRENCY", f"{code} is not in ISO 4217 today"


def incoterm(value: str, _lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A term of Incoterms 2020; older terms are named with their successor."""
    successor = commerce.OLD_INCOTERMS.get(value)
    if successor:
        yield "OBSOLETE_CODE", f"{value} is of an older edition of Incoterms; {successor} took its place in 2020"
        return
    verdict = commerce.incoterm(value)
    if verdict.fault is not None:
        yield ("UNKNOWN_INCOTERM" if verdict.fault == "FORM" else "NOT_NORMAL"), verdict.reason


def unit(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A unit of measure."""
    yield from _listed(value, customs.unit_form, lists.units, "UNKNOWN_UNIT", "UN Recommendation 20")


def package(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A type of package."""
    yield from _listed(value, customs.package_form, lists.packages, "UNKNOWN_PACKAGE", "UN Recommendation 21")


def _listed(value: str, form: Judge, table: Mapping[str, str] | None, unknown: str, source: str) -> Iterator[Remark]:
    verdict = form(value)
    code = verdict.normal or value
    status = table.get(code) if table is not None and verdict.fault != "FORM" else ""
    if status is None:
        yield unknown, f"{quoted(value)} is not in {source}"
        return
    yield from _remarks(verdict)
    if status:
        yield "OBSOLETE_CODE", f"{code} is {'deleted from' if status == 'X' else 'deprecated in'} {source}; it names no successor"


def un_number(value: str, lists: CodeLists, _record: Record) -> Iterator[Remark]:
    """A UN number of dangerous goods."""
    verdict = chemicals.un_number(value)
    yield from _remarks(verdict)
    code = verdict.normal or value
    if verdict.fault != "FORM" and lists.un_numbers is not None and code not in lists.un_numbers:
        yield "UNKNOWN_UN_NUMBER", f"UN {code} is not in the list of dangerous goods of {_date(lists, 'un-dangerous-goods.csv')}"


def commodity(value: str, lists: CodeLists, record: Record) -> Iterator[Remark]:
    """An HS code in the edition that its record names."""
    verdict = customs.commodity(value)
    if verdict.fault is not None:
        yield "BAD_HS", verdict.reason
    if verdict.fault == "FORM":
        return
    code, edition = (verdict.normal or value)[:6], record.get("hs_edition")
    if verdict.caution:
        yield "NATIONAL_HS", f"{quoted(value)}: {verdict.caution}"
    elif not isinstance(edition, int):
        yield "NO_EDITION", f"{quoted(value)} is given without the edition of the Harmonized System"
    elif edition not in customs.HS_EDITIONS:
        yield "UNKNOWN_EDITION", f"{edition} is no edition of the Harmonized System: 2017, 2022 and 2028 are"
    elif edition in lists.hs and code not in lists.hs[edition]:
        older = lists.older_hs(code, edition)
        if older is None:
            yield "HS_NOT_IN_EDITION", f"HS {edition} has no code {code}; correct the code or its edition"
        else:
            yield "OLD_EDITION", f"{code} is of HS {older}, not of HS {edition}; name that edition, or the code's successor"


def document(value: str, _lists: CodeLists, record: Record) -> Iterator[Remark]:
    """The number of a transport document: air waybills have a check digit (types N740 and N741 of CL754), others only a length."""
    kind = record.get("type")
    yield from _remarks((transport.air_waybill if kind in ("N740", "N741") else transport.document_number)(value))


def control_code(value: str, lists: CodeLists, record: Record) -> Iterator[Remark]:
    """An entry of a control list in the scheme that its record names, and the edition beside it."""
    scheme = record.get("scheme")
    judge = control.entry(scheme) if isinstance(scheme, str) else None
    if judge is None:
        yield "NO_GRAMMAR", f"the scheme {quoted(str(scheme))} is not known here"
        return
    verdict = judge(value)
    yield from _remarks(verdict)
    if verdict.fault == "FORM":
        return
    code = verdict.normal or value
    if scheme == "CHPL" and lists.high_priority is not None and code not in lists.high_priority:
        yield "UNKNOWN_CONTROL_CODE", f"{code} is not on the Common High Priority List that is installed"
    entries = lists.regimes.get(str(scheme)) if lists.regimes is not None else None
    if entries is not None and control.listed_entry(str(scheme), code) not in entries:
        yield "UNKNOWN_CONTROL_CODE", f"{code} is not among the entries of {scheme} that are installed"


def substance(value: str, lists: CodeLists, record: Record) -> Iterator[Remark]:
    """A CAS number, and the CWC schedule that the same record puts the chemical in."""
    verdict = chemicals.cas(value)
    yield from _remarks(verdict)
    schedule = lists.chemicals.get(verdict.normal or value) if lists.chemicals is not None else None
    if schedule is None:
        return
    for entry in rows(record, "control_codes"):
        code = str(entry.get("code"))
        if entry.get("scheme") == "CWC" and control.CWC.judge(code).valid and code[:2] != schedule:
            yield "WRONG_SCHEDULE", f"CAS {value} is in schedule {schedule[0]} part {schedule[1]}, the control code {code} is not"


def party_number(value: str, _lists: CodeLists, record: Record) -> Iterator[Remark]:
    """The number of a person or company in the scheme that its record names; most schemes are national and have no form known here."""
    judge = PARTY_SCHEMES.get(str(record.get("id_scheme")))
    if judge is not None:
        yield from _remarks(judge(value))


PARTY_SCHEMES: Final[Mapping[str, Judge]] = {"EORI": parties.trader, "LEI": parties.legal_entity, "IMO": transport.ship}


def _date(lists: CodeLists, file: str) -> str:
    edition = lists.editions.get(file)
    return edition.date if edition else "an unknown date"
