"""The table of scenarios tells what the rules decide, and shows where that is not what was expected."""

from __future__ import annotations

from dataclasses import replace

from broker.policy.lines import lines
from broker.policy.scenarios import failures
from tests.unit.policy.shipped import bundle, scenario, scenarios

SITUATIONS = tuple(f"p{number:02}" for number in range(1, 16))


def test_every_line_of_the_shipped_scenarios_holds() -> None:
    """Each expectation of each scenario is what the rules that ship decide; every situation P1 to P15 has one."""
    found = list(lines(bundle(), scenarios()))
    assert [line for line in found if not line.holds] == []
    assert all(any(line.scenario.startswith(key) for line in found) for key in SITUATIONS)


def test_a_line_that_does_not_hold_shows_both() -> None:
    """A wrong expectation is told with what was expected, what came, and the rule, wherever the tests of the bundle fail too."""
    right = scenario("p02-agreement-for-a-purpose")
    gets = dict(right.gets)
    gets["JP-CUSTOMS"] = replace(gets["JP-CUSTOMS"], reads=frozenset({"core"}))
    del gets["AE-CUSTOMS"]
    wrong = replace(right, gets=gets, publish="publish-licensing")
    broken = [line for line in lines(bundle(), [wrong]) if not line.holds]
    assert [(line.agency, line.expected, line.got) for line in broken] == [
        ("TH-CUSTOMS", "by publish-licensing", "by publish-customs"),
        ("JP-CUSTOMS", "core by receive-named", "core, goods, parties by receive-named"),
        ("everybody else", "nothing", "AE-CUSTOMS"),
    ]
    assert len(failures(bundle(), [wrong])) == 3
