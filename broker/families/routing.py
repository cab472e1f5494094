"""Routing labels: what policy and relay know of a message without opening a section. Derived by each family, signed in the header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from broker.errors import Refusal
from broker.values import immutable

ROLES: Final = ("ORIGIN", "EXPORT", "TRANSIT", "TRANSHIPMENT", "DESTINATION", "ZONE_HOST", "LICENCE_ISSUER", "PLACE")
"""What a country can be to a movement or a licence."""

COUNTRY: Final = re.compile(r"[A-Z]{2}")
"""Shape of an ISO 3166-1 alpha-2 code. ASCII by rule: the code becomes the name of a policy entity."""
FREE_ZONE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}-[A-Za-z0-9]{1,12}")
"""Shape of a free zone's code: UN/LOCODE, a hyphen, the zone's number, such as ``SGSIN-03``."""
_CHAPTER = re.compile(r"(?!00|77)[0-9]{2}")
_CATEGORY = re.compile(r"[A-Z][A-Z0-9_]{1,31}")
_HS = re.compile(r"(?!00|77)[0-9]{6}(?:[0-9]{2})?")


@immutable
class RoutingLabels:
    """Countries with their role, HS chapters (two digits), risk category, free zone. Both tuples are sorted and unique."""

    countries: tuple[tuple[str, str], ...] = ()
    hs_chapters: tuple[str, ...] = ()
    category: str | None = None
    free_zone: str | None = None


def routing_labels(
    countries: Iterable[tuple[str, str]], hs_codes: Iterable[str], category: str | None, free_zone: str | None
) -> RoutingLabels:
    """Labels from what a family found in its sections. A malformed HS code gives no chapter (it is a finding elsewhere)."""
    chapters = {code[:2] for code in hs_codes if well_formed_hs(code)}
    return RoutingLabels(tuple(sorted(set(countries))), tuple(sorted(chapters)), category, free_zone)


def unrouted(sections: object) -> RoutingLabels:  # noqa: ARG001 (the form of a family's derivation)
    """For a family that goes to the agencies it names, whatever its sections hold."""
    return RoutingLabels()


def well_formed_hs(code: object) -> bool:
    """Six digits, or eight with the Combined Nomenclature's, in an existing chapter: 01 to 99 without 77."""
    return isinstance(code, str) and _HS.fullmatch(code) is not None


def check_routing(labels: RoutingLabels) -> Refusal | None:
    """Refuse labels that did not come from :func:`routing_labels` on sound sections: a stranger can sign any text.

    Returns a Refusal with code BAD_LABELS and a path below ``header.routing``.
    """
    if labels.countries != tuple(sorted(set(labels.countries))):
        return Refusal("BAD_LABELS", "sort the countries by code and role, each pair once", "header.routing.countries")
    for number, (country, role) in enumerate(labels.countries):
        path = f"header.routing.countries[{number}]"
        if not COUNTRY.fullmatch(country):
            return Refusal("BAD_LABELS", "a country is an ISO 3166-1 code of two capitals", f"{path}.country")
        if role not in ROLES:
            return Refusal("BAD_LABELS", f"a role is one of {', '.join(ROLES)}", f"{path}.role")
    if labels.hs_chapters != tuple(sorted(set(labels.hs_chapters))):
        return Refusal("BAD_LABELS", "sort the HS chapters, each once", "header.routing.hs_chapters")
    for number, chapter in enumerate(labels.hs_chapters):
        if not _CHAPTER.fullmatch(chapter):
            return Refusal("BAD_LABELS", "an HS chapter is two digits, 01 to 99 without 77", f"header.routing.hs_chapters[{number}]")
    if labels.category is not None and not _CATEGORY.fullmatch(labels.category):
        return Refusal("BAD_LABELS", "a category is a code in capitals such as DUAL_USE", "header.routing.category")
    if labels.free_zone is not None and not FREE_ZONE.fullmatch(labels.free_zone):
        return Refusal("BAD_LABELS", "a free zone is a UN/LOCODE, a hyphen and its number: SGSIN-03", "header.routing.free_zone")
    return None
