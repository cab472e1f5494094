"""The file of a scripted exchange: agencies, messages, steps, and what must follow from each step.

::

    {"title": ..., "about": ..., "agencies": [{"id", "kind", "communities", "called"}], "messages": {name: message in its JSON form},
     "entities": {dated facts, as broker.policy.facts_file has them},
     "steps": [{"name", "title", "about", "do", "as", ..., "expect": {...}}], "totals": {"published": 4, ...}}

=============  =======================================  ==============================================================
``do``         takes                                    what happens
=============  =======================================  ==============================================================
``publish``    ``message``                              the agency publishes it
``preview``    ``message``                              a dry run: nothing is sent
``check``      ``declaration``                          the agency checks a declaration against what it received
``forge``      ``message``, ``claims``                  it signs with its own key a message of the agency it ``claims``
``replay``     ``of``                                   the very bytes of that step are sent again, from ``as``'s outbox
``alter``      ``of``, ``changes`` (header fields)      the same with a changed header, from ``as``'s outbox
``forward``    ``of``                                   what ``as`` received in that step is put into its own outbox
``strip``      ``of``                                   the same without the slip, so that it looks like a message of one's own
``tamper``     ``of``, ``changes`` (section, old, new)  the operator changes what lies in ``as``'s inbox
=============  =======================================  ==============================================================

``so`` (optional) is a sentence for people that holds where the expectations do; ``{ms NL-CUSTOMS}`` in it becomes that agency's time.
``expect`` has ``outcome``, where refused ``code``, for a check ``instruction``, and ``gets`` as in ``deploy/policies/scenarios.json``:
for each agency that gets something the rule ``by`` which, the sections it ``reads``, optionally the rules that ``withhold`` others; or
the rule by which it is ``denied``. An agency not listed must get nothing. Unknown keys are errors, so that no misspelt expectation
passes unseen. A text such as ``+20d`` or ``-2h`` (d, h, min, s) stands for that time after the start of the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from broker import ids
from broker.errors import UsageError
from broker.schema.json_form import read_json

_RELATIVE: Final = re.compile(r"([+-])(\d{1,4})(d|h|min|s)")
_UNIT_MS: Final = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}
_TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "publish": ("message",), "preview": ("message",), "check": ("declaration",), "forge": ("message", "claims"), "replay": ("of",),
    "alter": ("of", "changes"), "forward": ("of",), "strip": ("of",), "tamper": ("of", "changes"),
}  # fmt: skip
_OUTCOMES: Final = ("accepted", "refused", "duplicate", "previewed", "valid", "stop", "unknown")
TOTALS: Final = ("published", "delivered", "withheld", "refused", "duplicates", "lost")


@dataclass(frozen=True, slots=True)
class Actor:
    """An agency of the script; ``called`` is how a person would call it."""

    agency: str
    kind: str
    communities: tuple[str, ...]
    called: str


@dataclass(frozen=True, slots=True)
class Share:
    """What one agency must get: ``denied`` by a rule, or ``reads`` these sections, received ``by`` a rule."""

    by: str = ""
    reads: frozenset[str] = frozenset()
    withhold: Mapping[str, str] = field(default_factory=dict[str, str])
    denied: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must follow from a step."""

    outcome: str
    code: str
    instruction: str
    gets: Mapping[str, Share]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done. ``takes`` are the arguments of ``do``."""

    name: str
    title: str
    about: str
    do: str
    agency: str
    takes: Mapping[str, Any]
    expect: Expected
    so: str


@dataclass(frozen=True, slots=True)
class Script:
    """A whole scripted exchange. Messages are in their JSON form, with their times as written."""

    title: str
    about: str
    actors: tuple[Actor, ...]
    messages: Mapping[str, Any]
    steps: tuple[Step, ...]
    totals: Mapping[str, int]
    entities: str = ""


def moments(value: Any, start_ms: int) -> Any:
    """A JSON value with its relative times made absolute (ISO 8601 UTC), counted from ``start_ms`` (Unix milliseconds)."""
    if isinstance(value, dict):
        return {key: moments(part, start_ms) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [moments(part, start_ms) for part in cast("list[Any]", value)]
    found = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    sign, count, unit = found.groups()
    at_ms = start_ms + (1 if sign == "+" else -1) * int(count) * _UNIT_MS[unit]
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def read_script(text: str) -> Script:
    """Read a scenario file. Raises UsageError that names the place which is not what it should be."""
    try:
        whole = _keys(read_json(text), "the scenario", ("title", "about", "agencies", "messages", "steps"), ("totals", "entities"))
        actors = tuple(_actor(each) for each in whole["agencies"])
        names = tuple(actor.agency for actor in actors)
        steps: list[Step] = []
        for number, each in enumerate(whole["steps"], 1):
            steps.append(_step(each, number, names, whole["messages"], [step.name for step in steps]))
        totals = _keys(whole.get("totals", {}), "totals", (), TOTALS)
        entities = json.dumps(whole["entities"]) if "entities" in whole else ""
        return Script(whole["title"], whole["about"], actors, whole["messages"], tuple(steps), totals, entities)
    except (TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"the scenario is not of the right form: {error}", advice="compare it with the one that ships") from error


def _keys(value: Any, where: str, needed: tuple[str, ...], allowed: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is no JSON object", advice="compare it with the scenario that ships")
    whole = cast("dict[str, Any]", value)
    missing, unknown = set(needed) - whole.keys(), whole.keys() - {*needed, *allowed}
    if missing or unknown:
        what = f"lacks `{min(missing)}`" if missing else f"has the unknown key `{min(unknown)}`"
        raise UsageError(f"{where} {what}", advice=f"use {', '.join((*needed, *allowed))}")
    return whole


def _actor(value: Any) -> Actor:
    whole = _keys(value, "an agency", ("id", "kind", "called"), ("communities",))
    communities = tuple(ids.community_id(name) for name in whole.get("communities", ()))
    return Actor(ids.agency_id(whole["id"]), ids.kind(whole["kind"]), communities, whole["called"])


def _known(name: Any, known: tuple[str, ...] | list[str], where: str) -> str:
    if name not in known:
        raise UsageError(f"{where}: there is no `{name}`", advice=f"use one of {', '.join(known)}")
    return cast("str", name)


def _step(value: Any, number: int, agencies: tuple[str, ...], messages: Mapping[str, Any], before: list[str]) -> Step:
    where = f"step {number}"
    do = _known(value.get("do"), tuple(_TAKES), f"{where}, do")
    whole = _keys(value, where, ("name", "title", "about", "do", "as", *_TAKES[do], "expect"), ("so",))
    takes = {name: whole[name] for name in _TAKES[do]}
    if "message" in takes:
        _known(takes["message"], tuple(messages), f"{where}, message")
    if "of" in takes:
        _known(takes["of"], before, f"{where}, of")
    if "claims" in takes:
        _known(takes["claims"], agencies, f"{where}, claims")
    if whole["name"] in before:
        raise UsageError(f"{where} has the name of an earlier one", advice="give each step a name of its own")
    agency = _known(whole["as"], agencies, f"{where}, as")
    expect = _expected(whole["expect"], where, agencies)
    return Step(whole["name"], whole["title"], whole["about"], do, agency, takes, expect, whole.get("so", ""))


def _expected(value: Any, where: str, agencies: tuple[str, ...]) -> Expected:
    whole = _keys(value, f"{where}, expect", ("outcome",), ("code", "instruction", "gets"))
    gets: dict[str, Share] = {}
    for agency, each in whole.get("gets", {}).items():
        _known(agency, agencies, f"{where}, gets")
        share = _keys(each, f"{where}, {agency}", (), ("by", "reads", "withhold", "denied"))
        if ("denied" in share) == ("by" in share and "reads" in share):
            raise UsageError(f"{where}, {agency}: say what it gets or why it is denied", advice="use `by` and `reads`, or `denied`")
        gets[agency] = Share(
            share.get("by", ""), frozenset(share.get("reads", ())), share.get("withhold", {}), share.get("denied", "")
        )  # fmt: skip
    outcome = _known(whole["outcome"], _OUTCOMES, f"{where}, outcome")
    return Expected(outcome, whole.get("code", ""), whole.get("instruction", ""), gets)
