"""``broker schema check`` and ``broker schema release``: what they find, what they say, and their exit codes."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from broker.cli import main
from broker.schema.release import read_list

SHIPPED = Path(__file__).parents[2] / "schemas"


def called(*arguments: str | Path) -> tuple[int, str, str]:
    """One call in this process: exit code, standard output, standard error."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run(["schema", *map(str, arguments)])
    return code, out.getvalue(), err.getvalue()


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas shipped, with the list of released ones."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "schemas"))


def altered(folder: Path, old: str, new: str, **field: Any) -> Path:
    """A file of the folder under another name, with one more field."""
    schema: Any = json.loads((folder / old).read_text("utf-8"))
    if field:
        schema["fields"].append({"doc": "Something new.", **field})
    target = folder / new
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(schema), encoding="utf-8")
    return target


OPTIONAL: dict[str, Any] = {"name": "gauge", "type": ["null", "string"], "default": None}


def test_the_schemas_of_this_program_can_be_in_use_together() -> None:
    """Without arguments: every version, and the list; exit code 0, and remarks on what is new."""
    code, out, _ = called("check")
    assert code == 0
    assert "schemas checked: side by side" in " ".join(out.split())
    code, out, err = called("check", "--json")
    assert (code, err) == (0, "")
    remarks = [line for line in lines(out) if (line["old"], line["new"]) == ("alert/v1/route", "alert/v2/route")]
    assert {(line["severity"], line["code"]) for line in remarks} == {("INFO", "CHANGE_ADDED")}
    assert {line["path"] for line in remarks} == {"free_zone_role", "free_zone_operator", "free_zone_entered_at"}


def test_two_files(folder: Path) -> None:
    """What changed from one file to the other, with advice; 0 where they can be in use together, 1 where not."""
    old = folder / "licence/v1/core.avsc"
    assert called("check", old, altered(folder, "licence/v1/core.avsc", "licence/v2/core.avsc", **OPTIONAL))[0] == 0
    bad = altered(folder, "licence/v1/core.avsc", "licence/v2/core.avsc", name="gauge", type="string")
    code, out, _ = called("check", old, bad)
    assert code == 1
    assert "REJECT CHANGE_MANDATORY licence/v1/core → licence/v2/core at gauge: the field is new and has no default" in " ".join(
        out.split()
    )
    assert "give the field a default" in out
    code, out, _ = called("check", old, bad, "--json")
    assert code == 1
    (found,) = lines(out)
    assert found == {
        "old": "licence/v1/core", "new": "licence/v2/core", "severity": "REJECT", "code": "CHANGE_MANDATORY", "path": "gauge",
        "reason": "the field is new and has no default", "advice": "give the field a default: older messages do not have it",
    }  # fmt: skip


def test_files_outside_of_a_folder_of_schemas(folder: Path, tmp_path: Path) -> None:
    """Files of any name are compared too."""
    shutil.copy(folder / "alert/v1/route.avsc", tmp_path / "before.avsc")
    shutil.copy(folder / "alert/v2/route.avsc", tmp_path / "after.avsc")
    assert called("check", tmp_path / "before.avsc", tmp_path / "after.avsc")[0] == 0
    assert called("check", tmp_path / "after.avsc", tmp_path / "before.avsc")[0] == 1


def test_two_folders(folder: Path) -> None:
    """The schemas of one program against those of the next: an altered file and a lost one are found, a new version is compared."""
    assert called("check", SHIPPED, folder)[0] == 0
    altered(folder, "seizure/v1/core.avsc", "seizure/v1/core.avsc", **OPTIONAL)
    altered(folder, "alert/v2/route.avsc", "alert/v3/route.avsc", name="gauge", type="string")
    (folder / "licence/v1/value.avsc").unlink()
    code, out, _ = called("check", SHIPPED, folder, "--json")
    assert code == 1
    rejected = {(line["new"], line["code"]) for line in lines(out) if line["severity"] == "REJECT"}
    assert rejected == {
        ("seizure/v1/core", "CHANGE_RELEASED"), ("licence/v1/value", "CHANGE_RELEASED"), ("alert/v3/route", "CHANGE_MANDATORY"),
    }  # fmt: skip


def test_releasing_a_version(folder: Path) -> None:
    """A new file becomes a draft, may change, and is released; released ones stay as they were, and again there is nothing new."""
    before = read_list((folder / "released.json").read_text("utf-8"))
    altered(folder, "licence/v1/value.avsc", "licence/v2/value.avsc", **OPTIONAL)
    code, out, _ = called("release", folder, "--draft", "--json")
    assert code == 0
    assert [(line["name"], line["state"]) for line in lines(out)] == [("licence/v2/value", "draft")]
    altered(folder, "licence/v1/value.avsc", "licence/v2/value.avsc", **{**OPTIONAL, "name": "other"})
    code, out, _ = called("release", folder, "--json")
    assert code == 0
    (line,) = lines(out)
    after = read_list((folder / "released.json").read_text("utf-8"))
    assert line == {"name": "licence/v2/value", "schema_id": after["licence/v2/value"].schema_id, "state": "released"}
    assert {name: entry for name, entry in after.items() if name != "licence/v2/value"} == before
    assert called("release", folder) == (0, "nothing new\n", "")


@pytest.mark.parametrize("new", ["licence/v1/value.avsc", "licence/v2/value.avsc"], ids=["a released one altered", "an incompatible one"])
def test_nothing_is_released_that_breaks_readers(folder: Path, new: str) -> None:
    """Exit code 1, the finding, and the list as it was."""
    before = (folder / "released.json").read_bytes()
    altered(folder, "licence/v1/value.avsc", new, name="gauge", type="string")
    code, out, _ = called("release", folder)
    assert code == 1
    assert ("CHANGE_RELEASED" if "v1" in new else "CHANGE_MANDATORY") in out
    assert (folder / "released.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", SHIPPED), "one schema is named"),
        (("check", SHIPPED, SHIPPED / "alert/v1/core.avsc"), "one of the two is a folder"),
        (("check", "nothing.avsc", SHIPPED / "alert/v1/core.avsc"), "nothing.avsc"),
        (("check", SHIPPED / "README.md", SHIPPED / "alert/v1/core.avsc"), "no JSON"),
        (("release", "nowhere"), "no schemas under"),
    ],
)
def test_wrong_use(arguments: tuple[str | Path, ...], words: str) -> None:
    """Exit code 2, what is wrong in a line or two, no traceback."""
    code, out, err = called(*arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(err.split())
    assert len(err.splitlines()) <= 3


def test_a_damaged_list_is_wrong_use(folder: Path) -> None:
    """Conflict markers in the list: said, with what to do, and nothing written."""
    (folder / "released.json").write_text("<<<<<<< ours\n{}\n", encoding="utf-8")
    code, _, err = called("release", folder)
    assert code == 2
    assert "no JSON" in err
    assert (folder / "released.json").read_text("utf-8").startswith("<<<<<<<")
