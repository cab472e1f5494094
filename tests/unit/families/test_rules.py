"""The conditional rules of all families, one broken rule at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from broker.errors import Refusal
from broker.families.catalogue import FAMILIES, check, check_shape
from broker.families.code_findings import CODE_FINDINGS
from broker.families.message import Message
from broker.families.rules import FINDINGS
from broker.values import Evaluation
from tests.unit.families.cases import FOUND, IN_TIME, MARKED, REFUSED, TIMED, UNMARKED, identity
from tests.unit.families.samples import GOOD, ISSUED_MS, NOW, REMOVE, changed, findings, good_alert, good_licence, good_seizure, refused

WORD = "MARY NOBODY"
CHOICES = ("core.rest_due",)
GRADED = Evaluation("A", "I2")


def graded(family: str) -> Message:
    return replace(GOOD[family](), evaluation=GRADED)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_good_message_has_no_finding(family: str) -> None:
    """Every rule below is broken by its own change alone, because the message before the change breaks none."""
    assert findings(graded(family)) == []


@pytest.mark.parametrize(("family", "changes", "path"), REFUSED, ids=[identity(*case) for case in enumerate(REFUSED)])
def test_a_broken_rule_is_refused_at_its_field(family: str, changes: dict[str, Any], path: str) -> None:
    """Each conditional rule refuses with BAD_FIELD and the path of the field that the sender has to correct."""
    changes = {where: value for where, value in changes.items() if not (where.startswith("route.") and changes.get("route") is REMOVE)}
    refusal = refused(changed(graded(family), changes))
    assert (refusal.code, refusal.path) == ("BAD_FIELD", path)


def _with_word(value: Any) -> Iterator[Any]:
    """Copies of a value with one text replaced by :data:`WORD`, each in its turn."""
    if isinstance(value, str):
        yield WORD
    elif isinstance(value, Mapping):
        for name, each in cast("Mapping[str, Any]", value).items():
            yield from ({**value, name: made} for made in _with_word(each))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        many = cast("Sequence[Any]", value)
        for at, each in enumerate(many):
            yield from ([*many[:at], made, *many[at + 1 :]] for made in _with_word(each))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_reason_quotes_what_a_section_says(family: str) -> None:
    """Whatever stands in a text field, the reason of the refusal does not say it again: reasons are in the quarantine, whose page is for
    people who are shown no content. Choices of a schema, which nothing else can stand in, are left out."""
    message, tried = GOOD[family](), 0
    for sections in _with_word(dict(message.sections)):
        verdict = check(replace(message, sections=sections), issued_ms=ISSUED_MS[family])
        tried += 1
        if isinstance(verdict, Refusal) and verdict.path not in CHOICES:
            assert WORD not in verdict.reason, verdict
    assert tried > 0 or family == "attachment"


@pytest.mark.parametrize(("family", "changes", "expected"), FOUND, ids=[identity(*case) for case in enumerate(FOUND)])
def test_what_lessens_a_message_is_a_finding(family: str, changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """What is missing but not fatal is told with its path, and nothing else is."""
    assert findings(changed(graded(family), changes)) == expected


@pytest.mark.parametrize(("family", "changes", "path"), TIMED, ids=[identity(*case) for case in enumerate(TIMED)])
def test_an_impossible_time_is_refused_at_its_field(family: str, changes: dict[str, Any], path: str) -> None:
    """What happened lies before the issue, what is to be done after it; the good message keeps both."""
    assert not isinstance(check(graded(family), issued_ms=ISSUED_MS[family]), Refusal)
    refusal = check(changed(graded(family), changes), issued_ms=ISSUED_MS[family])
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.path) == ("BAD_FIELD", path)


@pytest.mark.parametrize(("family", "changes"), IN_TIME, ids=[identity(*case) for case in enumerate(IN_TIME)])
def test_what_is_just_in_time_passes(family: str, changes: dict[str, Any]) -> None:
    """The other side: clocks may differ by five minutes, days by a zone, and only watches for persons end within a year."""
    assert check(changed(graded(family), changes), issued_ms=ISSUED_MS[family]) == []


@pytest.mark.parametrize(("message", "code", "path"), MARKED, ids=[f"{case[0].family}-{case[2]}-{n}" for n, case in enumerate(MARKED)])
def test_sections_and_header_agree(message: Message, code: str, path: str) -> None:
    """A message about another's subject names it, with its revision where that matters, and never one that it may not speak of."""
    refusal = refused(message)
    assert (refusal.code, refusal.path) == (code, path)


@pytest.mark.parametrize("message", UNMARKED, ids=[f"{message.family}-{n}" for n, message in enumerate(UNMARKED)])
def test_what_header_and_sections_may_say(message: Message) -> None:
    """The other side: an owner records its own correction, a request may ask about parties alone or about one's own subject."""
    assert findings(message) == []


