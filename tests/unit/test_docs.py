"""What the documents say is so: examples run, commands exist, tables agree with the code, links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import broker
from broker.app.exporting import FORMATS
from broker.app.watch import read_status
from broker.bulk.cells import VIEWS
from broker.bulk.mapping import read_mapping
from broker.bulk.rows import ADVICE
from broker.cli.members import entry_json
from broker.exchange.topology import agency_specs, exchange_specs
from broker.families.attachment import FILE_LIMIT
from broker.families.message import Audience
from broker.families.message_json import message_from_json
from broker.kafka.properties import read_properties, render_properties
from broker.node import application, gate, inbox, messages, problems, protocol, register, server, streams
from broker.schema import json_form
from broker.shipped import shipped
from broker.storage.clock import SystemClock
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalExchange
from broker.testing.samples import sample_alert
from docs import generate
from tests.support.command_lines import calls, flaw
from tests.support.documents import blocks

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "deploy" / "README.md"])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TABLE_ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]*) \|", re.M)


def text_of(name: str) -> str:
    """A page by its name under the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ── every page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """Each link to a file of this repository finds it, and the heading where one is named."""
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str) -> None:
    """Each `broker ...` of a shell block is accepted by the program's own parser, each in the text names a command."""
    for block in blocks(ROOT / name):
        if block.language in ("console", "bash", "sh"):
            for arguments in calls(block.text):
                assert flaw(arguments) == "", arguments
    prose = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.M | re.S)
    for named in re.findall(r"`broker ([a-z]+)(?: ([a-z]+))?[^`]*`", prose):
        why = flaw([*filter(None, named), "--help"])
        assert "no command" not in why, named
        assert "Unknown command" not in why, named


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_one_machine(name: str) -> None:
    """No path of a developer's machine, no package registry."""
    assert not re.search(r"/work/|/root/|/home/(?!broker)|pypi\.|maven\.org|npmjs", text_of(name))


def test_pages_that_follow_from_the_code_are_up_to_date() -> None:
    """Run `python -m docs.generate` where this fails."""
    pages = generate.pages()
    written = {"messages.md", "codes.md", "dictionary.md", "identifiers.md", "lifecycles.md", "policy-scenarios.md", "asyncapi.json"}
    assert set(pages) == written
    for file, text in pages.items():
        assert (ROOT / "docs" / file).read_text(encoding="utf-8") == text, f"{file} is old"


# ── integrator ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """The names that the integrator's Python blocks define, run one after the other as one module."""
    program = "\n".join(block.text for block in blocks(ROOT / "docs" / "integrator.md", "python"))
    names: dict[str, Any] = {"__name__": "examples"}
    exec(compile(program, "integrator.md", "exec"), names)
    return names


async def test_the_integrators_examples_run(examples: dict[str, Any]) -> None:
    """Publishing, explaining a refusal, screening into the watch list: as the page says, on an exchange in memory."""
    async with LocalExchange(clock=SystemClock()) as exchange:
        singapore = await exchange.join("SG-CUSTOMS", "customs")
        emirates = await exchange.join("AE-CUSTOMS", "customs")
        receipt: broker.Receipt = await examples["warn"](singapore.member)
        assert (receipt.outcome, [each.agency for each in receipt.recipients]) == ("ACCEPTED", ["AE-CUSTOMS"])
        assert (await examples["warn_or_explain"](singapore.member)).startswith("refused at step 9: STALE_REVISION: ")
        assert await examples["watch"](emirates.member, idle_timeout=0.5) == 1
        with sqlite3.connect(emirates.member.files.subscriber_store) as store:
            assert store.execute("SELECT * FROM watch_list").fetchall() == [("CSQU3054383", "SG-CUSTOMS/2026/000123", 1)]
        store.close()


