"""``broker demo``: a whole exchange on this machine, for as long as one story lasts."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from broker import logs
from broker.app import Member, Operator
from broker.app.connect import connect, connect_admin
from broker.app.local import LocalInstallation
from broker.app.scenario.events import Event, Line, Summary
from broker.app.scenario.run import perform
from broker.app.scenario.script import Actor, Script, read_script
from broker.cli.demo_consoles import PASSWORD, Consoles, beginning, told
from broker.cli.screen import Screen
from broker.cli.stopping import stop_signal
from broker.cli.story import Story
from broker.errors import UsageError
from broker.service.registrar import Registrar
from broker.shipped import shipped

FOLDER = "deploy/demo"
SHARDS = 4
"""Enough to show that they are several, few enough to be taken in a moment."""


def load_script(name: str) -> Script:
    """The scenario of this name that ships, or the file at this path. Raises UsageError."""
    known = {path.stem: path for path in sorted(shipped(FOLDER).glob("*.json"))}
    path = known.get(name, Path(name))
    if path.suffix != ".json" or not path.is_file():
        raise UsageError(f"there is no scenario `{name}`", advice=f"use one of {', '.join(known)}, or the path of a .json file")
    try:
        return read_script(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read", advice="give a readable UTF-8 file") from error


def line_json(line: Line) -> dict[str, Any]:
    """A line as ``--json`` shows it: the stable fields always, the others where they say something."""
    more = {
        "subject": line.subject, "revision": line.revision, "rules": dict(line.rules), "reason": line.reason,
        "reasons": dict(line.reasons), "code": line.code, "admission_step": line.admission_step, "advice": line.advice,
        "place": line.place, "instruction": line.instruction,
        "elapsed_ms": None if line.elapsed_ms is None else round(line.elapsed_ms, 1),
    }  # fmt: skip
    return {
        "step": line.step, "agency": line.agency, "family": line.family, "message_id": line.message_id, "outcome": line.outcome,
        "sections": list(line.sections), "withheld": list(line.withheld), "rule": line.rule or None,
        **{name: value for name, value in more.items() if value},
    }  # fmt: skip


def summary_json(summary: Summary) -> dict[str, Any]:
    """The last line of ``--json``."""
    return {
        "ok": summary.ok, "published": summary.published, "delivered": summary.delivered, "withheld": summary.withheld,
        "refused": summary.refused, "duplicates": summary.duplicates, "lost": summary.lost, "expectations": summary.expectations,
        "differences": list(summary.differences),
    }  # fmt: skip


def json_teller(write: Callable[[str], object]) -> Callable[[Event], None]:
    """Tells events as JSON Lines."""

    def tell(event: Event) -> None:
        if isinstance(event, Line):
            write(json.dumps(line_json(event), ensure_ascii=False, separators=(",", ":")) + "\n")
        elif isinstance(event, Summary):
            write(json.dumps(summary_json(event), ensure_ascii=False, separators=(",", ":")) + "\n")

    return tell


def exit_code(summary: Summary) -> int:
    """0 only if every expectation held."""
    return 0 if summary.ok else 1


async def demo(
    *,
    scenario: str = "golden",
    consoles: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    log_level: str | None = None,
) -> int:
    """Start everything on this machine, play a scripted exchange through it, show who got what and why, and clean up.

    Example: broker demo

    Parameters
    ----------
    scenario
        Name of a scenario that ships, or path of a scenario file.
    consoles
        Stop the golden scenario where the alert is out, start the nodes and consoles of three agencies, and go on until Ctrl-C.
    json
        Print JSON Lines on standard output, and nothing else there.
    log_level
        `debug`, `info`, `warning` or `error`: show logs on standard error. Otherwise they are shown only where the run fails.
    """
    script = load_script(scenario)
    if consoles and scenario != "golden":
        raise UsageError("consoles go with the golden scenario", advice="leave --scenario or --consoles out")
    kept = io.StringIO()
    if log_level is None:
        logs.configure("warning", stream=kept, as_json=True)
    stop = stop_signal()
    playing = asyncio.create_task(_play(script, as_json=json, log_level=log_level or "error", consoles=consoles))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not playing.done():
        playing.cancel()
        await asyncio.wait({playing})
        if playing.cancelled():
            return 0 if consoles else 130
    failed = playing.exception() is not None or playing.result() != 0
    if failed and kept.getvalue():
        sys.stderr.write(kept.getvalue())
    return playing.result()


async def _play(script: Script, *, as_json: bool, log_level: str, consoles: bool) -> int:
    """The run in a home of its own, which is gone afterwards, however it ends. ``consoles``: its beginning, then consoles."""
    screen = Screen(as_json=as_json)
    story = None if as_json else Story.on_terminal()
    tell = story.tell if story else json_teller(_write)
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="broker-demo-"))
    installation = LocalInstallation(home, log_level=log_level, entities=script.entities, brief=True)
    try:
        if story:
            story.opening(script)
        with screen.fetching() as bar:
            await installation.start(exchange_id="demo.corridor", environment="exercise", shards=SHARDS, relays=0, progress=bar)
        if story:
            story.started(installation.bootstrap)
        members, _worker = await asyncio.gather(_enrol(script, installation), installation.add_worker("relay-1"))
        if story:
            story.enrolled()
        if not consoles:
            return exit_code(await perform(script, installation.operator, members, tell))
        nodes = Consoles(home, log_level=log_level)
        nodes.remember_own()
        found = exit_code(await perform(beginning(script), installation.operator, members, tell))
        return found or await _stay_open(nodes, installation, screen)
    finally:
        await installation.stop()
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _stay_open(consoles: Consoles, installation: LocalInstallation, screen: Screen) -> int:
    """Consoles until this is cancelled. Raises NodeError where something of the exchange ends by itself."""
    try:
        opened, operator = await consoles.start()
        record = {"ready": True, "home": str(installation.home), "pid": os.getpid(), "password": PASSWORD}
        record |= {"consoles": [each.json() for each in opened], "operator": operator.json()}
        screen.result(record, told(opened, operator))
        waits = [asyncio.create_task(each) for each in (installation.failure(), consoles.failure())]
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        raise next(iter(done)).result()
    finally:
        await consoles.stop()


class _Busy(Operator):
    """An operator who keeps one registrar at work instead of connecting for each agency, which takes longer than the work."""

    _kept: Registrar

    async def add_all(self, actors: tuple[Actor, ...]) -> None:
        """Admit every agency, each with keys that it makes itself."""
        async with super().registrar() as self._kept:
            for actor in actors:
                await self.add(actor.agency, actor.kind, actor.communities)

    @asynccontextmanager
    async def registrar(self) -> AsyncGenerator[Registrar]:
        """The one that is at work."""
        yield self._kept


async def _enrol(script: Script, installation: LocalInstallation) -> dict[str, Member]:
    await _Busy(installation.home, connect, connect_admin).add_all(script.actors)
    return {actor.agency: Member(installation.home, actor.agency, connect) for actor in script.actors}


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
