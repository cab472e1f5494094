"""Looking at an exchange from the operator's side: what ``broker status`` shows."""

from __future__ import annotations

from typing import Any

from broker import ids
from broker.exchange.shard import ShardState
from broker.exchange.topology import CURRENT, JOURNAL, QUARANTINE, STATE
from broker.policy.health import Health
from broker.ports import Inlet, Record, Source, Transport
from broker.service.knowledge import Knowledge
from broker.trust.keys import fingerprint_of


async def read_all(transport: Transport, sources: list[Source]) -> list[Record]:
    """Every committed record of these sources, up to their ends now."""
    inlet = await transport.inlet()
    try:
        await inlet.assign(dict.fromkeys(sources, "beginning"))
        ends = await inlet.ends()
        records: list[Record] = []
        while any(inlet.position(source) < end for source, end in ends.items()):
            records += await inlet.poll(max_records=2000, timeout=0.5)
        return records
    finally:
        await inlet.close()


async def ends_of(inlet: Inlet, sources: list[Source]) -> dict[Source, int]:
    """The offset after the last committed record of each source."""
    await inlet.assign(dict.fromkeys(sources, "end"))
    return dict(await inlet.ends())


async def read_status(transport: Transport, knowledge: Knowledge) -> dict[str, Any]:
    """One object with everything an operator asks first. Needs to read the exchange's own topics (the registrar may)."""
    directory, shards = knowledge.rules.directory, knowledge.shards
    exchange = directory.exchange
    states = {number: ShardState(number) for number in range(shards)}
    for record in await read_all(transport, [(STATE, number) for number in range(shards)]):
        states[record.partition].load(record)
    agencies = sorted(directory.agencies)
    boxes: list[Source] = [(topic(agency), 0) for agency in agencies for topic in (ids.outbox, ids.inbox)]
    inlet = await transport.inlet()
    try:
        ends = await ends_of(inlet, [*boxes, (QUARANTINE, 0), (CURRENT, 0), (JOURNAL, 0)])
    finally:
        await inlet.close()
    quarantined = sum(1 for record in await read_all(transport, [(QUARANTINE, 0)]) if record.value is not None)
    rows: list[dict[str, Any]] = []
    for agency in agencies:
        number = ids.shard_of(agency, shards)
        end = ends[ids.outbox(agency), 0]
        entry = directory.agencies[agency]
        position = states[number].position(ids.outbox(agency))
        rows.append({
            "agency": agency, "kind": entry.kind, "status": entry.status, "shard": number, "outbox": end,
            "position": position, "lag": max(0, end - position), "inbox": ends[ids.inbox(agency), 0],
            "delivered": sum(state.chains[agency].counter for state in states.values() if agency in state.chains),
            "parked": sum(len(line.parked) for (who, _), line in states[number].streams.items() if who == agency),
        })  # fmt: skip
    health = sum((state.health for state in states.values()), Health())
    return {
        "exchange": knowledge.rules.exchange_id,
        "environment": knowledge.rules.environment,
        "directory_version": directory.version,
        "policy_version": knowledge.rules.policy_version,
        "policy_digest": knowledge.policy.digest.hex(),
        "shards": shards,
        "registrar": directory.registrar.spki.hex(),
        "registrar_fingerprint": fingerprint_of(directory.registrar.spki),
        "relay_keys": [spki.hex() for spki in exchange.relay_spkis] if exchange else [],
        "lag": sum(row["lag"] for row in rows),
        "subjects": sum(len(state.subjects) for state in states.values()),
        "delivered": sum(chain.counter for state in states.values() for chain in state.chains.values()),
        "decisions_failed": health.failed,
        "memo_checked": health.checked,
        "memo_disagreed": health.disagreed,
        "journal": ends[JOURNAL, 0],
        "quarantine": quarantined,
        "agencies": rows,
    }
