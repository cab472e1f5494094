"""Publication of an entity watch (domain dictionary 2.5): it lives from review to review."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, Machine, move
from broker.families.lifecycles.statement import FIRST_SAYS, JOINED, RECALL_SAYS, RECALLABLE

ENTITY_WATCH: Final = Machine(
    name="entity_watch",
    title="an entity watch",
    doc="A watch that nobody reviewed in time is not screened with until its owner has renewed it; for persons a year is the longest.",
    initial="DRAFT",
    final=frozenset({"RECALLED"}),
    standing=frozenset({"WATCHED", "RENEWED"}),
    moves=(
        move("WATCH", "DRAFT", "WATCHED", said_by=FIRST_SAYS),
        move("RENEW", "DRAFT WATCHED RENEWED REVIEW_DUE", "RENEWED", said_by="a later revision, with its review_date", guard=JOINED),
        move("FALL_DUE", "WATCHED RENEWED", "REVIEW_DUE", CLOCK, guard="review_date is past"),
        move("RECALL", "WATCHED RENEWED REVIEW_DUE", "RECALLED", said_by=RECALL_SAYS, guard=RECALLABLE),
    ),
)
