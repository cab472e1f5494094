"""Code lists in the services: findings at publishing and in receipts, new lists without a restart, one INFO a run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from broker.app import Member, Operator
from broker.app.connect import connect, connect_admin
from broker.errors import UsageError
from broker.testing.local import LocalExchange
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.unit.families.samples import changed
from tests.unit.storage.test_codelists import write

PLACES = "locode,name,subdivision,status,function,iata\nDEHAM,Hamburg,,AI,1-------,\nAEJEA,Jebel Ali,,AI,1-------,\n"
"""SGSIN, where the sample alert goes through, is left out."""
LEFT_OUT = "UNKNOWN_LOCODE"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a list of places."""
    write(tmp_path, "unlocode.csv", PLACES)
    return tmp_path


@pytest.fixture
async def exchange(folder: Path) -> AsyncGenerator[LocalExchange]:
    """An exchange whose relay and agencies use the folder."""
    async with LocalExchange(codelists=folder) as exchange:
        await exchange.join("SG-CUSTOMS", "customs")
        await exchange.join("AE-CUSTOMS", "customs")
        yield exchange


async def test_findings_reach_the_sender_before_and_after(exchange: LocalExchange) -> None:
    """The publisher remarks on a code at once, the relay in its receipt, and the message is delivered as it was written."""
    agency = exchange.agencies["SG-CUSTOMS"]
    publisher = await agency.publisher()
    alert = changed(sample_alert("SG-CUSTOMS/2026/000001", agencies=["AE-CUSTOMS"]), {"equipment": {"units": [{
        "id": "CSQU3054384", "observed_raw": None, "size_type": None, "fullness": None, "seals": []}]}})  # fmt: skip
    handle = await publisher.publish(alert)
    receipt = await handle.receipt(10)
    told = sorted((finding.code, finding.path) for finding in handle.findings if finding.code != "NO_LIST")
    assert told == sorted((finding.code, finding.path) for finding in receipt.findings)
    assert ("CHECK_DIGIT", "equipment.units[0].id") in told
    assert (LEFT_OUT, "route.places[1].locode") in told
    (delivery,) = await exchange.agencies["AE-CUSTOMS"].deliveries(1)
    assert delivery.sections["equipment"]["units"][0]["id"] == "CSQU3054384"


async def test_a_list_that_is_not_installed_is_told_once_a_run(exchange: LocalExchange) -> None:
    """The first message of a run carries the INFO, a dry run as well as a publication; no receipt and no later message does."""
    publisher = await exchange.agencies["SG-CUSTOMS"].publisher()
    alert = sample_alert("SG-CUSTOMS/2026/000001", agencies=["AE-CUSTOMS"])
    first, second = publisher.findings(alert), publisher.findings(alert)
    assert "NO_LIST" in {finding.code for finding in first}
    assert {finding.severity for finding in first if finding.code == "NO_LIST"} == {"INFO"}
    assert "NO_LIST" not in {finding.code for finding in second}
    handle = await publisher.publish(alert)
    receipt = await handle.receipt(10)
    assert "NO_LIST" not in {finding.code for finding in (*handle.findings, *receipt.findings)}


async def test_without_a_folder_nothing_is_told_of_lists(folder: Path) -> None:
    """Who installed no lists is judged by form and check digit, and not nagged."""
    async with LocalExchange() as exchange:
        agency = await exchange.join("SG-CUSTOMS", "customs")
        await exchange.join("AE-CUSTOMS", "customs")
        receipt = await agency.publish(sample_alert("SG-CUSTOMS/2026/000001", agencies=["AE-CUSTOMS"]))
        assert receipt.findings == ()


async def test_a_new_edition_is_taken_without_a_restart(exchange: LocalExchange, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator adds a place to the list: publisher and relay, both running, stop remarking on it. A broken file changes nothing."""
    monkeypatch.setattr("broker.service.knowledge.LISTS_S", 0.02)
    await exchange.stop_relay()
    await exchange.start_relay()
    agency = exchange.agencies["SG-CUSTOMS"]
    publisher = await agency.publisher()
    numbers = iter(range(1, 1000))

    async def codes() -> set[str]:
        handle = await publisher.publish(sample_alert(f"SG-CUSTOMS/2026/{next(numbers):06}", agencies=["AE-CUSTOMS"]))
        receipt = await handle.receipt(10)
        return {
            f"{where} {finding.code}" for where, source in (("mine", handle.findings), ("relay", receipt.findings)) for finding in source
        }

    async def until(wanted: set[str], left: set[str]) -> bool:
        found = await codes()
        return wanted <= found and not left & found

    assert await until({f"mine {LEFT_OUT}", f"relay {LEFT_OUT}"}, set())
    write(folder, "unlocode.csv", PLACES + "SGSIN,Singapore,,AI,1-------,\n", day=1_730_000_000)
    await eventually(lambda: until(set(), {f"mine {LEFT_OUT}", f"relay {LEFT_OUT}"}))
    write(folder, "unlocode.csv", "this is no list\n", day=1_731_000_000)
    await eventually(lambda: until({"mine BROKEN_LIST"}, set()))
    assert await until(set(), {f"mine {LEFT_OUT}", f"relay {LEFT_OUT}", "mine BROKEN_LIST", "relay BROKEN_LIST"})


def test_a_folder_that_is_none_is_wrong_use(tmp_path: Path) -> None:
    """Named where an agency or the operator is set up, before anything is read or sent."""
    with pytest.raises(UsageError, match="is not a folder"):
        Member(tmp_path, "SG-CUSTOMS", connect, codelists=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is not a folder"):
        Operator(tmp_path, connect, connect_admin, codelists=tmp_path / "nowhere")
