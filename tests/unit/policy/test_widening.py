"""Widening: what a new bundle gives beyond the old one and beyond the rules that it declares."""

from __future__ import annotations

import pytest

from broker.policy.bundle import Bundle
from broker.policy.cedar import actions_of
from broker.policy.widening import by_decision, changed_rules, label_space, only_forbids_more, touched_actions, undeclared
from tests.support.officers import NO_PARTIES, files_without
from tests.unit.policy.shipped import bundle, policy_texts, schema_text

_HEAD = ' &&\n  [Family::"alert"'
WIDE = (
    'principal.kind == Kind::"licensing"' + _HEAD,
    '[Kind::"licensing", Kind::"fiu"].contains(principal.kind)' + _HEAD,
)
"""Turns the first of the rules of licensing authorities in read.cedar into one of financial intelligence units too."""


READ_ALL = NO_PARTIES.replace("forbid", "permit").replace("stop-parties", "read-all-parties")


PUBLISH_OWN = (
    '@id("publish-own") @title("All publish") @basis("test") permit (principal, action == Action::"publish", resource) '
    "when { resource.originator == principal };"
)


def changed(old: str = "", new: str = "", **more: str) -> Bundle:
    texts = {name: text.replace(old, new, 1) if old else text for name, text in policy_texts().items()}
    return Bundle.from_texts(2, schema_text(), texts | {f"{name}.cedar": text for name, text in more.items()})


def test_narrowing_declares_nothing() -> None:
    """A new prohibition gives nobody anything, nor does no change, nor a condition that fewer meet than before."""
    assert undeclared(bundle(), changed(stop=NO_PARTIES), (), ()) == ()
    assert undeclared(bundle(), bundle(), (), ()) == ()
    assert undeclared(changed(*WIDE), bundle(), (), ()) == ()


def test_a_prohibition_hides_no_permission() -> None:
    """The cases are left out where prohibitions were added, or nothing was; not where a permit is new, loosened or gone besides, where
    another prohibition is gone, or where the schema is another."""
    assert only_forbids_more(bundle(), bundle())
    assert only_forbids_more(bundle(), changed(stop=NO_PARTIES))
    assert not only_forbids_more(bundle(), changed(stop=NO_PARTIES, more=READ_ALL))
    assert not only_forbids_more(bundle(), changed(*WIDE, stop=NO_PARTIES))
    assert not only_forbids_more(changed(stop=NO_PARTIES), changed(stop=NO_PARTIES.replace("stop-parties", "stop-others")))
    assert not only_forbids_more(changed(more=READ_ALL), bundle())
    other_schema = Bundle.from_texts(2, schema_text() + "\nentity Other;\n", policy_texts())
    assert not only_forbids_more(bundle(), other_schema)


def test_loosened_condition_is_found_unless_declared() -> None:
    """A rule that applies to one kind more is found, with the agency, the section and the rule; declared, it is what was meant; the
    declaration of another rule does not cover it."""
    wide = changed(*WIDE)
    assert wide.policies != bundle().policies
    found = undeclared(bundle(), wide, ["read-core"], ())
    assert "a made-up alert under TLP:GREEN: XA-FIU reads goods by `read-goods-licensing`, which it could not before" in found
    assert undeclared(bundle(), wide, ["read-goods-licensing"], ()) == ()


def test_declared_rule_covers_no_other() -> None:
    """Two rules are loosened and one is declared: what the other gives is told."""
    wide = changed(*WIDE, more=READ_ALL)
    found = undeclared(bundle(), wide, ["read-goods-licensing"], ())
    assert found[0] == "the permission `read-all-parties` is new and is not declared"
    assert all("read-all-parties" in line for line in found)


def test_prohibition_that_is_gone() -> None:
    """Without a prohibition more is given, by rules that did not change: the missing rule is what has to be declared."""
    files = files_without("stop-auditor")
    less = Bundle.from_texts(2, schema_text(), {name: text for name, text in files.items() if name.endswith(".cedar")})
    found = undeclared(bundle(), less, (), ())
    assert found[0] == "the prohibition `stop-auditor` is gone, which is not declared"
    assert any("XA-AUDITOR receives it" in line for line in found)
    assert undeclared(bundle(), less, ["stop-auditor"], ()) == ()


@pytest.mark.parametrize(
    ("new", "touched"),
    [
        (changed(*WIDE), {"read:goods"}),
        (changed(more=READ_ALL), {"read:parties"}),
        (changed(more=PUBLISH_OWN), {"publish"}),
        (changed('@id("receive-named")', '@id("receive-any")'), {"receive"}),
    ],
)  # fmt: skip
def test_only_what_can_have_changed_is_asked(new: Bundle, touched: set[str]) -> None:
    """Of a rule about one section that section alone is asked, and the same is found as if everything were."""
    assert touched_actions(bundle(), new) == touched
    cases = [case for case in label_space(bundle(), new) if case.labels.family in ("alert", "licence")]
    every = frozenset(actions_of(new.schema))
    found = list(by_decision(bundle(), new, bundle(), cases, touched_actions(bundle(), new)))
    assert found == list(by_decision(bundle(), new, bundle(), cases, every))
    assert bool(found) == (touched != {"receive"}), "only a new name gives nobody more"


def test_another_schema_or_other_facts_touch_everything() -> None:
    """What a rule is given may be something else then, so nothing is left out; of layout nothing is touched."""
    other = Bundle.from_texts(2, schema_text() + "\nentity Other;\n", policy_texts())
    facts = Bundle.from_texts(2, schema_text(), policy_texts(), '{"agreements": []}')
    assert touched_actions(bundle(), other) == touched_actions(bundle(), facts) == frozenset(actions_of(schema_text()))
    assert touched_actions(bundle(), changed("permit (", "// a remark\npermit  (")) == frozenset()


def test_schema_that_drops_a_word() -> None:
    """Where the old rules do not fit the new schema nothing can be compared, and that is told."""
    schema = schema_text().replace(', "TRAINING"\n', "\n")
    old = changed(more=NO_PARTIES.replace("resource);", 'resource) when { resource.purposes.contains(Purpose::"TRAINING") };'))
    found = undeclared(old, Bundle.from_texts(2, schema, policy_texts()), (), ())
    assert any("do not fit the new schema" in line for line in found)


def test_cases_are_the_same_each_time() -> None:
    """The space is made of the two bundles alone: every family under every mark, and the names and dates that rules write out."""
    dated = changed(
        more=NO_PARTIES.replace("principal,", 'principal in Country::"ZA",').replace(
            "resource);", 'resource) when { context.now < datetime("2027-01-01T00:00:00Z") };'
        )
    )
    cases = list(label_space(bundle(), dated))
    assert cases == list(label_space(bundle(), dated))
    assert len({(case.labels.family, case.labels.tlp) for case in cases}) == 19 * 5
    assert {case.now_ms for case in cases} >= {1_798_761_600_000, 1_798_761_599_999}
    assert "ZA-CUSTOMS" in cases[0].members


def test_changed_rules_are_named() -> None:
    """What an officer is shown: rules that are new, gone, or say something else; layout and comments are no change."""
    assert changed_rules(bundle(), changed("permit (", "// a remark\npermit  (")) == {"added": [], "gone": [], "changed": []}
    assert changed_rules(bundle(), changed(*WIDE, stop=NO_PARTIES)) == {
        "added": ["stop-parties"], "gone": [], "changed": ["read-goods-licensing"]
    }  # fmt: skip
    assert changed_rules(changed(stop=NO_PARTIES), bundle())["gone"] == ["stop-parties"]
