"""Figures of deciding alone, in one process: decisions a second, remembered and new, and how long a change holds up the loop.

For 10, 200 and 1,000 agencies: ``warm`` and ``cold`` decisions a second (a whole distribution of eight sections), ``swap_ms`` how long
a directory entry stops the loop while a new decider is built; afterwards each kind of message is decided anew, once, at the cold rate.
``bundle_ms`` is what a new bundle takes, read and tried on its own scenarios, before it is in force; with ``600`` the same of six
hundred rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.policy_rows import everybody, labels, shipped, six_hundred
from benchmarks.sides.side import Result, Spec, run
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.model import Labels
from broker.policy.rules import read_rules
from broker.policy.scenarios import failures, read_scenarios
from broker.storage.policies import read_policies
from broker.testing.samples import START_MS

AGENCIES = (10, 200, 1000)
WARM = 20_000
COLD = 30


async def side(_: Spec) -> Result:
    """All figures, once."""
    facts: dict[str, float] = {}
    began = time.perf_counter()
    for name, bundle in (("", shipped()), ("_600", six_hundred())):
        for agencies in AGENCIES:
            _decided(facts, f"{agencies}{name}", bundle, agencies)
    texts = read_policies()
    scenarios = read_scenarios(texts.scenarios or "")
    for name, bundle in (("", shipped()), ("_600", six_hundred())):

        def taken(bundle: Bundle = bundle) -> None:
            read_rules.cache_clear()
            failures(Bundle.from_texts(2, bundle.schema, {"all.cedar": bundle.policies}), scenarios)

        facts[f"bundle_ms{name}"] = _ms(taken)
    return Result(1, time.perf_counter() - began, 0.0, facts=facts)


def _decided(facts: dict[str, float], name: str, bundle: Bundle, agencies: int) -> None:
    members, asked = everybody(agencies), list(labels(COLD))
    Decider(bundle, members)  # reads the rules, which are remembered by their text: a directory entry finds them so
    facts[f"swap_ms_{name}"] = _ms(lambda: Decider(bundle, members))
    decider = Decider(bundle, members)
    seconds = _seconds(lambda: _distribute(decider, asked))
    facts[f"cold_{name}"] = round(COLD / seconds, 1)
    repeated = [asked[number % COLD] for number in range(WARM)]
    seconds = _seconds(lambda: _distribute(decider, repeated))
    facts[f"warm_{name}"] = round(WARM / seconds)


def _distribute(decider: Decider, asked: Sequence[Labels]) -> None:
    for each in asked:
        decider.distribute(each, START_MS)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ms(work: Callable[[], object]) -> float:
    """The least of three, in milliseconds."""
    return round(min(_seconds(work) for _ in range(3)) * 1000, 1)


if __name__ == "__main__":
    run(side)
