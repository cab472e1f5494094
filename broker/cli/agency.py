"""``broker agency``: how an agency becomes a member, and who the members are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from broker import ids
from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.cli import standing
from broker.cli.members import entry_json, known
from broker.cli.named_files import read_text, write_text
from broker.cli.screen import COMMON, Common, Screen, iso
from broker.cli.trustfile import keep_trust
from broker.errors import Refusal, RefusedError, UsageError
from broker.storage import enrol
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome, ExchangeHome, agencies_in
from broker.trust.directory import Directory
from broker.trust.enrolment import fingerprint, read_request, reply_fingerprint
from broker.trust.keys import fingerprint_of

app = App(name="agency", help="Members of the exchange: enrol them, list them, suspend and reinstate them.")
standing.register(app)


@app.command
def init(agency: str, /, *, kind: str, out: Path | None = None, common: Common = COMMON) -> int:
    """At the agency: make its keys, which never leave this home, and a signed request file for the operator.

    Run again, it returns the same request. Compare the fingerprint with the operator over the phone.

    Example: broker agency init SG-CUSTOMS --kind customs --out SG-CUSTOMS.request.json

    Parameters
    ----------
    agency
        Two capitals for the country, a hyphen, 2 to 12 capitals or digits.
    kind
        customs, licensing, police, coastguard, zone, fiu, regulator, international or auditor.
    out
        Where to write a copy of the request file.
    """
    screen = Screen(as_json=common.json)
    text = enrol.init_agency(common.home, ids.agency_id(agency), kind, SystemClock().now_ms())
    request = read_request(text)
    if isinstance(request, Refusal):
        raise RefusedError(request)
    file = out or AgencyHome(common.home, agency).request_file
    if out is not None:
        write_text(out, text)
    record = {
        "agency": request.agency, "kind": request.kind, "country": request.country, "fingerprint": fingerprint(request),
        "request": str(file), "created_at": iso(request.created_at_ms),
    }  # fmt: skip
    screen.result(record)
    screen.note("give the request file to the operator, and read the fingerprint out over the phone")
    return 0


@app.command
async def admit(
    file: str,
    /,
    *,
    community: Annotated[list[str] | None, Parameter(negative="")] = None,
    fingerprint_: Annotated[str | None, Parameter(name="--fingerprint")] = None,
    out: Path | None = None,
    common: Common = COMMON,
) -> int:
    """At the operator: certificate, directory entry, topics, access rights and quota; writes a reply file for the agency.

    Run again after a failure, it finishes what was begun.

    Example: broker agency admit SG-CUSTOMS.request.json --community STCE-ASEAN --out SG-CUSTOMS.reply.json

    Parameters
    ----------
    file
        The agency's request file, or - for standard input.
    community
        A community the agency belongs to; may be given several times.
    fingerprint_
        What the agency read out over the phone: nothing is done unless the request has this fingerprint.
    out
        The reply file (default: AGENCY.reply.json in this folder).
    """
    screen = Screen(as_json=common.json)
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    text = read_text(file)
    _compare(text, fingerprint_)
    admission = await operator.admit(text, community or ())
    reply = out or Path(f"{admission.entry.agency}.reply.json")
    write_text(reply, admission.reply)
    registrar = fingerprint_of(operator.files.settings().registrar_spki)
    screen.result(entry_json(admission.entry) | {"reply": str(reply), "registrar_fingerprint": registrar})
    screen.note("give the reply file to the agency, and read the registrar's fingerprint out over the phone")
    return 0


def _compare(request_text: str, expected: str | None) -> None:
    """Refuse a request whose fingerprint is not the one that was read out. Spaces and case do not matter."""
    request = read_request(request_text)
    if isinstance(request, Refusal):
        raise RefusedError(request)
    if expected is None:
        return
    plain = "".join(expected.split()).lower()
    if plain != "".join(fingerprint(request).split()):
        raise RefusedError(Refusal("BAD_REQUEST", f"its fingerprint is {fingerprint(request)}"))


@app.command
def join(file: str, /, *, common: Common = COMMON) -> int:
    """At the agency: take the operator's reply. Compare the registrar's fingerprint with the operator over the phone.

    Example: broker agency join SG-CUSTOMS.reply.json

    Parameters
    ----------
    file
        The reply file, or - for standard input.
    """
    screen = Screen(as_json=common.json)
    reply = enrol.join_agency(common.home, read_text(file))
    record = {
        "agency": reply.agency, "exchange": reply.exchange_id, "environment": reply.environment, "bootstrap": reply.bootstrap,
        "generation": reply.generation, "shards": reply.shards, "registrar_fingerprint": reply_fingerprint(reply),
    }  # fmt: skip
    screen.result(record)
    return 0


@app.command
async def add(
    agency: str, /, *, kind: str, community: Annotated[list[str] | None, Parameter(negative="")] = None, common: Common = COMMON
) -> int:
    """Init, admit and join in one home: for trying things out on one machine.

    Example: broker agency add SG-CUSTOMS --kind customs --community STCE-ASEAN

    Parameters
    ----------
    agency
        Two capitals for the country, a hyphen, 2 to 12 capitals or digits.
    kind
        customs, licensing, police, coastguard, zone, fiu, regulator, international or auditor.
    community
        A community the agency belongs to; may be given several times.
    """
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    admission = await operator.add(ids.agency_id(agency), ids.kind(kind), community or ())
    Screen(as_json=common.json).result(entry_json(admission.entry))
    return 0


async def read_directory(common: Common, as_: str | None) -> Directory:
    """The directory as an agency of this home, or the operator, reads it now."""
    home = common.home
    if as_ is None and not ExchangeHome(home).exists:
        joined = [agency for agency in agencies_in(home) if AgencyHome(home, agency).joined]
        as_ = joined[0] if joined else None
    async with known(common, as_) as knowledge:
        keep_trust(home, as_, knowledge)
        return knowledge.rules.directory


@app.command(name="list")
async def list_(*, as_: Annotated[str | None, Parameter(name="--as")] = None, common: Common = COMMON) -> int:
    """All members, from the signed directory.

    Example: broker agency list

    Parameters
    ----------
    as_
        The agency of this home that reads (default: the operator where this is its home).
    """
    screen = Screen(as_json=common.json)
    directory = await read_directory(common, as_)
    table = Table("agency", "kind", "communities", "status", "keys", title=f"directory, version {directory.version}", title_justify="left")
    for agency in sorted(directory.agencies):
        entry = directory.agencies[agency]
        record = entry_json(entry, directory)
        if screen.as_json:
            screen.result(record)
        table.add_row(agency, entry.kind, ", ".join(entry.communities), entry.status, str(len(record["keys"])))
    screen.table(table)
    return 0


@app.command
async def show(agency: str, /, *, as_: Annotated[str | None, Parameter(name="--as")] = None, common: Common = COMMON) -> int:
    """One member, with its keys.

    Example: broker agency show SG-CUSTOMS

    Parameters
    ----------
    agency
        Whom to show.
    as_
        The agency of this home that reads (default: the operator where this is its home).
    """
    wanted = ids.agency_id(agency)
    directory = await read_directory(common, as_)
    entry = directory.agency(wanted)
    if entry is None:
        raise UsageError(f"{agency} is not a member", advice="see `broker agency list`")
    Screen(as_json=common.json).result(entry_json(entry, directory))
    return 0
