"""What `policy check` says of a bundle: each mistake with file, line, rule and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.cli.main import run
from broker.policy.examine import Examined, examine
from broker.policy.lint import FINDINGS, RULE_LIMIT
from broker.policy.source import split
from tests.unit.policy.shipped import FOLDER, policy_texts, schema_text

_HEAD = '@id("extra")\n@title("An extra rule")\n@basis("test")\n'
_TESTS = (FOLDER / "scenarios.json").read_text()


def _some_tests() -> str:
    """Every 5th of the scenarios that ship, and those with a suspended agency: each is tried in many situations, and what is asked here
    needs no more. `test_the_command` examines with all of them."""
    content = json.loads(_TESTS)
    chosen = [each for number, each in enumerate(content["scenarios"]) if number % 5 == 0 or "suspended" in each]
    return json.dumps({**content, "scenarios": chosen})


def _with(text: str) -> Examined:
    return examine(schema_text(), {**policy_texts(), "extra.cedar": text}, _some_tests())


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("// why\n\npermit (", "NOT_CEDAR", 3),
        (_HEAD + "forbid (principal, acton, resource);", "NOT_CEDAR", 4),
        ('permit (principal, action == Action::"receive", resource);', "RULE_FORM", 1),
        (_HEAD + "forbid (principal, action, resource)\nwhen {\n  principal.suspnded };", "UNKNOWN_ATTRIBUTE", 6),
        (_HEAD + 'forbid (principal, action, resource)\nwhen { resource.pap == Pap::"RED" };', "UNGUARDED_ATTRIBUTE", 5),
        (_HEAD + 'forbid (principal, action, resource)\nwhen { principal.kind == Kind::"custom" };', "INVALID_RULE", 5),
        (_HEAD + 'forbid (principal == Agency::"SG-\u0421USTOMS", action, resource);', "LOOK_ALIKE", 4),
        (_HEAD + 'forbid (principal in Community::"STCE-ASAEN", action, resource);', "UNKNOWN_COMMUNITY", 4),
        (_HEAD + 'forbid (principal == Agency::"SG-CUSTOMZ", action, resource);', "UNKNOWN_AGENCY", 4),
    ],
)
def test_each_mistake_is_refused_at_its_place(text: str, code: str, line: int) -> None:
    """A mistake has its own code, the file and the line it stands on, and the bundle is not sound."""
    examined = _with(text)
    assert not examined.sound
    found = next(each for each in examined.findings if each.code == code)
    assert (found.file, found.line) == ("extra.cedar", line)
    assert found.severity == "REJECT"
    assert found.advice


def test_several_mistakes_are_told_at_once() -> None:
    """An author sees every refused rule of every file in one run, not the first."""
    text = _HEAD + "forbid (principal, action, resource) when { principal.suspnded };\npermit (principal, action, resource);"
    assert [each.code for each in _with(text).findings] == ["UNKNOWN_ATTRIBUTE", "RULE_FORM"]


def test_a_likely_name_is_proposed() -> None:
    """A misspelt name is told with the name that was probably meant."""
    found = _with(_HEAD + 'forbid (principal in Community::"STCE-ASAEN", action, resource);').findings
    assert "did you mean `STCE-ASEAN`?" in next(each for each in found if each.code == "UNKNOWN_COMMUNITY").advice


def test_a_rule_twice_names_the_first_place() -> None:
    """Of two rules with one id both places are told."""
    (found,) = _with(policy_texts()["stops.cedar"].split(";\n")[0] + ";\n").findings
    assert (found.code, found.file) == ("DUPLICATE_RULE", "stops.cedar")
    assert "extra.cedar line" in found.reason


def test_ten_thousand_policies_are_refused_whole() -> None:
    """A bundle that would slow every decision down is refused with the limit, without being asked."""
    text = "".join(
        f'@id("r{number}") @title("t") @basis("b") forbid (principal, action == Action::"receive", resource);\n' for number in range(10_000)
    )
    (found,) = _with(text).findings
    assert found.code == "TOO_MANY_RULES"
    assert f"{RULE_LIMIT:,}" in found.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('permit (principal, action == Action::"receive", resource) when { resource.tlp != resource.tlp };',
         "DEAD_RULE"),
        ('permit (principal, action == Action::"receive", resource) when { principal.suspended };', "SHADOWED_RULE"),
        ('permit (principal, action == Action::"read:core", resource) when { principal.kind == Kind::"customs" };', "COVERED_RULE"),
    ],
)  # fmt: skip
def test_rules_that_change_nothing_are_told(text: str, code: str) -> None:
    """A rule that never applies, is always forbidden or gives nothing of its own is a warning, which refuses nothing."""
    examined = _with(_HEAD + text)
    assert code in {each.code for each in examined.findings if each.rule == "extra"}
    assert examined.sound


def test_failing_or_missing_tests_refuse() -> None:
    """A bundle whose own tests fail, cannot be read or are not there must not be applied."""
    texts = policy_texts()
    texts["stops.cedar"] = texts["stops.cedar"].replace("principal.suspended", "false && principal.suspended")
    assert "TEST_FAILED" in {each.code for each in examine(schema_text(), texts, _some_tests()).findings}
    for tests, code in ((None, "NO_TESTS"), ("{", "BAD_TESTS"), ('{"members": {}, "scenarios": []}', "NO_TESTS")):
        examined = examine(schema_text(), policy_texts(), tests)
        assert [each.code for each in examined.findings] == [code]
        assert not examined.sound


def test_a_broken_schema_is_told_as_such() -> None:
    """Nothing is judged under a schema that does not parse."""
    (found,) = examine(schema_text() + "entity X { y: };", policy_texts(), _TESTS).findings
    assert (found.code, found.file) == ("BAD_SCHEMA", "schema.cedarschema")


def test_texts_and_comments_do_not_cut_a_rule() -> None:
    """A semicolon in a text or a comment ends no policy, and lines are counted through both."""
    placed = split("a.cedar", '// one; two\n@id("x") @title("a; b")\npermit (principal, action, resource); // c;\n\n@id("y") forbid (x);\n')
    assert [(each.rule, each.line) for each in placed] == [("x", 2), ("y", 5)]


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The shipped bundle passes with exit 0; one with a mistake is refused with 1, one JSON object a line; no folder is wrong use."""
    assert run(["policy", "check", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["ok"]
    assert {each["severity"] for each in lines[:-1]} <= {"WARN", "INFO"}
    for name, text in policy_texts().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "schema.cedarschema").write_text(schema_text())
    assert run(["policy", "check", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[0])["code"] == "NO_TESTS"
    assert run(["policy", "check", str(tmp_path / "none")]) == 2


def test_every_code_has_a_severity_and_advice() -> None:
    """The table of findings knows three severities, and says what to do for each code."""
    assert {severity for severity, _ in FINDINGS.values()} == {"REJECT", "WARN", "INFO"}
    assert all(advice for _, advice in FINDINGS.values())
