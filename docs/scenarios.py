"""The page of scenarios: every line that the shipped policies are tested against."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from broker.policy.bundle import Bundle
from broker.policy.lines import Line, lines
from broker.policy.scenarios import Scenario, read_pending, read_scenarios
from broker.storage.policies import read_policies

SITUATIONS: Final = {
    "p01": "An alert without persons goes along its route and to a community",
    "p02": "The same alert names a person: agreements, their purposes, their ends, assurances on file",
    "p03": "A licence is revoked: customs at once, the reason among licensing authorities, the exporter under an agreement",
    "p04": "A denial stays in its regime, from the accession of a member to its date of review",
    "p05": "One agency asks to pass on what it got from another: the owner's consent, for a time",
    "p06": "A message is to be used in court",
    "p07": "Goods go through a free zone",
    "p08": "One agency asks another",
    "p09": "Controlled delivery: an embargo and its joint team",
    "p10": "An agency is suspended",
    "p11": "A message is read again after its life",
    "p12": "FLASH to a country without an agreement",
    "p13": "A joint operation with a beginning and an end",
    "p14": "One house with two hats: purposes are not mixed",
    "p15": "Marks that contradict each other: the strictest wins",
    "p16": "Statistics",
}
"""The situations by which the scenarios are named."""


def scenarios_page(note: str) -> str:
    """The whole page; ``note`` says that it is written by a program."""
    texts = read_policies()
    bundle = Bundle.from_texts(1, texts.schema, texts.policies, texts.entities)
    found = read_scenarios(texts.scenarios or "")
    pending = read_pending(texts.scenarios or "")
    told = {each.name: list(group) for each, group in _grouped(bundle, found)}
    parts = [
        "# What the rules decide, situation by situation\n",
        note,
        "Each line is a test of the policies that ship (`deploy/policies/scenarios.json`, which `broker policy scenarios` runs): what is",
        "expected, which is what the rules decide, and the rule. Facts that a line depends on, such as agreements with their dates, are",
        "made up and stand in the same file. An agency that is not listed gets nothing, and that is tested too.\n",
    ]
    for key, title in SITUATIONS.items():
        parts.append(f"## {key.upper().replace('P0', 'P')} · {title}\n")
        for scenario in found:
            if scenario.name.startswith(key):
                parts += [f"**{scenario.name}** {scenario.about}.\n", *_table(told[scenario.name]), ""]
        parts += [f"*Not yet*: {line}\n" for name, line in pending if name.startswith(key)]
    parts.append("## Others\n")
    for scenario in found:
        if scenario.name[:3] not in SITUATIONS:
            parts += [f"**{scenario.name}** {scenario.about}.\n", *_table(told[scenario.name]), ""]
    return "\n".join(parts).rstrip() + "\n"


def _grouped(bundle: Bundle, found: tuple[Scenario, ...]) -> Iterator[tuple[Scenario, list[Line]]]:
    named = {each.name: each for each in found}
    for name, group in groupby(lines(bundle, found), key=lambda line: line.scenario):
        yield named[name], list(group)


def _table(rows: list[Line]) -> list[str]:
    head = ["| agency | asks to | expected | got | rule |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        got, rule = "as expected" if row.holds else row.got, f"`{row.rule}`" if row.rule else ""
        head.append(f"| {row.agency} | {row.question} | {row.expected} | {got} | {rule} |")
    return head
