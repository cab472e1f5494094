"""What becomes of goods that were stopped (domain dictionary 4, seizure), as the core section of the report tells it."""

from typing import Final

from broker.families.lifecycles.machine import Machine, move
from broker.families.lifecycles.statement import RECALL_SAYS

_HELD = "DETAINED SEIZED"
_ALL = "DETAINED SEIZED FORFEITED RELEASED RETURNED REFUSED LOST DISPOSED"

SEIZED_GOODS: Final = Machine(
    name="seized_goods",
    title="seized goods",
    doc="A report may begin with any event: goods can be found stolen, refused or forfeited before anybody reported them detained.",
    initial="UNKNOWN",
    final=frozenset({"RELEASED", "RETURNED", "REFUSED", "FORFEITED", "LOST", "DISPOSED", "RECALLED"}),
    standing=frozenset({"DETAINED", "SEIZED", "FORFEITED"}),
    moves=(
        move("DETAIN", "UNKNOWN DETAINED", "DETAINED", said_by="event_type DETENTION"),
        move("SEIZE", f"UNKNOWN {_HELD}", "SEIZED", said_by="event_type SEIZURE"),
        move("FORFEIT", f"UNKNOWN {_HELD} FORFEITED", "FORFEITED", said_by="event_type FORFEITURE", guard="by a court or the law"),
        move("FORFEIT", "DISPOSED", "DISPOSED", said_by="event_type FORFEITURE"),
        move("REFUSE", "UNKNOWN DETAINED REFUSED", "REFUSED", said_by="event_type REFUSAL", guard="entry or exit was refused"),
        move("RETURN", "UNKNOWN SEIZED RETURNED", "RETURNED", said_by="event_type RETURN"),
        move("RETURN", "DETAINED RELEASED", "RELEASED", said_by="event_type RETURN", guard="never seized, given free"),
        move("LOSE", f"UNKNOWN {_HELD} FORFEITED LOST", "LOST", said_by="event_type THEFT_LOSS"),
        move("SEIZE", "LOST", "SEIZED", said_by="event_type SEIZURE", guard="found again"),
        move("DISPOSE", "FORFEITED", "DISPOSED", guard="the outcome section's disposal tells it"),
        move("RECALL", _ALL, "RECALLED", said_by=RECALL_SAYS),
    ),
)
