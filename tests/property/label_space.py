"""Every message and every member that the rules of a bundle can tell apart, but for the names: a finite space, gone through in full.

Cedar compares; it cannot look inside a value. So of each closed list the values that a rule writes out and one of the others stand for
all, and of the members one for each kind, standing and relation to the message. Not in the space: two rules that compare the same
two members in different ways, lists of several entries, and labels that no rule reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from broker.ids import KINDS, country_of
from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import ROLES
from broker.policy.model import AUDIENCE, Labels, Member
from broker.policy.rules import Reading, read_rules
from tests.unit.policy.shipped import NOW_MS

COMMUNITY = "SPACE-COMMUNITY"
ORIGIN = "QA"
PLACES: Mapping[str, str] = {
    "named": "QM", "community": "QN", "country": "QO", "nothing": "QP", "everything": "QQ",
    **{role: f"X{letter}" for role, letter in zip(ROLES, "ABCDEFGH", strict=True)},
}  # fmt: skip
"""Relations to a message, each with the country whose agencies stand in it: named, of a community or a country that is addressed, on the
route in one of the roles, all of these, or none."""
EMBARGOES = (None, NOW_MS - 1, NOW_MS, NOW_MS + 1)


@dataclass(frozen=True, slots=True)
class Situation:
    """One member and one message, and the actions that are open to it: ``publish``, ``receive``, ``read:core``."""

    labels: Labels
    member: Member
    may: frozenset[str]
    now_ms: int = NOW_MS

    @property
    def gets(self) -> bool:
        """Whether it is given anything of the message."""
        return any(action != "publish" for action in self.may)

    @property
    def named(self) -> bool:
        """Whether the originator names it."""
        return self.member.agency in self.labels.audience_agencies


def members(reading: Reading) -> dict[str, Member]:
    """Of each kind one in each relation, active and suspended; the possible originators; whoever a rule names, and of each country and
    community that a rule names one of each kind."""
    found: dict[str, Member] = {}

    def add(country: str, kind: str, communities: tuple[str, ...], suspended: bool) -> None:
        agency = f"{country}-{kind[:6].upper()}{len(found)}"
        found[agency] = Member(agency, country, kind, communities, suspended)

    for (relation, country), kind, suspended in product(PLACES.items(), KINDS, (False, True)):
        add(country, kind, (COMMUNITY,) if relation in ("community", "everything") else (), suspended)
    for kind in KINDS:
        add(ORIGIN, kind, (), False)
    for country, kind in product(sorted(reading.entities.get("Country", ())), KINDS):
        add(country, kind, (), False)
    for community, kind in product(sorted(reading.entities.get("Community", ())), KINDS):
        add("QZ", kind, (community,), False)
    for agency in sorted(reading.entities.get("Agency", ())):
        found[agency] = Member(agency, country_of(agency), "customs", (), False)
    return found


def messages(bundle: Bundle) -> Iterator[Labels]:
    """Every combination of the labels on which a decision of this bundle can depend, originators of every kind taking turns."""
    reading = read_rules(bundle.policies)
    everybody = members(reading)
    originators = [agency for agency in everybody if country_of(agency) == ORIGIN]
    named = tuple(agency for agency in everybody if country_of(agency) in (PLACES["named"], PLACES["everything"]))
    countries = tuple((PLACES[role], role) for role in ROLES) + tuple((PLACES["everything"], role) for role in ROLES)
    values = _values(bundle, reading)
    space = product(
        values["Family"], values["Tlp"], values["Handling"], values["Pap"], values["Urgency"], values["Onward"], (named, ()), EMBARGOES
    )
    for number, (family, tlp, handling, pap, urgency, onward, agencies, embargo) in enumerate(space):
        yield Labels(
            family=family, originator=originators[number % len(originators)], tlp=tlp, handling=handling, pap=pap, urgency=urgency,
            onward=onward, purposes=("STC_ENFORCEMENT",), legal_basis="NATIONAL", countries=countries, hs_chapters=("84",),
            category="DUAL_USE", free_zone=None, sections=sections(bundle), audience_agencies=agencies,
            audience_communities=(COMMUNITY,), audience_countries=(PLACES["country"], PLACES["everything"]),
            valid_until_ms=None, embargo_until_ms=embargo,
        )  # fmt: skip


def sections(bundle: Bundle) -> tuple[str, ...]:
    """Every section that can be read of whatever family, and the one that cannot."""
    return (AUDIENCE, *sorted(action.removeprefix("read:") for action in cedar.actions_of(bundle.schema) if action.startswith("read:")))


def situations(bundle: Bundle, decider: Decider, labels: Labels) -> Iterator[Situation]:
    """What each member may do with a message: by the exchange's own way of deciding, and to publish it, whoever asks."""
    everybody = members(read_rules(bundle.policies))
    gets = {
        release.agency: {"receive", *(f"read:{section}" for section, _ in release.given)}
        for release in decider.distribute(labels, NOW_MS).releases
    }
    entities = decider._entity_set(labels, everybody.values())  # pyright: ignore[reportPrivateUsage]
    assert entities is not None
    asked = [(member, "publish") for member in everybody.values()]
    for member, verdict in zip(
        everybody.values(),
        decider._ask(asked, labels, entities, NOW_MS),  # pyright: ignore[reportPrivateUsage]
        strict=True,
    ):
        yield Situation(labels, member, frozenset(gets.get(member.agency, set()) | ({"publish"} if verdict.allowed else set())))


def _values(bundle: Bundle, reading: Reading) -> dict[str, tuple[str, ...]]:
    """Of each closed list what rules write out, and the first of the rest; all families and markings."""
    found: dict[str, tuple[str, ...]] = {}
    for name, text in re.findall(r"entity (\w+) enum \[(.*?)\]", bundle.schema, re.DOTALL):
        every = re.findall(r'"([^"]+)"', text)
        written = reading.entities.get(name, frozenset())
        rest = [each for each in every if each not in written]
        found[name] = tuple(every) if name in ("Family", "Tlp") else (*sorted(written), *rest[:1])
    return found
