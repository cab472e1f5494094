"""The examples of the domain dictionary, and what a reader is told of numbers that are not right."""

from __future__ import annotations

import pytest

from broker.families.identifiers import chemicals, commerce, control, customs, parties, territories, transport
from broker.families.identifiers.kinds import KINDS, NONE
from broker.families.identifiers.verdict import Verdict

DICTIONARY: list[tuple[str, str, str]] = [
    # kind, example, where it is from
    ("container", "CSQU3054383", "2.6"), ("container", "MSKU9070323", "2.6"),
    ("ship", "9074729", "2.6"), ("ship", "9811000", "2.6"), ("ship", "9319466", "python-stdnum"), ("ship", "8814275", "python-stdnum"),
    ("air_waybill", "020-12345675", "2.6"), ("air_waybill", "172-00000011", "2.6"),
    ("movement", "06DE586600006143E1", "2.6"), ("movement", "22SI001015200500J3", "2.6"),
    ("cas", "7732-18-5", "2.6"), ("cas", "107-44-8", "2.6"), ("cas", "111-48-8", "2.6"), ("cas", "676-99-3", "2.6"),
    ("legal_entity", "HWUPKR0MPOU8FGXBT394", "2.6"), ("legal_entity", "7LTWFZYICNSX8D621K86", "2.6"),
    ("post_item", "RR473124829SE", "2.6"), ("post_item", "CC473124829FI", "2.6"),
    ("wagon", "318186650483", "2.6"), ("wagon", "338053761239", "2.6"),
    ("gtin", "4006381333931", "2.6"), ("sscc", "106141412345678908", "2.6"),
    ("trader", "XI123456789000", "2.6"), ("trader", "GB123456789000", "2.6"), ("trader", "EU1234567", "2.6"),
    ("place", "SGSIN", "2.6"), ("place", "NLRTM", "2.6"), ("country", "SG", "2.6"), ("country", "XK", "2.6"), ("currency", "EUR", "2.6"),
    ("commodity", "840120", "2.6"), ("commodity", "281111", "2.6"), ("un_number", "1076", "2.6"), ("un_number", "2977", "2.6"),
    ("unit", "KGM", "2.6"), ("unit", "LTR", "2.6"), ("unit", "GBQ", "2.6"), ("package", "CT", "2.6"), ("package", "DR", "2.6"),
    *(("incoterm", term, "2.6") for term in ("EXW", "FCA", "CPT", "CIP", "DAP", "DPU", "DDP", "FAS", "FOB", "CFR", "CIF")),
    ("EU_ANNEX_I", "3A001.a.1", "2.7"), ("EU_ANNEX_I", "1C350.1", "2.7"), ("EU_ANNEX_I", "6A005.a.6.a.1", "2.7"),
    ("US_ECCN", "3A001.a.1.a", "2.7"), ("US_ECCN", "9A515.x", "2.7"), ("US_ECCN", "9A610.x", "2.7"), ("US_ECCN", "EAR99", "2.7"),
    ("USML", "VIII(h)(1)", "2.7"), ("CML", "ML8.a.1", "2.7"), ("CWC", "1A01", "2.7"), ("CWC", "2B13", "2.7"), ("NSG", "3.A.1", "2.7"),
    ("NSG", "T:5.3", "2.7"), ("MTCR", "2.A.1.c", "2.7"), ("SG_SGCO", "3A001.a.1", "2.7"),
]  # fmt: skip
"""Every example of the dictionary's sections 2.6 and 2.7 that is valid as it stands."""

