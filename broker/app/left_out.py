"""What an export leaves out, and why: counted, so that who reads it knows that it is not all that the agency holds.

Only what the agency itself holds is counted: messages that lie in its register or inbox, and sections that it was given. What the exchange
never gave it is in no count; that a section was withheld there is said in each record. Reasons are the ids of the rules that decided, as
every look-up tells them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from broker.app.purpose import Purposed


@dataclass(slots=True)
class LeftOut:
    """Messages that are in no line, and sections that are missing in a line that is there, by the rule that withheld them."""

    messages: Counter[str] = field(default_factory=Counter[str])
    sections: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def of_register(cls, use: Purposed) -> LeftOut:
        """What a view of the register left out so far: messages, those among the answers to others too, each once."""
        return cls(Counter(each.rule for each in use.withheld.values()), Counter(use.shut.values()))

    def add_message(self, rule: str) -> None:
        """A message is not in it."""
        self.messages[rule] += 1

    def add_sections(self, rules: Iterable[str]) -> None:
        """Sections of one message are not in it; the rule of each."""
        self.sections.update(rules)

    @property
    def nothing(self) -> bool:
        """Whether all is there."""
        return not self.messages and not self.sections

    def json(self) -> dict[str, Any]:
        """As ``--json`` and the node tell it."""
        return {
            "messages": self.messages.total(), "messages_by_rule": dict(sorted(self.messages.items())),
            "sections": self.sections.total(), "sections_by_rule": dict(sorted(self.sections.items())),
        }  # fmt: skip
