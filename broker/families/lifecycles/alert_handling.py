"""Handling of an alert by one recipient (domain dictionary 4, alert, recipient), as its owner learns of it."""

from typing import Final

from broker.families.lifecycles.machine import RECIPIENT, Machine, move

_OUTCOMES = "OUTCOME_NEGATIVE OUTCOME_POSITIVE OUTCOME_INCONCLUSIVE"
_REVISED = "also from FEEDBACK_SENT, by a later revision of the feedback"

ALERT_HANDLING: Final = Machine(
    name="alert_handling",
    title="an alert's handling",
    doc="One for each recipient. A feedback tells its result and that it was sent; steps that nobody acknowledged are taken as made.",
    initial="DELIVERED",
    final=frozenset({"FEEDBACK_SENT"}),
    standing=frozenset({"DELIVERED", "INGESTED", "MATCHED", "TASKED", "EXAMINED", "REACHBACK"}),
    moves=(
        move("INGEST", "DELIVERED", "INGESTED", RECIPIENT, "ack L3", "due by urgency: 5 min, 30 min, 4 h, 24 h"),
        move("FIND_NO_MATCH", "INGESTED FEEDBACK_SENT", "NO_MATCH", RECIPIENT, "feedback NO_MATCH", _REVISED),
        move("MATCH", "INGESTED FEEDBACK_SENT", "MATCHED", RECIPIENT, "feedback MATCH_NOT_ACTIONED", _REVISED),
        move("TASK", "MATCHED", "TASKED", RECIPIENT, "ack L4"),
        move("EXAMINE", "TASKED", "EXAMINED", RECIPIENT, guard="starts the 72 hours for feedback"),
        move("MISS", "MATCHED TASKED FEEDBACK_SENT", "NOT_LOCATED", RECIPIENT, "feedback NOT_LOCATED", _REVISED),
        move(
            "DEPART", "MATCHED TASKED FEEDBACK_SENT", "DEPARTED", RECIPIENT, "feedback DEPARTED",
            "the next country on the route is warned; " + _REVISED,
        ),
        move(
            "FIND_NEGATIVE", "EXAMINED REACHBACK FEEDBACK_SENT", "OUTCOME_NEGATIVE", RECIPIENT,
            "feedback EXAMINED_NEGATIVE or LICENCE_OK", _REVISED,
        ),
        move("FIND_POSITIVE", "EXAMINED REACHBACK FEEDBACK_SENT", "OUTCOME_POSITIVE", RECIPIENT, "feedback EXAMINED_POSITIVE", _REVISED),
        move(
            "FIND_INCONCLUSIVE", "EXAMINED REACHBACK FEEDBACK_SENT", "OUTCOME_INCONCLUSIVE", RECIPIENT, "feedback INCONCLUSIVE", _REVISED,
        ),
        move("REACH_BACK", "OUTCOME_INCONCLUSIVE FEEDBACK_SENT", "REACHBACK", RECIPIENT, guard="a laboratory or expert is asked"),
        move(
            "SEND_FEEDBACK", f"NO_MATCH MATCHED NOT_LOCATED DEPARTED {_OUTCOMES}", "FEEDBACK_SENT", RECIPIENT, "any feedback",
            "due 72 h after the examination or the anchor time",
        ),
    ),
)  # fmt: skip
