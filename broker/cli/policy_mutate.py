"""``broker policy mutate``: whether the scenarios of a bundle would notice a mistake in its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.policy.bundle import Bundle
from broker.policy.lint import Linted, lint
from broker.policy.mutation import REACH, Score, Trial, all_mutants, trials
from broker.policy.scenarios import Scenario, failures, read_scenarios
from broker.storage.policies import read_policies


def register(app: App) -> None:
    """Add the command to the group ``policy``."""
    app.command(mutate)


def mutate(
    directory: Annotated[Path | None, Parameter(name="DIR")] = None, /, *, reach: float = REACH, common: Common = COMMON
) -> int:  # fmt: skip
    """Whether the scenarios would notice a mistake: each rule and each condition is left out or turned round in turn, and the scenarios
    run on what comes out. What none of them notices is listed. Exit code 1 where fewer than `--reach` per cent are noticed.

    What is listed needs a scenario, or makes no difference because another rule says the same. Takes about a minute.

    Example: broker policy mutate deploy/policies --reach 95

    Parameters
    ----------
    directory
        A folder with schema.cedarschema, .cedar files and scenarios.json; without it the policies that ship.
    reach
        Per cent of the changed bundles on which a scenario has to fail, 0 to 100.
    """
    if not 0 <= reach <= 100:
        raise UsageError(f"--reach {reach:g} is no per cent", advice="give a number from 0 to 100")
    screen = Screen(as_json=common.json)
    linted, bundle, scenarios = _read(directory)
    chosen, score = all_mutants(bundle), Score()
    with screen.counting("mutants", len(chosen)) as progress:
        for trial in trials(bundle, scenarios, linted.places, chosen):
            score.add(trial)
            progress.advance(progress.task_ids[0])
            if trial.outcome == "survived":
                screen.result(_json(trial), _line(trial))
    met = score.share >= reach
    summary = {
        "ok": met, "mutants": len(chosen), "killed": score.killed, "survived": score.survived, "invalid": score.invalid,
        "share": round(score.share, 2), "reach": reach, "scenarios": len(scenarios),
    }  # fmt: skip
    told = (
        f"{score.killed} of {score.killed + score.survived} mutants are noticed by {len(scenarios)} scenarios, "
        f"{score.invalid} more are refused before: {score.share:.1f} %"
    )
    verdict = "[green]enough[/]" if met else f"[red]fewer than {reach:g} %[/]"
    screen.result(summary, f"{told}, {verdict}")
    return 0 if met else 1


def _read(directory: Path | None) -> tuple[Linted, Bundle, tuple[Scenario, ...]]:
    texts = read_policies(directory)
    linted = lint(texts.schema, texts.policies)
    if linted.bundle is None:
        raise RefusedError(Refusal("BAD_BUNDLE", f"{linted.findings[0].reason}; see `broker policy check`"))
    scenarios = read_scenarios(texts.scenarios) if texts.scenarios else ()
    if not scenarios:
        raise RefusedError(Refusal("BAD_BUNDLE", "there is no scenario: nothing would notice anything"))
    if found := failures(linted.bundle, scenarios):
        raise RefusedError(Refusal("BUNDLE_FAILS_TESTS", f"{len(found)} of its own tests fail as it is: {found[0]}"))
    return linted, linted.bundle, scenarios


def _json(trial: Trial) -> dict[str, object]:
    return {
        "outcome": trial.outcome, "file": trial.file, "line": trial.line or None, "rule": trial.mutant.rule, "what": trial.mutant.what,
    }  # fmt: skip


def _line(trial: Trial) -> str:
    return f"[yellow]SURVIVED[/] {escape(printable(trial.file))}:{trial.line} {trial.mutant.rule}: {escape(printable(trial.mutant.what))}"
