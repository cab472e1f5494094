"""Mutants of rules, and that the scenarios of the policies that ship notice them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.cli.main import run
from broker.policy import cedar
from broker.policy.lint import lint
from broker.policy.mutants import Mutant, line_of, mutants
from broker.policy.mutation import REACH, Score, all_mutants, trials
from broker.policy.source import split
from tests.unit.policy.shipped import bundle, policy_texts, scenarios, schema_text

_HEAD = '@id("extra")\n@title("An extra rule: `resource`")\n@basis("test")\n'
_RULE = """// a comment on resource.tlp
forbid (principal, action in [Action::"receive", Action::"read:core"], resource)
when {
  resource.tlp == Tlp::"RED" && !(principal.kind == Kind::"zone") &&
  [Family::"alert", Family::"seizure"].contains(resource.family)
}
unless {
  resource has embargoUntil && resource.embargoUntil <= context.now ||
  resource.tlp == Tlp::"CLEAR"
};
"""


def _made(text: str) -> list[tuple[int, str, str]]:
    """Line, what was done, and the Cedar text of each mutant of the one rule of a text."""
    place = split("extra.cedar", text)[0]
    policy = cedar.read_policies(text).to_pst().static_policies["policy0"]
    return [(line_of(policy, each, place), each.what, _condition(each)) for each in mutants(policy)]


def _condition(mutant: Mutant) -> str:
    return cedar.policy_text(mutant.changed).rpartition(")\n")[2] if mutant.changed is not None else ""


def test_every_part_of_a_rule_is_changed_once() -> None:
    """Rule, actions, clauses, operands, list elements, bounds and `!`: each with its line, and no two mutants are the same."""
    made = _made(_HEAD + _RULE)
    assert [(line, what) for line, what, _ in made] == [
        (5, "the whole rule is left out"),
        (5, "the action `receive` is left out"),
        (5, "the action `read:core` is left out"),
        (7, "`when { ... }` is left out"),
        (7, "`when { ... }` is turned into its opposite"),
        (7, '`resource.tlp == Tlp::"RED"` is left out'),
        (7, '`resource.tlp == Tlp::"RED"` is turned into its opposite'),
        (7, '`!(principal.kind == Kind::"zone")` is left out'),
        (7, '`!` is left out before `principal.kind == Kind::"zone"`'),
        (8, '`[Family::"alert", Family::"seizure"].contains(resource.family)` is left out'),
        (8, '`[Family::"alert", Family::"seizure"].contains(resource.family)` is turned into its opposite'),
        (8, '`Family::"alert"` is left out of the list'),
        (8, '`Family::"seizure"` is left out of the list'),
        (11, "`unless { ... }` is left out"),
        (11, "`unless { ... }` is turned into its opposite"),
        (11, "`(resource has embargoUntil) && (resource.embargoUntil <= context.now)` is left out"),
        (11, "`(resource has embargoUntil) && (resource.embargoUntil <= context.now)` is turned into its opposite"),
        (11, "`resource has embargoUntil` is left out"),
        (11, "`resource has embargoUntil` is turned into its opposite"),
        (11, "`resource.embargoUntil <= context.now` is left out"),
        (11, "`resource.embargoUntil <= context.now` is turned into its opposite"),
        (11, "`<=` is `<` in `resource.embargoUntil <= context.now`"),
        (12, '`resource.tlp == Tlp::"CLEAR"` is left out'),
        (12, '`resource.tlp == Tlp::"CLEAR"` is turned into its opposite'),
    ]
    assert len({text for _, _, text in made}) == len(made)


def test_the_same_word_is_found_where_it_is_meant() -> None:
    """A literal that a rule writes twice is told by the line of each."""
    text = _HEAD + (
        'permit (principal, action == Action::"receive", resource)\nwhen {\n  principal.kind == Kind::"zone" &&\n'
        '  [Kind::"police", Kind::"zone"].contains(principal.kind)\n};\n'
    )
    lines = {what: line for line, what, _ in _made(text)}
    assert (lines['`principal.kind == Kind::"zone"` is left out'], lines['`Kind::"zone"` is left out of the list']) == (6, 7)


def test_scopes_are_conditions_too() -> None:
    """What a rule's head asks of the principal is left out; a type alone is no condition."""
    scope = '(principal is Agency in Country::"SG", action == Action::"receive", resource is Message);'
    made = _made(_HEAD + "permit " + scope)
    assert [what for _, what, _ in made] == [
        "the whole rule is left out", "the action `receive` is left out", "what the rule's head asks of the principal is left out",
    ]  # fmt: skip


def test_a_mutant_that_would_be_refused_is_counted_apart() -> None:
    """A date that need not be there, read without asking for it first, and a permit without actions: invalid, neither killed nor not."""
    places = lint(schema_text(), policy_texts()).places
    embargo = [(policy, each) for policy, each in all_mutants(bundle()) if each.rule == "stop-embargo" and "has embargo" in each.what]
    found = list(trials(bundle(), scenarios(), places, embargo))
    assert [(trial.outcome, trial.file, trial.line) for trial in found] == [("invalid", "stops.cedar", 13)] * 2
    core = [(policy, each) for policy, each in all_mutants(bundle()) if each.rule == "read-core" and "action" in each.what]
    assert [trial.outcome for trial in trials(bundle(), scenarios(), places, core)] == ["invalid"]
    score = Score(killed=19, survived=1, invalid=7)
    assert score.share == 95.0


