"""Shipments in XML, by the document's own name: WCO declarations, entry summaries, waybills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from broker.screening import ens, waybill, wco
from broker.screening.shipment import Chunks, Row
from broker.screening.xml_tree import Element, read_records

_READERS: Final[Mapping[str, Callable[[Element], Row]]] = {
    **dict.fromkeys(wco.RECORDS, wco.of_wco), **dict.fromkeys(ens.RECORDS, ens.of_ens),
    **dict.fromkeys(waybill.RECORDS, waybill.of_waybill),
}  # fmt: skip


def read_xml_rows(chunks: Chunks) -> Iterator[Row]:
    """The shipments of a file, in order."""
    for found in read_records(chunks, frozenset(_READERS)):
        yield _READERS[found.name](found) if isinstance(found, Element) else found
