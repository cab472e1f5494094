"""The Cedar engine: every call into its Python binding (cedarpy) is here; other modules only hold its handles and read its syntax tree.

What callers must know of Cedar: nothing is permitted by default, a ``forbid`` overrides every ``permit``, and a policy whose condition
errors is skipped, even a ``forbid``. So an answer with errors is never an allow here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

import cedarpy
from cedarpy import pst

from broker.errors import UsageError

Policies = cedarpy.PolicySet
"""Parsed policies, ready to be asked."""

MESSAGE: Final = "message"
"""The id of the one message of a question. Its real id is no label, so it does not reach Cedar."""

_SPARE = re.compile(r"(?<!\w)\(([\w.]+)\)")
_NAME = re.compile(r'"([A-Za-z][A-Za-z0-9:_-]*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """Cedar's answer: the ``@id`` of the deciding policies in order (none for a default deny), and what went wrong."""

    allowed: bool
    rules: tuple[str, ...]
    errors: tuple[str, ...]


_NOTHING_PERMITS: Final = Answer(allowed=False, rules=(), errors=())


# A handle is never altered, and who decides under a bundle parses it anew at each entry of the directory: a few are kept.
@lru_cache(maxsize=8)
def read_schema(text: str) -> cedarpy.Schema:
    """Parse a Cedar schema. Raises UsageError."""
    try:
        return cedarpy.Schema.from_str(text)
    except ValueError as error:
        raise UsageError(f"schema: {error}", advice="correct the Cedar schema at the place named") from error


@lru_cache(maxsize=8)
def read_policies(text: str) -> Policies:
    """Parse Cedar policies. Raises UsageError."""
    try:
        return cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        raise UsageError(f"not Cedar: {error}", advice="correct the text at the place named") from error


def violations(policies: str, schema: cedarpy.Schema) -> list[str]:
    """What Cedar's strict validation finds wrong, one line for each, with the rule's id."""
    result = cedarpy.validate_policies(policies, schema)  # pyright: ignore[reportUnknownMemberType]
    ids = cast("dict[str, str]", result.id_annotations_by_policy_id)
    found = [f"rule `{ids.get(each.policy_id, each.policy_id)}`: {each.error}" for each in result.errors]
    return found if found or result.validation_passed else ["the policies do not fit the schema"]


def read_entities(entities: Iterable[str], schema: cedarpy.Schema) -> cedarpy.Entities | None:
    """Entities, each in Cedar's JSON format, checked against the schema; None where one does not conform."""
    try:
        return cedarpy.Entities.from_json_str(f"[{','.join(entities)}]", schema)  # pyright: ignore[reportUnknownMemberType]
    except ValueError:
        return None


def with_added(entities: cedarpy.Entities, more: Iterable[str], schema: cedarpy.Schema) -> cedarpy.Entities | None:
    """These entities and more of them, checked against the schema; None where one does not conform."""
    try:
        return entities.with_added_json_str(f"[{','.join(more)}]", schema)  # pyright: ignore[reportUnknownMemberType]
    except ValueError:
        return None


def ask(
    questions: Sequence[tuple[str, str]],
    context: str,
    policies: Policies,
    entities: cedarpy.Entities,
    schema: cedarpy.Schema | None,
    resources: Mapping[str, str] = MappingProxyType({}),
) -> list[Answer]:
    """Answers to (agency, action) about :data:`MESSAGE`, in order. ``context`` is JSON; with a schema, requests are checked too.

    ``resources`` names the message's entity by action, where it is another than :data:`MESSAGE`.
    """
    if not questions:
        return []
    requests = [
        {
            "principal": {"type": "Agency", "id": agency},
            "action": {"type": "Action", "id": action},
            "resource": {"type": "Message", "id": resources.get(action, MESSAGE)},
            "context": context,
        }
        for agency, action in questions
    ]
    results = cedarpy.is_authorized_batch(requests, policies, entities, schema)  # pyright: ignore[reportUnknownMemberType]
    return [_answer(result) for result in results]


def ask_by_action(
    questions: Sequence[tuple[str, str]],
    context: str,
    policies: Callable[[str], Policies | None],
    entities: cedarpy.Entities,
    schema: cedarpy.Schema | None,
    resources: Mapping[str, str] = MappingProxyType({}),
) -> list[Answer]:
    """The same with ``policies`` for each action; where there are none the question is not put, and nothing permits it."""
    answers = [_NOTHING_PERMITS] * len(questions)
    alike: dict[Policies, list[int]] = {}
    for place, (_, action) in enumerate(questions):
        if (asked := policies(action)) is not None:
            alike.setdefault(asked, []).append(place)
    for asked, places in alike.items():
        found = ask([questions[place] for place in places], context, asked, entities, schema, resources)
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
    return answers


def _answer(result: cedarpy.AuthzResult) -> Answer:
    diagnostics, decision = result.diagnostics, result.decision
    errors = tuple(map(str, diagnostics.errors))
    if decision is cedarpy.Decision.NoDecision and not errors:
        errors = ("Cedar gave no decision",)
    rules = tuple(sorted(cast("dict[str, str]", diagnostics.id_annotations_by_reason).values()))
    return Answer(decision is cedarpy.Decision.Allow and not errors, rules, errors)


@lru_cache(maxsize=8)
def actions_of(text: str) -> Mapping[str, frozenset[str]]:
    """Each action an agency can ask for under this schema, with the groups it belongs to (itself included).

    Found by asking Cedar, so that no second reading of its schema language is needed. Raises UsageError. Remembered by text: it
    takes 20 ms, and a decider is built again whenever the directory changes.
    """
    schema = read_schema(text)
    names = sorted(set(_NAME.findall(text)))
    askable = [name for name in names if not violations(_probe(name), schema)]
    groups = read_policies("\n".join(f'@id("{name}") {_probe(name)}' for name in names))
    entities = read_entities((), schema)
    if entities is None:
        raise UsageError("schema: it admits no empty set of entities", advice="declare Agency and Message as entity types")
    answers = ask([("probe", name) for name in askable], "{}", groups, entities, None)
    return MappingProxyType({name: frozenset(answer.rules) for name, answer in zip(askable, answers, strict=True)})


@lru_cache(maxsize=8)
def attributes_of(text: str, wanted: tuple[str, ...]) -> frozenset[str]:
    """Which of these attributes a message has under this schema. Raises UsageError. Remembered by text."""
    schema = read_schema(text)
    probe = 'permit (principal is Agency, action == Action::"receive", resource is Message) when {{ resource has {0} }};'
    reads = 'permit (principal is Agency, action == Action::"receive", resource is Message) when {{ resource.{0} == resource.{0} }};'
    return frozenset(
        name for name in wanted if not violations(probe.format(name), schema) and not violations(reads.format(name), schema)
    )  # fmt: skip


def _probe(action: str) -> str:
    return f'permit (principal is Agency, action in Action::"{action}", resource is Message);'


def policy_text(policy: pst.Template) -> str:
    """One policy of a syntax tree as Cedar text, annotations included."""
    return str(cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies={policy.id: policy}, template_links=())))


def expression_text(expr: pst.Expr) -> str:
    """An expression as Cedar text, without the parentheses that only a machine writes."""
    anything = pst.ScopeAny()
    policy = pst.Template("shown", "forbid", anything, anything, anything, (pst.When(expr),), {})
    text = policy_text(policy).partition(" when { ")[2].rpartition(" };")[0]
    return _SPARE.sub(r"\1", text)


def policies_from(parsed: pst.PolicySet) -> Policies:
    """Policies of a syntax tree, to be asked by themselves."""
    return cedarpy.PolicySet.from_pst(parsed)
