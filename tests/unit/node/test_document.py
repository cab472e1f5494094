"""The OpenAPI document: its examples are right, its shapes are those of the answers, and requests made up from it never break the node."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from broker.node.application import ROUTES
from broker.node.document import OPERATIONS, document
from broker.node.examples import EXAMPLES
from tests.support.api_fuzz import ApiFuzz
from tests.support.node_clients import InProcess, Served

EXAMPLES_EACH = 30
"""Requests made up for each operation."""


def paths_of(found: dict[str, Any]) -> dict[str, str]:
    """Each operation's path."""
    return {operation["operationId"]: path for path, methods in found["paths"].items() for operation in methods.values()}


async def test_it_is_served(shared: InProcess) -> None:
    """As JSON with a tag, and as a page without script that names every operation; every operation says for whom it is."""
    async with shared.client("auditor") as client:
        answer = await client.get("/openapi.json")
        assert (await client.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})).status_code == 304
        page = (await client.get("/docs")).text
    found = answer.json()
    assert found["openapi"].startswith("3.1")
    assert paths_of(found).keys() == OPERATIONS.keys() == {route.operation_id for route in ROUTES}
    for methods in found["paths"].values():
        for method, operation in methods.items():
            assert operation["x-roles"], operation["operationId"]
            assert operation["description"]
            assert f'id="{operation["operationId"]}"' in page, method
    assert "<script" not in page


async def test_its_examples_are_right(shared: InProcess) -> None:
    """Each example of a body is taken as it stands, in the order in which they are: kept and then accepted by the relay, or answered."""
    paths = paths_of(document(ROUTES, "test"))
    async with shared.client("supervisor") as client:
        for title in (title for title in EXAMPLES if not title.endswith("answer")):
            example, name = EXAMPLES[title], title.split(" ")[0]
            path = paths[name].replace("{kind}", "screen").replace("{name}", "boxes")
            if isinstance(example, str):
                answer = await client.put(path, content=example, headers={"Content-Type": "application/toml"})
            else:
                answer = await client.post(path, content=json.dumps(example), headers={"Content-Type": "application/json"})
            assert answer.status_code in (200, 202), (title, answer.text)
            if answer.status_code == 202:
                status = (await client.get(answer.headers["location"], params={"wait": 10})).json()
                assert status["outcome"] == "accepted", (title, status)


async def test_made_up_requests(served: Served) -> None:
    """Requests by schemathesis, good and bad, for every operation but the stream: no 5xx, and each answer is one that the document names,
    with its media type, headers and shape."""
    fuzz = ApiFuzz(served)
    for method, path in fuzz.operations:
        found = await asyncio.to_thread(fuzz.ask, method, path, EXAMPLES_EACH)
        assert (found.failure, found.cases >= 1) == ("", True), path
    assert not served.made.node.failed.is_set()
