"""The chain of duty contacts: what is a chain, and what is refused with what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.errors import UsageError
from broker.families.clocks.dates import HOUR_MS
from broker.families.clocks.duty import Contact
from broker.storage.contacts import read_contacts


def test_a_chain(tmp_path: Path) -> None:
    """In order, with minutes; no file is no contact."""
    path = tmp_path / "contacts.json"
    assert read_contacts(path) == ()
    path.write_text('{"contacts": [{"name": "DUTY_OFFICER"}, {"name": "当直", "after_minutes": 240}]}', encoding="utf-8")
    assert read_contacts(path) == (Contact("DUTY_OFFICER"), Contact("当直", 4 * HOUR_MS))


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"contacts": {}}', '{"contacts": [], "more": 1}', '{"contacts": ["X"]}', '{"contacts": [{"name": ""}]}',
        '{"contacts": [{"name": "a\\u202eb"}]}', '{"contacts": [{"name": "A", "after_minutes": -1}]}', '{"contacts": [{"name": 7}]}',
        '{"contacts": [{"name": "A", "after_minutes": true}]}', '{"contacts": [{"name": "A", "after_minutes": 1.5}]}',
        '{"contacts": [{"name": "A", "mail": "a@example.org"}]}', '{"contacts": [{"name": "A"}, {"name": "A", "after_minutes": 5}]}',
        '{"contacts": [{"name": "A", "after_minutes": 5}, {"name": "B"}]}', "[" * 100_000,
        json.dumps({"contacts": [{"name": f"N{number}"} for number in range(11)]}),
    ],
)  # fmt: skip
def test_what_is_no_chain(tmp_path: Path, content: str) -> None:
    """Wrong forms, unknown fields, names that lie on a screen, doubles, a wrong order: named with the file and a good example."""
    path = tmp_path / "contacts.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"contacts\.json") as refused:
        read_contacts(path)
    assert "DUTY_OFFICER" in refused.value.advice


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file that is no UTF-8 is wrong use, never a traceback."""
    path = tmp_path / "contacts.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        read_contacts(path)
