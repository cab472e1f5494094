"""Random members and messages for a search for leaks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from broker.ids import KINDS
from tests.property.leaks import Scene, Sent
from tests.property.marked import BASES

COUNTRIES: Final = ("SG", "AE", "TH", "DE")
FAMILIES: Final = sorted(BASES.keys() - {"recall", "attachment"})

Drawn = TypeVar("Drawn")

members: Final = st.tuples(st.sampled_from(COUNTRIES), st.sampled_from(KINDS), st.lists(st.integers(0, 1), unique=True).map(tuple))


def messages(count: int, families: Sequence[str] = FAMILIES) -> st.SearchStrategy[Sent]:
    """A message to some of so many members."""
    return st.builds(
        Sent, family=st.sampled_from(families), tlp=st.sampled_from(("CLEAR", "GREEN", "AMBER", "AMBER", "AMBER_STRICT", "RED")),
        handling=st.sampled_from(("H0", "H0", "H3")),
        agencies=st.lists(st.integers(0, count - 1), max_size=3, unique=True).map(tuple),
        communities=st.lists(st.integers(0, 1), unique=True).map(tuple),
        countries=st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True).map(tuple),
        embargo=st.integers(0, 9).map(lambda each: each == 9),
    )  # fmt: skip


scenes: Final = st.builds(
    Scene,
    seed=st.integers(0, 1 << 32),
    members=st.tuples(*[members] * 5),
    messages=st.lists(messages(5), min_size=1, max_size=6).map(tuple),
)


def drawn(strategy: st.SearchStrategy[Drawn], count: int, number: int) -> Sequence[Drawn]:
    """So many values of a strategy, the same for the same number; fewer where it has not so many."""
    found = list[Any]()

    @seed(number)
    @settings(max_examples=count, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def take(value: Any) -> None:
        found.append(value)

    take()
    return found[:count]


def random_scene(number: int, *, of_members: int, of_messages: int) -> Scene:
    """A scene of this size, the same for the same number; as many messages of each family."""
    each = [drawn(messages(of_members, [family]), -(-of_messages // len(FAMILIES)), number) for family in FAMILIES]
    mixed = [sent for row in zip_longest(*each) for sent in row if sent is not None]
    return Scene(number, tuple(drawn(members, of_members, number)), tuple(mixed[:of_messages]))
