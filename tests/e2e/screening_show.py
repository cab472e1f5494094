"""Manifests and declarations screened: ``python -m tests.e2e.screening_show [--long] [--picture NAMES.svg]``.

All declarations and sample messages of the public records against a register of the public party list; entry-summary rule cases; names
as papers write them, with a curve as a picture; files that are large, and files that are bad. The short form asks fewer names and has a
shorter file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broker.app.screening import StoredView, screen
from broker.app.screening_json import Tally
from broker.families.codelists import CodeLists
from broker.screening.hits import Screened
from broker.screening.mapping import ColumnMapping, read_mapping
from broker.screening.reading import read_rows
from broker.screening.shipment import Shipment
from broker.storage.codelists import CodeListFolder
from tests.e2e.names_show import show_names
from tests.e2e.report import Report
from tests.e2e.screening_bad import bad_files, said_of
from tests.e2e.screening_ground import SAMPLES, filled
from tests.support.entry_summaries import RuleCase, json_cases, xml_cases
from tests.support.records import DECLARATIONS, data_folder
from tests.support.records import read_rows as records
from tests.unit.register.scene import NOW

KOREAN: Final = """
[translate."Mode of Transport"]
10 = "SEA"
20 = "RAIL"
30 = "ROAD"
40 = "AIR"
50 = "MAIL"
[shipment]
reference = "{Declaration ID}"
conveyances = [{ mode = "{Mode of Transport}" }]
goods = [{ hs_code = "{HS6 Code:06}", gross_mass_kg = "{Net Mass}" }]
countries = [
  { country = "{Country of Origin}", role = "ORIGIN" }, { country = "{Country of Departure}", role = "EXPORT" },
]
parties = [
  { role = "DECLARANT", id = "{Declarant ID}", id_scheme = "TAX" }, { role = "CONSIGNEE", id = "{Importer ID}", id_scheme = "TAX" },
  { role = "CONSIGNOR", id = "{Seller ID}", id_scheme = "TAX" }, { role = "CARRIER", id = "{Courier ID}", id_scheme = "TAX" },
]
"""
"""What the columns of the Korean import declarations mean."""
LARGE: Final = """
[shipment]
reference = "{No}"
units = [{ id = "{Container}" }]
goods = [{ hs_code = "{HS}" }]
parties = [{ role = "CONSIGNEE", name = "{Buyer}" }]
"""
GROUPS: Final = (
    ("Korean import declarations (CSV)", DECLARATIONS), ("WCO declarations and responses (XML)", "shipments/wco-declarations/*.xml"),
    ("entry summaries (XML)", "shipments/ens/*.xml"), ("entry summaries (JSON)", "shipments/ens/*.json"),
    ("EDIFACT", "shipments/edifact/*"), ("air waybills (XML)", "shipments/air/*.xml"),
    ("trade documents (JSON)", "shipments/documents/*.json"),
)  # fmt: skip
PIECE: Final = 65_536


@dataclass
class Screening:
    """The register to screen against, and what is screened with it."""

    view: StoredView
    lists: CodeLists
    found: dict[str, Tally] = field(default_factory=dict[str, Tally])
    subjects: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Subjects that each file hit."""

    def file(self, path: Path, tally: Tally, columns: ColumnMapping | None) -> None:
        """Screen a file."""
        with path.open("rb") as opened:
            for each in screen(read_rows(iter(lambda: opened.read(PIECE), b""), mapping=columns), self.view, self.lists):
                tally.take(each)
                if isinstance(each, Screened):
                    self.subjects.setdefault(f"{path.parent.name}/{path.name}", set()).update(hit.subject for hit in each.hits)


