"""Publish an alert over Kafka, from the home that ``broker agency join`` made: ``python docs/publish.py .broker SG-CUSTOMS AE-CUSTOMS``."""

import asyncio
import sys
from pathlib import Path

from broker import Member, connect
from broker.testing.samples import sample_alert


async def main(member: Member, recipient: str) -> None:
    """One alert, and the exchange's signed answer: who got which sections of it."""
    now_ms = member.clock.now_ms()
    alert = sample_alert(f"{member.files.agency}/quick/{now_ms}", agencies=[recipient], now_ms=now_ms)
    async with member.publishing() as publisher:
        receipt = await (await publisher.publish(alert)).receipt(timeout=60)
        print(receipt.outcome, *(f"{each.agency}: {', '.join(each.sections)}" for each in receipt.recipients), sep="\n")


if __name__ == "__main__":
    asyncio.run(main(Member(Path(sys.argv[1]), sys.argv[2], connect), sys.argv[3]))
