"""A bundle is checked as a whole before anybody decides by it."""

from __future__ import annotations

import json

import pytest

from broker.errors import UsageError
from broker.policy import cedar
from broker.policy.bundle import Bundle, bundle_of, bundle_record
from tests.unit.policy.shipped import FOLDER, SECTIONS, bundle, policy_texts, schema_text

_HEAD = '@id("extra") @title("An extra rule") @basis("test") '


def _refused(text: str) -> str:
    with pytest.raises(UsageError) as refused:
        Bundle.from_texts(1, schema_text(), {**policy_texts(), "extra.cedar": text})
    assert refused.value.advice
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("permit (", "extra.cedar: not Cedar"),
        ('permit (principal, action == Action::"forward", resource);', "extra.cedar: a permit has no @id"),
        ('@id("a") @title("x") permit (principal, action == Action::"forward", resource);', "rule id"),
        ('@id("ab") @title("x") permit (principal, action == Action::"forward", resource);', "rule `ab` has no @basis"),
        ('@id("ab") @basis("x") permit (principal, action == Action::"forward", resource);', "rule `ab` has no @title"),
        ('@id("ab") @title(" ") @basis("x") forbid (principal, action, resource);', "rule `ab` has no @title"),
        ('@id("r\u0435ad") @title("x") @basis("x") forbid (principal, action, resource);', "`r\\u0435ad` is not a rule id"),
        ('@id("read-core") @title("x") @basis("x") forbid (principal, action, resource);', "is also in extra.cedar"),
        (_HEAD + "permit (principal, action, resource);", "permits every action"),
        (_HEAD + "forbid (principal == ?principal, action, resource);", "slot"),
        (_HEAD + 'forbid (principal, action == Action::"read:audience", resource);', "unrecognized action"),
        (_HEAD + 'forbid (principal, action, resource) when { principal.kind == Kind::"custom" };', "not declared as a valid eid"),
        (_HEAD + "forbid (principal, action, resource) when { principal.suspnded };", "rule `extra`"),
        (_HEAD + "forbid (principal, action, resource) when { resource.embargoUntil < context.now };", "optional attribute"),
        (_HEAD + 'forbid (principal, action, resource) when { resource.category == "X" };', "optional attribute"),
        (_HEAD + 'forbid (principal, action, resource) when { context.now.toDate() > datetime("2026-01-01") };', "calculates with time"),
        (_HEAD + 'forbid (principal, action, resource) when { context.now > datetime("2026-13-01") };', "`2026-13-01` is not a date"),
        (_HEAD + 'forbid (principal, action, resource) when { Agency::"SG-CUSTOMS".suspended };', "need not be a member"),
        (_HEAD + 'forbid (principal == Agency::"SG-\u0421USTOMS", action, resource);', "not an agency id"),
        (_HEAD + 'forbid (principal in Community::"stce", action, resource);', "not a community name"),
        (_HEAD + 'forbid (principal in Country::"\u0405G", action, resource);', "not a plain ASCII name"),
        (_HEAD + 'forbid (principal, action, resource) when { resource.legalBasis == "CM\u0410A" };', "is not ASCII"),
    ],
)
def test_refuses_with_file_and_reason(text: str, reason: str) -> None:
    """Whatever strict validation or our own rules find is said with the file it is in, and what to do."""
    message = _refused(text)
    assert reason in message
    assert ".cedar" in message


def test_a_forbid_that_could_error_does_not_load() -> None:
    """Cedar skips a forbid that errors, so an unguarded optional attribute or a misspelt one must be found before."""
    assert "pap" in _refused(_HEAD + 'forbid (principal, action, resource) when { resource.pap == Pap::"RED" };')


def test_schema_may_not_offer_the_audience() -> None:
    """A schema with an action for the section `audience` is refused: no policy can then release it."""
    with pytest.raises(UsageError, match="read:audience"):
        Bundle.from_texts(1, schema_text().replace('"read:outcome"', '"read:outcome", "read:audience"'), policy_texts())


@pytest.mark.parametrize("action", ["publish", "receive"])
def test_schema_needs_the_actions_that_code_asks(action: str) -> None:
    """A schema without an action that the exchange asks for is refused, not silently never permitted."""
    with pytest.raises(UsageError, match=f"`{action}` is missing"):
        Bundle.from_texts(1, schema_text().replace(f'action "{action}"', f'action "{action}2"'), policy_texts())


def test_broken_schema_and_empty_bundle() -> None:
    """A schema that does not parse, no policies, or version 0 are the caller's mistakes."""
    with pytest.raises(UsageError, match="schema"):
        Bundle.from_texts(1, "entity", policy_texts())
    with pytest.raises(UsageError, match="no policies"):
        Bundle.from_texts(1, schema_text(), {})
    with pytest.raises(UsageError, match="version"):
        Bundle.from_texts(0, schema_text(), policy_texts())


def test_digest_is_of_content() -> None:
    """Order of files, line ends and version do not change the digest; any change of a rule does."""
    texts = policy_texts()
    turned = {name: texts[name].replace("\n", "\r\n") for name in reversed(texts)}
    assert Bundle.from_texts(2, schema_text(), turned).digest == bundle().digest
    texts["stops.cedar"] = texts["stops.cedar"].replace("AMBER_STRICT", "AMBER")
    assert Bundle.from_texts(1, schema_text(), texts).digest != bundle().digest
    assert len(bundle().digest) == 32


def test_record_round_trip() -> None:
    """A bundle survives its record byte for byte."""
    assert bundle_of(bundle_record(bundle())) == bundle()


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "00" * 32},
        {"policies": "permit (principal, action, resource);"},
        {"version": 0},
        {"version": "1"},
        {"extra": 1},
        {"schema": "entity"},
    ],
)
def test_altered_records_are_refused(change: dict[str, object]) -> None:
    """A record whose content, digest or form was changed does not become a bundle."""
    content = json.loads(bundle_record(bundle())) | change
    with pytest.raises(UsageError):
        bundle_of(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("record", [b"", b"\xff", b"[]", b"null", b"[" * 100_000, b"{}"])
def test_garbage_records_are_refused(record: bytes) -> None:
    """Bytes that are no record are refused with advice, whatever they are."""
    with pytest.raises(UsageError):
        bundle_of(record)


def test_record_must_be_canonical() -> None:
    """The same content in other bytes is refused, so that one bundle has one record and one signature."""
    loose = json.dumps(json.loads(bundle_record(bundle()))).encode()
    with pytest.raises(UsageError, match="canonical"):
        bundle_of(loose)


def test_record_with_a_rule_twice() -> None:
    """Ids are unique in a record too: a decision names its rule by id."""
    content = json.loads(bundle_record(bundle()))
    content["policies"] += policy_texts()["stops.cedar"]
    with pytest.raises(UsageError, match="twice"):
        bundle_of(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def test_every_section_has_its_action_and_audience_none() -> None:
    """The shipped schema has one read action for each section of each family, all in the groups read and disclose."""
    actions = cedar.actions_of(schema_text())
    wanted = {f"read:{section}" for sections in SECTIONS.values() for section in sections}
    assert {name for name in actions if name.startswith("read:")} == wanted
    assert all({"read", "disclose"} <= actions[name] for name in wanted)
    assert {name for name in actions if "disclose" not in actions[name]} == {"publish"}


def test_readme_lists_the_rules_as_they_are() -> None:
    """The table for officials has each rule's id, title and basis, word for word, and no rule that is gone."""
    rows = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| `") and line.count("|") == 4]
    assert sorted(rows) == sorted(f"| `{rule.id}` | {rule.title} | {rule.basis} |" for rule in bundle().rules())
