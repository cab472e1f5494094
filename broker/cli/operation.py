"""``broker operation``: confidential operations, whose members do not know of each other (operator)."""

from __future__ import annotations

import json
from typing import Any

from cyclopts import App
from rich.markup import escape
from rich.table import Table

from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.cli.members import known
from broker.cli.named_files import read_text
from broker.cli.screen import COMMON, Common, Screen, iso, printable
from broker.errors import UsageError
from broker.exchange.memberships import Operation
from broker.policy.facts import Circle
from broker.policy.facts_file import operation_json, read_operation

app = App(name="operation", help="Confidential operations, whose members do not know of each other (operator).")


@app.command(name="set")
async def set_(file: str, /, *, common: Common = COMMON) -> int:
    """At the operator: begin a confidential operation, or change it. Relays take it over at once.

    FILE is one operation as JSON: id, title, basis, from, until, and members, each with dates of its own or {}. It is announced under the
    version after the last; one that says nothing new is not announced again. To end an operation, give it an `until`.

    Example: broker operation set operation.json

    Parameters
    ----------
    file
        The operation's file, or - for standard input.
    """
    circle = operation_of(read_text(file))
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    async with operator.registrar() as registrar:
        operation = await registrar.operate(circle)
    Screen(as_json=common.json).result(shown(operation, counts=True))
    return 0


@app.command(name="list")
async def list_(*, common: Common = COMMON) -> int:
    """At the operator: all confidential operations with their members, those that are over too.

    Example: broker operation list --json
    """
    screen = Screen(as_json=common.json)
    async with known(common, None) as knowledge:
        memberships, bundle, directory = knowledge.memberships, knowledge.policy.bundle, knowledge.rules.directory
    counting = {each.id for each in memberships.facts(bundle, directory).operations}
    table = Table("operation", "version", "title", "from", "until", "members")
    for operation in memberships.operations.values():
        record = shown(operation, counts=operation.id in counting)
        if screen.as_json:
            screen.result(record)
        name = operation.id if record["counts"] else f"{operation.id} [red]does not count: its name is public[/]"
        row = (str(operation.version), escape(printable(operation.circle.title)), record["from"], record["until"] or "-")
        table.add_row(name, *row, "\n".join(_member(agency, dates) for agency, dates in record["members"].items()))
    if memberships.operations:
        screen.table(table)
    else:
        screen.remark("there is no confidential operation")
    return 0


def operation_of(text: str) -> Circle:
    """The operation that a file describes. Raises UsageError."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the file is no JSON: {printable(str(error))}", advice="see `broker operation set --help`") from error
    return read_operation(value)


def shown(operation: Operation, *, counts: bool) -> dict[str, Any]:
    """An operation as ``--json`` shows it: its file, the version, and whether decisions know of it."""
    content = operation_json(operation.circle)
    span = operation.circle.span
    return {
        "id": operation.id, "version": operation.version, "title": content["title"], "basis": content["basis"],
        "from": iso(span.from_ms), "until": iso(span.until_ms), "members": content["members"], "counts": counts,
    }  # fmt: skip


def _member(agency: str, dates: dict[str, str]) -> str:
    return " ".join((agency, *(f"{name} {date}" for name, date in dates.items())))
