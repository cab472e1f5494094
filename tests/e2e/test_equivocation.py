"""A publisher's store copied back from an old backup signs a number twice: the relay notices, the evidence holds offline, and the
agency goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from broker.storage.home import AgencyHome
from tests.e2e.program import Json, Program, local_exchange, write_jsonl
from tests.e2e.test_bad_input import GOOD, STRANGER, VICTIM

pytestmark = pytest.mark.kafka


def alert(number: int) -> Json:
    """A good alert of the victim's, with a word in it that is nowhere else."""
    core = {**GOOD["sections"]["core"], "indicators": [{"code": f"SECRET-{number}"}]}
    return {**GOOD, "subject": f"{VICTIM}/2026/{number}", "sections": {"core": core}}


def test_a_restored_backup_is_noticed_proven_and_outlived(tmp_path: Path) -> None:
    """The second message of the number is quarantined; the portable evidence shows both statements, holds in another home, discloses
    no section, and stops holding when a byte is changed; the next message goes on a new stream and is accepted."""
    program = Program(tmp_path)
    agencies, home = tmp_path / "agencies.json", tmp_path / "home"
    agencies.write_text(json.dumps([{"id": agency, "kind": "customs"} for agency in (VICTIM, STRANGER)]))
    with local_exchange(program, home, "--agencies", agencies):

        def publish(number: int, code: int = 0) -> Json:
            file = write_jsonl(tmp_path / f"{number}.jsonl", [alert(number)])
            return program.run("publish", file, "--as", VICTIM, "--home", home, "--json").must(code).line

        assert publish(1)["outcome"] == "accepted"
        store = AgencyHome(home, VICTIM).publisher_store
        for part in store.parent.glob(f"{store.name}*"):
            shutil.copy(part, tmp_path / f"backup{part.name.removeprefix(store.name)}")
        assert publish(2)["outcome"] == "accepted"
        for part in store.parent.glob(f"{store.name}*"):
            part.unlink()
        for part in tmp_path.glob("backup*"):
            shutil.copy(part, store.with_name(store.name + part.name.removeprefix("backup")))
        refused = publish(3, code=1)
        assert (refused["outcome"], refused["code"]) == ("quarantined", "EQUIVOCATION")

        (row,) = program.run("quarantine", "list", "--home", home, "--json").must().lines
        assert row["first"]["evidence"] is True
        file = tmp_path / "two-statements.evidence"
        program.run("quarantine", "export", row["place"], "--evidence", "--out", file, "--home", home).must()
        assert publish(4)["outcome"] == "accepted"
        program.run("agency", "list", "--as", STRANGER, "--home", home).must()

    trust = AgencyHome(home, STRANGER).folder
    seen = program.run("inspect", file, "--trust", trust, "--json").must().line
    assert (seen["verdict"], seen["originator"], seen["seq"]) == ("proven", VICTIM, 2)
    assert [each["subject"] for each in seen["statements"]] == [f"{VICTIM}/2026/2", f"{VICTIM}/2026/3"]
    told = program.run("inspect", file, "--trust", trust).must().out
    assert f"{VICTIM} signed two different messages as number 2" in told
    value = file.read_bytes()
    assert b"SECRET" not in value
    altered = tmp_path / "altered.evidence"
    altered.write_bytes(value[:-1] + bytes([value[-1] ^ 1]))
    assert program.run("inspect", altered, "--trust", trust, "--json").must(1).line["verdict"] == "BAD_SIGNATURE"
