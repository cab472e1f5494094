"""Reading what an agency holds out of its inbox, as the operator, who may read every topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from broker import ids
from broker.exchange.holdings import holding_of
from broker.exchange.rules import Rules
from broker.ports import Source, Transport
from broker.storage.holdings import HoldingsTable

_BATCH: Final = 500
_POLL_S: Final = 0.5


async def read_holdings(
    transport: Transport, rules: Rules, agency: str, table: HoldingsTable, *, quiet_s: float = 0.0, progress: Callable[[int, int], None]
) -> None:
    """Put what lies in the agency's inbox into ``table``, record by record.

    ``quiet_s``: go on until nothing has come for so long, for an agency that was suspended a moment ago: what the relay had under way
    then is still to come. ``progress`` is told the offset reached and the one to reach. Raises ExchangeUnreachable, NotAuthorised.
    """
    source: Source = (ids.inbox(agency), 0)
    loop = asyncio.get_running_loop()
    inlet = await transport.inlet()
    try:
        await inlet.assign({source: "beginning"})
        last = loop.time()
        end = (await inlet.ends())[source]
        while inlet.position(source) < end or loop.time() - last < quiet_s:
            records = await inlet.poll(max_records=_BATCH, timeout=min(_POLL_S, quiet_s or _POLL_S))
            if records:
                last = loop.time()
                table.take(holding for record in records if (holding := holding_of(record, rules)) is not None)
            position = inlet.position(source)
            progress(position, max(end, position))
    finally:
        await inlet.close()
