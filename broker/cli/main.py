"""The program ``broker``: its commands, and how failures become exit codes.

0 done · 1 refused or findings · 2 wrong use · 3 the exchange cannot be reached · 130 interrupted. Nothing that a user can cause
ends in a traceback.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from broker import logs
from broker.cli import agency, demo, duties, exchange, inspect, messages, policy, quarantine, recall, register, schema
from broker.cli.screen import STDIN, Screen
from broker.errors import BrokerError, UsageError

app = App(
    name="broker",
    help="Signed alerts, licence decisions and seizure reports between agencies, each getting the sections that policy allows.",
    version=lambda: version("broker"),
    result_action="return_value",
)
app.command(demo.demo)
app.command(exchange.up)
app.command(exchange.relay)
app.command(exchange.status)
app.command(agency.app)
app.command(messages.publish)
app.command(messages.subscribe)
app.command(recall.app)
app.command(recall.trace)
app.command(register.licence)
app.command(register.alert)
app.command(register.app)
app.command(duties.duties)
app.command(policy.app)
app.command(quarantine.app)
app.command(inspect.inspect)
app.command(schema.app)


def run(arguments: list[str]) -> int:
    """One call of the program; returns the exit code."""
    as_json = "--json" in arguments
    logs.configure(_level(arguments), as_json=True if as_json else None)
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
    sys.exit(run(sys.argv[1:]))
