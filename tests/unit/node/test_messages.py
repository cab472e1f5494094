"""Publishing over HTTP: kept, told apart, refused with our codes; the same key twice; many at once; bad bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Request

from broker.errors import REFUSALS
from broker.node.answers import AnyRequest
from broker.node.messages import keep
from broker.node.problems import CODES
from tests.support.node_clients import InProcess, posted
from tests.unit.service.world import World

LINES = {"Content-Type": "application/jsonl"}
JSON = {"Content-Type": "application/json"}


async def test_kept_then_accepted(sg: InProcess, world: World) -> None:
    """202 with an id and a place to look; there, after a moment, the relay's receipt: who got which sections."""
    async with sg.client("officer") as client:
        kept = await client.post("/messages", json=posted(world.alert(1)))
        assert (kept.status_code, kept.json()["outcome"], kept.json()["environment"]) == (202, "kept", "test")
        assert kept.headers["location"] == f"/messages/{kept.json()['message_id']}"
        status = (await client.get(kept.headers["location"], params={"wait": 10})).json()
    assert (status["outcome"], status["code"]) == ("accepted", None)
    assert {each["agency"]: each["withheld"] for each in status["recipients"]} == {"AE-CUSTOMS": ["parties"], "MY-CUSTOMS": []}


async def test_what_is_refused_is_not_kept(sg: InProcess, world: World) -> None:
    """A message that is not right: 422 with code, field, step and advice of the exchange; nothing waits, and the key is free still."""
    message = posted(world.alert(1))
    del message["sections"]["core"]["alert_type"]
    async with sg.client("officer", headers={"Idempotency-Key": "k"}) as client:
        answer = await client.post("/messages", json=message)
        problem = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert (problem["code"], problem["path"], problem["step"]) == ("BAD_FIELD", "core.alert_type", 8)
        assert problem["advice"] == REFUSALS["BAD_FIELD"][1]
        assert problem["request_id"] == answer.headers["broker-request-id"]
        other = {**posted(world.alert(2)), "subject": "MY-CUSTOMS/2026/1"}
        assert (await client.post("/messages", json=other)).json()["code"] == "NOT_OWNER"
        assert (await client.post("/messages", json=posted(world.alert(1)))).status_code == 202


async def test_a_dry_run_tells_who_would_see_it(sg: InProcess, world: World) -> None:
    """Recipients, sections and rules; nothing is sent, nothing kept."""
    async with sg.client("officer") as client:
        told = (await client.post("/messages/dry-run", json=posted(world.alert(1)))).json()
        assert (told["outcome"], {each["agency"] for each in told["recipients"]}) == ("would be accepted", {"AE-CUSTOMS", "MY-CUSTOMS"})
        assert sg.node.outbox.last_revision(world.alert(1).subject) is None
        wrong = await client.post("/messages/dry-run", json={"family": "alert"})
        assert (wrong.status_code, wrong.json()["path"]) == (422, "sections")


async def test_the_same_key(sg: InProcess, world: World) -> None:
    """The same bytes again: the same answer, marked, and one message. Other bytes, or another path: 422, and nothing is kept. Another
    client's key is another key."""
    body = json.dumps(posted(world.alert(1)))
    async with sg.client("officer", headers=JSON) as client, sg.client("supervisor", headers=JSON) as other:
        first = await client.post("/messages", content=body, headers={"Idempotency-Key": "a 1"})
        again = await client.post("/messages", content=body, headers={"Idempotency-Key": "a 1"})
        assert (again.status_code, again.content, again.headers["location"]) == (202, first.content, first.headers["location"])
        assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
        changed = await client.post("/messages", content=body + " ", headers={"Idempotency-Key": "a 1"})
        assert (changed.status_code, changed.json()["code"]) == (422, "KEY_REUSED")
        feedback = {"target": "MY-CUSTOMS/1", "target_revision": 1, "core": {"result": "NO_MATCH"}}
        moved = await client.post("/feedback", content=json.dumps(feedback), headers={"Idempotency-Key": "a 1"})
        assert moved.json()["code"] == "KEY_REUSED"
        theirs = await other.post("/messages", content=body, headers={"Idempotency-Key": "a 1"})
        assert theirs.json()["message_id"] != first.json()["message_id"]
        for key in ("", "x" * 129, "tab\there"):
            assert (await client.post("/messages", content=body, headers={"Idempotency-Key": key})).json()["code"] == "BAD_KEY", key


