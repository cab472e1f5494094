"""Routing labels derived from sections, and the refusal of labels that no family would have derived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.families.catalogue import FAMILIES
from broker.families.message import Message
from broker.families.routing import RoutingLabels, check_routing, routing_labels
from tests.unit.families.samples import GOOD, REMOVE, changed, good_alert, good_licence, good_seizure


def routing_of(message: Message) -> RoutingLabels:
    return FAMILIES[message.family].routing(message.sections)


def test_an_alert_is_routed_by_its_route_goods_and_risk() -> None:
    """Countries of the route with their roles, places that add a country, HS chapters, the category, the zone."""
    assert routing_of(good_alert()) == RoutingLabels(
        countries=(
            ("AE", "DESTINATION"),
            ("OM", "PLACE"),
            ("SG", "TRANSHIPMENT"),
            ("SG", "ZONE_HOST"),
            ("TH", "ORIGIN"),
        ),
        hs_chapters=("84",),
        category="DUAL_USE",
        free_zone="SGSIN-03",
    )


def test_places_give_their_country_a_role() -> None:
    """A transhipment port and a free zone count even where the list of countries forgets them."""
    message = changed(
        good_alert(),
        {"route.countries": [], "route.places": [{"role": "TRANSHIPMENT", "country": "LK"}, {"role": "FREE_ZONE", "country": "PA"}]},
    )
    assert routing_of(message).countries == (("LK", "TRANSHIPMENT"), ("PA", "ZONE_HOST"))


def test_an_alert_without_route_and_goods_still_has_its_category() -> None:
    """Nothing is guessed for what is missing."""
    assert routing_of(changed(good_alert(), {"route": REMOVE, "goods": REMOVE})) == RoutingLabels(category="DUAL_USE")


def test_a_licence_is_routed_by_issuer_destination_and_transit() -> None:
    """Those who have to stop a shipment under a revoked licence are reached by their country's role."""
    assert routing_of(good_licence()) == RoutingLabels(
        countries=(("AE", "DESTINATION"), ("DE", "LICENCE_ISSUER"), ("SG", "TRANSIT")), hs_chapters=("84",)
    )


def test_a_seizure_is_routed_by_place_route_and_both_hs_codes() -> None:
    """Chapters as declared and as found both count; a free zone makes its country the host."""
    assert routing_of(good_seizure()) == RoutingLabels(
        countries=(("AE", "PLACE"), ("AE", "ZONE_HOST"), ("DE", "EXPORT")),
        hs_chapters=("74", "84"),
        category="CBRN_C",
        free_zone="AEJEA-01",
    )


def test_other_families_are_routed_by_what_their_sections_say() -> None:
    """A zone's country is its host without being listed; a watch names where its entity acts; notices follow their route."""
    assert routing_of(GOOD["fz_warning"]()) == RoutingLabels(
        (("AE", "DESTINATION"), ("DE", "ORIGIN"), ("SG", "ZONE_HOST")), ("90",), "DUAL_USE", "SGSIN-03"
    )
    assert routing_of(GOOD["entity_watch"]()) == RoutingLabels((("AE", "PLACE"), ("SG", "PLACE")), (), "SANCTIONS_DIVERSION")
    assert routing_of(GOOD["licit_movement"]()) == RoutingLabels((("DE", "EXPORT"), ("SG", "DESTINATION")), ("29",), "CBRN_C")
    assert routing_of(GOOD["reachback"]()) == RoutingLabels((("AE", "DESTINATION"), ("DE", "EXPORT")), ("84",), "CBRN_C")
    assert routing_of(GOOD["rfi"]()) == RoutingLabels((("AE", "PLACE"),), (), "DUAL_USE")
    assert routing_of(GOOD["licence_usage"]()) == RoutingLabels((("DE", "LICENCE_ISSUER"),))
    answers = (
        "ack",
        "feedback",
        "rfi_reply",
        "correction",
        "recall",
        "recall_reply",
        "consent_request",
        "consent_reply",
        "reachback_reply",
        "attachment",
    )
    assert {routing_of(GOOD[family]()) for family in answers} == {RoutingLabels()}


@pytest.mark.parametrize("family", FAMILIES)
def test_derived_labels_pass_the_check(family: str) -> None:
    """What a family derives from a good message is what the relay accepts."""
    assert check_routing(routing_of(GOOD[family]())) is None


def test_labels_are_sorted_and_unique_and_leave_out_malformed_codes() -> None:
    """Equal content gives equal labels, in whatever order it was written."""
    countries = [("SG", "TRANSIT"), ("AE", "PLACE"), ("SG", "TRANSIT")]
    labels = routing_labels(countries, ["848180", "84", "770000", "281111", "28111190"], None, None)
    assert labels == RoutingLabels((("AE", "PLACE"), ("SG", "TRANSIT")), ("28", "84"))


GOOD_LABELS = RoutingLabels((("AE", "PLACE"), ("SG", "TRANSIT")), ("28", "84"), "DUAL_USE", "SGSIN-03")


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        (replace(GOOD_LABELS, countries=GOOD_LABELS.countries[::-1]), "countries"),
        (replace(GOOD_LABELS, countries=(("AE", "PLACE"), ("AE", "PLACE"))), "countries"),
        (replace(GOOD_LABELS, countries=(("ae", "PLACE"),)), "countries[0].country"),
        (replace(GOOD_LABELS, countries=(("AE", "PLACE"), ("\N{CYRILLIC CAPITAL LETTER ES}G", "PLACE"))), "countries[1].country"),
        (replace(GOOD_LABELS, countries=(("AE", "HOME"),)), "countries[0].role"),
        (replace(GOOD_LABELS, hs_chapters=("84", "28")), "hs_chapters"),
        (replace(GOOD_LABELS, hs_chapters=("77",)), "hs_chapters[0]"),
        (replace(GOOD_LABELS, hs_chapters=("8",)), "hs_chapters[0]"),
        (replace(GOOD_LABELS, hs_chapters=("\N{FULLWIDTH DIGIT EIGHT}4",)), "hs_chapters[0]"),
        (replace(GOOD_LABELS, category="dual use"), "category"),
        (replace(GOOD_LABELS, free_zone="SGSIN"), "free_zone"),
    ],
)
def test_foreign_labels_are_refused(labels: RoutingLabels, path: str) -> None:
    """A signed header may hold any text; only what a family could have derived reaches policy."""
    assert check_routing(GOOD_LABELS) is None
    refusal = check_routing(labels)
    assert refusal is not None
    assert (refusal.code, refusal.path) == ("BAD_LABELS", f"header.routing.{path}")
