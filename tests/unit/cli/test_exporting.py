"""``broker export`` over an exchange in memory: every view in every format is what its specification asks, and what the purpose allows."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from broker.app import process
from broker.bulk.cells import neutral
from broker.bulk.stix import TLP
from broker.cli import exporting, messages, recall, register
from broker.cli.screen import Common
from broker.errors import UsageError
from broker.families.message import Message
from broker.ports import Transport
from broker.storage.home import TlsFiles
from broker.testing.memory import MemoryTransport
from broker.testing.sample_reports import sample_licence
from tests.unit.app.test_purpose import consented
from tests.unit.register.scene import NOW
from tests.unit.service.world import World

MY, SG = "MY-CUSTOMS", "SG-CUSTOMS"
SECRET = "CSQU3054383"
Exported = Callable[..., Any]


@pytest.fixture
def exported(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exported:
    """Runs an export to a file: its bytes."""

    def connect(_bootstrap: str, principal: str, _files: TlsFiles) -> Transport:
        return MemoryTransport(world.memory, principal)

    for module in (register, messages, recall, exporting):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr("broker.cli.register.SystemClock", lambda: world.clock)
    monkeypatch.setattr("broker.app.parties.SystemClock", lambda: world.clock)
    monkeypatch.setattr(process, "settle", lambda: None)

    async def export(view: str, form: str, *, agency: str = MY, purpose: str | None = None) -> bytes:
        output = tmp_path / f"{view}.{form}"
        given: Any = {"as_": agency, "view": view, "format_": form, "purpose": purpose, "output": output}
        assert await exporting.export(**given, common=Common(home=world.exchange.home, json=True)) == 0
        return taken(output)

    return export


def taken(output: Path) -> bytes:
    """The export, which is its owner's alone and all that is left in its folder."""
    assert output.stat().st_mode & 0o777 == 0o600
    assert list(output.parent.iterdir()) == [output]
    content = output.read_bytes()
    output.unlink()
    return content


def watched(world: World, number: int, *purposes: str) -> Message:
    """An alert for these purposes."""
    return replace(world.alert(number), purposes=purposes)


async def two_alerts(world: World) -> None:
    """One that may be used for licensing, one that may not."""
    await world.agency().publish(watched(world, 1, "STC_ENFORCEMENT", "LICENSING"))
    await world.agency().publish(watched(world, 2, "STC_ENFORCEMENT"))


async def a_licence(world: World) -> None:
    """A licence that an authority granted."""
    authority = await world.exchange.join("DE-BAFA", "licensing")
    await authority.publish(sample_licence("DE-BAFA/2026/L1", now_ms=NOW, agencies=[MY]))


def lines(content: bytes) -> list[dict[str, Any]]:
    """JSON Lines."""
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("view", ["alerts", "inbox"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "stix", "cloudevents", "cloudevents-avro"])
async def test_nothing_leaves_for_another_purpose(world: World, exported: Exported, view: str, form: str) -> None:
    """For licensing only what may be used for it is in the export, in any format: of the other message not even its name."""
    await two_alerts(world)
    everything, some = await exported(view, form), await exported(view, form, purpose="LICENSING")
    assert all(f"{SG}/2026/00000{number}".encode() in everything for number in (1, 2))
    assert f"{SG}/2026/000001".encode() in some
    assert f"{SG}/2026/000002".encode() not in some
    nothing = await exported(view, form, purpose="TRAINING")
    assert SECRET.encode() not in nothing
    assert f"{SG}/2026/".encode() not in nothing


@pytest.mark.parametrize("view", ["alerts", "inbox"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "stix", "cloudevents", "cloudevents-avro"])
async def test_what_consent_gave_leaves_for_its_purposes_alone(world: World, exported: Exported, view: str, form: str) -> None:
    """An alert that the agency has by consent for one purpose: in the export for that one, and in none for another or for none."""
    await consented(world)
    assert f"{SG}/2026/000001".encode() in await exported(view, form, agency="DE-BAFA", purpose="LICENSING")
    for purpose in ("STC_ENFORCEMENT", None):
        assert f"{SG}/2026/000001".encode() not in await exported(view, form, agency="DE-BAFA", purpose=purpose)


