"""The bundle file: policies, their schema, their own tests and a manifest, as one text that officers sign and the operator carries.

::

    {"files": {"entities.json": text, "read.cedar": text, ..., "scenarios.json": text, "schema.cedarschema": text},
     "manifest": {"directory_version", "files": {name: SHA-256}, "officers": {agency: key id}, "prev", "valid_from_ms", "version",
                  "widens": [rule id, ...]},
     "signatures": [COSE_Sign1 over the manifest, base64, ...],
     "type": "broker policy bundle v1"}

Canonical JSON (sorted keys, no spaces, UTF-8), so equal content has equal bytes. Officers sign the manifest, which names every file by
its digest. ``prev`` is the digest of the bundle before: a hash chain, whose first link is the bundle that the exchange was made with.
``officers`` are those who may sign the **next** bundle, each with its key: whoever lists members later cannot add one. Signatures are
opaque here; :mod:`broker.trust.officers` checks them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from broker import ids
from broker.errors import Refusal, UsageError
from broker.policy.bundle import Bundle
from broker.policy.facts_file import FACTS_FILE
from broker.policy.scenarios import Scenario, failures, read_scenarios

TYPE: Final = "broker policy bundle v1"
SCHEMA_FILE: Final = "schema.cedarschema"
SCENARIOS_FILE: Final = "scenarios.json"
NAMED: Final = (SCHEMA_FILE, SCENARIOS_FILE, FACTS_FILE)
"""The files that are no rules; the last need not be there."""
BUNDLE_LIMIT: Final = 2 << 20
"""Longest bundle file in bytes; the shipped policies and their tests take 70 kB."""
RULE_LIMIT: Final = 2000
"""Most rules: Cedar looks at each for every question, 2,000 take 1.7 ms."""
OFFICER_LIMIT: Final = 64
FILE_LIMIT: Final = 64
OFFICERS_NEEDED: Final = 2
"""Signatures of different agencies under a bundle."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}\.cedar")
_DIGEST_CONTEXT: Final = b"broker.policy.manifest/1"
_MANIFEST_FIELDS: Final = ["directory_version", "files", "officers", "prev", "valid_from_ms", "version", "widens"]
_INTEGER_LIMIT: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What officers sign. ``prev`` is 32 bytes; ``files`` holds SHA-256 by name; ``officers`` the key id (16 bytes) by agency; ``widens``
    the ids of the rules that are meant to give somebody more. ``valid_from_ms``: not to be carried before (Unix milliseconds);
    ``directory_version``: the least that a reader has to know of the directory to judge the signatures."""

    version: int
    prev: bytes
    valid_from_ms: int
    widens: tuple[str, ...]
    officers: Mapping[str, bytes]
    directory_version: int
    files: Mapping[str, bytes]

    def text(self) -> bytes:
        """The bytes that officers sign."""
        return _canonical(self.values())

    @property
    def digest(self) -> bytes:
        """The name of the bundle, 32 bytes: what the next one's ``prev`` must be."""
        return hashlib.sha256(_DIGEST_CONTEXT + self.text()).digest()

    def values(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "directory_version": self.directory_version, "files": {name: each.hex() for name, each in self.files.items()},
            "officers": {agency: kid.hex() for agency, kid in self.officers.items()}, "prev": self.prev.hex(),
            "valid_from_ms": self.valid_from_ms, "version": self.version, "widens": list(self.widens),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A bundle file that was read: form and digests hold. Signatures and place in the chain are not judged, nor are its tests run."""

    manifest: Manifest
    files: Mapping[str, str]
    bundle: Bundle
    scenarios: tuple[Scenario, ...]
    signatures: tuple[bytes, ...]

    def text(self) -> bytes:
        """The file."""
        signatures = [base64.b64encode(each).decode() for each in self.signatures]
        return _canonical({"files": dict(self.files), "manifest": self.manifest.values(), "signatures": signatures, "type": TYPE})

    def with_signature(self, signature: bytes) -> BundleFile:
        """The file with one more signature, in an order that does not depend on who came first."""
        return replace(self, signatures=tuple(sorted({*self.signatures, signature})))

    def failures(self) -> list[str]:
        """Where the bundle decides otherwise than its own tests say; empty if all hold."""
        return failures(self.bundle, self.scenarios)


def propose(
    files: Mapping[str, str], *, version: int, prev: bytes, valid_from_ms: int, widens: Sequence[str], officers: Mapping[str, bytes],
    directory_version: int,
) -> BundleFile:  # fmt: skip
    """An unsigned bundle file of these texts. Raises UsageError at whatever a reader would refuse."""
    unix = {name: text.replace("\r\n", "\n").strip() + "\n" for name, text in files.items()}
    manifest = Manifest(
        version, prev, valid_from_ms, tuple(sorted(set(widens))), dict(sorted(officers.items())), directory_version,
        {name: hashlib.sha256(text.encode()).digest() for name, text in sorted(unix.items())},
    )  # fmt: skip
    read = read_bundle_file(_canonical({"files": unix, "manifest": manifest.values(), "signatures": [], "type": TYPE}))
    if isinstance(read, Refusal):
        raise UsageError(read.reason, advice=read.advice)
    return read


def read_bundle_file(data: bytes) -> BundleFile | Refusal:
    """Read a bundle file; schema and policies are checked strictly. Refusal: BAD_BUNDLE."""
    try:
        return _read(data)
    except (UsageError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Refusal("BAD_BUNDLE", str(error) if isinstance(error, UsageError) else f"the file has not the form of a bundle ({error})")


def _read(data: bytes) -> BundleFile:
    if len(data) > BUNDLE_LIMIT:
        raise UsageError(f"the file has {len(data)} bytes, {BUNDLE_LIMIT} is the most")
    content: Any = json.loads(data)
    if not isinstance(content, dict) or _canonical(cast("dict[str, Any]", content)) != data:
        raise UsageError("the file is not canonical JSON: sorted unique keys, no spaces, plain UTF-8")
    if set(cast("dict[str, Any]", content)) != {"files", "manifest", "signatures", "type"} or content["type"] != TYPE:
        raise UsageError(f"a bundle file has files, manifest, signatures and the type `{TYPE}`, and nothing else")
    manifest = _manifest(content["manifest"])
    files = _texts(content["files"])
    if {name: hashlib.sha256(text.encode()).digest() for name, text in files.items()} != manifest.files:
        raise UsageError("the files are not those that the manifest names by their digests")
    if SCHEMA_FILE not in files or SCENARIOS_FILE not in files:
        raise UsageError(f"`{SCHEMA_FILE}` or `{SCENARIOS_FILE}` is missing")
    cedar = {name: text for name, text in files.items() if name not in NAMED}
    if sum(text.count("@id") for text in cedar.values()) > RULE_LIMIT:
        raise UsageError(f"there are over {RULE_LIMIT} rules: agreements belong into communities of the directory")
    bundle = Bundle.from_texts(manifest.version, files[SCHEMA_FILE], cedar, files.get(FACTS_FILE, ""))
    scenarios = read_scenarios(files[SCENARIOS_FILE])
    if not scenarios:
        raise UsageError(f"`{SCENARIOS_FILE}` holds no scenario: a bundle brings its own tests")
    signatures = tuple(_base64(each) for each in cast("list[Any]", content["signatures"]))
    if list(signatures) != sorted(set(signatures)) or len(signatures) > OFFICER_LIMIT:
        raise UsageError("the signatures are not in order, or one is there twice")
    return BundleFile(manifest, files, bundle, scenarios, signatures)


def _manifest(values: Any) -> Manifest:
    if sorted(cast("dict[str, Any]", values)) != _MANIFEST_FIELDS:
        raise UsageError(f"a manifest has the fields {', '.join(_MANIFEST_FIELDS)}, and no others")
    widens = tuple(str(each) for each in values["widens"])
    officers = {str(ids.agency_id(agency)): _hex(kid, 16) for agency, kid in values["officers"].items()}
    manifest = Manifest(
        _whole(values["version"], 2), _hex(values["prev"], 32), _whole(values["valid_from_ms"], 0), widens, officers,
        _whole(values["directory_version"], 0), {str(name): _hex(each, 32) for name, each in values["files"].items()},
    )  # fmt: skip
    if list(widens) != sorted(set(widens)):
        raise UsageError("`widens` is an ascending list of rule ids, none twice")
    if not OFFICERS_NEEDED <= len(officers) <= OFFICER_LIMIT or len(set(officers.values())) != len(officers):
        raise UsageError(f"`officers` names {OFFICERS_NEEDED} to {OFFICER_LIMIT} agencies, each with a key of its own")
    return manifest


def _texts(values: Any) -> dict[str, str]:
    files: dict[str, str] = {}
    for name, text in values.items():
        if name not in NAMED and not _NAME.fullmatch(name):
            raise UsageError(f"`{ascii(name)[1:60]}` is no name of a file in a bundle: NAME.cedar or {', '.join(NAMED)}")
        if not isinstance(text, str):
            raise UsageError(f"`{name}` is no text")
        files[name] = text
    if len(files) > FILE_LIMIT:
        raise UsageError(f"there are over {FILE_LIMIT} files")
    return files


def _whole(value: Any, low: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= _INTEGER_LIMIT:
        raise UsageError(f"`{str(value)[:40]}` in the manifest is no whole number from {low}")
    return value


def _hex(value: Any, size: int) -> bytes:
    octets = bytes.fromhex(value)
    if len(octets) != size or octets.hex() != value:
        raise UsageError(f"the manifest has something else than {size} bytes in lower-case hex")
    return octets


def _base64(value: Any) -> bytes:
    try:
        octets = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise UsageError("a signature is not base64") from error
    if base64.b64encode(octets).decode() != value:
        raise UsageError("a signature is not base64")
    return octets


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
