"""What is wrong with the texts of a bundle, with file, line and what to do: every finding at once, not the first.

:meth:`broker.policy.bundle.Bundle.from_texts` refuses the same texts; this tells their author where. What the rules do once they
are read (dead, shadowed, covered) is :mod:`broker.policy.standing`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cedarpy

from broker.errors import UsageError
from broker.policy.bundle import Bundle
from broker.policy.cedar import read_schema, violations
from broker.policy.facts_file import FACTS_FILE, read_facts
from broker.policy.rules import Reading, read_rules
from broker.policy.source import Placed, split

RULE_LIMIT: Final = 2000
"""Most rules of a bundle. Cedar asks each of them at each new decision: 2,000 take 1.6 to 1.8 ms a question, 10,000 take 16 ms, and a
decision over a thousand agencies asks some hundred questions."""
TEXT_LIMIT: Final = 900_000
"""Most bytes of schema and policies together: the bundle travels as one record of at most 1 MiB."""

FINDINGS: Final[dict[str, tuple[str, str]]] = {
    "BAD_SCHEMA": ("REJECT", "correct the Cedar schema at the place named"),
    "BAD_FACTS": ("REJECT", "correct entities.json: see docs/policy.md, Agreements and other dated facts"),
    "NO_POLICIES": ("REJECT", "put at least one .cedar file into the folder: without any, nothing is ever permitted"),
    "TOO_MANY_RULES": ("REJECT", "say it with communities of the directory and one rule for all, instead of a rule for each agency"),
    "NOT_CEDAR": ("REJECT", "correct the text at the place named: it is no Cedar"),
    "RULE_FORM": ("REJECT", "see how to write a rule in the README of the policies"),
    "LOOK_ALIKE": ("REJECT", "type the name again in ASCII: a letter of another alphabet looks the same and is not"),
    "DUPLICATE_RULE": ("REJECT", "give each rule an id of its own: decisions, slips and receipts name rules by it"),
    "UNKNOWN_ATTRIBUTE": ("REJECT", "use a name of the schema: a rule that reads another fails, and Cedar skips a rule that fails"),
    "UNGUARDED_ATTRIBUTE": ("REJECT", "ask first, `resource has NAME && ...`: else the rule fails, and Cedar skips a forbid that fails"),
    "INVALID_RULE": ("REJECT", "correct the rule: names and values must be those of the schema"),
    "UNKNOWN_COMMUNITY": ("REJECT", "correct the name, or give a member of scenarios.json this community, and a scenario that needs it"),
    "UNKNOWN_AGENCY": ("REJECT", "correct the id, or list the agency among the members of scenarios.json, with a scenario that needs it"),
    "NO_TESTS": ("REJECT", "put scenarios.json beside the policies: a bundle without tests is not applied"),
    "BAD_TESTS": ("REJECT", "correct scenarios.json; see the one that ships"),
    "TEST_FAILED": ("REJECT", "correct the rules, or the scenario where the rules are right: a bundle whose tests fail is not applied"),
    "DEAD_RULE": ("WARN", "remove the rule, or correct its conditions: nothing ever depends on it"),
    "SHADOWED_RULE": ("WARN", "remove the permit, or narrow the prohibition: whatever it permits is forbidden"),
    "COVERED_RULE": ("WARN", "keep it if it says why; else remove it: another permit gives all that it gives"),
    "CONFLICT": ("INFO", "nothing, if it is meant: the prohibition wins"),
}  # fmt: skip
"""Each code's severity, and what the author should do. REJECT: the bundle is not to be applied."""

