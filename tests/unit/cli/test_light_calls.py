"""A call of the program loads what its command needs, and no more: most of what a short call costs is loading."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from broker.cli import main

HEAVY = ("jgo", "broker.kafka.node", "confluent_kafka", "aiokafka", "cedarpy", "broker.app")
"""The node and what fetches it, the two Kafka clients, the policy engine, the composition root."""
CALL = """
import json, sys
from broker.cli.main import run
heavy, *arguments = sys.argv[1:]
code = run(arguments)
print(json.dumps([code, [name for name in heavy.split() if name in sys.modules]]))
"""


def loaded(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """One call in a process of its own: its exit code, and which heavy modules it loaded."""
    home = () if arguments == ("--version",) else ("--home", str(folder))
    command = [sys.executable, "-c", CALL, " ".join(HEAVY), *arguments, *home]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    code, found = json.loads(ran.stdout.splitlines()[-1])
    return code, found


@pytest.mark.parametrize("arguments", [("--version",), ("schema", "--help"), ("schema", "list", "--json")], ids=" ".join)
def test_what_needs_no_exchange_loads_none(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The version and the schemas load neither a Kafka client nor the policy engine."""
    assert loaded(tmp_path, *arguments) == (0, [])


@pytest.mark.parametrize(
    "arguments",
    [("publish", "none.json", "--as", "SG-CUSTOMS"), ("subscribe", "--as", "SG-CUSTOMS"), ("relay",), ("status",), ("agency", "list")],
    ids=lambda arguments: arguments[0],
)
def test_the_node_is_loaded_where_one_starts(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Commands that speak with an exchange load a Kafka client, and neither the embedded node nor the client of administration."""
    code, found = loaded(tmp_path / "home", *arguments)
    assert code == 2
    assert found == ["aiokafka", "cedarpy", "broker.app"]


def test_a_call_that_starts_a_node_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: `broker up` comes as far as looking for Kafka's jars, with all that a node takes."""
    monkeypatch.setenv("BROKER_JARS", str(tmp_path))
    code, found = loaded(tmp_path / "home", "up")
    assert code != 0
    assert found == list(HEAVY)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=str)
def test_the_list_has_every_command_with_its_first_line(arguments: list[str]) -> None:
    """Loading late takes nothing from the list: each command stands there with the beginning of what its own help says."""
    with redirect_stdout(StringIO()) as out:
        assert main.run(arguments) == 0
    rows = [line.strip("│ ").split(maxsplit=1) for line in out.getvalue().splitlines() if line.startswith("│ ")]
    listed = {row[0]: row[1] for row in rows if len(row) == 2}
    for name in main.app:
        if not name.startswith("-"):
            with redirect_stdout(StringIO()) as own:
                assert main.run([name, "--help"]) == 0
            assert listed[name].split()[:4] == own.getvalue().split("\n\n")[1].split()[:4], name
