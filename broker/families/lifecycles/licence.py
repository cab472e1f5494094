"""Publication of a licence, a denial, a catch-all notice or a determination (domain dictionary 2.3 and 4)."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, Machine, move
from broker.families.lifecycles.statement import RECALL_SAYS, RECALLABLE

IN_FORCE: Final = ("GRANTED", "AMENDED", "LIMITED", "REINSTATED")
"""States in which the licence may be used."""
DENIALS: Final = ("DENIED", "DENIAL_AMENDED", "DENIAL_RENEWED")
"""States in which a denial stands; each lasts three years at most from when it took effect (domain dictionary 2.3, [S20])."""
DENIAL_YEARS: Final = 3
"""By the calendar: 29 February to 28 February three years later."""
_ENDED = ("REVOKED", "ANNULLED", "EXPIRED", "EXHAUSTED", "SURRENDERED")
_REST = ("DENIAL_LIFTED", "DENIAL_LAPSED", "CATCHALL_IMPOSED", "CATCHALL_LIFTED", "DETERMINED")
_OLDER = "UNPUBLISHED"
_ASSESSMENT = "the end of a suspension carries its final assessment"
_NEEDS = ("final_assessment",)
_SAID = "decision_type of the same name"
_RESTATED = "said again, complete, where its date or the instruction for shipments in transit changes"

LICENCE: Final = Machine(
    name="licence",
    title="a licence",
    doc=(
        "A licence may be older than the exchange: from UNPUBLISHED every decision is taken but one that gives back what was taken "
        "(REINSTATE, DENY_REVIEW, CATCHALL_LIFT). A suspended licence is not amended: SUSPEND is published again, complete, so that "
        "whoever holds the last revision alone knows that it is suspended. The issuer's revision orders decisions; effective_at says "
        "only from when one holds."
    ),
    initial=_OLDER,
    final=frozenset({*_ENDED, "DENIAL_LIFTED", "DENIAL_LAPSED", "CATCHALL_LIFTED", "DETERMINED", "RECALLED"}),
    standing=frozenset(IN_FORCE),
    moves=(
        move("GRANT", _OLDER, "GRANTED", said_by=_SAID),
        move("AMEND", (_OLDER, *IN_FORCE), "AMENDED", said_by=_SAID),
        move("SUBSTANTIALLY_LIMIT", (_OLDER, *IN_FORCE), "LIMITED", said_by=_SAID),
        move("SUBSTANTIALLY_LIMIT", "SUSPENDED", "LIMITED", said_by=_SAID, guard=_ASSESSMENT, needs=_NEEDS),
        move("SUSPEND", (_OLDER, *IN_FORCE, "SUSPENDED"), "SUSPENDED", said_by=_SAID, guard=_RESTATED),
        move("REINSTATE", "SUSPENDED", "REINSTATED", said_by=_SAID, guard=_ASSESSMENT, needs=_NEEDS),
        move("REVOKE", (_OLDER, *IN_FORCE, "REVOKED"), "REVOKED", said_by=_SAID, guard=_RESTATED),
        move("REVOKE", "SUSPENDED", "REVOKED", said_by=_SAID, guard=_ASSESSMENT, needs=_NEEDS),
        move("ANNUL", (_OLDER, *IN_FORCE, "ANNULLED"), "ANNULLED", said_by=_SAID, guard="holds from the beginning; " + _RESTATED),
        move("ANNUL", "SUSPENDED", "ANNULLED", said_by=_SAID, guard=_ASSESSMENT, needs=_NEEDS),
        move("EXPIRE", (_OLDER, *IN_FORCE, "SUSPENDED"), "EXPIRED", said_by=_SAID, guard="holders reckon it from expires_at by themselves"),
        move("EXHAUST", (_OLDER, *IN_FORCE), "EXHAUSTED", said_by=_SAID, guard="nothing is left of the quantity or value"),
        move("SURRENDER", (_OLDER, *IN_FORCE, "SUSPENDED"), "SURRENDERED", guard="the holder gives it back; no decision_type says it yet"),
        move("DENY", _OLDER, "DENIED", said_by=_SAID),
        move("RENEW_DENIAL", DENIALS, "DENIAL_RENEWED", said_by="DENY_REVIEW", guard="at three years at the latest"),
        move("AMEND_DENIAL", DENIALS, "DENIAL_AMENDED", guard="other terms; on the wire a renewal, which is complete"),
        move("LIFT_DENIAL", DENIALS, "DENIAL_LIFTED", said_by="DENY_REVIEW whose expires_at is its effective_at", guard="it ends"),
        move("LAPSE", DENIALS, "DENIAL_LAPSED", CLOCK, guard="three years have passed without a review"),
        move("CATCHALL_IMPOSE", (_OLDER, "CATCHALL_IMPOSED"), "CATCHALL_IMPOSED", said_by=_SAID, guard=_RESTATED),
        move("CATCHALL_LIFT", "CATCHALL_IMPOSED", "CATCHALL_LIFTED", said_by=_SAID),
        move("DETERMINATION", (_OLDER, "DETERMINED"), "DETERMINED", said_by=_SAID),
        move(
            "RECALL", (*IN_FORCE, "SUSPENDED", *_ENDED, *DENIALS, *_REST), "RECALLED", said_by=RECALL_SAYS, guard=RECALLABLE,
        ),
    ),
)  # fmt: skip
