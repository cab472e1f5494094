"""Trade documents in JSON: what becomes a shipment, and that nothing of them breaks the reader."""

from __future__ import annotations

import json
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from broker.screening.reading import read_rows
from broker.screening.shipment import BadRow, Shipment

DCSA: dict[str, Any] = {
    "transportDocumentReference": "EXMPL0001",
    "documentParties": {
        "shipper": {"partyName": "Example Maker", "address": {"street": "A 1", "city": "B", "countryCode": "NL"}},
        "consignee": {"partyName": "Example Trading FZE", "identifyingCodes": [{"codeListName": "LEI", "partyCode": "LEI1"}]},
    },
    "consignmentItems": [{"carrierBookingReference": "{CBR}", "descriptionOfGoods": ["press"], "HSCodes": ["8479 89"]}],
    "utilizedTransportEquipments": [{"equipment": {"equipmentReference": "CSQU3054383"}, "seals": [{"number": "S1"}]}],
    "transports": {"portOfLoading": {"UNLocationCode": "DEHAM"}},
}
MANIFEST: dict[str, Any] = {
    "type": ["SeaCargoManifest"], "vesselName": "EXAMPLE", "vesselNumber": "IMO9074729", "voyageNumber": "017E",
    "portOfArrival": {"unLocode": "AEJEA"},
    "transportDocumentInformation": [
        {"type": ["MasterBillOfLading"], "billOfLadingNumber": "A1", "notifyParty": [{"name": "Somebody"}],
         "utilizedTransportEquipment": [{"equipmentReference": "CSQU3054383", "seals": [{"sealNumber": "S1"}]}]},
        {"type": ["MasterBillOfLading"], "billOfLadingNumber": "A2",
         "includedConsignmentItems": [{"commodity": {"commodityCode": "851671"}}]},
    ],
}  # fmt: skip


def read(value: object) -> list[Shipment | BadRow]:
    return list(read_rows([json.dumps(value).encode()]))


def test_a_transport_document() -> None:
    """Parties with numbers, containers with seals, goods, places and papers; a placeholder is no number."""
    (found,) = read(DCSA)
    assert isinstance(found, Shipment)
    assert found.reference == "EXMPL0001"
    assert found.documents == ({"type": "705", "id": "EXMPL0001"},)
    assert [each["role"] for each in found.parties] == ["CONSIGNOR", "CONSIGNEE"]
    assert found.parties[1]["name"] == "Example Trading FZE"
    assert found.parties[1]["lei"] == "LEI1"
    assert found.units == ({"id": "CSQU3054383"},)
    assert found.goods == ({"hs_code": "847989", "hs_edition": 2022, "description": "press"},)
    assert found.places == ({"role": "LOADING", "country": "DE", "locode": "DEHAM"},)


def test_a_manifest_is_a_shipment_for_each_bill() -> None:
    """Each bill has its own papers and goods, and the ship and ports of the manifest; a manifest without one is itself a shipment."""
    one, two = read(MANIFEST)
    assert isinstance(one, Shipment)
    assert isinstance(two, Shipment)
    assert (one.reference, two.reference) == ("A1", "A2")
    assert one.units == ({"id": "CSQU3054383", "seals": ["S1"]},)
    assert (two.units, two.goods) == ((), ({"hs_code": "851671", "hs_edition": 2022},))
    for each in (one, two):
        assert [(ship["imo"], ship["voyage"]) for ship in each.conveyances] == [("9074729", "017E")]
        assert [place["locode"] for place in each.places] == ["AEJEA"]
    (empty,) = read({**MANIFEST, "transportDocumentInformation": []})
    assert isinstance(empty, Shipment)
    assert [type(each) for each in read({"type": ["SeaCargoManifest"]})] == [BadRow]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ("type", "documentParties", "consignmentItems", "shipper", "location", "address", "commodity", "HSCodes", "seals", "vesselNumber",
         "equipmentReference", "billsOfLading", "billOfLadingNumber", "identifyingCodes", "grossWeight", "portOfLoading", "unLocode")
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES, st.sampled_from(("FreightManifest", "CBPEntry", "MasterBillOfLading")))
def test_anything_in_its_fields_is_read_or_told(value: object, kind: str) -> None:
    """Whatever stands where something is expected: a shipment or a bad row, and no exception."""
    other = {"billsOfLading": value, "shipper": value, "commodity": value}
    given_value = cast("dict[str, object]", value) if isinstance(value, dict) else other
    assert read({**given_value, "type": [kind]})
