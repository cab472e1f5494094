"""Files shipped with the program: found by name, and the schemas among them pass the lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.errors import UsageError
from broker.shipped import shipped
from broker.storage.schemas import load_catalogue
from tests.unit.schema.samples import field, one


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_shipped_files_are_found() -> None:
    """The schemas' folder is there, and a name that was never shipped is the caller's mistake."""
    assert shipped("schemas").is_dir()
    with pytest.raises(UsageError, match="not part of this installation"):
        shipped("schemas/nothing")


def test_shipped_schemas_load() -> None:
    """Every schema in the repository passes the lint; header, slip, receipt and audience are there under their own names."""
    catalogue = load_catalogue()
    for name in ("header", "slip", "receipt", "audience"):
        assert catalogue.current(name, name) is not None
    assert {"alert", "licence", "seizure"} <= set(catalogue.families())
    for section in catalogue:
        assert not section.nominal or (section.section != "core" and section.family not in {"header", "slip", "receipt"})


def test_a_directory_of_schemas_loads(tmp_path: Path) -> None:
    """Versions are read as numbers, and other files are left alone."""
    newer = one("int") | {"fields": [*one("int")["fields"], field("b", ["null", "string"], default=None)]}
    _write(tmp_path / "notice/v2/core.avsc", json.dumps(one("int")))
    _write(tmp_path / "notice/v10/core.avsc", json.dumps(newer))
    _write(tmp_path / "README.md", "words")
    current = load_catalogue(tmp_path).current("notice", "core")
    assert current is not None
    assert current.version == 10


@pytest.mark.parametrize("place", ["core.avsc", "notice/core.avsc", "notice/2/core.avsc", "notice/v0/core.avsc", "a/v1/b/core.avsc"])
def test_misplaced_schemas_are_refused(tmp_path: Path, place: str) -> None:
    """A schema that is not at `<family>/v<N>/<section>.avsc` is named, not skipped."""
    _write(tmp_path / place, json.dumps(one("int")))
    with pytest.raises(UsageError, match="out of place"):
        load_catalogue(tmp_path)


def test_unreadable_and_absent_schemas_are_refused(tmp_path: Path) -> None:
    """No schema at all, and a file that is no UTF-8, are the caller's mistake."""
    with pytest.raises(UsageError, match="no schemas"):
        load_catalogue(tmp_path)
    _write(tmp_path / "notice/v1/core.avsc", b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        load_catalogue(tmp_path)
