"""Whatever happens to an alert that cites a file, and to rules and members: who holds its chunks holds the section that cites them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from broker.envelope.parcel import Parcel, read_parcel
from broker.exchange.receive import DELIVERY_LIMIT
from broker.exchange.topology import DAY_MS
from broker.families.consent_reply import ConsentReplyCore, consent_reply
from broker.families.message import Audience, Message
from broker.families.recall import recall
from tests.support.attached import chunks, citing, file_of
from tests.unit.exchange.bench import AGENCIES, COMMUNITY, Author, Bench, Written, bundle
from tests.unit.exchange.test_catch_up import SUBJECT, without

DATA = b"an X-ray picture"
FILE = file_of(DATA)
OTHERS = sorted(AGENCIES.keys() - {"SG-CUSTOMS"})
audiences = st.builds(Audience, st.lists(st.sampled_from(OTHERS), unique=True).map(tuple), st.sampled_from([(), (COMMUNITY,)]))
steps = st.one_of(
    st.tuples(
        st.just("revise"), audiences, st.sampled_from(["GREEN", "AMBER", "AMBER_STRICT"]), st.sampled_from(["H0", "H3"]), st.booleans()
    ),
    st.tuples(st.just("consent"), st.sampled_from(OTHERS), st.booleans()),
    st.tuples(st.just("stand"), st.sampled_from(OTHERS), st.sampled_from(["suspended", "active"])),
    st.tuples(st.just("place"), st.sampled_from(OTHERS), st.sampled_from([(), (COMMUNITY,)])),
    st.tuples(st.just("rules"), st.booleans()),
    st.tuples(st.just("crash")),
    st.tuples(st.just("recall")),
)


class Scene:
    """An exchange with one alert, and what each inbox says that its agency holds."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.author: Author = self.bench.author()
        self.revision = self.version = self.said = 0
        self.over, self.cites = False, True
        self.held: dict[str, dict[str, set[str]]] = {agency: {} for agency in OTHERS}

    def took(self, written: Sequence[Written]) -> None:
        """Read what inboxes were sent: the last record of a key is what its reader holds, and the chunks go with the section."""
        for each in written:
            for agency in OTHERS:
                for record in each.inbox(agency):
                    parcel = read_parcel(record.value or b"", DELIVERY_LIMIT)
                    assert isinstance(parcel, Parcel)
                    key, held = (record.key or b"").decode(), self.held[agency]
                    held[key] = set(parcel.sections)
                    if key == f"s/{SUBJECT}" and "attachments" not in parcel.sections:
                        held.update({each: set() for each in held if "/attachment/" in each})

    def publish(self, *messages: Message) -> None:
        for message in messages:
            self.took([self.bench.feed(self.author.write(message, now_ms=self.bench.now).value)])

    def settle(self) -> None:
        """Sweeps until nothing is owed."""
        for _ in range(3):
            self.bench.now += 1000
            self.took(self.bench.swept())

    def holders(self, key: str, section: str) -> set[str]:
        return {agency for agency in OTHERS if section in self.held[agency].get(key, set())}

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("revise", audience, tlp, handling, cites) if not self.over:
                self.revision += 1
                caveat = "read by a person first" if handling == "H3" else None
                plain = self.bench.alert(revision=self.revision)
                message = replace(plain, audience=audience, tlp=tlp, handling=handling, handling_caveat=caveat)
                self.cites = self.cites and cites  # a file that was let go does not come back: it is attached anew
                self.publish(citing(message, FILE) if self.cites else message)
                if self.cites:
                    self.publish(*chunks(citing(message, FILE), FILE, DATA))  # the second time the relay has it already
            case ("consent", agency, given_) if self.revision:
                self.said += 1
                until = datetime.fromtimestamp((self.bench.now + DAY_MS) / 1000, UTC)
                core: ConsentReplyCore = {"decision": "GRANT", "consented_subject": SUBJECT, "recipients": [agency], "period_until": until}
                if not given_:
                    core = {"decision": "WITHDRAW", "consented_subject": SUBJECT}
                self.publish(consent_reply(subject=f"SG-CUSTOMS/C/{self.said}", target="DE-BAFA/Q/1", core=core))
            case ("stand", agency, status):
                self.bench.desk.stand(agency, status)
                self.renew()
            case ("place", agency, communities):
                self.bench.desk.place(agency, communities)
                self.renew()
            case ("rules", gives):
                self.version = self.bench.desk.policy_version + 1
                self.bench.renew(replace(bundle() if gives else without("read-attachments"), version=self.version))
            case ("crash",):
                self.bench.crash()
            case ("recall",) if self.revision and not self.over:
                self.over = True
                due = datetime.fromtimestamp((self.bench.now + DAY_MS) / 1000, UTC)
                self.publish(recall(subject=SUBJECT, core={"reason": "ERROR", "action": "DELETE", "due": due}, revision=self.revision + 1))
            case _:
                pass

    def renew(self) -> None:
        """Members changed: the same rules under the directory of now."""
        self.bench.renew(replace(bundle(), version=self.bench.desk.policy_version + 1))


@settings(deadline=None, max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(steps, min_size=3, max_size=9))
def test_chunks_follow_the_section(story: list[tuple[Any, ...]]) -> None:
    """After every step of any story, and the sweeps that it causes: the agencies whose inbox has the chunk are those whose inbox has the
    section that cites it, but for who is suspended and can be told nothing."""
    scene = Scene()
    scene.do(("revise", Audience(("AE-CUSTOMS", "DE-BAFA"), (COMMUNITY,)), "AMBER", "H0", True))
    chunk = f"s/{chunks(citing(scene.bench.alert(), FILE), FILE, DATA)[0].subject}"
    section = f"s/{SUBJECT}", "attachments"
    assert scene.holders(chunk, "chunk") == scene.holders(*section) == {"AE-CUSTOMS", "MY-CUSTOMS"}
    for step in story:
        scene.do(step)
        scene.settle()
        active = {agency for agency in OTHERS if scene.bench.desk.directory.agencies[agency].status == "active"}
        assert scene.holders(chunk, "chunk") & active == scene.holders(*section) & active, step


@settings(deadline=None, max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(steps, min_size=3, max_size=9))
def test_chunks_follow_the_section_however_fast_things_happen(story: list[tuple[Any, ...]]) -> None:
    """The same where no sweep comes round between the steps, but only after the last of them."""
    scene = Scene()
    scene.do(("revise", Audience(("AE-CUSTOMS", "DE-BAFA"), (COMMUNITY,)), "AMBER", "H0", True))
    for step in story:
        scene.bench.now += 10
        scene.do(step)
    scene.settle()
    chunk = f"s/{chunks(citing(scene.bench.alert(), FILE), FILE, DATA)[0].subject}"
    active = {agency for agency in OTHERS if scene.bench.desk.directory.agencies[agency].status == "active"}
    assert scene.holders(chunk, "chunk") & active == scene.holders(f"s/{SUBJECT}", "attachments") & active
