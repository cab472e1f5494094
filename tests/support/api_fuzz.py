"""Requests that schemathesis makes up from the node's own OpenAPI document, good ones and bad ones, and what comes of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, cast

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks as general_checks
from schemathesis.specs.openapi import checks as openapi_checks

from broker.node.application import ROUTES
from broker.node.document import document
from tests.support.node_clients import PURPOSE, Served

_GENERAL: Any = general_checks
_OPENAPI: Any = openapi_checks
CHECKS: Final[Any] = [
    _GENERAL.not_a_server_error, _OPENAPI.status_code_conformance, _OPENAPI.content_type_conformance, _OPENAPI.response_headers_conformance,
    _OPENAPI.response_schema_conformance, _OPENAPI.negative_data_rejection, _OPENAPI.unsupported_method,
]  # fmt: skip
SLOW: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
STREAM: Final = "/inbox/events"
"""It does not end by itself: other tests read it."""


@schemathesis.serializer("application/toml")
def toml(_context: object, value: object) -> bytes:
    """A made-up mapping as it is sent."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@dataclass
class Fuzzed:
    """What came of the requests of one operation: how many, their answers by status, and the first that was wrong."""

    method: str
    path: str
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])
    failure: str = ""


class ApiFuzz:
    """Made-up requests to a node on a port, as its user `integrator`."""

    def __init__(self, served: Served) -> None:
        folder = served.made.folder
        self._how: dict[str, Any] = {
            "base_url": f"https://127.0.0.1:{served.port}", "verify": str(folder.ca),
            "cert": str(folder.path / "users" / "integrator.pem"), "headers": {"Broker-Purpose": PURPOSE},
        }  # fmt: skip
        found = json.loads(json.dumps(document(ROUTES, "test")))
        found.pop("security")  # the certificate is good: made-up tokens beside it would be refused before anything is looked at
        found["components"].pop("securitySchemes")
        self._schema: Any = schemathesis.openapi.from_dict(cast("dict[str, Any]", found))
        self.operations = [(method.upper(), path) for path, methods in found["paths"].items() for method in methods if path != STREAM]

    def ask(self, method: str, path: str, examples: int) -> Fuzzed:
        """So many requests of one operation, the same ones each time. Nothing is raised: what is wrong is in the answer."""
        told, operation = Fuzzed(method, path), self._schema[path][method]

        session = requests.Session()  # one connection, as a client has it, rather than a handshake for each request

        @settings(
            max_examples=examples, deadline=None, suppress_health_check=SLOW, phases=[Phase.generate], database=None, derandomize=True,
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            response = case.call(session=session, **self._how)
            told.cases += 1
            told.statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS, headers=self._how["headers"])

        try:
            one()
        except Exception as error:  # noqa: BLE001 - whatever a check or the client says of it is a finding
            told.failure = f"{type(error).__name__}: {error}"
        finally:
            session.close()
        return told
