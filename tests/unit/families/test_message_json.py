"""The JSON form of a message: it comes from strangers, and it goes round without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.families import message as words
from broker.families.labels import EARLIEST_MS, LATEST_MS
from broker.families.message import Audience, Message
from broker.families.message_json import message_from_json, message_to_json
from broker.values import Correlation, Evaluation

FILE = """
{"family": "alert", "subject": "SG-CUSTOMS/2026/000123", "revision": 1,
 "header": {"urgency": "IMMEDIATE", "tlp": "AMBER+STRICT", "handling": "H0", "purposes": ["STC_ENFORCEMENT"], "legal_basis": "CMAA:SG-AE",
   "audience": {"communities": ["STCE-ASEAN"], "agencies": ["AE-CUSTOMS"]}, "valid_until": "2026-12-20T07:00:00.250+07:00",
   "evaluation": {"source": "B", "information": "I2"},
   "correlation": {"causation": "01932f3c-7c00-7abc-8def-0123456789ab", "target": "MY-CUSTOMS/7", "target_revision": 2}},
 "sections": {"core": {"alert_type": "SHIPMENT"}, "parties": {"parties": []}}}
"""


def test_a_file_is_read() -> None:
    """The documented form gives a message with every label in its place, and defaults for the rest."""
    assert message_from_json(json.loads(FILE)) == Message(
        family="alert",
        subject="SG-CUSTOMS/2026/000123",
        sections={"core": {"alert_type": "SHIPMENT"}, "parties": {"parties": []}},
        audience=Audience(agencies=("AE-CUSTOMS",), communities=("STCE-ASEAN",)),
        urgency="IMMEDIATE",
        tlp="AMBER_STRICT",
        evaluation=Evaluation("B", "I2"),
        legal_basis="CMAA:SG-AE",
        valid_until_ms=1_797_724_800_250,
        correlation=Correlation(bytes.fromhex("01932f3c7c007abc8def0123456789ab"), "MY-CUSTOMS/7", 2),
    )


def test_the_shortest_file_takes_the_defaults() -> None:
    """Header and revision may be left out."""
    read = message_from_json({"family": "licence", "subject": "DE-BAFA/1", "sections": {}})
    assert read == Message("licence", "DE-BAFA/1", {})


def read_changed(path: str, value: Any) -> Message | Refusal:
    whole = json.loads(FILE)
    *steps, last = path.split(".")
    place = whole
    for step in steps:
        place = place[step]
    place[last] = value
    return message_from_json(whole)


@pytest.mark.parametrize(
    ("path", "value", "code", "where"),
    [
        ("famly", "alert", "BAD_FIELD", "famly"),
        ("fam\u202eily", "alert", "BAD_FIELD", "fam\\u202eily"),
        ("family", None, "BAD_FIELD", "family"),
        ("subject", 7, "BAD_FIELD", "subject"),
        ("revision", "1", "BAD_FIELD", "revision"),
        ("revision", True, "BAD_FIELD", "revision"),
        ("revision", 1.0, "BAD_FIELD", "revision"),
        ("revision", 1 << 40, "BAD_FIELD", "revision"),
        ("sections", [], "BAD_FIELD", "sections"),
        ("sections", None, "BAD_FIELD", "sections"),
        ("sections.core", "x", "BAD_FIELD", "sections.core"),
        ("header", None, "BAD_LABELS", "header"),
        ("header.urgencies", "FLASH", "BAD_LABELS", "header.urgencies"),
        ("header.originator", "SG-CUSTOMS", "BAD_LABELS", "header.originator"),
        ("header.urgency", None, "BAD_LABELS", "header.urgency"),
        ("header.tlp", ["RED"], "BAD_LABELS", "header.tlp"),
        ("header.purposes", "STATISTICS", "BAD_LABELS", "header.purposes"),
        ("header.purposes", ["STATISTICS", 1], "BAD_LABELS", "header.purposes[1]"),
        ("header.purposes", ["X"] * 1001, "BAD_LABELS", "header.purposes"),
        ("header.evidential_use", 0, "BAD_LABELS", "header.evidential_use"),
        ("header.valid_until", 1_797_724_800_000, "BAD_LABELS", "header.valid_until"),
        ("header.valid_until", "2026-12-20", "BAD_LABELS", "header.valid_until"),
        ("header.valid_until", "2026-12-20T00:00:00", "BAD_LABELS", "header.valid_until"),
        ("header.valid_until", "2026-02-30T00:00:00Z", "BAD_LABELS", "header.valid_until"),
        ("header.valid_until", "2026-12-20T25:00:00Z", "BAD_LABELS", "header.valid_until"),
        ("header.valid_until", "\N{ARABIC-INDIC DIGIT TWO}026-12-20T00:00:00Z", "BAD_LABELS", "header.valid_until"),
        ("header.evaluation", "B2", "BAD_LABELS", "header.evaluation"),
        ("header.evaluation", {"source": "A"}, "BAD_LABELS", "header.evaluation.information"),
        ("header.evaluation.grade", "A", "BAD_LABELS", "header.evaluation.grade"),
        ("header.audience", ["AE-CUSTOMS"], "BAD_LABELS", "header.audience"),
        ("header.audience.agency", "AE-CUSTOMS", "BAD_LABELS", "header.audience.agency"),
        ("header.audience.agencies", [["AE-CUSTOMS"]], "BAD_LABELS", "header.audience.agencies[0]"),
        ("header.correlation.causation", "0193", "BAD_LABELS", "header.correlation.causation"),
        ("header.correlation.target_revision", 0, "BAD_LABELS", "header.correlation.target_revision"),
        ("header.correlation.case_ref", {}, "BAD_LABELS", "header.correlation.case_ref"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(path: str, value: Any, code: str, where: str) -> None:
    """Every wrong key, type or form is a value with a path, never an exception, and the path is safe to print."""
    refusal = read_changed(path, value)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.path) == (code, where)


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"family": "alert"}, {"family": "a", "subject": "b"}])
def test_what_is_no_message_is_refused(value: object) -> None:
    """Any JSON value may be in a file."""
    refusal = message_from_json(value)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "BAD_FIELD"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


HEADERS = st.dictionaries(st.sampled_from(["tlp", "audience", "valid_until", "correlation"]), JSON)
SECTIONS = st.dictionaries(st.text(max_size=8), JSON, max_size=3)


@given(
    st.fixed_dictionaries(
        {"family": st.just("alert") | JSON, "subject": st.just("A") | JSON, "sections": SECTIONS | JSON},
        optional={"revision": JSON, "header": JSON | HEADERS},
    )
)
def test_no_json_value_breaks_the_reader(value: object) -> None:
    """Whatever JSON holds, the answer is a message or a refusal."""
    assert isinstance(message_from_json(value), Message | Refusal)


TIMES = st.none() | st.integers(EARLIEST_MS, LATEST_MS - 1)
REVISIONS = st.integers(1, (1 << 31) - 1)
TEXTS = st.text(min_size=1, max_size=20)
MESSAGES = st.builds(
    Message,
    family=st.sampled_from(["alert", "licence", "seizure"]),
    subject=TEXTS,
    sections=st.dictionaries(TEXTS, st.dictionaries(TEXTS, JSON.filter(lambda value: value == value), max_size=3), max_size=3),  # no NaN
    audience=st.builds(Audience, *(st.lists(TEXTS, max_size=3).map(tuple) for _ in range(3))),
    revision=REVISIONS,
    urgency=st.sampled_from(words.URGENCIES),
    handling=st.sampled_from(words.HANDLING),
    handling_caveat=st.none() | TEXTS,
    tlp=st.sampled_from(words.TLP),
    pap=st.none() | st.sampled_from(words.PAP),
    evaluation=st.none() | st.builds(Evaluation, st.sampled_from(words.SOURCE_GRADES), st.sampled_from(words.INFORMATION_GRADES)),
    purposes=st.lists(st.sampled_from(words.PURPOSES), max_size=4).map(tuple),
    legal_basis=TEXTS,
    onward=st.sampled_from(words.ONWARD),
    evidential_use=st.booleans(),
    retention=st.sampled_from(words.RETENTION),
    valid_from_ms=TIMES,
    valid_until_ms=TIMES,
    embargo_until_ms=TIMES,
    language=st.none() | st.just("en"),
    correlation=st.builds(
        Correlation, st.none() | st.binary(min_size=16, max_size=16), st.none() | TEXTS, st.none() | REVISIONS, st.none() | TEXTS
    ),
)


@given(MESSAGES)
def test_a_message_goes_round(message: Message) -> None:
    """Writing a message and reading it again, through JSON text, gives an equal message."""
    assert repr(message_from_json(json.loads(json.dumps(message_to_json(message))))) == repr(message)


def test_sections_pass_through_their_own_reader_and_writer() -> None:
    """With a reader and a writer the sections are turned one by one; what the reader refuses ends the reading."""

    def read(family: str, section: str, value: object) -> Mapping[str, Any] | Refusal:
        return {"read": (family, section, value)} if section == "core" else Refusal("BAD_FIELD", "no", f"{section}.x")

    whole = json.loads(FILE)
    assert message_from_json(whole, read) == Refusal("BAD_FIELD", "no", "parties.x")
    del whole["sections"]["parties"]
    message = message_from_json(whole, read)
    assert isinstance(message, Message)
    assert message.sections == {"core": {"read": ("alert", "core", {"alert_type": "SHIPMENT"})}}
    written = message_to_json(message, lambda family, section, record: [family, section, *record])
    assert written["sections"] == {"core": ["alert", "core", "read"]}
