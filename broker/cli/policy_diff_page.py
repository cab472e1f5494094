"""The page that ``broker policy diff --html`` writes: for whoever has to approve a change of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker.cli.policy_pages import definitions, heading, page, paragraph, table, text, verdict
from broker.policy.difference import Difference, Group
from broker.policy.difference_words import because, counted, exemplified, listed, marks, what, who
from broker.policy.rewording import RuleChange

SAMPLE = (
    "What is compared is a sample: made-up messages of every family under every TLP mark, the scenarios of both sets of rules, and "
    "recorded messages where they were given. A difference that none of these shows is not found."
)
"""What a reader must know of the numbers."""


def diff_page(old: str, new: str, found: Difference, changes: Sequence[RuleChange]) -> str:
    """The page. ``old`` and ``new`` name the two sets of rules."""
    states = {change.id: change.state for change in changes}
    count = f"losses: {len(found.losses)}; gains: {len(found.gains)}; rules new, gone or changed: {len(changes)}"
    return page(
        f"What changes for whom: from {old} to {new}",
        definitions(
            (
                ("Before", old),
                ("After", new),
                ("In short", count if changes or not found.empty else "the same rules: nobody gains, nobody loses"),
                ("Compared", f"{found.made_up} made-up messages and scenarios, {found.recorded} recorded messages"),
            )
        ),
        paragraph(SAMPLE, "soft"),
        heading(2, "Who loses what"),
        _groups(found.losses, states, found.recorded, gain=False),
        heading(2, "Who gains what"),
        _groups(found.gains, states, found.recorded, gain=True),
        heading(2, "Rules that are new, gone or changed"),
        *([_rule(change) for change in changes] or [paragraph("None.")]),
        heading(2, "Dated facts: agreements, assurances, operations, regimes") if found.facts_more or found.facts_less else "",
        paragraph(f"New, or hold for more: {', '.join(found.facts_more)}") if found.facts_more else "",
        paragraph(f"Gone, or hold for less: {', '.join(found.facts_less)}") if found.facts_less else "",
    )


def _groups(groups: Sequence[Group], states: Mapping[str, str], recorded: int, *, gain: bool) -> str:
    if not groups:
        return paragraph("Nobody, in any case that was compared.")
    return table(
        "Gains, the most frequent first" if gain else "Losses, the most frequent first",
        ["Who", "May now" if gain else "May no longer", "Of", "Why", "Seen in", "For example"],
        (_row(group, states, recorded, gain=gain) for group in groups),
    )


def _row(group: Group, states: Mapping[str, str], recorded: int, *, gain: bool) -> list[str]:
    told = counted(group, recorded)
    return [
        text(who(group)),
        verdict(what(group), good=gain),
        text(listed(group.families, "and")),
        text(because(group, states, gain=gain)),
        text(f"{told}; {marks(group)}" if group.marks else told),
        text(exemplified(group.example)),
    ]


def _rule(change: RuleChange) -> str:
    elements = {"same": "{}", "new": "<ins>{}</ins>", "gone": "<del>{}</del>"}
    body = "".join(elements[kind].format(text(piece)) for kind, piece in change.pieces)
    return "\n".join(
        (
            heading(3, f"{change.id} ({change.state})"),
            paragraph(change.title),
            paragraph(f"From: {change.basis}", "soft"),
            f"<pre>{body}</pre>",
        )
    )
