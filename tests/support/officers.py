"""Bundles that officers sign, made from the keys of agencies whose homes are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from broker.app.parties import Operator
from broker.exchange.policy_chain import PolicyChain
from broker.policy import bundle_file
from broker.policy.bundle_file import SCENARIOS_FILE, BundleFile
from broker.storage.home import AgencyHome
from broker.storage.keys import FileSigner
from broker.trust.directory import Directory
from broker.trust.keys import key_id
from broker.trust.officers import unsigned_manifest

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "policies"
OFFICERS: Final = ("SG-CUSTOMS", "MY-CUSTOMS")
ONE_SCENARIO: Final = (
    '{"members": {"SG-CUSTOMS": {"kind": "customs"}}, "scenarios": [{"name": "auditor-publishes-nothing", "about": "x", "labels": '
    '{"family": "licence", "originator": "SG-CUSTOMS", "tlp": "GREEN", "sections": ["core"]}, "publish": "default-deny", "gets": {}}]}'
)
"""A test that hardly any change of the policies fails."""
NO_PARTIES: Final = """@id("stop-parties")
@title("Nobody reads parties")
@basis("A test")
forbid (principal, action == Action::"read:parties", resource);
"""


def shipped_files(**changes: str) -> dict[str, str]:
    """The shipped policies with one light test; ``changes`` are further .cedar files by the name without its ending."""
    files = {path.name: path.read_text() for path in FOLDER.iterdir() if path.suffix in (".cedar", ".cedarschema")}
    return files | {SCENARIOS_FILE: ONE_SCENARIO} | {f"{name}.cedar": text for name, text in changes.items()}


def files_without(rule: str) -> dict[str, str]:
    """The shipped policies but for one rule."""
    files = shipped_files()
    for name, text in files.items():
        begin = text.find(f'@id("{rule}")')
        if begin >= 0:
            end = text.find("@id(", begin + 1)
            files[name] = text[:begin] + (text[end:] if end >= 0 else "")
    return files


def proposed(
    chain: PolicyChain, directory: Directory, files: Mapping[str, str], *, widens: Sequence[str] = (), officers: Sequence[str] = OFFICERS,
    version: int | None = None, prev: bytes | None = None, valid_from_ms: int = 0, directory_version: int | None = None,
) -> BundleFile:  # fmt: skip
    """An unsigned bundle after the one in force."""
    return bundle_file.propose(
        files, version=chain.version + 1 if version is None else version, prev=chain.digest if prev is None else prev,
        valid_from_ms=valid_from_ms, widens=widens, officers={each: key_id(directory.agencies[each].master_spki) for each in officers},
        directory_version=directory.version if directory_version is None else directory_version,
    )  # fmt: skip


def signed(file: BundleFile, directory: Directory, *masters: FileSigner) -> BundleFile:
    """The file with the signatures of these master keys."""
    for master in masters:
        unsigned = unsigned_manifest(file.manifest.text(), master, directory.exchange_id, directory.environment)
        file = file.with_signature(unsigned.nested(master.sign_now(unsigned.to_be_signed)))
    return file


def masters(operator: Operator, *agencies: str) -> list[FileSigner]:
    """The master keys of agencies in the operator's own home."""
    return [AgencyHome(operator.home, each).master() for each in agencies]


async def state(operator: Operator) -> tuple[PolicyChain, Directory]:
    """The bundle in force and the directory, as the exchange has them now."""
    transport = operator.transport("registrar")
    knowledge = operator.knowledge(transport)
    await knowledge.load()
    await knowledge.close()
    await transport.close()
    return knowledge.policy, knowledge.rules.directory


async def next_bundle(
    operator: Operator, files: Mapping[str, str], *, by: Sequence[str] = OFFICERS, widens: Sequence[str] = ()
) -> BundleFile:
    """The next bundle with these texts, signed."""
    chain, directory = await state(operator)
    return signed(proposed(chain, directory, files, widens=widens), directory, *masters(operator, *by))


async def change(operator: Operator, files: Mapping[str, str], *, widens: Sequence[str] = ()) -> BundleFile:
    """Two officers sign the next bundle, and the operator carries it."""
    file = await next_bundle(operator, files, widens=widens)
    async with operator.registrar() as registrar:
        await registrar.carry(file)
    return file
