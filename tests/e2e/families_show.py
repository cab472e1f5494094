"""Every family, its lifecycle and the register, shown: ``python -m tests.e2e.families_show [--long]``.

The table of the data dictionary, identifiers, state machines, real records, a licence's life at three agencies, a register at size. The
short form takes minutes, the long form (10,000 histories, every record on a real Kafka, a million licences) the better part of an hour.
The last line says whether everything held, and so does the exit code.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from broker.families.catalogue import FAMILIES
from tests.e2e import licence_show, records_show, register_show
from tests.e2e.report import Report
from tests.property.shows import show_histories, show_identifiers

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "dictionary.md"
_RULE = re.compile(r"`[A-Z_]+`")
_TEST = re.compile(r"`test_\w+::test_\w+\[[^`]+\]`")


def dictionary(heading: str) -> list[list[str]]:
    """The rows of a table of the data dictionary page, cell by cell."""
    part = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def show_dictionary(report: Report) -> None:
    """Families, sections, fields: how many are nominal, have a rule, have a test."""
    report.title("The data dictionary: families, sections and fields with their rules and tests (docs/dictionary.md)")
    sections, fields = dictionary("Sections"), dictionary("Fields")
    rows: list[tuple[object, ...]] = []
    for family in (*FAMILIES, *sorted({row[0] for row in fields} - set(FAMILIES)), "all"):
        mine = [row for row in fields if family in (row[0], "all")]
        rows.append(
            (
                family, sum(family in (row[0], "all") for row in sections), len(mine), sum(row[4] == "mandatory" for row in mine),
                sum(row[4] == "conditional" for row in mine), sum(row[5] == "nominal" for row in mine),
                sum(bool(_RULE.search(row[6])) for row in mine), sum(bool(_TEST.search(row[7])) for row in mine),
                sum(not all(row) for row in mine),
            )
        )  # fmt: skip
    report.table(
        ("family", "sections", "fields", "mandatory", "conditional", "nominal", "with a rule", "with a test", "with an empty cell"), rows
    )
    named = {test for row in [*sections, *fields] for test in _TEST.findall(row[-1])}
    report.say(f"with a rule: one of its own; every field is judged by its type besides. Tests named: {len(named):,}")
    whole = all(all(row) and _TEST.search(row[-1]) for row in [*sections, *fields])
    families = {row[0] for row in sections} == set(FAMILIES)
    report.check(f"{len(FAMILIES)} families, no empty cell, a test in every row", holds=whole and families)


def show_all(report: Report, *, long: bool) -> None:
    """Everything, in order."""
    show_dictionary(report)
    show_identifiers(report, long=long)
    show_histories(report, long=long)
    records = records_show.run(long=long, kafka=long)
    if records is None:
        report.say("", "real records: skipped, they are not here: set BROKER_TEST_DATA to the data folder")
    else:
        report.failures += records.failures
    with tempfile.TemporaryDirectory(prefix="licence-") as folder:
        report.failures += licence_show.run(Path(folder), runs=100 if long else 20).failures
    report.failures += register_show.run(licences=1_000_000 if long else 50_000, looks=50_000 if long else 5_000).failures


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.families_show", description="families, lifecycles and the register, shown")
    parser.add_argument("--long", action="store_true", help="the long forms")
    parser.add_argument("--dictionary", action="store_true", help="the table of the data dictionary only")
    given = parser.parse_args(arguments)
    report, begun = Report(), time.monotonic()
    if given.dictionary:
        show_dictionary(report)
    else:
        show_all(report, long=given.long)
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
