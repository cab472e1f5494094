"""The reader of parcels in Go (``docs/reader``), which has nothing but Go's standard library: built once, then asked of files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "docs" / "reader"
Directory = Mapping[str, Any]
"""``exchange_id``, ``environment``, ``keys`` (agency to hex SubjectPublicKeyInfos) and ``relay`` (a list of the same)."""


@lru_cache(maxsize=2)
def built(package: str = ".") -> Path:
    """The program, or the ``./short`` one. Skips the test where the toolchain is not there; builds without the network, since there is
    nothing to fetch."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the Go toolchain is not installed: the reader in docs/reader is not run here")
    program = Path(tempfile.mkdtemp(prefix="go-reader-")) / "reader"
    closed = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    environment = {"HOME": str(program.parent), **os.environ, **closed}
    made = subprocess.run(
        [go, "build", "-o", str(program), package], cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=300
    )
    assert made.returncode == 0, made.stderr
    return program


def verdicts(
    values: Sequence[bytes], directory: Directory, folder: Path, *, recipient: str = "", limit: int = (1 << 20) + 65_536
) -> list[dict[str, Any]]:
    """What it says of each record value: of an outbox, or of this recipient's inbox."""
    keys, files = folder / "keys.json", [folder / f"{number}.parcel" for number in range(len(values))]
    keys.write_text(json.dumps(directory), encoding="utf-8")
    for file, value in zip(files, values, strict=True):
        file.write_bytes(value)
    fixed = [str(built()), "-directory", str(keys), "-schemas", str(ROOT / "schemas"), "-recipient", recipient, "-limit", str(limit)]
    told: list[dict[str, Any]] = []
    for start in range(0, len(files), 1000):
        some = files[start : start + 1000]
        ran = subprocess.run([*fixed, *map(str, some)], capture_output=True, text=True, timeout=120, check=False)
        told += [json.loads(line) for line in ran.stdout.splitlines()]
        assert ran.stderr == "", ran.stderr
        assert ran.returncode == (0 if all(line["verified"] for line in told[-len(some) :]) else 1)
    assert len(told) == len(values)
    return told


def shortly(value: bytes, directory: Directory, folder: Path, recipient: str = "") -> dict[str, Any] | None:
    """What the short reader says of a parcel, of an outbox or of this recipient's inbox: header and sections; None where it refuses."""
    keys, file = folder / "keys.json", folder / "value.parcel"
    keys.write_text(json.dumps(directory), encoding="utf-8")
    file.write_bytes(value)
    asked = [str(built("./short")), keys, ROOT / "schemas", file, *([recipient] if recipient else [])]
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr.partition(":")[0]) in ((0, ""), (1, "refused")), ran.stderr
    assert (ran.returncode == 0) == bool(ran.stdout), ran.stderr
    told: dict[str, Any] | None = json.loads(ran.stdout) if ran.stdout else None
    return told
