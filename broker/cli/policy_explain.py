"""``broker policy explain``: who may see what of one message, and why, in words. :func:`register` puts it into the group ``policy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape

from broker import ids
from broker.cli.policy_explain_forms import answer_json, ways_told, what_told
from broker.cli.policy_explain_page import explain_page, overview_page
from broker.cli.policy_ground import Ground, ground_of, labels_from, labels_json, moment, write_page
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.policy.decide import Decider
from broker.policy.explain import Answer, Explained, explained, together
from broker.policy.model import Distribution, Labels, Release, Verdict
from broker.policy.premises import Situation, moment_shown, tlp_shown
from broker.storage.schemas import load_catalogue


@dataclass(frozen=True, slots=True)
class Asked:
    """The message in question: what it is called, its labels, the moment, and the rules and members it is asked under."""

    name: str
    labels: Labels
    now_ms: int
    ground: Ground


def register(app: App) -> None:
    """Add the command to the group ``policy``."""
    app.command(explain)


async def explain(
    file: Annotated[str | None, Parameter(name="FILE")] = None,
    /,
    *,
    scenario: str | None = None,
    agency: str | None = None,
    policies: Path | None = None,
    at: str | None = None,
    html: Path | None = None,
    as_: Annotated[str | None, Parameter(name="--as")] = None,
    common: Common = COMMON,
) -> int:
    """Who may see what of one message, by which rule, and for what is denied what would have to be otherwise. Sends nothing.

    Without --policies, --home and --as: the rules that ship, and the members of their scenarios.

    Example: broker policy explain alert.json --agency AE-CUSTOMS

    Parameters
    ----------
    file
        One message in JSON, as `broker publish` takes it; - is standard input.
    scenario
        Instead of a file: a scenario of the rules, by its name.
    agency
        Explain everything about this agency; without it one line for each member.
    policies
        A folder like deploy/policies, or a bundle file; members are those of its scenarios.
    at
        The moment to decide at, ISO 8601 (default: now; for a scenario its own).
    html
        Write a page for people to this file, too.
    as_
        The agency of this home whose view of the exchange is asked: rules in force and members.
    """
    screen = Screen(as_json=common.json)
    if (file is None) == (scenario is None):
        raise UsageError("name either a file or a scenario", advice="broker policy explain alert.json, or --scenario NAME")
    at_ms = None if at is None else moment(at)
    ground = await ground_of(common, policies, as_)
    asked = _message(file, ground, at_ms) if file is not None else _scenario(scenario or "", ground, at_ms)
    facts = asked.ground.bundle.facts.joined(asked.ground.facts)
    decider = Decider(asked.ground.bundle, asked.ground.members, facts=facts)
    if agency is None:
        _overview(screen, asked, decider, html)
        return 0
    member = asked.ground.members.get(ids.agency_id(agency))
    if member is None:
        raise UsageError(f"{agency} is not a member here ({asked.ground.told})", advice=f"use one of {_some(asked.ground.members)}")
    told = explained(Situation(asked.labels, member, asked.now_ms, facts), asked.ground.bundle, asked.ground.members, decider)
    _head(screen, asked)
    _detail(screen, told)
    if html is not None:
        write_page(html, explain_page(asked.name, told, asked.ground), screen)
    return 0


def _message(file: str, ground: Ground, at_ms: int | None) -> Asked:
    found = None
    for number, subject, labels in labels_from(file, load_catalogue()):
        if number > 1:
            raise UsageError("there are several messages in the file", advice="give one message; `broker policy diff --traffic` takes many")
        if isinstance(labels, Refusal):
            raise RefusedError(labels)
        found = Asked(subject, labels, moment(None, at_ms), ground)
    if found is None:
        raise UsageError("there is no message in the file", advice="give one message as JSON")
    return found


def _scenario(name: str, ground: Ground, at_ms: int | None) -> Asked:
    for each in ground.scenarios:
        if each.name == name:
            members = replace(ground, members=each.members, facts=each.facts)
            return Asked(f"scenario {name}", each.labels, moment(None, each.now_ms if at_ms is None else at_ms), members)
    known = _some({each.name: None for each in ground.scenarios}) or "another source: these rules have no scenarios"
    raise UsageError(f"there is no scenario `{printable(name)}` in {ground.told}", advice=f"use {known}")


def _some(names: Mapping[str, object]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:30]) + (f" and {len(listed) - 30} more" if len(listed) > 30 else "")


def _head(screen: Screen, asked: Asked) -> None:
    labels = asked.labels
    screen.remark(
        f"[bold]{escape(printable(asked.name))}[/]: {labels.family} of {labels.originator}, TLP:{tlp_shown(labels.tlp)}, "
        f"{labels.handling}, at {moment_shown(asked.now_ms)}"
    )
    screen.remark(f"[dim]decided by {escape(printable(asked.ground.told))}[/dim]\n")


# ── every member ──


def _overview(screen: Screen, asked: Asked, decider: Decider, html: Path | None) -> None:
    verdict, distribution = decider.may_publish(asked.labels, asked.now_ms), decider.distribute(asked.labels, asked.now_ms)
    _head(screen, asked)
    screen.result(_publish_json(asked, verdict), _publish_told(asked, verdict))
    answers = sorted((*distribution.releases, *distribution.denials), key=lambda each: each.agency)
    for each in answers:
        record: dict[str, Any]
        if isinstance(each, Release):
            record = {
                "agency": each.agency, "receives": True, "rule": each.rule, "sections": dict(each.given), "withheld": dict(each.withheld),
            }  # fmt: skip
            given, kept = ", ".join(name for name, _ in each.given) or "no section", ", ".join(name for name, _ in each.withheld)
            line = f"{each.agency:<16} [green]{given}[/] [dim]({each.rule})[/dim]" + (f"  [yellow]not[/] {kept}" if kept else "")
        else:
            record = {"agency": each.agency, "receives": False, "rule": each.rule, "sections": {}, "withheld": {}, "reason": each.reason}
            line = f"{each.agency:<16} [yellow]nothing[/] [dim]({each.rule})[/dim]"
        screen.result(record, line)
    screen.remark("")
    for line in _rules_told(asked, distribution):
        screen.remark(line)
    screen.remark("\n[dim]why, and what would have to be otherwise: --agency AGENCY[/dim]")
    if html is not None:
        write_page(html, overview_page(asked.name, asked.labels, asked.now_ms, verdict, distribution, asked.ground), screen)


def _publish_json(asked: Asked, verdict: Verdict) -> dict[str, Any]:
    return {
        "agency": asked.labels.originator, "publishes": verdict.allowed, "rule": verdict.rules[0], "reason": verdict.reason,
        "at": moment_shown(asked.now_ms), "policies": asked.ground.told, "digest": asked.ground.bundle.digest.hex(),
        "labels": labels_json(asked.labels),
    }  # fmt: skip


def _publish_told(asked: Asked, verdict: Verdict) -> str:
    may = "[green]may publish it[/]" if verdict.allowed else "[red]may not publish it[/], so nobody would get it; if it could:"
    return f"{asked.labels.originator:<16} {may} [dim]({verdict.rules[0]})[/dim]"


def _rules_told(asked: Asked, distribution: Distribution) -> list[str]:
    used = {rule for release in distribution.releases for rule in (release.rule, *dict(release.given).values())}
    return [f"[dim]{rule.id:<24} {escape(printable(rule.title))}[/dim]" for rule in asked.ground.bundle.rules() if rule.id in used]


# ── one agency ──


def _detail(screen: Screen, told: Explained) -> None:
    member = told.situation.member
    communities = f", member of {', '.join(member.communities)}" if member.communities else ""
    screen.remark(f"[bold]{member.agency}[/] ({member.kind}, {member.country}{communities})")
    for names, answer in together(told.answers):
        if screen.as_json:
            for name in names:
                screen.result(answer_json(told, replace(answer, what=name)))
        else:
            screen.remark(_answer_told(told, names, answer))


def _answer_told(told: Explained, names: tuple[str, ...], answer: Answer) -> str:
    colour = "green" if answer.allowed else "yellow"
    lines = [f"\n  [{colour}]{what_told(names, allowed=answer.allowed)}[/]"]
    for each in answer.rules:
        lines.append(f"      {escape(printable(each.rule.title))} [dim](rule {each.rule.id})[/dim]")
        lines.append(f"      [dim]from: {escape(printable(each.rule.basis))}[/dim]")
        lines.append(f"      {'because' if each.facts else 'without a condition'} {escape(printable('; '.join(each.facts)))}".rstrip())
    if not answer.rules:
        lines.append(f"      {escape(printable(answer.reason)) or 'no rule gives it'}")
    if sentence := ways_told(told, answer):
        lines.append(f"      [italic]{escape(printable(sentence))}[/italic]")
    return "\n".join(lines)
