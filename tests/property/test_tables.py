"""Whatever is in a table: every row becomes a message or is told with line, code and advice, the rest goes on, and nothing is raised."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from broker.app.importing import Rows, open_rows
from broker.bulk.cells import neutral
from broker.bulk.mapping import read_mapping
from broker.errors import UsageError
from broker.storage.clock import SystemClock
from broker.storage.schemas import load_catalogue
from tests.unit.app.test_importing import HEAD, MAPPING, line

CATALOGUE = load_catalogue()
CELLS = st.one_of(
    st.text(max_size=12), st.sampled_from(['"', '""', "=1+1", "\0", "\ud7ff", "4711", "2026-11-24", "2026-11-24T00:00:00Z", "GRANT", "AE"])
)
ROW = st.lists(CELLS, max_size=8).map(",".join)
DATED = read_mapping(MAPPING.replace("[header]", '[dates]\nfrom = "%Y-%m-%d"\n[split]\nwhat = ";"\n[numbers]\nrev = ","\n[header]'))


def checked(content: bytes) -> list[int]:
    """The lines of everything that was told or made, in order; empty for a file that is refused as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(content)
        lines: list[int] = []
        try:
            for mapping in (DATED, read_mapping(MAPPING)):
                with open_rows(path, mapping, Rows(mapping, CATALOGUE, "DE-BAFA", SystemClock().now_ms)) as (_, rows):
                    found = list(rows)
                for each in found:
                    assert each.rejected == (each.message is None)
                    assert all(remark.advice for remark in each.remarks if remark.severity == "REJECT")
                lines = [each.line for each in found]
        except UsageError:
            return []
        return lines


@given(st.lists(ROW, max_size=12))
@example(['1,1,GRANT,2026-11-24,AE,"a', "b"])
def test_any_cells(rows: list[str]) -> None:
    """Rows of any text behind a good header: the good row before them is made, whatever follows."""
    lines = checked((HEAD + line(1) + "\n".join(rows)).encode("utf-8", "surrogatepass"))
    assert lines[0] == 2


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Any bytes, alone and behind a good header, are rows, bad rows, or wrong use."""
    checked(content)
    checked(HEAD.encode() + content)
    checked(b"PK\x03\x04" + content)


@given(st.text(max_size=40))
def test_no_cell_of_an_export_is_calculated(cell: str) -> None:
    """No first character that a spreadsheet begins a formula with; one apostrophe less gives the cell again."""
    written = neutral(cell)
    assert written[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert cell in (written, written.removeprefix("'"))
