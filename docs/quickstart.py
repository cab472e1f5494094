"""One alert and three partners: a whole exchange in this process, with real keys and policy, without Kafka."""

import asyncio

from broker.testing.local import LocalExchange
from broker.testing.samples import sample_alert


async def main() -> None:
    """Singapore customs warns of a container: partners read what policy gives them, or a rule says why not."""
    members = [("SG-CUSTOMS", "customs"), ("AE-CUSTOMS", "customs"), ("DE-BAFA", "licensing"), ("DE-CUSTOMS", "customs")]
    async with LocalExchange() as exchange:
        singapore, *partners = [await exchange.join(agency, kind) for agency, kind in members]
        alert = sample_alert("SG-CUSTOMS/2026/000123", agencies=["AE-CUSTOMS", "DE-BAFA"], tlp="AMBER_STRICT")
        await singapore.publish(alert)
        for partner in partners:
            for delivery in await partner.deliveries(1):
                print(f"{partner.agency} reads {', '.join(delivery.sections)}; withheld: {delivery.withheld or 'nothing'}")
        for denial in (await singapore.preview(alert))[1].denials:
            print(f"{denial.agency} gets nothing, by {denial.rule}: {denial.reason}")


asyncio.run(main())
