"""Scenarios: what a bundle must decide, as data beside the policies. A bundle whose own scenarios fail is not to be applied.

The file is JSON. ``members`` lists agencies with kind and communities; ``entities`` has dated facts besides those of the bundle, in the
form of :mod:`broker.policy.facts_file`, so that rules about agreements can be tested with made-up ones. Each of ``scenarios`` has a name,
a sentence ``about``, the ``labels`` of a message, optionally ``now`` and the agencies ``suspended`` at that time, the rule ``publish``
that lets it in (or stops it), and ``gets``: for each agency that gets something, the rule ``by`` which and the sections it ``reads``,
optionally the rules that ``withhold`` a section; for a denial that matters, the rule ``denied``. An agency not listed must get nothing.
``asks`` are questions beside these: whether an ``agency`` may do something else with the message (``action``, perhaps for a ``purpose``):
``allowed`` or not, and the rule ``by`` which that is decided. ``not_yet`` lists lines that nothing decides yet, each with the reason.

Besides, no other agency of the originator's kind may publish the message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

from broker.errors import UsageError
from broker.ids import country_of
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.facts_file import read_facts
from broker.policy.model import Consent, Labels, Member

_DEFAULT_NOW: Final = "2026-11-24T12:00:00Z"
_PLAIN: Final[dict[str, object]] = {
    "handling": "H0", "pap": None, "urgency": "PRIORITY", "onward": "NONE", "legal_basis": "NATIONAL", "category": None, "free_zone": None,
}  # fmt: skip
_LISTS: Final = ("purposes", "hs_chapters", "sections", "audience_agencies", "audience_communities", "audience_countries")


@dataclass(frozen=True, slots=True)
class Expected:
    """What one agency must get: ``denied`` by a rule, or ``reads`` these sections, received ``by`` a rule."""

    by: str
    reads: frozenset[str]
    withhold: Mapping[str, str]
    denied: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question beside publishing and delivery, its answer, and the rule by which."""

    agency: str
    action: str
    purpose: str | None
    allowed: bool
    by: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One message and all that must follow from it. ``now_ms`` is Unix milliseconds."""

    name: str
    about: str
    members: Mapping[str, Member]
    labels: Labels
    now_ms: int
    publish: str
    gets: Mapping[str, Expected]
    facts: Facts = NO_FACTS
    asks: tuple[Asked, ...] = ()


def read_scenarios(text: str) -> tuple[Scenario, ...]:
    """Read a scenario file. Raises UsageError where it is not what it should be."""
    where = "members"
    try:
        content = cast("dict[str, dict[str, dict[str, object]]]", json.loads(text))
        members = {
            agency: Member(agency, country_of(agency), str(each["kind"]), _texts(each.get("communities", ())), False)
            for agency, each in content["members"].items()
        }
        facts = read_facts(json.dumps(content.get("entities", {})))
        scenarios: list[Scenario] = []
        for each in cast("list[dict[str, object]]", content["scenarios"]):
            where = str(each["name"])
            scenarios.append(_scenario(each, members, facts))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"scenarios: `{where}` cannot be read ({error})", advice="see the form in the file that ships") from error
    names = [each.name for each in scenarios]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        reason = f"scenarios: `{twice[0]}` cannot be read (there are two of that name)"
        raise UsageError(reason, advice="see the form in the file that ships")
    return tuple(scenarios)


def read_pending(text: str) -> tuple[tuple[str, str], ...]:
    """The lines that nothing decides yet, each by the name of its scenario, with the reason. Raises UsageError."""
    try:
        content = cast("dict[str, list[dict[str, str]]]", json.loads(text))
        return tuple((str(each["scenario"]), str(each["line"])) for each in content.get("not_yet", []))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"scenarios: `not_yet` cannot be read ({error})", advice="see the form in the file that ships") from error


def failures(bundle: Bundle, scenarios: Sequence[Scenario]) -> list[str]:
    """Where the bundle decides otherwise than the scenarios say, one line for each difference; empty if all hold."""
    return [f"{scenario.name}: {line}" for scenario, line in differences(bundle, scenarios)]


def differences(bundle: Bundle, scenarios: Iterable[Scenario]) -> Iterator[tuple[Scenario, str]]:
    """The same one by one, as they are found: who wants to know only whether there is any asks for no more."""
    deciders: dict[object, Decider] = {}
    for scenario in scenarios:
        key = frozenset(scenario.members.values()), scenario.facts
        if key not in deciders:
            deciders[key] = Decider(bundle, scenario.members, facts=bundle.facts.joined(scenario.facts))
        for line in _differences(deciders[key], scenario):
            yield scenario, line


def _differences(decider: Decider, scenario: Scenario) -> Iterator[str]:
    failed_before = decider.error_count
    verdict = decider.may_publish(scenario.labels, scenario.now_ms)
    if verdict.rules[0] != scenario.publish:
        yield f"publish is decided by `{verdict.rules[0]}`, not by `{scenario.publish}`"
    other = _another_of_its_kind(scenario)
    if other is not None and decider.explain(other, "publish", scenario.labels, scenario.now_ms).allowed:
        yield f"{other} may publish it in the name of {scenario.labels.originator}"
    distribution = decider.distribute(scenario.labels, scenario.now_ms)
    for release in distribution.releases:
        wanted = scenario.gets.get(release.agency)
        got = frozenset(section for section, _ in release.given)
        if wanted is None or wanted.denied:
            yield f"{release.agency} gets {', '.join(sorted(got))} by `{release.rule}`, and should get nothing"
        elif (release.rule, got) != (wanted.by, wanted.reads):
            yield (
                f"{release.agency} reads {', '.join(sorted(got))} by `{release.rule}`, "
                f"and should read {', '.join(sorted(wanted.reads))} by `{wanted.by}`"
            )
        else:
            withheld = dict(release.withheld)
            for section, rule in wanted.withhold.items():
                if withheld.get(section) != rule:
                    yield f"{section} is withheld from {release.agency} by `{withheld.get(section)}`, not by `{rule}`"
    for denial in distribution.denials:
        wanted = scenario.gets.get(denial.agency)
        if wanted is not None and denial.rule != wanted.denied:
            yield f"{denial.agency} is denied by `{denial.rule}`, not by `{wanted.denied or 'any rule'}`"
    for each in scenario.asks:
        verdict = decider.explain(each.agency, each.action, scenario.labels, scenario.now_ms, each.purpose)
        if (verdict.allowed, verdict.rules[0]) != (each.allowed, each.by):
            answer = "is allowed" if verdict.allowed else "is denied"
            yield f"{each.agency} asks for {each.action} and {answer} by `{verdict.rules[0]}`, not by `{each.by}`"
    if failed := decider.error_count - failed_before:
        yield f"{failed} decisions failed"


def _another_of_its_kind(scenario: Scenario) -> str | None:
    """One other agency of the originator's kind: nobody publishes in another's name, and it comes nearest to it. One is enough: rules can
    hardly tell them apart, and a relay stands still while it tries a new bundle."""
    originator = scenario.members.get(scenario.labels.originator)
    if originator is None:
        return None
    others = (agency for agency, member in scenario.members.items() if member.kind == originator.kind and member is not originator)
    return next(others, None)


def _scenario(each: Mapping[str, object], members: Mapping[str, Member], facts: Facts) -> Scenario:
    suspended = set(_texts(each.get("suspended", ())))
    if unknown := suspended - members.keys():
        raise ValueError(f"{', '.join(sorted(unknown))} is not among the members")
    expected = cast("dict[str, dict[str, object]]", each["gets"])
    if unknown := expected.keys() - members.keys():
        raise ValueError(f"{', '.join(sorted(unknown))} is not among the members")
    return Scenario(
        name=str(each["name"]),
        about=str(each["about"]),
        members={agency: replace(member, suspended=agency in suspended) for agency, member in members.items()},
        labels=_labels(cast("dict[str, object]", each["labels"])),
        now_ms=_ms(each.get("now", _DEFAULT_NOW)),
        publish=str(each["publish"]),
        gets={agency: _expected(wanted) for agency, wanted in expected.items()},
        facts=facts,
        asks=tuple(_asked(question) for question in cast("list[dict[str, object]]", each.get("asks", []))),
    )


def _asked(question: Mapping[str, object]) -> Asked:
    purpose = question.get("purpose")
    return Asked(
        str(question["agency"]), str(question["action"]), None if purpose is None else str(purpose),
        bool(question["allowed"]), str(question["by"]),
    )  # fmt: skip


def _expected(wanted: Mapping[str, object]) -> Expected:
    return Expected(
        by=str(wanted.get("by", "")),
        reads=frozenset(_texts(wanted.get("reads", ()))),
        withhold=cast("dict[str, str]", wanted.get("withhold", {})),
        denied=str(wanted.get("denied", "")),
    )


def _labels(given: Mapping[str, object]) -> Labels:
    values: dict[str, object] = {**_PLAIN, **given}
    values.update({name: _texts(given.get(name, ())) for name in _LISTS})
    pairs = cast("list[tuple[str, str]]", given.get("countries", []))
    values["countries"] = tuple((country, role) for country, role in pairs)
    for name in ("valid_until", "embargo_until"):
        at = values.pop(name, None)
        values[f"{name}_ms"] = None if at is None else _ms(at)
    given_consents = cast("list[dict[str, object]]", given.get("consents", []))
    values["consents"] = tuple(_consent(each) for each in given_consents)
    return Labels(**values)  # pyright: ignore[reportArgumentType]


def _consent(given: Mapping[str, object]) -> Consent:
    span = _ms(given["from"]), _ms(given["until"])
    return Consent(
        str(given["agency"]), _texts(given.get("sections", ())), *span, bool(given.get("evidential")), bool(given.get("emergency"))
    )


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in cast("Sequence[object]", values))


def _ms(text: object) -> int:
    return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
