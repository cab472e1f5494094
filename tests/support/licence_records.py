"""Licence decisions made from lines of the United Kingdom's strategic export statistics
(:data:`tests.support.records.LICENCE_LINES`).

The lines of one licence group are one decision: its day, country of destination, the ratings of its items, their value, and
whether it was refused are the record's. Who applied, the kind of licence, and what a denial says to other authorities are made up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from tests.support.records import Built, Row, built, country_codes, seeded, taken

OWNER: Final = "GB-LICENSING"
_RATING = re.compile(r"(?P<military>ML[0-9]+)|(?P<national>PL[0-9]+)|(?P<dual>[0-9][A-E][0-9]{3})")
_SCHEMES: Final = {"military": "UK_ML", "national": "UK_PL", "dual": "UK_DUAL_USE"}


@dataclass(frozen=True, slots=True)
class LicenceBuilder:
    """Builds decisions. The same lines and seed give the same decision. ``agencies`` are named besides those that policy tells anyway."""

    folder: Path
    seed: int = 0
    agencies: tuple[str, ...] = ()

    def decisions(self, lines: Sequence[Row]) -> Iterator[Built]:
        """A decision for each group of lines whose country has a code, in the order of the file."""
        codes = country_codes(self.folder)
        for group, rows in itertools.groupby(lines, key=lambda row: row["licence_group"]):
            listed = list(rows)
            code = codes.get(listed[0]["country"])
            if code is not None:
                yield self._decision(group, listed, code)

    def _decision(self, group: str, rows: list[Row], country: str) -> Built:
        chance = seeded(self.seed, group)
        day, refused = rows[0]["date"], rows[0]["refused"] == "1"
        core = {
            "decision_type": taken("DENY" if refused else "GRANT"),
            "authority": OWNER,
            "licence_no": taken(group),
            "licence_type": "INDIVIDUAL",
            "effective_at": taken(f"{day}T00:00:00Z"),
            "published_at": f"{day}T00:00:00Z",
            "destinations": [taken(country)],
        }
        sections: dict[str, Any] = {"core": core, "items": {"items": [_item(number, row) for number, row in enumerate(rows, 1)]}}
        if refused:
            sections["reason"] = {"reason_code": "OTHER"}
            sections["denial"] = _denial(group, rows, day)
        else:
            sections["parties"] = _parties(chance.randrange(10**12), country)
        values = [int(row["value_gbp"]) for row in rows if row["value_gbp"]]
        if values:
            sections["value"] = {"currency": "GBP", "total": taken(str(sum(values)))}
        return built(
            {
                "family": "licence",
                "subject": taken(f"{OWNER}/{day[:4]}/{group}"),
                "revision": 1,
                "header": {
                    "urgency": "ROUTINE",
                    "tlp": "AMBER",
                    "purposes": ["LICENSING"],
                    "legal_basis": "UNSCR1540",
                    "audience": {"agencies": list(self.agencies)} if self.agencies else {},
                },
                "sections": sections,
            }
        )


def _item(number: int, row: Row) -> dict[str, Any]:
    matched = _RATING.fullmatch(row["rating"])
    if matched is None or matched.lastgroup is None:
        return {"line": number, "description": taken(row["rating"])}
    entry = {"scheme": _SCHEMES[matched.lastgroup], "code": taken(row["rating"]), "edition": row["date"][:4]}
    return {"line": number, "control_codes": [entry]}


def _denial(group: str, rows: list[Row], day: str) -> dict[str, Any]:
    end = date.fromisoformat(day)
    until = end.replace(year=end.year + 3, day=min(end.day, 28))
    return {
        "regime": "WASSENAAR",
        "denial_no": f"GB-{group}",
        "essentially_identical_key": taken(" ".join([rows[0]["rating"], rows[0]["country"]])),
        "valid_until": f"{until.isoformat()}T00:00:00Z",
        "consultation_contact": "desk of the licensing authority",
    }


def _parties(number: int, country: str) -> dict[str, Any]:
    buyer = {"name": "Consignee of the licence", "person_type": "2", "country": country}
    return {
        "exporter": {"name": "Exporter of the licence", "person_type": "2", "eori": f"GB{number:012d}", "country": "GB"},
        "consignee": buyer,
        "end_users": [{**buyer, "name": "End user of the licence"}],
    }
