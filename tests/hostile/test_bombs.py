"""Inputs that cost a careless reader gigabytes: each is refused, all of them together in a process that may take a few megabytes."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.bombs import DATA, SCHEMAS

EXPECTED = {
    "lint": "SCHEMA_", "walk": "BAD_STRUCTURE: ", "reader": "BAD_STRUCTURE: ", "framing": ("NOT_A_PARCEL", "TOO_LARGE", "BAD_CBOR"),
    "batches": "UnfitBatch: `out.SG-CUSTOMS`/0 from offset 0: ",
}  # fmt: skip


@lru_cache(maxsize=1)
def answers() -> dict[str, dict[str, Any]]:
    """What became of each bomb, by name, in a child whose memory is bounded: it lived, and the bound was real."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-m", "tests.hostile.child"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last == {"bounded": True}
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize("by", EXPECTED)
def test_each_bomb_is_refused_by_the_part_that_meets_it_first(by: str) -> None:
    """Schemas at registration, data by the walk, records by their framing, Kafka's batches before they are unpacked."""
    rows = [row for row in answers().values() if row["by"] == by]
    assert len(rows) >= 10
    assert [row["name"] for row in rows if not row["answer"].startswith(EXPECTED[by])] == []


def test_every_bomb_was_asked() -> None:
    """The child left none out."""
    assert {*SCHEMAS, *DATA} < answers().keys()
