"""The life of a licence, for two customs services and its authority in one home, through the program as people use it."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.program import Json, LocalExchange, Program, Ran, local_exchange, write_jsonl

NUMBER: Final = "0815"
READERS: Final = ("SG-CUSTOMS", "MY-CUSTOMS", "DE-BAFA")
DAY: Final = "2026-10-01T00:00:00Z"


def licence_subject(number: str = NUMBER) -> str:
    """The subject of a licence's decisions."""
    return f"DE-BAFA/2026/L-{number}"


def decision(decision_type: str, revision: int, *, number: str = NUMBER, **core: Any) -> Json:
    """A decision for both customs services."""
    return {
        "family": "licence", "subject": licence_subject(number), "revision": revision,
        "header": {"purposes": ["LICENSING"], "audience": {"agencies": ["SG-CUSTOMS", "MY-CUSTOMS"]}},
        "sections": {
            "core": {
                "decision_type": decision_type, "authority": "DE-BAFA", "licence_no": f"2026-{number}", "licence_type": "INDIVIDUAL",
                "effective_at": DAY, "published_at": DAY, "destinations": ["AE"], **core,
            },
            "items": {"items": [{"line": 1, "description": "press", "quantity_granted": "4", "quantity_remaining": "4", "unit": "H87"}]},
        },
    }  # fmt: skip


def usage(quantity: str) -> Json:
    """SG-CUSTOMS writes off part of the licence, and tells the other customs service too."""
    return {
        "family": "licence_usage", "subject": "SG-CUSTOMS/2026/U-1", "revision": 1,
        "header": {
            "purposes": ["LICENSING"], "correlation": {"target": licence_subject(), "target_revision": 3},
            "audience": {"agencies": ["DE-BAFA", "MY-CUSTOMS"]},
        },
        "sections": {"core": {
            "authority": "DE-BAFA", "licence_no": f"2026-{NUMBER}", "declaration_no": "SG-2026-555", "declared_on": DAY[:10],
            "office": "TUAS", "lines": [{"line": 1, "quantity": quantity, "unit": "H87"}],
        }},
    }  # fmt: skip


def alert(revision: int = 1, *, number: str = NUMBER, name: str = "1", container: str = "CSQU3054383") -> Json:
    """An alert for MY-CUSTOMS that cites the licence."""
    return {
        "family": "alert", "subject": f"SG-CUSTOMS/2026/{name}", "revision": revision,
        "header": {"audience": {"agencies": ["MY-CUSTOMS"]}, "valid_until": "2099-06-30T00:00:00Z"},
        "sections": {
            "core": {
                "alert_type": "SHIPMENT", "risk_category": "OTHER", "indicators": [{"code": "X-1"}], "requested_actions": ["ASSESS_ONLY"],
                "transport_mode": "SEA", "documents": [{"type": "N705", "id": "HLCU1"}],
                "licence_refs": [{"authority": "DE-BAFA", "licence_no": f"2026-{number}", "resolved": False}],
            },
            "equipment": {"units": [{"id": container}]},
            "parties": {"parties": [{"role": "CONSIGNEE", "name": "ООО «Ромашка»", "person_type": "2"}]},
        },
    }  # fmt: skip


@dataclass
class Scene:
    """A running exchange with two customs services and a licensing authority in one home."""

    program: Program
    exchange: LocalExchange
    published: int = 0

    def call(self, *arguments: str | Path, code: int = 0) -> Ran:
        return self.program.run(*arguments, "--home", self.exchange.home).must(code)

    def publish(self, message: Json) -> None:
        self.published += 1
        file = write_jsonl(self.program.folder / f"m{self.published}.jsonl", [message])
        owner = message["subject"].partition("/")[0]
        assert self.call("publish", file, "--as", owner, "--json").line["outcome"] == "accepted"

    def shown(self, agency: str) -> str:
        """What a person sees of the licence."""
        ran = self.call("licence", "show", f"2026-{NUMBER}", "--as", agency)
        return ran.out + ran.err

    def licence(self, agency: str, *more: str, code: int = 0) -> Json:
        return self.call("licence", "show", "2026 0815", "--as", agency, "--json", *more, code=code).line

    def duties(self, agency: str, *more: str) -> dict[str, Json]:
        """What is open, by kind."""
        return {line["kind"]: line for line in self.call("duties", "--as", agency, "--json", *more).lines}

    def alerts(self, *keys: str) -> Sequence[Json]:
        return self.call("alert", "find", *keys, "--as", "MY-CUSTOMS", "--json").lines


@contextmanager
def licence_scene(folder: Path) -> Generator[Scene]:
    """`broker up` with the three."""
    program = Program(folder)
    agencies = program.folder / "agencies.json"
    kinds = {"SG-CUSTOMS": "customs", "MY-CUSTOMS": "customs", "DE-BAFA": "licensing"}
    agencies.write_text(json.dumps([{"id": agency, "kind": kind} for agency, kind in kinds.items()]))
    with local_exchange(program, program.folder / "home", "--agencies", agencies) as exchange:
        yield Scene(program, exchange)
