"""A table is imported over real Kafka by a program that is killed again and again, and exported at the recipient: each row exactly once."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.program import LocalExchange, Program, Running, local_exchange
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


def test_killed_imports_publish_each_row_once(tmp_path: Path) -> None:
    """SIGKILL after the first row, and twice in the midst; at the recipient every good row is there once, and no other."""
    program = Program(tmp_path)
    agencies = tmp_path / "agencies.json"
    agencies.write_text(json.dumps([{"id": "DE-BAFA", "kind": "licensing"}, {"id": "AE-CUSTOMS", "kind": "customs"}]), encoding="utf-8")
    table, mapping = files(tmp_path)
    with local_exchange(program, tmp_path / "home", "--agencies", agencies) as exchange:
        killed_and_resumed(program, exchange, table, mapping)
        reader = ("--as", "AE-CUSTOMS", "--home", exchange.home)
        export = ("export", *reader, "--format", "jsonl", "--view", "inbox", "--output", tmp_path / "inbox.jsonl", "--json")
        assert program.run(*export).must().line["records"] == ROWS - len(BAD)
        subjects = Counter(json.loads(each)["subject"] for each in (tmp_path / "inbox.jsonl").read_text(encoding="utf-8").splitlines())
        assert subjects == {f"DE-BAFA/{number}": 1 for number in range(ROWS) if number not in BAD}
        content = program.run("export", *reader, "--view", "licences", "--format", "csv", "--wait", "60").must().out
        rows = list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"))))
        assert len({row["subject"] for row in rows}) == len(rows) == ROWS - len(BAD)
