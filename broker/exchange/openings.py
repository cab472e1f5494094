"""Emergency openings in force: what two officers opened to an agency for a day, as an immutable value that grows by carried records.

The registrar carries a file that officers signed (:mod:`broker.trust.opening`) to ``exchange.memberships``, which relays and auditors read
alone: to whom a subject was opened is nobody else's to know. The note's own time does not count, the record's does. Each opening has a
record of its own, under a key that no other has, and stays for auditors.

An opening becomes a fact of its subject like an owner's consent (:mod:`broker.exchange.consent`), with the rules ``receive-emergency`` and
``read-emergency``; no prohibition gives way to it. When its time is over, who held the subject by it alone is told to erase it. The
owner learns of it by a receipt that names agency, officers and reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from broker.envelope import cose
from broker.errors import Finding, Refusal
from broker.exchange import notices
from broker.exchange.policy_chain import PolicyChain
from broker.policy.model import Consent
from broker.trust.directory import Directory
from broker.trust.officers import entitled, openers
from broker.trust.opening import LIFE_MS, Opening, read_opening_file

OPENING_TYPE: Final = "application/vnd.broker.emergency+json;v=1"
KEY: Final = b"opening/"
"""How the keys of these records begin."""


@dataclass(frozen=True, slots=True)
class InForce:
    """An opening that counts, from when it was carried (Unix milliseconds), and whose officers signed it."""

    opening: Opening
    from_ms: int
    officers: tuple[str, ...]

    @property
    def remark(self) -> Finding:
        """What the owner reads of it."""
        reason = f"opened to {self.opening.agency} in an emergency by officers of {' and '.join(self.officers)}: {self.opening.reason}"
        return Finding("WARN", "EMERGENCY_OPENING", "", reason)

    @property
    def consent(self) -> Consent:
        """The fact that policy reads."""
        return Consent(self.opening.agency, self.opening.sections, self.from_ms, self.opening.until_ms, emergency=True)


@dataclass(frozen=True, slots=True)
class Openings:
    """All that were carried, by name, whether their time is over or not."""

    known: Mapping[str, InForce] = field(default_factory=dict[str, InForce])

    def after_record(self, value: bytes, at_ms: int, directory: Directory, chain: PolicyChain) -> Openings | Refusal:
        """With one record; itself where it says nothing new. ``at_ms`` is the record's time. Refusals: BAD_ENTRY, BAD_OPENING,
        OPENING_TOO_LONG, BAD_SIGNATURE, TOO_FEW_OFFICERS."""
        aad = cose.context(directory.exchange_id, directory.environment)
        payload = notices.read_notice(value, OPENING_TYPE, directory.registrar, aad)
        if isinstance(payload, Refusal):
            return payload
        file = read_opening_file(payload)
        if isinstance(file, Refusal):
            return file
        if file.name in self.known:
            return self
        officers = judged(file, at_ms, directory, chain)
        if isinstance(officers, Refusal):
            return officers
        return replace(self, known={**self.known, file.name: InForce(file, at_ms, officers)})

    def of(self, subject: str, now_ms: int) -> tuple[InForce, ...]:
        """Those of a subject whose time is not over."""
        return tuple(each for each in self.known.values() if each.opening.subject == subject and now_ms < each.opening.until_ms)

    @property
    def digest(self) -> bytes:
        """Equal where the same were carried."""
        return hashlib.sha256("".join(sorted(self.known)).encode()).digest() if self.known else b""


def judged(file: Opening, at_ms: int, directory: Directory, chain: PolicyChain) -> tuple[str, ...] | Refusal:
    """The agencies whose officers opened it, if it counts when it is carried at ``at_ms``. Refusals: OPENING_TOO_LONG, BAD_SIGNATURE,
    TOO_FEW_OFFICERS."""
    left = file.until_ms - at_ms
    if not 0 < left <= LIFE_MS:
        return Refusal("OPENING_TOO_LONG", f"it ends {left // 60_000} minutes after it was carried: it may last a day, and not be over")
    officers = openers(file, directory, at_ms)
    if isinstance(officers, Refusal):
        return officers
    return entitled(officers, chain.officers, directory) or officers


NO_OPENINGS: Final = Openings()
