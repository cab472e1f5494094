"""Shipments against a register: which are hits, with which evidence, and what is not told."""

from __future__ import annotations

from typing import Any

import pytest

from broker.app.screening import StoredView, screen
from broker.families.message import Message
from broker.register import keys
from broker.screening.hits import Hit, Screened
from broker.screening.matching import ROUTE, STATUS, ZONE
from broker.screening.shipment import BadRow, Shipment
from broker.testing.sample_reports import sample_entity_watch, sample_fz_warning, sample_licit_movement, sample_seizure
from broker.testing.samples import sample_alert
from tests.support.deliveries import Kept
from tests.unit.register.scene import DAY, NOW, changed, citing, decision, put

ALERT = "SG-CUSTOMS/2026/000001"


def shipment(**fields: Any) -> Shipment:
    return Shipment("json", 1, "line 1", **fields)


def hits(kept: Kept, given: Shipment, *, now: int = NOW, threshold: int = 75) -> list[Hit]:
    (found,) = screen([given], StoredView(kept.reader, now, None), threshold=threshold)
    assert isinstance(found, Screened)
    return list(found.hits)


def test_a_container_is_a_hit_with_reason_and_action(kept: Kept) -> None:
    """A container of a live alert, written in another way, is a hit that says which alert, how urgent, why, what is asked and where it
    matched; after the alert's end it is none."""
    kept.take(put(sample_alert(ALERT, urgency="IMMEDIATE")))
    given = shipment(units=({"id": "csqu 305438-3"},))
    (hit,) = hits(kept, given)
    assert (hit.subject, hit.revision, hit.urgency, hit.score) == (ALERT, 1, "IMMEDIATE", 95)
    assert hit.actions == ("HOLD",)
    assert "container csqu 305438-3" in hit.reason
    assert [(each.kind, each.where, each.listed) for each in hit.evidence] == [(keys.CONTAINER, "units[0].id", "CSQU3054383")]
    assert hits(kept, given, now=NOW + 30 * DAY) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"documents": ({"type": "N705", "id": "HLCU-HAM2611004711"},)},
        {"documents": ({"id": "hlcu ham 2611004711"},)},
        {"parties": ({"role": "CONSIGNEE", "name": "EXAMPLE TRADING F.Z.E."},)},
        {"parties": ({"role": "NOTIFY", "name": "Trading Exampel"},)},
    ],
    ids=["document", "document otherwise", "name", "name with a typo and turned about"],
)
def test_each_key_finds_the_alert(kept: Kept, fields: dict[str, Any]) -> None:
    """Documents and names find it, however they are written."""
    kept.take(put(sample_alert(ALERT)))
    assert [hit.subject for hit in hits(kept, shipment(**fields))] == [ALERT]


def test_what_thousands_share_is_no_hit_alone(kept: Kept) -> None:
    """The alert's HS code and its route alone are no hit, for it is about one shipment; beside the ship they add to the score."""
    kept.take(put(sample_alert(ALERT)))
    goods = ({"hs_code": "847989", "hs_edition": 2022},)
    assert hits(kept, shipment(goods=goods)) == []
    (alone,) = hits(kept, shipment(parties=({"role": "CONSIGNEE", "name": "Exampel Trading"},)), threshold=1)
    (both,) = hits(kept, shipment(goods=goods, parties=({"role": "CONSIGNEE", "name": "Exampel Trading"},)), threshold=1)
    assert both.score > alone.score
    assert keys.HS in {each.kind for each in both.evidence}


def commodity_alert(kind: str) -> Message:
    return changed(sample_alert(ALERT), "core", alert_type=kind)


def test_an_alert_about_a_commodity_is_found_by_it(kept: Kept) -> None:
    """An alert of type COMMODITY is found by the HS code alone, of six digits or of eight."""
    kept.take(put(commodity_alert("COMMODITY")))
    for code in ("847989", "84798997"):
        (hit,) = hits(kept, shipment(goods=({"hs_code": code, "hs_edition": 2022},)))
        assert [each.kind for each in hit.evidence] == [keys.HS]
    assert hits(kept, shipment(goods=({"hs_code": "847990", "hs_edition": 2022},))) == []


def test_an_alert_about_a_route_is_found_by_it(kept: Kept) -> None:
    """An alert of type ROUTE is found by origin and destination; one end of it is not enough."""
    kept.take(put(commodity_alert("ROUTE")))
    route = sample_alert(ALERT).sections["route"]
    ends = tuple({"country": each["country"], "role": each["role"]} for each in route["countries"])
    (hit,) = hits(kept, shipment(countries=ends))
    assert ROUTE in {each.kind for each in hit.evidence}
    assert hits(kept, shipment(countries=ends[:1])) == []


def test_a_warning_about_a_free_zone_is_found_by_the_zone(kept: Kept) -> None:
    """A shipment that passes the zone is a hit; one that passes the port beside it is half of one."""
    warning = sample_fz_warning()
    kept.take(put(warning))
    zone = warning.sections["core"]["free_zone_code"]
    (hit,) = hits(kept, shipment(free_zones=(zone,)))
    assert [each.kind for each in hit.evidence] == [ZONE]
    assert hits(kept, shipment(places=({"role": "LOADING", "locode": zone[:5]},))) == []
    assert hits(kept, shipment(places=({"role": "LOADING", "locode": zone[:5]},)), threshold=40) != []


