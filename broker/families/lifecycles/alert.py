"""Publication of an alert, its owner's side (domain dictionary 4, alert, owner)."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, Machine, move
from broker.families.lifecycles.statement import FIRST_SAYS, JOINED, LATER_SAYS, RECALL_SAYS, RECALLABLE

_LIVE = "ISSUED AMENDED"

ALERT: Final = Machine(
    name="alert",
    title="an alert",
    doc=(
        "What the owner says about the alert. Messages say ISSUE, AMEND and RECALL; closing, superseding and merging have no field in "
        "the sections yet, and are for an owner's own register."
    ),
    initial="DRAFT",
    final=frozenset({"CLOSED", "SUPERSEDED", "MERGED", "EXPIRED", "RECALLED"}),
    standing=frozenset({"ISSUED", "AMENDED"}),
    moves=(
        move("ISSUE", "DRAFT", "ISSUED", said_by=FIRST_SAYS),
        move("AMEND", f"DRAFT {_LIVE}", "AMENDED", said_by=LATER_SAYS, guard=JOINED),
        move("CLOSE", _LIVE, "CLOSED", guard="the shipment was dealt with; nothing is amended after it"),
        move("SUPERSEDE", _LIVE, "SUPERSEDED", guard="another alert takes its place"),
        move("MERGE", _LIVE, "MERGED", guard="goes on in another alert on the same shipment"),
        move("EXPIRE", _LIVE, "EXPIRED", CLOCK, guard="valid_until is past"),
        move("RECALL", f"{_LIVE} CLOSED SUPERSEDED MERGED EXPIRED", "RECALLED", said_by=RECALL_SAYS, guard=RECALLABLE),
    ),
)