async def test_many_at_once(sg: InProcess, world: World) -> None:
    """JSON Lines: each line has its outcome, in order; a bad one stops no other; the same key gives the same answer."""
    good = [json.dumps(posted(world.alert(number))) for number in (1, 2)]
    body = "\n".join([good[0], '{"family": ', '{"a": 1, "a": 2}', json.dumps({"family": "alert"}), "", good[1]])
    async with sg.client("integrator", headers={**LINES, "Idempotency-Key": "m"}) as client:
        told = await client.post("/messages", content=body)
        assert told.status_code == 202
        assert (told.json()["accepted"], told.json()["refused"]) == (2, 3)
        assert [each["outcome"] for each in told.json()["results"]] == ["kept", "refused", "refused", "refused", "kept"]
        assert "twice" in told.json()["results"][2]["reason"]
        assert (await client.post("/messages", content=body)).content == told.content
    async with sg.client("integrator", headers=LINES) as client:
        for empty in ("", "\n\n"):
            assert (await client.post("/messages", content=empty)).json()["code"] == "BAD_REQUEST"
        assert (await client.post("/messages", content="{}\n" * 1001)).json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "BAD_JSON"), (b"{", "BAD_JSON"), (b'{"a":1,"a":2}', "BAD_JSON"), (b"\xff\xfe", "BAD_JSON"), (b"[" * 100_000, "BAD_JSON"),
        (b'{"a": NaN}', "BAD_JSON"), (b'{"revision": 1e999999999}', "BAD_FIELD"), (b"[]", "BAD_FIELD"), (b'"text"', "BAD_FIELD"),
        (b"{}", "BAD_FIELD"), (b'{"family": {}, "subject": [], "sections": {}}', "BAD_FIELD"),
        (b'{"family": "alert", "subject": "SG-CUSTOMS/1", "sections": {"\\u0000": {}}}', "UNKNOWN_SECTION"),
        (b'{"family": "nothing", "subject": "SG-CUSTOMS/1", "sections": {}}', "UNKNOWN_FAMILY"),
        (b'{"family": "alert", "subject": "../../etc/passwd", "sections": {}}', "NOT_OWNER"),
    ],
)  # fmt: skip
async def test_bad_bodies(body: bytes, code: str, shared: InProcess) -> None:
    """What is no JSON, no message or no good message: 400 or 422 with a code, and never the node's own fault."""
    async with shared.client("integrator", headers=JSON) as client:
        for path in ("/messages", "/messages/dry-run"):
            answer = await client.post(path, content=body)
            assert answer.json()["code"] == code, answer.text
            assert answer.status_code == (400 if code in CODES else 422)


async def test_what_it_takes(shared: InProcess) -> None:
    """Other media types, and too long a body: 415 and 413."""
    async with shared.client("integrator") as client:
        for media in ("text/plain", "application/xml", "multipart/form-data", ""):
            answer = await client.post("/messages", content=b"{}", headers={"Content-Type": media})
            assert (answer.status_code, answer.json()["code"]) == (415, "BAD_MEDIA_TYPE"), media
        long = await client.post("/messages", content=b" " * ((8 << 20) + 1), headers=JSON)
        assert (long.status_code, long.json()["code"]) == (413, "TOO_LONG")
        for path in ("/acks", "/feedback", "/recalls"):
            assert (await client.post(path, content=b" " * ((1 << 20) + 1), headers=JSON)).status_code == 413


async def test_script_is_text(sg: InProcess, world: World) -> None:
    """Markup in a text comes back as the text it is, in JSON, from a server that says so."""
    message = posted(world.alert(1))
    message["sections"]["parties"]["parties"][0]["name"] = name = "<script>alert(1)</script>&amp;"
    async with sg.client("officer") as client:
        kept = await client.post("/messages", json=message)
        assert (await client.get(kept.headers["location"], params={"wait": 10})).json()["outcome"] == "accepted"
        (delivery,) = await world.agency("MY-CUSTOMS").deliveries(1)
        assert delivery.sections["parties"]["parties"][0]["name"] == name
        wrong = await client.get("/messages/<script>")
        assert (wrong.status_code, wrong.headers["content-type"]) == (404, "application/problem+json")
        assert wrong.headers["x-content-type-options"] == "nosniff"


async def test_others_have_their_turn_while_many_are_judged(sg: InProcess, world: World) -> None:
    """Hundreds of messages of one request: whoever else asks meanwhile waits until some of them are judged, not until all are."""
    turns, at = 0, list[int]()
    message = {**posted(world.alert(1)), "revision": 0}

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    def coming() -> Iterator[object]:
        for _ in range(200):
            at.append(turns)
            yield message

    asking = asyncio.create_task(others())
    scope: Any = {"type": "http", "path": "/messages", "query_string": b"", "headers": [], "server": ("node", 443)}
    request: AnyRequest = Request(scope)
    user = sg.folder.user_of(sg.certificates["officer"])
    assert user is not None
    answer = await keep(request, sg.node, user, coming(), b"", None, many=True)
    asking.cancel()
    assert json.loads(answer.content)["refused"] == 200
    assert at[-1] - at[0] >= 8
