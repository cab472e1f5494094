"""``broker operator``: the operator's pages, and who may look at them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from broker.cli import node_users
from broker.cli.screen import COMMON, Common, Screen
from broker.cli.serving import first_of, url_of
from broker.cli.stopping import stop_signal
from broker.errors import UsageError
from broker.storage.clock import SystemClock
from broker.storage.node_folder import pages_of

app = App(name="operator", help="The operator's pages: how the exchange is, over HTTP.")
user = App(name="user", help="Who may look at the operator's pages.")
app.command(user)
UNIT = "OPERATIONS"


@app.default
async def operator(
    *,
    port: int = 8444,
    listen: str = "127.0.0.1",
    name: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Serve the operator's pages until told to stop: lag, shards and their workers, members, quarantine, rules and what a change of them
    would do. They show no content and change nothing.

    Example: broker operator --port 8444

    Parameters
    ----------
    port
        Where it listens; 0 takes a free port, which the ready line names.
    listen
        The address it listens on.
    name
        A host name or address by which browsers reach it, for its certificate; may be given several times.
    """
    from broker.app import Operator, process
    from broker.app.connect import connect, connect_admin
    from broker.app.watch import watching
    from broker.node.operator.application import operator_application
    from broker.node.server import listening, serving

    if not 0 <= port < 65_536:
        raise UsageError("--port is out of range", advice="give a port up to 65535")
    screen, folder = Screen(as_json=common.json), pages_of(common.home)
    folder.prepare(SystemClock().now_ms(), tuple(name or ()) + ((listen,) if listen not in ("0.0.0.0", "::") else ()))  # noqa: S104
    where, stop, url = (found := listening(listen, port)), stop_signal(), url_of(listen, found)
    async with AsyncExitStack() as stack:
        operated = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
        watch = await stack.enter_async_context(watching(operated))
        server = await stack.enter_async_context(serving(watch, operator_application(watch, folder), folder, where))
        process.settle()
        record = {"ready": True, "url": url, "ca": str(folder.ca), "pid": os.getpid(), "exchange": folder.agency}
        screen.result(record, f"ready: {url}/console/ for the operator of {folder.agency} [dim](Ctrl-C stops it)[/dim]")
        await first_of(server, stop.wait(), watch.failed.wait())
    return 0 if stop.is_set() else 1


@user.command
def add(name: str, *, role: str = "operator", certificate: Path | None = None, common: Common = COMMON) -> int:
    """Let somebody look at the operator's pages. Makes a key and a client certificate, in one file to hand over, but where one of another
    authority is given.

    Example: broker operator user add duty-engineer

    Parameters
    ----------
    name
        A name of lower case letters, digits, dot and hyphen.
    role
        operator or auditor; both see the same.
    certificate
        A client certificate (PEM) of another authority that is let in, instead of making one.
    """
    return node_users.add(pages_of(common.home), common, name, role, (UNIT,), certificate)


@user.command(name="list")
def list_users(*, common: Common = COMMON) -> int:
    """List who may look at the operator's pages.

    Example: broker operator user list
    """
    return node_users.tell(pages_of(common.home), common)


@user.command
def remove(name: str, *, common: Common = COMMON) -> int:
    """Let somebody in no longer, from the next request on.

    Example: broker operator user remove duty-engineer

    Parameters
    ----------
    name
        The user.
    """
    return node_users.remove(pages_of(common.home), common, name)
