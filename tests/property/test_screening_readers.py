"""No reader raises, whatever bytes come, and no matching does for what a reader gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.app.screening import StoredView, screen
from broker.screening.mapping import read_mapping
from broker.screening.reading import FORMATS, Format, read_rows
from broker.screening.shipment import BAD_ROWS, BadRow, Row
from tests.support.deliveries import Kept
from tests.unit.register.scene import NOW
from tests.unit.screening.test_edifact import BAPLIE, CUSCAR
from tests.unit.screening.test_rows import BOX, HEAD, MAPPING
from tests.unit.screening.test_xml import DECLARATION, SUMMARY, WAYBILL

SEEDS: Final[Sequence[tuple[Format, bytes]]] = (
    ("json", BOX.encode()),
    ("json", b'{"metadata": {}, "itinerary": {"loading": 1}, "parties": {"carrier": {"name": "x"}}, "goods": {"goodsItems": [{}, 1]}}'),
    ("csv", f'{HEAD}1,CSQU3054383,847989,"a ""press"" and\nmore",Example,1,10,9074729\n'.encode()),
    ("xml", DECLARATION.encode()), ("xml", SUMMARY.encode()), ("xml", WAYBILL.encode()),
    ("edifact", BAPLIE.encode()), ("edifact", CUSCAR.read_bytes()),
)  # fmt: skip
COLUMNS: Final = read_mapping(MAPPING)

pieces = st.lists(st.binary(max_size=200), max_size=6)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[Format, list[bytes]]:
    """A sound file with parts cut out, doubled, overwritten with other bytes or with signs that mean something, in pieces of any size."""
    form, data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 40)))
        patch = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"<", b'"', b"'", b"{", b"]", b"?", b"\n", b"&#0;", b"+:", b"null", b"1e9"]))
        )
        data = data[:begin] + patch + draw(st.sampled_from([b"", data[begin:end]])) + data[end:]
    size = draw(st.integers(1, 400))
    return form, [data[at : at + size] for at in range(0, len(data), size)]


def check(rows: list[Row]) -> None:
    """Something is said, in known codes, with lines from 1 on; and what was read can be screened."""
    assert rows
    for row in rows:
        assert row.line >= 1
        assert not isinstance(row, BadRow) or row.code in BAD_ROWS
    kept = Kept()
    assert len(list(screen(rows, StoredView(kept.reader, NOW, None)))) == len(rows)
    kept.close()


@pytest.mark.parametrize("form", [None, *FORMATS])
@given(given_pieces=pieces)
@settings(max_examples=150, deadline=None)
def test_any_bytes(form: Format | None, given_pieces: list[bytes]) -> None:
    """Bytes of no meaning are bad rows."""
    check(list(read_rows(given_pieces, form=form, mapping=COLUMNS)))


@given(file=spoiled())
@settings(max_examples=600, deadline=None)
def test_spoiled_files(file: tuple[Format, list[bytes]]) -> None:
    """Files that were sound and are spoiled give rows and bad rows."""
    form, parts = file
    check(list(read_rows(parts, form=form, mapping=COLUMNS)))


NAMES: Final = (
    "units", "goods", "parties", "id", "name", "conveyances", "flight_date", "control_codes", "code", "metadata", "itinerary", "goodsItems",
    "address", "countries", "places", "free_zones", "hs_code", "licence_refs", "documents", "containers",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(NAMES),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@given(value=json_values)
@settings(max_examples=400, deadline=None)
def test_any_json(value: object) -> None:
    """JSON of any shape, with our field names in any place."""
    check(list(read_rows([json.dumps(value).encode()], form="json")))
