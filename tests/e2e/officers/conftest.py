"""One running exchange for these tests: a node costs more than most of them."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from tests.e2e.officers.typed import Typed
from tests.e2e.program import Program, local_exchange

AGENCIES = [{"id": agency, "kind": "customs"} for agency in ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS", "TH-CUSTOMS")]


@pytest.fixture(scope="package")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Typed]:
    """An exchange of four customs administrations; SG and MY are the officers."""
    folder = tmp_path_factory.mktemp("officers")
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps(AGENCIES))
    program = Program(folder)
    with local_exchange(program, folder / "home", "--agencies", agencies) as running:
        yield Typed(program, running)
