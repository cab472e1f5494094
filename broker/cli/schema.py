"""``broker schema``: the catalogue of sections, its lint, and whether versions can be in use side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from broker.cli.named_files import read_text
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import UsageError
from broker.schema.avsc import read_text as parse
from broker.schema.catalogue import Section
from broker.schema.compatibility import CHANGES
from broker.schema.lint import lint as lint_schema
from broker.schema.release import Change, between, check_folders, check_list, check_versions, list_text, listed
from broker.storage.schemas import RELEASED, load_catalogue, load_sections, read_released

app = App(name="schema", help="The Avro schemas of the sections.")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> int:
    """The catalogue: each section of each family, with its content id.

    Example: broker schema list
    """
    screen = Screen(as_json=common.json)
    table = Table("family", "section", "version", "schema id", "nominal fields")
    for section in sorted(load_catalogue(), key=lambda each: (each.family, each.section, each.version)):
        nominal = list(section.nominal)
        record = {
            "family": section.family, "section": section.section, "version": section.version,
            "schema_id": section.schema_id.hex(), "nominal": nominal,
        }  # fmt: skip
        if screen.as_json:
            screen.result(record)
        table.add_row(section.family, section.section, str(section.version), section.schema_id.hex()[:16], str(len(nominal) or "-"))
    screen.table(table)
    return 0


@app.command
def lint(*files: Path, common: Common = COMMON) -> int:
    """Check schema files against the rules of this exchange; exit code 1 where something is found.

    Example: broker schema lint schemas/alert/v1/core.avsc

    Parameters
    ----------
    files
        `.avsc` files, best as FAMILY/vN/SECTION.avsc: the names are part of the rules.
    """
    if not files:
        raise UsageError("no file was named", advice="give one or more .avsc files")
    screen = Screen(as_json=common.json)
    found = 0
    for path in files:
        family = path.parent.parent.name
        for finding in lint_schema(parse(read_text(str(path))), family=family, section=path.stem):
            found += 1
            record = {
                "file": str(path), "severity": finding.severity, "code": finding.code, "path": finding.path, "reason": finding.reason,
            }  # fmt: skip
            text = f"[red]{finding.code}[/] {path}: {escape(printable(finding.path))}: {escape(printable(finding.reason))}"
            screen.result(record, text)
    if not found and not screen.as_json:
        screen.out.print(f"{len(files)} files, nothing found")
    return 1 if found else 0


@app.command
def check(old: Path | None = None, new: Path | None = None, /, *, common: Common = COMMON) -> int:
    """Whether a new version of a schema can be in use beside the old ones; exit code 1 where it cannot.

    Both ways are checked: agencies with the new version read what was written with the old one, and the other way round. Without
    arguments: the schemas of this program, every version beside every other, and all of them against the list of released ones.

    Example: broker schema check schemas/alert/v1/route.avsc schemas/alert/v2/route.avsc

    Parameters
    ----------
    old
        An .avsc file, or a folder of them: FAMILY/vN/SECTION.avsc.
    new
        The same, of what is to come after it.
    """
    screen = Screen(as_json=common.json)
    if (old is None) != (new is None):
        raise UsageError("one schema is named", advice="name the old and the new one, or none to check those of this program")
    if old is None or new is None:
        sections = load_sections()
        changes = check_list(sections, read_released()) + check_versions(sections)
        compared = f"{len(sections)} schemas"
    elif old.is_dir() and new.is_dir():
        before, after = load_sections(old), load_sections(new)
        changes, compared = check_folders(before, after), f"{len(after)} schemas against {len(before)}"
    elif old.is_dir() or new.is_dir():
        raise UsageError("one of the two is a folder", advice="name two files or two folders")
    else:
        older, newer = _section(old, 1), _section(new, 2)
        changes, compared = between(older, newer), "the two"
    return _shown(screen, changes, compared)


def _section(path: Path, version: int) -> Section:
    """A file as a section. Its names are taken from <family>/v<N>/<section>.avsc where it lies so; ``version`` else."""
    folder = path.parent.name
    placed = folder[:1] == "v" and folder[1:].isdecimal()
    family, number = (path.parent.parent.name, int(folder[1:])) if placed else ("schema", version)
    return Section.from_text(family, path.stem if placed else "section", number, read_text(str(path)))


def _shown(screen: Screen, changes: Sequence[Change], compared: str) -> int:
    """Print the findings; 1 if one of them forbids the new version."""
    for change in changes:
        finding, advice = change.finding, CHANGES[change.finding.code][1]
        screen.result(
            {
                "old": change.old or None, "new": change.new, "severity": finding.severity, "code": finding.code,
                "path": finding.path, "reason": finding.reason, "advice": advice,
            },
            _line(change, advice),
        )  # fmt: skip
    refused = sum(change.finding.severity == "REJECT" for change in changes)
    if not screen.as_json:
        screen.out.print(f"{compared} checked: " + (f"[red]{refused} changes cannot be[/]" if refused else "[green]side by side[/]"))
    return 1 if refused else 0


def _line(change: Change, advice: str) -> str:
    finding = change.finding
    colour = {"REJECT": "red", "WARN": "yellow"}.get(finding.severity, "dim")
    names = f"{change.old} → {change.new}" if change.old else change.new
    where = f" at {finding.path}" if finding.path else ""
    head = f"[{colour}]{finding.severity} {finding.code}[/] {escape(printable(names + where))}: {escape(printable(finding.reason))}"
    return head if finding.severity == "INFO" else f"{head}\n  [dim]{escape(printable(advice))}[/dim]"


@app.command
def release(
    folder: Path = Path("schemas"),
    /,
    *,
    draft: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """List all schemas of a folder as released, in its released.json: from then on they never change.

    Nothing is listed, and the exit code is 1, where a released schema was altered or a new version cannot be in use beside the others.

    Example: broker schema release schemas

    Parameters
    ----------
    folder
        The folder with FAMILY/vN/SECTION.avsc.
    draft
        List what is new as a draft, which may still change.
    """
    screen = Screen(as_json=common.json)
    sections, known = load_sections(folder), read_released(folder)
    changes = [change for change in check_list(sections, known) if change.finding.code != "CHANGE_UNLISTED"] + check_versions(sections)
    if any(change.finding.severity == "REJECT" for change in changes):
        return _shown(screen, changes, f"{len(sections)} schemas")
    entries = listed(sections, known, release=not draft)
    (folder / RELEASED).write_text(list_text(entries), encoding="utf-8")
    news = [entry for name, entry in sorted(entries.items()) if known.get(name) != entry]
    for entry in news:
        screen.result({"name": entry.name, "schema_id": entry.schema_id, "state": entry.state}, f"{entry.state} {entry.name}")
    if not news and not screen.as_json:
        screen.out.print("nothing new")
    return 0
