"""Confidential operations: communities whose members do not know of each other, as an immutable value that grows by signed records.

The registrar writes each version of an operation to ``exchange.memberships`` as a note under the key ``operation/<ID>``; relays and
auditors read that topic, nobody else. The payload is one operation in the form of :mod:`broker.policy.facts_file` with a number:

::

    {"basis": ..., "from": ..., "id": "OP-X", "members": {agency: {"from", "until"}}, "title": ..., "until": ..., "version": 2}

as JSON with sorted keys, no spaces and ASCII only, so that one content has one form. Whatever the order in which records come, the last
version of each operation is known in the end, and an older one changes nothing. Changing members is the next version, ending the
operation is its ``until``: nothing is taken from the topic.

What officers signed is stronger than what the registrar signs alone: an operation with the name of a community, agreement, operation or
regime that is public is refused when it is announced, and does not count where it is found (:func:`public_names`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from broker.errors import Finding, Refusal, UsageError
from broker.exchange import notices
from broker.families.lifecycles.tables import RECALL_FAMILY
from broker.families.message import Message
from broker.policy.bundle import Bundle
from broker.policy.facts import NO_FACTS, Circle, Facts
from broker.policy.facts_file import operation_json, read_operation
from broker.policy.rules import read_rules
from broker.trust.directory import Directory
from broker.trust.keys import VerifyKey

_VERSION_LIMIT: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Operation:
    """One version (from 1) of a confidential operation."""

    circle: Circle
    version: int

    @property
    def id(self) -> str:
        """The name under which messages address its members."""
        return self.circle.id

    @property
    def key(self) -> bytes:
        """The key of its records."""
        return f"operation/{self.id}".encode()

    @property
    def payload(self) -> bytes:
        """What the registrar signs of it."""
        content = {**operation_json(self.circle), "version": self.version}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Memberships:
    """The last version of each confidential operation, by id. Believes one registrar about one exchange (``aad``)."""

    registrar: VerifyKey
    aad: bytes
    operations: Mapping[str, Operation] = field(default_factory=dict[str, Operation])

    def applied(self, value: bytes) -> Memberships | Refusal:
        """What is known after one record's value; itself where the record says nothing new. Refusal: BAD_ENTRY."""
        payload = notices.read_notice(value, notices.OPERATION_TYPE, self.registrar, self.aad)
        if isinstance(payload, Refusal):
            return payload
        try:
            new = _operation_of(payload)
        except UsageError as error:
            return Refusal("BAD_ENTRY", str(error))
        old = self.operations.get(new.id)
        if old is not None and old.version == new.version and old != new:
            return Refusal("BAD_ENTRY", f"there are two different operations {new.id} of version {new.version}")
        if old is not None and old.version >= new.version:
            return self
        grown = {**self.operations, new.id: new}
        return replace(self, operations={name: grown[name] for name in sorted(grown)})

    def next(self, circle: Circle) -> Operation:
        """The operation as it would be announced: under the version after the one known; the one known where it says the same."""
        old = self.operations.get(circle.id)
        if old is not None and old.circle == circle:
            return old
        return Operation(circle, old.version + 1 if old else 1)

    def facts(self, bundle: Bundle | None, directory: Directory) -> Facts:
        """The operations as facts to be joined to the bundle's, those left out whose names are public."""
        if not self.operations or bundle is None:
            return NO_FACTS
        public = public_names(bundle, directory)
        return Facts(operations=tuple(each.circle for name, each in self.operations.items() if name not in public))


def public_names(bundle: Bundle, directory: Directory) -> frozenset[str]:
    """What bundle and directory name: communities of agencies, of agreements and in rules, agreements, operations, regimes."""
    facts = bundle.facts
    names = {each for entry in directory.agencies.values() for each in entry.communities}
    names.update(each.id for each in (*facts.agreements, *facts.circles))
    names.update(each for agreement in facts.agreements for each in agreement.communities)
    written = read_rules(bundle.policies).entities
    return frozenset(names.union(written.get("Community", ()), written.get("Agreement", ())))


def not_shown(message: Message, bundle: Bundle | None, directory: Directory) -> tuple[Finding, ...]:
    """What a dry run remarks on an audience: communities whose members, if there are any, the originator does not know. Of a recall it
    knows whom it reaches: those whom receipts named."""
    public = public_names(bundle, directory) if bundle else frozenset[str]()
    hidden = [] if message.family == RECALL_FAMILY else sorted(set(message.audience.communities) - public)
    text = "is no public community: who belongs to it is not shown; who is listed with nothing, or as withdrawn, may be a member and get it"
    return tuple(Finding("INFO", "MEMBERS_NOT_SHOWN", "header.audience.communities", f"{name} {text}") for name in hidden)


def _operation_of(payload: bytes) -> Operation:
    """The inverse of :attr:`Operation.payload`, strict: the same content in another form is refused. Raises UsageError."""
    try:
        content: Any = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UsageError("the record of an operation is no JSON") from error
    if not isinstance(content, dict):
        raise UsageError("the record of an operation is no object")
    values = cast("dict[str, Any]", content)
    version: object = values.pop("version", None)
    if type(version) is not int or not 1 <= version < _VERSION_LIMIT:
        raise UsageError("the record of an operation has no version")
    found = Operation(read_operation(values), version)
    if found.payload != payload:
        raise UsageError(f"the record of {found.id} is not in its only form")
    return found
