"""``broker attachment list``, ``save`` and ``send``: files that messages cite, and how they come in and go out."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from broker import ids
from broker.app import Member
from broker.app.attaching import Sender, cited_in, parts_of, staged_files, with_files
from broker.app.attachments import AttachedFile, AttachedFiles, ChunkKeeper
from broker.app.connect import connect
from broker.app.register import WAIT_S
from broker.cli.register import LookUp, looked_up
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.cli.withholding import Purpose
from broker.errors import ExchangeUnreachable, StoreInUse, UsageError
from broker.families.attachment import SECTION
from broker.families.message import Message
from broker.families.message_json import message_from_json, message_to_json
from broker.register.answers import SubjectAnswer
from broker.service.publisher import Publisher
from broker.storage.staged_files import Staged, StagedFiles

app = App(name="attachment", help="Files that belong to messages: photographs, X-ray pictures, documents.")
As = Annotated[str, Parameter(name="--as")]


@app.command(name="list")
async def list_(subject: str, *, as_: As, purpose: Purpose = None, wait: float = WAIT_S, common: Common = COMMON) -> int:
    """List the files that a subject cites, and how much of each is here.

    Example: broker attachment list SG-CUSTOMS/2026/000123 --as AE-CUSTOMS

    Parameters
    ----------
    subject
        The subject's id.
    as_
        The agency of this home that reads.
    purpose
        What it is read for, such as STC_ENFORCEMENT.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    screen = Screen(as_json=common.json)
    await _caught_up(common, as_, wait)
    async with looked_up(common, as_, wait, purpose) as looked:
        answer = _answer(looked, subject)
        found = [] if answer is None else AttachedFiles(Member(common.home, as_, connect).files).of(answer)
        for each in found:
            screen.result({"subject": subject} | each.told(), _told(each))
        if answer is not None and SECTION in answer.row.withheld.split():
            screen.note("[yellow]its files are withheld from this agency[/]")
        elif answer is not None and not found:
            screen.note("it cites no files")
        looked.finish(screen)
    return 0 if found else 1


