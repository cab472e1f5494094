"""Every message and every member that the rules of a bundle can tell apart, but for the names: a finite space, gone through in full.

Cedar compares; it cannot look inside a value. So of each closed list the values that a rule writes out and one of the others stand for
all, and of the members one for each kind, standing and relation to the message. Not in the space: two rules that compare the same
two members in different ways, lists of several entries, and labels that no rule reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

from broker.ids import KINDS, country_of
from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import ROLES
from broker.policy.facts_file import read_facts
from broker.policy.model import AUDIENCE, Labels, Member, Verdict
from broker.policy.rules import Reading, read_rules
from tests.unit.policy.shipped import NOW_MS

COMMUNITY = "SPACE-COMMUNITY"
ORIGIN = "QA"
PLACES: Mapping[str, str] = {
    "named": "QM", "community": "QN", "country": "QO", "nothing": "QP", "everything": "QQ", "stranger": "QR",
    **{role: f"X{letter}" for role, letter in zip(ROLES, "ABCDEFGH", strict=True)},
}  # fmt: skip
"""Relations to a message, each with the country whose agencies stand in it: named, of a community or a country that is addressed, on the
route in one of the roles, all of these, none, or named and party to no agreement."""
COVERED = frozenset(country for relation, country in PLACES.items() if relation != "stranger")
FACTS = read_facts(
    json.dumps(
        {
            "agreements": [
                {
                    "id": "SPACE", "title": "Everybody but the strangers", "basis": "test", "countries": [ORIGIN, *sorted(COVERED)],
                    "personal": True, "from": "2020-01-01T00:00:00Z",
                }
            ]
        }
    )
)  # fmt: skip
"""One agreement, in force."""
DELIVERY = ("publish", "receive")
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
    named = tuple(agency for agency in everybody if country_of(agency) in (PLACES["named"], PLACES["everything"], PLACES["stranger"]))
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
    gets = {
        release.agency: {"receive", *(f"read:{section}" for section, _ in release.given)}
        for release in decider.distribute(labels, NOW_MS).releases
    }
    for member, verdict in zip(_in_order(bundle.policies), _publishing(decider, labels), strict=True):
        yield Situation(labels, member, frozenset(gets.get(member.agency, set()) | ({"publish"} if verdict.allowed else set())))


@cache
def _in_order(policies: str) -> tuple[Member, ...]:
    return tuple(member for _, member in sorted(members(read_rules(policies)).items()))


def decider_of(bundle: Bundle) -> Decider:
    """Decides about all members, under the agreement besides what the bundle has."""
    return Decider(bundle, members(read_rules(bundle.policies)), facts=bundle.facts.joined(FACTS), memo_limit=1)


def _publishing(decider: Decider, labels: Labels) -> list[Verdict]:
    """Whether each member may publish the message, whoever its originator is: as :meth:`Decider.explain` asks, but all at once."""
    standing = decider._as_of(NOW_MS)  # pyright: ignore[reportPrivateUsage]
    everybody = list(standing.sound.values())
    entities = decider._entity_set(labels, standing, everybody, NOW_MS)  # pyright: ignore[reportPrivateUsage]
    assert entities is not None
    found = decider._ask([(each, "publish") for each in everybody], labels, entities, NOW_MS)  # pyright: ignore[reportPrivateUsage]
    by_agency = {member.agency: verdict for member, verdict in zip(everybody, found, strict=True)}
    return [by_agency[agency] for agency in decider._members]  # pyright: ignore[reportPrivateUsage]


def _values(bundle: Bundle, reading: Reading) -> dict[str, tuple[str, ...]]:
    """Of each closed list what rules write out, and the first of the rest; all families and markings. One value of a list that no rule
    about publishing, receiving and reading looks at."""
    groups = [names for action, names in cedar.actions_of(bundle.schema).items() if action in DELIVERY or action.startswith("read:")]
    read = {name for rule in reading.rules if any(rule.concerns(each) for each in groups) for name in rule.attributes}
    found: dict[str, tuple[str, ...]] = {}
    for name, text in re.findall(r"entity (\w+) enum \[(.*?)\]", bundle.schema, re.DOTALL):
        every = re.findall(r'"([^"]+)"', text)
        written = reading.entities.get(name, frozenset())
        rest = [each for each in every if each not in written]
        if name in ("Family", "Tlp"):
            found[name] = tuple(every)
        else:
            found[name] = (*sorted(written), *rest[:1]) if name.lower() in read else tuple(every[:1])
    return found
