"""Agencies in homes of their own exchange alerts and licence decisions made from real records, all through the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.enrolment import SeparateHomes, check_homes_apart, separate_homes
from tests.e2e.three_homes import Exchanged, critical_alerts, exchange_messages, licences, many_alerts
from tests.support.records import Account

pytestmark = pytest.mark.kafka


def test_fingerprints_can_be_compared(homes: SeparateHomes) -> None:
    """What agency and operator read out to each other is the same on both sides: the agency's key, and the registrar's."""
    for side in homes.agencies.values():
        assert side.request["fingerprint"] == side.entry["fingerprint"]
        assert side.joined["registrar_fingerprint"] == side.entry["registrar_fingerprint"]


def test_nothing_is_lost_doubled_reordered_or_disclosed(exchanged: Exchanged) -> None:
    """Each agency got exactly what the receipts promised and policy allows, once, revisions in order, content as published."""
    account = exchanged.account
    assert account.wrong == []
    assert account.promised == account.delivered
    assert (account.lost, account.duplicates) == (0, 0)
    assert account.revised == 18, "several revisions of some subjects were part of it"
    assert set(account.delivered) == {"KR-CUSTOMS", "GB-LICENSING", "GB-CUSTOMS", "SG-CUSTOMS"}
    assert all(account.delivered.values())


def test_reading_goes_on_where_it_ended(exchanged: Exchanged) -> None:
    """A second `broker subscribe` of the same agency prints nothing again."""
    assert exchanged.again.deliveries == []


def test_an_alert_is_seen_by_rights(exchanged: Exchanged) -> None:
    """Customs of Singapore, who are named, see the parties of an alert; licensing officers see goods, and that the rest is withheld."""
    alert, named, licensing = exchanged.both_see("SG-CUSTOMS", "GB-LICENSING")
    assert named["sections"]["parties"]["parties"][0]["id"] == alert.message["sections"]["parties"]["parties"][0]["id"]
    assert set(licensing["sections"]) == {"core", "goods"}
    assert {"parties", "equipment", "route"} <= set(licensing["withheld_by"])


def test_records_are_what_messages_are_made_of(records: Path) -> None:
    """Of each alert at least ten values are the record's own, and every made-up value is listed."""
    for alert in critical_alerts(records):
        assert len(alert.from_record) >= 10
        assert not set(alert.from_record) & set(alert.synthetic)
    assert Account.of(critical_alerts(records)).messages == 78 + 18


def test_private_keys_stay_at_home(homes: SeparateHomes, exchanged: Exchanged) -> None:
    """After all that traffic no home, and no byte that Kafka keeps, holds a secret of somebody else."""
    assert exchanged.account.accepted
    assert len(check_homes_apart(homes)) == 5


@pytest.mark.soak
def test_ten_thousand_alerts(records: Path, tmp_path: Path) -> None:
    """The same with 10,000 alerts and every licence decision: nothing lost, doubled, reordered or wrongly disclosed, and the relay
    worker stays below 300 MB."""
    with separate_homes(tmp_path) as homes:
        exchanged = exchange_messages(homes, many_alerts(records, 10_000), licences(records), at_once=False)
        assert exchanged.account.wrong == []
        assert exchanged.account.promised == exchanged.account.delivered
        assert max(homes.exchange.relay_peaks_kib()) < 300 * 1024
