"""The page about screening says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from broker.screening.mapping import read_mapping
from broker.screening.matching import INTERMEDIARY_SHARE, NAME_SHARE, WEIGHTS
from broker.screening.reading import FORMATS, read_rows
from broker.screening.shipment import BAD_ROWS, Shipment

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "screening.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_codes_formats_and_weights_are_those_of_the_program() -> None:
    """Every code of a bad row with its advice, every format, every weight."""
    assert all(f"| `{code}` | {advice} |" in PAGE for code, advice in BAD_ROWS.items())
    assert all(f"| `{form}` |" in PAGE for form in FORMATS)
    table = PAGE.partition("| evidence |")[2].partition("\n\n")[0]
    numbers = set(re.findall(r"[0-9]+", table))
    assert {str(weight) for each in WEIGHTS.values() for weight in each.values()} <= numbers
    assert str(round(NAME_SHARE * 100)) in numbers
    assert f"counts {INTERMEDIARY_SHARE} of its" in PAGE


def test_its_examples_are_read() -> None:
    """The mapping and the object of our own form."""
    mapping = read_mapping(block("toml"))
    assert mapping.delimiter == ";"
    (row,) = read_rows([block("json").encode()])
    assert isinstance(row, Shipment)
    assert row.reference == json.loads(block("json"))["reference"]
