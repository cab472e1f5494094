"""``broker policy``: what the rules of a bundle say, before anybody decides by them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.markup import escape

from broker.cli import policy_diff, policy_explain, policy_mutate, policy_officers, policy_scenarios
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.policy.examine import examine
from broker.policy.lint import PolicyFinding
from broker.storage.policies import read_policies

app = App(
    name="policy",
    help="The rules of who may publish, receive and read what: check, explain and compare them, have them signed and applied.",
)
policy_officers.register(app)
policy_scenarios.register(app)
policy_explain.register(app)
policy_diff.register(app)
policy_mutate.register(app)

_COLOURS: Final = {"REJECT": "red", "WARN": "yellow", "INFO": "dim"}


@app.command
def check(directory: Annotated[Path | None, Parameter(name="DIR")] = None, /, *, common: Common = COMMON) -> int:
    """Whether a bundle may be applied: its texts, what its rules do among each other, its own tests. Exit code 1 where it may not.

    Example: broker policy check deploy/policies

    Parameters
    ----------
    directory
        A folder with schema.cedarschema, .cedar files and scenarios.json; without it the policies that ship.
    """
    screen = Screen(as_json=common.json)
    texts = read_policies(directory)
    examined = examine(texts.schema, texts.policies, texts.scenarios, texts.entities)
    for finding in examined.findings:
        screen.result(_json(finding), _line(finding))
    counts = {severity: sum(each.severity == severity for each in examined.findings) for severity in _COLOURS}
    rules = len(examined.bundle.rules()) if examined.bundle else 0
    summary = {
        "ok": examined.sound, "rules": rules, "scenarios": examined.scenarios, "rejected": counts["REJECT"], "warnings": counts["WARN"],
        "digest": examined.bundle.digest.hex() if examined.bundle else None,
    }  # fmt: skip
    verdict = "[green]may be applied[/]" if examined.sound else "[red]must not be applied[/]"
    told = f"{rules} rules, {examined.scenarios} scenarios, {counts['REJECT']} refusals, {counts['WARN']} warnings: {verdict}"
    screen.result(summary, told)
    return 0 if examined.sound else 1


def _json(finding: PolicyFinding) -> dict[str, object]:
    return {
        "severity": finding.severity, "code": finding.code, "file": finding.file, "line": finding.line or None,
        "rule": finding.rule or None, "reason": finding.reason, "advice": finding.advice,
    }  # fmt: skip


def _line(finding: PolicyFinding) -> str:
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    head = f"[{_COLOURS[finding.severity]}]{finding.severity} {finding.code}[/] {escape(printable(where))}"
    return f"{head}: {escape(printable(finding.reason))}\n  [dim]{escape(printable(finding.advice))}[/dim]"
