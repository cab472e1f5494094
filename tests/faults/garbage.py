"""Records of an outbox that mean nothing: a flood of them has to end in quarantine, each once, and delay nobody."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

from broker.exchange.rules import Rules
from broker.testing.samples import sample_alert
from tests.support.parcels import Author, Made, Signs

MAGIC: Final = b"\x58\x42\x01"
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True)
class Garbage:
    """Four sorts in turn, every record different: random bytes, the magic number and random bytes, a parcel that breaks off, and a
    whole parcel whose signature is wrong. ``good`` is the message that the last two are made of."""

    good: Made
    seed: int

    @classmethod
    def of(cls, agency: str, by: Signs, rules: Rules, *, seed: int, now_ms: int) -> Garbage:
        """Around a message that would be right."""
        author = Author(agency, by, rules, seed=seed)
        alert = sample_alert(f"{agency}/2026/000001", now_ms=now_ms, agencies=["AE-CUSTOMS"], tlp="AMBER_STRICT")
        return cls(author.write(alert, now_ms=now_ms), seed)

    def value(self, number: int) -> bytes:
        """Record ``number``."""
        dice = random.Random(f"{self.seed}/{number}")
        match number % 4:
            case 0:
                return dice.randbytes(dice.randrange(40, 1500))
            case 1:
                return MAGIC + dice.randbytes(dice.randrange(40, 1500))
            case 2:
                value = self._wrongly_signed(dice)
                return value[: dice.randrange(len(value) // 2, len(value) - 1)]
            case _:
                return self._wrongly_signed(dice)

    def _wrongly_signed(self, dice: random.Random) -> bytes:
        return replace(self.good, statement=replace(self.good.statement, signature=dice.randbytes(SIGNATURE_BYTES))).value
