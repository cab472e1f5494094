"""What an answer does to the handling of the subject that it names (``header.correlation.target``), at that subject's owner.

An acknowledgement, feedback or reply is a subject of its own, of the agency that answers: the relay judges only that. Whether it
fits the target is for the owner of the target to say, who answers an illegal one with a negative acknowledgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from broker.errors import Refusal
from broker.families.lifecycles.machine import RECIPIENT, follow
from broker.families.lifecycles.tables import HANDLING

_FEEDBACK: Final[Mapping[str, str]] = {
    "NO_MATCH": "FIND_NO_MATCH",
    "MATCH_NOT_ACTIONED": "MATCH",
    "NOT_LOCATED": "MISS",
    "DEPARTED": "DEPART",
    "EXAMINED_NEGATIVE": "FIND_NEGATIVE",
    "EXAMINED_POSITIVE": "FIND_POSITIVE",
    "INCONCLUSIVE": "FIND_INCONCLUSIVE",
    "LICENCE_OK": "FIND_NEGATIVE",
}
_MOVEMENT: Final = {"OBJECTION": "OBJECT", "NO_OBJECTION": "CLEAR", "LICENCE_OK": "CLEAR"}
_RFI: Final = {"FULL": "ANSWER", "NO_DATA": "ANSWER", "PARTIAL": "ANSWER_PART", "REFUSED": "REFUSE", "REDIRECTED": "REDIRECT"}
_CONSENT: Final = {"GRANT": "GRANT", "GRANT_WITH_LIMIT": "GRANT_WITH_LIMIT", "REFUSE": "REFUSE", "WITHDRAW": "WITHDRAW"}
_RECALL: Final = {"STOPPED": "STOP", "DELETED": "DELETE", "CANNOT": "CANNOT"}
_REACHBACK: Final = {"FULL": "DETERMINE", "PARTIAL": "DETERMINE", "NEEDS_SAMPLE": "ASK_SAMPLE", "CANNOT": "DECLINE"}

_ACK: Final[Mapping[str, Mapping[str, str]]] = {
    "alert": {"L3": "INGEST", "L4": "TASK"},
    "rfi": {"L1": "ACKNOWLEDGE", "L2": "ACKNOWLEDGE", "L3": "ACKNOWLEDGE", "L4": "ACCEPT"},
    "reachback": {"L1": "ACKNOWLEDGE", "L2": "ACKNOWLEDGE", "L3": "ACKNOWLEDGE", "L4": "ACCEPT", "": "DECLINE"},
    "licit_movement": {"L1": "ACKNOWLEDGE", "L2": "ACKNOWLEDGE", "L3": "ACKNOWLEDGE", "L4": "ACKNOWLEDGE"},
    "correction": {"": "DECLINE"},
}
"""Family of the target to what a level of acknowledgement does; the empty level is a negative one. Others change nothing."""


_LEVELS: Final = frozenset({"INGEST", "TASK", "ACKNOWLEDGE", "ACCEPT"})


def effects_of(family: str, core: Mapping[str, Any], target_family: str) -> tuple[str, ...]:
    """The moves that a message makes, one after the other, in its author's handling of a target of this family; often none.

    A feedback on an alert makes two: its result, and that feedback was sent.
    """
    move: str | None = None
    match family, target_family:
        case "ack", _:
            move = _ACK.get(target_family, {}).get(str(core.get("level") or ""))
        case "feedback", "alert":
            move = _FEEDBACK.get(str(core.get("result")))
            return (move, "SEND_FEEDBACK") if move else ()
        case "feedback", "licit_movement":
            move = _MOVEMENT.get(str(core.get("result")))
        case "rfi_reply", "rfi":
            move = _RFI.get(str(core.get("status")))
        case "consent_reply", "consent_request":
            move = _CONSENT.get(str(core.get("decision")))
        case "recall_reply", _:
            move = _RECALL.get(str(core.get("answer")))
        case "reachback_reply", "reachback":
            move = _REACHBACK.get(str(core.get("status")))
        case "licence", "reachback":
            move = "DETERMINE" if core.get("decision_type") == "DETERMINATION" else None
        case "correction", "correction":
            move = "ADOPT" if core.get("correction_kind") == "OWNER_RECORD" else None
        case _:
            move = None
    return (move,) if move else ()


def handle(target_family: str, state: str | None, moves: tuple[str, ...]) -> str | Refusal:
    """One recipient's handling after its moves, or ILLEGAL_MOVE. ``state`` None: it was delivered, and nothing heard of it.

    For an answer to a recall the family is ``recall``, whatever the recalled subject's. Steps that were not told are taken as made;
    an acknowledgement that says less than is known changes nothing.
    """
    machine = HANDLING[target_family]
    place = machine.initial if state is None else state
    for move in moves:
        if move in _LEVELS and place in machine.beyond(machine.lands(move)):
            continue
        after = follow(machine, place, move, RECIPIENT)
        if isinstance(after, Refusal):
            return after
        place = after
    return place
