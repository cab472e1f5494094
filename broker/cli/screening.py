"""``broker screen``: manifests and declarations held against an agency's register."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from select import select
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from rich.markup import escape

from broker.app.register import WAIT_S
from broker.app.register_forms import freshness_json
from broker.app.screening import StoredView, at_once, screen
from broker.app.screening_json import Tally, bad_row_json, finding_json, hit_json
from broker.cli.named_files import read_text, unreadable
from broker.cli.register import As, looked_up, note_age
from broker.cli.screen import COMMON, STDIN, Common, Screen, printable
from broker.cli.screen_feedback import feedback
from broker.cli.withholding import Purpose, note_withheld
from broker.errors import UsageError
from broker.families.codelists import NO_LISTS
from broker.screening.hits import THRESHOLD, Hit, Screened
from broker.screening.mapping import read_mapping
from broker.screening.reading import Format, read_rows
from broker.screening.shipment import BadRow, Shipment
from broker.storage.codelists import CodeListFolder

PIECE: Final = 1 << 16
"""Bytes that are read at a time."""


app = App(name="screen")
app.command(feedback)


@app.default
async def screen_files(
    *files: str,
    as_: As,
    form: Annotated[Format | None, Parameter(name="--format")] = None,
    mapping: Path | None = None,
    purpose: Purpose = None,
    threshold: int = THRESHOLD,
    findings: Annotated[bool, Parameter(negative="")] = False,
    wait: float = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Hold manifests and declarations against the register: containers, documents, conveyances, parties, goods, routes, licences. A row
    that cannot be read is told with its line, and the rest is screened. The exit code is 1 where there are hits or bad rows.

    Example: broker screen baplie.edi declarations.xml --as AE-CUSTOMS

    Example: broker screen imports.csv --mapping imports.toml --as AE-CUSTOMS --purpose STC_ENFORCEMENT --json

    Parameters
    ----------
    files
        Our JSON or JSON Lines, CSV (with --mapping), XML (WCO declarations, entry summaries CC315A, CC313A, CC351A, air waybills), EDIFACT
        (BAPLIE, COPRAR, CUSCAR, IFTSTA); - is standard input, of which each row is screened as it comes.
    as_
        The agency of this home whose register answers.
    form
        What the files are, where their content does not show it.
    mapping
        What the columns of a CSV file mean, as TOML.
    purpose
        What the search is for, such as STC_ENFORCEMENT: what the rules do not open for it is not used.
    threshold
        Score from 1 to 100 from which a hit is told.
    findings
        Tell every remark on identifiers, codes and missing fields too, not only how many there are.
    wait
        Seconds to wait for the exchange; then the register is used as it is stored.
    """
    _check(files, threshold)
    columns = None if mapping is None else read_mapping(read_text(str(mapping)))
    lists = CodeListFolder(common.codelists).poll() if common.codelists is not None else NO_LISTS
    shown = Screen(as_json=common.json)
    async with looked_up(common, as_, wait, purpose) as looked:
        view = StoredView(looked.reader, looked.now_ms, looked.use)
        tally = Tally()
        with shown.counting("rows", None) as progress:
            for file in files:
                ready = _standard_input_ready if file == STDIN else at_once
                with closing(_pieces(file)) as chunks:
                    rows = read_rows(chunks, form=form, mapping=columns)
                    for each in screen(rows, view, lists, threshold=threshold, ready=ready):
                        tally.take(each)
                        progress.update(progress.task_ids[0], completed=tally.rows)
                        _tell(shown, file, each, findings=findings)
        about = {"files": len(files), "purpose": purpose} | freshness_json(looked.freshness)
        shown.result(tally.json() | about, _summary(tally, findings=findings))
        note_withheld(shown, len(looked.use.withheld), looked.use.looked_at, purpose)
        note_age(shown, looked.freshness)
    return 0 if tally.clean else 1


def _check(files: tuple[str, ...], threshold: int) -> None:
    if not files:
        raise UsageError("no file was given", advice="give files of shipments, or - for standard input")
    if not 1 <= threshold <= 100:
        raise UsageError(f"--threshold {threshold} is out of range", advice="give a score from 1 to 100")


def _pieces(file: str) -> Generator[bytes]:
    """The bytes of a file. Raises UsageError where it cannot be read."""
    try:
        if file == STDIN:
            while piece := os.read(0, PIECE):
                yield piece
            return
        with Path(file).open("rb") as opened:
            while piece := opened.read(PIECE):
                yield piece
    except OSError as error:
        raise unreadable(file, error) from error


def _standard_input_ready() -> bool:
    """Whether something (or the end) can be read without waiting: where not, rows that came are screened before the next one is."""
    return bool(select([0], [], [], 0)[0])


def _tell(shown: Screen, file: str, each: Screened | BadRow, *, findings: bool) -> None:
    where: dict[str, Any] = {"file": file}
    if isinstance(each, BadRow):
        head = f"[yellow]{each.code}[/] {_file(file)} line {each.line}: {escape(printable(each.reason))}"
        shown.result(where | bad_row_json(each), f"{head}\n  [dim]{escape(each.advice)}[/dim]")
        return
    for hit in each.hits:
        shown.result(where | hit_json(each.shipment, hit), _hit(file, each.shipment, hit))
    for found in each.findings if findings else ():
        text = (
            f"[dim]{found.severity} {found.code}[/dim] {_place(file, each.shipment)} {escape(printable(f'{found.path}: {found.reason}'))}"
        )
        shown.result(where | finding_json(each.shipment, found), text)


def _file(file: str) -> str:
    return escape(printable(Path(file).name if file != STDIN else file))


def _place(file: str, shipment: Shipment) -> str:
    named = f" ({shipment.reference})" if shipment.reference else ""
    return f"{_file(file)} {escape(printable(f'{shipment.position}{named}'))}"


def _hit(file: str, shipment: Shipment, hit: Hit) -> str:
    head = (
        f"[red]HIT {hit.score}[/] {_place(file, shipment)}: [bold]{escape(printable(hit.subject))}[/] revision {hit.revision} {hit.urgency}"
    )
    lines = [head, f"  {escape(printable(hit.reason))}", f"  asked: [bold]{escape(printable(', '.join(hit.actions)))}[/]"]
    for each in hit.evidence:
        lines.append(f"  [dim]{each.weight:>3} {each.kind:<10} {escape(printable(f'{each.where}: {each.given} ~ {each.listed}'))}[/dim]")
        if each.parts:
            words = ", ".join(f"{part.given or '-'} ~ {part.listed or '-'} {part.how}" for part in each.parts)
            lines.append(f"      [dim]{escape(printable(words))}[/dim]")
    return "\n".join(lines)


def _summary(tally: Tally, *, findings: bool) -> str:
    lines = [f"{tally.rows:,} rows: {tally.shipments:,} shipments, {tally.hits:,} hits in {tally.hit_shipments:,} of them"]
    if tally.bad_rows:
        lines.append(f"bad rows: {_counts(tally.bad_rows)}")
    if tally.findings:
        lines.append(f"remarks on the papers: {_counts(tally.findings)}" + ("" if findings else " [dim](--findings tells each)[/dim]"))
    return "\n".join(lines)


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in sorted(counted.items(), key=lambda each: (-each[1], each[0])))
