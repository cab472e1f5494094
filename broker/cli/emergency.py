"""``broker emergency``: two officers open a FLASH message to an agency for a day, where no agreement and no audience does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from broker import ids
from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.cli.members import known
from broker.cli.officer_files import not_named, raise_refusal, read_signed, write_signed
from broker.cli.screen import COMMON, Common, Screen, fields, iso, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome
from broker.trust.officers import openers, unsigned_opening
from broker.trust.opening import OPENABLE, Opening, read_opening_file
from broker.trust.opening import propose as proposed

app = App(name="emergency", help="Open a FLASH message to an agency for a day, by officers of two agencies.")
_HOUR_MS: Final = 3_600_000


@app.command
def propose(
    subject: str,
    /,
    *,
    agency: str,
    reason: str,
    section: Annotated[list[str] | None, Parameter(negative="")] = None,
    hours: float = 24.0,
    out: Path | None = None,
    common: Common = COMMON,
) -> int:
    """Make an unsigned statement: this subject is opened to this agency. Only FLASH messages; persons stay withheld, and no prohibition
    gives way. The owner is told by a receipt, with the reason.

    Example: broker emergency propose SG-CUSTOMS/2026/000123 --agency JP-CUSTOMS --reason "stolen source at sea" --out opening.json

    Parameters
    ----------
    subject
        What is opened.
    agency
        To whom.
    reason
        Why; officers sign it and the owner reads it.
    section
        A section besides the core; may be given several times (default: goods, equipment and route).
    hours
        How long from now, 24 at the most.
    out
        The file to write (default: opening-<name>.json).
    """
    if not 0 < hours <= 24:
        raise UsageError(f"--hours {hours:g} is out of range", advice="an opening lasts a day at the most: give up to 24")
    sections = {"core", *(section if section is not None else ("goods", "equipment", "route"))}
    if odd := sorted(sections - set(OPENABLE)):
        raise UsageError(f"`{printable(odd[0])}` cannot be opened", advice=f"an emergency opens nothing but {', '.join(OPENABLE)}")
    until_ms = SystemClock().now_ms() + int(hours * _HOUR_MS)
    file = proposed(ids.subject_id(subject), ids.agency_id(agency), sorted(sections), until_ms, reason)
    path = out or Path(f"opening-{file.name}.json")
    write_signed(path, file.text())
    screen = Screen(as_json=common.json)
    record = _json(file, path)
    screen.result(record, fields(record))
    screen.note("give the file to officers of two agencies: `broker emergency approve FILE --as AGENCY`")
    return 0


async def _approve(path: Path, by: str, common: Common) -> Opening:
    file = read_signed(path, read_opening_file, "an opening's file")
    async with known(common, by) as knowledge:
        chain, directory = knowledge.policy, knowledge.rules.directory
    master = AgencyHome(common.home, by).master()
    raise_refusal(not_named(by, master.kid, chain))
    unsigned = unsigned_opening(file.statement(), master, directory.exchange_id, directory.environment)
    signed = file.with_signature(unsigned.nested(master.sign_now(unsigned.to_be_signed)))
    found = openers(signed, directory)
    if isinstance(found, Refusal):
        raise RefusedError(found)
    return signed


@app.command
async def approve(path: Path, /, *, as_: Annotated[str, Parameter(name="--as")], common: Common = COMMON) -> int:
    """Sign an opening as an agency's officer, with the agency's master key. Shows what is signed.

    Example: broker emergency approve opening.json --as DE-BAFA

    Parameters
    ----------
    path
        The file that `broker emergency propose` made.
    as_
        The agency whose officer signs; not the one that is to get the subject.
    """
    signed = await _approve(path, ids.agency_id(as_), common)
    write_signed(path, signed.text())
    record = _json(signed, path)
    Screen(as_json=common.json).result(record, fields(record))
    return 0


@app.command
async def carry(path: Path, /, *, common: Common = COMMON) -> int:
    """At the operator: carry an opening that two officers signed to the relays, which act on it at once.

    Example: broker emergency carry opening.json

    Parameters
    ----------
    path
        The file with the signatures of two officers.
    """
    file = read_signed(path, read_opening_file, "an opening's file")
    async with Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap).registrar() as registrar:
        officers = await registrar.open(file)
    record = _json(file, path) | {"officers": list(officers)}
    Screen(as_json=common.json).result(record, fields(record))
    return 0


@app.command(name="list")
async def list_(*, common: Common = COMMON) -> int:
    """At the operator: all openings that were carried and count, those that are over too.

    Example: broker emergency list --json
    """
    screen, now_ms = Screen(as_json=common.json), SystemClock().now_ms()
    async with known(common, None) as knowledge:
        found = list(knowledge.openings.known.values())
    for each in found:
        record = _json(each.opening, None) | {
            "officers": list(each.officers), "carried": iso(each.from_ms), "in_force": now_ms < each.opening.until_ms,
        }  # fmt: skip
        screen.result(record, fields(record))
    if not found:
        screen.remark("nothing was opened")
    return 0


def _json(file: Opening, path: Path | None) -> dict[str, Any]:
    return {
        "opening": file.name, "file": str(path) if path else None, "subject": file.subject, "agency": file.agency,
        "sections": list(file.sections), "until": iso(file.until_ms), "reason": file.reason, "signatures": len(file.signatures),
    }  # fmt: skip
