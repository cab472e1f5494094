"""What a run tells, as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.app.scenario.script import Step


@dataclass(frozen=True, slots=True)
class Began:
    """A step begins; ``number`` counts from 1."""

    number: int
    step: Step


@dataclass(frozen=True, slots=True)
class Line:
    """What came of a step for one agency.

    ``outcome``: ``accepted``, ``refused`` or ``duplicate`` for who sent something; ``delivered`` or ``nothing`` for who could have
    got it, ``would get`` and ``would get nothing`` in a dry run; ``valid``, ``stop`` or ``unknown`` for a check of a licence.

    ``sections`` are those disclosed, ``withheld`` those kept back, ``rules`` the rule of each, ``rule`` the one by which the agency
    receives, or not. ``reason`` and ``reasons`` (by section) are sentences for people. ``code``, ``admission_step`` and ``advice``
    belong to a refusal. ``elapsed_ms`` is the time from the sender's call to the answer, or to the recipient's own code.
    """

    step: str
    agency: str
    outcome: str
    family: str = ""
    message_id: str | None = None
    subject: str = ""
    revision: int = 0
    sections: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    rule: str = ""
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    reason: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    code: str = ""
    admission_step: int = 0
    advice: str = ""
    place: str = ""
    instruction: str = ""
    elapsed_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A step is over; ``differences`` say what was not as the script expects."""

    step: Step
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole run, counted from receipts, from what the agencies' own subscribers took, and from the quarantine topic.

    ``published`` messages were accepted, ``delivered`` reached recipients, ``withheld`` sections were kept from recipients,
    ``refused`` records were refused by the relay or by a recipient, ``duplicates`` were sent again and answered again, ``lost``
    were promised by a receipt and did not reach their recipient. ``expectations`` is how many were compared.
    """

    published: int
    delivered: int
    withheld: int
    refused: int
    duplicates: int
    lost: int
    expectations: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything was as the script expects."""
        return not self.differences


Event = Began | Line | Ended | Summary
