"""The exchange as this agency sees it: ``GET /console/exchange``: who is a member, whose keys, which rules are in force; and who would
gain or lose what under proposed ones. All of it is public among the members: no content is shown, and an auditor may read it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from litestar import Response, get, post
from litestar.datastructures import State

from broker.app.agency_node import AgencyNode
from broker.errors import Refusal
from broker.exchange.policy_chain import PolicyChain
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import page
from broker.node.console.session import one, posted
from broker.node.messages import node_of
from broker.policy import difference_words as words
from broker.policy.bundle_file import BundleFile, read_bundle_file
from broker.policy.difference import Comparison, Difference, Group, cases
from broker.policy.rewording import RuleChange, rule_changes
from broker.policy.scenarios import differences
from broker.service.knowledge import Knowledge
from broker.trust.entries import AgencyEntry, KeyEntry

COMPARE_S: Final = 30.0
"""How long a comparison may take: whoever may open the page can paste two thousand rules."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Member:
    """An agency of the directory with its message keys."""

    entry: AgencyEntry
    keys: tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A gain or a loss in words (English, as all rules are)."""

    who: str
    what: str
    families: str
    why: str
    seen: str
    example: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Proposed rules beside those in force: ``place`` says why they could not be carried next, None where they could; ``failures`` are
    those of their own tests."""

    file: BundleFile
    place: Refusal | None
    failures: tuple[str, ...]
    found: Difference
    gains: tuple[Line, ...]
    losses: tuple[Line, ...]
    changes: tuple[RuleChange, ...]


def knowledge_of(node: AgencyNode) -> Knowledge | None:
    """What was read last of the public topics, or kept from before; None where neither is."""
    return node.rules.known


def members_of(known: Knowledge) -> tuple[Member, ...]:
    """All agencies, by id."""
    directory = known.rules.directory
    return tuple(Member(entry, tuple(directory.keys_of(agency))) for agency, entry in sorted(directory.agencies.items()))


class _TooLong(Exception):
    """A comparison was given up."""


def compared(chain: PolicyChain, text: str, goes_on: Callable[[], bool]) -> Compared | Refusal:
    """A proposed bundle file compared with the rules in force, over made-up messages and the scenarios of both: about two seconds for the
    rules that ship, and much longer for many rules that name many things. ``goes_on`` is asked before each case; where it says no, nothing
    is told: a part of the cases would look like the whole."""
    try:
        return _compared(chain, text, goes_on)
    except _TooLong:
        return Refusal("BAD_BUNDLE", f"comparing it takes more than {COMPARE_S:g} s here: use `broker policy diff`")


async def compared_in_turn(chain: PolicyChain, text: str, turn: asyncio.Lock, stopping: asyncio.Event) -> Compared | Refusal:
    """The same in a thread. It takes a processor for seconds: one at a time, and given up when the process is to stop."""
    async with turn:
        until = time.monotonic() + COMPARE_S
        return await asyncio.to_thread(compared, chain, text, lambda: time.monotonic() < until and not stopping.is_set())


def _going(many: Iterable[T], goes_on: Callable[[], bool]) -> Iterator[T]:
    for each in many:
        if not goes_on():
            raise _TooLong
        yield each


def _compared(chain: PolicyChain, text: str, goes_on: Callable[[], bool]) -> Compared | Refusal:
    file = read_bundle_file(text.encode())
    if isinstance(file, Refusal):
        return file
    if chain.bundle is None:
        return Refusal("BUNDLE_OUT_OF_ORDER", "no rules are in force here to compare it with")
    comparison = Comparison(chain.bundle, file.bundle)
    for case in _going(cases(chain.bundle, file.bundle, (*chain.scenarios, *file.scenarios)), goes_on):
        comparison.add(case)
    found, changes = comparison.result(), rule_changes(chain.bundle, file.bundle)
    states: dict[str, str] = {change.id: change.state for change in changes}
    gains, losses = (
        tuple(_line(group, states, found.recorded, gain=gain) for group in groups)
        for groups, gain in ((found.gains, True), (found.losses, False))
    )
    failures = tuple(f"{scenario.name}: {each}" for scenario, each in differences(file.bundle, _going(file.scenarios, goes_on)))
    return Compared(file, chain.place(file), failures, found, gains, losses, changes)


def _line(group: Group, states: dict[str, str], recorded: int, *, gain: bool) -> Line:
    seen = "; ".join(each for each in (words.counted(group, recorded), words.marks(group)) if each)
    return Line(
        words.who(group), words.what(group), words.listed(group.families, "and"), words.because(group, states, gain=gain), seen,
        words.exemplified(group.example),
    )  # fmt: skip


@get("/exchange", opt={"roles": access.ALL}, operation_id="consoleExchange")
async def exchange(request: AnyRequest, state: State) -> Response[str]:
    """Members and rules."""
    return _page(request, state)


@post("/exchange", opt={"roles": access.ALL}, status_code=200, operation_id="consoleCompareRules")
async def compare(request: AnyRequest, state: State) -> Response[str]:
    """What a proposed bundle would change. Nothing is kept or sent."""
    fields = await posted(request, state["tokens"])
    node = node_of(state)
    known = knowledge_of(node)
    if known is None:
        return _page(request, state)
    result = await compared_in_turn(known.policy, one(fields, "bundle"), state["counting"], node.stopping)
    refused = isinstance(result, Refusal)
    return _page(request, state, status=422 if refused else 200, refusal=result if refused else None, compared=None if refused else result)


def _page(request: AnyRequest, state: State, status: int = 200, **values: Any) -> Response[str]:
    known = knowledge_of(node_of(state))
    told = {"refusal": None, "compared": None} | values
    return page(
        request, state, "exchange.html", status=status, members=members_of(known) if known else (),
        chain=known.policy if known else None, version=known.rules.directory.version if known else 0, **told,
    )  # fmt: skip
