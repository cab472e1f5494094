"""What the documents say is so: examples run, commands exist, tables agree with the code, links lead somewhere."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import broker
from broker.app.watch import read_status
from broker.exchange.topology import agency_specs, exchange_specs
from broker.families.message import Audience
from broker.families.message_json import message_from_json
from broker.kafka.properties import read_properties, render_properties
from broker.schema import json_form
from broker.shipped import shipped
from broker.storage.clock import SystemClock
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalExchange
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
    assert set(pages) == {"messages.md", "codes.md"}
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
        assert await examples["warn_or_explain"](singapore.member) == (
            "refused at step 9: STALE_REVISION: a revision with this or a higher number was accepted already: publish the next one, complete"
        )
        assert await examples["watch"](emirates.member, idle_timeout=0.5) == 1
        with sqlite3.connect(emirates.member.files.subscriber_store) as store:
            assert store.execute("SELECT * FROM watch_list").fetchall() == [("CSQU3054383", "SG-CUSTOMS/2026/000123", 1)]
        store.close()


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
    for line in text_of("docs/integrator.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 3 and cells[0].startswith("`"):
            rows |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[2].rstrip(" |"))
    known = broker.Message.__dataclass_fields__
    for name, default in rows.items():
        if name in ("valid_from", "valid_until", "embargo_until"):
            continue
        value = known[name].default
        if name in ("purposes", "evidential_use") or isinstance(value, str):
            shown = value[0] if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else value
            assert default == f"`{shown}`", name
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
        status = await read_status(transport, knowledge)
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
    rows = {name: cells for name, cells in re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.M)}
    assert set(rows) == {name.replace("SG-CUSTOMS", "<AGENCY>") for name in specs}
    for name, cells in rows.items():
        spec = specs[name.replace("<AGENCY>", "SG-CUSTOMS")]
        shown = dict(re.findall(r"`([\w.]+)=([^`]+)`", cells))
        assert shown, name
        for key, value in shown.items():
            assert spec.settings[key] == value, (name, key)
        assert cells.split(" | ")[0] == str(spec.partitions) or (spec.partitions == 16 and cells.startswith("N "))