_PREFIX: Final = re.compile(r"for policy `[^`]*`, ")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MISSING: Final = re.compile(r"attribute `([^`]+)`.* not found")


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One remark on a bundle. ``line`` counts from 1, 0 where the whole file is meant; ``rule`` is empty where none is."""

    code: str
    file: str
    line: int
    rule: str
    reason: str
    hint: str = ""

    @property
    def severity(self) -> str:
        """REJECT, WARN or INFO."""
        return FINDINGS[self.code][0]

    @property
    def advice(self) -> str:
        """What the author should do."""
        return self.hint or FINDINGS[self.code][1]


@dataclass(frozen=True, slots=True)
class Linted:
    """What linting gives: findings, where each rule stands, and the bundle if nothing was refused."""

    findings: tuple[PolicyFinding, ...]
    places: Mapping[str, Placed]
    bundle: Bundle | None


def lint(schema: str, policies: Mapping[str, str], entities: str = "", *, version: int = 1) -> Linted:
    """Check the texts of a bundle. ``policies`` maps file names to texts; ``schema`` is schema.cedarschema, ``entities`` entities.json."""
    try:
        Bundle.from_texts(version, schema, {"probe.cedar": _PROBE})
    except UsageError as error:
        return _refused([PolicyFinding("BAD_SCHEMA", "schema.cedarschema", _schema_line(schema, str(error)), "", str(error), error.advice)])
    handle = read_schema(schema)
    placed = [each for name in sorted(policies) for each in split(name, policies[name])]
    size = len(schema.encode()) + sum(len(text.encode()) for text in policies.values())
    if not placed:
        return _refused([PolicyFinding("NO_POLICIES", "", 0, "", "the bundle has no policies")])
    if len(placed) > RULE_LIMIT or size > TEXT_LIMIT:
        reason = f"{len(placed):,} rules in {size:,} bytes: at most {RULE_LIMIT:,} rules and {TEXT_LIMIT:,} bytes"
        return _refused([PolicyFinding("TOO_MANY_RULES", placed[-1].file, 0, "", reason)])
    try:
        read_facts(entities)
    except UsageError as error:
        return _refused([PolicyFinding("BAD_FACTS", FACTS_FILE, 0, "", str(error), error.advice)])
    words = sorted(set(_WORD.findall(schema)))
    found = [finding for each in placed for finding in _policy(each, handle, words)]
    places: dict[str, Placed] = {}
    for each in placed:
        if each.rule and each.rule in places:
            first = places[each.rule]
            reason = f"rule `{_shown(each.rule)}` stands in {first.file} line {first.line} already"
            found.append(PolicyFinding("DUPLICATE_RULE", each.file, each.line, _shown(each.rule), reason))
        places.setdefault(each.rule, each)
    if found:
        return Linted(tuple(found), places, None)
    try:
        return Linted((), places, Bundle.from_texts(version, schema, policies, entities))
    except UsageError as error:
        return _refused([PolicyFinding("INVALID_RULE", placed[0].file, 0, "", str(error), error.advice)])


def strangers(reading: Reading, places: Mapping[str, Placed], agencies: Iterable[str], communities: Iterable[str]) -> list[PolicyFinding]:
    """Communities and agencies that rules name and nobody has: a permit on such a name never gives, a prohibition never stops."""
    found: list[PolicyFinding] = []
    for kind, code, known in (("Community", "UNKNOWN_COMMUNITY", set(communities)), ("Agency", "UNKNOWN_AGENCY", set(agencies))):
        for name in sorted(reading.entities.get(kind, frozenset()) - known):
            literal = f'{kind}::"{name}"'
            for each in places.values():
                if literal in each.code:
                    hint = _likely(name, sorted(known), FINDINGS[code][1])
                    reason = (
                        f"rule `{each.rule}` names {literal}, and no member of the tests {'is in it' if kind == 'Community' else 'is it'}"
                    )
                    found.append(PolicyFinding(code, each.file, each.line_of(f"`{name}`"), each.rule, reason, hint))
    return found


def _refused(found: Sequence[PolicyFinding]) -> Linted:
    return Linted(tuple(found), {}, None)


def _policy(each: Placed, schema: cedarpy.Schema, words: Sequence[str]) -> list[PolicyFinding]:
    rule = _shown(each.rule)
    try:
        read_rules(each.text)
    except UsageError as error:
        message = str(error)
        code = "LOOK_ALIKE" if not each.code.isascii() else "NOT_CEDAR" if message.startswith("not Cedar") else "RULE_FORM"
        if code == "LOOK_ALIKE":
            line = each.line + next(at for at, text in enumerate(each.text.split("\n")) if not _code_of(text).isascii())
            return [PolicyFinding(code, each.file, line, rule, message)]
        return [PolicyFinding(code, each.file, each.line_of(message), rule, message, "" if code == "NOT_CEDAR" else error.advice)]
    found: list[PolicyFinding] = []
    for violation in violations(each.text, schema):
        reason = _PREFIX.sub("", violation)
        missing = _MISSING.search(reason)
        if missing is not None:
            hint = _likely(missing[1], words, FINDINGS["UNKNOWN_ATTRIBUTE"][1])
            found.append(PolicyFinding("UNKNOWN_ATTRIBUTE", each.file, each.line_of(f"`{missing[1]}`"), rule, reason, hint))
        else:
            code = "UNGUARDED_ATTRIBUTE" if "optional attribute" in reason else "INVALID_RULE"
            found.append(PolicyFinding(code, each.file, each.line_of(reason.partition(": ")[2]), rule, reason))
    return found


def _code_of(line: str) -> str:
    return Placed("", 1, line, "").code


def _likely(name: str, known: Sequence[str], advice: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`? {advice}" if close else advice


def _schema_line(schema: str, message: str) -> int:
    return Placed("schema.cedarschema", 1, schema, "").line_of(message)


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[:80]


_PROBE: Final = '@id("probe") @title("probe") @basis("probe") forbid (principal, action, resource);'
