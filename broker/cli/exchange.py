"""``broker up``, ``relay``, ``status``: running an exchange and seeing how it is."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from rich.table import Table

from broker import ids
from broker.app import Operator, process
from broker.app.connect import connect, connect_admin
from broker.app.local import LocalInstallation
from broker.app.watch import read_all, read_status
from broker.cli.named_files import read_text
from broker.cli.screen import COMMON, Common, Screen, fields, iso
from broker.cli.stopping import stop_signal
from broker.cli.trustfile import keep_trust
from broker.errors import UsageError
from broker.exchange.topology import QUARANTINE


def read_agencies(path: Path) -> list[tuple[str, str, list[str]]]:
    """A file of agencies: ``[{"id": ..., "kind": ..., "communities": [...]}, ...]``. Raises UsageError, InvalidId."""
    try:
        rows: Any = json.loads(read_text(str(path)))
        found = [(str(row["id"]), str(row["kind"]), [str(name) for name in row.get("communities", [])]) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"`{path}` is not a list of agencies",
            advice='write [{"id": "SG-CUSTOMS", "kind": "customs", "communities": ["STCE-ASEAN"]}]',
        ) from error
    return [(ids.agency_id(agency), ids.kind(kind), [ids.community_id(name) for name in names]) for agency, kind, names in found]


async def up(
    *,
    relays: int = 1,
    agencies: Path | None = None,
    entities: Path | None = None,
    exchange: str | None = None,
    environment: str | None = None,
    shards: int | None = None,
    common: Common = COMMON,
) -> int:
    """A local exchange until Ctrl-C: Kafka node, relay workers, and the agencies of a file. Start it again, it goes on.

    Example: broker up --relays 2 --agencies agencies.json

    Parameters
    ----------
    relays
        How many relay worker processes.
    agencies
        A JSON file of agencies to enrol in this home.
    entities
        Agreements, operations, regimes and assurances of a new exchange, as JSON (docs/policy.md): without an agreement nothing about
        persons and firms leaves a country. Later they are changed with the rules, by officers of two agencies.
    exchange
        Name of a new exchange (default: local).
    environment
        production, test or exercise: what a new exchange is for (default: test). Signed into every message.
    shards
        Shards of a new exchange, fixed for its life: the most relay workers that can share its work (default: 16).
    """
    if environment is not None and environment not in ids.ENVIRONMENTS:
        raise UsageError(f"`{environment}` is not an environment", advice=f"use one of {', '.join(ids.ENVIRONMENTS)}")
    wanted = read_agencies(agencies) if agencies else []
    screen = Screen(as_json=common.json)
    installation = LocalInstallation(
        common.home, bootstrap=common.bootstrap, log_level=common.log_level, codelists=common.codelists,
        entities=read_text(str(entities)) if entities else "",
    )  # fmt: skip
    stop = stop_signal()
    try:
        with screen.fetching() as bar:
            await installation.start(exchange_id=exchange, environment=environment, shards=shards, relays=relays, progress=bar)
        for agency, kind, communities in wanted:
            await installation.operator.add(agency, kind, communities)
        pid = installation.node.pid if installation.node else None
        record = {"ready": True, "bootstrap": installation.bootstrap, "home": str(common.home.resolve()), "pid": os.getpid(), "kafka": pid}
        screen.result(record, f"ready: {installation.bootstrap}, home {common.home} [dim](Ctrl-C stops it)[/dim]")
        failed = asyncio.create_task(installation.failure())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done() and not stop.is_set():
            raise failed.result()
        failed.cancel()
        return 0
    finally:
        await installation.stop()


async def relay(*, member: str = "relay-1", common: Common = COMMON) -> int:
    """One relay worker, until it is told to stop. Several share the shards; each needs a name of its own.

    Example: broker relay --member relay-2

    Parameters
    ----------
    member
        A name that the worker keeps over restarts.
    """
    screen = Screen(as_json=common.json)
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap, codelists=common.codelists)
    transport = operator.transport("relay")
    worker = operator.relay(transport, member)
    process.settle()
    stop = stop_signal()
    running = asyncio.create_task(worker.run())
    ready = asyncio.create_task(worker.ready())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and not running.done():
            screen.result({"ready": True, "member": member, "pid": os.getpid()}, f"relay {member} ready")
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await running
        return 0
    finally:
        for task in (ready, stopped):
            task.cancel()
        await transport.close()


async def status(*, html: Path | None = None, common: Common = COMMON) -> int:
    """How the exchange is: shards, lag, journal, quarantine, versions.

    Example: broker status --html exchange.html

    Parameters
    ----------
    html
        Write a page for people to this file, too: agencies, shards, and what lies in quarantine by code, without content.
    """
    screen = Screen(as_json=common.json)
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    transport, admin = operator.transport("registrar"), operator.admin()
    knowledge = operator.knowledge(transport)
    try:
        await knowledge.load()
        keep_trust(common.home, None, knowledge)
        record = await read_status(transport, knowledge, admin, operator.clock.now_ms())
        refused = await read_all(transport, [(QUARANTINE, 0)]) if html is not None else []
    finally:
        await knowledge.close()
        await admin.close()
        await transport.close()
    names = ("agency", "kind", "status", "shard", "lag", "delivered", "parked", "unread")
    table = Table(*names, "read at", title="agencies", title_justify="left")
    for row in record["agencies"]:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in names), iso(row["read_at"]) or "")
    screen.result(record, fields({name: value for name, value in record.items() if name not in ("agencies", "registrar", "relay_keys")}))
    screen.table(table)
    if html is not None:
        from broker.cli.policy_ground import write_page
        from broker.cli.status_page import status_page
        from broker.exchange.quarantine import read_quarantined
        from broker.storage.clock import SystemClock

        items = [read_quarantined(each.value) for each in refused if each.value is not None]
        write_page(html, status_page(record, items, SystemClock().now_ms()), screen)
    return 0
