"""What the in-memory exchange adds for tests: failures on demand, compaction at once, no waiting."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ExchangeUnreachable, Fenced, NotAuthorised, OutcomeUnknown, UsageError
from broker.exchange.topology import STATE, TopicSpec, agency_grants, agency_specs, exchange_specs
from broker.ports import Outgoing
from broker.testing.clock import FixedClock
from broker.testing.exchange import Attempt, Fault
from broker.testing.log import Entry, PartitionLog
from broker.testing.memory import MemoryExchange, MemoryTransport


def made(*faults: Fault) -> tuple[MemoryExchange, list[Attempt]]:
    """An exchange with topic ``t`` whose first attempts to write meet these faults."""
    left = list(faults)
    attempts: list[Attempt] = []

    def hook(attempt: Attempt) -> Fault:
        attempts.append(attempt)
        return left.pop(0) if left else Fault.APPLY

    exchange = MemoryExchange(FixedClock(5_000), faults=hook)
    exchange.create(TopicSpec("t", 2))
    return exchange, attempts


async def test_sends_fail_as_the_hook_says() -> None:
    """A lost send leaves nothing, a kept one leaves its record, and both answer the same: the sender cannot tell."""
    exchange, attempts = made(Fault.LOSE, Fault.KEEP)
    outlet = await MemoryTransport(exchange, None).outlet()
    for value in (b"lost", b"kept"):
        with pytest.raises(ExchangeUnreachable):
            await (await outlet.send(Outgoing("t", None, value)))
    assert (await (await outlet.send(Outgoing("t", None, b"third")))).offset == 1
    assert [record.value for record in exchange.records("t")] == [b"kept", b"third"]
    assert [(attempt.kind, attempt.records[0].value) for attempt in attempts] == [("send", b"lost"), ("send", b"kept"), ("send", b"third")]


async def test_a_send_that_hangs_is_answered_when_the_outlet_closes() -> None:
    """No answer, until closing reports it as unreachable."""
    exchange, _ = made(Fault.HANG)
    outlet = await MemoryTransport(exchange).outlet()
    answer = asyncio.ensure_future(await outlet.send(Outgoing("t", None, b"x")))
    await asyncio.sleep(0)
    assert not answer.done()
    await outlet.close()
    with pytest.raises(ExchangeUnreachable):
        await answer
    assert exchange.records("t") == []


@pytest.mark.parametrize(("fault", "stored"), [(Fault.LOSE, []), (Fault.KEEP, [b"a"])])
async def test_commits_fail_as_the_hook_says(fault: Fault, stored: list[bytes]) -> None:
    """After either failure the ledger is dead and says so; a new one of the name works."""
    exchange, attempts = made(fault)
    transport = MemoryTransport(exchange)
    ledger = await transport.ledger("relay-0")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await ledger.commit([Outgoing("t", None, b"a"), Outgoing("t", None, b"b", 1)])
    assert [record.value for record in exchange.records("t")] == stored
    again = await transport.ledger("relay-0")
    await again.commit([Outgoing("t", None, b"c")])
    assert [record.value for record in exchange.records("t")] == [*stored, b"c"]
    assert [record.offset for record in exchange.records("t")][-1] == 2  # the failed one and its marker used up 0 and 1
    assert [attempt.ledger for attempt in attempts] == ["relay-0", "relay-0"]


async def test_a_hanging_commit_ends_by_closing_fencing_or_release() -> None:
    """A stopped worker's commit: aborted when it closes, fenced when another takes the name, done when it is let go on."""
    for ending, outcome in (("close", OutcomeUnknown), ("fence", Fenced), ("release", None)):
        exchange, _ = made(Fault.HANG)
        transport = MemoryTransport(exchange)
        ledger = await transport.ledger("relay-0")
        committing = asyncio.ensure_future(ledger.commit([Outgoing("t", None, b"a")]))
        await asyncio.sleep(0.001)
        assert not committing.done()
        if ending == "close":
            await ledger.close()
        elif ending == "fence":
            await transport.ledger("relay-0")
        else:
            exchange.release("relay-0")
        if outcome is None:
            await committing
        else:
            with pytest.raises(outcome):
                await committing
        assert [record.value for record in exchange.records("t")] == ([b"a"] if outcome is None else [])


async def test_a_cancelled_commit_ends_the_ledger() -> None:
    """As on Kafka: whoever gives up waiting does not know the outcome, and closing aborts what was left open."""
    exchange, _ = made(Fault.HANG)
    ledger = await MemoryTransport(exchange).ledger("relay-0")
    committing = asyncio.ensure_future(ledger.commit([Outgoing("t", None, b"a")]))
    await asyncio.sleep(0.001)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    with pytest.raises(OutcomeUnknown, match="cancelled"):
        await ledger.commit([Outgoing("t", None, b"b")])
    await ledger.close()
    assert exchange.log(("t", 0)).end == 2