async def test_the_integrators_answer_reaches_the_owner(examples: dict[str, Any]) -> None:
    """Feedback on a delivery, as the page writes it, goes to the alert's owner and to nobody else."""
    async with LocalExchange(clock=SystemClock()) as exchange:
        singapore = await exchange.join("SG-CUSTOMS", "customs")
        emirates = await exchange.join("AE-CUSTOMS", "customs")
        await examples["warn"](singapore.member)
        (delivery,) = await emirates.deliveries(1)
        receipt: broker.Receipt = await examples["report_back"](emirates.member, delivery, datetime.now(UTC).replace(microsecond=0))
        assert (receipt.outcome, [each.agency for each in receipt.recipients]) == ("ACCEPTED", ["SG-CUSTOMS"])
        (answer,) = await singapore.deliveries(1)
        assert (answer.family, answer.header.correlation.target) == ("feedback", "SG-CUSTOMS/2026/000123")


async def test_the_example_of_a_test_passes(examples: dict[str, Any]) -> None:
    """The test that integrators are shown is a test that passes."""
    example: Callable[[], Awaitable[None]] = examples["test_we_screen_an_alert"]
    await example()


def test_the_message_in_a_file_is_one() -> None:
    """The JSON example reads as a message of known sections."""
    catalogue = load_catalogue()
    (block,) = blocks(ROOT / "docs" / "integrator.md", "json")

    def section(family: str, name: str, content: object) -> Any:
        schema = catalogue.current(family, name)
        assert schema is not None
        return json_form.from_json(schema, content)

    message = message_from_json(json_form.read_json(block.text), section)
    assert isinstance(message, broker.Message)
    assert message.audience == Audience(("AE-CUSTOMS",))


def test_the_header_table_names_every_key_with_its_default() -> None:
    """The table of header keys is complete, and what it calls a default is the Message's."""
    rows: dict[str, str] = {}
    for line in text_of("docs/integrator.md").partition("The header takes:")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 3 and cells[0].startswith("`"):
            rows |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[2].rstrip(" |"))
    known = broker.Message.__dataclass_fields__
    for name, default in rows.items():
        if name in ("valid_from", "valid_until", "embargo_until"):
            continue
        value: object = known[name].default
        if value in (True, False):
            assert default == f"`{str(value).lower()}`", name
        elif isinstance(value, str):
            assert default == f"`{value}`", name
        elif name == "purposes":
            assert (default.strip("`"),) == value
    keys = {name.removesuffix("_ms") for name in known} - {"family", "subject", "sections", "revision"}
    assert set(rows) == keys


def test_the_exceptions_are_public() -> None:
    """Each exception of the table can be imported from the package, and each public one is in the table."""
    table = text_of("docs/integrator.md").partition("## Exceptions")[2].partition("\n## ")[0]
    named = {name for name, _ in TABLE_ROW.findall(table)}
    public = {name for name in broker.__all__ if isinstance(getattr(broker, name), type) and issubclass(getattr(broker, name), Exception)}
    assert named == public - {"BrokerError"}


# ── operator ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_line_of_status_is_explained() -> None:
    """What `broker status` shows is in the operator's table, and nothing else is."""
    async with LocalExchange() as exchange:
        await exchange.join("SG-CUSTOMS", "customs")
        transport = exchange.operator.transport("registrar")
        knowledge = exchange.operator.knowledge(transport)
        await knowledge.load()
        status = await read_status(transport, knowledge, exchange.operator.admin(), exchange.operator.clock.now_ms())
        await knowledge.close()
    section = text_of("docs/operator.md").partition("## Status")[2].partition("\n## ")[0]
    explained = {name for cell in re.findall(r"^\| (`[^|]+) \|", section, re.M) for name in re.findall(r"`(\w+)`", cell)}
    assert explained == set(status) - {"agencies"} | set(status["agencies"][0])


