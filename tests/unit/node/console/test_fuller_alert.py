"""An alert with several of everything: rows that are added and removed, what is typed stays, and what is sent is all of it."""

from __future__ import annotations

import re
from html import unescape
from typing import Final

import httpx
import pytest

from broker.node.console.composing import ALERT_ROWS
from broker.node.console.repeated import ROWS, changed_rows, filled_rows, rows_of
from tests.support.node_clients import InProcess
from tests.unit.node.console.conftest import ORIGIN, Officer, held, officer
from tests.unit.node.console.test_work import ALERT

FULL: Final = {
    **{name: [value] for name, value in ALERT.items()},
    "indicator": ["END_USE_UNCLEAR", "ROUTE_UNUSUAL"], "indicator_text": ["no workshop", ""],
    "document": ["HLCU1", "MAWB-1"], "document_type": ["", "741"],
    "containers": ["CSQU3054383", "MSKU0000007"], "seals": ["HL1, HL2", ""],
    "hs_code": ["847989", "903180"], "description": ["isostatic press", "measuring machine"], "control_scheme": ["EU_ANNEX_I", ""],
    "control_code": ["2B004", ""], "control_edition": ["2025", ""], "quantity": ["1", "2.5"], "unit": ["H87", "h87"],
    "gross_mass_kg": ["4200.5", ""], "party": ["Example Trading FZE", "Example Lines"], "party_role": ["CONSIGNEE", "CARRIER"],
    "party_country": ["ae", ""], "party_id": ["AE12", ""], "party_id_scheme": ["tax", ""],
    "place_role": ["LOADING", "TRANSHIPMENT", "DISCHARGE"], "locode": ["DEHAM", "SGSIN", "aejea"], "place_name": ["", "", ""],
    "place_country": ["", "", ""], "eta": ["", "2099-01-05T00:00", "2099-01-20T00:00"], "etd": ["2099-01-01T00:00", "2099-01-06T00:00", ""],
    "conveyance_mode": ["SEA"], "imo": ["9074729"], "conveyance_name": ["Example"], "voyage": ["017E"],
}  # fmt: skip


async def press(somebody: Officer, fields: dict[str, list[str]], do: str) -> httpx.Response:
    """Send the form with one of its buttons."""
    return await somebody.client.post("/console/compose/alert", data={**fields, "do": [do]}, headers=ORIGIN)


async def begun(somebody: Officer) -> dict[str, list[str]]:
    """The hidden fields and the subject of an empty form."""
    page = await somebody.get("/console/compose/alert")
    fields = {name: [value] for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)}
    subject = re.search(r'name="subject" value="([^"]+)"', page)
    assert subject is not None
    return {**fields, "subject": [subject[1]]}


def typed(page: str, name: str) -> list[str]:
    """What stands in the fields of a name."""
    return [unescape(value) for value in re.findall(rf'name="{name}" value="([^"]*)"', page)]


async def test_several_of_everything_arrive(sg: InProcess, my: InProcess) -> None:
    """Two indicators, documents, containers, goods and parties, and a route of three places with times and a ship, written in the form: the
    recipient holds them all, in order, and its page draws the route."""
    carol, alice = officer(sg, "supervisor"), officer(my)
    await carol.choose()
    await alice.choose()
    fields = {**await begun(carol), **FULL}
    shown = await press(carol, fields, "preview")
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', shown.text)
    assert seen is not None, shown.text
    sent = await press(carol, {**fields, "seen": [seen[1]]}, "send")
    assert sent.status_code == 303, sent.text
    subject = fields["subject"][0]
    await held(my, subject)
    found = my.node.reader().subject(subject, my.node.now_ms())
    assert found is not None
    content = found.content
    assert [each["code"] for each in content["core"]["indicators"]] == ["END_USE_UNCLEAR", "ROUTE_UNUSUAL"]
    assert [(each["type"], each["id"]) for each in content["core"]["documents"]] == [("705", "HLCU1"), ("741", "MAWB-1")]
    assert [(each["id"], each["seals"]) for each in content["equipment"]["units"]] == [
        ("CSQU3054383", ["HL1", "HL2"]), ("MSKU0000007", []),
    ]  # fmt: skip
    assert [each["description"] for each in content["goods"]["items"]] == ["isostatic press", "measuring machine"]
    assert content["goods"]["items"][0]["control_codes"] == [{"scheme": "EU_ANNEX_I", "code": "2B004", "edition": "2025"}]
    assert [each["locode"] for each in content["route"]["places"]] == ["DEHAM", "SGSIN", "AEJEA"]
    assert content["route"]["places"][1]["eta"] == "2099-01-05T00:00:00.000Z"
    assert [(each["country"], each["role"]) for each in content["route"]["countries"]] == [
        ("DE", "EXPORT"), ("SG", "TRANSIT"), ("AE", "DESTINATION"),
    ]  # fmt: skip
    assert content["route"]["conveyances"][0]["imo"] == "9074729"
    parties = content["parties"]["parties"]
    assert [each["name"] for each in parties] == ["Example Trading FZE", "Example Lines"]
    assert (parties[0]["address"]["country"], parties[0]["id_scheme"]) == ("AE", "TAX")
    page = await alice.get(f"/console/subjects/{subject.replace('/', '%2F')}")
    assert page.count("<polyline") == 2
    assert "By the times of the message it has not set out yet." in page


