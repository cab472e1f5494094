"""Listed names in other writings: ``python -m tests.e2e.names_show [--each N] [--picture FILE.svg]``.

How many are found, and how many other names are found falsely, at three thresholds: romanised otherwise, turned about and mistyped,
separately and together, with a seed. The picture has the curves over all thresholds.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from tests.e2e.altered_names import ALTERED, OTHERS, THRESHOLDS, measured
from tests.e2e.report import Report
from tests.support.curves import picture
from tests.support.records import data_folder

EACH: Final = 2000
"""Questions of each kind."""


def show_names(report: Report, folder: Path, *, each: int, to: Path | None) -> None:
    """Names in other writings."""
    found = measured(folder, each=each, clock=time.perf_counter)
    report.say(
        f"{found.names:,} names of half of the list's parties in the index; {each:,} questions of each kind; {found.micros:.0f} us each"
    )
    rows = [(kind, *(f"{100 * found.share(kind, at):.1f}" for at in THRESHOLDS)) for kind in (*ALTERED, *OTHERS)]
    report.table(("% found at a score of", *(str(at) for at in THRESHOLDS)), rows)
    for share in (0.05, 0.02):
        at = found.at_false(share)
        told = ", ".join(f"{kind} {100 * found.share(kind, at):.1f}" for kind in ALTERED)
        report.say(f"where {100 * share:.0f} % of other listed names are found falsely (a score of {at}): {told}")
    if to is not None:
        curves = found.curves()
        title = f"Listed names found in other writings, and other names found ({each:,} each)"
        to.write_text(picture(title, "score from which a name is told", curves, dashed=frozenset(OTHERS)), encoding="utf-8")
        report.say(f"the curve: {to}")
    lowest, strict = THRESHOLDS[0], THRESHOLDS[-1]
    report.check(f"words turned about are found at {strict}", holds=found.share("words turned about", strict) >= 0.99)
    report.check(f"9 of 10 romanised otherwise or in Cyrillic are found at {lowest}",
                 holds=min(found.share(kind, lowest) for kind in ("romanised otherwise", "in Cyrillic")) >= 0.9)  # fmt: skip
    report.check(f"of ordinary names at most 1 of 100 is found at {lowest}", holds=found.share(OTHERS[1], lowest) <= 0.01)


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.names_show", description="listed names in other writings")
    parser.add_argument("--each", type=int, default=EACH, metavar="N", help="questions of each kind")
    parser.add_argument("--picture", type=Path, default=None, metavar="FILE.svg", help="where the curves are drawn")
    given = parser.parse_args(arguments)
    folder, begun = data_folder(), time.monotonic()
    if folder is None:
        print("the records are not here: set BROKER_TEST_DATA to the data folder", file=sys.stderr)
        return 2
    report = Report()
    report.title("Names as papers write them")
    show_names(report, folder, each=given.each, to=given.picture)
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
