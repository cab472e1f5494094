"""Over real Kafka: an import that is killed again and again publishes each row once, and the programs one begins with reach each other."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.program import LocalExchange, Program, Running, local_exchange
from tests.support.eventually import eventually
from tests.unit.app.test_importing import HEAD, MAPPING, line

pytestmark = pytest.mark.kafka
ROWS, KILLED_AFTER = 2_500, (1, 200, 300)
BAD = (7, 2_497)


def files(folder: Path) -> tuple[Path, Path]:
    """The table, with two rows that are not right, and its mapping."""
    table, mapping = folder / "licences.csv", folder / "licences.toml"
    rows = [line(number, decision="?" if number in BAD else "GRANT") for number in range(ROWS)]
    table.write_text(HEAD + "".join(rows), encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    return table, mapping


def kill_after(running: Running, rows: int) -> int:
    """Kill the program when it has told so many rows; its exit code."""

    def look(lines: int) -> None:
        if lines >= rows:
            running.process.kill()

    return running.wait(120, look).code


def killed_and_resumed(program: Program, exchange: LocalExchange, table: Path, mapping: Path) -> None:
    """Imports that are killed after some rows, and the one that comes to the end."""
    call = ("import", table, "--as", "DE-BAFA", "--mapping", mapping, "--home", exchange.home, "--resume", "--every", "--json")
    for rows in KILLED_AFTER:
        with program.started(*call) as running:
            assert kill_after(running, rows) < 0
    last = program.run(*call).must(1).lines[-1]
    assert last["resumed_after"] > 2
    assert set(last["outcomes"]) <= {"accepted", "duplicate", "refused"}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalExchange]:
    """A running exchange with three members in one home."""
    folder = tmp_path_factory.mktemp("bulk")
    members = {"DE-BAFA": "licensing", "AE-CUSTOMS": "customs", "SG-CUSTOMS": "customs"}
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps([{"id": agency, "kind": kind} for agency, kind in members.items()]), encoding="utf-8")
    with local_exchange(Program(folder), folder / "home", "--agencies", agencies) as running:
        yield running


def test_killed_imports_publish_each_row_once(exchange: LocalExchange, tmp_path: Path) -> None:
    """SIGKILL after the first row, and twice in the midst; at the recipient every good row is there once, and no other."""
    program = Program(tmp_path)
    table, mapping = files(tmp_path)
    killed_and_resumed(program, exchange, table, mapping)
    reader = ("--as", "AE-CUSTOMS", "--home", exchange.home)
    export = ("export", *reader, "--format", "jsonl", "--view", "inbox", "--output", tmp_path / "inbox.jsonl", "--json")
    assert program.run(*export).must().line["records"] == ROWS - len(BAD)
    subjects = Counter(json.loads(each)["subject"] for each in (tmp_path / "inbox.jsonl").read_text(encoding="utf-8").splitlines())
    assert subjects == {f"DE-BAFA/{number}": 1 for number in range(ROWS) if number not in BAD}
    content = program.run("export", *reader, "--view", "licences", "--format", "csv", "--wait", "60").must().out
    rows = list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"))))
    assert len({row["subject"] for row in rows}) == len(rows) == ROWS - len(BAD)


def test_the_programs_one_begins_with_run_over_kafka(exchange: LocalExchange, tmp_path: Path) -> None:
    """docs/publish.py and docs/subscribe.py as they are, each a process of its own: what the one prints as given, the other reads."""
    docs = Path(__file__).parents[2] / "docs"

    def started(name: str, *arguments: str | Path, out: Path) -> subprocess.Popen[bytes]:
        with out.open("wb") as file:
            command = [sys.executable, "-u", str(docs / name), *map(str, arguments)]
            return subprocess.Popen(command, stdout=file, cwd=tmp_path)

    told, read = tmp_path / "told", tmp_path / "read"
    reader = started("subscribe.py", exchange.home, "AE-CUSTOMS", out=read)
    try:
        assert started("publish.py", exchange.home, "SG-CUSTOMS", "AE-CUSTOMS", out=told).wait(60) == 0
        assert told.read_text(encoding="utf-8").splitlines() == ["ACCEPTED", "AE-CUSTOMS: core, equipment, goods, parties, route"]
        asyncio.run(eventually(lambda: "SG-CUSTOMS SG-CUSTOMS/quick/" in read.read_text(encoding="utf-8"), timeout=60))
    finally:
        reader.kill()
        reader.wait()
    assert "DUAL_USE withheld:" in read.read_text(encoding="utf-8")
