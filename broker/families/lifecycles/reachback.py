"""Handling of a reach-back request by the experts asked (domain dictionary 2.5: the reply is a DETERMINATION)."""

from typing import Final

from broker.families.lifecycles.machine import OWNER, RECIPIENT, Machine, move

_OPEN = "REQUESTED ACKNOWLEDGED ACCEPTED"

REACHBACK: Final = Machine(
    name="reachback",
    title="a reach-back",
    doc="One for each authority or laboratory asked; owner is who asks.",
    initial="REQUESTED",
    final=frozenset({"DETERMINED", "DECLINED", "CANCELLED"}),
    standing=frozenset({*_OPEN.split(), "SAMPLE_WANTED"}),
    moves=(
        move("ACKNOWLEDGE", "REQUESTED", "ACKNOWLEDGED", RECIPIENT, "ack L1 to L3"),
        move("ACCEPT", "REQUESTED ACKNOWLEDGED", "ACCEPTED", RECIPIENT, "ack L4", "the laboratory has it"),
        move("ASK_SAMPLE", f"{_OPEN} SAMPLE_WANTED", "SAMPLE_WANTED", RECIPIENT, "reachback_reply NEEDS_SAMPLE"),
        move("DECLINE", f"{_OPEN} SAMPLE_WANTED", "DECLINED", RECIPIENT, "reachback_reply CANNOT, or a negative ack"),
        move(
            "DETERMINE",
            f"{_OPEN} SAMPLE_WANTED DETERMINED",
            "DETERMINED",
            RECIPIENT,
            "reachback_reply FULL or PARTIAL; a DETERMINATION",
        ),
        move("CANCEL", f"{_OPEN} SAMPLE_WANTED", "CANCELLED", OWNER, "a recall of the reachback"),
    ),
)
