"""Mutants: the rules of a bundle with one small thing changed in each, as a slip of the pen would change them.

A rule left out; a ``when`` or ``unless``, an operand of ``&&`` or ``||``, an element of a list or an action left out; a condition turned
into its opposite, a ``!`` taken away, a bound moved by one (``<`` and ``<=``), ``containsAny`` for ``containsAll``. Effects are not
flipped: every test notices that, so it would only flatter the figure. Whether anything notices is :mod:`broker.policy.mutation`'s question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final, Literal, cast

from cedarpy import pst

from broker.policy import cedar
from broker.policy.source import Placed

_BOUNDS: Final[dict[str, pst.BinaryOpName]] = {
    "less": "less_eq", "less_eq": "less", "greater": "greater_eq", "greater_eq": "greater",
    "contains_any": "contains_all", "contains_all": "contains_any",
}  # fmt: skip
_SIGNS: Final[dict[str, str]] = {
    "less": "<", "less_eq": "<=", "greater": ">", "greater_eq": ">=", "contains_any": "containsAny", "contains_all": "containsAll",
}  # fmt: skip
SHOWN: Final = 100
"""Most characters of Cedar in :attr:`Mutant.what`."""
_NOT_CODE: Final = re.compile(r'@\w+\s*\(\s*"(?:\\.|[^"\\])*"\s*\)|//[^\n]*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one change. ``changed`` is None where the rule is left out; ``what`` says in words what was done; ``token`` is the
    number of the first word of the changed part among :func:`tokens` of the rule."""

    rule: str
    what: str
    token: int
    changed: pst.Template | None


@dataclass(frozen=True, slots=True)
class _Change:
    what: str
    token: int
    expr: pst.Expr


def mutants(policy: pst.Template) -> Iterator[Mutant]:
    """Every mutant of one rule; those that come out the same are given once."""
    rule = policy.annotations.get("id", policy.id)
    yield Mutant(rule, "the whole rule is left out", 0, None)
    seen = {policy}
    for mutant in (*_scopes(rule, policy), *_clauses(rule, policy)):
        if mutant.changed is not None and mutant.changed not in seen:
            seen.add(mutant.changed)
            yield mutant


def line_of(policy: pst.Template, mutant: Mutant, place: Placed) -> int:
    """The line of the file on which the changed part begins; the rule's first line if it cannot be found."""
    words = tokens(policy)
    word = words[mutant.token]
    # Blanked out, not removed: offsets and lines stay.
    code = _NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), place.text)
    pattern = re.escape(word) if word.startswith('"') else rf'(?<!["\w]){re.escape(word)}(?!["\w])'
    found = list(re.finditer(pattern, code))
    number = words[: mutant.token].count(word)
    start = found[number].start() if number < len(found) else 0
    return place.line + place.text.count("\n", 0, start)


def tokens(policy: pst.Template) -> list[str]:
    """The names, literals and variables of a rule in the order in which it is written; texts and ids in quotation marks."""
    found = ["principal", *_names(policy.principal), "action", *_names(policy.action), "resource", *_names(policy.resource)]
    for clause in policy.clauses:
        found += _words(clause.expr)
    return found


def _names(scope: pst.PrincipalOrResourceConstraint | pst.ActionConstraint) -> list[str]:
    match scope:
        case pst.ActionIn(entities):
            return [f'"{each.id}"' for each in entities]
        case pst.ActionEq(entity) | pst.ScopeEq(pst.EntityUid() as entity) | pst.ScopeIn(pst.EntityUid() as entity):
            return [f'"{entity.id}"']
        case pst.ScopeIsIn(_, pst.EntityUid() as entity):
            return [f'"{entity.id}"']
        case _:
            return []


def _words(expr: pst.Expr) -> list[str]:
    match expr:
        case pst.Var(name):
            return [name]
        case pst.EntityLit(value):
            return [f'"{value.id}"']
        case pst.StringLit(value):
            return [f'"{value}"']
        case pst.BoolLit() | pst.LongLit():
            return [str(expr.value).lower()]
        case pst.GetAttr(base, attr):
            return [*_words(base), attr]
        case pst.HasAttr(base, attrs):
            return [*_words(base), *attrs]
        case pst.BinaryOp(_, left, right):
            return [*_words(left), *_words(right)]
        case pst.UnaryOp(_, arg):
            return _words(arg)
        case pst.Set(elements):
            return [word for each in elements for word in _words(each)]
        case pst.IfThenElse(cond, then_expr, else_expr):
            return [*_words(cond), *_words(then_expr), *_words(else_expr)]
        case pst.Is(base, _, in_expr):
            return [*_words(base), *(_words(in_expr) if in_expr is not None else ())]
        case pst.Like(base, _):
            return _words(base)
        case _:
            return []


def _scopes(rule: str, policy: pst.Template) -> Iterator[Mutant]:
    at = 1 + len(_names(policy.principal)) + 1
    for number, entity in enumerate(_actions(policy.action)):
        left = tuple(each for each in _actions(policy.action) if each != entity)
        scope = pst.ActionIn(left) if left else pst.ScopeAny()
        yield Mutant(rule, f"the action `{entity.id}` is left out", at + number, replace(policy, action=scope))
    for name, scope, token in (("principal", policy.principal, 0), ("resource", policy.resource, at + len(_names(policy.action)))):
        wider = _wider(scope)
        if wider is not None:
            what = f"what the rule's head asks of the {name} is left out"
            changed = replace(policy, principal=wider) if name == "principal" else replace(policy, resource=wider)
            yield Mutant(rule, what, token, changed)


