"""Read alerts over Kafka, from the home that ``broker agency join`` made: ``python docs/subscribe.py .broker AE-CUSTOMS``."""

import asyncio
import sys
from pathlib import Path

from broker import DONE, Delivery, Member, Outcome, connect


async def screen(delivery: Delivery) -> Outcome:
    """Called with each delivery, verified; what is written through ``delivery.transaction`` happens once."""
    print(delivery.originator, delivery.subject, delivery.sections["core"]["risk_category"], "withheld:", *sorted(delivery.withheld))
    return DONE


async def main(member: Member, idle_timeout: float | None = None) -> None:
    """Until it is stopped, or nothing has come for a while."""
    async with member.subscribing(families=["alert"]) as subscriber:
        await subscriber.run(screen, idle_timeout=idle_timeout)


if __name__ == "__main__":
    asyncio.run(main(Member(Path(sys.argv[1]), sys.argv[2], connect)))
