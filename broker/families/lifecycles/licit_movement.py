"""Handling of a notice of a licit movement by the country told (domain dictionary 2.5; pre-export notices of PEN Online)."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, OWNER, RECIPIENT, Machine, move

_OPEN = "NOTIFIED ACKNOWLEDGED"

LICIT_MOVEMENT: Final = Machine(
    name="licit_movement",
    title="a notice of movement",
    doc="One for each agency told; owner is who gives notice. The movement is lawful unless somebody objects.",
    initial="NOTIFIED",
    final=frozenset({"CLEARED", "OBJECTED", "CANCELLED"}),
    standing=frozenset({"NOTIFIED", "ACKNOWLEDGED", "CLEARED"}),
    moves=(
        move("ACKNOWLEDGE", "NOTIFIED", "ACKNOWLEDGED", RECIPIENT, "ack L1 to L4"),
        move("CLEAR", _OPEN, "CLEARED", RECIPIENT, "feedback NO_OBJECTION or LICENCE_OK"),
        move("FALL_SILENT", _OPEN, "CLEARED", CLOCK, guard="objection_until is past: silence is no objection"),
        move("OBJECT", f"{_OPEN} CLEARED", "OBJECTED", RECIPIENT, "feedback OBJECTION"),
        move("CANCEL", f"{_OPEN} CLEARED OBJECTED", "CANCELLED", OWNER, "a recall of the notice"),
    ),
)
