"""``broker export``: what an agency holds, for other systems, in their formats."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from cyclopts import Parameter
from rich.markup import escape

from broker.app import Member, process
from broker.app.connect import connect
from broker.app.export_views import Record, held
from broker.app.exporting import About, export_to
from broker.app.left_out import LeftOut
from broker.app.message_forms import delivery_json, withheld_json
from broker.app.register import WAIT_S
from broker.cli.register import looked_up
from broker.cli.screen import COMMON, STDIN, Common, Screen, iso, printable
from broker.cli.withholding import Purpose, checked_purpose
from broker.errors import UsageError
from broker.exchange.use import Withheld, closed, labels_held, usable
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.storage.schemas import load_catalogue

View = Literal["alerts", "licences", "inbox", "trace"]
Format = Literal["csv", "jsonl", "stix", "cloudevents", "cloudevents-avro"]


async def export(
    *,
    as_: Annotated[str, Parameter(name="--as")],
    view: View,
    format_: Annotated[Format, Parameter(name="--format")] = "jsonl",
    purpose: Purpose = None,
    output: Path | None = None,
    ended: Annotated[bool, Parameter(negative="")] = False,
    wait: float = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Write what an agency holds for another system: a table, JSON Lines, STIX 2.1 with marks of TLP 2.0, or CloudEvents 1.0.

    Example: broker export --as AE-CUSTOMS --view alerts --format csv --output alerts.csv

    Example: broker export --as AE-CUSTOMS --view inbox --format stix --purpose STC_ENFORCEMENT

    Parameters
    ----------
    as_
        The agency of this home.
    view
        alerts and licences as the register knows them, the inbox as it lies there, or the trace of every subject of one's own.
    format_
        csv, jsonl, stix, cloudevents (JSON array) or cloudevents-avro (Avro container file).
    purpose
        What it is exported for, such as STC_ENFORCEMENT: what the rules do not open for it is not in the export, and counted.
    output
        The file to write; it appears when it is whole. By default standard output.
    ended
        Take in alerts past their time.
    wait
        Seconds to read what is new into the register; then what is stored is exported. The inbox is read to its end.
    """
    purpose = checked_purpose(purpose)
    screen, catalogue = Screen(as_json=common.json), load_catalogue()
    member = Member(common.home, as_, connect, bootstrap=common.bootstrap)
    settings = member.files.settings()
    about = About(view, settings.exchange_id, as_, iso(member.clock.now_ms()) or "")
    process.settle()
    withheld: list[Withheld] = []
    left_out, count = LeftOut(), 0
    with _opened(output) as out, screen.counting("exporting", None) as bar:
        written = export_to(out, format_, about, catalogue)
        if view == "inbox":
            count = await _inbox(screen, member, written.add, purpose, withheld, left_out)
        else:
            async with looked_up(common, as_, wait, purpose) as looked:
                records = held(view, looked.reader, looked.use, member.recalls(), member.files.publisher_store, looked.now_ms, ended=ended)
                for record in records:
                    written.add(record)
                    count += 1
                    bar.advance(bar.task_ids[0])
                withheld += looked.use.withheld.values()
                left_out = LeftOut.of_register(looked.use)
        written.finish()
    _tell(screen, about, count, withheld, left_out, purpose, output)
    return 0


async def _inbox(
    screen: Screen, member: Member, add: Callable[[Record], None], purpose: str | None, withheld: list[Withheld], left_out: LeftOut
) -> int:
    """What lies in the inbox, read without moving the agency's own position; how many."""
    agency, catalogue, now_ms, count = member.files.agency, load_catalogue(), member.clock.now_ms(), 0
    transport = member.transport()
    try:
        subscriber = member.subscriber(transport, store=member.passing_store())

        async def keep(delivery: Delivery) -> Outcome:
            nonlocal count
            labels, bound = labels_held(delivery.header, agency), dict(delivery.slip.bound)
            decider = None if purpose is None else subscriber.knowledge.decider
            verdict = usable(decider, agency, "replay", labels, now_ms, purpose, bound)
            if not verdict.allowed:
                withheld.append(Withheld.of_header(delivery.header, delivery.slip.admitted_at, verdict))
                left_out.add_message(withheld[-1].rule)
                return DONE
            shut = closed(decider, agency, labels, delivery.sections, now_ms, purpose, bound)
            record = delivery_json(delivery, catalogue)
            record["sections"] = {name: each for name, each in record["sections"].items() if name not in shut}
            record["withheld"] = sorted({*record["withheld"], *shut})
            record["withheld_by"] = record["withheld_by"] | shut
            left_out.add_sections(shut.values())
            add(record)
            count += 1
            return DONE

        counts = await subscriber.run(keep, start="beginning", until_end=True)
        if counts.refused or counts.gaps:
            screen.note(f"[red]{counts.refused} deliveries refused, {counts.gaps} gaps[/]: see the log lines, and tell an auditor")
    finally:
        await transport.close()
    return count


@contextlib.contextmanager
def _opened(output: Path | None) -> Generator[BinaryIO]:
    """Where the export goes: a file beside the one that is named, put in its place when it is whole. Raises UsageError."""
    if output is None or str(output) == STDIN:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f".{output.name}.part")
    try:
        # Readable by its owner alone: it holds what was disclosed to this agency.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.replace(output)
    except (OSError, ValueError) as error:
        raise UsageError(f"`{output}` cannot be written: {getattr(error, 'strerror', error)}", advice="name another --output") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            part.unlink(missing_ok=True)


def _tell(
    screen: Screen, about: About, count: int, withheld: list[Withheld], left_out: LeftOut, purpose: str | None, output: Path | None
) -> None:
    """How many are in it, and what is not and by which rule, at the end: for people on standard error; with --json as a line on standard
    output, and on standard error where the export itself goes to standard output."""
    place = str(output) if output is not None else "standard output"
    if screen.as_json:
        record = {"view": about.view, "records": count, "output": place, "at": about.at, "left_out": left_out.json()}
        if output is None or str(output) == STDIN:
            sys.stderr.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
            return
        screen.result(record | {"withheld_here": [withheld_json(each, purpose) for each in withheld]})
    screen.note(f"[dim]{count:,} records of {about.view} to {escape(printable(place))}[/]")
    why = f"the rules do not open them for the purpose {purpose}" if purpose else "the owner consented to them for some purposes alone"
    for kind, counts in (("messages", left_out.messages), ("sections", left_out.sections)):
        if counts:
            rules = ", ".join(f"{rule} {number:,}" for rule, number in sorted(counts.items()))
            screen.note(f"[yellow]{counts.total():,} {kind} are not in it[/]: {why} ({escape(printable(rules))})")
