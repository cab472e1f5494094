"""A bundle's scenarios line by line: what was expected, what the rules decide, and by which rule. For the tables that officials read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.model import Release
from broker.policy.scenarios import Expected, Scenario

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation of a scenario. ``question`` is what is asked for the agency; ``expected`` and ``got`` are in words; ``rule`` is the
    id of the rule that decided."""

    scenario: str
    agency: str
    question: str
    expected: str
    got: str
    rule: str

    @property
    def holds(self) -> bool:
        """Whether the rules decide as expected."""
        return self.expected == self.got


def lines(bundle: Bundle, scenarios: Iterable[Scenario]) -> Iterator[Line]:
    """Every line of every scenario, in their order; an agency that is not listed stands under ``everybody else``."""
    deciders: dict[object, Decider] = {}
    for scenario in scenarios:
        key = frozenset(scenario.members.values()), scenario.facts
        if key not in deciders:
            deciders[key] = Decider(bundle, scenario.members, facts=bundle.facts.joined(scenario.facts))
        yield from _of(deciders[key], scenario)


def _of(decider: Decider, scenario: Scenario) -> Iterator[Line]:
    originator = scenario.labels.originator
    verdict = decider.may_publish(scenario.labels, scenario.now_ms)
    wanted, got = _by("", scenario.publish), _by("", verdict.rules[0])
    yield Line(scenario.name, originator, "publish", wanted, got, verdict.rules[0])
    distribution = decider.distribute(scenario.labels, scenario.now_ms)
    releases = {release.agency: release for release in distribution.releases}
    denials = {denial.agency: denial for denial in distribution.denials}
    for agency, expected in scenario.gets.items():
        release = releases.get(agency)
        if release is not None:
            yield Line(scenario.name, agency, "receive", _wanted(expected), _given(release, expected.withhold), release.rule)
        else:
            rule = denials[agency].rule if agency in denials else ""
            yield Line(scenario.name, agency, "receive", _wanted(expected), _by(NOTHING, rule), rule)
    others = sorted(releases.keys() - scenario.gets.keys())
    yield Line(scenario.name, "everybody else", "receive", NOTHING, ", ".join(others) or NOTHING, "")
    for each in scenario.asks:
        answer = decider.explain(each.agency, each.action, scenario.labels, scenario.now_ms, each.purpose)
        question = f"{each.action} for {each.purpose}" if each.purpose else each.action
        wanted, got = _by(_answered(each.allowed), each.by), _by(_answered(answer.allowed), answer.rules[0])
        yield Line(scenario.name, each.agency, question, wanted, got, answer.rules[0])


def _answered(allowed: bool) -> str:
    return "allowed" if allowed else "denied"


def _by(what: str, rule: str) -> str:
    return f"{what} by {rule}".strip()


def _wanted(expected: Expected) -> str:
    return _by(NOTHING, expected.denied) if expected.denied else _in_words(expected.by, sorted(expected.reads), expected.withhold)


def _given(release: Release, asked: Mapping[str, str]) -> str:
    withheld = {section: rule for section, rule in release.withheld if section in asked}
    return _in_words(release.rule, sorted(section for section, _ in release.given), withheld)


def _in_words(rule: str, reads: Sequence[str], withheld: Mapping[str, str]) -> str:
    text = _by(", ".join(reads) or "the statement", rule)
    if not withheld:
        return text
    return f"{text}; without {', '.join(f'{section} ({withheld[section]})' for section in sorted(withheld))}"
