"""The scenarios that ship hold, and the set is strong enough to notice when a prohibition goes missing."""

from __future__ import annotations

import re

import pytest

from broker.errors import UsageError
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.scenarios import differences, failures, read_scenarios
from tests.unit.policy.shipped import bundle, policy_texts, scenario, scenarios, schema_text

_POLICY = re.compile(r'^@id\("([^"]+)"\).*?^(permit|forbid)\b.*?;\n', re.MULTILINE | re.DOTALL)


def _without(rule: str) -> Bundle:
    texts: dict[str, str] = {}
    for name, text in policy_texts().items():
        texts[name] = _POLICY.sub(lambda found: "" if found[1] == rule else found[0], text)
    return Bundle.from_texts(2, schema_text(), texts)


@pytest.mark.parametrize("name", [each.name for each in scenarios()])
def test_scenario_holds(name: str) -> None:
    """Each scenario of the file beside the policies holds under the policies that ship."""
    assert failures(bundle(), [scenario(name)]) == []


def test_scenario_p01_alert_without_persons() -> None:
    """P1: customs of route and community see the shipment, licensing neither seal nor party, observers nothing, rules named."""
    case = scenario("p01-alert-without-persons")
    distribution = Decider(bundle(), case.members, facts=case.facts).distribute(case.labels, case.now_ms)
    releases = {release.agency: release for release in distribution.releases}
    denials = {denial.agency: denial for denial in distribution.denials}
    assert releases["AE-CUSTOMS"].rule == "receive-route-customs"
    assert dict(releases["AE-CUSTOMS"].given)["equipment"] == "read-shipment"
    assert releases["MY-MITI"].given == (("core", "read-core"), ("goods", "read-goods-licensing"))
    assert releases["MY-MITI"].withheld == (("equipment", "default-deny"), ("route", "default-deny"))
    assert denials["XX-OBSERVER"].rule == "default-deny"
    assert denials["XX-AUDIT"].reason == "Auditors check statements and receipts, and are given no content"


def test_scenario_p02_parties_only_where_a_basis_exists() -> None:
    """P2: who only stands on the route gets the same alert without the person; the note names no agreement."""
    case = scenario("p02-alert-names-a-director")
    distribution = Decider(bundle(), case.members, facts=case.facts).distribute(case.labels, case.now_ms)
    releases = {release.agency: release for release in distribution.releases}
    assert ("parties", "read-parties-customs") in releases["SG-CUSTOMS"].given
    assert ("parties", "stop-personal-without-agreement") in releases["AE-CUSTOMS"].withheld
    assert {given for given, _ in releases["AE-CUSTOMS"].given} == {"core", "goods", "equipment", "route"}


def test_scenario_p03_reason_and_value_stay_with_licensing() -> None:
    """P3: a revocation reaches customs on the route at once; reason and value only licensing authorities."""
    case = scenario("p03-licence-revoked")
    distribution = Decider(bundle(), case.members, facts=case.facts).distribute(case.labels, case.now_ms)
    reads = {release.agency: {section for section, _ in release.given} for release in distribution.releases}
    assert {agency for agency, sections in reads.items() if sections & {"reason", "value"}} == {"FR-SBDU"}
    assert {"DE-CUSTOMS", "SG-CUSTOMS", "AE-CUSTOMS"} <= reads.keys()


def _is_missed(rule: str) -> bool:
    """Whether a scenario fails without this rule. Those that name it are tried first: one that fails is enough."""
    named = {each.name for each in scenarios() if f"'{rule}'" in str((each.publish, each.gets, each.asks))}
    ordered = sorted(scenarios(), key=lambda each: each.name not in named)
    return next(differences(_without(rule), ordered), None) is not None


def test_every_prohibition_is_missed_by_a_scenario() -> None:
    """Deleting any one forbid makes at least one scenario fail: none can be lost unnoticed."""
    forbids = [rule.id for rule in bundle().rules() if rule.effect == "forbid"]
    assert len(forbids) >= 7
    assert [rule for rule in forbids if not _is_missed(rule)] == []


def test_every_permission_is_missed_by_a_scenario() -> None:
    """Deleting any one permit makes at least one scenario fail: no permit is there for nothing."""
    permits = [rule.id for rule in bundle().rules() if rule.effect == "permit"]
    assert [rule for rule in permits if not _is_missed(rule)] == []


def test_the_deletion_deletes() -> None:
    """The two tests above take away exactly one rule."""
    left = {rule.id for rule in _without("stop-embargo").rules()}
    assert {rule.id for rule in bundle().rules()} - left == {"stop-embargo"}


def test_differences_name_agency_sections_and_rule() -> None:
    """A failing scenario tells who would get what instead of what."""
    found = failures(_without("stop-embargo"), [scenario("p09-controlled-delivery")])
    assert found[0].startswith("p09-controlled-delivery: SG-CUSTOMS gets core, goods, method by `receive-named`")
    found = failures(_without("stop-h3-unnamed"), [scenario("p02-handling-h3")])
    assert "p02-handling-h3: SG-CUSTOMS reads core, goods, parties by `receive-community`" in found[-1]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"members": {}, "scenarios": [{"name": "a"}]}',
        '{"members": {}, "scenarios": [{"name": "a", "about": "", "publish": "x", "labels": {}, "gets": {"SG-CUSTOMS": {}}}]}',
        '{"members": {}, "scenarios": [{"name": "a", "about": "", "publish": "x", "labels": {"nope": 1}, "gets": {}}]}',
    ],
)
def test_a_broken_scenario_file_is_the_authors_mistake(text: str) -> None:
    """Broken files give one line with advice, not a traceback of another kind."""
    with pytest.raises(UsageError, match="cannot be read"):
        read_scenarios(text)
