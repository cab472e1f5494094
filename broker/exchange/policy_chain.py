"""Which policy bundle is in force: a chain that grows by one bundle at a time, never backwards, and never by the operator alone.

A reader takes the first bundle that the registrar announced (the one the exchange was made with) and after it only bundle files that
continue the chain. What it refuses changes nothing; the last good bundle stays in force. A late reader finds every bundle on the
topic, each under a key of its own, and comes to the same end.

The steps for a bundle file, in this order:

1 a note by the registrar, who carries it · 2 the file's form, its digests, schema and policies strictly · 3 exactly the next version
4 ``prev`` is the digest of the bundle in force · 5 not carried before it is valid · 6 the directory is as new as the bundle
7 all signatures good, at least two, of different agencies that are active and entitled · 8 its own tests pass
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.envelope import cose
from broker.envelope.note import read_note
from broker.errors import Refusal, UsageError
from broker.exchange import notices
from broker.policy.bundle import Bundle, bundle_of
from broker.policy.bundle_file import BundleFile, read_bundle_file
from broker.policy.scenarios import Scenario
from broker.policy.widening import undeclared
from broker.trust.directory import Directory
from broker.trust.keys import key_id
from broker.trust.officers import entitled, signers


@dataclass(frozen=True, slots=True)
class PolicyChain:
    """The bundle in force. ``digest`` (32 bytes) is what the next one has to name; ``officers`` may sign the next (key id by agency;
    empty: the first bundle names none, any two members may); ``signed`` are the agencies that signed this one, ``widens`` what it
    declared; ``scenarios`` are its own tests, none for the first."""

    bundle: Bundle | None = None
    digest: bytes = b""
    officers: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    signed: tuple[str, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    file: BundleFile | None = None

    @property
    def version(self) -> int:
        """The version in force; 0 while there is none."""
        return self.bundle.version if self.bundle else 0

    def after_record(self, value: bytes, at_ms: int, directory: Directory) -> PolicyChain | Refusal:
        """The chain after one record of ``exchange.policy``; itself where the record is the bundle in force.

        ``at_ms`` is the record's time. Refusal DIRECTORY_BEHIND: ask again when the directory has grown; every other one is final.
        """
        note = read_note(value, notices.NOTICE_LIMIT)
        kind = notices.BUNDLE_TYPE if not isinstance(note, Refusal) and note.content_type == notices.BUNDLE_TYPE else notices.POLICY_TYPE
        aad = cose.context(directory.exchange_id, directory.environment)
        payload = notices.read_notice(value, kind, directory.registrar, aad)
        if isinstance(payload, Refusal):
            return payload
        if kind == notices.BUNDLE_TYPE:
            return self.after_file(payload, at_ms, directory)
        try:
            first = bundle_of(payload)
        except UsageError as error:
            return Refusal("BAD_BUNDLE", str(error))
        if self.bundle is None:
            return PolicyChain(first, first.digest)
        if (first.version, first.digest) == (self.bundle.version, self.digest):
            return self
        return Refusal("TOO_FEW_OFFICERS", f"version {first.version} is the operator's alone, and version {self.version} is in force")

    def after_file(self, data: bytes, at_ms: int, directory: Directory) -> PolicyChain | Refusal:
        """The chain after one bundle file, steps 2 to 8; itself where it is the one in force."""
        file = read_bundle_file(data)
        if isinstance(file, Refusal):
            return file
        manifest = file.manifest
        if self.bundle is None:
            return Refusal("BUNDLE_OUT_OF_ORDER", f"version {manifest.version} comes before any other")
        if manifest.digest == self.digest:
            return self
        refusal = self.place(file) or due(file, at_ms, directory)
        if refusal is not None:
            return refusal
        signed = signers(manifest.text(), file.signatures, directory, at_ms)
        if isinstance(signed, Refusal):
            return signed
        refusal = entitled(signed, self.officers, directory)
        if refusal is not None:
            return refusal
        if failed := file.failures():
            return Refusal("BUNDLE_FAILS_TESTS", f"{len(failed)} of its own tests fail: {failed[0]}")
        return PolicyChain(file.bundle, manifest.digest, manifest.officers, signed, file.scenarios, file)

    def place(self, file: BundleFile) -> Refusal | None:
        """Whether the file is the next of this chain. Refusals: BUNDLE_OUT_OF_ORDER, BUNDLE_BREAKS_CHAIN."""
        version, wanted = file.manifest.version, self.version + 1
        if version != wanted:
            return Refusal("BUNDLE_OUT_OF_ORDER", f"it is version {version}, and after version {self.version} comes {wanted}")
        if file.manifest.prev != self.digest:
            return Refusal("BUNDLE_BREAKS_CHAIN", f"it follows {file.manifest.prev.hex()[:16]}, in force is {self.digest.hex()[:16]}")
        return None


def due(file: BundleFile, at_ms: int, directory: Directory) -> Refusal | None:
    """Whether a bundle may be carried now and judged by this directory. Refusals: BUNDLE_NOT_DUE, DIRECTORY_BEHIND, BAD_BUNDLE."""
    manifest = file.manifest
    if at_ms < manifest.valid_from_ms:
        return Refusal("BUNDLE_NOT_DUE", f"it is valid from {manifest.valid_from_ms}, and was carried at {at_ms}")
    if directory.version < manifest.directory_version:
        return Refusal(
            "DIRECTORY_BEHIND",
            f"it was made under version {manifest.directory_version} of the directory, {directory.version} is known here",
        )
    for agency, kid in manifest.officers.items():
        entry = directory.agency(agency)
        if entry is None or key_id(entry.master_spki) != kid:
            return Refusal("BAD_BUNDLE", f"it names {agency} as an officer with a key that is not the agency's: nobody could sign the next")
    return None


def widening_of(chain: PolicyChain, file: BundleFile) -> Refusal | None:
    """Whether a bundle gives more than the one in force, beyond what it declares. Takes seconds. Refusal: BUNDLE_WIDENS."""
    if chain.bundle is None:
        return None
    found = list(undeclared(chain.bundle, file.bundle, file.manifest.widens, [*chain.scenarios, *file.scenarios]))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Refusal("BUNDLE_WIDENS", f"{found[0]}{more}")
    return None
