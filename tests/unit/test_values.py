"""Values that are as good as frozen: equal and hashed by their fields, and without room for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.envelope.section import Commitment
from broker.policy.model import Release

COMMITMENT = Commitment("core", b"\x01" * 32, b"\x02" * 32, None)


def test_equal_values_are_one_key() -> None:
    """Memos are keyed by values: two that were made alike are one key, and one that differs in a field is another."""
    alike = Commitment("core", b"\x01" * 32, b"\x02" * 32, None)
    assert alike == COMMITMENT
    assert {COMMITMENT: 1}[alike] == 1
    assert replace(COMMITMENT, section="goods") not in {COMMITMENT: 1}


def test_no_field_can_be_added() -> None:
    """A misspelt field is an error, not a new attribute."""
    with pytest.raises(AttributeError):
        setattr(COMMITMENT, "sections", "goods")  # noqa: B010 (the type checker would refuse the plain form)


def test_a_value_is_not_its_fields() -> None:
    """Values of two types are never equal, whatever they hold."""
    assert Release("a", "b", (), ()) != ("a", "b", (), ())
