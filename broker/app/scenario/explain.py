"""Lines about who gets what of a message, with the sentence that policy gives for it."""

from __future__ import annotations

from collections.abc import Mapping

from broker.app.scenario.events import Line
from broker.app.scenario.script import Step
from broker.errors import REFUSALS
from broker.families.catalogue import FAMILIES
from broker.families.message import Message
from broker.policy.decide import Decider
from broker.policy.model import AUDIENCE, Labels


def refused(step: Step, agency: str, code: str, reason: str, *, message: Message | None = None, place: str = "") -> Line:
    """A record or message that was refused; ``place`` is where its bytes lie in quarantine."""
    admission_step, advice = REFUSALS[code]
    return Line(
        step.name, agency, "refused", message.family if message else "", subject=message.subject if message else "",
        code=code, reason=reason, admission_step=admission_step, advice=advice, place=place,
    )  # fmt: skip


class Explanation:
    """Lines about one message, explained by the policy in force at ``now_ms`` (Unix milliseconds)."""

    def __init__(self, step: Step, message: Message, message_id: str | None, decider: Decider, labels: Labels, now_ms: int) -> None:
        self._step, self._message, self._message_id = step, message, message_id
        self._decider, self._labels, self._now_ms = decider, labels, now_ms
        self._order = FAMILIES[message.family].sections

    def accepted(self, agency: str, elapsed_ms: float) -> Line:
        """The sender's line."""
        verdict = self._decider.may_publish(self._labels, self._now_ms)
        sections = self._sorted(dict.fromkeys(self._message.sections, ""))
        return self._line(agency, "accepted", sections, (), verdict.rules[0], {}, verdict.reason, {}, elapsed_ms)

    def given(
        self, agency: str, outcome: str, rule: str, given: Mapping[str, str], withheld: Mapping[str, str], elapsed_ms: float | None = None
    ) -> Line:
        """The line of an agency that gets, or would get, these sections (section to rule)."""
        reasons = {name: self._why(agency, f"read:{name}") for name in withheld}
        # The rules that apply stand in the order of their ids; the first is the one that counts, here and in the slip.
        reason = self._why(agency, "receive").partition("; ")[0]
        return self._line(
            agency, outcome, self._sorted(given), self._sorted(withheld), rule, {**given, **withheld}, reason, reasons, elapsed_ms
        )

    def nothing(self, agency: str, outcome: str) -> Line:
        """The line of an agency that gets, or would get, nothing."""
        denials = {denial.agency: denial for denial in self._decider.distribute(self._labels, self._now_ms).denials}
        denial = denials.get(agency)
        rule, reason = (denial.rule, denial.reason) if denial else ("", "policy discloses it, and yet it did not arrive")
        withheld = self._sorted(dict.fromkeys(self._message.sections, ""))
        return self._line(agency, outcome, (), withheld, rule, {}, reason, {}, None)

    def _line(
        self, agency: str, outcome: str, sections: tuple[str, ...], withheld: tuple[str, ...], rule: str, rules: Mapping[str, str],
        reason: str, reasons: Mapping[str, str], elapsed_ms: float | None,
    ) -> Line:  # fmt: skip
        message = self._message
        return Line(
            self._step.name, agency, outcome, message.family, self._message_id, message.subject, message.revision, sections, withheld,
            rule, rules, reason, reasons, elapsed_ms=elapsed_ms,
        )  # fmt: skip

    def _sorted(self, names: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(name for name in self._order if name in names and name != AUDIENCE)

    def _why(self, agency: str, action: str) -> str:
        return self._decider.explain(agency, action, self._labels, self._now_ms).reason
