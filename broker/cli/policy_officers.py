"""``broker policy propose``, ``sign``, ``apply``, ``show``: changing the policies, which nobody can do alone.

:func:`register` puts the four into the group ``policy``.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from rich.markup import escape

from broker import ids
from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.cli.members import known
from broker.cli.officer_files import not_named, raise_refusal, read_signed, write_signed
from broker.cli.screen import COMMON, Common, Screen, fields, iso, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.exchange.policy_chain import PolicyChain, due, widening_of
from broker.policy import bundle_file
from broker.policy.bundle_file import NAMED, SCHEMA_FILE, BundleFile, read_bundle_file
from broker.policy.facts_file import FACTS_FILE
from broker.policy.widening import changed_rules
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome
from broker.trust.directory import Directory
from broker.trust.keys import key_id
from broker.trust.officers import signers, unsigned_manifest

As = Annotated[str | None, Parameter(name="--as")]
_MANY: Final = Parameter(negative="")
_FILE: Final = "a bundle file"


def register(app: App) -> None:
    """Add the commands to the group ``policy``."""
    for command in (propose, sign, apply, show):
        app.command(command)


async def propose(
    folder: Path,
    /,
    *,
    officer: Annotated[list[str] | None, _MANY] = None,
    widens: Annotated[list[str] | None, _MANY] = None,
    valid_from: str | None = None,
    out: Path | None = None,
    as_: As = None,
    common: Common = COMMON,
) -> int:
    """Make an unsigned bundle file of a folder: the version after the one in force. Runs its tests and compares it with what holds now.

    Example: broker policy propose policies --officer DE-BAFA --officer MY-CUSTOMS --officer SG-CUSTOMS --out policy-2.json

    Parameters
    ----------
    folder
        With schema.cedarschema, scenarios.json and .cedar files, as `deploy/policies` has them.
    officer
        An agency whose officer may sign the bundle after this one; two or more. Default: those of the bundle in force.
    widens
        Id of a rule that is meant to give somebody more; may be given several times.
    valid_from
        Not to be applied before, ISO 8601 (default: now).
    out
        The file to write (default: policy-<version>.json).
    as_
        The agency whose home this is (default: the operator's).
    """
    now_ms = SystemClock().now_ms()
    async with known(common, as_) as knowledge:
        chain, directory = knowledge.policy, knowledge.rules.directory
    file = bundle_file.propose(
        _files(folder), version=chain.version + 1, prev=chain.digest, valid_from_ms=now_ms if valid_from is None else _ms(valid_from),
        widens=widens or (), officers=_officers(officer, chain, directory), directory_version=directory.version,
    )  # fmt: skip
    screen = Screen(as_json=common.json)
    await _judge(screen, chain, file)
    path = out or Path(f"policy-{file.manifest.version}.json")
    write_signed(path, file.text() + b"\n")
    record = _json(file, path=path) | _changes(chain, file)
    screen.result(record, fields(record))
    screen.note("give the file to officers of two agencies: `broker policy sign FILE --as AGENCY`")
    return 0


async def sign(path: Path, /, *, as_: Annotated[str, Parameter(name="--as")], common: Common = COMMON) -> int:
    """Sign a bundle file as an agency's officer, with the agency's master key. Shows what is signed; refuses what would be refused.

    The file is checked against the bundle that this agency itself sees in force, whatever the operator says.

    Example: broker policy sign policy-2.json --as DE-BAFA

    Parameters
    ----------
    path
        The file that `broker policy propose` made.
    as_
        The agency whose officer signs.
    """
    screen, file = Screen(as_json=common.json), read_signed(path, _unended, _FILE)
    async with known(common, as_) as knowledge:
        chain, directory = knowledge.policy, knowledge.rules.directory
    agency = ids.agency_id(as_)
    master = AgencyHome(common.home, agency).master()
    at_ms = max(SystemClock().now_ms(), file.manifest.valid_from_ms)
    raise_refusal(chain.place(file) or due(file, at_ms, directory))
    raise_refusal(not_named(agency, master.kid, chain))
    await _judge(screen, chain, file)
    unsigned = unsigned_manifest(file.manifest.text(), master, directory.exchange_id, directory.environment)
    signed = file.with_signature(unsigned.nested(master.sign_now(unsigned.to_be_signed)))
    found = signers(signed.manifest.text(), signed.signatures, directory, at_ms)
    if isinstance(found, Refusal):
        raise RefusedError(found)
    write_signed(path, signed.text() + b"\n")
    record = _json(signed, path=path, signed=found) | _changes(chain, signed)
    screen.result(record, fields(record))
    return 0


async def apply(path: Path, /, *, timeout: float = 10.0, common: Common = COMMON) -> int:
    """Carry a signed bundle to the exchange (operator). Refuses one that fails its tests, widens more than it declares, or lacks a
    signature; relays and agencies judge it again, without a restart.

    Example: broker policy apply policy-2.json

    Parameters
    ----------
    path
        The file with the signatures of two officers.
    timeout
        Seconds to wait until it is read back from the exchange.
    """
    screen, file = Screen(as_json=common.json), read_signed(path, _unended, _FILE)
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    transport = operator.transport("registrar")
    knowledge = operator.knowledge(transport)
    try:
        await knowledge.load()
        async with operator.registrar() as registrar:
            after = await registrar.carry(file)
        following = asyncio.create_task(knowledge.follow())
        seen = await knowledge.at_least(after.version, 0, timeout)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    finally:
        await knowledge.close()
        await transport.close()
    screen.result(_json(file, path=path, signed=after.signed) | {"in_force": seen}, _text(file, path=path, signed=after.signed))
    screen.note(
        "read back from the exchange: relays take it at once, and receipts show the version"
        if seen
        else "carried, and not read back yet: see `broker policy show`"
    )
    return 0


async def show(path: Path | None = None, /, *, as_: As = None, out: Path | None = None, common: Common = COMMON) -> int:
    """The bundle in force, or that of a file: version, digest, who signed, what it declares, its rules.

    Example: broker policy show --as DE-BAFA --out policies

    Parameters
    ----------
    path
        A bundle file; by default what is in force.
    as_
        The agency whose home this is (default: the operator's).
    out
        A new folder for the texts of the policies. The first bundle of an exchange carries no tests of its own.
    """
    screen = Screen(as_json=common.json)
    if path is not None:
        file = read_signed(path, _unended, _FILE)
        record, text, bundle, texts = _json(file, path=path), _text(file, path=path), file.bundle, dict(file.files)
    else:
        async with known(common, as_) as knowledge:
            chain = knowledge.policy
        record, bundle, texts = _in_force(chain), chain.bundle, _texts(chain)
        text = fields({name: value for name, value in record.items() if name != "rules"})
    if out is not None:
        _unpack(out, texts)
    record["rules"] = [{"id": rule.id, "title": rule.title, "basis": rule.basis} for rule in (bundle.rules() if bundle else ())]
    screen.result(record, text)
    for rule in record["rules"]:
        screen.remark(f"  [bold]{escape(rule['id'])}[/bold]  {escape(printable(rule['title']))}")
    return 0


async def _judge(screen: Screen, chain: PolicyChain, file: BundleFile) -> None:
    """The bundle's own tests, and what it gives beyond what it declares. Raises RefusedError."""
    if failed := file.failures():
        for line in failed:
            screen.note(f"[red]fails[/red] {escape(printable(line))}")
        raise RefusedError(Refusal("BUNDLE_FAILS_TESTS", f"{len(failed)} of its own tests fail: {failed[0]}"))
    screen.note("comparing with the bundle in force")
    raise_refusal(await asyncio.to_thread(widening_of, chain, file))


def _officers(named: list[str] | None, chain: PolicyChain, directory: Directory) -> dict[str, bytes]:
    if not named:
        if not chain.officers:
            raise UsageError("the bundle in force names no officers", advice="name two or more agencies with --officer")
        return dict(chain.officers)
    officers: dict[str, bytes] = {}
    for agency in named:
        entry = directory.agency(ids.agency_id(agency))
        if entry is None or entry.status != "active":
            raise UsageError(f"{agency} is not an active member", advice="see `broker agency list`")
        officers[agency] = key_id(entry.master_spki)
    return officers


def _files(folder: Path) -> dict[str, str]:
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix == ".cedar" or path.name in NAMED]
        return {path.name: path.read_text(encoding="utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{printable(str(folder))}` cannot be read: {error}", advice="give a folder like deploy/policies") from error


def _unended(data: bytes) -> BundleFile | Refusal:
    """A bundle, of which a line end is no part."""
    return read_bundle_file(data.removesuffix(b"\n"))


def _ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`{printable(text)}` is no time", advice="write 2026-12-01T00:00:00Z") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _json(file: BundleFile, *, path: Path, signed: tuple[str, ...] | None = None) -> dict[str, Any]:
    manifest = file.manifest
    record: dict[str, Any] = {
        "file": str(path), "version": manifest.version, "digest": manifest.digest.hex(), "prev": manifest.prev.hex(),
        "valid_from": iso(manifest.valid_from_ms), "widens": list(manifest.widens), "officers": sorted(manifest.officers),
        "signatures": len(file.signatures), "rules": len(file.bundle.rules()), "scenarios": len(file.scenarios),
    }  # fmt: skip
    return record if signed is None else record | {"signed_by": list(signed)}


def _text(file: BundleFile, *, path: Path, signed: tuple[str, ...] | None = None) -> str:
    return fields(_json(file, path=path, signed=signed))


def _changes(chain: PolicyChain, file: BundleFile) -> dict[str, Any]:
    """Which rules differ from those in force, for the officer to see."""
    return {} if chain.bundle is None else dict(changed_rules(chain.bundle, file.bundle))


def _in_force(chain: PolicyChain) -> dict[str, Any]:
    manifest = chain.file.manifest if chain.file else None
    return {
        "version": chain.version, "digest": chain.digest.hex(), "prev": manifest.prev.hex() if manifest else None,
        "valid_from": iso(manifest.valid_from_ms) if manifest else None, "widens": list(manifest.widens) if manifest else [],
        "officers": sorted(chain.officers), "signed_by": list(chain.signed), "scenarios": len(chain.scenarios),
    }  # fmt: skip


def _texts(chain: PolicyChain) -> dict[str, str]:
    """The files of the bundle in force; the first one has its policies in one text, each file after a line that names it."""
    if chain.file is not None or chain.bundle is None:
        return dict(chain.file.files) if chain.file else {}
    facts = {FACTS_FILE: chain.bundle.entities} if chain.bundle.entities else {}
    return {SCHEMA_FILE: chain.bundle.schema, "policies.cedar": chain.bundle.policies, **facts}


def _unpack(out: Path, texts: dict[str, str]) -> None:
    try:
        out.mkdir(parents=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"`{out}` cannot be written: {error.strerror}", advice="give a folder that does not exist yet") from error
