"""What must hold after any storm, found out from Kafka's bytes and the parties' stores, and never asked of a process that took part."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from broker import ids
from broker.app.watch import read_all
from broker.envelope import cbor
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.receive import Opened, is_receipt, open_delivery, read_receipt
from broker.exchange.rules import Rules
from broker.exchange.topology import JOURNAL, QUARANTINE
from broker.ports import Transport
from broker.storage.home import AgencyHome
from tests.faults.ground import Ground
from tests.faults.plan import RECIPIENTS, Planned, read_text


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of a recipient's own table. Times in Unix ms: meant to be published, signed, admitted by the relay, handled."""

    agency: str
    name: tuple[str, int]
    shard: int
    due_ms: int
    issued_ms: int
    admitted_ms: int
    at_ms: int
    redelivered: bool


@dataclass
class Verdict:
    """Counts, and every sentence that must not be there."""

    planned: int = 0
    accepted: int = 0
    journal: int = 0
    quarantined: int = 0
    redelivered: int = 0
    receipts_again: int = 0
    promised: dict[str, int] = field(default_factory=dict[str, int])
    delivered: dict[str, int] = field(default_factory=dict[str, int])
    effects: list[Effect] = field(default_factory=list[Effect])
    wrong: list[str] = field(default_factory=list[str])

    def blame(self, what: str) -> None:
        """Remember what does not hold; the first hundred are enough."""
        if len(self.wrong) < 100:
            self.wrong.append(what)

    @property
    def holds(self) -> bool:
        """Everything is as it must be, and there was something."""
        return not self.wrong and self.accepted > 0


Promises = dict[str, dict[tuple[str, int], tuple[bytes, frozenset[str], frozenset[str]]]]
"""For each recipient, by agency and number: the leaf, the sections given, the sections withheld."""


def stored_receipts(ground: Ground, agency: str) -> list[tuple[int, str, int, bytes, bytes, bytes | None]]:
    """What a publisher's store holds when its process is gone: number, subject, revision, leaf, digest, receipt."""
    path = AgencyHome(ground.home, agency).publisher_store
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)
    try:
        return connection.execute("SELECT seq, subject, revision, leaf, digest, receipt FROM outbox ORDER BY seq").fetchall()
    finally:
        connection.close()


async def judge(ground: Ground, counts: dict[str, int], *, flooded: str = "") -> Verdict:
    """Hold everything against the plan: ``counts`` says how many messages each publisher had to publish. ``flooded``: the agency
    whose refused records are in quarantine by right."""
    verdict = Verdict(planned=sum(counts.values()))
    transport = ground.installation.operator.transport("registrar")
    try:
        knowledge = ground.installation.operator.knowledge(transport)
        await knowledge.load()
        await knowledge.close()
        rules = knowledge.rules
        promises: Promises = {agency: {} for agency in RECIPIENTS}
        leaves: list[bytes] = []
        for agency, count in counts.items():
            leaves += await _judge_publisher(ground, verdict, agency, count, promises, transport, rules)
        for agency in RECIPIENTS:
            await _judge_recipient(ground, verdict, agency, promises[agency], transport, rules)
        await _judge_exchange(verdict, leaves, transport, flooded)
    finally:
        await transport.close()
    return verdict


async def _judge_publisher(
    ground: Ground, verdict: Verdict, agency: str, count: int, promises: Promises, transport: Transport, rules: Rules
) -> list[bytes]:
    """Each message of the plan has one receipt that accepts it, and discloses it to those who are entitled; the leaves accepted."""
    stored = stored_receipts(ground, agency)
    if [row[0] for row in stored] != list(range(1, count + 1)):
        verdict.blame(f"{agency}: {len(stored)} messages in its store, not 1 to {count}")
    leaves: list[bytes] = []
    kept: dict[bytes, bytes] = {}
    for seq, subject, revision, leaf, digest, note in stored:
        planned = Planned(agency, seq)
        if (subject, revision) != (planned.subject, planned.revision):
            verdict.blame(f"{agency} {seq}: {subject} revision {revision} is not what was planned")
        if note is None:
            verdict.blame(f"{agency} {seq}: no receipt")
            continue
        kept[digest] = note
        receipt = read_receipt(note, rules)
        if isinstance(receipt, Refusal) or receipt.outcome != "ACCEPTED" or (receipt.seq, receipt.leaf) != (seq, leaf):
            verdict.blame(f"{agency} {seq}: {receipt}")
            continue
        leaves.append(leaf)
        verdict.accepted += 1
        _promise(verdict, planned, receipt, promises)
    notes: dict[bytes, list[bytes]] = defaultdict(list)
    for record in await read_all(transport, [(ids.inbox(agency), 0)]):
        if is_receipt(record.key) and record.value is not None:
            receipt = read_receipt(record.value, rules)
            assert isinstance(receipt, Receipt), receipt
            notes[receipt.digest].append(record.value)
    verdict.receipts_again += sum(len(found) - 1 for found in notes.values())
    if {digest: set(found) for digest, found in notes.items()} != {digest: {note} for digest, note in kept.items()}:
        verdict.blame(f"{agency}: the receipts in its inbox are not exactly those in its store")
    return leaves