@app.command
async def save(
    subject: str, digest: str, to: Path, *, as_: As, purpose: Purpose = None, wait: float = WAIT_S, common: Common = COMMON
) -> int:  # fmt: skip
    """Write a file that a subject cites to the disk: whole and as it was cited, or not at all.

    Example: broker attachment save SG-CUSTOMS/2026/000123 9f86d081 scan.png --as AE-CUSTOMS

    Parameters
    ----------
    subject
        The subject's id.
    digest
        SHA-256 of the file, or how it begins, as `broker attachment list` shows it.
    to
        Where to write it; a file that is there is not replaced.
    as_
        The agency of this home that reads.
    purpose
        What it is read for, such as STC_ENFORCEMENT.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    screen = Screen(as_json=common.json)
    await _caught_up(common, as_, wait)
    async with looked_up(common, as_, wait, purpose) as looked:
        answer = _answer(looked, subject)
        files = AttachedFiles(Member(common.home, as_, connect).files)
        fitting = [] if answer is None else [each for each in files.of(answer) if each.digest.startswith(digest.lower())]
        if answer is None or len(fitting) != 1 or len(digest) < 4:
            reason = "more than one file begins so" if len(fitting) > 1 else "the subject cites no such file that this agency may read"
            raise UsageError(reason, advice=f"see `broker attachment list {printable(subject)} --as {as_}`")
        (found,) = fitting
        _write(to, files.pieces(answer.row.originator, found))
        screen.result({"subject": subject, "saved": str(to)} | found.told(), f"saved {escape(printable(str(to)))}: {_told(found)}")
        looked.finish(screen)
    return 0


@app.command
async def send(*, as_: As, common: Common = COMMON) -> int:
    """Go on sending the files of messages that were accepted, where a call of `broker publish --attach` ended before it was done.

    Example: broker attachment send --as SG-CUSTOMS

    Parameters
    ----------
    as_
        The agency of this home that publishes.
    """
    screen, member = Screen(as_json=common.json), Member(common.home, as_, connect, bootstrap=common.bootstrap)
    staged, left = staged_files(member.files), 0
    try:
        async with member.publishing() as publisher:
            for file in staged.waiting():
                citing = message_from_json(json.loads(file.citing or "{}"))
                if isinstance(citing, Message):
                    left += not await send_file(publisher, staged, citing, file, screen)
    finally:
        staged.close()
    return 1 if left else 0


def _answer(looked: LookUp, subject: str) -> SubjectAnswer | None:
    """The subject as it is shown for the purpose. Raises InvalidId."""
    found = looked.reader.subject(ids.subject_id(subject), looked.now_ms)
    return None if found is None else looked.use.subject(found)


async def _caught_up(common: Common, agency: str, wait: float) -> None:
    """Take in the chunks that lie in the inbox, unless a node of this home does."""
    member = Member(common.home, agency, connect, bootstrap=common.bootstrap)
    transport = member.transport()
    try:
        async with asyncio.timeout(wait):
            await ChunkKeeper(member, member.transport).follow(transport, until_end=True)
    except (TimeoutError, ExchangeUnreachable, StoreInUse):
        pass  # what is stored is what there is; its age is told
    finally:
        with suppress(ExchangeUnreachable):
            await transport.close()


def _told(each: AttachedFile) -> str:
    state = "whole" if each.whole else f"[yellow]{each.here} of {each.chunks} chunks here[/]"
    about = f"  [dim]{escape(printable(each.description))}[/dim]" if each.description else ""
    return f"{each.digest[:16]}  {each.media_type:<16} {each.size:>12,} bytes  {state}  {escape(printable(each.name))}{about}"


def _write(to: Path, pieces: Iterator[bytes]) -> None:
    """Write what comes, beside its place first. Raises UsageError."""
    temporary = to.with_name(f".{to.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
        os.link(temporary, to)  # unlike a rename, a link fails where the name is taken
    except OSError as error:
        raise UsageError(f"`{to}` cannot be written: {error.strerror}", advice="give another name") from error
    finally:
        temporary.unlink(missing_ok=True)


class Attaching:
    """The files of ``broker publish --attach``: staged before the message, sent after it was accepted."""

    def __init__(self, common: Common, agency: str, paths: Iterable[Path]) -> None:
        """Raises UsageError for a file that may not be attached, StoreInUse where a node has the store."""
        member = Member(common.home, agency, connect)
        self._now_ms = member.clock.now_ms
        self._staged = staged_files(member.files)
        self._screen = Screen(as_json=common.json)
        try:
            self._files = [self._staged.stage(path.name, parts_of(path), self._now_ms()) for path in paths]
        except BaseException:
            self._staged.close()
            raise

    def cited(self, message: Message) -> Message:
        """The message with the files."""
        made = with_files(message, self._files)
        citing = json.dumps(message_to_json(replace(made, sections={})))
        self._staged.cite(made.subject, "", citing, cited_in(made))
        return made

    async def send(self, publisher: Publisher, message: Message) -> bool:
        """Send the chunks of a message that was accepted; whether all were taken."""
        done = [await send_file(publisher, self._staged, message, file, self._screen) for file in self._files]
        return all(done)

    def leave(self) -> None:
        """The message was not accepted: its files go."""
        self._staged.drop([each.file for each in self._files])

    def close(self) -> None:
        """Let go of the store."""
        self._staged.close()


async def send_file(publisher: Publisher, staged: StagedFiles, citing: Message, file: Staged, screen: Screen) -> bool:
    """Send a file with a bar of its chunks."""
    with screen.counting(f"sending {file.name}", file.chunks) as bar:
        done = await Sender(staged, publisher.agency).send(publisher, citing, file, lambda _count: bar.advance(bar.task_ids[0]))
    if not done:
        screen.note(f"[red]not all of {escape(printable(file.name))} was taken: the message was recalled, or the exchange keeps no more[/]")
    return done
