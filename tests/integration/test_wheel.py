"""The wheel carries what the program reads, and runs alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built and unpacked far from it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _run(unpacked: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program from the unpacked wheel: the checkout is neither the working folder nor on the path."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from broker.cli.main import main; main()"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "BROKER"))}
    command = [sys.executable, "-c", code, str(unpacked), *arguments]
    return subprocess.run(command, cwd=unpacked.parent, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_wheel_lists_the_same_schemas(unpacked: Path) -> None:
    """Schemas travel inside: the catalogue of the unpacked wheel has the content ids of the checkout."""
    done = _run(unpacked, "schema", "list", "--json")
    assert done.returncode == 0, done.stderr
    ids = {json.loads(line)["schema_id"] for line in done.stdout.splitlines()}
    command = [sys.executable, "-m", "broker", "schema", "list", "--json"]
    here = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ids == {json.loads(line)["schema_id"] for line in here.stdout.splitlines()}
    assert len(ids) == len(list((ROOT / "schemas").rglob("*.avsc")))


def test_the_wheel_carries_every_file_that_is_read_at_run_time(unpacked: Path) -> None:
    """Kafka's pins and settings, the policies and the demonstration are in the wheel, byte for byte."""
    for folder in ("schemas", "deploy/kafka", "deploy/policies", "deploy/demo"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                inside = unpacked / "broker" / "_shipped" / path.relative_to(ROOT)
                assert inside.read_bytes() == path.read_bytes()


def test_the_wheel_makes_an_agency(unpacked: Path) -> None:
    """A command that writes works from the wheel alone: an agency makes its keys and its request."""
    home = unpacked.parent / "home"
    done = _run(unpacked, "agency", "init", "SG-CUSTOMS", "--kind", "customs", "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agency"] == "SG-CUSTOMS"
    assert (home / "agencies" / "SG-CUSTOMS" / "request.json").exists()
