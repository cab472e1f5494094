"""Commands typed in the one home of all parties, and what somebody writes who has every key of the operator but no officer's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.ports import Outgoing
from tests.e2e.program import Json, LocalExchange, Program, write_jsonl
from tests.e2e.test_cli import MESSAGE


@dataclass(frozen=True)
class Typed:
    """A running exchange, and its program to type commands of."""

    program: Program
    exchange: LocalExchange

    def run(self, *arguments: str | Path, code: int = 0) -> list[Json]:
        """The lines of a command that ends with this exit code."""
        home = ("--home", self.exchange.home, "--bootstrap", self.exchange.bootstrap)
        return self.program.run(*arguments, *home, "--json").must(code).lines

    def refused(self, *arguments: str | Path) -> str:
        """The code with which a command is refused."""
        return str(self.run(*arguments, code=1)[-1]["message"]).partition(":")[0]

    def published(self, file: Path, subject: str, changes: Mapping[str, Any] | None = None) -> Json:
        """What is told of an alert of SG-CUSTOMS, written to ``file``, that was accepted."""
        (line,) = self.run("publish", write_jsonl(file, [MESSAGE | {"subject": subject} | dict(changes or {})]), "--as", "SG-CUSTOMS")
        assert line["outcome"] == "accepted"
        return line

    def operator(self) -> Operator:
        """The operator of this home."""
        return Operator(self.exchange.home, connect, connect_admin, bootstrap=self.exchange.bootstrap)


async def write_past(operator: Operator, record: Outgoing) -> None:
    """Write a record with the operator's rights, past the program."""
    transport = operator.transport("registrar")
    outlet = await transport.outlet()
    await (await outlet.send(record))
    await outlet.close()
    await transport.close()
