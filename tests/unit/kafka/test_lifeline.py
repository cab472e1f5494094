"""The lifeline: a program ends with the process that started it, however that one ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import broker.kafka.lifeline as lifeline
from tests.support.eventually import eventually
from tests.support.processes import runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel call behind it is Linux's own")
LIFELINE = [sys.executable, "-I", "-S", str(Path(lifeline.__file__))]
STARTER = """
import os, subprocess, sys
child = subprocess.Popen([*sys.argv[1:], str(os.getpid()), sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


async def test_a_killed_starter_takes_the_program_with_it() -> None:
    """The starter gets no chance to clean up, and the program is gone all the same."""
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER, *LIFELINE, stdout=asyncio.subprocess.PIPE)
    assert starter.stdout is not None
    program = int(await starter.stdout.readline())
    assert runs(program)
    starter.kill()
    await starter.wait()
    await eventually(lambda: not runs(program), what="the end of the program")


def test_the_program_takes_over_the_process_and_its_exit_status() -> None:
    """Same pid, same output, same status: the starter sees the program and nothing between."""
    program = "import os, sys; print(os.getpid()); sys.exit(7)"
    started = subprocess.Popen([*LIFELINE, str(os.getpid()), sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    said, _ = started.communicate(timeout=30)
    assert (int(said), started.returncode) == (started.pid, 7)


def test_a_starter_that_is_gone_already_starts_nothing() -> None:
    """Between the starter's death and the kernel call nobody would send the signal: the program is not begun."""
    started = subprocess.run(
        [*LIFELINE, "1", sys.executable, "-c", "print('begun')"], capture_output=True, text=True, timeout=30, check=False
    )
    assert started.returncode != 0
    assert started.stdout == ""
    assert "gone" in started.stderr
