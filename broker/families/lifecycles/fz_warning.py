"""Publication of a free-zone warning (domain dictionary 2.5)."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, Machine, move
from broker.families.lifecycles.statement import FIRST_SAYS, JOINED, LATER_SAYS, RECALL_SAYS, RECALLABLE

FZ_WARNING: Final = Machine(
    name="fz_warning",
    title="a free-zone warning",
    doc="What the zone's authority or the host customs says of goods or a pattern in a zone; the dwell clock runs beside it.",
    initial="DRAFT",
    final=frozenset({"EXPIRED", "RECALLED"}),
    standing=frozenset({"WARNED", "UPDATED"}),
    moves=(
        move("WARN", "DRAFT", "WARNED", said_by=FIRST_SAYS),
        move("UPDATE", "DRAFT WARNED UPDATED", "UPDATED", said_by=LATER_SAYS, guard=JOINED),
        move("EXPIRE", "WARNED UPDATED", "EXPIRED", CLOCK, guard="valid_until is past"),
        move("RECALL", "WARNED UPDATED EXPIRED", "RECALLED", said_by=RECALL_SAYS, guard=RECALLABLE),
    ),
)
