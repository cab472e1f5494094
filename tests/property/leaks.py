"""An exchange with random members and random messages, and a search for what each agency must not hold.

The real publisher, relay, subscriber and register run over an exchange in memory. What each agency may have is decided here once more,
by a decider of its own; what it has is every byte of its inbox and of every file of its home, and every line that anybody logged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import count
from typing import Any, cast

from structlog.testing import capture_logs

from broker import ids
from broker.app import shipped_bundle
from broker.envelope.parcel import read_parcel
from broker.errors import Refusal, RefusedError
from broker.exchange.publish import encode_sections, preview
from broker.exchange.topology import MESSAGE_LIMIT
from broker.families.message import Audience, Message
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.model import AUDIENCE, Member
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.testing.local import LocalExchange
from broker.testing.sample_answers import sample_feedback
from broker.testing.samples import START_MS
from tests.property.marked import marked, rules

ORIGINATORS = {"SG-CUSTOMS": "customs", "AE-CUSTOMS": "customs", "DE-CUSTOMS": "customs", "DE-BAFA": "licensing"}
"""Whose messages the samples are."""


ENTITIES = json.dumps({
    "agreements": [{
        "id": "THREE", "title": "Three countries", "basis": "test", "countries": ["AE", "SG", "TH"], "personal": True,
        "from": "2020-01-01T00:00:00Z",
    }]
})  # fmt: skip
"""An agreement between three of the four countries."""


@cache
def bundle() -> Bundle:
    """The policies that ship, with that agreement."""
    return shipped_bundle(entities=ENTITIES)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to publish: its family and marking, and whom it addresses, by numbers of members and communities."""

    family: str
    tlp: str
    handling: str
    agencies: tuple[int, ...]
    communities: tuple[int, ...]
    countries: tuple[str, ...]
    embargo: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Members as country, kind and numbers of communities; messages; a seed for all names and texts."""

    seed: int
    members: tuple[tuple[str, str, tuple[int, ...]], ...]
    messages: tuple[Sent, ...]

    def word(self, *parts: object) -> str:
        """A text of 14 letters and digits that is nowhere else."""
        return "ZQ" + hashlib.sha256(repr((self.seed, *parts)).encode()).hexdigest()[:12].upper()

    def agency(self, number: int) -> str:
        """The id of a member, which tells nothing and is found wherever it stands."""
        return f"{self.members[number][0]}-{self.word('agency', number)[:12]}"

    def community(self, number: int) -> str:
        """The name of a community."""
        return self.word("community", number)

    def everybody(self) -> dict[str, Member]:
        """Originators and members, as policy sees them."""
        found = {agency: Member(agency, agency[:2], kind, (), False) for agency, kind in ORIGINATORS.items()}
        for number, (country, kind, communities) in enumerate(self.members):
            agency = self.agency(number)
            found[agency] = Member(agency, country, kind, tuple(self.community(each) for each in communities), False)
        return found

    def message(self, number: int, now_ms: int) -> Composed:
        """What is published: the message, its times around this one, and its texts by section."""
        sent, words, numbers = self.messages[number], dict[str, list[str]](), count()
        if sent.tlp == "RED":
            sent = replace(sent, communities=(), countries=())

        def word(section: str) -> str:
            words.setdefault(section, []).append(self.word("text", number, next(numbers)))
            return words[section][-1]

        made = moved(marked(sent.family, word), now_ms - START_MS)
        audience = Audience(
            tuple(self.agency(each) for each in sent.agencies), tuple(self.community(each) for each in sent.communities), sent.countries
        )
        message = replace(
            made, subject=f"{ids.owner_of(made.subject)}/2026/N-{number}", tlp=sent.tlp, handling=sent.handling,
            handling_caveat="see H3" if sent.handling == "H3" else None, audience=audience,
            embargo_until_ms=now_ms + 3_600_000 if sent.embargo else None,
        )  # fmt: skip
        return Composed(sent, message, {name: tuple(each) for name, each in words.items()})


@dataclass(frozen=True, slots=True)
class Found:
    """How much was searched for and where, and what was found that must not be there: who has what, where."""

    leaks: tuple[str, ...]
    secrets: int
    given: int
    places: int


@dataclass(frozen=True, slots=True)
class Composed:
    """A message to be published, and the texts of its sections by section."""

    sent: Sent
    message: Message
    words: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Written:
    """A published message: the texts of its sections by section, and its sections as they were carried."""

    sent: Sent
    message: Message
    words: dict[str, tuple[str, ...]]
    carried: dict[str, bytes]


async def run(scene: Scene) -> Found:
    """Publish everything, let everybody read, answer and keep a register, then search."""
    async with LocalExchange(bundle=bundle()) as exchange:
        for agency, kind in ORIGINATORS.items():
            await exchange.join(agency, kind)
        for number, (_, kind, communities) in enumerate(scene.members):
            await exchange.join(scene.agency(number), kind, [scene.community(each) for each in communities])
        with capture_logs() as lines:
            written = [await _publish(exchange, scene, number) for number in range(len(scene.messages))]
            for number in range(len(scene.members)):
                await _read(exchange, scene.agency(number))
        return _searched(exchange, scene, [each for each in written if each is not None], repr(lines).encode())


async def _publish(exchange: LocalExchange, scene: Scene, number: int) -> Written | None:
    composed = scene.message(number, START_MS)
    message, owner = composed.message, ids.owner_of(composed.message.subject)
    try:
        receipt = await exchange.agencies[owner].publish(message)
    except RefusedError:
        return None  # before anything was sent: nobody is named, or a family that is always for named agencies has a group
    if receipt.outcome != "ACCEPTED":
        assert receipt.code == "MAY_NOT_PUBLISH", receipt
        return None
    parcel = read_parcel(exchange.memory.records(ids.outbox(owner))[-1].value or b"", MESSAGE_LIMIT)
    assert not isinstance(parcel, Refusal)
    return Written(composed.sent, message, composed.words, dict(parcel.sections))


async def _read(exchange: LocalExchange, agency: str) -> None:
    """Read all, keep a register, and answer the first message: its receipt comes into the same inbox."""
    one = exchange.agencies[agency]
    taken: list[Delivery] = []

    async def keep(delivery: Delivery) -> Outcome:
        taken.append(delivery)
        return DONE

    async def read() -> None:
        await one.member.register(one.transport).follow(until_end=True)
        await one.member.subscriber(one.transport).run(keep, until_end=True)

    await read()
    if taken:
        header = taken[0].header
        await one.publish(
            replace(
                sample_feedback(f"{agency}/2026/F-1", target=header.subject, target_revision=header.revision),
                audience=Audience(agencies=(header.originator,)),
            )
        )
        await read()


def _searched(exchange: LocalExchange, scene: Scene, written: Sequence[Written], logged: bytes) -> Found:
    decider = Decider(bundle(), scene.everybody())
    rights = [given(decider, each.message, START_MS) for each in written]
    leaks, secrets, shown, places = list[str](), 0, 0, 0
    for agency in (scene.agency(number) for number in range(len(scene.members))):
        held = [*_held(exchange, agency), ("what was logged", logged.lower())]
        places += len(held)
        own = next(data for where, data in held if where == "inbox")
        for what, secret in _secrets(scene, rights, written, agency):
            secrets += 1
            leaks += [f"{agency} has {what} in {where}" for where, data in held if secret.lower() in data]
        for each, releases in zip(written, rights, strict=True):
            for section in releases.get(agency, ()):
                shown += 1
                assert all(word.lower().encode() in own for word in each.words.get(section, ()))
    return Found(tuple(leaks), secrets, shown, places)


def _held(exchange: LocalExchange, agency: str) -> Iterator[tuple[str, bytes]]:
    """Every byte that an agency has, in lower case: what is stored in a form of its own, for comparing, is found too."""
    records = exchange.memory.records(ids.inbox(agency))
    yield "inbox", b"\n".join((record.key or b"") + b" " + (record.value or b"") for record in records).lower()
    folder = exchange.home / "agencies" / agency
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes().lower()


def _secrets(
    scene: Scene, rights: Sequence[Mapping[str, frozenset[str]]], written: Sequence[Written], agency: str
) -> Iterator[tuple[str, bytes]]:
    """What the agency must not have: sections that it was not given, whole and in words, who else there is, and who was addressed."""
    for number in range(len(scene.members)):
        if scene.agency(number) != agency:
            yield f"the name of {scene.agency(number)}", scene.agency(number).encode()
    for number in {each for sent in written for each in sent.sent.communities}:
        yield f"the community {scene.community(number)}", scene.community(number).encode()
    for each, releases in zip(written, rights, strict=True):
        for section in each.carried.keys() - releases.get(agency, frozenset()):
            yield f"{section} of {each.message.subject}", each.carried[section]
            for word in each.words.get(section, ()):
                yield f"a text of {section} of {each.message.subject}", word.encode()


def given(decider: Decider, message: Message, now_ms: int) -> dict[str, frozenset[str]]:
    """Who may have which sections of a message that is published now; the audience is nobody's."""
    owner = ids.owner_of(message.subject)
    encoded = encode_sections(message, owner, rules(), issued_ms=now_ms)
    assert not isinstance(encoded, Refusal), encoded
    labels = preview(message, encoded, originator=owner, now_ms=now_ms)
    return {
        each.agency: frozenset(section for section, _ in each.given if section != AUDIENCE)
        for each in decider.distribute(labels, now_ms).releases
    }


def moved(message: Message, ms: int) -> Message:
    """The same message, so much later: its own times, and all in its sections."""
    if ms == 0:
        return message
    times = {name: getattr(message, name) for name in ("valid_from_ms", "valid_until_ms")}
    later: Any = {name: each + ms for name, each in times.items() if each is not None}
    return replace(message, sections=_moved(dict(message.sections), timedelta(milliseconds=ms)), **later)


def _moved(value: Any, time: timedelta) -> Any:
    if isinstance(value, dict):
        return {name: _moved(each, time) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_moved(each, time) for each in cast("list[Any]", value)]
    return value + time if isinstance(value, date) else value