def test_a_deadline_that_nobody_can_keep_is_told() -> None:
    """A warning whose deadline is over at its issue still warns; its sender learns that it came too late."""
    deadline = int(NOW.timestamp() * 1000)
    told = check(graded("alert"), issued_ms=deadline)
    assert not isinstance(told, Refusal)
    assert [(finding.code, finding.path) for finding in told] == [("PAST_DEADLINE", "core.decision_deadline")]
    assert check(graded("alert"), issued_ms=deadline - 1) == []


def test_every_finding_can_happen() -> None:
    """No code is in the table of findings that no test has seen; those of identifiers and codes are seen in test_coded."""
    seen = {code for _, _, expected in FOUND for code, _ in expected} | {"NO_EVALUATION", "PAST_DEADLINE"}
    assert seen - {"BAD_HS"} == set(FINDINGS) - set(CODE_FINDINGS)


def test_times_may_be_milliseconds() -> None:
    """The rules about times hold in the codec's other form, Unix milliseconds, which the relay uses."""
    day = 86_400_000
    now = int(NOW.timestamp() * 1000)
    late = changed(graded("licence"), {"core.published_at": now, "core.effective_at": now - day - 1})
    assert findings(late) == [("BACKDATED", "core.effective_at")]
    long = changed(graded("licence"), {"core.effective_at": now, "denial.valid_until": now + 1097 * day})
    assert refused(long).path == "denial.valid_until"
    early = changed(graded("alert"), {"route.places[0].etd": now, "route.places[1].eta": now - 1})
    assert findings(early) == [("ETA_BEFORE_ETD", "route.places[1].eta")]


def test_discreet_surveillance_needs_a_mark_that_keeps_it_secret() -> None:
    """Discreet surveillance with PAP GREEN, or none, would let an officer ask the trader."""
    discreet = changed(good_alert(), {"core.requested_actions": ["DISCREET_SURVEILLANCE"]})
    for pap in (None, "GREEN", "CLEAR"):
        refusal = refused(replace(discreet, pap=pap))
        assert (refusal.code, refusal.path) == ("BAD_LABELS", "header.pap")
    assert not isinstance(check(replace(discreet, pap="AMBER")), Refusal)


def test_a_controlled_delivery_needs_an_embargo() -> None:
    """Without embargo_until the report of a movement under surveillance would reach everybody at once."""
    watched = changed(good_seizure(), {"core.controlled_delivery": True})
    assert refused(watched).path == "header.embargo_until"
    assert not isinstance(check(replace(watched, embargo_until_ms=1_797_724_800_000)), Refusal)


def test_a_source_without_grades_is_a_finding() -> None:
    """Intelligence that nobody graded is let through and remarked on."""
    assert findings(good_alert()) == [("NO_EVALUATION", "header.evaluation")]
    assert findings(good_licence()) == []


NEEDED = [(family.name, section) for family in FAMILIES.values() for section in family.mandatory if section != "audience"]


@pytest.mark.parametrize(("family", "section"), NEEDED, ids=[f"{family}-{section}" for family, section in NEEDED])
def test_a_section_that_every_message_has_may_not_be_missing(family: str, section: str) -> None:
    """Without a mandatory section the message is refused, and the refusal names it."""
    refusal = refused(changed(GOOD[family](), {section: REMOVE}))
    assert (refusal.code, refusal.path) == ("MISSING_SECTION", section)


@pytest.mark.parametrize("family", FAMILIES)
def test_other_sections_may_be_left_out(family: str) -> None:
    """A message with its mandatory sections alone has the shape of its family; what it then lacks are findings or rules between fields."""
    good = GOOD[family]()
    bare = replace(good, sections={name: part for name, part in good.sections.items() if name in FAMILIES[family].mandatory})
    assert check_shape(bare) is None


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        (replace(good_alert(), family="gossip"), "UNKNOWN_FAMILY", "family"),
        (changed(good_alert(), {"core": REMOVE}), "MISSING_SECTION", "core"),
        (changed(good_alert(), {"denial": {}}), "UNKNOWN_SECTION", "denial"),
        (changed(good_alert(), {"audience": {}}), "UNKNOWN_SECTION", "audience"),
        (changed(good_alert(), {"co\u202ere": {}}), "UNKNOWN_SECTION", "co\\u202ere"),
    ],
)
def test_family_and_sections_are_known(message: Message, code: str, path: str) -> None:
    """A message has the sections of its family and no others; audience is a field of its own."""
    refusal = refused(message)
    assert (refusal.code, refusal.path) == (code, path)
