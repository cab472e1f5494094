"""``broker quarantine``: what the relay refused, with code and reason, and the bytes as they came."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.markup import escape

from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.app.watch import read_all
from broker.cli.agency import read_directory
from broker.cli.screen import COMMON, Common, Screen, iso, printable
from broker.errors import REFUSALS, UsageError
from broker.exchange.evidence import evidence_of
from broker.exchange.quarantine import Quarantined, read_quarantined
from broker.exchange.topology import QUARANTINE
from broker.ports import Outgoing

app = App(name="quarantine", help="Records that the relay refused (operator).")


def _json(item: Quarantined) -> dict[str, Any]:
    first = item.first
    found: dict[str, Any] = {
        "place": item.place, "code": item.code, "step": item.step, "reason": item.reason, "path": item.path,
        "advice": REFUSALS[item.code][1], "topic": item.topic, "partition": item.partition, "offset": item.offset,
        "written_at": iso(item.timestamp_ms), "refused_at": iso(item.at_ms), "originator": item.originator, "subject": item.subject,
        "leaf": item.leaf.hex() if item.leaf else None, "bytes": item.size, "kept": len(item.value), "digest": item.digest.hex(),
    }  # fmt: skip
    if first is not None:
        place = f"{item.topic}/{item.partition}/{first.offset}" if first.offset is not None else None
        found["first"] = {"leaf": first.leaf.hex(), "place": place, "evidence": evidence_of(item) is not None}
    return found


async def _items(common: Common) -> list[Quarantined]:
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    transport = operator.transport("registrar")
    try:
        return [read_quarantined(record.value) for record in await read_all(transport, [(QUARANTINE, 0)]) if record.value is not None]
    finally:
        await transport.close()


async def _item(place: str, common: Common) -> Quarantined:
    for item in await _items(common):
        if item.place == place:
            return item
    raise UsageError(f"nothing from `{printable(place)}` is in quarantine", advice="see `broker quarantine list`")


@app.command(name="list")
async def list_(*, code: str | None = None, common: Common = COMMON) -> int:
    """Everything in quarantine, oldest first.

    Example: broker quarantine list --code BAD_SIGNATURE

    Parameters
    ----------
    code
        Only this refusal code.
    """
    screen = Screen(as_json=common.json)
    items = [item for item in await _items(common) if code is None or item.code == code]
    for item in items:
        head = f"[bold]{item.place}[/]  [red]{item.code}[/] at step {item.step}  [dim]{item.size:,} bytes, {iso(item.at_ms)}[/dim]"
        where = f"{item.path}: " if item.path else ""
        screen.result(_json(item), f"{head}\n  {escape(printable(where + item.reason))}")
    if not items:
        screen.remark("nothing is in quarantine" if code is None else f"nothing is in quarantine under {escape(printable(code))}")
    return 0


@app.command
async def show(place: str, /, *, common: Common = COMMON) -> int:
    """One refused record: why, what to do, and its first bytes.

    Example: broker quarantine show out.SG-CUSTOMS/0/17

    Parameters
    ----------
    place
        As `broker quarantine list` prints it.
    """
    item = await _item(place, common)
    Screen(as_json=common.json).result(_json(item) | {"begins": base64.b64encode(item.value[:96]).decode()})
    return 0


@app.command
async def export(place: str, /, *, out: Path, evidence: bool = False, common: Common = COMMON) -> int:
    """Write the refused bytes to a file, untouched: for `broker inspect` (whose keys are brought up to date), or as evidence.

    Example: broker quarantine export out.SG-CUSTOMS/0/17 --out refused.parcel

    Parameters
    ----------
    place
        As `broker quarantine list` prints it.
    out
        The file; it must not exist.
    evidence
        For EQUIVOCATION: the two signed statements that contradict each other, without sections, instead of the refused bytes.
        It holds before anybody who has the directory: `broker inspect` shows both.
    """
    item = await _item(place, common)
    value = _evidence(item) if evidence else _whole(item)
    await read_directory(common, None)
    try:
        with out.open("xb") as file:
            file.write(value)
    except OSError as error:
        raise UsageError(f"`{out}` cannot be written: {error.strerror}", advice="give another --out") from error
    Screen(as_json=common.json).result(_json(item) | {"file": str(out)})
    return 0


def _whole(item: Quarantined) -> bytes:
    """The refused bytes. Raises UsageError where they were not kept, or not to their end."""
    if not item.is_whole:
        raise UsageError(
            f"of the {item.size:,} bytes from {item.place} {len(item.value):,} were kept",
            advice="the sender's outbox has them for a week; the digest in `broker quarantine show` tells whether they are the same",
        )
    return item.value


def _evidence(item: Quarantined) -> bytes:
    """Both statements. Raises UsageError where there are not two."""
    if item.code != "EQUIVOCATION":
        raise UsageError(f"{item.place} was refused as {item.code}, which no second message proves", advice="leave --evidence out")
    found = evidence_of(item)
    if found is None:
        raise UsageError(
            f"the first message that {item.place} contradicts was not kept with it",
            advice="read it from the outbox at the place that `broker quarantine show` names, before it is trimmed",
        )
    return found


@app.command
async def resubmit(place: str, /, *, common: Common = COMMON) -> int:
    """Put refused bytes into the same outbox again, untouched: after the cause was mended (a key registered, say).

    The relay judges them anew, under every rule; the originator's signature still has to hold.

    Example: broker quarantine resubmit out.SG-CUSTOMS/0/17

    Parameters
    ----------
    place
        As `broker quarantine list` prints it.
    """
    item = await _item(place, common)
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    transport = operator.transport("registrar")
    try:
        outlet = await transport.outlet()
        position = await (await outlet.send(Outgoing(item.topic, None, _whole(item), item.partition)))
    finally:
        await transport.close()
    record = _json(item) | {"resubmitted": f"{position.topic}/{position.partition}/{position.offset}"}
    Screen(as_json=common.json).result(record)
    return 0
