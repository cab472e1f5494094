"""``broker import --preview`` asks nobody: findings by line on standard output, a summary at the end, exit codes, no traceback."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from broker.cli import main
from tests.unit.app.test_importing import HEAD, MAPPING, line


def called(*arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """One call with --json: exit code, lines, standard error."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run([*map(str, arguments), "--json"])
    return code, [json.loads(each) for each in out.getvalue().splitlines()], err.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A table with one bad row, and its mapping."""
    table, mapping = tmp_path / "licences.csv", tmp_path / "licences.toml"
    table.write_text(HEAD + line(1) + line(2, decision="?") + line(3), encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    return table, mapping


def test_a_preview_tells_findings_by_row(files: tuple[Path, Path]) -> None:
    """The bad row with line, column, code, advice; the counts; exit code 1. With --every all rows."""
    table, mapping = files
    code, told, _ = called("import", table, "--as", "DE-BAFA", "--family", "licence", "--mapping", mapping, "--preview")
    bad = next(each for each in told if each.get("outcome") == "refused")
    assert (code, bad["line"], bad["subject"], bad["code"]) == (1, 3, "DE-BAFA/2", "BAD_FIELD")
    assert next(each["column"] for each in bad["findings"] if each["severity"] == "REJECT") == "decision"
    assert {key: told[-1][key] for key in ("messages", "rows", "outcomes")} == {
        "messages": 3, "rows": 3, "outcomes": {"would be accepted": 2, "refused": 1},
    }  # fmt: skip
    assert len(called("import", table, "--as", "DE-BAFA", "--mapping", mapping, "--preview", "--every")[1]) == 4


def test_wrong_use_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Another family than the mapping's, no such file, a mapping that is none: exit code 2 and one line."""
    table, mapping = files
    other = tmp_path / "other.toml"
    other.write_text("family = 1", encoding="utf-8")
    for arguments in (
        (table, "--mapping", mapping, "--family", "alert"), (tmp_path / "none.csv", "--mapping", mapping), (table, "--mapping", other),
        (tmp_path, "--mapping", mapping), (table, "--mapping", tmp_path / "none.toml"),
    ):  # fmt: skip
        code, told, _ = called("import", *arguments, "--as", "DE-BAFA", "--preview")
        assert (code, len(told), told[0]["error"]) == (2, 1, "USAGE")
