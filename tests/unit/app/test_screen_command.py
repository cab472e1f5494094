"""``broker screen`` as it runs, over an exchange in memory."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.app import process
from broker.cli import register
from broker.cli.screen import Common
from broker.cli.screening import screen_files
from broker.errors import UsageError
from broker.ports import Transport
from broker.storage.home import TlsFiles
from broker.testing.memory import MemoryTransport
from tests.unit.screening.test_edifact import CUSCAR
from tests.unit.service.world import World

MY = "MY-CUSTOMS"
Called = Callable[..., Awaitable[tuple[int, list[dict[str, Any]], str]]]


@pytest.fixture
def called(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """Runs the command on the exchange in memory: its exit code, its JSON lines, and what it says beside them."""

    def connect(_bootstrap: str, principal: str, _files: TlsFiles) -> Transport:
        return MemoryTransport(world.memory, principal)

    monkeypatch.setattr(register, "connect", connect)
    monkeypatch.setattr("broker.cli.register.SystemClock", lambda: world.clock)
    monkeypatch.setattr("broker.app.parties.SystemClock", lambda: world.clock)
    monkeypatch.setattr(process, "settle", lambda: None)

    async def call(*files: str | Path, **how: Any) -> tuple[int, list[dict[str, Any]], str]:
        capsys.readouterr()
        code = await screen_files(*map(str, files), as_=MY, common=Common(home=world.exchange.home, json=True), **how)
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


async def test_a_manifest_is_screened(world: World, called: Called, tmp_path: Path) -> None:
    """Hits with all that an officer needs, bad rows with their lines, a summary at the end; the exit code is 1 with either, 0 with none."""
    await world.agency().publish(world.alert(1))
    bad = tmp_path / "rows.jsonl"
    bad.write_text('{"mrn": "06DE586600006143E1"}\nnot json\n', encoding="utf-8")
    code, (hit, row, summary), _ = await called(CUSCAR, bad)
    assert code == 1
    assert (hit["type"], hit["subject"], hit["revision"], hit["requested_actions"]) == ("hit", "SG-CUSTOMS/2026/000001", 1, ["HOLD"])
    assert {each["kind"] for each in hit["evidence"]} >= {"CONTAINER", "NAME", "HS"}
    assert (row["type"], row["file"], row["line"], row["code"], bool(row["advice"])) == ("bad_row", str(bad), 2, "BAD_JSON", True)
    assert (summary["type"], summary["rows"], summary["hits"], summary["bad_rows"]) == ("summary", 4, 1, {"BAD_JSON": 1})
    other = tmp_path / "other.json"
    other.write_text('{"mrn": "06DE586600006143E1"}', encoding="utf-8")
    code, (summary,), _ = await called(other)
    assert (code, summary["hits"], summary["shipments"]) == (0, 0, 1)


async def test_what_is_not_for_the_purpose_is_not_used(world: World, called: Called) -> None:
    """An alert whose purposes do not name what is screened for is no hit: how many messages were left out is told, and nothing of them."""
    await world.agency().publish(replace(world.alert(1), purposes=("STC_ENFORCEMENT",)))
    code, (summary,), said = await called(CUSCAR, purpose="LICENSING")
    assert (code, summary["hits"]) == (0, 0)
    assert "1 of 1 messages are not shown" in said
    assert "000001" not in json.dumps(summary) + said
    code, lines, _ = await called(CUSCAR, purpose="STC_ENFORCEMENT")
    assert (code, len(lines)) == (1, 2)


async def test_findings_are_told_when_asked_for(world: World, called: Called, tmp_path: Path) -> None:
    """A wrong check digit is counted in the summary, and told with its place where --findings is given."""
    file = tmp_path / "box.json"
    file.write_text('{"units": [{"id": "CSQU3054384"}]}', encoding="utf-8")
    await world.agency().publish(world.alert(1))
    _, (summary,), _ = await called(file)
    assert summary["findings"] == {"CHECK_DIGIT": 1}
    code, (finding, _), _ = await called(file, findings=True)
    assert (code, finding["code"], finding["path"], finding["line"]) == (0, "CHECK_DIGIT", "units[0].id", 1)


@pytest.mark.parametrize(
    "how", [{"files": []}, {"threshold": 0}, {"threshold": 101}, {"mapping": Path("none.toml")}, {"files": ["none.csv"]}]
)
async def test_wrong_use_is_told(world: World, called: Called, how: dict[str, Any]) -> None:
    """No file, a file that is not there, a threshold out of range."""
    await world.agency().publish(world.alert(1))
    with pytest.raises(UsageError):
        await called(*how.pop("files", [CUSCAR]), **how)


async def test_people_read_it_too(world: World, called: Called, capsys: pytest.CaptureFixture[str]) -> None:
    """The text names score, place, subject, reason and what is asked; what a file holds reaches the terminal as text only."""
    await world.agency().publish(world.alert(1))
    await screen_files(str(CUSCAR), as_=MY, common=Common(home=world.exchange.home))
    text = capsys.readouterr().out
    assert "cuscar-d95b.edi segment 13 (C-1): SG-CUSTOMS/2026/000001 revision 1" in text
    assert "asked: HOLD" in text
    assert "2 rows: 2 shipments, 1 hits in 1 of them" in text
