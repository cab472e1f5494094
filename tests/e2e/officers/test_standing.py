"""An agency is suspended on a running exchange, what it holds is listed, and it comes back by officers of two others and not otherwise."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.exchange.topology import DIRECTORY
from broker.ports import Outgoing
from broker.trust.directory import directory_key, unsigned_agency
from tests.e2e.officers.typed import Typed, write_past
from tests.e2e.program import Json
from tests.support.officers import state

pytestmark = pytest.mark.kafka

OUT = "TH-CUSTOMS"
"""The agency that is suspended."""


async def lift_alone(typed: Typed) -> None:
    """End the suspension as somebody can who has every key of the operator: an entry past the program, without a statement."""
    operator = typed.operator()
    _chain, directory = await state(operator)
    registrar, known = operator.files.registrar(), directory.agencies[OUT]
    entry = replace(known, status="active", version=directory.version + 1, suspension=0)
    unsigned = unsigned_agency(entry, registrar, directory.exchange_id, directory.environment)
    await write_past(operator, Outgoing(DIRECTORY, directory_key(entry), unsigned.signed(registrar.sign_now(unsigned.to_be_signed))))


def test_out_and_back(typed: Typed, tmp_path: Path) -> None:
    """Suspended: a subject's line says what the agency was given, and it can neither read, replay, publish nor approve. Back: only with
    two signatures of others over this suspension; then it gets what it missed. Refused with exit code 1 and a code: no signature, one,
    its own, a file that was altered, and the same file for a later suspension. What the operator writes alone, relay and agencies
    ignore."""
    run, refused = typed.run, typed.refused

    def published(number: int) -> list[str]:
        line = typed.published(tmp_path / f"{number}.jsonl", f"SG-CUSTOMS/OUT/{number}", {"header": MESSAGE_HEADER})
        return [each["agency"] for each in line["recipients"]]

    assert published(1) == ["AE-CUSTOMS", OUT]
    entry, *held = run("agency", "suspend", OUT, "--reason", "assurance withdrawn")
    assert (entry["status"], entry["suspension"]) == ("suspended", entry["version"])
    assert [short(each) for each in held] == [("SG-CUSTOMS/OUT/1", "SG-CUSTOMS", "alert", 1, ["core"], "HELD")]
    assert run("agency", "holdings", OUT) == held
    assert published(2) == ["AE-CUSTOMS"]
    for arguments in (("subscribe", "--as", OUT, "--from", "beginning"), ("publish", tmp_path / "1.jsonl", "--as", OUT)):
        assert run(*arguments, code=1)[-1]["error"] == "NOT_AUTHORISED"

    file, one, altered = tmp_path / "back.json", tmp_path / "one.json", tmp_path / "altered.json"
    run("agency", "reinstate", OUT, "--propose", "--reason", "assurance renewed", "--out", file)
    assert refused("agency", "reinstate", OUT, file) == "TOO_FEW_OFFICERS"
    assert run("agency", "approve", file, "--as", "SG-CUSTOMS")[-1]["approved_by"] == ["SG-CUSTOMS"]
    shutil.copy(file, one)
    assert refused("agency", "reinstate", OUT, one) == "TOO_FEW_OFFICERS"
    altered.write_bytes(file.read_bytes().replace(b"renewed", b"implied"))
    assert refused("agency", "approve", altered, "--as", "MY-CUSTOMS") == "BAD_SIGNATURE"
    assert run("agency", "approve", one, "--as", OUT, code=1)[-1]["error"] == "NOT_AUTHORISED"

    assert run("agency", "approve", file, "--as", "MY-CUSTOMS")[-1]["approved_by"] == ["MY-CUSTOMS", "SG-CUSTOMS"]
    assert run("agency", "reinstate", OUT, file)[-1]["status"] == "active"
    shown = run("agency", "show", OUT, "--as", OUT)[-1]
    assert (shown["readmitted_by"], shown["readmission"]) == (["MY-CUSTOMS", "SG-CUSTOMS"], "verified")
    got = run("subscribe", "--as", OUT, "--max", "2", "--timeout", "30")
    assert [each["subject"][-1] for each in got] == ["1", "2"]

    _entry, *held = run("agency", "suspend", OUT, "--reason", "withdrawn again")
    assert [each["subject"][-1] for each in held] == ["1", "2"]
    assert refused("agency", "reinstate", OUT, file) == "OTHER_SUSPENSION"
    assert refused("agency", "approve", file, "--as", "SG-CUSTOMS") == "OTHER_SUSPENSION"
    asyncio.run(lift_alone(typed))
    assert published(3) == ["AE-CUSTOMS"]
    assert run("agency", "show", OUT, "--as", "SG-CUSTOMS")[-1]["status"] == "suspended"


def short(line: Json) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("subject", "owner", "family", "revision", "sections", "state"))


MESSAGE_HEADER = {"audience": {"agencies": [OUT, "AE-CUSTOMS"]}, "valid_until": "2027-06-30T00:00:00Z"}
