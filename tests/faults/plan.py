"""What is published while things fail: message number n of an agency is always the same, so that whoever checks knows it beforehand.

The shards are those of 16: with two relay workers the first holds KR-CUSTOMS, JP-CUSTOMS and TH-CUSTOMS, the second SG-CUSTOMS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.families.message import Message
from broker.testing.samples import sample_alert

SHARDS: Final = 16
PUBLISHERS: Final[tuple[str, ...]] = ("KR-CUSTOMS", "SG-CUSTOMS")
RECIPIENTS: Final[Mapping[str, str]] = {"AE-CUSTOMS": "customs", "DE-BAFA": "licensing", "GB-CUSTOMS": "customs"}
FLOODER: Final = "JP-CUSTOMS"
"""Of the same shard as KR-CUSTOMS."""

_AUDIENCES: Final = (
    ("AE-CUSTOMS", "DE-BAFA"),
    ("GB-CUSTOMS",),
    ("AE-CUSTOMS", "DE-BAFA", "GB-CUSTOMS"),
    ("DE-BAFA",),
    ("AE-CUSTOMS", "GB-CUSTOMS"),
)
_SECTIONS: Final = frozenset(("core", "equipment", "goods", "parties", "route"))
_OF_KIND: Final = {"customs": _SECTIONS, "licensing": frozenset(("core", "goods"))}
_SUBJECTS: Final = 97
_URGENT_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Planned:
    """Message ``seq`` of an agency (from 1): its name, and who gets which sections, read off the shipped policy's words."""

    agency: str
    seq: int

    @property
    def subject(self) -> str:
        """Subjects take turns, so that many revisions of each are under way."""
        return f"{self.agency}/2026/{(self.seq - 1) % _SUBJECTS:06}"

    @property
    def revision(self) -> int:
        """From 1, without a gap."""
        return (self.seq - 1) // _SUBJECTS + 1

    @property
    def audience(self) -> tuple[str, ...]:
        """Whom the originator names: the same in every revision of a subject, so that nobody drops out of one."""
        return _AUDIENCES[(self.seq - 1) % _SUBJECTS % len(_AUDIENCES)]

    @property
    def entitled(self) -> dict[str, frozenset[str]]:
        """Those whom the originator names; customs read everything that an alert of these has, licensing core and goods."""
        return {agency: _OF_KIND[RECIPIENTS[agency]] for agency in self.audience}

    def withheld(self, agency: str) -> frozenset[str]:
        """What a recipient is told of and does not get."""
        return _SECTIONS - self.entitled[agency]

    def message(self, *, now_ms: int, due_ms: int) -> Message:
        """As it is published. ``due_ms``, when it was meant to be, travels in its text; every twentieth is urgent (direct form)."""
        return sample_alert(
            self.subject,
            now_ms=now_ms,
            agencies=self.audience,
            description=f"{self.agency} number {self.seq} due {due_ms}",
            tlp="AMBER_STRICT",
            revision=self.revision,
            urgency="IMMEDIATE" if self.seq % _URGENT_EVERY == 0 else "ROUTINE",
        )


def busy_shards(shards: range) -> list[int]:
    """Those of them that have a publisher."""
    return sorted({ids.shard_of(agency, SHARDS) for agency in PUBLISHERS} & set(shards))


def expected_deliveries(counts: Mapping[str, int]) -> int:
    """How many deliveries the first messages of each agency make."""
    return sum(len(Planned(agency, seq).entitled) for agency, count in counts.items() for seq in range(1, count + 1))


def read_text(text: str) -> tuple[str, int, int]:
    """Agency, number and due time (Unix ms) out of a message's text."""
    agency, _, number, _, due = text.split(" ")
    return agency, int(number), int(due)
