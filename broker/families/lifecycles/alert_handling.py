"""Handling of an alert by one recipient (domain dictionary 4, alert, recipient), as its owner learns of it."""

from typing import Final

from broker.families.lifecycles.machine import RECIPIENT, Machine, move

_OUTCOMES = "OUTCOME_NEGATIVE OUTCOME_POSITIVE OUTCOME_INCONCLUSIVE"
_SENT = "FEEDBACK_SENT"
_RESULTS = ("FIND_NO_MATCH", "MATCH", "MISS", "DEPART", "FIND_NEGATIVE", "FIND_POSITIVE", "FIND_INCONCLUSIVE")

ALERT_HANDLING: Final = Machine(
    name="alert_handling",
    title="an alert's handling",
    doc="One for each recipient. A feedback tells its result and that it was sent; steps that nobody acknowledged are taken as made.",
    initial="DELIVERED",
    final=frozenset({_SENT}),
    standing=frozenset({"DELIVERED", "INGESTED", "MATCHED", "TASKED", "EXAMINED", "REACHBACK"}),
    tacit=frozenset({"INGEST", "MATCH", "TASK", "EXAMINE"}),
    moves=(
        move("INGEST", "DELIVERED", "INGESTED", RECIPIENT, "ack L3", "due by urgency: 5 min, 30 min, 4 h, 24 h"),
        move("FIND_NO_MATCH", "INGESTED", "NO_MATCH", RECIPIENT, "feedback NO_MATCH"),
        move("MATCH", "INGESTED", "MATCHED", RECIPIENT, "feedback MATCH_NOT_ACTIONED"),
        move("TASK", "MATCHED", "TASKED", RECIPIENT, "ack L4"),
        move("EXAMINE", "TASKED", "EXAMINED", RECIPIENT, guard="starts the 72 hours for feedback"),
        move("MISS", "MATCHED TASKED", "NOT_LOCATED", RECIPIENT, "feedback NOT_LOCATED"),
        move("DEPART", "MATCHED TASKED", "DEPARTED", RECIPIENT, "feedback DEPARTED", "the next country on the route is warned"),
        move("FIND_NEGATIVE", "EXAMINED REACHBACK", "OUTCOME_NEGATIVE", RECIPIENT, "feedback EXAMINED_NEGATIVE or LICENCE_OK"),
        move("FIND_POSITIVE", "EXAMINED REACHBACK", "OUTCOME_POSITIVE", RECIPIENT, "feedback EXAMINED_POSITIVE"),
        move("FIND_INCONCLUSIVE", "EXAMINED REACHBACK", "OUTCOME_INCONCLUSIVE", RECIPIENT, "feedback INCONCLUSIVE"),
        move("REACH_BACK", "OUTCOME_INCONCLUSIVE", "REACHBACK", RECIPIENT, guard="a laboratory or expert is asked"),
        move(
            "SEND_FEEDBACK", f"NO_MATCH MATCHED NOT_LOCATED DEPARTED {_OUTCOMES} {_SENT}", _SENT, RECIPIENT, "any feedback",
            "due 72 h after the examination or the anchor time",
        ),
        *(move(name, _SENT, _SENT, RECIPIENT, "a later revision of the feedback") for name in _RESULTS),
    ),
)  # fmt: skip
