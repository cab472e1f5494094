"""``broker schema``: the catalogue of sections, and its lint."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.markup import escape
from rich.table import Table

from broker.cli.agency import read_text
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import UsageError
from broker.schema.avsc import read_text as parse
from broker.schema.lint import lint as lint_schema
from broker.storage.schemas import load_catalogue

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
        `.avsc` files, best as <family>/v<N>/<section>.avsc: the names are part of the rules.
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
