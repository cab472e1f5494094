"""A recall at one holder (domain dictionary 4, recall): it is complete when every holder's is."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, OWNER, RECIPIENT, Machine, move

RECALL: Final = Machine(
    name="recall",
    title="a recall",
    doc="One for each agency that received any revision of the recalled subject; owner is who recalls. CANNOT comes with a reason.",
    initial="OPEN",
    final=frozenset({"COMPLETE"}),
    standing=frozenset({"OPEN", "SILENT"}),
    moves=(
        move("STOP", "OPEN SILENT CANNOT STOPPED", "STOPPED", RECIPIENT, "recall_reply STOPPED"),
        move("DELETE", "OPEN SILENT CANNOT STOPPED DELETED", "DELETED", RECIPIENT, "recall_reply DELETED"),
        move("CANNOT", "OPEN SILENT CANNOT", "CANNOT", RECIPIENT, "recall_reply CANNOT", "says why, a legal hold for instance"),
        move("FALL_SILENT", "OPEN", "SILENT", CLOCK, guard="due is past: the originator and the duty contact are told"),
        move("COMPLETE", "STOPPED DELETED CANNOT", "COMPLETE", OWNER, guard="the owner takes the answer"),
    ),
)
