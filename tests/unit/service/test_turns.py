"""Turns of outboxes within a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.ports import Record
from broker.service.turns import in_turns, weight


def record(topic: str, offset: int) -> Record:
    return Record(topic, 0, offset, 0, None, bytes(offset))


def test_one_of_each_after_the_other() -> None:
    """Whoever has one record has it in the first round; the rest of a busy outbox comes behind."""
    records = [record("busy", at) for at in range(4)] + [record("other", at) for at in range(2)] + [record("quiet", 0)]
    names = [f"{each.topic[0]}{each.offset}" for each in in_turns(records)]
    assert names == ["b0", "o0", "q0", "b1", "o1", "b2", "b3"]


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40))
def test_nothing_is_lost_and_each_outbox_keeps_its_order(topics: list[str]) -> None:
    """Any mixture: the same records; each outbox's in its order; the first stays first; and no outbox is more than one ahead of
    another that still has some."""
    records = [record(topic, topics[:at].count(topic)) for at, topic in enumerate(topics)]
    turns = in_turns(records)
    assert sorted(map(repr, turns)) == sorted(map(repr, records))
    assert turns[:1] == records[:1]
    for topic in set(topics):
        offsets = [each.offset for each in turns if each.topic == topic]
        assert offsets == list(range(len(offsets)))
    rounds = [each.offset for each in turns]
    assert rounds == sorted(rounds)
    assert weight(turns) == sum(rounds)
