"""Which table holds for which family, and how a message says its move.

Two questions, one function each: :func:`advance`, where does a revision take its own subject (the relay asks it of every
message); :func:`effects_of`, what does an answer do to the handling of the subject that it names as its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.errors import Refusal
from broker.families.lifecycles.alert import ALERT
from broker.families.lifecycles.alert_handling import ALERT_HANDLING
from broker.families.lifecycles.consent import CONSENT
from broker.families.lifecycles.correction import CORRECTION
from broker.families.lifecycles.denial_consult import DENIAL_CONSULT
from broker.families.lifecycles.entity_watch import ENTITY_WATCH
from broker.families.lifecycles.fz_warning import FZ_WARNING
from broker.families.lifecycles.licence import LICENCE
from broker.families.lifecycles.licit_movement import LICIT_MOVEMENT
from broker.families.lifecycles.machine import OWNER, Machine, apply
from broker.families.lifecycles.reachback import REACHBACK
from broker.families.lifecycles.recall import RECALL
from broker.families.lifecycles.rfi import RFI
from broker.families.lifecycles.seized_goods import SEIZED_GOODS
from broker.families.lifecycles.seizure_analysis import SEIZURE_ANALYSIS
from broker.families.lifecycles.seizure_report import SEIZURE_REPORT
from broker.families.lifecycles.statement import STATEMENT
from broker.families.rules import instant_ms

RECALL_FAMILY: Final = "recall"
"""A message of this family has the recalled subject, whatever that one's family, and is its last revision."""
JOINT: Final = "+"
"""Between the states, and the moves, of a publication with two tables: ``CONFIRMED+SEIZED``."""

PUBLICATION: Final[Mapping[str, tuple[Machine, ...]]] = {
    "alert": (ALERT,),
    "licence": (LICENCE,),
    "seizure": (SEIZURE_REPORT, SEIZED_GOODS),
    "entity_watch": (ENTITY_WATCH,),
    "fz_warning": (FZ_WARNING,),
}
"""Family to the tables of its publication; every other family is a :data:`STATEMENT`."""

HANDLING: Final[Mapping[str, Machine]] = {
    "alert": ALERT_HANDLING,
    "rfi": RFI,
    "consent_request": CONSENT,
    "recall": RECALL,
    "reachback": REACHBACK,
    "licit_movement": LICIT_MOVEMENT,
    "correction": CORRECTION,
}
"""Family of a subject to the table of each recipient's handling of it."""

MACHINES: Final = (
    ALERT, ALERT_HANDLING, LICENCE, DENIAL_CONSULT, SEIZURE_REPORT, SEIZED_GOODS, SEIZURE_ANALYSIS, RFI, CONSENT, RECALL, REACHBACK,
    ENTITY_WATCH, FZ_WARNING, LICIT_MOVEMENT, CORRECTION, STATEMENT,
)  # fmt: skip
"""Every table, in the order of the documents."""

_OPENING: Final = {"entity_watch": ("WATCH", "RENEW"), "fz_warning": ("WARN", "UPDATE")}
_STAGES: Final = {"PRELIMINARY": "REPORT", "CONFIRMED": "CONFIRM", "FINAL": "FINALISE"}
_EVENTS: Final = {
    "DETENTION": "DETAIN", "SEIZURE": "SEIZE", "FORFEITURE": "FORFEIT", "REFUSAL": "REFUSE", "RETURN": "RETURN", "THEFT_LOSS": "LOSE",
}  # fmt: skip


def machines_of(family: str) -> tuple[Machine, ...]:
    """The tables of a family's publication."""
    return PUBLICATION.get(family, (STATEMENT,))


def initial_of(family: str) -> str:
    """The state of a subject of which nothing was published."""
    return JOINT.join(machine.initial for machine in machines_of(family))


def move_of(family: str, core: Mapping[str, Any], *, revision: int = 1) -> str:
    """The move that a message makes in the publication of its own subject; for a seizure two, joined (``CONFIRM+SEIZE``).

    ``core`` is the decoded core section: a licence decides by ``decision_type``, a seizure by ``stage`` and ``event_type``. All
    other families begin with revision 1 and are amended by every later one; a recall is a RECALL.
    """
    if family == RECALL_FAMILY:
        return "RECALL"
    if family == "licence":
        decision = str(core.get("decision_type"))
        return _review(core) if decision == "DENY_REVIEW" else decision
    if family == "seizure":
        stage, event = str(core.get("stage")), str(core.get("event_type"))
        return JOINT.join((_STAGES.get(stage, stage), _EVENTS.get(event, event)))
    begin, go_on = _OPENING.get(family, ("ISSUE", "AMEND"))
    return begin if revision == 1 else go_on


def _review(core: Mapping[str, Any]) -> str:
    """A review lifts a denial by ending it when it takes effect; in doubt the denial stands."""
    ends, begins = instant_ms(core.get("expires_at")), instant_ms(core.get("effective_at"))
    return "LIFT_DENIAL" if ends is not None and begins is not None and ends <= begins else "RENEW_DENIAL"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a revision took its subject: the family whose tables hold, the move, the state."""

    family: str
    move: str
    state: str


def advance(
    family: str, state: str | None, core: Mapping[str, Any] | None, *, message_family: str, revision: int, actor: str = OWNER
) -> Progress | Refusal:  # fmt: skip
    """What the next revision of a subject does, or ILLEGAL_MOVE with the moves that are allowed.

    ``family`` is the subject's, ``message_family`` the message's, which is another for a recall only. ``state`` None: nothing was
    published; empty: something was, by a relay that kept no state yet, and any move is taken. ``core`` may be left out but
    for a licence and a seizure. Revisions are in order here: a replica that sees them in any order asks
    :class:`broker.families.lifecycles.history.SubjectHistory`.
    """
    machines = machines_of(family)
    name = move_of(message_family, core or {}, revision=revision)
    moves = name.split(JOINT) if name != "RECALL" else ["RECALL"] * len(machines)
    states = state.split(JOINT) if state else []
    unknown = state is not None and len(states) != len(machines)
    if len(states) != len(machines):
        states = [machine.initial for machine in machines]
    arrived: list[str] = []
    for machine, before, move in zip(machines, states, moves, strict=True):
        after = machine.lands(move) if unknown and move in machine.move_names else apply(machine, before, move, actor, core)
        if isinstance(after, Refusal):
            return after
        arrived.append(after)
    return Progress(family, name, JOINT.join(arrived))
