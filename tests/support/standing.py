"""Suspending an agency, and two officers of others admitting it again; their homes are the operator's own."""

from __future__ import annotations

from collections.abc import Sequence

from broker.app.parties import Operator
from broker.storage.home import agencies_in
from broker.storage.keys import FileSigner
from broker.trust.directory import AgencyEntry, Directory
from broker.trust.officers import unsigned_readmission
from broker.trust.readmission import Readmission, propose
from tests.support.officers import masters, state


async def suspend(operator: Operator, agency: str, reason: str = "inspection") -> AgencyEntry:
    """Suspend it."""
    async with operator.registrar() as registrar:
        return await registrar.suspend(agency, reason)


def approved_by(file: Readmission, directory: Directory, *officers: FileSigner) -> Readmission:
    """The file with the signatures of these master keys."""
    for master in officers:
        unsigned = unsigned_readmission(file.statement(), master, directory.exchange_id, directory.environment)
        file = file.with_signature(unsigned.nested(master.sign_now(unsigned.to_be_signed)))
    return file


async def approval(operator: Operator, agency: str, reason: str = "inspected", *, by: Sequence[str] | None = None) -> Readmission:
    """The end of its suspension, approved by these agencies; by default the first two others that are active."""
    _chain, directory = await state(operator)
    entry = directory.agencies[agency]
    active = [each for each in agencies_in(operator.home) if each in directory.agencies and directory.agencies[each].status == "active"]
    officers = [each for each in active if each != agency][:2] if by is None else by
    file = propose(agency, entry.suspension, entry.since_ms, reason)
    return approved_by(file, directory, *masters(operator, *officers))


async def reinstate(operator: Operator, agency: str, reason: str = "inspected") -> AgencyEntry:
    """Two officers approve, the operator carries."""
    file = await approval(operator, agency, reason)
    async with operator.registrar() as registrar:
        return await registrar.readmit(file)


async def set_standing(operator: Operator, agency: str, status: str) -> int:
    """Suspend or reinstate; the directory version that says so."""
    return (await (suspend if status == "suspended" else reinstate)(operator, agency)).version
