"""A register to screen samples against: parties of the public list, alerts about declarations of critical fraud, some about samples.

The messages pass through their schemas and the register's own code; nothing is signed or sent, for that is shown elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from broker.errors import Refusal
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.register.rows import Delivered
from broker.schema.json_form import from_json
from broker.testing.sample_reports import sample_licence
from broker.testing.samples import sample_alert
from tests.support.alert_records import AlertBuilder
from tests.support.deliveries import Kept
from tests.support.records import DECLARATIONS, Built, read_rows
from tests.support.watch_records import PARTIES, WatchBuilder
from tests.unit.register.scene import NOW, changed, put, schemas, with_container

SAMPLES: Final[Mapping[str, tuple[str, str]]] = {
    "wco-declarations/TT_EX004a__TT_EX004a.xml": ("container", "CONU1234567"),
    "wco-declarations/TT_EX010a__TT_EX010a.xml": ("licence", "GBSIEE2E350001-0001"),
    "ens/CC351A_all_optional.xml": ("document", "12AB3C4D5E6F7G8H90"),
    "ens/CC315A_all_optional.json": ("name", "consignee goods name"),
    "edifact/baplie-d95b-dangerous-goods.edi": ("container", "TOLU2566410"),
    "edifact/coprar-d95b.edi": ("container", "MSTI6415664"),
    "edifact/iftsta-d00b.edi": ("document", "ABCD224O4023815X"),
    "air/888-11111111_XFWB.xml": ("document", "888-11111111"),
}  # fmt: skip
"""A sample, and what an alert that is made for it names: each has to be hit by it."""


def message_of(built: Built) -> Message | None:
    """The message of a record; None where its own rules refuse it."""

    def section(family: str, name: str, content: object) -> dict[str, Any] | Refusal:
        schema = schemas().current(family, name)
        assert schema is not None
        return from_json(schema, content)

    message = message_from_json(built.message, section)
    return None if isinstance(message, Refusal) else message


def about(number: int, kind: str, value: str) -> Message:
    """An alert about a sample."""
    alert = sample_alert(f"SG-CUSTOMS/2026/S-{number}", urgency="IMMEDIATE")
    alert = with_container(changed(alert, "core", documents=[{"type": "N705", "id": f"MADE-UP-{number}"}]), f"NONE000000{number}")
    if kind == "container":
        return with_container(alert, value)
    if kind == "document":
        return changed(alert, "core", documents=[{"type": "N705", "id": value}])
    (party,) = alert.sections["parties"]["parties"]
    return changed(alert, "parties", parties=[{**party, "name": value}])


def revoked(number: str) -> Iterator[Message]:
    """A licence, and its revocation."""
    licence = sample_licence("GB-ECJU/2026/L-1")
    for revision, decision in ((1, "GRANT"), (2, "REVOKE")):
        more = {"shipments_in_transit_instruction": "HOLD"} if revision == 2 else {}
        core: dict[str, Any] = {"decision_type": decision, "licence_no": number, "authority": "GB-ECJU", **more}
        yield changed(replace(licence, revision=revision), "core", **core)


def deliveries(folder: Path, *, watches: int | None = None, licence: str = "GBSIEE2E350001-0001") -> Iterator[Delivered]:
    """Everything that the register takes; ``watches``: so many parties of the list (None: all)."""
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    for number, (kind, value) in enumerate(SAMPLES.values(), 1):
        if kind != "licence":
            yield put(about(number, kind, value))
    yield from (put(message) for message in revoked(licence))
    alert, watch = AlertBuilder(folder, now), WatchBuilder(folder, now)
    critical = [row for row in read_rows(folder, DECLARATIONS) if row["Critical Fraud"] == "2"]
    for built in (*(alert(row) for row in critical), *(watch(row) for row in read_rows(folder, PARTIES)[:watches])):
        message = message_of(built)
        if message is not None:
            yield put(message)


def filled(path: Path | None, folder: Path, *, watches: int | None = None) -> Kept:
    """The register."""
    kept = Kept(path)
    kept.store.begin()
    for each in deliveries(folder, watches=watches):
        kept.store.register.take(each)
    kept.store.commit()
    return kept
