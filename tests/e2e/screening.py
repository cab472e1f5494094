"""Declarations as shipments that an officer holds against the agency's register: alerts, watches and licences, key by key.

The declaration gives its parties' numbers and the HS code. It has no container, paper, name or licence: those are made up with a seed,
containers and papers as in the alert about the same declaration. Now and then the seller's name is one that is watched for, written in
another way, and a licence is cited. What has to be found is worked out here from the messages, not asked of the product.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broker.storage import register_reader as look
from broker.storage.register_reader import RegisterReader
from tests.support.records import Built, Row, seeded

NAMED_EACH: Final = 25
"""So many declarations have one seller's name that is watched for."""
CITING_EACH: Final = 20
IDS: Final = ("Declarant ID", "Importer ID", "Seller ID", "Courier ID")
KEYS: Final = ("container", "document", *IDS, "HS6 Code", "seller's name", "licence")


@dataclass(frozen=True, slots=True)
class Shipment:
    """A declaration with what it is looked up by."""

    declaration: str
    keys: Mapping[str, str]
    watched: str | None
    """The subject of the watch that its seller's name is another writing of."""


@dataclass
class Found:
    """How one kind of key fared."""

    looked: int = 0
    hits: int = 0
    expected: int = 0
    wrong: list[str] = field(default_factory=list[str])
    micros: list[float] = field(default_factory=list[float])


def written_otherwise(names: Sequence[str], chance: random.Random) -> str:
    """A name as another paper has it: an alias, small letters, another kind of company, its words turned about, full-width letters."""
    name = chance.choice(names)
    match chance.randrange(5):
        case 0:
            return name.lower()
        case 1:
            return f"{name}, L.L.C."
        case 2:
            return " ".join(reversed(name.split()))
        case 3:
            return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in name)
        case _:
            return name.replace(" ", "  ").title()


def shipments(rows: Iterable[Row], alerts: Mapping[str, Built], watches: Sequence[Built], licences: Sequence[str]) -> Iterator[Shipment]:
    """A shipment for each declaration. ``alerts``: what the alert builder makes of each, by declaration."""
    for row in rows:
        number = row["Declaration ID"]
        chance, sections = seeded("shipment", number), alerts[number].message["sections"]
        keys = {name: row[name] for name in IDS if row[name]} | {"HS6 Code": row["HS6 Code"].zfill(6)}
        keys["document"] = sections["core"]["documents"][0]["id"]
        if "equipment" in sections:
            keys["container"] = sections["equipment"]["units"][0]["id"]
        watch = chance.choice(watches) if watches and chance.randrange(NAMED_EACH) == 0 else None
        names = _names(watch) if watch is not None else [f"Seller {row['Seller ID'] or number}"]
        keys["seller's name"] = written_otherwise(names, chance) if watch is not None else names[0]
        if licences and chance.randrange(CITING_EACH) == 0:
            keys["licence"] = chance.choice(licences)
        yield Shipment(number, keys, watch.subject if watch is not None else None)


def _names(watch: Built) -> list[str]:
    return [each["name"] for each in watch.message["sections"]["identity"]["names"]]


def expected_alerts(alerts: Sequence[Built]) -> dict[str, dict[str, set[str]]]:
    """Kind of key, value, and the subjects of the alerts that have it: read off the messages."""
    found: dict[str, dict[str, set[str]]] = {"container": {}, "document": {}, "party": {}, "HS6 Code": {}}
    for alert in alerts:
        sections: dict[str, Any] = alert.message["sections"]
        values = [("document", each["id"]) for each in sections["core"]["documents"]]
        values += [("container", each["id"]) for each in sections.get("equipment", {}).get("units", ())]
        values += [("party", each["id"]) for each in sections["parties"]["parties"]]
        values += [("HS6 Code", each["hs_code"]) for each in sections["goods"]["items"]]
        for kind, value in values:
            found[kind].setdefault(value, set()).add(alert.subject)
    return found


@dataclass
class Screening:
    """All look-ups of all shipments, and what became of them."""

    reader: RegisterReader
    now_ms: int
    alerts: Mapping[str, Mapping[str, set[str]]]
    refused: Mapping[str, bool]
    """Licence number to whether the application was refused, by the records."""
    found: dict[str, Found] = field(default_factory=lambda: {key: Found() for key in KEYS})
    statuses: Counter[str] = field(default_factory=Counter[str])
    stopped: int = 0

    def screen(self, shipment: Shipment) -> None:
        """Look everything up."""
        any_hit = False
        for key, value in shipment.keys.items():
            into, began = self.found[key], time.perf_counter()
            seen = self._look(key, value)
            into.micros.append((time.perf_counter() - began) * 1e6)
            expected = self._expected(key, value, shipment)
            into.looked += 1
            into.hits += bool(seen)
            into.expected += bool(expected)
            if not (expected <= seen if key == "seller's name" else seen == expected):  # a name may be that of several
                into.wrong.append(f"{shipment.declaration} {key} {value}: found {sorted(seen)}, expected {sorted(expected)}")
            any_hit = any_hit or (bool(seen) and key not in ("HS6 Code", "licence")) or bool(seen & {"DENIED"})
        self.stopped += any_hit

    def _look(self, key: str, value: str) -> set[str]:
        if key == "licence":
            statuses = {answer.status for answer in self.reader.licence(value, self.now_ms)}
            self.statuses.update(statuses)
            return statuses
        if key == "seller's name":
            return self._subjects(look.party_is(value), "entity_watch")
        form = {"container": look.container_is, "document": look.document_is, "HS6 Code": look.hs_is}.get(key, look.party_is)
        return self._subjects(form(value), "alert")

    def _subjects(self, condition: look.Condition, family: str) -> set[str]:
        return {answer.row.subject for answer in self.reader.find([condition], self.now_ms, family=family)}

    def _expected(self, key: str, value: str, shipment: Shipment) -> set[str]:
        if key == "licence":
            return {"DENIED" if self.refused[value] else "VALID"}
        if key == "seller's name":
            return {shipment.watched} if shipment.watched else set()
        return self.alerts["party" if key in IDS else key].get(value, set())
