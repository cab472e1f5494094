"""A captured delivery in the hands of the second reader (``tests/vectors/stranger.py``), which shares no code with the product."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.program import Program
from tests.support.records import REPOSITORY

READER: Final = REPOSITORY / "tests" / "vectors" / "stranger.py"


@dataclass(frozen=True)
class Reading:
    """What the second reader said of a file."""

    code: int
    lines: list[str]


def trusted_keys(program: Program, operator: Path, file: Path) -> Path:
    """Write what a reader has to know beforehand, as the program prints it: the exchange, the relay's keys, the agencies' keys."""
    status = program.run("status", "--home", operator, "--json").must().line
    agencies = program.run("agency", "list", "--home", operator, "--json").must().lines
    known = {
        "exchange_id": status["exchange"],
        "environment": status["environment"],
        "relay": status["relay_keys"],
        "keys": {row["agency"]: [key["spki"] for key in row["keys"]] for row in agencies},
    }
    file.write_text(json.dumps(known), encoding="utf-8")
    return file


def read_as_stranger(parcel: Path, keys: Path, recipient: str) -> Reading:
    """Run the second reader on a captured delivery."""
    command = [sys.executable, str(READER), "--parcel", str(parcel), "--directory", str(keys), "--recipient", recipient]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return Reading(done.returncode, done.stdout.splitlines())


def altered(value: bytes, at: int) -> bytes:
    """A copy with one bit changed."""
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
