"""What a publisher hands back for a message that it took: ids, remarks, and the way to the relay's answer."""

from __future__ import annotations

import asyncio

from broker import ids
from broker.envelope.receipt import Receipt
from broker.errors import ExchangeUnreachable, Finding
from broker.ports import Stored


class Handle:
    """A published message: its ids, what the publisher remarks on it, and the way to the relay's answer."""

    def __init__(self, stored: Stored, answer: asyncio.Future[Receipt], findings: tuple[Finding, ...] = ()) -> None:
        self.message_id = ids.uuid_text(stored.message_id)
        self.subject = stored.subject
        self.revision = stored.revision
        self.leaf = stored.leaf
        self.findings = findings
        self._answer = answer

    async def receipt(self, timeout: float | None = None) -> Receipt:
        """The relay's signed answer, accepted or refused. Raises ExchangeUnreachable after ``timeout`` seconds.

        A receipt that comes later is still stored; nothing has to be published again.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self._answer), timeout)
        except TimeoutError:
            raise ExchangeUnreachable(
                f"no receipt for {self.subject} revision {self.revision} within {timeout:g} s",
                advice="the message is stored and sent; see that a relay runs (`broker status`)",
            ) from None
