"""A long table looked at before it is published: ``python -m tests.e2e.bulk_show [--rows N]``.

The lines of the public licence statistics, again and again, as one file; ``broker import --preview`` checks every row. Every
:data:`BAD_EACH`th row names a country that the mapping does not know. Rows a second, and the most memory that the program had.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.e2e.program import Program
from tests.e2e.report import Report
from tests.support.records import data_folder

LICENCES: Final = "licences/uk-export-licence-lines-sample.csv"
MAPPING: Final = Path(__file__).parents[2] / "docs" / "mappings" / "uk-licences.toml"
KNOWN: Final = ("Chile", "Latvia", "Oman", "East Timor")
BAD_EACH: Final = 1000
MOST_MB: Final = 150
LONGEST_S: Final = 3600.0


def lines(folder: Path, rows: int) -> Iterator[dict[str, str]]:
    """So many lines: those of the records, each a licence of its own."""
    with (folder / LICENCES).open(encoding="utf-8", newline="") as opened:
        some = list(csv.DictReader(opened))
    for number in range(rows):
        country = "Atlantis" if number % BAD_EACH == BAD_EACH - 1 else KNOWN[number % len(KNOWN)]
        yield some[number % len(some)] | {"licence_group": str(number), "country": country}


def previewed(table: Path) -> tuple[dict[str, Any], int, float, float]:
    """The last line of a preview, its exit code, how long it took, and the most memory that the program had, in MB."""
    told = Program(table.parent, alone=True).run(
        "import", table, "--as", "GB-LICENSING", "--mapping", MAPPING, "--preview", "--json", timeout=LONGEST_S
    )  # fmt: skip
    with told.out_file.open(encoding="utf-8") as lines:
        last = deque(lines, maxlen=1)
    return json.loads(last[0]), told.code, told.seconds, told.peak_kib / 1024


def run(rows: int) -> Report | None:
    """The show; None where the records are not here."""
    folder = data_folder()
    if folder is None:
        return None
    report = Report()
    report.title(f"A table of {rows:,} rows, looked at")
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "licences.csv"
        made = lines(folder, rows)
        first = next(made)
        with table.open("w", encoding="utf-8", newline="") as opened:
            written = csv.DictWriter(opened, list(first))
            written.writeheader()
            written.writerow(first)
            written.writerows(made)
        size = table.stat().st_size / 1e6
        told, code, seconds, peak = previewed(table)
    report.say(f"{size:.0f} MB, {told['rows']:,} rows in {seconds:.0f} s: {told['rows'] / seconds:.0f} rows/s, {peak:.0f} MB at the most")
    report.say("outcomes: " + ", ".join(f"{count:,} {name}" for name, count in told["outcomes"].items()))
    report.say("findings: " + ", ".join(f"{count:,} {name}" for name, count in told["findings"].items()))
    bad = rows // BAD_EACH
    report.check(f"every row is told of: {bad:,} refused, the others would be accepted",
                 holds=told["rows"] == rows and told["outcomes"].get("refused", 0) == bad and code == int(bad > 0))  # fmt: skip
    report.check(f"it took at most {MOST_MB} MB", holds=peak <= MOST_MB)
    return report


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.bulk_show", description="a long table looked at")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="rows of the table")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    report = run(given.rows)
    if report is None:
        print("the records are not here: set BROKER_TEST_DATA to the data folder", file=sys.stderr)
        return 2
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
