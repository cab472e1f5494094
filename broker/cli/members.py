"""What commands about members share: reading the exchange as one of this home's parties, and how a member is shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from broker import ids
from broker.app import Member, Operator
from broker.app.connect import connect, connect_admin
from broker.cli.screen import Common, iso
from broker.errors import Refusal
from broker.service.knowledge import Knowledge
from broker.trust.directory import AgencyEntry, Directory
from broker.trust.keys import fingerprint_of
from broker.trust.officers import approved
from broker.trust.readmission import Readmission


@asynccontextmanager
async def known(common: Common, agency: str | None) -> AsyncGenerator[Knowledge]:
    """What an agency, or the operator, sees of the exchange now."""
    if agency is None:
        operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
        transport = operator.transport("registrar")
        knowledge = operator.knowledge(transport)
    else:
        member = Member(common.home, ids.agency_id(agency), connect, bootstrap=common.bootstrap)
        transport = member.transport()
        knowledge = member.knowledge(transport)
    try:
        await knowledge.load()
        yield knowledge
    finally:
        await knowledge.close()
        await transport.close()


def entry_json(entry: AgencyEntry, directory: Directory | None = None) -> dict[str, Any]:
    """A member as ``--json`` shows it; with a directory also its keys, and who re-admitted it if it was suspended once."""
    record: dict[str, Any] = {
        "agency": entry.agency,
        "kind": entry.kind,
        "country": entry.country,
        "communities": list(entry.communities),
        "status": entry.status,
        "reason": entry.reason,
        "since": iso(entry.since_ms),
        "generation": entry.generation,
        "fingerprint": fingerprint_of(entry.master_spki),
        "version": entry.version,
    }
    if entry.suspension:
        record["suspension"] = entry.suspension
    if directory is not None:
        if entry.readmission is not None:
            record["readmitted_by"], record["readmission"] = _readmitted(entry.readmission, entry, directory)
        record["keys"] = [
            {"kid": key.kid.hex(), "alg": key.alg, "spki": key.spki.hex(), "status": key.status, "valid_from": iso(key.valid_from_ms)}
            for key in directory.keys_of(entry.agency)
        ]
    return record


def _readmitted(readmission: Readmission, entry: AgencyEntry, directory: Directory) -> tuple[list[str], str]:
    """Whose officers ended the last suspension, checked again here: who reads the directory late was not there to refuse it."""
    found = approved(readmission, directory, entry.since_ms)
    return ([], f"{found.code}: {found.reason}") if isinstance(found, Refusal) else (list(found), "verified")
