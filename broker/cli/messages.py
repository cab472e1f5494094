"""``broker publish`` and ``broker subscribe``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from cyclopts import Parameter
from rich.markup import escape

from broker.app import Member, process
from broker.app.acknowledging import Acknowledger
from broker.app.connect import connect
from broker.app.message_forms import answered_json, delivery_json, message_of, previewed_json, refused_json
from broker.cli.attachments import Attaching
from broker.cli.reading import ReadAhead
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.cli.stopping import stop_signal
from broker.cli.trustfile import keep_trust
from broker.cli.withholding import Purpose, Screening, checked_purpose
from broker.errors import Refusal, RefusedError, UsageError
from broker.families.ack import AckLevel
from broker.families.attachment import FAMILY as ATTACHMENT
from broker.families.catalogue import FAMILIES
from broker.families.message import Message
from broker.ports import Transport
from broker.schema.catalogue import Catalogue
from broker.service.publisher import Publisher
from broker.service.subscriber import DONE, Counts, Delivery, Handler, Outcome, Subscriber
from broker.storage.schemas import load_catalogue

READABLE = tuple(name for name in FAMILIES if name != ATTACHMENT)
"""What is printed where no family is named: chunks of files are nothing to be read on a screen."""
AT_ONCE = 2000
"""Messages on their way at a time."""


def outcome_told(record: dict[str, Any]) -> str:
    """An outcome for people."""
    good = record["outcome"] in ("accepted", "would be accepted")
    head = f"[{'green' if good else 'red'}]{record['outcome']}[/] {escape(printable(str(record['subject'])))}"
    lines = [head + (f" revision {record['revision']}" if record["revision"] else "")]
    if not good:
        where = f" at {record['path']}" if record.get("path") else ""
        lines.append(f"  {record['code']}{escape(printable(where))}: {escape(printable(record['reason']))}")
        lines.append(f"  [dim]{escape(printable(record['advice']))}[/dim]" if record["advice"] else "")
    for each in record["recipients"]:
        if each["withdrawn"]:
            lines.append(
                f"  {each['agency']:<16} [yellow]withdrawn[/]: it held an earlier revision, and is told that it may not any longer"
            )
            continue
        rules = each.get("rules", {})
        given = ", ".join(f"{name} [dim]({rules[name]})[/dim]" if name in rules else name for name in each["sections"])
        withheld = ", ".join(f"{name} [dim]({rules[name]})[/dim]" if name in rules else name for name in each["withheld"])
        lines.append(f"  {each['agency']:<16} {given}" + (f"  [yellow]withheld[/]: {withheld}" if withheld else ""))
    lines += [f"  {each['agency']:<16} [yellow]nothing[/]: {escape(printable(each['reason']))}" for each in record.get("denied", [])]
    lines += [f"  [dim]{f['severity']} {f['code']} {f['path']}: {escape(printable(f['reason']))}[/dim]" for f in record["findings"]]
    return "\n".join(line for line in lines if line)


def publisher_of(common: Common, agency: str) -> AbstractAsyncContextManager[Publisher]:
    """The publisher of an agency of this home, started, for the length of the block."""
    return Member(common.home, agency, connect, bootstrap=common.bootstrap, codelists=common.codelists).publishing()


async def publish(
    *files: str,
    as_: Annotated[str, Parameter(name="--as")],
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    rate: float | None = None,
    attach: Annotated[list[Path] | None, Parameter(negative="")] = None,
    timeout: float = 60.0,
    common: Common = COMMON,
) -> int:
    """Publish messages and wait for the relay's receipts.

    Example: broker publish alerts.jsonl --as SG-CUSTOMS

    Example: broker publish alert.json --as SG-CUSTOMS --attach scan.png --attach report.pdf

    Parameters
    ----------
    files
        JSON or JSON Lines files; - is standard input.
    as_
        The agency of this home that publishes.
    dry_run
        Send nothing: say who would see which sections, and by which rule.
    rate
        Messages per second at the most.
    attach
        A picture or document of 50 MiB at the most that the one message cites; may be given several times. It is sent encrypted, to those
        who get the message's attachments.
    timeout
        Seconds to wait for each receipt.
    """
    if not files:
        raise UsageError("no file was named", advice="give JSON or JSON Lines files, or - for standard input")
    screen = Screen(as_json=common.json)
    catalogue = load_catalogue()
    process.settle()
    refused = 0
    async with publisher_of(common, as_) as publisher:
        keep_trust(common.home, as_, publisher.knowledge)
        if attach:
            return await _with_files(common, publisher, files, catalogue, attach, dry_run=dry_run, timeout=timeout)
        with screen.counting("publishing", None) as bar:
            async for record in _outcomes(publisher, files, catalogue, dry_run=dry_run, rate=rate, timeout=timeout):
                refused += record["outcome"] not in ("accepted", "would be accepted")
                screen.result(record, outcome_told(record))
                bar.advance(bar.task_ids[0])
    return 1 if refused else 0


async def _with_files(
    common: Common, publisher: Publisher, files: tuple[str, ...], catalogue: Catalogue, paths: Sequence[Path], *, dry_run: bool,
    timeout: float,
) -> int:  # fmt: skip
    """Publish one message that cites files, and then these. The files go again where the message is not accepted."""
    screen, values = Screen(as_json=common.json), list[object]()
    reader = ReadAhead(files)
    while some := await reader.some():
        values += some
    if reader.trouble is not None:
        raise reader.trouble
    if len(values) != 1:
        raise UsageError("files are attached to one message", advice="give a file with one message, and --attach with it")
    attaching, sent = Attaching(common, publisher.agency, paths), False
    try:
        record, message = await _one_with_files(publisher, values[0], catalogue, attaching, dry_run=dry_run, timeout=timeout)
        screen.result(record, outcome_told(record))
        sent = message is not None and await attaching.send(publisher, message)
        if message is None:
            attaching.leave()
    finally:
        attaching.close()
    return 0 if sent or record["outcome"] == "would be accepted" else 1


async def _one_with_files(
    publisher: Publisher, value: object, catalogue: Catalogue, attaching: Attaching, *, dry_run: bool, timeout: float
) -> tuple[dict[str, Any], Message | None]:
    """The outcome, and the message where it was accepted."""
    message = message_of(value, catalogue)
    if isinstance(message, Refusal):
        return refused_json(None, message), None
    message = attaching.cited(message)
    record = await _published(publisher, message, dry_run=dry_run, timeout=timeout)
    return record, message if record["outcome"] == "accepted" else None


async def _outcomes(
    publisher: Publisher, files: tuple[str, ...], catalogue: Catalogue, *, dry_run: bool, rate: float | None, timeout: float
) -> AsyncGenerator[dict[str, Any]]:
    """The outcome of each message, in the order of the files; many are on their way at once, in their order too."""
    reader, loop = ReadAhead(files), asyncio.get_running_loop()
    waiting: asyncio.Queue[asyncio.Task[dict[str, Any]] | None] = asyncio.Queue(AT_ONCE)
    begun: set[asyncio.Task[dict[str, Any]]] = set()

    async def feed() -> None:
        due = loop.time()
        try:
            while values := await reader.some():
                for value in values:
                    if rate:
                        due = max(due + 1 / rate, loop.time() - 1)
                        await asyncio.sleep(max(0.0, due - loop.time()))
                    task = asyncio.create_task(_one(publisher, value, catalogue, dry_run=dry_run, timeout=timeout))
                    begun.add(task)
                    task.add_done_callback(begun.discard)
                    await waiting.put(task)
        finally:
            await waiting.put(None)

    feeder = asyncio.create_task(feed())
    try:
        while (task := await waiting.get()) is not None:
            yield await task
        await feeder
    finally:
        for task in (feeder, *begun):
            task.cancel()
    if reader.trouble is not None:
        raise reader.trouble


async def _one(publisher: Publisher, value: object, catalogue: Catalogue, *, dry_run: bool, timeout: float) -> dict[str, Any]:
    message = message_of(value, catalogue)
    if isinstance(message, Refusal):
        subject: object = cast("dict[str, object]", value).get("subject") if isinstance(value, dict) else None
        return refused_json(None, message) | {"subject": subject if isinstance(subject, str) else None}
    return await _published(publisher, message, dry_run=dry_run, timeout=timeout)


async def _published(publisher: Publisher, message: Message, *, dry_run: bool, timeout: float) -> dict[str, Any]:
    try:
        if dry_run:
            return previewed_json(message, *publisher.preview(message), publisher.findings(message))
        handle = await publisher.publish(message)
    except RefusedError as error:
        return refused_json(message, error.refusal)
    return answered_json(handle, await handle.receipt(timeout))


async def subscribe(
    *,
    as_: Annotated[str, Parameter(name="--as")],
    family: Annotated[list[str] | None, Parameter(negative="")] = None,
    from_: Annotated[Literal["beginning", "now", "committed"], Parameter(name="--from")] = "committed",
    max_: Annotated[int | None, Parameter(name="--max")] = None,
    timeout: float | None = None,
    capture: Path | None = None,
    ack: Annotated[AckLevel | None, Parameter(negative="")] = None,
    purpose: Purpose = None,
    common: Common = COMMON,
) -> int:
    """Print what is delivered to an agency, verified.

    Example: broker subscribe --as MY-CUSTOMS --from beginning --max 10 --timeout 5

    Example: broker subscribe --as MY-CUSTOMS --from beginning --timeout 5 --purpose STC_ENFORCEMENT

    Parameters
    ----------
    as_
        The agency of this home that reads.
    family
        Only these families; may be given several times. By default all but chunks of attached files, see `broker attachment`.
    from_
        committed goes on where the last call ended; beginning reads the whole inbox again; now only what comes.
    max_
        End after so many.
    timeout
        End when nothing came for so many seconds.
    capture
        Keep each delivered record as it lay in the inbox, as <message id>.parcel in this folder: evidence for `broker inspect`.
    ack
        Publish a signed acknowledgement of this level (L3: taken in) for each delivery that asks for one; once, however often it is read.
    purpose
        What it is read for, such as STC_ENFORCEMENT: of what the rules do not open for it, only that it is there is told.
    """
    screen, catalogue = Screen(as_json=common.json), load_catalogue()
    process.settle()
    _check_families(family or ())
    purpose = checked_purpose(purpose)
    member = Member(common.home, as_, connect, bootstrap=common.bootstrap)
    screening = Screening(screen, as_, purpose, member.clock.now_ms)
    transport = member.transport()
    _make_folder(capture)

    stop = stop_signal()
    watching = asyncio.create_task(stop.wait())
    try:
        async with _acknowledger(member, transport, ack, screen) as acknowledger:
            subscriber = member.subscriber(transport, families=family or READABLE)
            watching.add_done_callback(lambda _: subscriber.stop())
            show = _shower(screen, catalogue, subscriber, screening, capture, acknowledger)
            counts = await subscriber.run(show, start=from_, limit=max_, idle_timeout=timeout)
            keep_trust(common.home, as_, subscriber.knowledge)
            screening.finish()
    finally:
        watching.cancel()
        await transport.close()
    return _exit_code(screen, counts, acknowledger, stopped=stop.is_set())


def _shower(
    screen: Screen,
    catalogue: Catalogue,
    subscriber: Subscriber,
    screening: Screening,
    capture: Path | None,
    acknowledger: Acknowledger | None,
) -> Handler:
    """What prints each delivery, keeps it in ``capture`` and acknowledges it, unless it may not be read for the purpose."""

    async def show(delivery: Delivery) -> Outcome:
        if screening.withholds(delivery, subscriber.knowledge.decider):
            return DONE
        closed = screening.closes(delivery, subscriber.knowledge.decider)
        if capture is not None and not closed:
            await asyncio.to_thread((capture / f"{delivery.message_id}.parcel").write_bytes, delivery.value)
        record = delivery_json(_without(delivery, closed), catalogue)
        if acknowledger is not None:
            record["ack"] = await acknowledger.acknowledge(delivery)
        screen.result(record, _shown(record))
        return DONE

    return show


def _without(delivery: Delivery, closed: Mapping[str, str]) -> Delivery:
    """A delivery as it is shown: sections that the rules of now withhold count among those withheld."""
    if not closed:
        return delivery
    kept = {name: record for name, record in delivery.sections.items() if name not in closed}
    return replace(delivery, sections=kept, withheld={**delivery.withheld, **closed})


def _exit_code(screen: Screen, counts: Counts, acknowledger: Acknowledger | None, *, stopped: bool) -> int:
    """1 where something came that should not, or did not come that should, or an acknowledgement was refused; it is said."""
    if counts.refused or counts.gaps:
        trouble = f"{counts.refused} deliveries refused, {counts.gaps} gaps"
        screen.note(f"[red]{trouble}: see the log lines, and keep this home for an auditor[/]")
        return 1
    if acknowledger is not None and acknowledger.refused:
        return 1
    return 130 if stopped else 0


@asynccontextmanager
async def _acknowledger(
    member: Member, transport: Transport, level: AckLevel | None, screen: Screen
) -> AsyncGenerator[Acknowledger | None]:
    """What acknowledges deliveries; None where nothing is to be acknowledged. Its receipts have come when the block ends."""
    if level is None:
        yield None
        return

    def refused(subject: str, reason: str) -> None:
        screen.note(f"[red]not acknowledged[/] {escape(printable(f'{subject}: {reason}'))}")

    async with member.publisher(transport) as publisher:
        acknowledger = Acknowledger(publisher, level, member.clock.now_ms, refused)
        yield acknowledger
        await acknowledger.finish()


def _check_families(names: Sequence[str]) -> None:
    """A slip of the pen would otherwise wait for ever for what cannot come. Raises UsageError."""
    for name in names:
        if name not in FAMILIES:
            raise UsageError(f"there is no family `{printable(name)}`", advice=f"use {', '.join(FAMILIES)}")


def _make_folder(path: Path | None) -> None:
    """The folder for captured deliveries, where there are to be some. Raises UsageError."""
    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"`{printable(str(path))}` cannot be a folder: {error.strerror}", advice="give another --capture") from error


def _filled(value: Any) -> Any:
    """A JSON value without what is null or empty, at every depth: what a person wants to read."""
    if isinstance(value, dict):
        content = {key: _filled(each) for key, each in cast("dict[str, Any]", value).items()}
        return {key: each for key, each in content.items() if each not in (None, [], {})}
    if isinstance(value, list):
        return [_filled(each) for each in cast("list[Any]", value)]
    return value


def _shown(record: dict[str, Any]) -> str:
    """A delivery for people: who, what, what is withheld, and the sections as indented JSON."""
    head = (
        f"[bold]{record['family']}[/] {escape(printable(record['subject']))} revision {record['revision']} from {record['originator']} "
        f"[dim]{record['issued_at']} {record['header']['urgency']} TLP:{record['header']['tlp']}[/dim] [green]verified[/]"
    )
    lines = [head]
    for name, content in record["sections"].items():
        body = json.dumps(_filled(content), ensure_ascii=False)
        lines.append(f"  [dim]{name:<10}[/dim] {escape(printable(body))}")
    if record["taken_back"]:
        lines.append("  [red]taken back[/] by its owner: what is kept of this subject has to go")
    lines += [f"  {name:<10} [yellow]withheld[/] by {rule}" for name, rule in sorted(record["withheld_by"].items())]
    lines += [f"  [dim]acknowledged as {escape(printable(record['ack']))}[/dim]"] if record.get("ack") else []
    return "\n".join(lines)
