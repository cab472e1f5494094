"""Comparing what a step did with what the script says it must do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from broker.app.scenario.events import Summary
from broker.app.scenario.script import Expected, Share

RELAY_REFUSES = ("forge", "alter", "forward", "strip", "replay")
"""What the relay refuses, so that the bytes have to lie in quarantine. The bytes of ``tamper`` never pass it."""


@dataclass(frozen=True, slots=True)
class Got:
    """What one agency got, or was told it would get: sections, the rule of each withheld one, and the rule it receives by."""

    sections: frozenset[str]
    withheld: Mapping[str, str]
    rule: str


@dataclass(frozen=True, slots=True)
class Happened:
    """What a step did. ``got`` is what it was about (in a dry run: what would be got); ``arrived`` is how many deliveries the agencies
    took while it lasted; ``promised`` is what the sender's receipt says of each recipient (None where there is none)."""

    outcome: str
    code: str = ""
    instruction: str = ""
    got: Mapping[str, Got] = field(default_factory=dict[str, Got])
    denied: Mapping[str, str] = field(default_factory=dict[str, str])
    arrived: Mapping[str, int] = field(default_factory=dict[str, int])
    promised: Mapping[str, frozenset[str]] | None = None
    quarantined: tuple[str, ...] = ()


def differences(do: str, expected: Expected, happened: Happened, agencies: tuple[str, ...]) -> Iterator[str]:
    """One sentence for each thing that is not as expected."""
    if (expected.outcome, expected.code) != (happened.outcome, happened.code):
        yield f"the outcome is {_named(happened.outcome, happened.code)}, not {_named(expected.outcome, expected.code)}"
    if expected.instruction != happened.instruction:
        yield f"the instruction is {happened.instruction or 'none'}, not {expected.instruction or 'none'}"
    for agency in agencies:
        yield from _share(agency, expected.gets.get(agency), happened)
        count, wanted = happened.arrived.get(agency, 0), int(do == "publish" and agency in happened.got)
        if count != wanted:
            yield f"{agency} was delivered {count} messages, not {wanted}"
    if happened.promised is not None:
        seen = {agency: got.sections for agency, got in happened.got.items()}
        if dict(happened.promised) != seen:
            yield f"the receipt names {_listed(happened.promised)}; delivered was {_listed(seen)}"
    wanted_there = (expected.code,) if do in RELAY_REFUSES and expected.outcome == "refused" else ()
    if happened.quarantined != wanted_there:
        yield f"in quarantine came {', '.join(happened.quarantined) or 'nothing'}, not {', '.join(wanted_there) or 'nothing'}"


def totals(wanted: Mapping[str, int], summary: Summary) -> Iterator[str]:
    """One sentence for each total that is not as expected."""
    for name, number in wanted.items():
        if getattr(summary, name) != number:
            yield f"totals: {name} is {getattr(summary, name)}, not {number}"


def count(do: str, expected: Expected, agencies: tuple[str, ...]) -> int:
    """How many things :func:`differences` compares: outcome, instruction, quarantine, receipt, and for each agency what it gets."""
    return 3 + int(do == "publish") + len(agencies) + sum(len(share.withhold) for share in expected.gets.values())


def _share(agency: str, wanted: Share | None, happened: Happened) -> Iterator[str]:
    got = happened.got.get(agency)
    if wanted is None or wanted.denied:
        if got is not None:
            yield f"{agency} gets {_sections(got.sections)} by {got.rule}, and should get nothing"
        elif wanted is not None and happened.denied.get(agency) != wanted.denied:
            yield f"{agency} is denied by {happened.denied.get(agency)}, not by {wanted.denied}"
        return
    if got is None:
        yield f"{agency} gets nothing, and should get {_sections(wanted.reads)} by {wanted.by}"
        return
    if (got.sections, got.rule) != (wanted.reads, wanted.by):
        yield f"{agency} gets {_sections(got.sections)} by {got.rule}, and should get {_sections(wanted.reads)} by {wanted.by}"
    for section, rule in wanted.withhold.items():
        if got.withheld.get(section) != rule:
            yield f"{section} is kept from {agency} by {got.withheld.get(section)}, not by {rule}"


def _named(outcome: str, code: str) -> str:
    return f"{outcome} {code}".strip()


def _sections(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "no section"


def _listed(shares: Mapping[str, frozenset[str]]) -> str:
    return "; ".join(f"{agency} {_sections(names)}" for agency, names in sorted(shares.items())) or "nobody"
