"""``broker policy scenarios``: the tests of a bundle as a table that officials read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.markup import escape

from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import UsageError
from broker.policy.bundle import Bundle
from broker.policy.lines import Line, lines
from broker.policy.scenarios import read_pending, read_scenarios
from broker.storage.policies import SCENARIOS, read_policies

_OTHERS: Final = "everybody else"


def register(app: App) -> None:
    """Add the command to the group ``policy``."""
    app.command(scenarios)


def scenarios(
    directory: Annotated[Path | None, Parameter(name="DIR")] = None, /, *, only: str = "", common: Common = COMMON
) -> int:  # fmt: skip
    """What a bundle's own scenarios expect, what its rules decide, and by which rule, line by line. Exit code 1 where they differ.

    Example: broker policy scenarios deploy/policies --only p05

    Parameters
    ----------
    directory
        A folder with schema.cedarschema, .cedar files and scenarios.json; without it the policies that ship.
    only
        Only scenarios whose name begins with this.
    """
    texts = read_policies(directory)
    if texts.scenarios is None:
        raise UsageError(f"there is no {SCENARIOS} in the folder", advice="write scenarios: a bundle without tests is not applied")
    bundle = Bundle.from_texts(1, texts.schema, texts.policies, texts.entities)
    chosen = [each for each in read_scenarios(texts.scenarios) if each.name.startswith(only)]
    if not chosen:
        raise UsageError(f"no scenario begins with `{printable(only)}`", advice="leave --only out to see them all")
    screen = Screen(as_json=common.json)
    told = {each.name: each.about for each in chosen}
    held = broken = 0
    for line in lines(bundle, chosen):
        if not common.json and line.scenario in told:
            screen.remark(f"[bold]{escape(line.scenario)}[/bold]  {escape(printable(told.pop(line.scenario)))}")
        held, broken = held + line.holds, broken + (not line.holds)
        screen.result(_json(line), _text(line))
    for name, pending in read_pending(texts.scenarios):
        if name.startswith(only):
            screen.result({"scenario": name, "not_yet": pending}, f"[bold]{escape(name)}[/bold]  [yellow]not yet[/] {escape(pending)}")
    summary = {"ok": not broken, "scenarios": len(chosen), "lines": held + broken, "held": held, "broken": broken}
    screen.result(summary, f"{len(chosen)} scenarios, {held + broken} lines: {held} held, {broken} broken")
    return 1 if broken else 0


def _json(line: Line) -> dict[str, object]:
    return {
        "scenario": line.scenario, "agency": line.agency, "question": line.question, "expected": line.expected, "got": line.got,
        "rule": line.rule or None, "ok": line.holds,
    }  # fmt: skip


def _text(line: Line) -> str:
    mark = "[green]held[/]  " if line.holds else "[red]BROKEN[/]"
    asked = "" if line.question == "receive" else f"{line.question}: "
    text = f"  {mark} {line.agency:<14} {asked}{line.got}"
    return text if line.holds else f"{text}\n         [dim]expected: {line.expected}[/dim]"
