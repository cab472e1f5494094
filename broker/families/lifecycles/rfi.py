"""Handling of a request for information by the agency asked (domain dictionary 4, RFI)."""

from typing import Final

from broker.families.lifecycles.machine import OWNER, RECIPIENT, Machine, move

_OPEN = "OPEN ACKNOWLEDGED ACCEPTED PARTLY_ANSWERED"

RFI: Final = Machine(
    name="rfi",
    title="a request for information",
    doc="One for each agency asked; owner is who asks. Being late is no state: the clock's duty says it beside any open one.",
    initial="OPEN",
    final=frozenset({"CLOSED", "CANCELLED"}),
    standing=frozenset(_OPEN.split()),
    moves=(
        move("ACKNOWLEDGE", "OPEN", "ACKNOWLEDGED", RECIPIENT, "ack L1 to L3"),
        move("ACCEPT", "OPEN ACKNOWLEDGED", "ACCEPTED", RECIPIENT, "ack L4"),
        move("REFUSE", "OPEN ACKNOWLEDGED ACCEPTED", "REFUSED", RECIPIENT, "rfi_reply REFUSED", "with a ground: LAW, SOVEREIGNTY, ..."),
        move("REDIRECT", "OPEN ACKNOWLEDGED ACCEPTED", "REDIRECTED", RECIPIENT, "rfi_reply REDIRECTED"),
        move("ANSWER_PART", _OPEN, "PARTLY_ANSWERED", RECIPIENT, "rfi_reply PARTIAL", "the rest is due at its rest_due"),
        move("ANSWER", f"{_OPEN} ANSWERED", "ANSWERED", RECIPIENT, "rfi_reply FULL or NO_DATA"),
        move("CLOSE", "ANSWERED REFUSED REDIRECTED PARTLY_ANSWERED", "CLOSED", OWNER, guard="who asked is content"),
        move("CANCEL", f"{_OPEN} ANSWERED REFUSED REDIRECTED", "CANCELLED", OWNER, "a recall of the rfi"),
    ),
)