def _promise(verdict: Verdict, planned: Planned, receipt: Receipt, promises: Promises) -> None:
    disclosed = {each.agency: frozenset(each.sections) for each in receipt.recipients}
    if disclosed != planned.entitled:
        verdict.blame(f"{planned}: disclosed to {disclosed}, entitled are {planned.entitled}")
    for each in receipt.recipients:
        verdict.promised[each.agency] = verdict.promised.get(each.agency, 0) + 1
        if each.agency in promises:
            what = (receipt.leaf or b"", frozenset(each.sections), frozenset(each.withheld))
            promises[each.agency][planned.agency, planned.seq] = what


async def _judge_recipient(
    ground: Ground, verdict: Verdict, agency: str, promised: dict[Any, Any], transport: Transport, rules: Rules
) -> None:
    """The inbox's own bytes, then the agency's own table: each promised delivery once, nothing else, streams in order, chains whole."""
    chains: dict[int, tuple[int, bytes | None]] = {}
    inbox: list[bytes] = []
    for record in await read_all(transport, [(ids.inbox(agency), 0)]):
        if is_receipt(record.key) or record.value is None:
            continue
        opened = open_delivery(record.value, rules)
        assert isinstance(opened, Opened), opened
        slip = opened.slip
        inbox.append(slip.leaf)
        counter, prev = chains.get(slip.shard, (0, None))
        if (slip.counter, slip.prev) != (counter + 1, prev):
            verdict.blame(f"{agency}: after delivery {counter} of shard {slip.shard} comes {slip.counter}")
        chains[slip.shard] = (slip.counter, slip.leaf)
    if sorted(inbox) != sorted(leaf for leaf, _, _ in promised.values()):
        verdict.blame(f"{agency}: {len(inbox)} deliveries in its inbox ({len(set(inbox))} different), {len(promised)} were promised")
    with ground.table(agency) as connection:
        rows = connection.execute(
            "SELECT originator, seq, subject, revision, sections, withheld, text, leaf, shard, redelivered, issued_ms, admitted_ms, at_ms "
            "FROM effects ORDER BY number"
        ).fetchall()
        refused = connection.execute("SELECT code, reason FROM quarantine").fetchall()
        waiting = connection.execute("SELECT COUNT(*) FROM held").fetchone()[0]
    for code, reason in refused:
        verdict.blame(f"{agency} refused a delivery: {code} {reason}")
    if waiting:
        verdict.blame(f"{agency}: {waiting} deliveries still wait")
    if [row[7] for row in rows] != inbox:
        verdict.blame(f"{agency}: its table ({len(rows)} rows) is not its inbox ({len(inbox)} deliveries), in this order")
    judge_rows(verdict, agency, rows, promised)


def judge_rows(verdict: Verdict, agency: str, rows: Sequence[Any], promised: dict[Any, Any]) -> None:
    """The table of one recipient, in the order of handling, against what the receipts promise it and against policy."""
    verdict.delivered[agency] = len(rows)
    missing = promised.keys() - {(row[0], row[1]) for row in rows}
    for originator, seq in sorted(missing)[:3]:
        verdict.blame(f"{agency}: {originator} {seq} was promised and never came ({len(missing)} in all)")
    last: dict[str, int] = {}
    for originator, seq, subject, revision, sections, withheld, text, leaf, shard, redelivered, issued_ms, admitted_ms, at_ms in rows:
        planned = Planned(originator, seq)
        of, number, due_ms = read_text(text)
        if (subject, revision, of, number) != (planned.subject, planned.revision, originator, seq):
            verdict.blame(f"{agency}: {originator} {seq} is not what was planned: {subject} revision {revision}, {text!r}")
        if last.get(originator, 0) >= seq:
            verdict.blame(f"{agency}: {originator} {seq} after {last[originator]}")
        last[originator] = seq
        found = (leaf, frozenset(json.loads(sections)), frozenset(json.loads(withheld)))
        if promised.get((originator, seq)) != found:
            verdict.blame(f"{agency}: {originator} {seq}: got {found}, promised {promised.get((originator, seq))}")
        if agency not in planned.entitled or found[1:] != (planned.entitled[agency], planned.withheld(agency)):
            verdict.blame(f"{agency}: {originator} {seq}: sections {sections} without {withheld} are not what policy gives")
        verdict.redelivered += redelivered
        verdict.effects.append(Effect(agency, (originator, seq), shard, due_ms, issued_ms, admitted_ms, at_ms, bool(redelivered)))


async def _judge_exchange(verdict: Verdict, leaves: list[bytes], transport: Transport, flooded: str) -> None:
    """The journal is what was accepted; nothing of the plan is in quarantine."""
    written: list[bytes] = []
    for record in await read_all(transport, [(JOURNAL, 0)]):
        row: Any = cbor.decode(record.value or b"")
        written += row[1]
    verdict.journal = len(written)
    if sorted(written) != sorted(leaves):
        verdict.blame(f"{len(written)} leaves in the journal ({len(set(written))} different), {len(leaves)} messages were accepted")
    for record in await read_all(transport, [(QUARANTINE, 0)]):
        verdict.quarantined += 1
        if not flooded or not (record.key or b"").startswith(ids.outbox(flooded).encode() + b"/"):
            verdict.blame(f"in quarantine: {(record.key or b'').decode()}")