def test_without_its_scenario_a_mistake_goes_unnoticed() -> None:
    """A suspended agency that is not in any scenario: the rule that stops it can be left out and nothing fails."""
    rule = [(policy, each) for policy, each in all_mutants(bundle()) if each.rule == "stop-suspended"][:1]
    left = [each for each in scenarios() if not any(member.suspended for member in each.members.values())]
    assert [trial.outcome for trial in trials(bundle(), left, {}, rule)] == ["survived"]
    assert [trial.outcome for trial in trials(bundle(), scenarios(), {}, rule)] == ["killed"]


SAMPLE = 9
"""Every 9th mutant in the short form: about five seconds of processor time."""


def _score(step: int) -> tuple[Score, list[str]]:
    score, survived = Score(), list[str]()
    for trial in trials(bundle(), scenarios(), {}, all_mutants(bundle())[::step]):
        score.add(trial)
        if trial.outcome == "survived":
            survived.append(f"{trial.mutant.rule}: {trial.mutant.what}")
    return score, survived


def test_the_scenarios_that_ship_notice_mistakes() -> None:
    """Every 9th of the rules and conditions that ship, left out or turned round: the scenarios fail on nearly all that comes out. Of some
    seventy mutants one more or less may survive than of all."""
    score, survived = _score(SAMPLE)
    assert score.share >= REACH - 2, survived
    assert score.killed > 50


@pytest.mark.soak
def test_the_scenarios_that_ship_notice_all_mistakes() -> None:
    """All of them."""
    score, survived = _score(1)
    assert score.share >= REACH, survived
    assert score.killed > 500


@pytest.mark.parametrize(("reach", "code"), [("100", 1), ("60", 0)])
def test_the_command_lists_what_survives(reach: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`broker policy mutate` gives a line for each survivor and a sum, and exit code 1 where too few are noticed."""
    folder = _small_folder(tmp_path)
    assert run(["policy", "mutate", str(folder), "--reach", reach, "--json"]) == code
    *lines, total = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"outcome": "survived", "file": "a.cedar", "line": 9, "rule": "receive-named", "what": '`Kind::"zone"` is left out of the list'}
    ]
    assert total == {
        "ok": code == 0, "mutants": total["mutants"], "killed": total["killed"], "survived": 1, "invalid": total["invalid"],
        "share": total["share"], "reach": float(reach), "scenarios": 1,
    }  # fmt: skip
    assert total["killed"] + total["survived"] + total["invalid"] == total["mutants"]


def test_the_command_refuses_what_cannot_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle whose own tests fail, a folder without tests, and a figure that is no per cent are refused with a reason."""
    folder = _small_folder(tmp_path)
    assert run(["policy", "mutate", str(folder), "--reach", "101"]) == 2
    tests = json.loads((folder / "scenarios.json").read_text())
    tests["scenarios"][0]["publish"] = "default-deny"
    (folder / "scenarios.json").write_text(json.dumps(tests))
    assert run(["policy", "mutate", str(folder)]) == 1
    (folder / "scenarios.json").unlink()
    assert run(["policy", "mutate", str(folder)]) == 1
    assert "BUNDLE_FAILS_TESTS" in capsys.readouterr().err


def _small_folder(tmp_path: Path) -> Path:
    """Three rules and one scenario, which does not ask for what a free-zone authority gets."""
    (tmp_path / "schema.cedarschema").write_text(schema_text())
    (tmp_path / "a.cedar").write_text(
        '@id("publish-own") @title("Agencies publish") @basis("test")\npermit (principal, action == Action::"publish", resource)\n'
        "when { resource.originator == principal };\n"
        '@id("read-core") @title("All read the core") @basis("test")\npermit (principal, action == Action::"read:core", resource);\n'
        '@id("receive-named") @title("The named receive") @basis("test")\n'
        'permit (principal, action == Action::"receive", resource)\nwhen {\n'
        '  [Kind::"customs", Kind::"zone"].contains(principal.kind) && resource.audienceAgencies.contains(principal)\n};\n'
    )
    members = {"SG-CUSTOMS": {"kind": "customs"}, "SG-POLICE": {"kind": "police"}, "TH-CUSTOMS": {"kind": "customs"}}
    members |= {"TH-POLICE": {"kind": "police"}}
    labels = {"family": "alert", "originator": "TH-POLICE", "tlp": "GREEN", "sections": ["core"]}
    labels |= {"audience_agencies": ["SG-CUSTOMS", "SG-POLICE"]}
    gets = {"SG-CUSTOMS": {"by": "receive-named", "reads": ["core"]}}
    scenario = {"name": "only", "about": "the only one", "labels": labels, "publish": "publish-own", "gets": gets}
    (tmp_path / "scenarios.json").write_text(json.dumps({"members": members, "scenarios": [scenario]}))
    return tmp_path
