"""Consultation before a licence is granted for what another authority denied (domain dictionary 4, denial consult)."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, OWNER, RECIPIENT, Machine, move

DENIAL_CONSULT: Final = Machine(
    name="denial_consult",
    title="a consultation",
    doc=(
        "An authority that wants to grant an essentially identical transaction, denied elsewhere within three years, asks the one that "
        "denied: owner is who asks. It is carried as an rfi to the authority that denied, and its answers as rfi_reply."
    ),
    initial="OPENED",
    final=frozenset({"DECIDED"}),
    standing=frozenset({"OPENED", "ACKNOWLEDGED"}),
    moves=(
        move("ACKNOWLEDGE", "OPENED", "ACKNOWLEDGED", RECIPIENT, "ack L1 to L4"),
        move("UPHOLD", "OPENED ACKNOWLEDGED", "UPHELD", RECIPIENT, "rfi_reply", "within 10 working days, extended to 30 at most"),
        move("NO_OBJECTION", "OPENED ACKNOWLEDGED", "NOT_OBJECTED", RECIPIENT, "rfi_reply", "within 10 working days"),
        move("LAPSE", "OPENED ACKNOWLEDGED", "LAPSED", CLOCK, guard="the time is over: silence is no objection"),
        move("DECIDE", "UPHELD NOT_OBJECTED LAPSED", "DECIDED", OWNER, "a licence decision", "granting against an objection is explained"),
    ),
)
