"""A made-up agreement for tests of everything but agreements: between all countries, without end, covering every message."""

from __future__ import annotations

import json
from itertools import product
from string import ascii_uppercase
from typing import Final

EVERYWHERE: Final = json.dumps(
    {
        "agreements": [
            {
                "id": "EVERYWHERE",
                "title": "An agreement of all countries, for tests",
                "basis": "made up",
                "countries": ["".join(pair) for pair in product(ascii_uppercase, repeat=2)],
                "personal": True,
                "from": "1990-01-01T00:00:00Z",
            }
        ]
    }
)
"""The text of its ``entities.json`` (:mod:`broker.policy.facts`)."""