def test_the_settings_that_a_cluster_needs_are_those_of_the_embedded_node() -> None:
    """Each setting of Kafka in the operator's table has the value that is tested, or is one that a larger site sets higher."""
    section = text_of("docs/operator.md").partition("### Settings of the brokers")[2].partition("\n### ")[0]
    template = shipped("deploy/kafka/server.properties.template").read_text(encoding="utf-8")
    settings = read_properties(render_properties(template, client_port=1, controller_port=2))
    rows = TABLE_ROW.findall(section)
    assert len(rows) > 10
    for key, value in rows:
        assert key in settings, key
        if "`" in value:
            assert value.strip().strip("`") == settings[key], key


def test_the_settings_of_the_topics_are_those_of_the_registrar() -> None:
    """The operator's table of topics has every topic with the settings that the registrar gives it."""
    section = text_of("docs/operator.md").partition("### Settings of the topics")[2].partition("\n## ")[0]
    specs = {spec.name: spec for spec in (*exchange_specs(16), *agency_specs("SG-CUSTOMS"))}
    rows: dict[str, str] = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.M))
    assert set(rows) == {name.replace("SG-CUSTOMS", "<AGENCY>") for name in specs}
    for name, cells in rows.items():
        spec = specs[name.replace("<AGENCY>", "SG-CUSTOMS")]
        shown = dict(re.findall(r"`([\w.]+)=([^`]+)`", cells))
        assert shown, name
        for key, value in shown.items():
            assert spec.settings[key] == value, (name, key)
        assert cells.split(" | ")[0] == str(spec.partitions) or (spec.partitions == 16 and cells.startswith("N "))


# ── policy, auditor ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_policy_check_of_the_page_finds_the_shipped_policies_sound(tmp_path: Path) -> None:
    """The function that the page shows: nothing to say about what ships, and something about a rule taken away."""
    (block,) = blocks(ROOT / "docs" / "policy.md", "python")
    names: dict[str, Any] = {}
    exec(compile(block.text, "policy.md", "exec"), names)
    assert names["check"](shipped("deploy/policies")) == []
    for path in shipped("deploy/policies").iterdir():
        if path.name != "stops.cedar":
            shutil.copy(path, tmp_path)
    assert len(names["check"](tmp_path)) > 3


async def test_the_auditor_verifies_without_the_product(tmp_path: Path) -> None:
    """From the page's own script to the stranger's verdict: a delivery holds, and one with a changed byte does not."""
    async with LocalExchange() as exchange:
        singapore = await exchange.join("SG-CUSTOMS", "customs")
        berlin = await exchange.join("DE-BAFA", "licensing")
        await singapore.publish(sample_alert("SG-CUSTOMS/2026/000001", agencies=["DE-BAFA"]))
        (delivery,) = await berlin.deliveries(1)
        transport = exchange.operator.transport("registrar")
        knowledge = exchange.operator.knowledge(transport)
        await knowledge.load()
        status = await read_status(transport, knowledge, exchange.operator.admin(), exchange.operator.clock.now_ms())
        directory = knowledge.rules.directory
        await knowledge.close()
    (tmp_path / "status.json").write_text(json.dumps(status))
    lines = [json.dumps(entry_json(entry, directory)) for entry in directory.agencies.values()]
    (tmp_path / "members.jsonl").write_text("\n".join(lines) + "\n")
    (block,) = blocks(ROOT / "docs" / "auditor.md", "python")
    make_directory_file(block.text, tmp_path)
    changed = bytearray(delivery.value)
    changed[len(changed) // 2] ^= 1
    verdicts = {
        name: stranger(tmp_path, name, value) for name, value in (("whole.parcel", delivery.value), ("changed.parcel", bytes(changed)))
    }
    assert verdicts == {"whole.parcel": 0, "changed.parcel": 1}


def make_directory_file(program: str, folder: Path) -> None:
    """Run the page's script where its two input files are."""
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, timeout=60)


