"""A bundle: one version of the policy schema, the policies and their facts, checked as a whole before anybody decides by it.

Validation is Cedar's strict one, against the schema, plus the rules of :mod:`broker.policy.rules`. It matters: Cedar skips a
``forbid`` that errors, and validation is what finds a misspelt attribute or an unguarded optional one before that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cedarpy

from broker.errors import UsageError
from broker.policy.cedar import actions_of, read_schema, violations
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.facts_file import read_facts
from broker.policy.model import AUDIENCE
from broker.policy.rules import Reading, Rule, read_rules

_DIGEST_CONTEXT: Final = b"broker.policy.bundle/1"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Checked policies of one version. Build it with :meth:`from_texts` or :func:`bundle_of` only.

    ``policies`` is all policy files in order of name, each after a line that names it; ``entities`` the text of the dated facts, read as
    ``facts``, empty where there are none. ``digest`` (32 bytes, SHA-256) covers schema, policies and entities, not the version: equal
    content has an equal digest.
    """

    version: int
    schema: str
    policies: str
    digest: bytes
    entities: str = ""
    facts: Facts = NO_FACTS

    @classmethod
    def from_texts(cls, version: int, schema: str, policies: Mapping[str, str], entities: str = "") -> Bundle:
        """Check texts and make a bundle of them. ``policies`` maps file names to texts. Raises UsageError with file and reason."""
        if not policies:
            raise UsageError("the bundle has no policies", advice="give at least one .cedar file: without any, nothing is ever permitted")
        schema = _unix(schema)
        handle = _schema(schema)
        parts: list[str] = []
        seen: dict[str, str] = {}
        for name in sorted(policies):
            text = _unix(policies[name])
            for rule in _checked(handle, name, text).rules:
                if rule.id in seen:
                    raise UsageError(f"{name}: rule `{rule.id}` is also in {seen[rule.id]}", advice="give each rule an id of its own")
                seen[rule.id] = name
            parts.append(f"// file: {name}\n{text}")
        return _sealed(version, schema, "\n".join(parts), _unix(entities) if entities.strip() else "")

    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in order of id."""
        return tuple(sorted(read_rules(self.policies).rules, key=lambda rule: rule.id))


def bundle_record(bundle: Bundle) -> bytes:
    """The bundle as canonical JSON (sorted keys, no spaces, UTF-8), for the topic ``exchange.policy``."""
    content: dict[str, object] = {
        "digest": bundle.digest.hex(), "policies": bundle.policies, "schema": bundle.schema, "version": bundle.version,
    }  # fmt: skip
    if bundle.entities:
        content["entities"] = bundle.entities
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def bundle_of(record: bytes) -> Bundle:
    """Read :func:`bundle_record` bytes and check the bundle again in full. Raises UsageError."""
    advice = "the record is not what `bundle_record` wrote: have the bundle applied again"
    try:
        content = json.loads(record)
    except (ValueError, RecursionError) as error:
        raise UsageError("the bundle is no JSON", advice=advice) from error
    match content:
        case {"digest": str(digest), "policies": str(policies), "schema": str(schema), "version": int(version)}:
            entities = content.get("entities", "")
        case _:
            raise UsageError("the bundle lacks digest, policies, schema or version", advice=advice)
    ids = [rule.id for rule in _checked(_schema(schema), "bundle", policies).rules]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise UsageError(f"bundle: rule `{twice[0]}` is there twice", advice=advice)
    if not isinstance(entities, str):
        raise UsageError("the bundle's entities are no text", advice=advice)
    bundle = _sealed(version, schema, policies, entities)
    if bundle.digest.hex() != digest or bundle_record(bundle) != record:
        raise UsageError("the bundle's bytes are not canonical, or its digest is another", advice=advice)
    return bundle


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").strip() + "\n"


def _sealed(version: int, schema: str, policies: str, entities: str) -> Bundle:
    if version < 1:
        raise UsageError(f"`{version}` is not a bundle version", advice="count versions from 1")
    digest = hashlib.sha256(_DIGEST_CONTEXT)
    for text in (schema, policies, entities) if entities else (schema, policies):
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return Bundle(version, schema, policies, digest.digest(), entities, read_facts(entities))


def _schema(text: str) -> cedarpy.Schema:
    handle = read_schema(text)
    actions = actions_of(text)
    if f"read:{AUDIENCE}" in actions:
        raise UsageError(f"schema: there is an action `read:{AUDIENCE}`", advice="remove it: recipients never learn who else received")
    if missing := sorted({"publish", "receive", "read:core"} - actions.keys()):
        raise UsageError(f"schema: the action `{missing[0]}` is missing", advice="declare it for principal Agency and resource Message")
    return handle


def _checked(schema: cedarpy.Schema, name: str, text: str) -> Reading:
    try:
        reading = read_rules(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error}", advice=error.advice) from error
    if found := violations(text, schema):
        raise UsageError(f"{name}: {'; '.join(found)}", advice="correct the rule: names and values must be those of the schema")
    return reading
