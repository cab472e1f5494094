"""Acknowledging what is delivered: one signed ack for each delivery, however often it is read again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from broker import ids
from broker.envelope.receipt import Receipt
from broker.errors import BrokerError, RefusedError
from broker.families.ack import AckLevel, ack
from broker.families.clocks.arising import ANSWERS
from broker.families.message import Message
from broker.service.publisher import Handle, Publisher
from broker.service.subscriber import Delivery

AT_ONCE: Final = 512
"""Acknowledgements on their way at a time."""
RECEIPT_S: Final = 60.0
"""How long the relay's answer to an acknowledgement is waited for."""


def ack_subject(agency: str, target: str, revision: int, level: str) -> str:
    """The subject of an agency's acknowledgement of one revision at one level: always the same, so that there is one."""
    digest = hashlib.sha256(f"{target}\n{revision}\n{level}".encode()).hexdigest()
    return ids.subject_id(f"{agency}/ack/{digest[:32]}")


def ack_of(delivery: Delivery, agency: str, level: AckLevel, now_ms: int) -> Message | None:
    """The acknowledgement of a delivery, to its owner; None for what nobody acknowledges: answers, recalls (they are answered with
    what was done), revisions without content. Its purposes and legal basis are those of the message that it is about."""
    if delivery.family in ANSWERS or delivery.family == "recall" or "core" not in delivery.sections:
        return None
    header = delivery.header
    return ack(
        subject=ack_subject(agency, delivery.subject, delivery.revision, level),
        target=delivery.subject,
        target_revision=delivery.revision,
        core={"level": level, "reached_at": datetime.fromtimestamp(now_ms / 1000, UTC)},
        purposes=tuple(header.purposes),
        legal_basis=header.legal_basis,
    )


class Acknowledger:
    """Publishes acknowledgements through a started publisher, and follows their receipts."""

    def __init__(self, publisher: Publisher, level: AckLevel, now_ms: Callable[[], int], refused: Callable[[str, str], None]) -> None:
        """``refused`` is called with the subject and the reason of each that was not taken."""
        self._publisher, self._now_ms, self._tell = publisher, now_ms, refused
        self._level: AckLevel = level
        self._waiting: set[asyncio.Task[None]] = set()
        self.published = 0
        self.refused = 0

    async def acknowledge(self, delivery: Delivery) -> str | None:
        """Publish the acknowledgement of a delivery, unless it was before; its subject, None where nobody acknowledges this. It is stored
        when this returns: what dies afterwards sends it at its next start."""
        message = ack_of(delivery, self._publisher.agency, self._level, self._now_ms())
        if message is None:
            return None
        if self._publisher.acknowledged(message.subject):
            return message.subject
        while len(self._waiting) >= AT_ONCE:
            await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
        try:
            handle = await self._publisher.publish(message)
        except RefusedError as error:
            self._refused(message.subject, str(error))
            return message.subject
        self.published += 1
        task = asyncio.create_task(self._follow(handle))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return message.subject

    async def _follow(self, handle: Handle) -> None:
        try:
            receipt = await handle.receipt(RECEIPT_S)
        except BrokerError as error:
            self._refused(handle.subject, str(error))
        else:
            if not taken(receipt):
                self._refused(handle.subject, f"{receipt.code}: {receipt.reason}")

    def _refused(self, subject: str, reason: str) -> None:
        self.refused += 1
        self._tell(subject, reason)

    async def finish(self) -> None:
        """Wait for the receipts that are still to come."""
        await asyncio.gather(*self._waiting)


def taken(receipt: Receipt) -> bool:
    """Whether the exchange has the acknowledgement: now, or since a run whose store was lost."""
    return receipt.outcome == "ACCEPTED" or receipt.code == "STALE_REVISION"
