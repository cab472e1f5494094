"""``broker agency suspend``, ``approve``, ``reinstate``: a membership ends at once, and comes back when two officers approve it.

:func:`register` puts them, and ``holdings``, into the group ``agency``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from broker import ids
from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.cli.holdings import holdings, list_holdings
from broker.cli.members import entry_json, known
from broker.cli.officer_files import not_named, raise_refusal, read_signed, write_signed
from broker.cli.screen import COMMON, Common, Screen, iso
from broker.errors import Refusal, RefusedError, UsageError
from broker.exchange.policy_chain import PolicyChain
from broker.service.registrar import TOLD_S
from broker.storage.home import AgencyHome
from broker.trust.directory import AgencyEntry, Directory
from broker.trust.officers import approvers, unsigned_readmission
from broker.trust.readmission import Readmission, other_suspension, read_readmission_file
from broker.trust.readmission import propose as proposed

QUIET_S: Final = 1.0
"""How long nothing has come into the inbox of an agency that was suspended, before the list of what it holds is whole: the relay hears of
it within milliseconds, and commits what it had under way."""

_FILE: Final = "a re-admission file"


def register(app: App) -> None:
    """Add the commands to the group ``agency``."""
    for command in (suspend, holdings, approve, reinstate):
        app.command(command)


async def suspend(agency: str, /, *, reason: str, common: Common = COMMON) -> int:
    """At the operator: nothing more is taken from an agency or delivered to it, at once; then what it holds of others is listed.

    Its rights at Kafka end first, open connections included. The list is that of `broker agency holdings`.

    Example: broker agency suspend SG-CUSTOMS --reason "assurance withdrawn"

    Parameters
    ----------
    agency
        Whom to suspend.
    reason
        Why; every member reads it in the directory.
    """
    screen, wanted = Screen(as_json=common.json), ids.agency_id(agency)
    async with _operator(common).registrar() as registrar:
        screen.result(entry_json(await registrar.suspend(wanted, reason)))
        await asyncio.sleep(TOLD_S)
        await registrar.silence(wanted)
    screen.remark(f"\nwhat {wanted} was given of others:")
    await list_holdings(screen, common, wanted, quiet_s=QUIET_S)
    screen.note("to end it, two officers of other agencies approve: `broker agency reinstate ID --propose --reason R --out FILE`")
    return 0


async def approve(path: Path, /, *, as_: Annotated[str, Parameter(name="--as")], common: Common = COMMON) -> int:
    """Sign the re-admission of a suspended agency as an officer of another one, with its agency's master key.

    Shows what is signed, and refuses what would be refused. The file is checked against the directory that this agency itself reads,
    whatever the operator says.

    Example: broker agency approve readmission.json --as DE-BAFA

    Parameters
    ----------
    path
        The file that `broker agency reinstate AGENCY --propose` made.
    as_
        The agency whose officer signs.
    """
    screen, file, by = Screen(as_json=common.json), read_signed(path, read_readmission_file, _FILE), ids.agency_id(as_)
    async with known(common, by) as knowledge:
        chain, directory = knowledge.policy, knowledge.rules.directory
    master = AgencyHome(common.home, by).master()
    suspended = _suspended(file.agency, directory)
    raise_refusal(other_suspension(file, suspended.suspension, suspended.since_ms) or _may_approve(by, master.kid, file, chain))
    unsigned = unsigned_readmission(file.statement(), master, directory.exchange_id, directory.environment)
    signed = file.with_signature(unsigned.nested(master.sign_now(unsigned.to_be_signed)))
    approved_by = approvers(signed, directory)
    if isinstance(approved_by, Refusal):
        raise RefusedError(approved_by)
    write_signed(path, signed.text())
    screen.result(_json(signed, path, suspended) | {"approved_by": list(approved_by)})
    return 0


async def reinstate(
    agency: str,
    file: Path | None = None,
    /,
    *,
    propose: Annotated[bool, Parameter(negative="")] = False,
    reason: str | None = None,
    out: Path | None = None,
    common: Common = COMMON,
) -> int:
    """At the operator: a suspended agency comes back when officers of two other agencies approve it.

    First `--propose` makes the statement for them to sign, then the file with their signatures is carried. What the agency missed and
    may see is delivered to it then.

    Example: broker agency reinstate SG-CUSTOMS --propose --reason "assurance renewed" --out readmission.json

    Example: broker agency reinstate SG-CUSTOMS readmission.json

    Parameters
    ----------
    agency
        Whom to reinstate.
    file
        The file that two officers signed with `broker agency approve`.
    propose
        Make the file, unsigned.
    reason
        With --propose: why; the officers sign it, and every member reads it in the directory.
    out
        With --propose: the file to write (default: AGENCY.readmission.json in this folder).
    """
    wanted = ids.agency_id(agency)
    if propose and file is None and reason is not None:
        return await _propose(wanted, reason, out or Path(f"{wanted}.readmission.json"), common)
    if propose or file is None or reason is not None or out is not None:
        raise UsageError(
            "give either --propose with a --reason, or the file that two officers signed",
            advice="first `broker agency reinstate ID --propose --reason R --out FILE`, last `broker agency reinstate ID FILE`",
        )
    read = read_signed(file, read_readmission_file, _FILE)
    if read.agency != wanted:
        raise UsageError(f"the file is about {read.agency}, not {wanted}", advice="give the file that was made for this agency")
    async with _operator(common).registrar() as registrar:
        entry = await registrar.readmit(read)
    async with known(common, None) as knowledge:
        directory = knowledge.rules.directory
    Screen(as_json=common.json).result(entry_json(entry, directory))
    return 0


async def _propose(agency: str, reason: str, out: Path, common: Common) -> int:
    async with known(common, None) as knowledge:
        suspended = _suspended(agency, knowledge.rules.directory)
    file = proposed(agency, suspended.suspension, suspended.since_ms, reason)
    write_signed(out, file.text())
    screen = Screen(as_json=common.json)
    screen.result(_json(file, out, suspended))
    screen.note("give the file to officers of two other agencies: `broker agency approve FILE --as AGENCY`")
    return 0


def _operator(common: Common) -> Operator:
    return Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)


def _suspended(agency: str, directory: Directory) -> AgencyEntry:
    """The entry of an agency whose suspension officers can end. Raises UsageError."""
    entry = directory.agency(agency)
    if entry is None:
        raise UsageError(f"{agency} is not a member", advice="see `broker agency list`")
    if entry.status != "suspended":
        raise UsageError(f"{agency} is not suspended", advice=f"see `broker agency show {agency}`")
    if not entry.suspension:
        raise UsageError(
            f"{agency} was suspended by an earlier version of the program, without a number that officers could approve the end of",
            advice=f"the operator runs `broker agency suspend {agency}` once more",
        )
    return entry


def _may_approve(agency: str, kid: bytes, file: Readmission, chain: PolicyChain) -> Refusal | None:
    """Whether this agency's officer would count."""
    if agency == file.agency:
        return Refusal("TOO_FEW_OFFICERS", f"{agency} cannot approve its own re-admission")
    return not_named(agency, kid, chain)


def _json(file: Readmission, path: Path, suspended: AgencyEntry) -> dict[str, Any]:
    return {
        "file": str(path), "agency": file.agency, "suspension": file.suspension, "suspended_since": iso(file.since_ms),
        "suspended_for": suspended.reason, "reason": file.reason, "signatures": len(file.signatures),
    }  # fmt: skip
