"""Declarations, entry summaries and waybills in XML: what is read of them, and what hostile XML comes to."""

from __future__ import annotations

import pytest

from broker.families.codelists import NO_LISTS
from broker.screening.findings import findings
from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow, Row, Shipment
from broker.screening.xml_tree import DEPTH, TEXT_LIMIT

DECLARATION = """<md:MetaData xmlns:md="urn:md" xmlns="urn:dec"><Declaration><FunctionalReferenceID>R-1</FunctionalReferenceID>
<ID>22SI001015200500J3</ID><BorderTransportMeans><ID>9074729</ID><IdentificationTypeCode>10</IdentificationTypeCode>
<JourneyID>017E</JourneyID><ModeCode>1</ModeCode></BorderTransportMeans><Declarant><ID>GB123456789000</ID></Declarant>
<GoodsShipment><Consignee><Name>Example Trading FZE</Name><Address><CityName>Dubai</CityName><CountryCode>AE</CountryCode></Address>
</Consignee><Consignment><TransportEquipment><ID>CSQU3054383</ID><Seal><ID>HL1</ID></Seal></TransportEquipment>
<TransportContractDocument><ID>HLCU1</ID><TypeCode>705</TypeCode></TransportContractDocument></Consignment>
<ExportCountry><ID>GB</ID></ExportCountry><UCR><TraderAssignedReferenceID>U-1</TraderAssignedReferenceID></UCR>
<GovernmentAgencyGoodsItem><AdditionalDocument><CategoryCode>X</CategoryCode><ID>2026-0815</ID><TypeCode>002</TypeCode>
</AdditionalDocument><AdditionalDocument><CategoryCode>Y</CategoryCode><ID>no matter</ID><TypeCode>935</TypeCode></AdditionalDocument>
<Commodity><Description>isostatic press</Description><Classification><ID>84798997</ID><IdentificationTypeCode>TSP</IdentificationTypeCode>
</Classification><DangerousGoods><UNDGID>1950</UNDGID></DangerousGoods></Commodity><Destination><CountryCode>AE</CountryCode></Destination>
</GovernmentAgencyGoodsItem></GoodsShipment></Declaration></md:MetaData>"""
SUMMARY = """<ie:CC315A xmlns:ie="urn:ie"><MesSenMES3>GB1234/12</MesSenMES3><HEAHEA><RefNumHEA4>L-1</RefNumHEA4>
<TraModAtBorHEA76>4</TraModAtBorHEA76><ConRefNumHEA>SQ 12</ConRefNumHEA><TotNumOfIteHEA305>1</TotNumOfIteHEA305>
<ComRefNumHEA>U-2</ComRefNumHEA><PlaLoaGOOITE334>SGSIN Singapore</PlaLoaGOOITE334></HEAHEA>
<TRACONCE1><NamCE17>Example Trading FZE</NamCE17><StrAndNumCE122>Road 1</StrAndNumCE122><CouCE125>AE</CouCE125></TRACONCE1>
<GOOITEGDS><IteNumGDS7>1</IteNumGDS7><CONNR2><ConNumNR21>CSQU3054383</ConNumNR21></CONNR2><COMCODGODITM><ComNomCMD1>847989</ComNomCMD1>
</COMCODGODITM><PRODOCDC2><DocTypDC21>N740</DocTypDC21><DocRefDC23>618-12345675</DocRefDC23></PRODOCDC2></GOOITEGDS>
<ITI><CouOfRouCodITI1>SG</CouOfRouCodITI1></ITI><SEAID529><SeaIdSEAID530>S1</SeaIdSEAID530></SEAID529></ie:CC315A>"""
WAYBILL = """<r:Waybill xmlns:r="iata:waybill:1"><r:MessageHeaderDocument><TypeCode>741</TypeCode></r:MessageHeaderDocument>
<r:BusinessHeaderDocument><ID>618-12345675</ID></r:BusinessHeaderDocument><r:MasterConsignment><ConsignorParty><Name>Sender
second line</Name></ConsignorParty><SpecifiedLogisticsTransportMovement><ID>SQ12</ID><DepartureEvent><ScheduledOccurrenceDateTime>
2026-10-01T10:00:00</ScheduledOccurrenceDateTime></DepartureEvent></SpecifiedLogisticsTransportMovement><IncludedCustomsNote>
<ContentCode>T</ContentCode><SubjectCode>SHP</SubjectCode><Content>IE1</Content></IncludedCustomsNote></r:MasterConsignment></r:Waybill>"""


def read(text: str | bytes, size: int = 100) -> list[Row]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(read_rows(raw[at : at + size] for at in range(0, len(raw), size)))


def one(text: str | bytes) -> Shipment:
    (row,) = read(text)
    assert isinstance(row, Shipment), row
    return row


