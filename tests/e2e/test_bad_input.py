"""Whatever lies in an outbox: quarantined with its code, answered with a signed receipt, and the next good message passes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.bad_input import STRANGER, VICTIM, Sent, send_bad_inputs
from tests.e2e.program import Json, LocalExchange, Program, local_exchange, write_jsonl

pytestmark = pytest.mark.kafka

EXPECTED = {
    "garbage bytes": ("NOT_A_PARCEL", 1),
    "an empty record": ("NOT_A_PARCEL", 1),
    "truncated CBOR": ("BAD_CBOR", 1),
    "non-canonical CBOR": ("NOT_CANONICAL", 1),
    "wrong magic": ("NOT_A_PARCEL", 1),
    "unknown key": ("UNKNOWN_KEY", 2),
    "another agency's key": ("KEY_OF_ANOTHER_AGENCY", 2),
    "another agency's message": ("WRONG_OUTBOX", 4),
    "altered header": ("BAD_SIGNATURE", 3),
    "altered section": ("COMMITMENT_MISMATCH", 7),
    "swapped sections": ("COMMITMENT_MISMATCH", 7),
    "another environment": ("WRONG_ENVIRONMENT", 3),
    "unknown schema": ("UNKNOWN_SCHEMA", 8),
    "a message of 2 MiB": ("TOO_LARGE", 1),
}


@dataclass(frozen=True)
class Aftermath:
    """A running exchange after all bad inputs were written and judged."""

    program: Program
    exchange: LocalExchange
    sent: dict[str, Sent]
    quarantined: dict[str, Json]


GOOD: Json = {
    "family": "alert",
    "subject": f"{VICTIM}/2026/GOOD",
    "header": {"urgency": "IMMEDIATE", "audience": {"agencies": [STRANGER]}, "valid_until": "2027-06-30T00:00:00Z"},
    "sections": {
        "core": {
            "alert_type": "SHIPMENT",
            "risk_category": "OTHER",
            "indicators": [{"code": "AFTER-THE-STORM"}],
            "requested_actions": ["ASSESS_ONLY"],
            "transport_mode": "SEA",
            "documents": [{"type": "N705", "id": "HDMU000000001"}],
        }
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Aftermath]:
    """`broker up --agencies FILE`, then everything bad, one after another."""
    folder = tmp_path_factory.mktemp("bad-input")
    program = Program(folder)
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps([{"id": agency, "kind": "customs"} for agency in (VICTIM, STRANGER)]))
    with ExitStack() as running:
        exchange = running.enter_context(local_exchange(program, folder / "home", "--agencies", agencies))
        sent = await send_bad_inputs(exchange.home, exchange.home)
        rows = program.run("quarantine", "list", "--home", exchange.home, "--json").must().lines
        yield Aftermath(program, exchange, {each.bad.name: each for each in sent}, {row["place"]: row for row in rows})


def test_the_list_is_whole(aftermath: Aftermath) -> None:
    """Every bad input was written, and nothing else is in quarantine."""
    assert set(aftermath.sent) == set(EXPECTED)
    assert {each.place for each in aftermath.sent.values()} == set(aftermath.quarantined)


@pytest.mark.parametrize("name", EXPECTED)
def test_quarantined_and_answered(aftermath: Aftermath, name: str) -> None:
    """The bytes are in quarantine under the code and step of their fault, and the owner of the outbox has one signed receipt."""
    code, step = EXPECTED[name]
    sent = aftermath.sent[name]
    row = aftermath.quarantined[sent.place]
    assert (row["code"], row["step"]) == (code, step)
    assert row["bytes"] == len(sent.bad.value)
    assert row["reason"]
    assert row["advice"]
    (receipt,) = sent.receipts
    assert (receipt.outcome, receipt.code, receipt.step, receipt.originator) == ("REFUSED", code, step, VICTIM)
    assert (receipt.reason, receipt.advice) == (row["reason"], row["advice"])
    assert receipt.recipients == ()


def test_evidence_is_exported_untouched(aftermath: Aftermath, tmp_path: Path) -> None:
    """`broker quarantine export` gives back the bytes that were written; `broker inspect` finds the same fault in them."""
    for name in ("altered section", "another environment"):
        sent, file = aftermath.sent[name], tmp_path / f"{name}.parcel"
        aftermath.program.run("quarantine", "export", sent.place, "--out", file, "--home", aftermath.exchange.home, "--json").must()
        assert file.read_bytes() == sent.bad.value
        seen = aftermath.program.run("inspect", file, "--home", aftermath.exchange.home, "--json").must(1).line
        assert seen["verdict"] == EXPECTED[name][0]


def test_the_next_good_message_is_delivered(aftermath: Aftermath, tmp_path: Path) -> None:
    """After all that the relay goes on: a good message is accepted, and it is the first that the recipient ever gets."""
    home = aftermath.exchange.home
    file = write_jsonl(tmp_path / "good.jsonl", [GOOD])
    outcome = aftermath.program.run("publish", file, "--as", VICTIM, "--home", home, "--json").must().line
    assert outcome["outcome"] == "accepted"
    read = aftermath.program.run("subscribe", "--as", STRANGER, "--home", home, "--json", "--max", "1", "--timeout", "10").must()
    assert [delivery["subject"] for delivery in read.lines] == [GOOD["subject"]]
    status = aftermath.program.run("status", "--home", home, "--json").must().line
    assert (status["lag"], status["quarantine"]) == (0, len(EXPECTED))


def test_the_relay_says_what_it_refused(aftermath: Aftermath) -> None:
    """Refusals are log lines with codes, never tracebacks."""
    said = aftermath.exchange.running.err.read_text()
    assert "Traceback" not in said
    assert "COMMITMENT_MISMATCH" in said
