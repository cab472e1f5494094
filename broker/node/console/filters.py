"""What of the feed an officer wants to see: a filter, as the query of the feed's address, and the names that filters are kept under.

``POST /console/filters`` keeps one or lets go of one. A filter reads what the signed header says of a message, and who works on it;
it opens nothing that the purpose does not open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from litestar import Response, post
from litestar.datastructures import State

from broker.exchange.use import labels_kept
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import see
from broker.node.console.session import one, posted
from broker.node.console.words import WORDS
from broker.node.problems import NotDone
from broker.register.rows import SubjectRow
from broker.storage.saved_filters import MOST, SavedFilter, SavedFilters

WHO: Final = ("", "mine", "none")
"""Whose: anybody's, those assigned to who looks, those assigned to nobody."""
EVERYTHING: Final = "all=1"
"""The query of the feed without a filter: with none at all it begins with the user's own."""
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "origin": frozenset({"ORIGIN", "EXPORT"}), "transit": frozenset({"TRANSIT", "TRANSHIPMENT", "ZONE_HOST"}),
    "destination": frozenset({"DESTINATION"}),
}  # fmt: skip
"""The roles of countries in a header that a field means."""
VALUES: Final = 20
"""Most values of one field."""
NAME: Final = 60
"""Longest name."""
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "hs": re.compile(r"\d{2,12}", re.ASCII), "origin": _COUNTRY, "transit": _COUNTRY, "destination": _COUNTRY,
    "zone": re.compile(r"[A-Z0-9-]{2,20}", re.ASCII), "originator": re.compile(r"[A-Z]{2}-[A-Z0-9]{2,12}", re.ASCII),
}  # fmt: skip
_CHOSEN: Final[Mapping[str, Mapping[str, str]]] = {"urgency": WORDS["urgency"], "category": WORDS["category"]}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted. An empty field wants everything; of several values one has to fit, of several fields each."""

    urgency: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    hs: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    transit: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    originator: tuple[str, ...] = ()
    who: str = ""

    @property
    def query(self) -> str:
        """As the query of an address."""
        pairs = [(each.name, value) for each in fields(self) if each.name != "who" for value in getattr(self, each.name)]
        return urlencode([*pairs, *([("who", self.who)] if self.who else [])]) or EVERYTHING

    def fits(self, row: SubjectRow, agency: str) -> bool:
        """Whether a subject in this agency's register is wanted, by its signed header."""
        if (self.urgency and row.urgency not in self.urgency) or (self.originator and row.originator not in self.originator):
            return False
        if not (self.category or self.hs or self.zone or self.origin or self.transit or self.destination):
            return True
        labels = labels_kept(row, agency)
        if labels is None:
            return False
        route = all(
            any(country in wanted and role in ROLES[name] for country, role in labels.countries)
            for name, wanted in (("origin", self.origin), ("transit", self.transit), ("destination", self.destination))
            if wanted
        )
        return (
            route
            and (not self.category or labels.category in self.category)
            and (not self.hs or any(chapter in self.hs for chapter in labels.hs_chapters))
            and (not self.zone or any((labels.free_zone or "").startswith(zone) for zone in self.zone))
        )

    def fits_who(self, assignee: str, user: str) -> bool:
        """Whether it is wanted by who works on it."""
        return not self.who or assignee == (user if self.who == "mine" else "")


def filter_of(pairs: Iterable[tuple[str, str]]) -> Filter:
    """The filter of a query; what is no value of a field is left out. Several values may stand in one field, with spaces or commas."""
    found: dict[str, list[str]] = {each.name: [] for each in fields(Filter)}
    who = ""
    for name, text in pairs:
        if name == "who":
            who = text if text in WHO else ""
        elif name in found:
            found[name] += re.split(r"[\s,;]+", text.upper())
    chosen = {name: _good(name, values) for name, values in found.items() if name != "who"}
    return Filter(**chosen, who=who)


def _good(name: str, values: Iterable[str]) -> tuple[str, ...]:
    words, form = _CHOSEN.get(name), _FORMS.get(name)
    good = [each for each in values if (each in words if words is not None else form is not None and form.fullmatch(each))]
    chapters = (each[:2] for each in good) if name == "hs" else good
    return tuple(dict.fromkeys(chapters))[:VALUES]


def filters_of(state: State) -> SavedFilters:
    """The filters that users of the node have kept."""
    kept: SavedFilters = state["filters"]
    return kept


def wanted(request: AnyRequest, state: State) -> Filter:
    """The filter of a request for the feed; where it names none, the user's first."""
    pairs: list[tuple[str, str]] = list(request.query_params.multi_items())
    if pairs:
        return filter_of(pairs)
    first = next((each for each in filters_of(state).of(access.user_of(request).name) if each.first), None)
    return Filter() if first is None else filter_of(parse_qsl(first.query))


@post("/filters", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFilters")
async def keep(request: AnyRequest, state: State) -> Response[Any]:
    """Keep the filter that the form names, or let go of one, and go on to the feed."""
    fields_, owner = await posted(request, state["tokens"]), access.user_of(request).name
    name = one(fields_, "name")[:NAME]
    if one(fields_, "do") == "drop":
        filters_of(state).drop(owner, name)
        return see(f"/console/feed?{EVERYTHING}")
    if not name:
        raise NotDone("BAD_REQUEST", "give the filter a name")
    query = filter_of(parse_qsl(one(fields_, "query"))).query
    if not filters_of(state).keep(owner, SavedFilter(name, query, one(fields_, "first") == "on")):
        raise NotDone("BAD_REQUEST", f"you have {MOST} filters already: let go of one first")
    return see(f"/console/feed?{query}")