def test_a_declaration() -> None:
    """Numbers, ship with voyage, parties with addresses, equipment with seals, papers, licences and goods; a statement is no paper."""
    row = one(DECLARATION)
    assert (row.form, row.reference, row.mrn, row.ucr) == ("wco", "R-1", "22SI001015200500J3", "U-1")
    assert row.conveyances == ({"mode": "SEA", "imo": "9074729", "voyage": "017E"},)
    assert row.units == ({"id": "CSQU3054383", "seals": ["HL1"]},)
    assert row.documents == ({"type": "705", "id": "HLCU1"},)
    assert row.licence_refs == ({"licence_no": "2026-0815"},)
    assert [party["role"] for party in row.parties] == ["DECLARANT", "CONSIGNEE"]
    assert row.parties[1]["address"] == {"city": "Dubai", "country": "AE"}
    (item,) = row.goods
    assert (item["hs_code"], item["un_number"]) == ("84798997", "1950")
    assert [(each["country"], each["role"]) for each in row.countries] == [("GB", "EXPORT"), ("AE", "DESTINATION")]


def test_an_entry_summary() -> None:
    """The flight is the conveyance reference; a place with a code and a name is both; seals go with the containers."""
    row = one(SUMMARY)
    assert row.conveyances == ({"mode": "AIR", "flight": "SQ12"},)
    assert row.places == ({"role": "LOADING", "country": "SG", "locode": "SGSIN", "name": "Singapore"},)
    assert row.units == ({"id": "CSQU3054383", "seals": ["S1"]},)
    assert row.documents == ({"type": "N740", "id": "618-12345675"},)
    assert row.parties[0]["name"] == "Example Trading FZE"


def test_a_waybill() -> None:
    """Number, flight with its day, and the trader's number out of the customs notes; a name is its first line."""
    row = one(WAYBILL)
    assert row.documents == ({"type": "N741", "id": "618-12345675"},)
    assert row.conveyances[0]["flight"] == "SQ12"
    assert str(row.conveyances[0]["flight_date"]) == "2026-10-01"
    assert row.parties == ({"role": "CONSIGNOR", "name": "Sender", "id": "IE1", "id_scheme": "TAX"},)


def test_a_file_of_many_is_read_as_they_end() -> None:
    """Declarations in one document are given one by one, and a break in the middle leaves those before it."""
    inner = DECLARATION.partition(">")[2].removesuffix("</md:MetaData>")
    whole = f'<all xmlns:md="urn:md">{inner * 3}</all>'
    assert [type(row) for row in read(whole)] == [Shipment] * 3
    rows = read(whole[: len(whole) - len(inner) // 2])
    assert [type(row) for row in rows] == [Shipment, Shipment, BadRow]
    assert isinstance(rows[2], BadRow)
    assert rows[2].code == "BAD_XML"


BOMB = """<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Declaration><ID>&b;</ID></Declaration>"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "XML_DTD"), ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><Declaration/>", "XML_DTD"), ("<Declaration><ID>", "BAD_XML"),
        ("<Declaration><ID>&x;</ID></Declaration>", "BAD_XML"), ("<a><b/></a>", "UNKNOWN_DOCUMENT"), ("<", "BAD_XML"),
        ("<Declaration>" + "<a>" * DEPTH + "</a>" * DEPTH + "</Declaration>", "TOO_DEEP"),
        ("<?xml version='1.0' encoding='no'?><a/>", "BAD_XML"), ("<?xml version='1.0' encoding='utf-7'?><a/>", "BAD_XML"),
        (f"<Declaration><ID>{'x' * (TEXT_LIMIT + 1)}</ID></Declaration>", "TOO_LONG"),
        (f"<Declaration>{'<a/>' * 250_000}</Declaration>", "TOO_LARGE"), ("<Declaration><a b='1' b='2'/></Declaration>", "BAD_XML"),
        ("<Declaration/>", "NOTHING_TO_SCREEN"), ("<CC315A/>", "NOTHING_TO_SCREEN"), ("<Waybill/>", "NOTHING_TO_SCREEN"),
        (b"<Declaration><ID>\xff</ID></Declaration>", "BAD_XML"),
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_xml_is_refused(text: str | bytes, code: str) -> None:
    """Bombs, outside entities, broken, deep, long, large and unknown documents, each by its own code."""
    (row,) = read(text, size=65536)
    assert isinstance(row, BadRow), row
    assert row.code == code


def test_encodings_are_the_documents_own() -> None:
    """UTF-16 and Latin 1 are read as the declaration says."""
    for encoding in ("utf-16", "iso-8859-1"):
        text = f"<?xml version='1.0' encoding='{encoding}'?><Declaration><Exporter><Name>Müller</Name></Exporter></Declaration>"
        assert one(text.encode(encoding)).parties[0]["name"] == "Müller"


def test_what_papers_always_name() -> None:
    """A declaration without goods is told of; a response to one, and an amendment, name less and are not."""
    party = "<Declarant><ID>GB123456789000</ID></Declarant>"
    for text, missing in (
        (f"<Declaration>{party}</Declaration>", ["goods"]),
        ("<Response><Declaration><ID>22SI001015200500J3</ID></Declaration></Response>", []),
        ("<Declaration><ID>22SI001015200500J3</ID><Amendment><ChangeReasonCode>1</ChangeReasonCode></Amendment></Declaration>", []),
    ):
        assert [each.path for each in findings(one(text), NO_LISTS) if each.code == "MISSING"] == missing
