"""What a trace shows: as JSON, and as a line for people."""

from __future__ import annotations

from rich.text import Text

from broker.app.register_forms import trace_json
from broker.cli.recall_forms import trace_told
from broker.exchange.trace import Sent, Trace

NOW = 1_795_478_400_000
VERSIONS = (3, 7)


def trace(*sent: Sent) -> Trace:
    return Trace("AE-CUSTOMS", sent, ())


def told(*sent: Sent) -> str:
    """The line without its colours."""
    return Text.from_markup(trace_told(trace(*sent))).plain


def test_a_delivery_is_told_with_its_rules() -> None:
    """Sections, the rule, when; then what was withheld, the sections of one rule together."""
    withheld, by = ("grounds", "parties", "source"), ("default-deny", "stop-parties", "default-deny")
    sent = Sent(1, NOW, ("core", "goods"), withheld, by, "receive-named", *VERSIONS)
    withheld_told = "withheld grounds, source by default-deny, parties by stop-parties"
    assert told(sent) == f"AE-CUSTOMS       1: core, goods by receive-named 2026-11-24T00:00:00.000Z {withheld_told}"
    (shown,) = trace_json("SG-CUSTOMS/2026/1", trace(sent))["deliveries"]
    assert (shown["rule"], shown["withheld"]) == ("receive-named", list(withheld))
    assert shown["withheld_by"] == {"grounds": "default-deny", "parties": "stop-parties", "source": "default-deny"}


def test_a_receipt_without_rules_is_told_by_its_policy() -> None:
    """What a receipt of version 1 does not say is not made up: the version of the policy stands for the rule."""
    sent = Sent(1, NOW, ("core",), ("grounds", "parties"), (), None, *VERSIONS)
    assert told(sent) == "AE-CUSTOMS       1: core by policy 3 2026-11-24T00:00:00.000Z withheld grounds, parties"
    (shown,) = trace_json("SG-CUSTOMS/2026/1", trace(sent))["deliveries"]
    assert (shown["rule"], shown["withheld_by"]) == (None, {})


def test_a_rule_is_never_markup_or_control() -> None:
    """Ids of rules come from a policy: brackets stay brackets, and what a terminal would obey is escaped."""
    sent = Sent(1, NOW, ("core",), ("grounds",), ("[bold]x",), "read\x1b[31m", *VERSIONS)
    assert "by read\\x1b[31m" in told(sent)
    assert "withheld grounds by [bold]x" in told(sent)
