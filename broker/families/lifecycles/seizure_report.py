"""Publication of a seizure report: how sure the seizing agency is (domain dictionary 4, seizure, report)."""

from typing import Final

from broker.families.lifecycles.machine import Machine, move
from broker.families.lifecycles.statement import RECALL_SAYS, RECALLABLE

SEIZURE_REPORT: Final = Machine(
    name="seizure_report",
    title="a seizure report",
    doc="The stage of the report never goes back. What becomes of the goods is a table of its own; a revision moves in both.",
    initial="DRAFT",
    final=frozenset({"FINAL", "CORRECTED", "RECALLED"}),
    standing=frozenset({"PRELIMINARY", "CONFIRMED", "FINAL", "CORRECTED"}),
    moves=(
        move("REPORT", "DRAFT PRELIMINARY", "PRELIMINARY", said_by="stage PRELIMINARY"),
        move("CONFIRM", "DRAFT PRELIMINARY CONFIRMED", "CONFIRMED", said_by="stage CONFIRMED"),
        move("FINALISE", "DRAFT PRELIMINARY CONFIRMED", "FINAL", said_by="stage FINAL"),
        move("FINALISE", "FINAL CORRECTED", "CORRECTED", said_by="stage FINAL, once more", guard="goes to everyone who got a revision"),
        move("RECALL", "PRELIMINARY CONFIRMED FINAL CORRECTED", "RECALLED", said_by=RECALL_SAYS, guard="withdrawn; " + RECALLABLE),
    ),
)
