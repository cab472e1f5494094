"""What goes wrong while deciding is told: in the relay's log at once, and by `broker status` for as long as the exchange lives."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from broker.app.watch import read_status
from broker.policy.bundle import Bundle
from broker.policy.model import Distribution
from broker.service.knowledge import Knowledge
from broker.testing.local import LocalExchange
from broker.testing.samples import sample_alert
from tests.unit.policy.shipped import schema_text

RULES = """
@id("publish-all") @title("All publish") @basis("test")
permit (principal, action == Action::"publish", resource) when { resource.originator == principal };
@id("receive-named") @title("The named receive") @basis("test")
permit (principal, action == Action::"receive", resource) when { resource.audienceAgencies.contains(principal) };
@id("read-core") @title("All read the core") @basis("test")
permit (principal, action == Action::"read:core", resource);
"""


def _knowledge(exchange: LocalExchange) -> Knowledge:
    assert exchange.relay is not None
    return exchange.relay._knowledge  # pyright: ignore[reportPrivateUsage]


async def _status(exchange: LocalExchange) -> dict[str, Any]:
    transport = exchange.operator.transport("registrar")
    knowledge = exchange.operator.knowledge(transport)
    await knowledge.load()
    record = await read_status(transport, knowledge, exchange.operator.admin(), exchange.operator.clock.now_ms())
    await knowledge.close()
    await transport.close()
    return record


async def _counts(exchange: LocalExchange) -> tuple[int, int, int]:
    status = await _status(exchange)
    return status["decisions_failed"], status["memo_checked"], status["memo_disagreed"]


async def test_a_wrong_memory_is_put_right_logged_and_shown() -> None:
    """A decision that memory has wrong: the message goes to whom Cedar says, an error is logged, status shows one disagreement, also
    after the relay was started again."""
    async with LocalExchange() as exchange:
        sg, my = await exchange.join("SG-CUSTOMS", "customs"), await exchange.join("MY-CUSTOMS", "customs")
        await sg.publish(sample_alert("SG-CUSTOMS/2026/1", agencies=["MY-CUSTOMS"]))
        decider: Any = _knowledge(exchange).decider
        decider._sample = 1
        wrong = next(entry for key, entry in decider._memo.items() if key[0] == "distribute")
        wrong.answer = Distribution((), wrong.answer.denials, None)
        with capture_logs() as lines:
            receipt = await sg.publish(sample_alert("SG-CUSTOMS/2026/2", agencies=["MY-CUSTOMS"]))
        assert [each.agency for each in receipt.recipients] == ["MY-CUSTOMS"]
        assert len(await my.deliveries(2)) == 2
        errors = [line for line in lines if line["log_level"] == "error"]
        assert [(line["event"], line["decisions"]) for line in errors] == [("remembered decisions disagreed with the policies", 1)]
        assert await _counts(exchange) == (0, 2, 1)
        assert exchange.relay is not None
        assert exchange.relay.totals["decisions_disagreed"] == 1
        await exchange.stop_relay()
        await exchange.start_relay()
        await sg.publish(sample_alert("SG-CUSTOMS/2026/3", agencies=["MY-CUSTOMS"]))
        assert await _counts(exchange) == (0, 2, 1)


async def test_decisions_that_fail_are_logged_and_shown() -> None:
    """An agency of a kind that the policies do not know is given nothing; that deciding failed for it does not pass in silence."""
    schema = schema_text().replace('"zone", ', "").replace('"fiu", ', "")
    async with LocalExchange(bundle=Bundle.from_texts(1, schema, {"all.cedar": RULES})) as exchange:
        sg = await exchange.join("SG-CUSTOMS", "customs")
        for agency, kind in (("SG-ZONE", "zone"), ("MY-CUSTOMS", "customs")):
            await exchange.join(agency, kind)
        assert await _knowledge(exchange).at_least(1, (await _status(exchange))["directory_version"], 5)
        with capture_logs() as lines:
            receipt = await sg.publish(sample_alert("SG-CUSTOMS/2026/1", agencies=["SG-ZONE", "MY-CUSTOMS"]))
        assert [each.agency for each in receipt.recipients] == ["MY-CUSTOMS"]
        errors = [line for line in lines if line["log_level"] == "error"]
        assert [(line["event"], line["decisions"]) for line in errors] == [("decisions failed, which denies", 1)]
        assert await _counts(exchange) == (1, 0, 0)
