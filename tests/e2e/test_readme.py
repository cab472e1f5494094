"""The README's shell session, run as a reader runs it: its files, its commands, and output of the same shape."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.program import START_S, clean_environment
from tests.support.documents import blocks

README: Final = Path(__file__).parents[2] / "README.md"
LOOK_S: Final = 0.1
VOLATILE: Final = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"127\.0\.0\.1:\d+", "<address>"),
    (r"(?:[0-9a-f]{4} ){15}[0-9a-f]{4}", "<fingerprint>"),
    (r"\b[0-9a-f]{64}\b", "<digest>"),
    (r"\b[\d,]+ bytes", "<size> bytes"),
)
"""What differs from one run to the next; everything else has to be as printed in the README."""


def shape(text: str) -> list[str]:
    """Lines of output with what is volatile masked. That an alert of the README's date has expired since is no difference."""
    for pattern, mask in VOLATILE:
        text = re.sub(pattern, mask, text)
    return [line.rstrip() for line in text.splitlines() if not line.strip().startswith("INFO EXPIRED")]


def session() -> list[tuple[str, str]]:
    """The commands of the README's console blocks with the output printed under each."""
    found: list[tuple[str, str]] = []
    for block in blocks(README, "console"):
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's folder: the files that the README shows, and `broker` on the path."""
    for block in blocks(README, "json"):
        name = re.search(r"`([\w.]+)`:$", block.above)
        assert name is not None, f"no file name above: {block.text[:60]}"
        (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "broker"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m broker "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """No setting of whoever runs the tests, and a node that lives for minutes."""
    return clean_environment({"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "BROKER_BRIEF_NODE": "1"})


@contextmanager
def left_running(command: str, folder: Path) -> Generator[str]:
    """A command in a terminal of its own until the end of the block; its output so far."""
    out, err = folder / "up.out", folder / "up.err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(shlex.split(command), cwd=folder, env=environment(folder), stdout=out_file, stderr=err_file)
    try:
        deadline = time.monotonic() + START_S
        while not out.read_text(encoding="utf-8").endswith("\n"):
            assert process.poll() is None, err.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, f"not ready after {START_S:g} s: {err.read_text(encoding='utf-8')}"
            time.sleep(LOOK_S)
        yield out.read_text(encoding="utf-8")
        process.terminate()
        assert process.wait(60) == 0, err.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.kafka
def test_the_session_is_what_the_readme_prints(folder: Path) -> None:
    """Every command of the README works in this order, in an empty folder, and prints what the README says."""
    (up, ready), *commands = session()
    assert up.startswith("broker up ")
    assert len(commands) >= 4
    with left_running(up, folder) as said:
        assert shape(said) == shape(ready)
        for command, output in commands:
            ran = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120, check=False
            )
            assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
            assert shape(ran.stdout) == shape(output), command
