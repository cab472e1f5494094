"""What policy sees of a message: the header's labels and the audience, nothing of any other section."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.exchange.decide import labels_of
from broker.exchange.rules import members_of
from broker.families.message import Audience
from tests.unit.exchange.bench import NOW, Bench


def test_labels_are_the_headers() -> None:
    """Every label comes from the signed header; sections are named, the audience is not one of them."""
    bench = Bench()
    draft = bench.author().draft(replace(bench.alert(), audience=Audience(("DE-BAFA",), (), ("AE",))), now_ms=NOW)
    header = draft.header
    labels = labels_of(header, {"agencies": ["DE-BAFA"], "communities": [], "countries": ["AE"]})
    assert labels == draft.labels
    assert labels.sections == ("core", "equipment", "goods", "parties", "route")
    assert (labels.audience_agencies, labels.audience_communities, labels.audience_countries) == (("DE-BAFA",), (), ("AE",))
    assert (labels.originator, labels.valid_until_ms) == ("SG-CUSTOMS", header.valid_until)


def test_content_makes_no_difference() -> None:
    """Two messages that differ in a section's content alone have equal labels, so one remembered decision serves both."""
    bench = Bench()
    message = bench.alert()
    party: dict[str, Any] = {**message.sections["parties"]["parties"][0], "name": "Somebody Else Ltd"}
    other = replace(message, sections={**message.sections, "parties": {"parties": [party]}})
    author = bench.author()
    assert author.draft(message, now_ms=NOW).labels == author.draft(other, now_ms=NOW).labels


def test_members_are_the_directorys() -> None:
    """Policy's view of an agency is its directory entry, suspension included."""
    bench = Bench()
    bench.desk.stand("AE-CUSTOMS", "suspended")
    members = members_of(bench.desk.directory)
    assert (members["SG-CUSTOMS"].country, members["SG-CUSTOMS"].kind) == ("SG", "customs")
    assert members["SG-CUSTOMS"].communities == ("STCE-ASEAN",)
    assert {agency for agency, member in members.items() if member.suspended} == {"AE-CUSTOMS"}
