"""Any history of revisions, recalls, embargoes, members that come, go and change groups, and bundles, with workers that die between: in
the end each agency has the last revision of each live subject that it is entitled to, with the sections that the rules of the end give
and no others, knows of each that it held how it stands, and was never sent anything else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker import ids
from broker.exchange import catch_up
from broker.exchange.decide import labels_of
from broker.exchange.recall import NO_LONGER_DISCLOSED, REACHES_HOLDERS
from broker.exchange.receive import Received, is_receipt, receive
from broker.exchange.records import Outgoing, Record
from broker.exchange.relay import Batch
from broker.exchange.topology import CURRENT, DAY_MS, STATE
from broker.families.message import Audience, Message
from broker.families.recall import recall
from broker.policy.bundle import Bundle
from broker.policy.model import Labels, Release
from broker.testing.samples import sample_alert
from tests.support.parcels import Made
from tests.unit.exchange.bench import COMMUNITY, RELAY, Bench, bundle

OWNER = "SG-CUSTOMS"
READERS = ("MY-CUSTOMS", "AE-CUSTOMS", "DE-BAFA", "ID-CUSTOMS", "TH-CUSTOMS")
NEWCOMERS = READERS[3:]
SUBJECTS = 4
HOUR_MS = 3600_000


@lru_cache(maxsize=1)
def narrow() -> str:
    """The shipped policies, but customs do not read goods, equipment and route."""
    policies = bundle().policies
    begin = policies.index('@id("read-shipment")')
    return policies[:begin] + policies[policies.find("@id(", begin + 1) :]


@dataclass
class Told:
    """What one agency was sent, in order."""

    deliveries: list[Received] = field(default_factory=list[Received])

    def last(self, subject: str) -> Received | None:
        return next((each for each in reversed(self.deliveries) if each.header.subject == subject), None)


class CatchUpMachine(RuleBasedStateMachine):
    """One shard with the subjects of one agency. ``last`` is what was published last of each subject."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.author = self.bench.author(OWNER)
        self.outbox: list[Record] = []
        self.last: dict[str, tuple[Made, Labels]] = {}
        self.made: dict[bytes, Labels] = {}
        self.recalled: set[str] = set()
        self.told = {agency: Told() for agency in READERS}
        self.policies: Bundle = bundle()

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(number=st.integers(1, SUBJECTS), kind=st.sampled_from(["community", "named", "embargo"]))
    def publish(self, number: int, kind: str) -> None:
        subject = f"{OWNER}/2026/{number:06}"
        if subject in self.recalled:
            return
        before = self.last.get(subject)
        agencies, communities = (READERS[1:4], ()) if kind == "named" else ((), (COMMUNITY,))
        embargo = self.bench.now + 2 * HOUR_MS if kind == "embargo" else None
        revision = before[0].header.revision + 1 if before else 1
        self._put(sample_alert(
            subject, now_ms=self.bench.now, revision=revision, embargo_until_ms=embargo, agencies=agencies, communities=communities
        ))  # fmt: skip

    @rule(number=st.integers(1, SUBJECTS))
    def take_back(self, number: int) -> None:
        subject = f"{OWNER}/2026/{number:06}"
        if subject not in self.last or subject in self.recalled:
            return
        core: Any = {"reason": "ERROR", "action": "DELETE", "due": datetime.fromtimestamp(self.bench.now // 1000 + 86400, UTC)}
        self._put(recall(
            subject=subject, revision=self.last[subject][0].header.revision + 1, audience=Audience(communities=(COMMUNITY,)), core=core
        ))  # fmt: skip
        self.recalled.add(subject)

    def _put(self, message: Message) -> None:
        made = self.author.write(message, now_ms=self.bench.now)
        audience = message.audience
        labels = labels_of(made.header, {
            "agencies": audience.agencies, "communities": audience.communities, "countries": audience.countries,
        })  # fmt: skip
        self.last[message.subject] = made, labels
        self.made[made.leaf] = labels
        self.outbox.append(Record(ids.outbox(OWNER), 0, len(self.outbox), self.bench.now, b"k", made.value))

    @rule(agency=st.sampled_from(READERS[:3]), status=st.sampled_from(["active", "suspended"]))
    def stand(self, agency: str, status: str) -> None:
        self.bench.desk.stand(agency, status)
        self._renew()

    @rule(agency=st.sampled_from(READERS[:3]), member=st.booleans())
    def place(self, agency: str, member: bool) -> None:
        self.bench.desk.place(agency, (COMMUNITY,) if member else ())
        self._renew()

    @precondition(lambda self: any(agency not in self.bench.desk.directory.agencies for agency in NEWCOMERS))
    @rule()
    def join(self) -> None:
        agency = next(agency for agency in NEWCOMERS if agency not in self.bench.desk.directory.agencies)
        self.bench.desk.admit(agency, "customs", (COMMUNITY,))
        self._renew()

    @rule(wide=st.booleans())
    def apply(self, wide: bool) -> None:
        text = bundle().policies if wide else narrow()
        self.policies = replace(self.policies, version=self.policies.version + 1, policies=text)
        self._renew()

    def _renew(self) -> None:
        self.bench.renew(self.policies)

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        self.bench.now += hours * HOUR_MS

    @rule()
    def clean(self) -> None:
        self.bench.compact()
        self.bench.log = self.bench.compacted()

    @rule(count=st.integers(0, 3), looks=st.integers(0, 4), outcome=st.sampled_from(["commit", "commit", "commit", "lose", "keep"]))
    def work(self, count: int, looks: int, outcome: str) -> None:
        """One batch with some traffic and a step of the sweep. ``lose``: the worker died before the commit; ``keep``: after it, without
        learning of it."""
        self._batch(count, looks, outcome)

    def _batch(self, count: int, looks: int, outcome: str) -> list[Outgoing]:
        bench = self.bench
        batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
        batch.resume(now_ms=bench.now)
        over = {name for name, state in bench.shard.subjects.items() if state.state == "RECALLED"}
        first = bench.shard.position(ids.outbox(OWNER))
        for record in self.outbox[first : first + count]:
            assert batch.take(record, now_ms=bench.now)
        bench.step(batch, looks)
        records = batch.sealed([RELAY.sign_now(message) for message in batch.to_be_signed()])
        if outcome != "lose":
            bench.remember(records)
            self._judge(records, over)
        if outcome != "commit":
            bench.crash()
        return records

    # ── what must hold ──────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, records: list[Outgoing], over: set[str]) -> None:
        """Each delivery is what policy gives its recipient now, of a subject that is not recalled; it follows the last one of its inbox,
        and no newer revision; and the same revision comes again only with other sections."""
        for record in records:
            agency = record.topic.partition(".")[2]
            if record.topic in (CURRENT, STATE) or agency not in READERS or is_receipt(record.key):
                continue
            found = receive(record.value or b"", self.bench.rules, recipient=agency)
            assert isinstance(found, Received), found
            header, told = found.header, self.told[agency]
            self._judge_sections(agency, found)
            assert header.subject not in over or header.family == "recall"
            before = told.deliveries[-1] if told.deliveries else None
            assert (found.slip.counter, found.slip.prev) == (len(told.deliveries) + 1, before.leaf if before else None)
            last = told.last(header.subject)
            if last is not None:
                assert header.revision >= last.header.revision
                if header.revision == last.header.revision:
                    assert found.slip.redelivery
                    assert set(found.sections) != set(last.sections)
            told.deliveries.append(found)

    def _judge_sections(self, agency: str, found: Received) -> None:
        """A recall goes to holders, a bare statement to holders whom policy does not name, all else is as policy has it now."""
        named = {each.agency: each for each in self._releases(self.made[found.leaf])}
        if found.header.family == "recall":
            assert found.slip.given == (("core", REACHES_HOLDERS),)
        elif not found.sections:
            assert agency not in named
            assert set(found.withheld.values()) == {NO_LONGER_DISCLOSED}
        else:
            assert named[agency].given == found.slip.given
            return
        assert self._held(agency, found.header.subject)

    def _held(self, agency: str, subject: str) -> bool:
        """Whether an agency was ever given content of a subject."""
        told = self.told[agency].deliveries
        return any(each.header.subject == subject and each.header.family != "recall" and each.sections for each in told)

    def _releases(self, labels: Labels) -> tuple[Release, ...]:
        return self.bench.decider.distribute(labels, self.bench.now).releases

    @invariant()
    def state_is_what_was_written(self) -> None:
        assert self.bench.loaded() == self.bench.shard

    def teardown(self) -> None:
        """Everything is read and decided; then each agency has what it is entitled to.

        A date has come when it is past, so the clock goes on by a millisecond. A worker that died during the sweep for a date sweeps once
        more, for nothing.
        """
        self.bench.now += 1
        for _ in range(200):
            if not self._batch(100, 100, "commit"):
                break
        assert self.bench.shard.sweep.position is None
        assert self.bench.sweep().records == ()
        for subject, (made, labels) in self.last.items():
            for agency in READERS:
                last, entry = self.told[agency].last(subject), self.bench.desk.directory.agency(agency)
                if self._held(agency, subject) and entry is not None and entry.status == "active":
                    assert last is not None
                    withdrawn = not last.sections and subject not in self.recalled  # that is said once
                    assert withdrawn or last.leaf == made.leaf, f"{agency} was not told how {subject} stands"
                    if subject not in self.recalled and agency not in {each.agency for each in self._releases(labels)}:
                        assert withdrawn, f"{agency} was not told that it gets nothing of {subject} any more"
            for release in () if subject in self.recalled else self._releases(labels):
                last = self.told[release.agency].last(subject)
                assert last is not None, f"{release.agency} lacks {subject}"
                assert last.leaf == made.leaf
                assert set(last.sections) == {section for section, _ in release.given}


class TestCatchUp(CatchUpMachine.TestCase):
    """Whatever happens, in whatever order, whenever the worker dies."""

    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_day_is_longer_than_the_embargoes_here() -> None:
    """The alerts of this machine never expire in it: 30 steps of 3 hours are less than their 20 days."""
    assert 30 * 3 * HOUR_MS < 20 * DAY_MS
    assert catch_up.LOOKS > SUBJECTS
