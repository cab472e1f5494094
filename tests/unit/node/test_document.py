"""The OpenAPI document: its examples are right, its shapes are those of the answers, and requests made up from it never break the node."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks as general_checks
from schemathesis.specs.openapi import checks as openapi_checks

from broker.node.application import ROUTES
from broker.node.document import OPERATIONS, document
from broker.node.examples import EXAMPLES
from tests.support.node_clients import PURPOSE, InProcess, Served

_GENERAL: Any = general_checks
_OPENAPI: Any = openapi_checks
CHECKS: Any = [
    _GENERAL.not_a_server_error, _OPENAPI.status_code_conformance, _OPENAPI.content_type_conformance, _OPENAPI.response_headers_conformance,
    _OPENAPI.response_schema_conformance, _OPENAPI.negative_data_rejection, _OPENAPI.unsupported_method,
]  # fmt: skip
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
EXAMPLES_EACH = 30
"""Requests made up for each operation."""


@schemathesis.serializer("application/toml")
def toml(_context: object, value: object) -> bytes:
    """A made-up mapping as it is sent."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


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
    found = document(ROUTES, "test")
    operations = [(path, method) for path, methods in found["paths"].items() for method in methods if path != "/inbox/events"]
    url, folder = f"https://127.0.0.1:{served.port}", served.made.folder
    how: Any = {"base_url": url, "verify": str(folder.ca), "cert": str(folder.path / "users" / "integrator.pem")}
    how["headers"] = {"Broker-Purpose": PURPOSE}
    schema = schemathesis.openapi.from_dict(cast("dict[str, Any]", json.loads(json.dumps(found))))
    for path, method in operations:
        await asyncio.to_thread(_made_up, schema[path][method.upper()], how)
    assert not served.made.node.failed.is_set()


def _made_up(operation: Any, how: Any) -> None:
    @settings(
        max_examples=EXAMPLES_EACH, deadline=None, suppress_health_check=SLOW, phases=[Phase.generate], database=None,
        derandomize=True,
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, **how)

    ask()
