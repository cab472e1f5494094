"""A proposal to correct another agency's subject (domain dictionary 2.5): only the originator amends, others propose."""

from typing import Final

from broker.families.lifecycles.machine import OWNER, RECIPIENT, Machine, move

CORRECTION: Final = Machine(
    name="correction",
    title="a proposal",
    doc="Owner is who proposes, recipient the originator of the subject named; it alone can make the change, by a revision.",
    initial="PROPOSED",
    final=frozenset({"ADOPTED", "DECLINED", "CANCELLED"}),
    standing=frozenset({"PROPOSED"}),
    moves=(
        move("ADOPT", "PROPOSED DECLINED", "ADOPTED", RECIPIENT, "correction OWNER_RECORD that names the proposal"),
        move("DECLINE", "PROPOSED", "DECLINED", RECIPIENT, "a negative ack"),
        move("CANCEL", "PROPOSED DECLINED", "CANCELLED", OWNER, "a recall of the proposal"),
    ),
)
