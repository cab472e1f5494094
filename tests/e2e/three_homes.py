"""The main show: agencies in homes of their own publish messages made from records, the others read them, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.enrolment import MEMBERS, SeparateHomes
from tests.e2e.program import Json
from tests.e2e.traffic import Account, Progress, Published, Subscribed, account_for, in_turn_or_at_once, no_progress, publish, subscribe
from tests.support.alert_records import OWNER as ALERTS_BY
from tests.support.alert_records import AlertBuilder
from tests.support.licence_records import OWNER as LICENCES_BY
from tests.support.licence_records import LicenceBuilder
from tests.support.records import DECLARATIONS, LICENCE_LINES, Built, next_revision, read_rows, repeated


def critical_alerts(folder: Path, *, revised: int = 12) -> list[Built]:
    """Alerts from every declaration with ``Critical Fraud`` = 2; the first ones again as revision 2, the first half of those as 3."""
    build = AlertBuilder(folder, datetime.now(UTC))
    first = [build(row) for row in read_rows(folder, DECLARATIONS) if row["Critical Fraud"] == "2"]
    second = [next_revision(each) for each in first[:revised]]
    return [*first, *second, *(next_revision(each) for each in second[: revised // 2])]


def many_alerts(folder: Path, count: int) -> list[Built]:
    """Alerts from all declarations; beyond their number, revision 2 of the first ones."""
    build = AlertBuilder(folder, datetime.now(UTC))
    rows = read_rows(folder, DECLARATIONS)[:count]
    alerts = list(repeated(map(build, rows), again=max(0, count - len(rows))))
    assert len(alerts) == count, f"{len(rows)} records give at most {2 * len(rows)} alerts"
    return alerts


def licences(folder: Path, count: int | None = None) -> list[Built]:
    """Licence decisions from all lines, or the first ``count``, with every one that Singapore or Korea is the destination of."""
    decisions = list(LicenceBuilder(folder).decisions(read_rows(folder, LICENCE_LINES)))
    if count is None:
        return decisions
    asked = [each for each in decisions if each.message["sections"]["core"]["destinations"][0] in ("SG", "KR")]
    return decisions[:count] + [each for each in asked if each not in decisions[:count]]


@dataclass(frozen=True)
class Exchanged:
    """All that was published and read, and how it compares."""

    published: Sequence[Published]
    subscribed: Sequence[Subscribed]
    again: Subscribed
    account: Account

    def delivered_to(self, agency: str) -> Sequence[Json]:
        """What one agency read."""
        return next(each.deliveries for each in self.subscribed if each.agency == agency)

    def both_see(self, one: str, other: str) -> tuple[Built, Json, Json]:
        """An alert that two agencies see differently, as published and as each got it: the first with a container."""
        mine, theirs = ({(d["subject"], d["revision"]): d for d in self.delivered_to(agency)} for agency in (one, other))
        for alert in self.published[0].messages:
            name = (alert.subject, alert.revision)
            if (
                "equipment" in alert.message["sections"]
                and name in mine
                and name in theirs
                and mine[name]["withheld"] != theirs[name]["withheld"]
            ):
                return alert, mine[name], theirs[name]
        raise AssertionError(f"no alert is seen differently by {one} and {other}")


def exchange_messages(
    homes: SeparateHomes, alerts: Sequence[Built], decisions: Sequence[Built], *, at_once: bool = True, progress: Progress = no_progress
) -> Exchanged:
    """Publish at two agencies, read at all four, and read once more where the last reader left off."""

    def put(work: tuple[str, Sequence[Built]]) -> Published:
        return publish(homes, *work, progress)

    def read(agency: str) -> Subscribed:
        return subscribe(homes, agency, progress=progress)

    published = in_turn_or_at_once(put, [(ALERTS_BY, alerts), (LICENCES_BY, decisions)], at_once=at_once)
    subscribed = in_turn_or_at_once(read, [agency for agency, *_ in MEMBERS], at_once=at_once)
    again = subscribe(homes, "SG-CUSTOMS", start="committed")
    return Exchanged(published, subscribed, again, account_for(published, subscribed))
