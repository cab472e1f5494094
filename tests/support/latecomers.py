"""Making somebody entitled to what lies behind, and comparing what two agencies know in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker.app.parties import Operator
from broker.storage.home import AgencyHome
from broker.storage.register import RegisterStore
from tests.support.deliveries import all_rows

Rows = dict[str, list[tuple[Any, ...]]]


async def put_into(operator: Operator, agency: str, communities: Sequence[str]) -> None:
    """The registrar puts a member into these communities: it is admitted again, with the request that it made."""
    await operator.admit(AgencyHome(operator.home, agency).request()[0], communities)


def known_in(store: RegisterStore) -> Rows:
    """All rows of a register, but for the number under which a delivery came: agencies that were there at other times differ in it."""
    rows = all_rows(store.transaction)
    rows["subject"] = [(*row[:4], *row[5:]) for row in rows["subject"]]
    return rows
