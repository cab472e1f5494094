"""What is withheld is nowhere on a real exchange: ``python -m tests.e2e.leaks_show [--messages 400] [--members 10] [--seed 1]``.

Random members and messages of all families (:mod:`tests.property.scenes`) go through a real Kafka and real relay workers; each agency reads
with ``broker subscribe``, keeps a register in a home of its own and asks it. Then every byte that each of them holds is searched for what
policy does not give it: texts of withheld sections and the sections as they are carried, names of other members, and of communities that a
message addressed. Inbox records and Kafka's files of them, files of the homes (SQLite with its write-ahead log, at work and at rest),
captured evidence, what commands printed and logged; also what relay workers and Kafka logged. At last leaks are planted in each kind of
place, and have to be found. Exit code 0 only if nothing leaked and every planted leak was found.

The directory is public, so names of members are no secret in copies of it, nor in the topics' names that Kafka and its client log.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker import ids, logs
from broker.kafka.batches import FetchedBatches
from broker.ports import Outgoing
from tests.e2e.leaks_ground import Ground, Place, ground_of
from tests.e2e.report import Report
from tests.property.leaks import ORIGINATORS, Scene
from tests.property.scenes import FAMILIES, random_scene
from tests.support.markers import Marker, Search

PLANTED: Final = ("inbox records", "inbox segments", "SQLite files", "evidence", "outputs", "relay logs")
"""Kinds of places into which a leak is planted."""


@dataclass(frozen=True)
class Plan:
    """How large the scene is, and its number."""

    messages: int = 400
    members: int = 10
    relays: int = 2
    seed: int = 1


@dataclass(frozen=True)
class Leak:
    """What is where it must not be."""

    place: Place
    told: str

    def __str__(self) -> str:
        return f"{self.place.holder} has {self.told} in {self.place.kind} ({self.place.name})"


class Rights:
    """Which marked texts each agency may hold."""

    def __init__(self, ground: Ground) -> None:
        self.ground, scene = ground, ground.scene
        markers = dict[bytes, Marker]()
        for number in range(len(scene.members)):
            name = scene.agency(number)
            markers[name[3:].encode()] = Marker("member", None, "", f"the name of {name}")
        for number in {each for written in ground.written for each in written.sent.communities}:
            markers[scene.community(number).encode()] = Marker("community", None, "", f"the community {scene.community(number)}")
        for number, written in enumerate(ground.written):
            for section, carried in written.carried.items():
                markers[carried[:16]] = Marker("section", number, section, f"{section} of {written.message.subject}")
            for section, words in written.words.items():
                for word in words:
                    markers[word.encode()] = Marker("text", number, section, f"a text of {section} of {written.message.subject}")
        self.search = Search(markers)
        self.allowed = {agency: self._allowed(agency) for agency in ground.agencies}

    def _allowed(self, agency: str) -> frozenset[bytes]:
        """Its own name; of each message what it was given, or all where it wrote it; and of its own messages whom it addressed and who
        got them, which its receipts say."""
        ground, names = self.ground, {agency}
        own = {number for number, each in enumerate(ground.written) if ids.owner_of(each.message.subject) == agency}
        for number in own:
            audience = ground.written[number].message.audience
            names |= {*audience.agencies, *audience.communities, *ground.rights[number]}
        return frozenset(
            text for text, marker in self.search.markers.items()
            if (marker.message is None and any(text in name.lower().encode() for name in names))
            or (marker.message is not None
                and (marker.message in own or marker.section in ground.rights[marker.message].get(agency, frozenset())))
        )  # fmt: skip

    def leaks_in(self, place: Place) -> Iterator[Leak]:
        """All that the place's holder must not have there."""
        allowed = self.allowed.get(place.holder, frozenset[bytes]())
        for text in sorted(self.search.found(place.data) - allowed):
            if not (place.directory and self.search.markers[text].message is None):
                yield Leak(place, self.search.markers[text].told)

    def owed(self, agency: str) -> frozenset[bytes]:
        """What has to be in its inbox: texts and salts of the sections that it was given by others."""
        rights = self.ground.rights
        return frozenset(
            text for text, marker in self.search.markers.items()
            if marker.message is not None and marker.section in rights[marker.message].get(agency, frozenset())
        )  # fmt: skip


def progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


async def show(report: Report, plan: Plan) -> None:
    """Publish, read, ask, search; then plant and search again."""
    scene = random_scene(plan.seed, of_members=plan.members, of_messages=plan.messages)
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder:
        async with ground_of(scene, Path(folder), relays=plan.relays) as ground:
            progress(f"{len(scene.messages)} messages are published")
            await ground.publish()
            progress(f"{len(ground.agencies)} agencies read")
            await ground.read(ground.agencies)
            progress("every byte is searched")
            rights = Rights(ground)
            at_work = await ground.places()
            assert any(place.name.endswith("-wal") and place.data for place in at_work), "no write-ahead log: nobody is at work"
            await ground.stop_followers()
            at_rest = [place for agency in ground.agencies for place in ground.of_home(agency)]
            tell_scene(report, scene, ground, rights)
            tell_search(report, rights, [*at_work, *at_rest])
            tell_owed(report, rights, at_work)
            progress("leaks are planted")
            await tell_planted(report, ground, rights)


