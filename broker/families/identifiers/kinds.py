"""Every kind of identifier in one table, with examples and what its check digit can find: the source of docs/identifiers.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.families.identifiers import chemicals, commerce, control, customs, parties, territories, transport
from broker.families.identifiers.verdict import Judge

NONE: Final = "no check digit"
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of identifier: its scheme and judge, examples that are valid and that are not.

    ``single`` and ``swaps`` say which single wrong characters, and which two neighbours changed about, the check digit finds.
    """

    scheme: str
    judge: Judge
    valid: tuple[str, ...]
    invalid: tuple[str, ...]
    single: str = NONE
    swaps: str = NONE


_MOD_11: Final = (
    "all but: signs of equal value modulo 11 (A K U; 1 B L V; 2 C M W; and so on to 9 J T), and what turns remainder 10 into 0 or back"
)
_MOD_11_SWAPS: Final = "all but: signs of equal value modulo 11, and what turns remainder 10 into 0 or back"

KINDS: Final[Mapping[str, Kind]] = {
    "container": Kind(
        "ISO 6346", transport.container, ("CSQU3054383", "MSKU9070323", "MSKU9000060"), ("CSQU3054384", "CSQU 305438 3", "csqu3054383"),
        _MOD_11, _MOD_11_SWAPS,
    ),
    "size_type": Kind("ISO 6346", transport.size_type, ("22G1", "45R1", "L5GP"), ("20FT",)),
    "ship": Kind(
        "IMO", transport.ship, ("9074729", "9811000"), ("9074728", "IMO 9074729"),
        "all but: an even difference in the third digit, a difference of 5 in the second, fourth or sixth",
        ALL,
    ),
    "air_waybill": Kind(
        "IATA", transport.air_waybill, ("020-12345675", "172-00000011", "02012345675"), ("020-12345676", "020 1234 5675"),
        "of serial number and check digit all but a difference of 7; nothing in the airline's prefix",
        "of serial number and check digit all but a difference of 7; nothing in the airline's prefix",
    ),
    "wagon": Kind(
        "UIC 438", transport.wagon, ("318186650483", "338053761239"), ("318186650484", "31 81 8665 048-3"), ALL, "all but 09 and 90"
    ),
    "post_item": Kind(
        "UPU S10", transport.post_item, ("RR473124829SE", "CC473124829FI"), ("RR473124828SE",),
        "of the digits all but those that turn remainder 0 into 6 or back; nothing in the letters",
        "of the digits all but those that turn remainder 0 into 6 or back",
    ),
    "sscc": Kind("GS1", transport.sscc, ("106141412345678908",), ("106141412345678909",), ALL, "all but a difference of 5"),
    "gtin": Kind("GS1", transport.gtin, ("4006381333931",), ("4006381333932",), ALL, "all but a difference of 5"),
    "movement": Kind(
        "MRN", customs.movement, ("06DE586600006143E1", "22SI001015200500J3"), ("06DE586600006143E2",), _MOD_11, _MOD_11_SWAPS
    ),
    "consignment": Kind("UCR, WCO 009", customs.consignment, ("6GB123456789000-REF1",), ("UCR WITH SPACES", "",)),
    "place": Kind("UN/LOCODE", customs.place, ("SGSIN", "NLRTM", "XZ2AB"), ("SGS1N", "SG SIN")),
    "free_zone": Kind("UN/LOCODE and number", customs.free_zone, ("SGSIN-03", "AEJEA-01"), ("SGSIN03", "sgsin-03")),
    "commodity": Kind(
        "HS", customs.commodity, ("840120", "281111", "84012000"), ("8401.20", "30389", "770100", "8401")
    ),
    "un_number": Kind("UN dangerous goods", chemicals.un_number, ("1076", "2977", "0004"), ("UN1076", "4", "10766")),
    "cas": Kind(
        "CAS", chemicals.cas, ("7732-18-5", "107-44-8", "111-48-8", "676-99-3"), ("7732-18-6", "107448"),
        "from the right, check digit not counted: all but a difference of 5 in the 2nd, 4th, 6th and 8th digit, an even one in the 5th",
        "all but a difference of 5 across the last hyphen",
    ),
    "cus": Kind("CUS (ECICS)", chemicals.cus, ("0010164-4",), ("10164",)),
    "trader": Kind("EORI", parties.trader, ("DE123456789012345", "XI123456789000"), ("DE 1234567890", "1DE")),
    "legal_entity": Kind(
        "LEI, ISO 17442", parties.legal_entity, ("HWUPKR0MPOU8FGXBT394", "7LTWFZYICNSX8D621K86"), ("HWUPKR0MPOU8FGXBT395",),
        "all of a digit for a digit or a letter for a letter; of a digit for a letter about 98 in 100",
        "all of two digits or two letters; of a digit and a letter about 98 in 100",
    ),
    "country": Kind("ISO 3166-1", territories.country, ("SG", "XK"), ("XZ", "YU", "sg")),
    "currency": Kind("ISO 4217", commerce.currency, ("EUR", "XCG"), ("HRK", "eur")),
    "unit": Kind("UN Rec 20", customs.unit_form, ("KGM", "LTR", "GBQ"), ("kgm", "KILO")),
    "package": Kind("UN Rec 21", customs.package_form, ("CT", "DR"), ("ct", "CARTON")),
    "transport_means": Kind("UN Rec 28", transport.transport_means, ("150",), ("SHIP",)),
    "incoterm": Kind("Incoterms 2020", commerce.incoterm, commerce.INCOTERMS, ("DAT", "fob")),
    "EU_ANNEX_I": Kind("EU Annex I", control.EU_ANNEX_I.judge, ("3A001.a.1", "1C350.1", "6A005.a.6.a.1"), ("3A601", "3F001", "3a001.A.1")),
    "US_ECCN": Kind("US ECCN", control.US_ECCN.judge, ("3A001.a.1.a", "9A515.x", "9A610.x", "EAR99"), ("EAR98", "3A01", "9a515.X")),
    "USML": Kind("USML", control.USML.judge, ("VIII(h)(1)", "XI(a)(3)(ii)"), ("XXII(a)", "IIII(a)", "viii(h)(1)")),
    "CML": Kind("Common Military List", control.MILITARY.judge, ("ML8.a.1", "ML22"), ("ML23", "ML0", "ml8.a")),
    "CWC": Kind("CWC schedules", control.CWC.judge, ("1A01", "2B13", "1A16", "3B17"), ("1A09", "2A04", "3B18", "1a01")),
    "NSG": Kind("NSG", control.NSG.judge, ("3.A.1", "T:5.3.1"), ("3.F.1", "5.3.1")),
    "MTCR": Kind("MTCR", control.MTCR.judge, ("2.A.1.c", "20.D.1", "2.A.1.b.1"), ("21.A.1", "0.A.1")),
    "SG_SGCO": Kind("Strategic Goods (Control) Order", control.STRATEGIC_GOODS.judge, ("3A001.a.1", "ML8.a.1"), ("EAR99",)),
    "CHPL": Kind("Common High Priority List", control.HIGH_PRIORITY.judge, ("854231",), ("3.A", "770000")),
}  # fmt: skip
"""Name of a kind to its description. The names of control lists are those that ``control_codes[].scheme`` uses."""
