"""What admission and decision need to know at one moment: the exchange's name, the directory, the schemas, the policy, code lists."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from broker.envelope import cose
from broker.exchange.openings import NO_OPENINGS, Openings
from broker.exchange.verify import Roots, is_signed
from broker.families.codelists import NO_LISTS, CodeLists
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.model import Member
from broker.schema.catalogue import Catalogue, Section
from broker.trust.directory import Directory
from broker.trust.keys import VerifyKey


@dataclass(frozen=True, slots=True)
class Rules:
    """An immutable view. A new directory entry or policy bundle makes a new view; a batch is judged under one view.

    ``aad`` is the COSE external_aad of this exchange and environment (RFC 9052 section 4.3): a message of a test or exercise
    never verifies in production. ``roots`` begins empty in every view: no verdict outlives the directory it was reached under.
    ``deciding`` (16 bytes) is equal in two views where policy decides alike: the same bundle, the same members as it sees them, and the
    same confidential operations, which only the operator's services know.
    """

    exchange_id: str
    environment: str
    directory: Directory
    catalogue: Catalogue
    aad: bytes
    policy_version: int
    codelists: CodeLists = NO_LISTS
    deciding: bytes = b""
    openings: Openings = NO_OPENINGS
    roots: Roots = field(default_factory=Roots, init=False, compare=False, repr=False)

    @classmethod
    def of(
        cls, directory: Directory, catalogue: Catalogue, policy_version: int, codelists: CodeLists = NO_LISTS, hidden: Facts = NO_FACTS,
        openings: Openings = NO_OPENINGS,
    ) -> Rules:  # fmt: skip
        """The view for the exchange that the directory is pinned to. ``hidden``: confidential operations, ``openings``: those of
        emergencies, where they are known."""
        exchange_id, environment = directory.exchange_id, directory.environment
        aad, deciding = cose.context(exchange_id, environment), deciding_digest(directory, policy_version, hidden, openings.digest)
        return cls(exchange_id, environment, directory, catalogue, aad, policy_version, codelists, deciding, openings)

    def signed_by(self, statement: cose.Sign1, signed: bytes, key: VerifyKey) -> bool:
        """Whether this key signed the statement for this exchange and environment; ``signed`` is its Sig_structure."""
        return is_signed(statement, signed, key, exchange_id=self.exchange_id, environment=self.environment, roots=self.roots)

    def schema(self, name: str) -> Section:
        """This program's schema of ``header``, ``slip`` or ``receipt``, which every catalogue has and a content type names."""
        section = self.catalogue.current(name, name)
        if section is None:
            raise LookupError(f"the catalogue has no schema for {name}")
        return section

    def version(self, name: str, version: int) -> Section:
        """One version of these."""
        section = self.catalogue.named(name, name, version)
        if section is None:
            raise LookupError(f"the catalogue has no version {version} of {name}")
        return section

    def written(self, name: str) -> Section:
        """The schema of these that is written: a new version not before the exchange has announced it, which its operator does when
        everybody can read it."""
        section = self.catalogue.written(name, name)
        if section is None:
            raise LookupError(f"the catalogue has no schema for {name}")
        return section


def members_of(directory: Directory) -> dict[str, Member]:
    """The directory's agencies as policy sees them."""
    return {
        entry.agency: Member(
            agency=entry.agency,
            country=entry.country,
            kind=entry.kind,
            communities=tuple(entry.communities),
            suspended=entry.status != "active",
        )
        for entry in directory.agencies.values()
    }


def deciding_digest(directory: Directory, policy_version: int, hidden: Facts = NO_FACTS, opened: bytes = b"") -> bytes:
    """What decisions depend on besides the message and the time, as 16 bytes: keys come and go, and nothing has to be decided again."""
    members = [[m.agency, m.country, m.kind, sorted(m.communities), m.suspended] for _, m in sorted(members_of(directory).items())]
    operations = [
        [each.id, each.span.dates, sorted((agency, span.dates) for agency, span in each.members.items())] for each in hidden.operations
    ]  # fmt: skip
    # Without confidential operations it is what it was before there could be any: a new program decides nothing again.
    content = [policy_version, members, *([operations] if operations else []), *([opened.hex()] if opened else [])]
    return hashlib.sha256(json.dumps(content).encode()).digest()[:16]


def decider_of(bundle: Bundle, directory: Directory, hidden: Facts = NO_FACTS) -> Decider:
    """Decisions under this bundle for this directory's agencies, and with these confidential operations besides the bundle's own."""
    return Decider(bundle, members_of(directory), facts=bundle.facts.joined(hidden))