def tell_scene(report: Report, scene: Scene, ground: Ground, rights: Rights) -> None:
    """Who and what takes part, and how much of it is withheld from whom."""
    given = sum(len(sections) for releases in ground.rights for sections in releases.values())
    withheld = sum(
        len(each.carried.keys() - releases.get(agency, frozenset()))
        for each, releases in zip(ground.written, ground.rights, strict=True)
        for agency in ground.agencies
        if ids.owner_of(each.message.subject) != agency
    )
    kinds = Counter(marker.kind for marker in rights.search.markers.values())
    families = {each.message.family for each in ground.written}
    roles = ", ".join(sorted({kind for _, kind, _ in scene.members}))
    report.title(f"{len(ground.written)} messages of {len(families)} families, searched for in what {len(ground.agencies)} agencies hold")
    report.say(
        f"  {len(scene.messages)} random messages: {len(ground.written)} accepted, {ground.refused} refused before or at the relay",
        f"  {len(scene.members)} random members ({roles}) and {len(ORIGINATORS)} owners",
        f"  sections given {given:,}, withheld {withheld:,} (one section, one agency)",
        f"  markers searched for: {len(rights.search.markers):,} ({', '.join(f'{count:,} {kind}' for kind, count in kinds.items())})",
    )
    held = families == set(FAMILIES) and given > 0 < withheld
    report.check("every family was exchanged, and sections were given and withheld", holds=held)


def tell_search(report: Report, rights: Rights, places: Sequence[Place]) -> None:
    """Where was searched, and what was found that must not be there."""
    leaks = [leak for place in places for leak in rights.leaks_in(place)]
    by_kind: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_kind[place.kind].append(place)
    found = Counter(leak.place.kind for leak in leaks)
    rows = [(kind, len(each), sum(len(place.data) for place in each), found[kind]) for kind, each in sorted(by_kind.items())]
    total = ("all", len(places), sum(len(place.data) for place in places), len(leaks))
    report.table(("where", "places", "bytes", "leaks"), [*rows, total])
    report.say(*(f"  LEAK  {leak}" for leak in leaks[:20]))
    report.check(f"leaks {len(leaks)}", holds=not leaks)
    segments = by_kind["inbox segments"]
    report.check(
        f"no batch of {len(segments)} inbox segments is compressed: their bytes are searched as they are",
        holds=all(_plain(place.data) for place in segments) and len(segments) >= len(rights.ground.agencies),
    )


def _plain(segment: bytes) -> bool:
    """Whether every batch is uncompressed: our own reader refuses any that is not."""
    batches = FetchedBatches(segment)
    while batches.has_next():
        list(batches.next_batch())
    return True


def tell_owed(report: Report, rights: Rights, places: Sequence[Place]) -> None:
    """What was given is found: so the search finds what is there, in the inbox and in what ``broker subscribe`` printed."""
    for kind, without in (("inbox records", ""), ("inbox segments", ""), ("evidence", ""), ("outputs", "section")):
        held: dict[str, set[bytes]] = defaultdict(set)
        for place in places:
            if place.kind == kind:
                held[place.holder] |= rights.search.found(place.data)
        owed = {
            agency: {text for text in rights.owed(agency) if rights.search.markers[text].kind != without}
            for agency in rights.ground.agencies
        }
        missing = sum(len(each - held[agency]) for agency, each in owed.items())
        count = sum(map(len, owed.values()))
        report.check(f"of {count:,} markers that were given, {count - missing:,} are found in {kind}", holds=count > 0 and not missing)


async def tell_planted(report: Report, ground: Ground, rights: Rights) -> None:
    """A leak in each kind of place, and in other writings: each has to be found there, and nothing else."""
    agency, secret = next(
        (agency, each.carried[section])
        for each, releases in zip(ground.written, ground.rights, strict=True)
        for agency in ground.agencies
        for section in each.carried.keys() - releases.get(agency, frozenset()) - {"audience"}
        if each.words.get(section) and ids.owner_of(each.message.subject) != agency
    )
    other = next(name for name in ground.agencies if name not in (agency, *ORIGINATORS))
    home = ground.home(agency)
    transport = ground.exchange.operator.transport("relay")
    outlet = await transport.outlet()
    await (await outlet.send(Outgoing(ids.inbox(agency), b"s/planted", secret)))
    await outlet.close()
    await transport.close()
    (home / "evidence").mkdir(exist_ok=True)
    (home / "evidence" / "planted.parcel").write_bytes(b"base64:" + base64.b64encode(b"." + secret))
    output, relay = home.parent / "planted.out", ground.relays[0].out
    output.write_text(f'{{"value":"{secret.hex()}"}}\n', encoding="ascii")
    ground.outputs[agency].append(output)
    with relay.open("ab") as log:
        log.write(f'{{"event":"planted {other.lower()}"}}\n'.encode())
    with contextlib.closing(sqlite3.connect(ground.home(agency) / "agencies" / agency / "register.sqlite")) as register:
        register.execute("CREATE TABLE planted (value BLOB)")
        register.execute("INSERT INTO planted VALUES (?)", (secret,))
        register.commit()  # now in the write-ahead log, until the connection is closed
        leaks = [leak for place in await ground.places() for leak in rights.leaks_in(place)]
    found = {leak.place.kind for leak in leaks}
    for kind in PLANTED:
        report.check(f"a leak planted in {kind} is found", holds=kind in found)
    report.check("and nothing else", holds=found <= set(PLANTED) and {leak.place.holder for leak in leaks} == {agency, "relay"})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=Plan.messages)
    parser.add_argument("--members", type=int, default=Plan.members)
    parser.add_argument("--relays", type=int, default=Plan.relays)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    chosen = parser.parse_args()
    report, begun = Report(), time.monotonic()
    asyncio.run(show(report, Plan(chosen.messages, chosen.members, chosen.relays, chosen.seed)))
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main())