WRONG: list[tuple[str, str, str, str | None]] = [
    # kind, value, fault, what would be right or the normal form
    ("container", "CSQU3054384", "CHECK", "CSQU3054383"), ("container", "CSQU 305438 3", "SPELLING", "CSQU3054383"),
    ("container", "csqu3054383", "SPELLING", "CSQU3054383"), ("container", "CSQX3054383", "FORM", None),
    ("container", "MSKU900006", "FORM", "MSKU9000060"), ("container", "CSQU305438\N{ARABIC-INDIC DIGIT THREE}", "FORM", None),
    ("container", "CSQU 305438 4", "CHECK", "CSQU3054383"), ("container", "", "FORM", None),
    ("ship", "9074728", "CHECK", "9074729"), ("ship", "8814274", "CHECK", "8814275"), ("ship", "IMO 9074729", "SPELLING", "9074729"),
    ("air_waybill", "020-12345678", "CHECK", "020-12345675"), ("air_waybill", "020 12345675", "SPELLING", "020-12345675"),
    ("movement", "06DE586600006143E2", "CHECK", "06DE586600006143E1"),
    ("movement", "06de586600006143e1", "SPELLING", "06DE586600006143E1"), ("movement", "06DE586600006143E", "FORM", None),
    ("cas", "7732-18-6", "CHECK", "7732-18-5"), ("cas", "7732185", "SPELLING", "7732-18-5"), ("cas", "012770-26-2", "FORM", None),
    ("legal_entity", "213800KUD8LXJWSQ9D15", "CHECK", None), ("legal_entity", "HWUPKR0MPOU8FGXBT393", "CHECK", "HWUPKR0MPOU8FGXBT394"),
    ("post_item", "RR473124828SE", "CHECK", "RR473124829SE"), ("post_item", "RR 473 124 829 SE", "SPELLING", "RR473124829SE"),
    ("wagon", "318186650484", "CHECK", "318186650483"), ("wagon", "31 81 8665 048-3", "SPELLING", "318186650483"),
    ("gtin", "4006381333932", "CHECK", "4006381333931"), ("sscc", "106141412345678907", "CHECK", "106141412345678908"),
    ("place", "SGS1N", "FORM", None), ("place", "SG0IN", "FORM", None), ("place", "sgsin", "SPELLING", "SGSIN"),
    ("commodity", "8401.20", "SPELLING", "840120"), ("commodity", "2811.11", "SPELLING", "281111"),
    ("commodity", "30389", "SPELLING", "030389"), ("commodity", "770100", "FORM", None), ("commodity", "000000", "FORM", None),
    ("un_number", "UN1076", "SPELLING", "1076"), ("un_number", "4", "SPELLING", "0004"), ("trader", "D123", "FORM", None),
    ("trader", f"DE{'1' * 16}", "FORM", None), ("country", "XZ", "FORM", None), ("currency", "EURO", "FORM", None),
    ("incoterm", "DAT", "FORM", None), ("CWC", "1A09", "FORM", None), ("CWC", "1A12", "FORM", None), ("CML", "ML23", "FORM", None),
    ("MTCR", "21.A.1", "FORM", None), ("USML", "XXII(a)", "FORM", None), ("USML", "IIX(a)", "FORM", None),
    ("EU_ANNEX_I", "3a001.A.1", "SPELLING", "3A001.a.1"), ("EU_ANNEX_I", "3A601", "FORM", None), ("US_ECCN", "EAR98", "FORM", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "source"), DICTIONARY, ids=[f"{kind}-{value}" for kind, value, _ in DICTIONARY])
def test_examples_of_the_dictionary_are_valid(kind: str, value: str, source: str) -> None:
    """Each valid example of the domain dictionary passes its kind's judge, and is returned as it was given."""
    verdict = KINDS[kind].judge(value)
    assert (verdict.fault, verdict.value) == (None, value), (source, verdict.reason)


@pytest.mark.parametrize(("kind", "value", "fault", "expected"), WRONG, ids=[f"{kind}-{value}" for kind, value, _, _ in WRONG])
def test_what_is_wrong_is_named_with_what_would_be_right(kind: str, value: str, fault: str, expected: str | None) -> None:
    """A wrong check digit is answered with the right one, another way of writing with the normal form; the value stays as given."""
    verdict = KINDS[kind].judge(value)
    assert (verdict.fault, verdict.value) == (fault, value)
    assert verdict.reason
    if expected is not None:
        assert expected == (verdict.normal if fault == "SPELLING" else verdict.right)
        assert expected in verdict.reason
        assert KINDS[kind].judge(expected).valid


@pytest.mark.parametrize("name", KINDS)
def test_the_table_of_kinds_holds(name: str) -> None:
    """The examples that documents show are valid and not valid, and a kind says of both kinds of slips or of none."""
    kind = KINDS[name]
    assert all(kind.judge(value).valid for value in kind.valid)
    assert not any(kind.judge(value).valid for value in kind.invalid)
    assert (kind.single == NONE) == (kind.swaps == NONE)


def test_remainder_ten_is_a_caution() -> None:
    """MSKU 900006 leaves 10, written 0 (dictionary 2.6): a valid number that ISO 6346 advises not to use."""
    verdict = transport.container("MSKU9000060")
    assert verdict.valid
    assert "leaves 10" in verdict.caution
    assert not transport.container("CSQU3054383").caution


NOTES: list[tuple[Verdict, str]] = [
    (customs.movement("22SI001015200500J3"), "procedure letter J"),
    (customs.movement("06DE586600006143E1"), "issued in DE"),
    (transport.air_waybill("020-12345675"), "airline prefix 020"),
    (transport.container("CSQU3054384"), "owner CSQ"),
    (transport.post_item("RR473124829SE"), "country SE"),
    (parties.trader("XI123456789000"), "issued in XI"),
    (parties.trader("QQ123456789000"), "QQ is no country that issues EORI numbers"),
    (control.EU_ANNEX_I.judge("1C350.1"), "from Australia Group"),
    (control.EU_ANNEX_I.judge("3A001.a.1"), "from Wassenaar"),
    (control.EU_ANNEX_I.judge("2B104"), "from MTCR"),
    (control.EU_ANNEX_I.judge("2B204"), "from NSG"),
    (control.EU_ANNEX_I.judge("1C450"), "from CWC"),
    (control.EU_ANNEX_I.judge("4A506"), "from no regime"),
    (control.EU_ANNEX_I.judge("3D001"), "group D software"),
    (control.US_ECCN.judge("9A515.x"), "space"),
    (control.US_ECCN.judge("9A610.x"), "munitions moved from the USML"),
    (control.US_ECCN.judge("5A992.c"), "unilateral or anti-terrorism control"),
    (control.MTCR.judge("2.A.1.c"), "category I"),
    (control.MTCR.judge("3.A.1"), "category II"),
    (control.CWC.judge("2B13"), "precursor"),
    (control.NSG.judge("T:5.3"), "trigger list"),
    (control.USML.judge("VIII(h)(1)"), "category VIII"),
    (control.STRATEGIC_GOODS.judge("ML8.a.1"), "category ML8"),
]


