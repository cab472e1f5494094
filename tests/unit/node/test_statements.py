"""The thin forms: acknowledgements, feedback, requests, consents, recalls, from the node of one agency to that of another."""

from __future__ import annotations

from typing import Any

from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, posted
from tests.unit.service.world import World

Json = dict[str, Any]


async def accepted(node: InProcess, path: str, form: Json, user: str = "supervisor") -> Json:
    """Post a form, and wait until the relay has accepted it: its receipt."""
    async with node.client(user) as client:
        kept = await client.post(path, json=form)
        assert kept.status_code == 202, kept.text
        status = (await client.get(kept.headers["location"], params={"wait": 10})).json()
    assert status["outcome"] == "accepted", status
    return status


async def held(node: InProcess, subject: str) -> None:
    """Wait until the node's register has a subject."""
    await eventually(lambda: node.node.member.files.register_store.exists() and node.node.reader().row(subject), what=subject)


async def test_a_conversation(sg: InProcess, my: InProcess, world: World) -> None:
    """MY acknowledges SG's alert, gives feedback, asks, and asks for consent; SG consents, then recalls. Each goes to whom it has to, and
    SG's trace shows who got the alert and what was answered, for a purpose."""
    target = world.alert(1).subject
    await accepted(sg, "/messages", posted(world.alert(1)))
    await held(my, target)
    about = {"target": target, "target_revision": 1}
    ack = await accepted(my, "/acks", {**about, "core": {"level": "L3"}}, "officer")
    assert [each["agency"] for each in ack["recipients"]] == ["SG-CUSTOMS"]
    async with my.client("officer") as client:
        second = await client.post("/acks", json={**about, "core": {"level": "L3"}})
        assert (await client.get(second.headers["location"], params={"wait": 10})).json()["code"] == "STALE_REVISION"
    await accepted(
        my,
        "/feedback",
        {**about, "core": {"result": "EXAMINED_NEGATIVE", "exam_type": "SCAN", "examined_at": "2026-11-01T00:00:00Z", "hours_spent": 1.5}},
        "officer",
    )
    due = "2099-01-01T00:00:00Z"
    question = {"question_codes": ["END_USER_KNOWN"], "third_party_consent": False, "due": due}
    await accepted(my, "/rfis", {"target": target, "core": question}, "officer")
    wish = {"family": "consent_request", **about, "core": {"recipients": ["AE-CUSTOMS"], "evidential_use": False, "period_until": due}}
    asked = await accepted(my, "/consents", wish, "officer")
    leave = {"decision": "GRANT", "consented_subject": target, "recipients": ["AE-CUSTOMS"], "period_until": due}
    await accepted(sg, "/consents", {"family": "consent_reply", "target": asked["subject"], "core": leave})
    recalled = await accepted(sg, "/recalls", {"subject": target, "reason": "ERROR", "action": "DELETE"})
    assert recalled["revision"] == 2
    async with sg.client("officer") as client, sg.client("auditor", purpose=None) as auditor:
        url = f"/subjects/{target.replace('/', '%2F')}/trace"

        async def answers() -> Json | None:
            found = {each["agency"]: each for each in (await client.get(url)).json()["recipients"]}.get("MY-CUSTOMS", {})
            return found if found.get("feedback") and found.get("acks") else None

        my_trace = await eventually(answers, what="the answers in the trace")
        assert my_trace is not None
        assert [each["code"] for each in my_trace["acks"]] == ["L3"]
        assert [each["code"] for each in my_trace["feedback"]] == ["EXAMINED_NEGATIVE"]
        bare = (await auditor.get(url)).json()["recipients"]
        assert {each["agency"] for each in bare} >= {"MY-CUSTOMS", "AE-CUSTOMS"}
        assert all(each["feedback"] == [] for each in bare)


async def test_bad_forms(sg: InProcess) -> None:
    """What is missing, unknown or of the wrong kind is named; a target that is none is refused as a label."""
    bad: list[tuple[str, Any, str]] = [
        ("/acks", {"target": "MY-CUSTOMS/1"}, "target_revision"),
        ("/feedback", {"target": "MY-CUSTOMS/1", "target_revision": 0, "core": {}}, "target_revision"),
        ("/rfis", {"core": {}, "other": 1}, "other"),
        ("/consents", {"family": "alert", "target": "MY-CUSTOMS/1", "core": {}}, "family"),
        ("/recalls", {"subject": "SG-CUSTOMS/1", "reason": "BORED"}, "reason"),
        ("/recalls", [], "object"),
    ]
    async with sg.client("supervisor") as client:
        for path, form, word in bad:
            answer = await client.post(path, json=form)
            assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST"), path
            assert word in answer.json()["detail"], answer.text
        none = await client.post("/acks", json={"target": "nobody", "target_revision": 1, "core": {"level": "L3"}})
        assert (none.status_code, none.json()["path"]) == (422, "header.correlation.target")
        for due in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
            far = await client.post("/recalls", json={"subject": "SG-CUSTOMS/1", "reason": "ERROR", "revision": 2, "due": due})
            assert (far.status_code, far.json()["path"]) == (422, "core.due"), due
        never = await client.post("/recalls", json={"subject": "SG-CUSTOMS/2026/never", "reason": "ERROR"})
        assert (never.status_code, never.json()["code"]) == (400, "USAGE")