@pytest.mark.parametrize("decided", ["SUSPEND", "REVOKE", "ANNUL"])
def test_a_licence_that_is_stopped_is_a_hit(kept: Kept, decided: str) -> None:
    """A cited licence that is revoked, suspended or annulled is a hit with the authority's instruction; a valid one is none; one that the
    register does not know is a finding."""
    given = shipment(licence_refs=({"licence_no": "2026 0815"},))
    (unknown,) = screen([given], StoredView(kept.reader, NOW, None))
    assert isinstance(unknown, Screened)
    assert [finding.code for finding in unknown.findings] == ["LICENCE_UNKNOWN"]
    kept.take(put(decision("GRANT", 1)))
    assert hits(kept, given) == []
    kept.take(put(decision(decided, 2), counter=2))
    (hit,) = hits(kept, given)
    assert (hit.family, hit.score, hit.actions) == ("licence", 100, ("HOLD",))
    assert [each.kind for each in hit.evidence] == [STATUS]
    other = shipment(licence_refs=({"licence_no": "2026-0815", "authority": "FR-SBDU"},))
    assert hits(kept, other) == []


def test_an_expired_licence_is_a_hit(kept: Kept) -> None:
    """A licence that ended by itself needs no message for it."""
    kept.take(put(decision("GRANT", 1)))
    given = shipment(licence_refs=({"licence_no": "2026-0815"},))
    (hit,) = hits(kept, given, now=NOW + 2000 * DAY)
    assert "EXPIRED" in hit.reason


def test_an_alert_that_cites_the_same_licence_is_a_hit(kept: Kept) -> None:
    """The number of a licence links two shipments."""
    kept.take(put(citing(1)))
    (hit,) = hits(kept, shipment(licence_refs=({"licence_no": "2026-0815"},)))
    assert keys.LICENCE in {each.kind for each in hit.evidence}


def test_a_name_is_explained(kept: Kept) -> None:
    """A hit by name tells for each word what it agreed with and why."""
    kept.take(put(sample_entity_watch()))
    listed = str(sample_entity_watch().sections["identity"]["names"][0]["name"])
    (hit,) = hits(kept, shipment(parties=({"role": "CONSIGNEE", "name": " ".join(reversed(listed.split()))},)))
    (evidence,) = (each for each in hit.evidence if each.kind == keys.NAME)
    assert evidence.parts
    assert {part.how for part in evidence.parts} == {"SAME"}


def test_rows_keep_their_order(kept: Kept) -> None:
    """Bad rows pass through between the shipments, over several batches, and nothing is read ahead of need by more than a batch."""
    kept.take(put(sample_alert(ALERT)))
    rows = [
        BadRow(n, "BAD_CSV", "x")
        if n % 3 == 0
        else shipment(
            units=({"id": "CSQU3054383"},),
        )
        for n in range(700)
    ]
    found = list(screen(rows, StoredView(kept.reader, NOW, None)))
    assert [isinstance(each, BadRow) for each in found] == [n % 3 == 0 for n in range(700)]
    assert sum(len(each.hits) for each in found if isinstance(each, Screened)) == sum(n % 3 != 0 for n in range(700))


def test_who_carries_for_many_is_no_hit(kept: Kept) -> None:
    """The carrier and the declarant of a shipment that an alert is about are in many others: neither is a hit alone, a watched one is."""
    line = {"role": "CARRIER", "name": "Example Container Line", "person_type": "2", "id": "AE-4711-99", "id_scheme": "TAX"}
    (party,) = sample_alert(ALERT).sections["parties"]["parties"]
    kept.take(put(changed(sample_alert(ALERT), "parties", parties=[party, {**dict.fromkeys(party), **line}])))
    given = shipment(parties=({"role": "CARRIER", "name": "Example Container Line", "id": "AE-4711-99"},))
    assert hits(kept, given) == []
    (weak,) = hits(kept, given, threshold=1)
    assert weak.score < 50
    watch = sample_entity_watch()
    names = [{**name, "name": "Example Container Line", "transliteration": None} for name in watch.sections["identity"]["names"][:1]]
    kept.take(put(changed(watch, "identity", names=names)))
    assert [hit.family for hit in hits(kept, given)] == ["entity_watch"]


def test_what_was_seized_before_is_a_hit(kept: Kept) -> None:
    """A container of a seizure report is a hit, as declared and as found; one that is announced as a licit movement is none."""
    seizure, movement = sample_seizure("SG-CUSTOMS/2026/S-1"), sample_licit_movement()
    kept.take(put(seizure), put(movement))
    (unit,) = seizure.sections["equipment"]["units"]
    for number in filter(None, (unit["id"], unit.get("observed_raw"))):
        assert [(hit.family, hit.actions) for hit in hits(kept, shipment(units=({"id": number},)))] == [("seizure", ("ASSESS_ONLY",))]
    announced = [each["id"] for each in (movement.sections.get("equipment") or {}).get("units", ())]
    assert all(hits(kept, shipment(units=({"id": number},))) == [] for number in announced)
