"""What is open is a function of the set of messages, and it is what the clocks say of them in their order."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS
from broker.families.clocks.duty import Duty
from broker.families.clocks.settling import examined, settle
from broker.families.message import Message
from broker.register.duties import duties_of
from broker.register.rows import Delivered
from broker.testing.sample_answers import (
    sample_ack,
    sample_consent_reply,
    sample_consent_request,
    sample_feedback,
    sample_recall_reply,
    sample_rfi,
    sample_rfi_reply,
)
from broker.testing.sample_reports import moment, sample_entity_watch, sample_fz_warning, sample_licence, sample_seizure
from broker.testing.samples import sample_alert
from broker.values import Correlation
from tests.support.deliveries import ME, Kept
from tests.unit.register.scene import NOW, changed, put, recalled

ALERT, OWN, ASKED, OWN_ASKED = "SG-CUSTOMS/2026/000001", f"{ME}/2026/000007", "SG-CUSTOMS/2026/Q-1", f"{ME}/2026/Q-2"
OTHERS = ("MY-CUSTOMS", "SG-CUSTOMS")


def about(message: Message, target: str, revision: int | None = None) -> Message:
    """The answer, about another subject."""
    return replace(message, correlation=Correlation(target=target, target_revision=revision))


def partly(message: Message, days: int) -> Message:
    """The reply as a part of what was asked, the rest so many days from now."""
    return changed(message, "core", status="PARTIAL", rest_due=moment(NOW, days=days))


@cache
def pool() -> tuple[Delivered, ...]:
    """Questions and answers of both sides, in the order in which the exchange admitted them."""
    found = sample_seizure(f"{ME}/2026/S-1", alert_id=ALERT)
    messages: list[Message] = [
        sample_alert(ALERT), sample_alert(OWN), sample_rfi(ASKED), sample_rfi(OWN_ASKED), sample_fz_warning(), sample_entity_watch(),
        sample_licence(), sample_consent_request(),
        sample_ack(f"{ME}/ack/1", target=ALERT, target_revision=1), sample_ack("MY-CUSTOMS/ack/1", target=OWN, target_revision=1),
        sample_ack("SG-CUSTOMS/ack/2", target=OWN, target_revision=1, level="L1"),
        about(partly(sample_rfi_reply(f"{ME}/2026/R-1"), 3), ASKED), about(partly(sample_rfi_reply("MY-CUSTOMS/2026/R-1"), 5), OWN_ASKED),
        replace(sample_alert(ALERT), revision=2, urgency="IMMEDIATE"), replace(sample_alert(OWN), revision=2), found,
        sample_ack("SG-CUSTOMS/ack/3", target=OWN, target_revision=2), about(sample_rfi_reply("SG-CUSTOMS/2026/R-9"), OWN_ASKED),
        about(sample_feedback(f"{ME}/2026/F-1"), ALERT, 1), about(sample_feedback("MY-CUSTOMS/2026/F-1"), OWN, 2),
        replace(about(sample_rfi_reply(f"{ME}/2026/R-1"), ASKED), revision=2), sample_consent_reply(),
        replace(sample_alert(ALERT), revision=3), recalled(OWN, 3),
        about(sample_recall_reply("MY-CUSTOMS/2026/X-1"), OWN, 3), about(sample_feedback(f"{ME}/2026/F-2"), ALERT, 3),
    ]  # fmt: skip
    made: list[Delivered] = []
    for number, message in enumerate(messages):
        own = message.subject.startswith(ME)
        made.append(put(message, at=NOW + number * 11 * MINUTE_MS, counter=0 if own else number + 1, recipients=OTHERS if own else ()))
    return tuple(made)


def folded(deliveries: list[Delivered]) -> set[Duty]:
    """What the clocks say is open after these, each taken in its turn."""
    still: tuple[Duty, ...] = ()
    for each in deliveries:
        still = settle(still, each, each.sections["core"]).open
        alert = each.sections.get("method", {}).get("alert_id")
        if each.family == "seizure" and alert is not None:
            at = each.sections["core"]["occurred_at"]
            still = examined(still, alert, each.originator, int(at.timestamp() * 1000))
        still = (*still, *duties_of(each, ME))
    return set(still)


def kept(deliveries: list[Delivered]) -> set[Duty]:
    """What a register says is open after these."""
    register = Kept()
    try:
        register.take(*deliveries)
        return {each.duty for each in register.reader.duties(NOW, 10_000, dates=True)}
    finally:
        register.close()


@given(st.sets(st.integers(0, len(pool()) - 1)), st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_any_order_ends_as_the_clocks_say(chosen: set[int], chance: random.Random) -> None:
    """Any set of messages, in any order and with some of it twice: answers before their questions, old revisions after new ones, an
    acknowledgement after the recall. What is open is what the clocks make of the set in the order of its admission."""
    shuffled = [*chosen, *chance.sample(sorted(chosen), len(chosen) // 2)]
    chance.shuffle(shuffled)
    assert kept([pool()[number] for number in shuffled]) == folded([pool()[number] for number in sorted(chosen)])


def test_the_pool_reaches_every_case() -> None:
    """The whole pool leaves duties of both sides, moved ones among them: the property above is not about nothing."""
    whole = list(pool())
    at_noon = kept(whole[:22])
    assert {duty.debtor for duty in at_noon} >= {ME, "MY-CUSTOMS", "SG-CUSTOMS"}
    assert any(duty.kind == "ANSWER_RFI" and duty.due_ms == NOW + 5 * DAY_MS for duty in at_noon)
    assert any(duty.kind == "ANSWER_RECALL" and duty.debtor == "SG-CUSTOMS" for duty in kept(whole))
    assert not any(duty.subject == OWN and duty.revision < 3 for duty in kept(whole))
    examined_now = [duty for duty in kept(whole[:18]) if (duty.kind, duty.subject) == ("FEEDBACK", ALERT)]
    occurred = int(pool()[15].sections["core"]["occurred_at"].timestamp() * 1000)
    assert [duty.due_ms for duty in examined_now] == [occurred + 72 * HOUR_MS]