@pytest.mark.parametrize(("verdict", "note"), NOTES, ids=[f"{verdict.value}-{note}" for verdict, note in NOTES])
def test_what_can_be_read_from_a_number(verdict: Verdict, note: str) -> None:
    """Parts of a number that mean something are told, whether its check digit fits or not."""
    assert note in verdict.notes


def test_every_schedule_of_the_cwc_has_its_entries() -> None:
    """Exactly the numbers that the dictionary gives: A and B parts of three schedules, and those of 2020."""
    wanted = {
        *(f"1A{n:02}" for n in (*range(1, 9), *range(13, 17))), *(f"1B{n:02}" for n in range(9, 13)),
        *(f"2A{n:02}" for n in range(1, 4)), *(f"2B{n:02}" for n in range(4, 15)),
        *(f"3A{n:02}" for n in range(1, 5)), *(f"3B{n:02}" for n in range(5, 18)),
    }  # fmt: skip
    every = (f"{schedule}{part}{number:02}" for schedule in range(10) for part in "ABC" for number in range(100))
    assert {code for code in every if control.CWC.judge(code).valid} == wanted


def test_the_munitions_lists_end_where_they_end() -> None:
    """Twenty-one categories of the USML and twenty-two of the Common Military List, no more and no fewer."""
    assert sum(control.USML.judge(f"{roman}(a)").valid for roman in control._ROMAN) == 21  # pyright: ignore[reportPrivateUsage]
    assert [number for number in range(40) if control.MILITARY.judge(f"ML{number}").valid] == list(range(1, 23))


@pytest.mark.parametrize("chapter", range(100))
def test_chapters_of_the_harmonized_system(chapter: int) -> None:
    """Chapters 01 to 97 without 77 are international, 98 and 99 national, 00 and 77 are none."""
    verdict = customs.commodity(f"{chapter:02}0110")
    assert verdict.valid == (chapter not in (0, 77))
    assert bool(verdict.caution) == (chapter in (98, 99))


def test_countries_beside_the_standard() -> None:
    """XK is used and not standard, XZ begins UN/LOCODEs only, YU was withdrawn without a successor that is in force."""
    assert territories.country("XK").caution
    assert "UN/LOCODE" in territories.country("XZ").reason
    assert customs.place("XZ2AB").valid
    assert territories.WITHDRAWN["BU"] == ("1989-12-05", "MM")
    assert territories.WITHDRAWN["YU"][1] is None
    assert not set(territories.WITHDRAWN) & territories.CURRENT


def test_currencies_that_were_replaced_are_not_active() -> None:
    """Each withdrawn currency of the table is out of force, and what took its place is in force."""
    assert not set(commerce.WITHDRAWN) & commerce.ACTIVE
    assert set(commerce.WITHDRAWN.values()) <= commerce.ACTIVE
    assert set(commerce.OLD_INCOTERMS.values()) <= set(commerce.INCOTERMS)


@pytest.mark.parametrize(("kind", "unknown", "known"), [("country", "Bx", "sg"), ("country", "eu", "xk"), ("currency", "eud", "eur")])
def test_a_code_in_small_letters_is_looked_up_in_its_normal_form(kind: str, unknown: str, known: str) -> None:
    """Only a code that the list has in its normal form is a matter of spelling; any other is malformed and gets no normal form."""
    assert (KINDS[kind].judge(unknown).fault, KINDS[kind].judge(unknown).normal) == ("FORM", None)
    assert (KINDS[kind].judge(known).fault, KINDS[kind].judge(known).normal) == ("SPELLING", known.upper())


def test_unit_loads_and_trailers_are_no_containers() -> None:
    """An air unit load device or a trailer's plate was never meant as a container number; a mistyped container was."""
    assert not transport.like_a_container("AKE12345LH")
    assert not transport.like_a_container("TRAILER 7")
    assert transport.like_a_container("CSQU 305438")
    assert transport.unit_load("AKE12345LH")


def test_dangerous_goods_keep_their_zeros() -> None:
    """UN 0004 is not 4: lists and labels show four digits."""
    assert chemicals.un_number("0004").valid
    assert chemicals.un_number("4").normal == "0004"