@pytest.mark.parametrize("view", ["alerts", "inbox"])
async def test_what_is_left_out_is_told_at_the_end(world: World, exported: Exported, capsys: pytest.CaptureFixture[str], view: str) -> None:
    """Counts of messages and sections that the agency holds and the purpose does not open, by rule: with --json as a line beside the file,
    which holds none of it; on standard error where the data goes to standard output."""
    await two_alerts(world)
    await consented(world)
    content = await exported(view, "jsonl", agency="DE-BAFA", purpose="STC_ENFORCEMENT")
    (told,) = lines(capsys.readouterr().out.encode())
    assert told["left_out"]["messages"] == len(told["withheld_here"]) >= 1
    assert sum(told["left_out"]["messages_by_rule"].values()) == told["left_out"]["messages"]
    assert told["records"] == len(lines(content))
    given: Any = {"as_": "DE-BAFA", "view": view, "format_": "jsonl", "purpose": "STC_ENFORCEMENT"}
    assert await exporting.export(**given, common=Common(home=world.exchange.home, json=True)) == 0
    beside = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert beside["left_out"] == told["left_out"]


async def test_nothing_is_left_out_of_what_is_open(world: World, exported: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    """Zeros, and an alert past its time that was not asked for is no message left out; what the exchange withheld neither."""
    await two_alerts(world)
    await exported("alerts", "jsonl", purpose="STC_ENFORCEMENT")
    (told,) = lines(capsys.readouterr().out.encode())
    assert told["left_out"] == {"messages": 0, "messages_by_rule": {}, "sections": 0, "sections_by_rule": {}}
    world.clock.advance(400 * 86_400_000)
    await exported("alerts", "jsonl", purpose="LICENSING")
    (told,) = lines(capsys.readouterr().out.encode())
    assert (told["records"], told["left_out"]["messages"]) == (0, 0)


async def test_json_lines_are_what_the_other_commands_show(world: World, exported: Exported) -> None:
    """The alerts as `alert find` shows them, the inbox as `subscribe` does, the trace as `trace` does."""
    await two_alerts(world)
    first, second = lines(await exported("alerts", "jsonl"))
    assert (first["subject"], second["subject"]) == (f"{SG}/2026/000001", f"{SG}/2026/000002")
    assert first["live"]
    assert SECRET in json.dumps(first["sections"])
    assert [each["verified"] for each in lines(await exported("inbox", "jsonl"))] == [True, True]
    trace = lines(await exported("trace", "jsonl", agency=SG))
    assert {(each["subject"][-1], each["agency"]) for each in trace} >= {("1", MY), ("2", MY)}


async def test_a_licence_is_a_row(world: World, exported: Exported) -> None:
    """What the register knows of it, in columns; lists joined, items as JSON."""
    await a_licence(world)
    content = await exported("licences", "csv")
    assert content.startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert row["subject"] == "DE-BAFA/2026/L1"
    assert row["status"]
    assert isinstance(json.loads(row["items"] or "[]"), list)


async def test_alerts_are_rows_with_the_fields_of_their_sections(world: World, exported: Exported) -> None:
    """One line each; the fields of each section under their names."""
    await two_alerts(world)
    rows = list(csv.DictReader(io.StringIO((await exported("alerts", "csv")).decode("utf-8-sig"), newline="")))
    assert [row["core.risk_category"] for row in rows] == ["DUAL_USE", "DUAL_USE"]
    assert SECRET in rows[0]["equipment.units"]


async def test_a_trace_is_a_row_for_each_delivery(world: World, exported: Exported) -> None:
    """Who received which sections, when, by which rule."""
    await two_alerts(world)
    rows = list(csv.DictReader(io.StringIO((await exported("trace", "csv", agency=SG)).decode("utf-8-sig"), newline="")))
    assert {row["agency"] for row in rows} >= {MY}
    assert all(row["revision"] == "1" and "core" in row["sections"] for row in rows)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_calculated(cell: str) -> None:
    """An apostrophe stands in front, and the rest is as it was."""
    assert neutral(cell) == "'" + cell
    assert neutral("x" + cell) == "x" + cell
    assert neutral("") == ""


async def test_a_formula_in_a_message_is_text_in_the_table(world: World, exported: Exported) -> None:
    """From the sender's field to the recipient's spreadsheet: it begins with an apostrophe."""
    alert = world.alert(1)
    core = {**alert.sections["core"], "ucr": "=HYPERLINK(1)"}
    await world.agency().publish(replace(alert, sections={**alert.sections, "core": core}))
    (row,) = csv.DictReader(io.StringIO((await exported("alerts", "csv")).decode("utf-8-sig"), newline=""))
    assert row["core.ucr"] == "'=HYPERLINK(1)"


REQUIRED = {
    "identity": {"name"}, "location": {"country"}, "report": {"name", "published", "object_refs"},
    "extension-definition": {"name", "schema", "version", "extension_types", "created_by_ref"},
    "marking-definition": {"name", "extensions"},
}  # fmt: skip
"""Properties that STIX 2.1 requires of each kind beside the common ones (marks by extension have no definition_type)."""
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.mark.parametrize(("view", "agency"), [("alerts", MY), ("inbox", MY), ("licences", MY), ("trace", SG)])
async def test_a_bundle_is_stix(world: World, exported: Exported, view: str, agency: str) -> None:
    """Required properties, ids of the right kind by UUIDv5, times, every reference inside the bundle, marks of TLP 2.0 on every report."""
    await two_alerts(world)
    await a_licence(world)
    bundle = json.loads(await exported(view, "stix", agency=agency))
    assert bundle["type"] == "bundle"
    objects = {each["id"]: each for each in bundle["objects"]}
    assert len(objects) == len(bundle["objects"])
    reports = [each for each in objects.values() if each["type"] == "report"]
    assert reports
    for ref, each in [(bundle["id"], bundle), *objects.items()]:
        kind, _, name = ref.partition("--")
        assert kind == each["type"]
        assert uuid.UUID(name).version == (4 if ref in TLP.values() else 5)
    for each in objects.values():
        assert REQUIRED[each["type"]] <= each.keys()
        assert each["spec_version"] == "2.1"
        stamps = [each["created"], *([each["modified"]] if each["type"] != "marking-definition" else [])]
        assert all(STAMP.fullmatch(stamp) for stamp in stamps)
        refs = [each[key] for key in ("created_by_ref",) if key in each]
        refs += [*each.get("object_refs", ()), *each.get("object_marking_refs", ())]
        refs += [ref for ref in each.get("extensions", {}) if ref != "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"]
        assert all(ref in objects for ref in refs)
    if view in ("alerts", "inbox"):
        assert all(report["object_marking_refs"] == [TLP["AMBER"]] for report in reports)
        assert {each["type"] for each in objects.values()} >= {"location", "identity", "marking-definition"}


async def test_the_same_message_has_the_same_ids(world: World, exported: Exported) -> None:
    """Two exports at two times: the same objects, so that a receiver sees no doubles."""
    await two_alerts(world)
    first = json.loads(await exported("alerts", "stix"))
    world.clock.advance(3_600_000)
    second = json.loads(await exported("alerts", "stix"))
    assert first["objects"] == second["objects"]
    assert first["id"] != second["id"]


async def test_events_are_cloudevents_in_both_formats(world: World, exported: Exported) -> None:
    """Required attributes, names as the specification allows them, times; the Avro file says the same, by the record prescribed."""
    await two_alerts(world)
    events = json.loads(await exported("inbox", "cloudevents"))
    assert len({(each["source"], each["id"]) for each in events}) == len(events) == 2
    for each in events:
        assert each["specversion"] == "1.0"
        assert all(each[name] for name in ("id", "source", "type", "subject", "datacontenttype"))
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in each)
        assert STAMP.fullmatch(each["time"])
        assert each["data"]["subject"] == each["subject"]
    packed = list(fastavro.reader(io.BytesIO(await exported("inbox", "cloudevents-avro"))))
    found: list[Any] = [{**each["attribute"], "data": json.loads(each["data"])} for each in packed]  # pyright: ignore
    assert found == events


async def test_a_place_that_cannot_be_written_is_told(world: World, exported: Exported, tmp_path: Path) -> None:
    """Wrong use; nothing is left behind, and no link is followed."""
    await two_alerts(world)
    (tmp_path / ".out.csv.part").symlink_to(tmp_path / "elsewhere")
    for output in (tmp_path / "none" / "x.csv", tmp_path / "out.csv"):
        given: Any = {"as_": MY, "view": "alerts", "format_": "csv", "output": output}
        with pytest.raises(UsageError):
            await exporting.export(**given, common=Common(home=world.exchange.home))
    assert not (tmp_path / "elsewhere").exists()