def _actions(scope: pst.ActionConstraint) -> tuple[pst.EntityUid, ...]:
    match scope:
        case pst.ActionIn(entities):
            return entities
        case pst.ActionEq(entity):
            return (entity,)
        case _:
            return ()


def _wider(scope: pst.PrincipalOrResourceConstraint) -> pst.PrincipalOrResourceConstraint | None:
    """The scope without its condition; a type alone is none, since every principal is an agency and every resource a message."""
    match scope:
        case pst.ScopeEq() | pst.ScopeIn():
            return pst.ScopeAny()
        case pst.ScopeIsIn(entity_type, _):
            return pst.ScopeIs(entity_type)
        case _:
            return None


def _clauses(rule: str, policy: pst.Template) -> Iterator[Mutant]:
    at = len(tokens(replace(policy, clauses=())))
    for number, clause in enumerate(policy.clauses):
        word = "when" if isinstance(clause, pst.When) else "unless"
        before, after = policy.clauses[:number], policy.clauses[number + 1 :]
        opposite = pst.Unless(clause.expr) if isinstance(clause, pst.When) else pst.When(clause.expr)
        yield Mutant(rule, f"`{word} {{ ... }}` is left out", at, replace(policy, clauses=(*before, *after)))
        yield Mutant(rule, f"`{word} {{ ... }}` is turned into its opposite", at, replace(policy, clauses=(*before, opposite, *after)))
        for change in _changes(clause.expr, at):
            clauses = (*before, replace(clause, expr=change.expr), *after)
            yield Mutant(rule, change.what, change.token, replace(policy, clauses=clauses))
        at += len(_words(clause.expr))


def _changes(expr: pst.Expr, at: int) -> Iterator[_Change]:
    """Everything that can be changed in a condition; ``at`` is the number of its first word."""
    match expr:
        case pst.BinaryOp("and" | "or" as op, _, _):
            yield from _chain(op, _operands(op, expr), at)
        case pst.BinaryOp(op, left, right):
            if op in _BOUNDS:
                yield _Change(f"`{_SIGNS[op]}` is `{_SIGNS[_BOUNDS[op]]}` in {_shown(expr)}", at, replace(expr, op=_BOUNDS[op]))
            for each in _changes(left, at):
                yield replace(each, expr=replace(expr, left=each.expr))
            for each in _changes(right, at + len(_words(left))):
                yield replace(each, expr=replace(expr, right=each.expr))
        case pst.UnaryOp(op, arg):
            if op == "not":
                yield _Change(f"`!` is left out before {_shown(arg)}", at, arg)
            for each in _changes(arg, at):
                yield replace(each, expr=replace(expr, arg=each.expr))
        case pst.Set(elements):
            yield from _elements(elements, at)
        case pst.IfThenElse():
            yield from _branches(expr, at)
        case pst.Is(_, _, in_expr) if in_expr is not None:
            yield _Change(f"`in` is left out of {_shown(expr)}", at, replace(expr, in_expr=None))
        case _:
            return


def _operands(op: Literal["and", "or"], expr: pst.Expr) -> list[pst.Expr]:
    if isinstance(expr, pst.BinaryOp) and expr.op == op:
        return [*_operands(op, expr.left), *_operands(op, expr.right)]
    return [expr]


def _chain(op: Literal["and", "or"], operands: Sequence[pst.Expr], at: int) -> Iterator[_Change]:
    for number, operand in enumerate(operands):
        before, after = operands[:number], operands[number + 1 :]
        yield _Change(f"{_shown(operand)} is left out", at, _joined(op, [*before, *after]))
        if not (isinstance(operand, pst.UnaryOp) and operand.op == "not"):
            yield _Change(f"{_shown(operand)} is turned into its opposite", at, _joined(op, [*before, pst.UnaryOp("not", operand), *after]))
        for each in _changes(operand, at):
            yield replace(each, expr=_joined(op, [*before, each.expr, *after]))
        at += len(_words(operand))


def _joined(op: Literal["and", "or"], operands: Sequence[pst.Expr]) -> pst.Expr:
    return reduce(lambda left, right: pst.BinaryOp(op, left, right), operands)


def _elements(elements: Sequence[pst.Expr], at: int) -> Iterator[_Change]:
    for number, element in enumerate(elements):
        rest = pst.Set((*elements[:number], *elements[number + 1 :]))
        yield _Change(f"{_shown(element)} is left out of the list", at, rest)
        at += len(_words(element))


def _branches(expr: pst.IfThenElse, at: int) -> Iterator[_Change]:
    yield _Change(f"{_shown(expr.cond)} is turned into its opposite", at, replace(expr, cond=pst.UnaryOp("not", expr.cond)))
    for name in ("cond", "then_expr", "else_expr"):
        part = cast("pst.Expr", getattr(expr, name))
        for each in _changes(part, at):
            yield replace(each, expr=cast("pst.Expr", replace(expr, **{name: each.expr})))
        at += len(_words(part))


def _shown(expr: pst.Expr) -> str:
    text = cedar.expression_text(expr)
    return f"`{text if len(text) <= SHOWN else text[: SHOWN - 4] + ' ...'}`"