async def test_rows_come_and_go_and_the_rest_stays(sg: InProcess) -> None:
    """Without a script: a button adds an empty row, another removes one; all else that was typed stands there again, and nothing is sent or
    judged. What is refused comes back with every row as well."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    fields = {**await begun(carol), **FULL}
    before = sg.node.outbox.depth()
    more = await press(carol, fields, "add-indicators")
    assert more.status_code == 200
    assert typed(more.text, "indicator") == ["END_USE_UNCLEAR", "ROUTE_UNUSUAL", ""]
    assert typed(more.text, "locode") == ["DEHAM", "SGSIN", "aejea"]
    less = await press(carol, fields, "drop-places-1")
    assert typed(less.text, "locode") == ["DEHAM", "aejea"]
    assert typed(less.text, "eta") == ["", "2099-01-20T00:00"]
    assert typed(less.text, "party") == ["Example Trading FZE", "Example Lines"]
    hostile = "\"'><script>1</script>"
    refused = await press(carol, {**fields, "locode": ["DEHAM", hostile, "AEJEA"], "eta": ["", "soon", ""]}, "preview")
    assert refused.status_code == 422
    assert "route.places[1].eta" in refused.text
    assert typed(refused.text, "locode") == ["DEHAM", hostile, "AEJEA"]
    assert "<script>1" not in refused.text
    assert sg.node.outbox.depth() == before


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("seals", "HL9", "equipment.units[2].id"),
        ("party_id", "AE13", "parties.parties[2]"),
        ("indicator_text", "no workshop", "core.indicators[2].code"),
        ("document_type", "741", "core.documents[2].id"),
        ("authority", "DE-BAFA", "core.licence_refs[0].licence_no"),
        ("eta", "2099-01-05T00:00", "route.places[3].country"),
        ("gross_mass_kg", "7", "goods.items[2]"),
    ],
)
async def test_half_a_row_is_told(sg: InProcess, name: str, text: str, path: str) -> None:
    """A row in which something was typed and what it is about was not: it is told where, and the row does not vanish from what is sent."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    group = next(names for names in ALERT_ROWS.values() if name in names)
    rows = max(len(FULL.get(each, [""])) for each in group) if any(each in FULL for each in group) else 0
    half = {each: [*FULL.get(each, []), *[""] * (rows - len(FULL.get(each, []))), text if each == name else ""] for each in group}
    shown = await press(carol, {**await begun(carol), **FULL, **half}, "preview")
    assert shown.status_code == 422, shown.text
    assert path in shown.text


def test_rows() -> None:
    """Rows from fields of uneven length; more than are allowed are not made, a number that is none removes nothing."""
    names = ("a", "b")
    assert rows_of({}, names) == [{"a": "", "b": ""}]
    assert rows_of({"a": ["1", "2"], "b": ["3"]}, names) == [{"a": "1", "b": "3"}, {"a": "2", "b": ""}]
    assert filled_rows({"a": ["", "2"], "b": ["x", ""]}, names, by=("a",)) == [{"a": "2", "b": ""}]
    assert len(rows_of({"a": ["1"] * 500}, names)) == ROWS
    full = {"a": ["1"] * ROWS, "do": ["add-g"]}
    assert changed_rows(full, {"g": names}) == {**full, "b": [""] * ROWS}
    for do in ("preview", "add-other", "drop"):
        assert changed_rows({"do": [do]}, {"g": names}) is None
    for do in ("drop-g-9", "drop-g-x", "drop-g-", "drop-g-٣"):
        assert changed_rows({"a": ["1"], "do": [do]}, {"g": names}) == {"a": ["1"], "b": [""], "do": [do]}
