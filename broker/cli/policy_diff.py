"""``broker policy diff``: who gains and who loses what when the rules change. :func:`register` puts it into the group ``policy``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from rich.markup import escape

from broker.cli.policy_diff_forms import group_json, rule_json
from broker.cli.policy_diff_page import diff_page
from broker.cli.policy_ground import Ground, in_force, labels_from, moment, write_page, written
from broker.cli.screen import COMMON, STDIN, Common, Screen, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.policy.difference import Comparison, Difference, Group, alike, cases
from broker.policy.difference_words import changed_pieces, counted, exemplified, marks, sentence
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.model import Labels, Member
from broker.policy.rewording import Piece, RuleChange, rule_changes
from broker.policy.widening import Case
from broker.storage.schemas import load_catalogue

_COLOURS: Final = {"new": "green", "gone": "red", "changed": "yellow"}


@dataclass(slots=True)
class _Traffic:
    """Recorded messages of which neither set of rules can tell one from the other: the first one, and how many there are."""

    number: int
    labels: Labels
    times: int = 0


def register(app: App) -> None:
    """Add the command to the group ``policy``."""
    app.command(diff)


async def diff(
    old: Annotated[Path, Parameter(name="OLD")],
    new: Annotated[Path | None, Parameter(name="NEW")] = None,
    /,
    *,
    traffic: str | None = None,
    no_wider: Annotated[bool, Parameter(negative="")] = False,
    at: str | None = None,
    html: Path | None = None,
    as_: Annotated[str | None, Parameter(name="--as")] = None,
    common: Common = COMMON,
) -> int:
    """Who gains and who loses which sections of which messages when the rules of NEW take the place of those of OLD.

    With one folder or file it is the new one, compared with what is in force in the exchange. Both decide made-up messages, their
    scenarios and, with --traffic, recorded messages. Exit code 1 with --no-wider if anybody gains anything.

    Example: broker policy diff deploy/policies policies --traffic sent.jsonl --html change.html

    Parameters
    ----------
    old
        A folder like deploy/policies, or a bundle file.
    new
        The same, for what is to come.
    traffic
        Messages as `broker publish` takes them, JSON Lines; - is standard input. Only their labels are used, no content is shown.
    no_wider
        Exit with 1 if anybody gains anything.
    at
        The moment to decide recorded messages at, ISO 8601 (default: now).
    html
        Write a page for people to this file, too.
    as_
        The agency of this home whose view of the exchange is meant: its rules in force where only NEW is given, its members for --traffic.
    """
    screen, at_ms = Screen(as_json=common.json), moment(at)
    force = await in_force(common, as_) if new is None or as_ is not None else None
    after = written(old if new is None else new)
    before = force if new is None and force is not None else written(old)
    members = force.members if force is not None else {**before.members, **after.members}
    facts = NO_FACTS if force is not None else before.facts.joined(after.facts)
    comparison = Comparison(before.bundle, after.bundle)
    sorts, refused = await asyncio.to_thread(_sorts, screen, comparison, traffic, at_ms) if traffic is not None else ([], [])
    await asyncio.to_thread(_made_up, screen, comparison, before, after)
    if traffic is not None:
        name = "the input" if traffic == STDIN else Path(traffic).name
        await asyncio.to_thread(_recorded, screen, comparison, sorts, name, (members, facts, at_ms))
    found, changes = comparison.result(), rule_changes(before.bundle, after.bundle)
    _tell(screen, found, changes, {"old": before.told, "new": after.told, "refused": len(refused)})
    if html is not None:
        write_page(html, diff_page(before.told, after.told, found, changes), screen)
    return 1 if no_wider and found.gains else 0


def _made_up(screen: Screen, comparison: Comparison, before: Ground, after: Ground) -> None:
    many = list(cases(before.bundle, after.bundle, (*before.scenarios, *after.scenarios)))
    with screen.counting("made-up messages", len(many)) as bar:
        for case in many:
            comparison.add(case)
            bar.advance(bar.task_ids[0])


def _sorts(screen: Screen, comparison: Comparison, path: str, at_ms: int) -> tuple[list[_Traffic], list[str]]:
    """The sorts of messages of a file, and which of them would be refused, in words. Raises UsageError."""
    key, sorts = alike(comparison.old, comparison.new, at_ms), dict[object, _Traffic]()
    refused: list[str] = []
    with screen.counting("reading recorded messages", None) as bar:
        for number, _, labels in labels_from(path, load_catalogue()):
            bar.advance(bar.task_ids[0])
            if isinstance(labels, Refusal):
                refused.append(f"message {number}: {RefusedError(labels)}")
            else:
                sorts.setdefault(key(labels), _Traffic(number, labels)).times += 1
    if refused and not sorts:
        raise UsageError(f"every recorded message would be refused: {refused[0]}", advice="give messages as `broker publish` takes them")
    if refused:
        screen.note(f"[yellow]{len(refused)} recorded messages are left out[/]: {escape(printable(refused[0]))}")
    return list(sorts.values()), refused


def _recorded(
    screen: Screen, comparison: Comparison, sorts: list[_Traffic], name: str, under: tuple[Mapping[str, Member], Facts, int]
) -> None:
    members, facts, at_ms = under
    if strangers := sum(each.times for each in sorts if each.labels.originator not in members):
        screen.note(f"[yellow]{strangers} recorded messages are of agencies that are not members[/]: --as takes the members of an exchange")
    with screen.counting("sorts of recorded messages", len(sorts)) as bar:
        for each in sorts:
            comparison.add(
                Case(f"message {each.number} of {name}", each.labels, members, at_ms, facts=facts), times=each.times, recorded=True
            )
            bar.advance(bar.task_ids[0])


def _tell(screen: Screen, found: Difference, changes: tuple[RuleChange, ...], more: dict[str, Any]) -> None:
    states: dict[str, str] = {change.id: change.state for change in changes}
    screen.remark(f"[bold]{escape(printable(more['old']))}[/] → [bold]{escape(printable(more['new']))}[/]")
    for title, groups, gain in (("Losses", found.losses, False), ("Gains", found.gains, True)):
        screen.remark(f"\n[bold]{title}[/]" + ("" if groups else ": none"))
        for group in groups:
            screen.result(group_json(group, states, gain=gain), _group_told(group, states, found.recorded, gain=gain))
    screen.remark("\n[bold]Rules[/]" + ("" if changes else ": the same"))
    for told, names in (("new or hold for more", found.facts_more), ("gone or hold for less", found.facts_less)):
        if names:
            screen.remark(f"  facts that are {told}: {escape(', '.join(names))}")
    for change in changes:
        screen.result(rule_json(change), _rule_told(change))
    record = {
        "same": found.empty and not (changes or found.facts_more or found.facts_less),
        "losses": len(found.losses), "gains": len(found.gains), "rules": len(changes),
        "made_up": found.made_up, "recorded": found.recorded, "facts_more": list(found.facts_more),
        "facts_less": list(found.facts_less), **more,
    }  # fmt: skip
    screen.result(
        record, f"\n[dim]compared over {found.made_up} made-up messages and scenarios, {found.recorded} recorded messages: a sample[/dim]"
    )


def _group_told(group: Group, states: Mapping[str, str], recorded: int, *, gain: bool) -> str:
    seen = "; ".join(each for each in (counted(group, recorded), marks(group)) if each)
    return (
        f"  [{'green' if gain else 'red'}]{escape(printable(sentence(group, states, gain=gain)))}[/]\n"
        f"      [dim]{escape(printable(seen))}[/dim]\n"
        f"      [dim]for example {escape(printable(exemplified(group.example)))}[/dim]"
    )


def _rule_told(change: RuleChange) -> str:
    lines = [
        f"  [{_COLOURS[change.state]}]{change.state}[/] {escape(change.id)}: {escape(printable(change.title))}",
        f"      [dim]from: {escape(printable(change.basis))}[/dim]",
    ]
    if change.state == "changed":
        lines.append(f"      {''.join(_pieces(changed_pieces(change.pieces)))}")
    return "\n".join(lines)


def _pieces(pieces: list[Piece]) -> Iterator[str]:
    """A rule's text with what is gone and what is new marked, so that it can be read without colours."""
    forms = {"same": "[dim]{}[/dim]", "gone": "[red]\\[-{}-][/red]", "new": "[green]{{+{}+}}[/green]"}
    yield from (forms[kind].format(escape(printable(text))) for kind, text in pieces)
