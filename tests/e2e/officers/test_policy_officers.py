"""A policy is changed on a running exchange: two officers sign, the operator carries, traffic goes on; what the operator tries alone is
refused by relays and agencies, also where it is written past the program."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from broker.exchange import notices
from broker.exchange.topology import POLICY
from broker.policy.facts_file import FACTS_FILE
from broker.ports import Outgoing
from broker.testing.agreements import EVERYWHERE
from tests.e2e.officers.typed import Typed, write_past
from tests.support.officers import FOLDER, NO_PARTIES

pytestmark = pytest.mark.kafka

TESTS = 12
"""So many of the shipped tests go with the new bundle: every process that meets it runs them, half a second for all."""
NO_DOCUMENTS = NO_PARTIES.replace("stop-parties", "stop-grounds").replace("read:parties", "read:grounds")


async def carry_alone(typed: Typed, payload: bytes, key: bytes) -> None:
    """Write a bundle to the topic as somebody can who has every key of the operator."""
    operator = typed.operator()
    registrar, settings = operator.files.registrar(), operator.files.settings()
    aad = notices.context(settings.exchange_id, settings.environment)
    signature = registrar.sign_now(notices.notice_to_sign(notices.BUNDLE_TYPE, payload, aad, alg=registrar.alg, kid=registrar.kid))
    value = notices.notice_bytes(notices.BUNDLE_TYPE, payload, signature, alg=registrar.alg, kid=registrar.kid)
    await write_past(operator, Outgoing(POLICY, key, value))


def test_two_officers_change_a_running_exchange(typed: Typed, tmp_path: Path) -> None:
    """Version 2 is proposed, signed by two agencies and applied: the next receipt carries it and the dry run withholds by its rule.
    One signature, no signature, a bundle that is rolled back, one that widens or fails its tests: exit 1 with the code, and the same
    bundles written past the program change nothing. What would change, and what is decided then, is told by diff and explain."""

    def run(*arguments: str | Path) -> Any:
        return typed.run(*arguments)[-1]

    def published(number: int) -> None:
        typed.published(tmp_path / f"{number}.jsonl", f"SG-CUSTOMS/2026/{number}")

    refused = typed.refused
    published(1)
    policies = tmp_path / "policies"
    shutil.copytree(FOLDER, policies)
    (policies / "more.cedar").write_text(NO_DOCUMENTS.replace("forbid", "permit").replace("stop-grounds", "read-all-grounds"))
    officers = ("--officer", "SG-CUSTOMS", "--officer", "MY-CUSTOMS")
    assert refused("policy", "propose", policies, *officers, "--out", tmp_path / "x.json") == "BUNDLE_FAILS_TESTS"
    scenarios = json.loads((policies / "scenarios.json").read_text())
    kept = [each for each in scenarios["scenarios"] if "grounds" not in json.dumps(each["labels"])]
    # With the facts of the exchange there is less to compare, and one test holds with them.
    (policies / "scenarios.json").write_text(json.dumps(scenarios | {"scenarios": kept[:1]}))
    (policies / FACTS_FILE).write_text(EVERYWHERE)
    assert refused("policy", "propose", policies, *officers, "--out", tmp_path / "x.json") == "BUNDLE_WIDENS"
    (policies / FACTS_FILE).unlink()
    (policies / "scenarios.json").write_text(json.dumps(scenarios | {"scenarios": kept[:TESTS]}))
    (policies / "more.cedar").write_text(NO_DOCUMENTS)
    bundle, one = tmp_path / "policy-2.json", tmp_path / "one.json"
    proposed = run("policy", "propose", policies, *officers, "--out", bundle)
    assert (proposed["version"], proposed["signatures"]) == (2, 0)
    assert (proposed["added"], proposed["gone"], proposed["changed"]) == (["stop-grounds"], [], [])
    compared = typed.run("policy", "diff", bundle, "--no-wider")
    assert "stop-grounds" in {each["rule"] for each in compared if each.get("difference") == "loss"}
    assert (compared[-1]["gains"], compared[-1]["rules"]) == (0, 1)
    assert compared[-1]["facts_less"], "the facts with which the exchange was made are not in the folder"
    assert refused("policy", "apply", bundle) == "TOO_FEW_OFFICERS"
    assert run("policy", "sign", bundle, "--as", "SG-CUSTOMS")["signed_by"] == ["SG-CUSTOMS"]
    shutil.copy(bundle, one)
    assert refused("policy", "apply", one) == "TOO_FEW_OFFICERS"
    asyncio.run(carry_alone(typed, one.read_bytes()[:-1], b"bundle/2"))
    published(2)
    assert run("status")["policy_version"] == 1

    assert run("policy", "sign", bundle, "--as", "MY-CUSTOMS")["signed_by"] == ["MY-CUSTOMS", "SG-CUSTOMS"]
    applied = run("policy", "apply", bundle)
    assert applied["in_force"] is True
    status = run("status")
    assert (status["policy_version"], status["policy_digest"]) == (2, proposed["digest"])
    shown = run("policy", "show", "--as", "MY-CUSTOMS", "--out", tmp_path / "shown")
    assert (shown["version"], shown["signed_by"]) == (2, ["MY-CUSTOMS", "SG-CUSTOMS"])
    assert "stop-grounds" in {rule["id"] for rule in shown["rules"]}
    assert (tmp_path / "shown" / "more.cedar").read_text() == NO_DOCUMENTS
    published(3)
    asked = ("policy", "explain", tmp_path / "3.jsonl", "--as", "SG-CUSTOMS")
    told = typed.run(*asked)
    assert [each["agency"] for each in told] == ["SG-CUSTOMS", "AE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS"]
    assert told[0]["policies"].startswith("version 2, in force in ")
    receive, core = typed.run(*asked, "--agency", "MY-CUSTOMS")
    assert (receive["allowed"], core["allowed"]) == (True, True)

    third = tmp_path / "policy-3.json"
    run("policy", "propose", policies, "--out", third)
    for agency in ("SG-CUSTOMS", "MY-CUSTOMS"):
        run("policy", "sign", third, "--as", agency)
    run("policy", "apply", third)
    assert refused("policy", "apply", bundle) == "BUNDLE_OUT_OF_ORDER"
    asyncio.run(carry_alone(typed, bundle.read_bytes()[:-1], b"bundle/4"))
    assert run("status")["policy_version"] == 3
    published(4)
    got = typed.run("subscribe", "--as", "MY-CUSTOMS", "--max", "4", "--timeout", "30")
    assert [line["subject"].rpartition("/")[2] for line in got] == ["1", "2", "3", "4"]
