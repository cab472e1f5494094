"""The program ``broker``: its commands, and how failures become exit codes.

A command's module is loaded when the command is called, so that a call does not pay for what the others need: the Kafka client, the
embedded node and the policy engine are most of what a short call costs. The list of all commands loads all of them, for their texts.

0 done · 1 refused or findings · 2 wrong use · 3 the exchange cannot be reached · 130 interrupted. Nothing that a user can cause
ends in a traceback.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.metadata import version
from typing import Final

from cyclopts import App, CycloptsError

from broker import logs
from broker.cli.screen import STDIN, Screen
from broker.errors import BrokerError, UsageError

app = App(
    name="broker",
    help="Signed alerts, licence decisions and seizure reports between agencies, each getting the sections that policy allows.",
    version=lambda: version("broker"),
    result_action="return_value",
)
_COMMANDS: Final = {
    "demo": "demo:demo", "up": "exchange:up", "relay": "exchange:relay", "status": "exchange:status", "agency": "agency:app",
    "publish": "messages:publish", "subscribe": "messages:subscribe", "recall": "recall:app", "trace": "recall:trace",
    "licence": "register:licence", "alert": "register:alert", "register": "register:app", "duties": "duties:duties",
    "policy": "policy:app", "operation": "operation:app", "emergency": "emergency:app", "quarantine": "quarantine:app",
    "inspect": "inspect:inspect", "schema": "schema:app", "screen": "screening:app", "import": "importing:import_table",
    "export": "exporting:export", "node": "node:app",
    "attachment": "attachments:app",
    "operator": "operator:app",
}  # fmt: skip
"""Each command's module and name there, below this package."""
_COLLECTED: Final = (20_000, 20, 20)
"""How often memory is looked through for what is free: most of what a call makes first are modules, which stay."""
for _name, _place in _COMMANDS.items():
    app.command(f"broker.cli.{_place}", name=_name)


def run(arguments: list[str]) -> int:
    """One call of the program; returns the exit code."""
    as_json = "--json" in arguments
    logs.configure(_level(arguments), as_json=True if as_json else None)
    if not arguments or arguments[0] not in {*_COMMANDS, "--version"}:
        app.resolved_commands()  # the list of commands may be shown: it has each one's first line
    try:
        return int(app([STDIN if each == "-" else each for each in arguments], exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        command = " ".join(("broker", *(error.command_chain or ())))
        Screen(as_json=as_json).error(UsageError(str(error), advice=f"see `{command} --help`"))
        return 2
    except BrokerError as error:
        Screen(as_json=as_json).error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone (`broker ... | head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _level(arguments: list[str]) -> str:
    """The log level has to be known before a command is parsed; a bad one is taken as the default."""
    level = os.environ.get("BROKER_LOG_LEVEL", "warning")
    if "--log-level" in arguments[:-1]:
        level = arguments[arguments.index("--log-level") + 1]
    return level if level in logs.LEVELS else "warning"


def main() -> None:
    """Entry point of the installed program."""
    gc.set_threshold(*_COLLECTED)
    code = run(sys.argv[1:])
    gc.freeze()  # the process ends: to look through all modules once more for what could be freed is a fifth of a short call
    sys.exit(code)
