"""The labels of a message that nobody has sent are those that its publisher would sign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.errors import Refusal
from broker.exchange.publish import encode_sections, preview
from broker.exchange.unsent import unsent_labels
from broker.families.message import Audience
from broker.storage.schemas import load_catalogue
from tests.unit.exchange.bench import NOW, Bench


def test_they_are_the_publishers() -> None:
    """With and without times and an audience: the same labels as in a dry run on an exchange."""
    bench = Bench()
    rules = bench.rules
    for message in (
        bench.alert(),
        replace(bench.alert(), audience=Audience(("DE-BAFA",), ("STCE-ASEAN",), ("AE",)), tlp="GREEN", pap="RED", embargo_until_ms=NOW),
    ):
        encoded = encode_sections(message, "SG-CUSTOMS", rules)
        assert not isinstance(encoded, Refusal)
        assert unsent_labels(message, rules.catalogue) == preview(message, encoded, originator="SG-CUSTOMS", now_ms=NOW)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"family": "gossip"}, "UNKNOWN_FAMILY"),
        ({"subject": "nobody"}, "BAD_LABELS"),
        ({"tlp": "PINK"}, "BAD_LABELS"),
        ({"sections": {}}, "MISSING_SECTION"),
        ({"sections": {"core": {}}}, "BAD_FIELD"),
        ({"sections": {"audience": {}}}, "UNKNOWN_SECTION"),
    ],
)
def test_what_publishing_refuses_is_refused(change: dict[str, object], code: str) -> None:
    """No label is made up for a message that could not be sent."""
    found = unsent_labels(replace(Bench().alert(), **change), load_catalogue())  # pyright: ignore[reportArgumentType]
    assert isinstance(found, Refusal)
    assert found.code == code
