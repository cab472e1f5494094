"""What the show of real records publishes: each source's records as messages, with what the exchange answered."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.grounds import Answer, Ground, Members
from tests.support.alert_records import OWNER as ALERTS_BY
from tests.support.alert_records import AlertBuilder
from tests.support.excise_records import ExciseBuilder
from tests.support.licence_records import OWNER as LICENCES_BY
from tests.support.licence_records import LicenceBuilder
from tests.support.records import LICENCE_LINES, Built, Row, read_rows
from tests.support.watch_records import OWNER as WATCHES_BY
from tests.support.watch_records import PARTIES, WatchBuilder

SCREENER: Final = "SG-CUSTOMS"
MEMBERS: Final[Members] = {
    ALERTS_BY: ("customs", ()), LICENCES_BY: ("licensing", ()), WATCHES_BY: ("licensing", ()), SCREENER: ("customs", ("STCE-FORUM",)),
    "GB-CUSTOMS": ("customs", ("STCE-FORUM",)), "XI-CUSTOMS": ("customs", ()), "AT-CUSTOMS": ("customs", ()),
}  # fmt: skip
EXCISE_AGENCIES: Final = {"GB": "GB-CUSTOMS", "XI": "XI-CUSTOMS", "AT": "AT-CUSTOMS"}
CHAIN: Final = "23XI00000000000000013"
"""The movement of IE801, put into all six."""


@dataclass(frozen=True)
class Sourced:
    """A message, what it was made from, and what the exchange said."""

    record: str
    built: Built
    answer: Answer

    def is_real(self, path: str) -> bool:
        """Whether what lies at the path of a finding or refusal is the record's."""
        return bool({path, f"sections.{path}"} & set(self.built.from_record))


@dataclass
class Source:
    """The messages of one source."""

    name: str
    read: int
    sourced: list[Sourced] = field(default_factory=list[Sourced])
    without: int = 0
    """Records that gave no message."""

    def accepted(self) -> list[Built]:
        """The messages that the exchange took."""
        return [each.built for each in self.sourced if each.answer.outcome == "accepted"]


def put(ground: Ground, name: str, agency: str, pairs: Sequence[tuple[str, Built]], read: int, without: int = 0) -> Source:
    """Publish the messages of a source."""
    answers = ground.publish(agency, [built.message for _, built in pairs])
    return Source(name, read, [Sourced(record, built, answer) for (record, built), answer in zip(pairs, answers, strict=True)], without)


def put_licences(ground: Ground, data: Path, *, long: bool) -> Source:
    """Licence lines, those of one group together."""
    lines = read_rows(data, LICENCE_LINES)[: None if long else 250]
    groups = {group: list(rows) for group, rows in itertools.groupby(lines, key=lambda row: row["licence_group"])}
    made = list(LicenceBuilder(data, agencies=(SCREENER,)).decisions(lines))
    pairs = [(_shown(groups[each.message["sections"]["core"]["licence_no"]]), each) for each in made]
    used = sum(len(groups[each.message["sections"]["core"]["licence_no"]]) for each in made)
    return put(ground, "UK licence lines", LICENCES_BY, pairs, len(lines), len(lines) - used)


def put_watches(ground: Ground, data: Path, *, long: bool) -> Source:
    """Rows of the screening list."""
    rows = read_rows(data, PARTIES)[:: 1 if long else 10]
    build = WatchBuilder(data, ground.now, (SCREENER,))
    return put(ground, "US screening list", WATCHES_BY, [(_shown([row]), build(row)) for row in rows], len(rows))


def put_alerts(ground: Ground, data: Path, rows: Sequence[Row], *, long: bool) -> Source:
    """Declarations of fraud: critical, in the long form less critical too."""
    build = AlertBuilder(data, ground.now)
    chosen = [row for row in rows if row["Critical Fraud"] == "2" or (long and row["Critical Fraud"] == "1")]
    return put(ground, "Korean declarations of fraud", ALERTS_BY, [(_shown([row]), build(row)) for row in chosen], len(chosen))


def put_excise(ground: Ground, data: Path, movement: str | None) -> list[tuple[str, Sourced]]:
    """The six excise messages, each by its own agency."""
    found: list[tuple[str, Sourced]] = []
    for name, record, built in ExciseBuilder(data, ground.now, EXCISE_AGENCIES, movement, "CHAIN" if movement else "EMCS")():
        (answer,) = ground.publish(built.subject.partition("/")[0], [built.message])
        found.append((name, Sourced(record.text if record else "(made up by the test)", built, answer)))
    return found


def _shown(rows: Sequence[Row]) -> str:
    return "\n".join(json.dumps({name: value for name, value in row.items() if value}, ensure_ascii=False) for row in rows)
