"""Everything that is to be said of a bundle before it is applied: its texts, its rules among each other, its own tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.errors import UsageError
from broker.policy.bundle import Bundle
from broker.policy.lint import Linted, PolicyFinding, lint, strangers
from broker.policy.rules import read_rules
from broker.policy.scenarios import Scenario, failures, read_scenarios
from broker.policy.standing import standing

_TESTS = "scenarios.json"


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination found. ``bundle`` is None where the texts are refused; ``scenarios`` is how many tests were run."""

    findings: tuple[PolicyFinding, ...]
    bundle: Bundle | None
    scenarios: int

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against applying it."""
        return self.bundle is not None and not any(each.severity == "REJECT" for each in self.findings)


def examine(schema: str, policies: Mapping[str, str], scenarios: str | None, entities: str = "", *, version: int = 1) -> Examined:
    """Examine the texts of a bundle; ``scenarios`` is scenarios.json, None where there is none; ``entities`` is entities.json."""
    linted = lint(schema, policies, entities, version=version)
    if linted.bundle is None:
        return Examined(linted.findings, None, 0)
    if scenarios is None:
        return Examined((PolicyFinding("NO_TESTS", _TESTS, 0, "", "there is no scenarios.json"),), linted.bundle, 0)
    try:
        tests = read_scenarios(scenarios)
    except UsageError as error:
        return Examined((PolicyFinding("BAD_TESTS", _TESTS, 0, "", str(error), error.advice),), linted.bundle, 0)
    if not tests:
        return Examined((PolicyFinding("NO_TESTS", _TESTS, 0, "", "scenarios.json has no scenario"),), linted.bundle, 0)
    return Examined(tuple(_tested(linted, linted.bundle, tests)), linted.bundle, len(tests))


def _tested(linted: Linted, bundle: Bundle, tests: tuple[Scenario, ...]) -> list[PolicyFinding]:
    members = [member for each in tests for member in each.members.values()]
    communities = {community for member in members for community in member.communities}
    found = strangers(read_rules(bundle.policies), linted.places, {member.agency for member in members}, communities)
    found += [PolicyFinding("TEST_FAILED", _TESTS, 0, "", line) for line in failures(bundle, tests)]
    return found + standing(bundle, tests, linted.places)