async def test_polls_and_claims_never_wait_long() -> None:
    """Whatever timeout is asked for, an idle poll ends within the exchange's patience: tests do not wait."""
    exchange = MemoryExchange()
    exchange.create(*exchange_specs(2))
    transport = MemoryTransport(exchange)
    inlet = await transport.inlet()
    await inlet.assign({(STATE, 0): "beginning"})
    claims = await transport.shard_claims("solo")
    began = time.monotonic()
    assert await inlet.poll(max_records=1, timeout=60) == []
    assert await claims.changed(60) == await claims.changed(60) == frozenset({0, 1})
    assert time.monotonic() - began < 2


async def test_records_carry_the_exchange_s_clock() -> None:
    """LogAppendTime is the given clock's."""
    clock = FixedClock(1_234)
    exchange = MemoryExchange(clock)
    exchange.create(*agency_specs("SG-CUSTOMS"))
    exchange.grant(agency_grants("SG-CUSTOMS", 1))
    outlet = await MemoryTransport(exchange, "SG-CUSTOMS#1").outlet()
    await outlet.send(Outgoing("out.SG-CUSTOMS", None, b"x"))
    clock.advance(1_000)
    await outlet.send(Outgoing("out.SG-CUSTOMS", None, b"y"))
    assert [record.timestamp_ms for record in exchange.records("out.SG-CUSTOMS")] == [1_234, 2_234]


async def test_generations_are_different_principals() -> None:
    """The next generation's certificate may nothing before its grants are there; and a worker's name is no agency's to use."""
    exchange = MemoryExchange()
    exchange.create(*exchange_specs(1), *agency_specs("SG-CUSTOMS"))
    exchange.grant(agency_grants("SG-CUSTOMS", 1))
    with pytest.raises(NotAuthorised):
        await (await (await MemoryTransport(exchange, "SG-CUSTOMS#2").outlet()).send(Outgoing("out.SG-CUSTOMS", None, b"x")))
    with pytest.raises(NotAuthorised):
        await MemoryTransport(exchange, "SG-CUSTOMS#1").shard_claims("me")


async def test_a_member_of_the_same_name_takes_the_place_of_the_first() -> None:
    """A restarted worker: the earlier process holds nothing from then on, and leaving late takes nothing away."""
    exchange = MemoryExchange()
    exchange.create(*exchange_specs(3))
    transport = MemoryTransport(exchange)
    first = await transport.shard_claims("a")
    second = await transport.shard_claims("a")
    assert await first.changed(0) == frozenset()
    await first.close()
    assert await second.changed(0) == frozenset({0, 1, 2})
    assert exchange.shards_of("nobody", first) == frozenset()


def test_compaction_keeps_the_last_of_each_key() -> None:
    """What a log cleaner would drop is gone, offsets stay, tombstones and records without key stay."""
    exchange = MemoryExchange()
    exchange.create(TopicSpec("t"))
    for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None), (None, b"4")):
        exchange.append(Outgoing("t", key, value))
    exchange.compact("t")
    assert [(record.offset, record.key, record.value) for record in exchange.records("t")] == [
        (2, b"a", b"3"),
        (3, b"b", None),
        (4, None, b"4"),
    ]


def test_a_topic_keeps_its_partitions() -> None:
    """Creating again is harmless, with another count it is refused."""
    exchange, _ = made()
    exchange.append(Outgoing("t", None, b"x", 1))
    exchange.create(TopicSpec("t", 2, {"retention.ms": "1"}))
    assert exchange.specs["t"].settings == {"retention.ms": "1"}
    assert len(exchange.records("t", 1)) == 1
    with pytest.raises(UsageError):
        exchange.create(TopicSpec("t", 3))


@given(st.lists(st.tuples(st.sampled_from(["plain", "write", "commit", "abort"]), st.integers(0, 2)), max_size=40))
def test_the_stable_end_never_goes_back_and_shows_only_what_is_decided(steps: list[tuple[str, int]]) -> None:
    """Against a plain model: readers see plain records and committed ones before the first open transaction, and nothing else."""
    log = PartitionLog()
    fate: dict[int, str | int] = {}
    seen = 0
    for number, (step, transaction) in enumerate(steps):
        entry = Entry(0, None, b"%d" % number)
        if step == "plain":
            fate[log.append(entry)] = "shown"
        elif step == "write":
            fate[log.append(entry, transaction)] = transaction
        else:
            log.finish(transaction, commit=step == "commit")
            fate = {at: (("shown" if step == "commit" else "gone") if state == transaction else state) for at, state in fate.items()}
        undecided = [at for at, state in fate.items() if isinstance(state, int)]
        assert log.end == min(undecided, default=len(log.entries))
        assert log.end >= seen
        seen = log.end
        shown = {at for at, kept in enumerate(log.entries[: log.end]) if kept is not None}
        assert shown == {at for at, state in fate.items() if state == "shown" and at < log.end}
