"""A call that is forked is the call that is started: the same output, the same exit code, and nothing of one call in the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.program import Program


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("schema", "list", "--json"), 0), (("inspect", "-", "--json"), 2), (("publish", "--no-such-option"), 2)],
    ids=["done", "from standard input", "wrong use"],
)
def test_forked_as_started(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """Standard output, standard error and exit code are those of an interpreter of its own, in the folder and with the input given."""
    alone = Program(tmp_path, alone=True).run(*arguments, stdin=b"no parcel")
    told = (alone.code, alone.out, alone.err)
    forked = Program(tmp_path).run(*arguments, stdin=b"no parcel")
    assert told == (forked.code, forked.out, forked.err)
    assert alone.code == code


def test_each_has_its_own_environment_and_end(tmp_path: Path) -> None:
    """A setting that one call is given is not there in the next; one that is killed says so, and the next one starts."""
    program = Program(tmp_path)
    loud = program.run("agency", "list", "--home", tmp_path, environment={"BROKER_LOG_LEVEL": "debug", "COLUMNS": "20"})
    quiet = program.run("agency", "list", "--home", tmp_path)
    assert len(loud.err.splitlines()) > len(quiet.err.splitlines())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with program.started("schema", "lint", pipe) as running:  # which waits for somebody to write into it
        running.process.kill()
        assert running.wait(30).code == -9
    assert program.run("--version").code == 0
