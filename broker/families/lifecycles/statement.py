"""Publication of families whose content has no life of its own: answers, requests, notices, proposals."""

from typing import Final

from broker.families.lifecycles.machine import Machine, move

RECALLABLE: Final = "a recall ends every publication, also one that has ended otherwise: what is recalled still lies in registers"
"""Why RECALL leads out of final states too (reasons ERROR, COMPROMISED and LAW do not ask whether a subject is still open)."""
RECALL_SAYS: Final = "a message of family recall on this subject"
FIRST_SAYS: Final = "revision 1"
LATER_SAYS: Final = "a later revision, complete"
JOINED: Final = "from DRAFT where the revisions before it never reached the exchange"

STATEMENT: Final = Machine(
    name="statement",
    title="a statement",
    doc=(
        "Families that say one thing: ack, feedback, rfi, rfi_reply, correction, recall_reply, consent_request, consent_reply, "
        "reachback, reachback_reply, licit_movement, licence_usage. What an answer does to its target is in that one's handling."
    ),
    initial="DRAFT",
    final=frozenset({"RECALLED", "EXPIRED"}),
    standing=frozenset({"ISSUED", "AMENDED"}),
    moves=(
        move("ISSUE", "DRAFT", "ISSUED", said_by=FIRST_SAYS),
        move("AMEND", "DRAFT ISSUED AMENDED", "AMENDED", said_by=LATER_SAYS, guard=JOINED),
        move("EXPIRE", "ISSUED AMENDED", "EXPIRED", "clock", guard="valid_until is past"),
        move("RECALL", "ISSUED AMENDED EXPIRED", "RECALLED", said_by=RECALL_SAYS, guard=RECALLABLE),
    ),
)