def stranger(folder: Path, name: str, value: bytes) -> int:
    """The exit code of the independent reader on a captured delivery to DE-BAFA."""
    (folder / name).write_bytes(value)
    arguments = ["--parcel", name, "--directory", "directory.json", "--recipient", "DE-BAFA"]
    program = ROOT / "tests" / "vectors" / "stranger.py"
    return subprocess.run([sys.executable, str(program), *arguments], cwd=folder, capture_output=True, timeout=60, check=False).returncode


# ── README ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_guarantee_names_tests_that_exist() -> None:
    """Each row of the table of guarantees links tests, and each is defined in the file that the link leads to."""
    table = text_of("README.md").partition("## What holds")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if re.match(r"\| (G\d )?\| ", line) and "| guarantee |" not in line]
    assert {number for row in rows for number in re.findall(r"^\| (G\d)", row)} == {f"G{number}" for number in range(1, 7)}
    for row in rows:
        named = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", row)
        assert named, row
        for test, file in named:
            assert re.search(rf"^(?:async )?def {test}\(", text_of(file), re.M), f"{file} has no {test}"


def test_the_map_names_every_package() -> None:
    """Each package of the program is in the README's map, and nothing that is not there."""
    drawn = text_of("README.md").partition("## Where things are")[2].partition("```\n\n")[0]
    for path in (ROOT / "broker").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert re.search(rf"\b{path.name}\b", drawn), path.name
    for name in re.findall(r"broker/(\w+)", drawn):
        assert (ROOT / "broker" / name).exists() or (ROOT / "broker" / f"{name}.py").exists(), name


def test_the_makefile_has_the_readmes_targets() -> None:
    """The two commands at the top of the README."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\bmake (\w+)\b +#|`make (\w+)`", page.read_text(encoding="utf-8"))
        for name in name
        if name
    }
    assert {"demo", "test"} <= named <= targets


# ── bulk ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_on_tables_tells_every_code_and_a_mapping_that_works() -> None:
    """Its table of remarks is the program's, its mapping is read, and so are those that lie beside it."""
    told = dict(TABLE_ROW.findall(text_of("docs/bulk.md").partition("### What is in the file")[2].partition("## Export")[0]))
    assert told == ADVICE
    (shown,) = blocks(ROOT / "docs" / "bulk.md", "toml")
    for text in (shown.text, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "mappings").glob("*.toml"))):
        assert read_mapping(text).family == "licence"
    for view in VIEWS:
        assert f"| `{view}` |" in text_of("docs/bulk.md")
    for form in FORMATS:
        assert f"| `{form}` |" in text_of("docs/bulk.md")


# ── node ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_nodes_codes_are_all_there() -> None:
    """Each problem that is not a refusal of the exchange's: its status, and what to do."""
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+ \| .*) \|$", text_of("docs/node.md"), re.M))
    assert rows == {code: f"{status} | {advice}" for code, (status, advice) in problems.CODES.items()}


def test_the_nodes_limits_are_those() -> None:
    """The figures of the table are the program's."""
    text = text_of("docs/node.md")
    figures = {
        f"{protocol.HEAD_LIMIT >> 10} KiB, within {protocol.HEAD_S:g} s", f"{messages.BODY >> 20} MiB for messages",
        f"{messages.ONE >> 20} MiB for a dry run", f"{application.BODY >> 20} MiB otherwise",
        f"time for a body | {gate.BODY_S:g} s, and longer where {gate.PACE >> 10} KiB a second come", f"{FILE_LIMIT >> 20} MiB for a file",
        f"{gate.Limits().rate:g} a second, {gate.Limits().burst} at once", f"{streams.STREAMS}, of one user {streams.OF_ONE}",
        f"{server.CONNECTIONS}; they are closed after {server.IDLE_S} s",
        f"under way have {server.GRACE_S} s",
    }  # fmt: skip
    assert {figure for figure in figures if figure not in text} == set()
    assert {messages.MANY, inbox.LIMIT, register.NUMBERS} == {1000}
