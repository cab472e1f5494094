"""The benchmarks run end to end and say what they promise to say. What they measure is no test's business."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.payloads import decoder, encoder, messages, records
from broker.errors import Refusal
from broker.families.catalogue import check

_ROOT = Path(__file__).resolve().parents[2]
_FIELDS = {"row", "peer", "ours", "theirs", "ratio", "unit", "rounds", "spread"}


def _bench(results: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RESULTS": str(results), **settings}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.kafka
def test_two_rows_end_to_end(tmp_path: Path) -> None:
    """Small and once: a line for each row and peer with all fields and real figures, the same in the file with the machine's facts."""
    ran = _bench(tmp_path / "results.json", ROWS="publish,relay", ROUNDS="1", SCALE="0.05", BROKER_BRIEF_NODE="1")
    assert ran.returncode == 0, ran.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert sorted((line["row"], line["peer"]) for line in lines) == [
        ("publish", "aiokafka"),
        ("publish", "faststream"),
        ("relay", "aiokafka"),
    ]
    for line in lines:
        assert set(line) == _FIELDS
        assert line["unit"] == "messages/s"
        assert line["rounds"] == 1
        assert line["ours"] > 0
        assert line["theirs"] > 0
        assert line["ratio"] == pytest.approx(line["ours"] / line["theirs"], rel=0.01)
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [{name: row[name] for name in _FIELDS} for row in kept["rows"]] == sorted(lines, key=lambda line: (line["row"], line["peer"]))
    assert kept["machine"]["cores"] == os.cpu_count()
    assert sum(kept["profiles"]["relay"]["rooms"].values()) == pytest.approx(1, abs=0.02)


def test_unknown_row_is_told(tmp_path: Path) -> None:
    """A row that does not exist ends the program with exit code 2 and the list of rows, before anything is started."""
    ran = _bench(tmp_path / "results.json", ROWS="publish,nix")
    assert ran.returncode == 2
    assert "there is no row `nix`" in ran.stderr
    assert "relay, relay-writes, fanout50" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not ran.stdout


def test_both_sides_get_the_same_values() -> None:
    """The peers' record holds the sections of our message, value for value, also after a round trip; and our message is valid."""
    encode, decode = encoder(), decoder()
    sizes: list[int] = []
    pairs = zip(messages(300, "SG-CUSTOMS", "t", ["AE-CUSTOMS"]), records(300, "SG-CUSTOMS", "t", ["AE-CUSTOMS"]), strict=True)
    for message, record in pairs:
        assert not isinstance(check(message), Refusal)
        assert record["subject"] == message.subject
        read = decode(encode(record))
        for section, value in message.sections.items():
            assert read[section] == value
        sizes.append(len(encode({**record, "subject": "", "message_id": ""})))
    assert 500 <= sum(sizes) / len(sizes) <= 800
