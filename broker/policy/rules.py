"""Reading Cedar texts: which rules they hold, for which actions, and what a decision can depend on.

The last part keeps decisions cheap and is exact, because Cedar has no way to reach an attribute but by its name, nor an entity but
by a literal or through an attribute: what no rule names cannot change a decision. Arithmetic on time is refused for the same
reason: without it a decision changes only at the dates that are written in a rule or a label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from cedarpy import pst

from broker import ids
from broker.errors import UsageError
from broker.policy.cedar import Policies, policies_from, read_policies

EVERY: Final = "*"
"""Stands in :attr:`Rule.actions` for a rule whose scope names no action."""

_TIME_ARITHMETIC: Final = frozenset(
    {"offset", "duration", "duration_since", "to_date", "to_time", "to_milliseconds", "to_seconds", "to_minutes", "to_hours", "to_days"}
)
_COMPARISONS: Final = frozenset({"less", "less_eq", "greater", "greater_eq", "eq", "not_eq"})
_OPEN: Final = replace(
    read_policies('@id("") permit (principal, action, resource);').to_pst().static_policies["policy0"], id="else-permitted"
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RULE_ID = re.compile(r"[a-z0-9][a-z0-9.-]{1,63}")
_ENTITY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy. ``actions`` and ``families`` are those it names; no family named means any family. ``attributes`` are those it reads."""

    id: str
    title: str
    basis: str
    effect: pst.Effect
    actions: frozenset[str]
    families: frozenset[str]
    attributes: frozenset[str] = frozenset()

    def concerns(self, groups: frozenset[str]) -> bool:
        """Whether it holds for an action; ``groups`` are the action and every action group it belongs to."""
        return EVERY in self.actions or not groups.isdisjoint(self.actions)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of policies says, and all that its decisions can depend on.

    ``attributes`` are the attribute names read anywhere; ``entities`` the ids of entity literals by type; ``dates`` the date
    literals in Unix milliseconds; ``relative`` the attributes that rules do nothing with but compare them with ``context.now``, or ask
    whether they are there; ``positions`` the rule ids by the number that Cedar gives a policy in its error texts, ``parsed`` the policies
    by the same.
    """

    rules: tuple[Rule, ...]
    attributes: frozenset[str]
    entities: Mapping[str, frozenset[str]]
    dates: frozenset[int]
    relative: frozenset[str]
    positions: Mapping[str, str]
    parsed: Mapping[str, pst.Template]


@lru_cache(maxsize=16)
def read_rules(text: str) -> Reading:
    """Parse Cedar policies and check our own rules on them.

    Each policy needs ``@id``, ``@title`` and ``@basis``; a permit names its actions. Remembered by text. Raises UsageError
    with the reason.
    """
    try:
        parsed = read_policies(text).to_pst()
    except ValueError as error:
        raise UsageError(f"a rule cannot be taken apart: {error}", advice="write it simpler, or less deeply nested") from error
    if parsed.templates:
        raise UsageError("a policy has a slot (`?principal`, `?resource`)", advice="write out what it stands for: templates are not used")
    rules = {position: _rule(policy) for position, policy in parsed.static_policies.items()}
    nodes = [node for policy in parsed.static_policies.values() for node in _nodes(policy)]
    return Reading(
        rules=tuple(rules.values()),
        attributes=_attributes(nodes),
        entities=MappingProxyType(_entities(nodes)),
        dates=_dates(nodes),
        relative=_relative(nodes),
        positions=MappingProxyType({position: rule.id for position, rule in rules.items()}),
        parsed=MappingProxyType(dict(parsed.static_policies)),
    )


@lru_cache(maxsize=512)
def policies_for(text: str, groups: frozenset[str], effect: pst.Effect | None = None) -> Policies:
    """The policies of a text that can decide about an action, ready to be asked; ``groups``: the action and every group it belongs to.

    Cedar looks at every policy it is given, and those whose scope names other actions neither apply nor fail. With 61 rules, of which 9
    to 16 concern one section, a question takes 41 µs in place of 87. The same object for actions that the same policies concern.
    ``effect``: only those that permit; or only those that forbid, where everything is permitted that none of them forbids.
    """
    reading = read_rules(text)
    rules = zip(reading.parsed, reading.rules, strict=True)
    positions = frozenset(each for each, rule in rules if rule.concerns(groups) and effect in (None, rule.effect))
    return _chosen(text, positions, effect == "forbid")


@lru_cache(maxsize=256)
def _chosen(text: str, positions: frozenset[str], else_permitted: bool) -> Policies:
    chosen = {position: policy for position, policy in read_rules(text).parsed.items() if position in positions}
    if else_permitted:
        chosen[_OPEN.id] = _OPEN
    return policies_from(pst.PolicySet(templates={}, static_policies=chosen, template_links=()))


def _rule(policy: pst.Template) -> Rule:
    name = policy.annotations.get("id", "")
    if not _RULE_ID.fullmatch(name):
        raise UsageError(
            f"`{_shown(name)}` is not a rule id" if name else f"a {policy.effect} has no @id",
            advice='give each policy an id of 2 to 64 ASCII lower-case letters, digits, dots or hyphens: @id("read-core")',
        )
    for annotation in ("title", "basis"):
        if not policy.annotations.get(annotation, "").strip():
            raise UsageError(f"rule `{name}` has no @{annotation}", advice="say in one sentence what it does, and where it comes from")
    actions = _actions(policy.action)
    if policy.effect == "permit" and EVERY in actions:
        raise UsageError(f"rule `{name}` permits every action", advice="name the actions: a permit must not reach one that is added later")
    nodes = list(_nodes(policy.clauses))
    families = {node.id for node in nodes if isinstance(node, pst.EntityUid) and str(node.type) == "Family"}
    return Rule(
        id=name,
        title=policy.annotations["title"].strip().removesuffix("."),
        basis=policy.annotations["basis"].strip(),
        effect=policy.effect,
        actions=actions,
        families=frozenset(families),
        attributes=_attributes(nodes),
    )


def _actions(scope: pst.ActionConstraint) -> frozenset[str]:
    if isinstance(scope, pst.ActionEq):
        return frozenset({scope.entity.id})
    if isinstance(scope, pst.ActionIn):
        return frozenset(entity.id for entity in scope.entities)
    return frozenset({EVERY})


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[:80]


def _nodes(root: object) -> Iterator[object]:
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(cast("tuple[object, ...]", node))
        elif isinstance(node, Mapping):
            stack.extend(cast("Mapping[str, object]", node).values())
        elif is_dataclass(node):
            yield node
            stack.extend(cast("object", getattr(node, field.name)) for field in fields(node))


def _attributes(nodes: list[object]) -> frozenset[str]:
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, pst.GetAttr):
            if isinstance(node.base, pst.EntityLit):
                name = node.base.value
                raise UsageError(
                    f"a rule reads `{node.attr}` of `{_shown(str(name))}`, which need not be a member",
                    advice="compare with it (`principal == ...`), or write its country or kind out: a missing entity would deny everything",
                )
            names.add(node.attr)
        elif isinstance(node, pst.HasAttr):
            names.update(node.attrs)
    return frozenset(names)


def _entities(nodes: list[object]) -> dict[str, frozenset[str]]:
    named: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, pst.EntityUid):
            _check_entity(str(node.type), node.id)
            named.setdefault(str(node.type), set()).add(node.id)
        elif isinstance(node, pst.StringLit) and not node.value.isascii():
            raise UsageError(f"the text `{_shown(node.value)}` is not ASCII", advice="look-alike letters hide in names: use ASCII")
    return {kind: frozenset(found) for kind, found in named.items()}


def _check_entity(kind: str, name: str) -> None:
    if kind == "Agency":
        ids.agency_id(name)
    elif kind == "Community":
        ids.community_id(name)
    elif not _ENTITY_ID.fullmatch(name):
        raise UsageError(f'`{kind}::"{_shown(name)}"` is not a plain ASCII name', advice="look-alike letters hide in names: use ASCII")


def _relative(nodes: list[object]) -> frozenset[str]:
    """Attributes that stand in comparisons with ``context.now`` alone: a decision depends only on which of the two comes first."""
    read, compared = Counter[str](), Counter[str]()
    for node in nodes:
        if isinstance(node, pst.GetAttr):
            read[node.attr] += 1
        elif isinstance(node, pst.BinaryOp) and node.op in _COMPARISONS:
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, pst.GetAttr) and isinstance(other, pst.GetAttr) and other.attr == "now" and _is_context(other.base):
                    compared[one.attr] += 1
    return frozenset(name for name in compared if compared[name] == read[name])


def _is_context(node: object) -> bool:
    return isinstance(node, pst.Var) and str(node.name) == "context"


def _dates(nodes: list[object]) -> frozenset[int]:
    dates: set[int] = set()
    for node in nodes:
        if not isinstance(node, pst.UnaryOp | pst.BinaryOp):
            continue
        if node.op in _TIME_ARITHMETIC:
            raise UsageError(f"a policy calculates with time (`{node.op}`)", advice="compare `context.now` with a date or a label only")
        if isinstance(node, pst.UnaryOp) and node.op == "datetime":
            if not isinstance(node.arg, pst.StringLit):
                raise UsageError("a policy builds a date from something else than a text", advice='write datetime("2026-12-01T00:00:00Z")')
            dates.add(_date(node.arg.value))
    return frozenset(dates)


def _date(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`{_shown(text)}` is not a date", advice='write datetime("2026-12-01T00:00:00Z")') from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