def peak_mb(*, anew: bool = False) -> float:
    """The most memory that this process had (since it was asked ``anew``), in MB."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def show_samples(report: Report, screening: Screening, folder: Path) -> None:
    """Every sample of every format."""
    report.title("1. Samples of every format against the register")
    rows: list[tuple[object, ...]] = []
    for name, pattern in GROUPS:
        tally, files = screening.found.setdefault(name, Tally()), sorted(folder.glob(pattern))
        begun, before = time.perf_counter(), peak_mb(anew=True)
        for path in files:
            screening.file(path, tally, read_mapping(KOREAN) if pattern == DECLARATIONS else None)
        seconds = time.perf_counter() - begun
        rate = f"{tally.rows / seconds:.0f}"
        more = f"{peak_mb() - before:.1f}"
        rows.append((name, len(files), tally.shipments, sum(tally.bad_rows.values()), sum(tally.findings.values()), tally.hit_shipments,
                     tally.hits, rate, more))  # fmt: skip
    report.table(("format", "files", "shipments", "bad rows", "findings", "with hits", "hits", "rows/s", "MB more"), rows)
    report.say(f"peak memory of the process, with the register and its names: {peak_mb():.0f} MB")
    for name, tally in screening.found.items():
        told = {**tally.bad_rows, **tally.findings}
        if told:
            report.say(f"  {name}: " + ", ".join(f"{code} {count:,}" for code, count in sorted(told.items(), key=lambda each: -each[1])))
    alerts = {
        f"KR-CUSTOMS/{row['Date'][:4]}/{row['Declaration ID']}" for row in records(folder, DECLARATIONS) if row["Critical Fraud"] == "2"
    }
    missed = alerts - screening.subjects[f"{Path(DECLARATIONS).parent.name}/{Path(DECLARATIONS).name}"]
    report.check(f"each of the {len(alerts)} alerts about a declaration of critical fraud is hit ({len(missed)} missed)", holds=not missed)
    for file, (kind, value) in SAMPLES.items():
        report.check(f"{file}: its {kind} {value} is a hit", holds=bool(screening.subjects.get(file)))
    declared = screening.found[GROUPS[0][0]]
    report.check(f"all {declared.shipments:,} declarations were read", holds=declared.shipments == 8134 and not declared.bad_rows)


def show_rules(report: Report, folder: Path) -> None:
    """The published rule cases of entry summaries, in XML as they are published, and in JSON."""
    report.title("2. Rule cases of entry summary declarations")
    counted = {"XML": _counted(report, xml_cases(folder), "XML"), "JSON": _counted(report, json_cases(folder), "JSON")}
    names = list(counted["XML"])
    report.table(("", *counted), [(name, *(counts[name] for counts in counted.values())) for name in names])
    report.say("the cases are published in XML; in JSON each is the same declaration, and an expected place the pointer of the same value")
    report.say("the rules were written with these cases at hand: the figures say that they are understood, not how others would fare")
    for form, counts in counted.items():
        if counts["located"] == counts["with errors"]:
            report.say(f"{form}: cases of which no finding points at an expected place: none")
        report.check(
            f"{form}: a finding points at an expected place in every case that has one", holds=counts["located"] == counts["with errors"]
        )
        report.check(f"{form}: valid cases stay free of findings", holds=counts["valid"] == counts["valid and free of findings"] == 37)


def _counted(report: Report, cases: Iterable[RuleCase], form: str) -> Counter[str]:
    """What came of the cases of one form."""
    counts: Counter[str] = Counter()
    for case in cases:
        (row,) = read_rows([case.declaration])
        found = (
            {(each.code.removeprefix("ENS_"), each.path) for each in row.remarks} if isinstance(row, Shipment) else set[tuple[str, str]]()
        )
        located = case.located(found)
        if case.errors and not located:
            report.say(f"{form}, not located: {case.name}: expected {sorted(case.expected)}, found {sorted(found) or 'nothing'}")
        elif len(located) < case.errors:
            report.say(f"{form}, in part: {case.name}: not found {sorted(case.expected - found)}")
        counts.update({
            "cases": 1, "with errors": bool(case.errors), "located": bool(located), "errors": case.errors,
            "errors found with number and place": len(located), "other findings": len(found - located),
            "valid": not case.errors, "valid and free of findings": not case.errors and not found,
        })  # fmt: skip
    return counts


def large_csv(rows: int) -> Iterator[bytes]:
    """A CSV file that is never whole in memory; every thousandth row is bad, every ten-thousandth names a watched container."""
    yield b"No,Container,HS,Buyer\n"
    for begin in range(0, rows, 1000):
        lines = [f"{number},MSKU{number % 10_000_000:07d},847989,Buyer {number % 500}" for number in range(begin, begin + 1000)]
        lines[500] = "not a row"
        if begin % 10_000 == 0:
            lines[7] = f"{begin + 7},CONU1234567,847989,Buyer"
        yield ("\n".join(lines) + "\n").encode()


def show_large(report: Report, screening: Screening, rows: int) -> None:
    """A long file in bounded memory."""
    report.title(f"4. A CSV file of {rows:,} rows")
    tally, begun, before = Tally(), time.perf_counter(), peak_mb(anew=True)
    columns = read_mapping(LARGE)
    _take(tally, screen(read_rows(large_csv(rows), mapping=columns), screening.view, screening.lists))
    seconds, more = time.perf_counter() - begun, peak_mb() - before
    report.say(f"{tally.rows:,} rows in {seconds:.0f} s: {tally.rows / seconds:.0f} rows/s, {more:.0f} MB more than before at the most, "
               f"{peak_mb():.0f} MB in all with the register")  # fmt: skip
    bad, hits = tally.bad_rows["WRONG_COLUMNS"], tally.hits_by_family["alert"]
    report.check(f"{bad:,} bad rows and {hits:,} hits: each that was put there", holds=bad == rows // 1000 and hits == -(-rows // 10_000))
    report.check("memory stays bounded", holds=more < 100)


def show_bad(report: Report) -> None:
    """Bad files of every format."""
    report.title("5. Bad files")
    rows: list[tuple[object, ...]] = []
    files = bad_files()
    right, most = 0, 0.0
    for name, (chunks, expected) in files.items():
        before = peak_mb(anew=True)
        said = said_of(chunks)
        more = peak_mb() - before
        right, most = right + (said == expected), max(most, more)
        rows.append((name, said, "" if said == expected else f"expected {expected}", f"{more:.1f}"))
    report.table(("file", "said of its rows, in order", "", "MB more"), rows)
    report.check(f"each of {len(files)} gets the answer that it should", holds=right == len(files))
    report.check("none of them costs over 40 MB", holds=most < 40)


def _take(tally: Tally, found: Iterable[object]) -> None:
    for each in found:
        tally.take(each)  # pyright: ignore[reportArgumentType]


def run(*, long: bool, watches: int | None = None, picture_to: Path | None = None) -> Report | None:
    """The whole show; ``watches``: so many parties of the list are watched for (None: all). None where the records are not here."""
    folder = data_folder()
    if folder is None:
        return None
    report = Report()
    kept = filled(None, folder, watches=watches)
    begun = time.perf_counter()
    screening = Screening(StoredView(kept.reader, NOW, None), CodeListFolder(folder / "codelists").poll())
    report.say(f"register: {len(screening.view.names):,} names indexed in {time.perf_counter() - begun:.1f} s")
    show_samples(report, screening, folder)
    show_rules(report, folder)
    report.title("3. Names as papers write them")
    show_names(report, folder, each=2000 if long else 200, to=picture_to)
    show_large(report, screening, 1_000_000 if long else 20_000)
    show_bad(report)
    kept.close()
    return report


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.screening_show", description="manifests and declarations screened")
    parser.add_argument("--long", action="store_true", help="more names, a million rows")
    parser.add_argument("--picture", type=Path, default=None, metavar="FILE.svg", help="where the curve of the names is drawn")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    report = run(long=given.long, picture_to=given.picture)
    if report is None:
        print("the records are not here: set BROKER_TEST_DATA to the data folder", file=sys.stderr)
        return 2
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
