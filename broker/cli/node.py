"""``broker node``: the agency's node, and who may use it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from broker.cli import node_users
from broker.cli.mail_options import NO_MAIL, MailOptions
from broker.cli.node_limits import NODE_LIMITS, NodeLimits
from broker.cli.node_tokens import NO_TOKENS, TokenOptions, tokens_of
from broker.cli.screen import COMMON, Common, Screen
from broker.cli.serving import first_of, url_of
from broker.cli.stopping import stop_signal
from broker.errors import UsageError
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome, AgencySettings
from broker.storage.node_folder import NodeFolder

if TYPE_CHECKING:
    from broker.node.tokens import Tokens

app = App(name="node", help="The agency's node: HTTP for its systems and officers.")
user = App(name="user", help="Who may use the node.")
app.command(user)

As = Annotated[str, Parameter(name="--as")]


@app.default
async def node(
    *,
    as_: As,
    port: int = 8443,
    listen: str = "127.0.0.1",
    name: Annotated[list[str] | None, Parameter(negative="")] = None,
    limits: NodeLimits = NODE_LIMITS,
    environment: str | None = None,
    approve: Annotated[list[str] | None, Parameter(negative="")] = None,
    tokens: TokenOptions = NO_TOKENS,
    mail: MailOptions = NO_MAIL,
    common: Common = COMMON,
) -> int:
    """Run the node of an agency until it is told to stop: it keeps register and inbox, signs and sends, and offers HTTP.

    Example: broker node --as SG-CUSTOMS --port 8443

    Parameters
    ----------
    as_
        The agency of this home.
    port
        Where it listens; 0 takes a free port, which the ready line names.
    listen
        The address it listens on.
    name
        A host name or address by which clients reach it, for its certificate; may be given several times.
    environment
        Refuse to start unless the exchange is of this kind: production, test or exercise.
    approve
        A family whose messages, where an officer writes them in the console, a supervisor approves; may be given several times.
    """
    from broker.app import Member, process
    from broker.app.agency_node import AgencyNode
    from broker.app.connect import connect
    from broker.node.application import node_application
    from broker.node.console.router import beside, console_router
    from broker.node.console.screenings import forgetting
    from broker.node.console.watch import watching
    from broker.node.server import listening, serving

    screen = Screen(as_json=common.json)
    _check(port, approve or ())
    limits.check()
    member = Member(common.home, as_, connect, bootstrap=common.bootstrap, codelists=common.codelists)
    settings, taken, mailing = _settings(member.files, environment), tokens_of(tokens), mail.settings()
    folder = _folder(common, as_)
    folder.prepare(SystemClock().now_ms(), tuple(name or ()) + ((listen,) if listen not in ("0.0.0.0", "::") else ()))  # noqa: S104
    where, stop, url = (found := listening(listen, port)), stop_signal(), url_of(listen, found)
    async with AgencyNode(member, rules_days=limits.rules_days) as running, AsyncExitStack() as stack:
        kept = beside(folder.path, approve or (), codelists=common.codelists, mailing=mailing is not None)
        gate = node_application(running, folder, limits=limits.rates(), tokens=taken, more=[console_router()], beside=kept)
        for each in (_kept(taken), forgetting(running, kept), watching(running, kept, mailing and mailing.at(url))):
            await stack.enter_async_context(each)
        server = await stack.enter_async_context(serving(running, gate, folder, where))
        process.settle()
        text = f"ready: {url} (console: {url}/console/) for {as_}, environment {settings.environment} [dim](Ctrl-C stops it)[/dim]"
        screen.result({"ready": True, "url": url, "ca": str(folder.ca), "pid": os.getpid()} | running.environment(), text)
        await first_of(server, stop.wait(), running.failed.wait())
    return 0 if stop.is_set() else 1


def _kept(tokens: Tokens | None) -> AbstractAsyncContextManager[None]:
    return nullcontext() if tokens is None else tokens.keys.kept()


def _settings(files: AgencyHome, environment: str | None) -> AgencySettings:
    settings = files.settings()
    if environment is not None and environment != settings.environment:
        raise UsageError(f"this exchange is for {settings.environment}", advice=f"leave --environment out, or give {settings.environment}")
    return settings


def _check(port: int, approve: Sequence[str]) -> None:
    from broker.families.catalogue import FAMILIES

    if not 0 <= port < 65_536:
        raise UsageError("--port is out of range", advice="give a port up to 65535")
    if unknown := sorted(set(approve) - set(FAMILIES)):
        raise UsageError(f"there is no family `{unknown[0]}`", advice=f"use one of {', '.join(sorted(FAMILIES))}")


@user.command
def add(
    name: str,
    *,
    as_: As,
    role: str,
    unit: Annotated[list[str], Parameter(negative="")],
    certificate: Path | None = None,
    issuer: str | None = None,
    subject: str | None = None,
    common: Common = COMMON,
) -> int:
    """Let somebody use the node: an officer, or a system. Makes a key and a client certificate, in one file to hand over, but where one of
    another authority is given, or bearer tokens are to do.

    Example: broker node user add targeting --as SG-CUSTOMS --role integrator --unit TUAS

    Parameters
    ----------
    name
        A name of lower case letters, digits, dot and hyphen.
    as_
        The agency of this home.
    role
        officer, supervisor, integrator or auditor.
    unit
        The unit it belongs to, such as TUAS; may be given several times, the first is the usual one.
    certificate
        A client certificate (PEM) of another authority that is let in, instead of making one.
    issuer
        The issuer of this user's bearer tokens, as their `iss` has it; with --subject.
    subject
        Whom the issuer's tokens name, as their `sub` has it.
    """
    if (issuer is None) != (subject is None):
        raise UsageError("a token's user has an issuer and a subject", advice="give both --issuer and --subject, or neither")
    bearer = None if issuer is None or subject is None else (issuer, subject)
    return node_users.add(_folder(common, as_), common, name, role, tuple(unit), certificate, bearer)


@user.command
def bind(name: str, *, as_: As, issuer: str, subject: str, common: Common = COMMON) -> int:
    """Take bearer tokens as a user's who is there already, beside its certificate.

    Example: broker node user bind targeting --as SG-CUSTOMS --issuer https://login.example.org --subject 7c1f

    Parameters
    ----------
    name
        The user.
    as_
        The agency of this home.
    issuer
        The issuer of its tokens, as their `iss` has it.
    subject
        Whom they name, as their `sub` has it.
    """
    return node_users.bind(_folder(common, as_), common, name, issuer, subject)


@user.command(name="list")
def list_users(*, as_: As, common: Common = COMMON) -> int:
    """List who may use the node.

    Example: broker node user list --as SG-CUSTOMS

    Parameters
    ----------
    as_
        The agency of this home.
    """
    return node_users.tell(_folder(common, as_), common)


@user.command
def remove(name: str, *, as_: As, common: Common = COMMON) -> int:
    """Let a user in no longer, from its next request on.

    Example: broker node user remove targeting --as SG-CUSTOMS

    Parameters
    ----------
    name
        The user.
    as_
        The agency of this home.
    """
    return node_users.remove(_folder(common, as_), common, name)


def _folder(common: Common, agency: str) -> NodeFolder:
    files = AgencyHome(common.home, agency)
    files.settings()  # an agency that has not joined has no node
    return NodeFolder(files.node_folder, files.agency)
