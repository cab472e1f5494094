"""Whether a bundle's scenarios notice when a rule is wrong: each mutant of each rule is tried on them.

A mutant is *killed* where a scenario fails on it, *invalid* where the bundle would be refused before any scenario is run (strict
validation, or a form of ours), and has *survived* otherwise: then either a scenario is missing, or what was changed makes no
difference. Scenarios are tried in an order that finds a failure soon, and only up to the first that fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from cedarpy import pst

from broker.errors import UsageError
from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.mutants import Mutant, line_of, mutants
from broker.policy.rules import Rule, read_rules
from broker.policy.scenarios import Scenario, differences
from broker.policy.source import Placed

REACH: Final = 95.0
"""Per cent of the mutants that the scenarios of a bundle should kill."""
RECENT: Final = 6
"""How many of the scenarios that killed mutants of a rule last are tried first on its next."""

Outcome = Literal["killed", "survived", "invalid"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one mutant. ``by`` is how the first scenario failed, or why the mutant is invalid; empty where it survived."""

    mutant: Mutant
    file: str
    line: int
    outcome: Outcome
    by: str


@dataclass(slots=True)
class Score:
    """A count of trials."""

    killed: int = 0
    survived: int = 0
    invalid: int = 0

    def add(self, trial: Trial) -> None:
        """Count one more."""
        match trial.outcome:
            case "killed":
                self.killed += 1
            case "survived":
                self.survived += 1
            case "invalid":
                self.invalid += 1

    @property
    def share(self) -> float:
        """Killed of those that could be, in per cent; 100 where there are none."""
        tried = self.killed + self.survived
        return 100.0 * self.killed / tried if tried else 100.0


def all_mutants(bundle: Bundle) -> list[tuple[pst.Template, Mutant]]:
    """Every mutant with the rule that it is made of, in order of rule id."""
    policies = cedar.read_policies(bundle.policies).to_pst().static_policies.values()
    ordered = sorted(policies, key=lambda policy: policy.annotations["id"])
    return [(policy, mutant) for policy in ordered for mutant in mutants(policy)]


def mutated(bundle: Bundle, mutant: Mutant) -> Bundle:
    """The bundle with the mutant in the place of its rule. Not checked: ask :func:`trials` whether it is valid."""
    return _Bench(bundle, ()).made(mutant)


def trials(
    bundle: Bundle,
    scenarios: Sequence[Scenario],
    places: Mapping[str, Placed],
    chosen: Iterable[tuple[pst.Template, Mutant]] | None = None,
) -> Iterator[Trial]:
    """Try mutants one by one: all of them, or those chosen of :func:`all_mutants`.

    The scenarios have to hold on the bundle itself. ``places`` says where each rule stands; a rule that is not in it has no file.
    """
    bench = _Bench(bundle, scenarios)
    for policy, mutant in all_mutants(bundle) if chosen is None else chosen:
        outcome, by = bench.tried(mutant)
        place = places.get(mutant.rule)
        yield Trial(mutant, place.file if place else "", line_of(policy, mutant, place) if place else 0, outcome, by)


class _Bench:
    """What trials have in common: the texts of the rules, and which scenarios found something lately."""

    def __init__(self, bundle: Bundle, scenarios: Sequence[Scenario]) -> None:
        parsed = cedar.read_policies(bundle.policies).to_pst().static_policies.values()
        self._bundle, self._scenarios = bundle, scenarios
        self._schema = cedar.read_schema(bundle.schema)
        self._texts = {policy.annotations["id"]: cedar.policy_text(policy) for policy in parsed}
        self._rules = {rule.id: rule for rule in bundle.rules()}
        self._killers: dict[str, list[Scenario]] = {}

    def tried(self, mutant: Mutant) -> tuple[Outcome, str]:
        text = cedar.policy_text(mutant.changed) if mutant.changed is not None else ""
        if text and (found := cedar.violations(text, self._schema)):
            return "invalid", found[0]
        bundle = self.made(mutant)
        try:
            read_rules(bundle.policies)
        except UsageError as error:
            return "invalid", str(error)
        first = next(differences(bundle, self._in_order(self._rules[mutant.rule])), None)
        if first is None:
            return "survived", ""
        scenario, line = first
        killers = self._killers.setdefault(mutant.rule, [])
        if scenario in killers:
            killers.remove(scenario)
        killers.insert(0, scenario)
        return "killed", f"{scenario.name}: {line}"

    def made(self, mutant: Mutant) -> Bundle:
        # `Bundle.from_texts` would check all rules again, and read them twice: that is half the time of a trial.
        text = cedar.policy_text(mutant.changed) if mutant.changed is not None else ""
        return replace(self._bundle, policies="\n".join({**self._texts, mutant.rule: text}.values()))

    def _in_order(self, rule: Rule) -> Iterator[Scenario]:
        """Scenarios that noticed something of this rule before, then those of its families, then the others."""
        first = self._killers.get(rule.id, [])[:RECENT]
        tried = {each.name for each in first}
        yield from first
        rest = [each for each in self._scenarios if each.name not in tried]
        yield from (each for each in rest if each.labels.family in rule.families)
        yield from (each for each in rest if each.labels.family not in rule.families)
